//! What was fitted as a table for people.

use comfy_table::CellAlignment;

use super::Estimator;
use super::fit::Fit;
use crate::base::terminal::new_table;
use crate::evaluation::eval::left_out::LeftOut;
use crate::evaluation::eval::{Subject, remarks};
use crate::survey::Target;

/// How good an estimator is, then what was left out of its fit.
pub fn render_fit(fit: &Fit) -> String {
    let estimator = &fit.estimator;
    let mut text = render_scores(estimator);
    let is_question = |lost: &&LeftOut| matches!(lost.task.subject, Subject::Question(_));
    let (of_questions, others): (Vec<_>, Vec<_>) = fit.left_out.iter().partition(is_question);
    let questions: Vec<&str> = estimator.questions().map(|(name, ..)| name).collect();
    if let Some((_, _, source)) = estimator.questions().next() {
        text += &format!("morphology, from {source}: {}\n", questions.join(", "));
    }
    if !of_questions.is_empty() {
        text += "of each question, galaxies with votes of enough volunteers count; --json says how many do not\n";
    }
    let others: Vec<LeftOut> = others.into_iter().cloned().collect();
    text + &remarks(&others, &estimator.head.notes)
}

/// How good an estimator is on galaxies that it was not fitted to; nothing where there were none.
pub fn render_scores(estimator: &Estimator) -> String {
    let head = &estimator.head;
    let mut table = new_table();
    table.set_header([
        "target",
        "from",
        "by",
        "R²",
        "scatter",
        "bias",
        "outliers",
        "in 68 %",
        "in 95 %",
        "68 % width",
        "train",
        "test",
    ]);
    for score in &head.scores {
        let metrics = &score.metrics;
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        table.add_row([
            score.target.to_string(),
            score.source.to_string(),
            score.method.to_string(),
            format!("{:.3}", metrics.r2),
            format!("{:.4}", metrics.scatter),
            format!("{:+.4}", metrics.bias),
            metrics.outlier_fraction.map_or("–".to_owned(), percent),
            percent(score.coverage68),
            percent(score.coverage95),
            format!("±{:.4}", score.half_width68),
            score.n_train.to_string(),
            score.n_test.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = String::new();
    if !head.scores.is_empty() {
        text += &format!("{table}\n");
    }
    let has = |wanted: fn(Target) -> bool| head.scores.iter().any(|score| wanted(score.target));
    if has(|target| target == Target::Redshift) {
        text +=
            "z: scatter is σ_NMAD and bias the mean of Δz/(1+z), outliers have |Δz|/(1+z) > 0.15\n";
    }
    if has(|target| target != Target::Redshift) {
        text += "properties: scatter is the RMSE\n";
    }
    text
}
