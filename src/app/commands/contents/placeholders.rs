//! Numbers that stand for unknown in catalogues.

use std::collections::BTreeMap;

use crate::files::catalog::Values;
use crate::files::data::Dataset;
use crate::survey::{is_placeholder, shortest};

/// How often numbers such as −99 are in a column, and between which values its others lie.
#[derive(Debug, Default)]
pub(in crate::app::commands) struct Placeholders {
    counts: BTreeMap<String, usize>,
    others: Option<[f64; 2]>,
}

impl Placeholders {
    /// Those of a column.
    pub fn of(values: &Values) -> Self {
        let mut found = Self::default();
        found.add(values);
        found
    }

    fn add(&mut self, values: &Values) {
        let Values::Floats(values) = values else {
            return;
        };
        for &value in values.iter().filter(|value| !value.is_nan()) {
            if is_placeholder(value) {
                *self.counts.entry(shortest(value)).or_default() += 1;
            } else {
                let [least, largest] = self.others.unwrap_or([value; 2]);
                self.others = Some([least.min(value), largest.max(value)]);
            }
        }
    }

    /// Those that come several times and that no other value is near: below all others, or above.
    pub fn counts(self) -> BTreeMap<String, usize> {
        const SEVERAL: usize = 2;
        let [least, largest] = self.others.unwrap_or([f64::INFINITY, f64::NEG_INFINITY]);
        let mut counts = self.counts;
        counts.retain(|value, count| {
            let value = value.parse::<f64>().unwrap_or(f64::NAN);
            *count >= SEVERAL && (value < least || value > largest)
        });
        counts
    }
}

/// By column of a survey's own catalogue, those that have any.
pub(super) fn of_survey(dataset: &Dataset) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut found: BTreeMap<String, Placeholders> = BTreeMap::new();
    for columns in dataset.columns() {
        match columns {
            Ok(columns) => columns.into_iter().for_each(|column| {
                found.entry(column.name).or_default().add(&column.values);
            }),
            Err(error) => tracing::warn!("its catalogue is not looked at: {error}"),
        }
    }
    let counts = found
        .into_iter()
        .map(|(name, found)| (name, found.counts()));
    counts.filter(|(_, counts)| !counts.is_empty()).collect()
}

/// "-99 in 2 rows, 99 in 3 rows (unknown?)"; `None` without any.
pub(in crate::app::commands) fn in_words(counts: &BTreeMap<String, usize>) -> Option<String> {
    let words = counts
        .iter()
        .map(|(value, count)| format!("{value} in {count} rows"));
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| format!("{} (unknown?)", words.join(", ")))
}
