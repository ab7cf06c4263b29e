//! Results as tables for people.

mod morphology;
mod regression;
mod retrieval;

use comfy_table::{CellAlignment, Table};

use crate::evaluation::eval::left_out::LeftOut;
use crate::evaluation::eval::source::Source;
use crate::evaluation::eval::task::Subject;

pub use morphology::render_morphology_table;
pub use regression::render_regression_table;
pub use retrieval::render_retrieval_table;

pub(super) fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A value with its bootstrap deviation, where there is one.
pub(super) fn with_error(value: f64, deviation: Option<f64>, decimals: usize) -> String {
    match deviation {
        Some(deviation) => format!("{value:.decimals$} ± {deviation:.decimals$}"),
        None => format!("{value:.decimals$}"),
    }
}

/// What a prediction is made from, by which model.
fn title(model: &str, source: Source) -> String {
    match source {
        Source::Photometry => model.to_owned(),
        source => format!("{model}, {source}"),
    }
}

/// What was left out, a line for all models that left out the same; then the notes.
pub(in crate::evaluation) fn remarks(left_out: &[LeftOut], notes: &[String]) -> String {
    let mut groups: Vec<(String, String, Vec<String>)> = Vec::new();
    for lost in left_out {
        let what = match &lost.task.subject {
            Subject::Target(target) => target.to_string(),
            Subject::Condition(condition) => condition.name().to_owned(),
            Subject::Question(question) => question.clone(),
        };
        let why = lost.in_words();
        let model = title(&lost.task.model, lost.task.source);
        match groups
            .iter_mut()
            .find(|group| (&group.0, &group.1) == (&what, &why))
        {
            Some((_, _, models)) => models.push(model),
            None => groups.push((what, why, vec![model])),
        }
    }
    let lines = groups
        .iter()
        .map(|(what, why, models)| format!("left out of {what} ({}), {why}\n", models.join("; ")));
    let notes = notes.iter().map(|note| format!("note: {note}\n"));
    lines.chain(notes).collect()
}
