use astroclip::training::train::{cosine_with_warmup, dino_cosine};

use super::reference::json;

#[test]
fn schedules() {
    let schedules = json("schedules.json");
    for name in ["dinov2_cosine", "teacher_temp", "momentum", "warmup_cosine"] {
        let args = &schedules[name]["args"];
        let number = |key: &str| args[key].as_f64().unwrap_or(0.0);
        let count = |key: &str| args[key].as_u64().unwrap_or(0);
        for (step, expected) in schedules[name]["values"].as_object().expect("values") {
            let step: u64 = step.parse().expect("a step");
            let actual = match name {
                "warmup_cosine" => {
                    let rates = (number("base"), number("eta_min"));
                    cosine_with_warmup(step, rates, count("T_warmup"), count("T_max"))
                }
                _ => {
                    let values = (
                        number("start_warmup_value"),
                        number("base_value"),
                        number("final_value"),
                    );
                    dino_cosine(step, values, count("warmup_iters"), count("total_iters"))
                }
            };
            let expected = expected.as_f64().expect("a number");
            assert!(
                (actual - expected).abs() < 1e-12,
                "{name} at {step}: {actual} against {expected}"
            );
        }
    }
}
