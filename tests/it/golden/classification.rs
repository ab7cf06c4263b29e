//! Classification metrics against scikit-learn's.

use astroclip::evaluation::eval::accuracy_of_classes;
use serde_json::Value;

use crate::golden::reference::json;

#[test]
fn accuracy_precision_and_f1_weighted_by_support_equal_scikit_learn() {
    let expected = json("classification.json");
    let classes = |name: &str| -> Vec<usize> {
        let values = expected[name].as_array().expect("classes").iter();
        values
            .map(|value| value.as_u64().expect("a class") as usize)
            .collect()
    };
    let metrics = accuracy_of_classes(&classes("y_true"), &classes("y_pred"));
    let assert_equal = |name: &str, actual: f64, expected: &Value| {
        let expected = expected.as_f64().expect("a number");
        assert!(
            (actual - expected).abs() < 1e-12,
            "{name}: {actual} against {expected}"
        );
    };
    assert_equal("accuracy", metrics.accuracy, &expected["accuracy"]);
    assert_equal("recall", metrics.accuracy, &expected["recall_weighted"]);
    assert_equal(
        "precision",
        metrics.precision,
        &expected["precision_weighted"],
    );
    assert_equal("F1", metrics.f1, &expected["f1_weighted"]);
}
