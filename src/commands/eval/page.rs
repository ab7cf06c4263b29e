//! From the numbers of an evaluation to a page, with the paper's beside them.

use super::all::{Drawings, Results, figure};
use crate::error::Result;
use crate::eval::{
    Condition, EvalReport, Method, MorphologyReport, PosteriorReport, PosteriorResult,
    RetrievalResult, Source, Target, TaskResult, Uncertainty,
};
use crate::report::{
    Block, CornerAxis, Coverage, Document, Family, RadarSeries, RowKind, ScatterGroup,
    ScatterPanel, Section, TextRow, TextTable, corner, coverage, paper, radar, redshift_scatter,
    search_grid,
};

/// The inputs in the order of the paper's tables.
const SOURCES: [(Source, &str, &str); 3] = [
    (Source::Image, "image", "Images"),
    (Source::Spectrum, "spectrum", "Spectra"),
    (Source::Photometry, "photometry", "Photometry"),
];

pub(super) fn document(results: &Results, drawings: &Drawings) -> Result<Document> {
    let mut sections = Vec::new();
    sections.extend(search(results, drawings)?);
    sections.push(redshift(&results.redshift)?);
    sections.extend(results.properties.as_ref().map(properties));
    sections.extend(posterior(results)?);
    sections.extend(results.morphology.as_ref().map(morphology));
    if !drawings.encoders.is_empty() {
        sections.push(Section {
            title: "The encoders".into(),
            text: Vec::new(),
            blocks: drawings
                .encoders
                .iter()
                .cloned()
                .map(Block::Figure)
                .collect(),
        });
    }
    if !results.left_out.is_empty() {
        sections.push(Section {
            title: "Left out".into(),
            text: results.left_out.clone(),
            blocks: Vec::new(),
        });
    }
    let test = results
        .redshift
        .results
        .iter()
        .map(|result| result.n_test)
        .max();
    Ok(Document {
        title: "AstroCLIP evaluation".into(),
        lead: format!(
            "Frozen embeddings, tested on up to {} held-out galaxies. Rows in italics are the paper's numbers, on its \
             own galaxies: they are there for scale, not for a race. ± is the standard deviation of bootstrap \
             resamples of the test galaxies.",
            test.unwrap_or(0)
        ),
        sections,
    })
}

fn row(kind: RowKind, cells: Vec<String>) -> TextRow {
    TextRow { kind, cells }
}

fn heading(name: &str) -> TextRow {
    row(RowKind::Heading, vec![name.to_owned()])
}

/// A value with its uncertainty.
fn with_error<T>(
    value: f64,
    uncertainty: Option<&Uncertainty<T>>,
    of: impl Fn(&T) -> f64,
) -> String {
    match uncertainty {
        Some(uncertainty) => format!("{value:.3} ± {:.3}", of(&uncertainty.deviation)),
        None => format!("{value:.3}"),
    }
}

fn method(result: &TaskResult) -> String {
    format!("{}, {}", result.model, result.method)
}

fn search(results: &Results, drawings: &Drawings) -> Result<Option<Section>> {
    let across = |result: &&RetrievalResult| result.from != result.to;
    let found: Vec<&RetrievalResult> = results.retrieval.iter().filter(across).collect();
    if found.is_empty() && drawings.search.is_none() {
        return Ok(None);
    }
    let mut blocks = Vec::new();
    if let Some(retrieval) = &drawings.search {
        let caption = "Galaxies found by similarity in each direction (paper Fig. 2). A frame marks the query's own other \
                       view; within one kind of data the query itself is left out.";
        blocks.push(Block::Figure(figure(
            "search",
            caption.into(),
            search_grid(retrieval)?,
        )));
    }
    if let Some(first) = found.first() {
        let mut columns = vec!["direction".to_owned()];
        columns.extend(
            first
                .recall
                .iter()
                .map(|at| format!("in the nearest {}", at.k)),
        );
        columns.push("median rank".into());
        let mut table = TextTable {
            title: "How often a galaxy's own other view is found".into(),
            columns,
            note: format!(
                "Among {} galaxies; by chance the median rank is {}.",
                first.galaxies, first.chance_median_rank
            ),
            ..TextTable::default()
        };
        for result in &found {
            let mut cells = vec![format!("{}, {} → {}", result.model, result.from, result.to)];
            cells.extend(result.recall.iter().map(|at| {
                let percent = 100.0 * at.recall;
                format!("{percent:.1} % ({:.1} × chance)", at.recall / at.chance)
            }));
            cells.push(format!("{:.1}", result.median_rank));
            table.rows.push(row(RowKind::Measured, cells));
        }
        blocks.push(Block::Table(table));
    }
    Ok(Some(Section {
        title: "Search by similarity".into(),
        text: Vec::new(),
        blocks,
    }))
}

