//! Results as tables for people.

mod morphology;
mod regression;
mod retrieval;

use std::fmt::Display;

use comfy_table::{CellAlignment, Table, presets};

use crate::eval::results::Source;
use crate::survey::Split;

pub use morphology::render_morphology_table;
pub use regression::render_table;
pub use retrieval::render_retrieval_table;

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// A value with its bootstrap deviation, where there is one.
fn with_error(value: f64, deviation: Option<f64>, decimals: usize) -> String {
    match deviation {
        Some(deviation) => format!("{value:.decimals$} ± {deviation:.decimals$}"),
        None => format!("{value:.decimals$}"),
    }
}

/// Galaxies that a task left out.
struct LeftOut {
    /// What was predicted.
    what: String,
    /// From what, by which model.
    from: String,
    split: Split,
    why: String,
}

impl LeftOut {
    fn new(what: impl Display, source: Source, model: &str, split: Split) -> Self {
        Self {
            what: what.to_string(),
            from: match source {
                Source::Photometry => model.to_owned(),
                source => format!("{model}, {source}"),
            },
            split,
            why: String::new(),
        }
    }

    /// Why, from counts and reasons.
    fn because(mut self, counted: &[(usize, &str)]) -> Self {
        let reasons = counted.iter().filter(|(count, _)| *count > 0);
        let reasons: Vec<String> = reasons
            .map(|(count, reason)| format!("{count} {reason}"))
            .collect();
        self.why = reasons.join(", ");
        self
    }

    /// A line for all models that left out the same.
    fn lines(all: &[Self]) -> String {
        let mut groups: Vec<Vec<&Self>> = Vec::new();
        let key = |one: &Self| (one.what.clone(), one.split, one.why.clone());
        for one in all {
            match groups.iter_mut().find(|group| key(group[0]) == key(one)) {
                Some(group) => group.push(one),
                None => groups.push(vec![one]),
            }
        }
        let lines = groups.iter().map(|group| {
            let models: Vec<&str> = group.iter().map(|one| one.from.as_str()).collect();
            let split = match group[0].split {
                Split::Train => "train",
                Split::Test => "test",
            };
            let (what, why) = (&group[0].what, &group[0].why);
            format!(
                "left out of {what}, {split} ({}): {why}\n",
                models.join("; ")
            )
        });
        lines.collect()
    }
}
