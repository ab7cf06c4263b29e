//! Results galaxy by galaxy, as tables.

use std::path::Path;

use crate::base::error::Result;
use crate::evaluation::eval::{MorphologyReport, Predictions, RetrievalReport};
use crate::files::catalog::{
    Column, ColumnHead, ColumnKind, Table, TableHead, Values, write_table,
};
use crate::survey::{ObjectId, QUESTIONS};

/// A table with a row per galaxy and result.
#[derive(Default)]
struct Rows {
    object_id: Vec<ObjectId>,
    texts: Vec<(&'static str, Vec<String>)>,
    integers: Vec<(&'static str, Vec<i64>)>,
    numbers: Vec<(&'static str, Vec<f64>)>,
}

impl Rows {
    /// Appends rows for galaxies, with the same `texts` and `integers` in all of them.
    fn add(
        &mut self,
        object_id: &[ObjectId],
        texts: &[(&'static str, &str)],
        integers: &[(&'static str, usize)],
    ) {
        self.object_id.extend(object_id);
        for &(name, text) in texts {
            let values = column(&mut self.texts, name);
            values.extend(object_id.iter().map(|_| text.to_owned()));
        }
        for &(name, number) in integers {
            let values = column(&mut self.integers, name);
            values.extend(object_id.iter().map(|_| number as i64));
        }
    }

    fn write(self, description: &str, path: &Path) -> Result<()> {
        let mut columns = vec![Column {
            name: "object_id".to_owned(),
            values: Values::of_ids(&self.object_id),
        }];
        let named = |name: &str, values| Column {
            name: name.to_owned(),
            values,
        };
        let texts = self.texts.into_iter();
        columns.extend(texts.map(|(name, values)| named(name, Values::Texts(values))));
        let integers = self.integers.into_iter();
        columns.extend(integers.map(|(name, values)| named(name, Values::Integers(values))));
        let numbers = self.numbers.into_iter();
        columns.extend(numbers.map(|(name, values)| named(name, Values::Floats(values))));
        write_table(&Table::new(path, columns)?, head(description), path)
    }
}

/// What the columns of these tables are; each has some of them.
fn head(description: &str) -> TableHead {
    let described = |(name, what): (&str, &str)| {
        // Of what kind they are, the table says.
        ColumnHead::plain(name, ColumnKind::Text).described(what)
    };
    let columns = [
        ("target", "quantity that is predicted"),
        ("question", "question of Galaxy Zoo"),
        ("source", "data that the prediction is from"),
        ("model", "model that made the embedding"),
        ("method", "how embeddings become predictions"),
        ("seed", "number of the seed"),
        ("truth", "true value"),
        ("predicted", "predicted value"),
        ("from", "data that are sought by"),
        ("to", "data that are sought"),
        (
            "rank",
            "place of the galaxy's own counterpart among all, from 1",
        ),
    ];
    let columns = columns.into_iter().map(described);
    let columns = [ColumnHead::object_id()].into_iter().chain(columns);
    TableHead::new("results", description, columns.collect())
}

fn column<'a, T>(
    columns: &'a mut Vec<(&'static str, Vec<T>)>,
    name: &'static str,
) -> &'a mut Vec<T> {
    let index = columns.iter().position(|(known, _)| *known == name);
    let index = index.unwrap_or_else(|| {
        columns.push((name, Vec::new()));
        columns.len() - 1
    });
    &mut columns[index].1
}

/// True and predicted values: a row per galaxy, target, source, model, method and seed.
pub(super) fn write_predictions<'a>(
    all: impl IntoIterator<Item = &'a Predictions>,
    path: &Path,
) -> Result<()> {
    let mut rows = Rows::default();
    for one in all {
        let seeds = std::iter::once(&one.predicted).chain(&one.further_seeds);
        for (seed, predicted) in seeds.enumerate() {
            rows.add(
                &one.object_id,
                &[
                    ("target", one.target.name()),
                    ("source", &one.source.to_string()),
                    ("model", &one.model),
                    ("method", &one.method.to_string()),
                ],
                &[("seed", seed)],
            );
            column(&mut rows.numbers, "truth").extend(&one.truth);
            column(&mut rows.numbers, "predicted").extend(predicted);
        }
    }
    rows.write("True and predicted values of test galaxies", path)
}

/// True and predicted answers: a row per galaxy, question, source, model and seed.
pub(super) fn write_answers(report: &MorphologyReport, path: &Path) -> Result<()> {
    let mut rows = Rows::default();
    for one in &report.predictions {
        let question = QUESTIONS.iter().find(|known| known.name == one.question);
        let answers = question.expect("one of the ten questions").answers;
        let named = |classes: &[usize]| -> Vec<String> {
            classes
                .iter()
                .map(|&class| answers[class].to_owned())
                .collect()
        };
        for (seed, predicted) in one.predicted.iter().enumerate() {
            rows.add(
                &one.object_id,
                &[
                    ("question", &one.question),
                    ("source", &one.source.to_string()),
                    ("model", &one.model),
                ],
                &[("seed", seed)],
            );
            column(&mut rows.texts, "truth").extend(named(&one.truth));
            column(&mut rows.texts, "predicted").extend(named(predicted));
        }
    }
    rows.write("True and predicted answers of test galaxies", path)
}

/// Ranks of counterparts: a row per galaxy, model and direction.
pub(super) fn write_ranks(report: &RetrievalReport, path: &Path) -> Result<()> {
    let mut rows = Rows::default();
    for one in &report.results {
        let texts = [
            ("model", one.model.as_str()),
            ("from", one.from.name()),
            ("to", one.to.name()),
        ];
        rows.add(&one.object_id, &texts, &[]);
        column(&mut rows.numbers, "rank").extend(&one.ranks);
    }
    rows.write("Ranks of the counterparts of test galaxies", path)
}
