//! Morphology in the layout of the paper's Table E1.

use super::{align_right, remarks, title, with_error};
use crate::base::terminal::new_table;
use crate::evaluation::eval::{
    classification::ClassMetrics,
    morphology::{MorphologyReport, MorphologyResult},
    source::Source,
};

/// The results in the layout of the paper's Table E1, accuracy above and F1 below: a row per question, a column per
/// model, and what always giving the commonest answer would score.
pub fn render_morphology_table(report: &MorphologyReport) -> String {
    let mut models: Vec<(&str, Source)> = Vec::new();
    for result in &report.results {
        let model = (result.model.as_str(), result.source);
        if !models.contains(&model) {
            models.push(model);
        }
    }
    let accuracy = |metrics: &ClassMetrics| metrics.accuracy;
    let f1 = |metrics: &ClassMetrics| metrics.f1;
    let mut text = block(report, &models, "accuracy", accuracy);
    text += &block(report, &models, "F1", f1);
    let options = &report.options;
    let seeds = match options.seeds {
        1 => format!("seed {}", options.mlp.seed),
        seeds => format!("mean of {seeds} seeds"),
    };
    text += &format!(
        "F1 and accuracy weighted by support; MLP of {:?}, {seeds}; ± bootstrap over test galaxies\n\
         tested on galaxies that {} or more volunteers saw; at least {:.0} % of them were asked the question\n",
        options.mlp.hidden,
        options.test_votes,
        100.0 * options.asked_fraction
    );
    text + &remarks(&report.left_out, &report.notes)
}

fn block(
    report: &MorphologyReport,
    models: &[(&str, Source)],
    name: &str,
    figure: fn(&ClassMetrics) -> f64,
) -> String {
    let mut table = new_table();
    let mut header = vec![name.to_owned()];
    header.extend(models.iter().map(|&(model, source)| title(model, source)));
    header.extend(["commonest", "train", "test"].map(str::to_owned));
    let columns = header.len();
    table.set_header(header);
    let questions = report.results.chunk_by(|a, b| a.question == b.question);
    for question in questions {
        let of_model = |&(model, source): &(&str, Source)| {
            let mut results = question.iter();
            results.find(|result| result.model == model && result.source == source)
        };
        let shown = |result: Option<&MorphologyResult>| match result {
            Some(result) => with_error(
                figure(&result.metrics),
                result.uncertainty.map(|u| figure(&u.deviation)),
                3,
            ),
            None => "–".to_owned(),
        };
        let first = &question[0];
        let mut row = vec![first.question.clone()];
        row.extend(models.iter().map(|model| shown(of_model(model))));
        row.push(format!("{:.3}", figure(&first.majority)));
        row.push(first.n_train.to_string());
        row.push(first.n_test.to_string());
        table.add_row(row);
    }
    align_right(&mut table, 1..columns);
    format!("{table}\n")
}
