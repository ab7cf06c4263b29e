//! Tables of scores: redshift, physical properties, and the search for a galaxy's other view.

use crate::app::commands::quickstart::results::{Results, Scores};
use crate::evaluation::eval::{Method, RegressionResult, Source, Target};
use crate::evaluation::report::{
    Better, Direction, Family, RetrievalRow, RetrievalScores, ScoreColumn, ScoreGroup, ScoreRow,
    ScoreTable,
};
use crate::survey::Modality;

pub(super) fn retrieval_scores(results: &Results) -> RetrievalScores {
    RetrievalScores {
        pool: results.test_galaxies,
        rows: results
            .retrieval
            .iter()
            .map(|result| RetrievalRow {
                direction: match result.from {
                    Modality::Image => Direction::ImageToSpectrum,
                    Modality::Spectrum => Direction::SpectrumToImage,
                },
                recall: result
                    .recall
                    .iter()
                    .map(|recall| (recall.k, recall.recall))
                    .collect(),
                median_rank: result.median_rank,
            })
            .collect(),
    }
}

/// Rows of both methods, before and after alignment, for each input.
fn score_groups(
    results: &Results,
    task: impl Fn(&Scores) -> &[RegressionResult],
    values: impl Fn(&[&RegressionResult]) -> Vec<Option<f64>>,
) -> Vec<ScoreGroup> {
    let row = |scores: &Scores, source, method, family, name: String| {
        let selected: Vec<&RegressionResult> = task(scores)
            .iter()
            .filter(|result| (result.source, result.method) == (source, method))
            .collect();
        ScoreRow {
            method: name,
            family,
            values: values(&selected),
        }
    };
    let methods = [Method::ZeroShot, Method::FewShot];
    let embeddings = |name: &str, source| {
        let mut kinds = vec![
            (&results.after_alignment, Family::Aligned, "AstroCLIP"),
            (
                &results.features,
                Family::Aligned,
                "AstroCLIP before its head",
            ),
            (
                &results.before_alignment,
                Family::Unaligned,
                "before alignment",
            ),
        ];
        if source == Source::Spectrum {
            let components = &results.principal_components;
            kinds.push((components, Family::Baseline, "principal components"));
        }
        let rows = kinds.into_iter().flat_map(|(scores, family, name)| {
            methods.map(|method| row(scores, source, method, family, format!("{name}, {method}")))
        });
        ScoreGroup {
            source: name.into(),
            rows: rows.collect(),
        }
    };
    let photometry = ScoreGroup {
        source: "Photometry".into(),
        rows: methods
            .map(|method| {
                let name = match method {
                    Method::ZeroShot => "k-NN on g, r, z magnitudes",
                    _ => "MLP on g, r, z magnitudes",
                };
                let scores = &results.photometry;
                row(
                    scores,
                    Source::Photometry,
                    method,
                    Family::Baseline,
                    name.into(),
                )
            })
            .into(),
    };
    vec![
        embeddings("Images", Source::Image),
        embeddings("Spectra", Source::Spectrum),
        photometry,
    ]
}

pub(super) fn redshift_table(results: &Results) -> ScoreTable {
    let column = |name: &str, better, decimals| ScoreColumn {
        name: name.into(),
        better,
        decimals,
    };
    ScoreTable {
        columns: vec![
            column("R²", Better::Higher, 3),
            column("σ_NMAD", Better::Lower, 4),
            column("bias", Better::NearZero, 4),
            column("outliers", Better::Lower, 3),
        ],
        groups: score_groups(
            results,
            |scores| &scores.redshift,
            |selected| match selected.first() {
                Some(result) => vec![
                    Some(result.metrics.r2),
                    Some(result.metrics.scatter),
                    Some(result.metrics.bias),
                    result.metrics.outlier_fraction,
                ],
                None => vec![None; 4],
            },
        ),
        note: "σ_NMAD = 1.4826 · median |Δz/(1+z) − median|; bias = mean Δz/(1+z); outliers: fraction with |Δz|/(1+z) > 0.15. Bold: the best of each input.".into(),
    }
}

pub(super) fn property_table(results: &Results) -> ScoreTable {
    let column = |name: &str| ScoreColumn {
        name: name.into(),
        better: Better::Higher,
        decimals: 2,
    };
    ScoreTable {
        columns: ["log M_★", "log Z_MW", "t_age", "log sSFR"]
            .map(column)
            .into(),
        groups: score_groups(
            results,
            |scores| &scores.properties,
            |selected| {
                let r2 = |target: Target| {
                    let mut results = selected.iter();
                    results
                        .find(|result| result.target == target)
                        .map(|result| result.metrics.r2)
                };
                Target::PROPERTIES.map(r2).into()
            },
        ),
        note: "R² on held-out galaxies, in the layout of the paper's Table 2. Bold: the best of each input. The photometry rows are the \
               baseline."
            .into(),
    }
}