fn redshift(report: &EvalReport) -> Result<Section> {
    let mut table = TextTable {
        title: "Redshift".into(),
        columns: [
            "method", "R²", "σ_NMAD", "bias", "> 0.15", "> 0.05", "galaxies",
        ]
        .map(str::to_owned)
        .to_vec(),
        note: "σ_NMAD and bias of Δz / (1 + z); shares of galaxies beyond 0.15 and 0.05.".into(),
        ..TextTable::default()
    };
    for (source, _, name) in SOURCES {
        let rows: Vec<&TaskResult> = report
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
            let percent = |share: Option<f64>| {
                share.map_or("–".into(), |share| format!("{:.1} %", 100.0 * share))
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
                    (Source::Photometry, _) => Family::Photometry,
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

fn properties(report: &EvalReport) -> Section {
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
    let gains = gains(report);
    Section {
        title: "Physical properties".into(),
        text: report.notes.iter().cloned().chain(gains).collect(),
        blocks: vec![Block::Table(table)],
    }
}

/// How much better than magnitudes image embeddings are, in words.
fn gains(report: &EvalReport) -> Option<String> {
    let best = |target: Target| {
        let results = report
            .results
            .iter()
            .filter(|result| result.target == target);
        let gains = results.filter(|result| result.source == Source::Image);
        gains
            .filter_map(|result| Some((result, result.over_photometry?)))
            .max_by(|a, b| a.1.r2.total_cmp(&b.1.r2))
    };
    let words: Vec<String> = Target::PROPERTIES
        .into_iter()
        .filter_map(|target| {
            let (result, gain) = best(target)?;
            let error = gain
                .uncertainty
                .map_or(String::new(), |of| format!(" ± {:.3}", of.deviation));
            Some(format!(
                "{} {:+.3}{error} ({})",
                target.symbol(),
                gain.r2,
                method(result)
            ))
        })
        .collect();
    (!words.is_empty()).then(|| {
        format!(
            "R² from images less that from g, r, z magnitudes by the same method, the best of each: {}.",
            words.join("; ")
        )
    })
}

fn posterior(results: &Results) -> Result<Option<Section>> {
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
    let stem: String = model
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    let title = format!(
        "Galaxy {} from {} of {model}",
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

fn morphology(report: &MorphologyReport) -> Section {
    let mut methods: Vec<(String, Source)> = Vec::new();
    let mut questions: Vec<String> = Vec::new();
    for result in &report.results {
        let of = (result.model.clone(), result.source);
        if !methods.contains(&of) {
            methods.push(of);
        }
        if !questions.contains(&result.question) {
            questions.push(result.question.clone());
        }
    }
    let find = |question: &str, (model, source): &(String, Source)| {
        let mut results = report.results.iter();
        results.find(|result| {
            result.question == question && result.model == *model && result.source == *source
        })
    };
    let title = |(model, source): &(String, Source)| match source {
        Source::Photometry => model.clone(),
        _ => format!("{model}, {source}"),
    };
    let mut columns = vec!["question".to_owned()];
    columns.extend(methods.iter().map(title));
    columns.push("commonest answer".into());
    columns.extend(paper::MORPHOLOGY_METHODS.map(|name| format!("{name} (paper)")));
    let mut table = TextTable {
        title: "Galaxy Zoo DECaLS (paper Table E1)".into(),
        columns,
        note: "Weighted by support. Trained on galaxies of which half of the volunteers were asked the question, tested on \
               those that enough volunteers saw."
            .into(),
        ..TextTable::default()
    };
    let mut charts = Vec::new();
    for (name, f1) in [("Accuracy", false), ("F1", true)] {
        table.rows.push(heading(name));
        let figure_of = |question: &str, method: &(String, Source)| {
            find(question, method).map_or(f64::NAN, |result| match f1 {
                true => result.metrics.f1,
                false => result.metrics.accuracy,
            })
        };
        for question in &questions {
            let mut cells = vec![question.clone()];
            cells.extend(methods.iter().map(|method| {
                find(question, method).map_or("–".into(), |result| {
                    let errors = result.uncertainty.as_ref();
                    match f1 {
                        true => with_error(result.metrics.f1, errors, |metrics| metrics.f1),
                        false => {
                            with_error(result.metrics.accuracy, errors, |metrics| metrics.accuracy)
                        }
                    }
                })
            }));
            let majority = methods.first().and_then(|method| find(question, method));
            cells.push(majority.map_or("–".into(), |result| {
                let majority = &result.majority;
                format!("{:.3}", if f1 { majority.f1 } else { majority.accuracy })
            }));
            let known = paper::MORPHOLOGY.iter().find(|row| row.0 == question);
            let known = known.map(|row| if f1 { row.2 } else { row.1 });
            cells.extend(
                (0..paper::MORPHOLOGY_METHODS.len()).map(|place| {
                    known.map_or("–".into(), |values| format!("{:.2}", values[place]))
                }),
            );
            table.rows.push(row(RowKind::Measured, cells));
        }
        let mut series: Vec<RadarSeries> = methods
            .iter()
            .map(|method| RadarSeries {
                name: title(method),
                scores: questions
                    .iter()
                    .map(|question| figure_of(question, method))
                    .collect(),
                dashed: false,
            })
            .collect();
        let of_paper = |question: &String| {
            let known = paper::MORPHOLOGY.iter().find(|row| row.0 == question);
            known.map_or(f64::NAN, |row| if f1 { row.2[0] } else { row.1[0] })
        };
        series.push(RadarSeries {
            name: "AstroCLIP (paper)".into(),
            scores: questions.iter().map(of_paper).collect(),
            dashed: true,
        });
        charts.push((name.to_owned(), series));
    }
    let caption = "Accuracy and F1 of each question (paper Fig. 5).".to_owned();
    Section {
        title: "Morphology".into(),
        text: report.notes.clone(),
        blocks: vec![
            Block::Figure(figure("morphology", caption, radar(&questions, &charts))),
            Block::Table(table),
        ],
    }
}
