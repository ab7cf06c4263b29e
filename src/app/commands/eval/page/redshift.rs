//! The section of redshift.

use super::{SOURCES, figure, heading, method, row, with_error};
use crate::base::error::Result;
use crate::evaluation::eval::{Method, RegressionReport, RegressionResult, Source};
use crate::evaluation::report::{
    Block, Family, RowKind, ScatterGroup, ScatterPanel, Section, TextTable, redshift_scatter,
};

pub(super) fn redshift(report: &RegressionReport) -> Result<Section> {
    let mut table = TextTable {
        title: "Redshift".into(),
        columns: [
            "method", "R²", "σ_NMAD", "bias", "> 0.15", "> 0.05", "galaxies",
        ]
        .map(str::to_owned)
        .to_vec(),
        note: "σ_NMAD and bias of Δz / (1 + z); fractions of galaxies beyond 0.15 and 0.05.".into(),
        ..TextTable::default()
    };
    for (source, _, name) in SOURCES {
        let rows: Vec<&RegressionResult> = report
            .results
            .iter()
            .filter(|result| result.source == source)
            .collect();
        if rows.is_empty() {
            continue;
        }
        table.rows.push(heading(name));
        for result in rows {
            let metrics = &result.metrics;
            let errors = result.uncertainty.as_ref();
            let percent = |fraction: Option<f64>| {
                fraction.map_or("–".into(), |fraction| {
                    format!("{:.1} %", 100.0 * fraction)
                })
            };
            let cells = vec![
                method(result),
                with_error(metrics.r2, errors, |metrics| metrics.r2),
                with_error(metrics.sigma_nmad, errors, |metrics| metrics.sigma_nmad),
                with_error(metrics.bias, errors, |metrics| metrics.bias),
                percent(metrics.outlier_fraction),
                percent(metrics.outlier_fraction_005),
                result.n_test.to_string(),
            ];
            table.rows.push(row(RowKind::Measured, cells));
        }
    }
    let mut blocks = Vec::new();
    for (source, key, name) in SOURCES {
        let panels: Vec<ScatterPanel> = report
            .results
            .iter()
            .zip(&report.predictions)
            .filter(|(result, _)| result.source == source)
            .map(|(result, predictions)| ScatterPanel {
                title: method(result),
                family: match (source, result.method) {
                    (Source::Photometry, _) => Family::Baseline,
                    (_, Method::Supervised) => Family::Unaligned,
                    _ => Family::Aligned,
                },
                r2: result.metrics.r2,
                truth: predictions.truth.clone(),
                predicted: predictions.predicted.clone(),
            })
            .collect();
        if panels.is_empty() {
            continue;
        }
        let group = ScatterGroup {
            title: name.into(),
            panels,
        };
        let paper = if source == Source::Spectrum { "4" } else { "3" };
        let caption = format!(
            "{name}: predicted against true redshift, residuals below (paper Fig. {paper})."
        );
        blocks.push(Block::Figure(figure(
            &format!("redshift-{key}"),
            caption,
            redshift_scatter(&group)?,
        )));
    }
    blocks.push(Block::Table(table));
    Ok(Section {
        title: "Redshift".into(),
        text: report.notes.clone(),
        blocks,
    })
}
