//! The section of posteriors.

use super::{Results, SOURCES, figure, heading, row};
use crate::base::error::Result;
use crate::evaluation::eval::{Condition, Method, PosteriorReport, PosteriorResult};
use crate::evaluation::report::{
    Block, CornerAxis, Coverage, RowKind, Section, TextTable, corner, coverage, paper,
};

pub(super) fn posterior(results: &Results) -> Result<Option<Section>> {
    let Some(report) = &results.posterior else {
        return Ok(None);
    };
    let mut table = TextTable {
        title: "Likelihood of the truth (paper Table 3)".into(),
        columns: ["method", "−ln p per dimension", "−ln p, joint", "TARP p", "galaxies"].map(str::to_owned).to_vec(),
        note: "Mean and standard deviation over the flows of an ensemble; lower is better. Per dimension in units of the \
               training galaxies' standard deviations, as in the paper; jointly in the targets' own units. TARP p: \
               probability of such a coverage if the posteriors are calibrated."
            .into(),
        ..TextTable::default()
    };
    for (source, key, name) in SOURCES {
        table.rows.push(heading(name));
        for result in (report.results.iter()).filter(|result| result.source == source) {
            let cells = vec![
                conditioned(result),
                format!(
                    "{:.3} ± {:.3}",
                    result.nll_per_dimension.mean, result.nll_per_dimension.deviation
                ),
                format!("{:.3} ± {:.3}", result.nll.mean, result.nll.deviation),
                format!("{:.3}", result.tarp.p_value),
                result.n_test.to_string(),
            ];
            table.rows.push(row(RowKind::Measured, cells));
        }
        for (_, method, mean, deviation) in paper::LIKELIHOODS.iter().filter(|row| row.0 == key) {
            let value = format!("{mean:.2} ± {deviation:.2}");
            let cells = vec![
                (*method).to_owned(),
                value,
                "–".into(),
                "–".into(),
                "–".into(),
            ];
            table.rows.push(row(RowKind::Paper, cells));
        }
    }
    let mut blocks = vec![Block::Table(table)];
    for result in &report.results {
        let (_, key, name) = SOURCES[result.source as usize];
        blocks.extend(posterior_figures(key, name, report, result)?);
    }
    Ok(Some(Section {
        title: "Posteriors".into(),
        text: [
            "Ensembles of conditional normalizing flows: rational-quadratic spline coupling layers, conditioned on the \
             frozen embeddings, and on the predictions of supervised networks (paper section 6.4)."
                .into(),
        ]
        .into_iter()
        .chain(report.notes.iter().cloned())
        .collect(),
        blocks,
    }))
}

/// What posteriors are conditioned on, called as in the other tables.
fn conditioned(result: &PosteriorResult) -> String {
    match result.condition {
        Condition::Predictions => format!("{}, {}", result.model, Method::Supervised),
        Condition::Embeddings | Condition::Magnitudes => result.model.clone(),
    }
}

fn posterior_figures(
    key: &str,
    name: &str,
    report: &PosteriorReport,
    result: &PosteriorResult,
) -> Result<[Block; 2]> {
    let (model, example) = (conditioned(result), &result.example);
    let axes: Vec<CornerAxis> = report
        .targets
        .iter()
        .enumerate()
        .map(|(index, target)| CornerAxis {
            name: target.symbol().to_owned(),
            truth: example.truth[index],
            samples: example.samples[index].clone(),
        })
        .collect();
    let mut panels = vec![Coverage {
        title: "all together".into(),
        credibility: result.tarp.credibility.clone(),
        expected: result.tarp.expected_coverage.clone(),
        p_value: result.tarp.p_value,
        ranks: Vec::new(),
    }];
    panels.extend(result.targets.iter().map(|target| {
        Coverage {
            title: target.target.symbol().to_owned(),
            credibility: target.tarp.credibility.clone(),
            expected: target.tarp.expected_coverage.clone(),
            p_value: target.tarp.p_value,
            ranks: target
                .ranks
                .counts
                .iter()
                .map(|&count| count as f64)
                .collect(),
        }
    }));
    let words = model.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let stem = words.join("-");
    let title = format!(
        "Galaxy {} – {}: {model}",
        example.object_id,
        name.to_lowercase()
    );
    let of_corner = format!(
        "{name}, {model}: the posterior of one galaxy (paper Fig. D3); the truth in orange."
    );
    let figure_of_paper = if key == "spectrum" { "E2" } else { "E1" };
    let of_coverage = format!(
        "{name}, {model}: expected coverage against credibility (TARP, paper Fig. {figure_of_paper}) and ranks of the \
         truth among the samples. Calibrated posteriors follow the diagonal, with even ranks."
    );
    Ok([
        Block::Figure(figure(
            &format!("corner-{stem}-{key}"),
            of_corner,
            corner(&title, &axes)?,
        )),
        Block::Figure(figure(
            &format!("coverage-{stem}-{key}"),
            of_coverage,
            coverage(&panels)?,
        )),
    ])
}
