//! The section of physical properties.

use super::{SOURCES, heading, method, row, with_error};
use crate::evaluation::eval::{Gain, RegressionReport, RegressionResult, Target};
use crate::evaluation::report::{Block, RowKind, Section, TextTable, paper};

pub(super) fn properties(redshift: &RegressionReport, report: &RegressionReport) -> Section {
    let targets = Target::PROPERTIES;
    let mut columns = vec!["method".to_owned()];
    columns.extend(targets.map(|target| target.symbol().to_owned()));
    let mut table = TextTable {
        title: "R² of physical properties (paper Table 2)".into(),
        columns,
        note: "Zero-shot: k-NN; few-shot: MLP with one hidden layer. Metallicity and star formation as logarithms.".into(),
        ..TextTable::default()
    };
    for (source, key, name) in SOURCES {
        table.rows.push(heading(name));
        let mut names: Vec<String> = Vec::new();
        for result in report
            .results
            .iter()
            .filter(|result| result.source == source)
        {
            if !names.contains(&method(result)) {
                names.push(method(result));
            }
        }
        for wanted in names {
            let mut cells = vec![wanted.clone()];
            cells.extend(targets.map(|target| {
                let found = report.results.iter().find(|result| {
                    result.source == source && result.target == target && method(result) == wanted
                });
                found.map_or("–".into(), |result| {
                    with_error(result.metrics.r2, result.uncertainty.as_ref(), |metrics| {
                        metrics.r2
                    })
                })
            }));
            table.rows.push(row(RowKind::Measured, cells));
        }
        for (_, method, values) in paper::PROPERTIES.iter().filter(|row| row.0 == key) {
            let mut cells = vec![(*method).to_owned()];
            cells.extend(values.map(|value| format!("{value:.2}")));
            table.rows.push(row(RowKind::Paper, cells));
        }
    }
    let blocks = [Some(table), over_magnitudes(redshift, report)];
    Section {
        title: "Physical properties".into(),
        text: report.notes.clone(),
        blocks: blocks.into_iter().flatten().map(Block::Table).collect(),
    }
}

/// How much better than magnitudes images and spectra are; `None` without magnitudes.
fn over_magnitudes(
    redshift: &RegressionReport,
    properties: &RegressionReport,
) -> Option<TextTable> {
    let targets = [Target::Redshift]
        .into_iter()
        .chain(Target::PROPERTIES)
        .collect::<Vec<Target>>();
    let results = || redshift.results.iter().chain(&properties.results);
    let mut table = TextTable {
        title: "R² more than that of g, r, z magnitudes".into(),
        columns: vec!["method".to_owned()],
        note: "By the same method on the same galaxies: k-NN on magnitudes for zero-shot, the MLP on magnitudes for few-shot and \
               supervised. ± from resamples that both share."
            .into(),
        ..TextTable::default()
    };
    table
        .columns
        .extend(targets.iter().map(|target| target.symbol().to_owned()));
    for (source, _, name) in SOURCES {
        let compared = |result: &&RegressionResult| {
            result.source == source && result.over_photometry.is_some()
        };
        let mut names: Vec<String> = Vec::new();
        for result in results().filter(compared) {
            if !names.contains(&method(result)) {
                names.push(method(result));
            }
        }
        if names.is_empty() {
            continue;
        }
        table.rows.push(heading(name));
        for name in names {
            let cells = targets.iter().map(|&target| {
                let of =
                    |result: &&RegressionResult| result.target == target && method(result) == name;
                let found = results().filter(compared).find(of);
                let gain = found.and_then(|result| result.over_photometry);
                gain.map_or("–".into(), |gain| difference(&gain))
            });
            let cells = [name.clone()].into_iter().chain(cells).collect();
            table.rows.push(row(RowKind::Measured, cells));
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

fn difference(gain: &Gain) -> String {
    match &gain.uncertainty {
        Some(of) => format!("{:+.3} ± {:.3}", gain.r2, of.deviation),
        None => format!("{:+.3}", gain.r2),
    }
}
