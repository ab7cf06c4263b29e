//! From the quickstart's results to its page.

use std::path::{Path, PathBuf};

use super::results::{Inputs, Results, Scores, Tasks};
use crate::app::commands::search_examples::search_examples;
use crate::base::error::Result;
use crate::evaluation::eval::{Method, RegressionReport, RegressionResult, Source, Target};
use crate::evaluation::report::{
    Better, Block, Direction, Document, Family, Highlight, LossCurve, Panel, Retrieval,
    RetrievalRow, RetrievalScores, ScatterGroup, ScatterPanel, ScoreColumn, ScoreGroup, ScoreRow,
    ScoreTable, Section, Series, Timing, count,
};
use crate::files::data::{self, ReadOptions};
use crate::survey::{Modality, Split, Survey};
use crate::training::train::{MetricsFile, metrics_path};

/// The page of all results.
pub(super) fn document(
    results: &Results,
    inputs: &Inputs,
    survey: &Path,
    run: impl Fn(&str) -> PathBuf,
) -> Result<Document> {
    Ok(Document {
        title: "AstroCLIP quickstart".into(),
        lead: format!(
            "Galaxy images and spectra in one embedding space, learned from {} simulated galaxies \
             and tested on {} that were held out.",
            results.train_galaxies, results.test_galaxies
        ),
        command: command_line(),
        highlights: highlights(results),
        sections: vec![
            search(results, inputs, survey)?,
            redshift(results, inputs)?,
            section(
                "Physical properties",
                vec![format!(
                    "R² of physical properties predicted from the same frozen embeddings (compare Table 2 of the \
                     paper). {}",
                    methods(results, inputs)
                )],
                vec![Panel::scores(&property_table(results))],
            ),
            training(run)?,
            section(
                "Run",
                Vec::new(),
                vec![Panel::run(&timings(results), &summary(results))],
            ),
        ],
    })
}

fn section(title: &str, text: Vec<String>, panels: Vec<Panel>) -> Section {
    Section {
        title: title.to_owned(),
        text,
        blocks: panels.into_iter().map(Block::Panel).collect(),
    }
}

fn search(results: &Results, inputs: &Inputs, survey: &Path) -> Result<Section> {
    let retrieval = retrieval(inputs, survey)?;
    let panels = vec![
        Panel::pictures(&retrieval)?,
        Panel::retrieval(&retrieval_scores(results)),
        Panel::spectra(&retrieval)?,
    ];
    Ok(section("Search by similarity", Vec::new(), panels))
}

fn redshift(results: &Results, inputs: &Inputs) -> Result<Section> {
    let groups = scatter(inputs);
    let shown = groups.iter().filter(|group| !group.panels.is_empty());
    let mut panels: Vec<Panel> = shown.map(Panel::redshifts).collect::<Result<_>>()?;
    panels.push(Panel::note(
        "Above: predicted against true redshift; the line is a perfect prediction. Below: the residual \
         Δz / (1 + z), Δz = predicted − true. Open circles on the frame lie outside it. R² is the fraction of the \
         variance of redshift that is explained: 1 is perfect, 0 is no better than the mean (compare Figs 3 and 4 of \
         the paper).",
    ));
    panels.push(Panel::scores(&redshift_table(results)));
    let text = format!(
        "Redshifts of held-out galaxies predicted from frozen embeddings. {} The photometry panels get the g, r, z \
         magnitudes only: what a method reaches above them, it has seen in the picture.",
        methods(results, inputs)
    );
    Ok(section("Redshift", vec![text], panels))
}

/// What zero-shot and few-shot mean here.
fn methods(results: &Results, inputs: &Inputs) -> String {
    let options = &inputs.after.redshift.options;
    format!(
        "Zero-shot: the mean of the {} nearest of {} training galaxies (k-NN). Few-shot: a small network with one \
         hidden layer of {}, trained on the same galaxies (MLP). Tested on {} held-out galaxies.",
        count(options.k),
        count(results.train_galaxies),
        count(options.mlp.hidden[0]),
        count(results.test_galaxies)
    )
}

fn training(run: impl Fn(&str) -> PathBuf) -> Result<Section> {
    let losses: Vec<LossCurve> = [
        ("image", "Image pretraining", "Self-distillation (DINOv2): class tokens across crops (dino), masked patches (ibot), spread of the embeddings (koleo)."),
        ("spectrum", "Spectrum pretraining", "Mean squared error of masked segments, in units of each spectrum's variance."),
        ("align", "Alignment", "Symmetric InfoNCE between the images and the spectra of a batch; the logarithm of the batch size is chance."),
    ]
    .into_iter()
    .map(|(stage, name, note)| curve(&run(stage), name, note))
    .collect::<Result<_>>()?;
    let text = "Both encoders are first trained on their own, without labels: the image encoder by \
                self-distillation between views of one galaxy, the spectrum encoder by filling in masked segments. \
                Then both are aligned so that a galaxy’s two views lie close together.";
    let note = "Loss against step. Faint: as recorded; strong: running mean. First and last are means over a \
                twentieth of the run at either end.";
    let panels = vec![Panel::losses(&losses)?, Panel::note(note)];
    Ok(section("Training", vec![text.to_owned()], panels))
}

fn timings(results: &Results) -> Vec<Timing> {
    let times = results.times.iter();
    times
        .map(|time| Timing {
            stage: time.stage.into(),
            seconds: time.seconds,
        })
        .collect()
}

/// The command as it was typed, without the folder of the program.
fn command_line() -> String {
    let arguments = std::env::args().skip(1);
    let words: Vec<String> = std::iter::once("astroclip".into())
        .chain(arguments)
        .collect();
    words.join(" ")
}

fn highlights(results: &Results) -> Vec<Highlight> {
    let r2 = |scores: &Scores, source, method| {
        scores
            .redshift_r2(source, method)
            .map_or("–".into(), |value| format!("{value:.2}"))
    };
    let (after, before) = (&results.after_alignment, &results.before_alignment);
    let mut highlights = vec![
        Highlight {
            label: "Redshift from images, R²".into(),
            value: r2(after, Source::Image, Method::ZeroShot),
            note: format!(
                "k-NN; before alignment {}, k-NN on g, r, z magnitudes {}",
                r2(before, Source::Image, Method::ZeroShot),
                r2(&results.photometry, Source::Photometry, Method::ZeroShot)
            ),
        },
        Highlight {
            label: "Redshift from spectra, R²".into(),
            value: r2(after, Source::Spectrum, Method::FewShot),
            note: format!(
                "MLP; k-NN {}, MLP before alignment {}",
                r2(after, Source::Spectrum, Method::ZeroShot),
                r2(before, Source::Spectrum, Method::FewShot)
            ),
        },
    ];
    for result in &results.retrieval {
        if let Some(found) = result.recall.iter().find(|recall| recall.k == 10) {
            highlights.push(Highlight {
                label: format!(
                    "Own {} among the 10 nearest of its {}",
                    result.to, result.from
                ),
                value: format!("{:.0} %", 100.0 * found.recall),
                note: format!(
                    "{:.1} × chance, of {} galaxies",
                    found.recall / found.chance,
                    result.galaxies
                ),
            });
        }
    }
    highlights
}

/// Searches among the held-out galaxies, with the pictures and spectra of what was found.
fn retrieval(inputs: &Inputs, survey: &Path) -> Result<Retrieval> {
    let files = [survey.to_owned()];
    let dataset = data::open(&files, &Survey::default(), &ReadOptions::default())?;
    let held_out = inputs.aligned.of_split(Split::Test);
    search_examples(&held_out, Some(&inputs.labels), &dataset)
}

fn retrieval_scores(results: &Results) -> RetrievalScores {
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

fn scatter(inputs: &Inputs) -> Vec<ScatterGroup> {
    let panel = |tasks: &Tasks, source, method, family, title: &str| {
        scatter_panel(&tasks.redshift, source, method, family, title)
    };
    let Inputs {
        after,
        before_image,
        before_spectrum,
        ..
    } = inputs;
    let images = [Method::ZeroShot, Method::FewShot]
        .into_iter()
        .flat_map(|method| {
            let baseline = match method {
                Method::ZeroShot => "g, r, z magnitudes, k-NN",
                _ => "g, r, z magnitudes, MLP",
            };
            [
                panel(
                    after,
                    Source::Image,
                    method,
                    Family::Aligned,
                    &format!("AstroCLIP, {method}"),
                ),
                panel(
                    before_image,
                    Source::Image,
                    method,
                    Family::Unaligned,
                    &format!("before alignment, {method}"),
                ),
                panel(
                    after,
                    Source::Photometry,
                    method,
                    Family::Photometry,
                    baseline,
                ),
            ]
        });
    let spectra = [
        (after, Family::Aligned, "AstroCLIP"),
        (before_spectrum, Family::Unaligned, "before alignment"),
    ]
    .into_iter()
    .flat_map(|(tasks, family, name)| {
        [Method::ZeroShot, Method::FewShot].map(|method| {
            panel(
                tasks,
                Source::Spectrum,
                method,
                family,
                &format!("{name}, {method}"),
            )
        })
    });
    vec![
        ScatterGroup {
            title: "From images".into(),
            panels: images.flatten().collect(),
        },
        ScatterGroup {
            title: "From spectra".into(),
            panels: spectra.flatten().collect(),
        },
    ]
}

fn scatter_panel(
    report: &RegressionReport,
    source: Source,
    method: Method,
    family: Family,
    title: &str,
) -> Option<ScatterPanel> {
    let index = report
        .results
        .iter()
        .position(|result| (result.source, result.method) == (source, method))?;
    let predictions = &report.predictions[index];
    Some(ScatterPanel {
        title: title.into(),
        family,
        r2: report.results[index].metrics.r2,
        truth: predictions.truth.clone(),
        predicted: predictions.predicted.clone(),
    })
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
    let embeddings = |name: &str, source| ScoreGroup {
        source: name.into(),
        rows: [
            (&results.after_alignment, Family::Aligned, "AstroCLIP"),
            (
                &results.before_alignment,
                Family::Unaligned,
                "before alignment",
            ),
        ]
        .into_iter()
        .flat_map(|(scores, family, name)| {
            methods.map(|method| row(scores, source, method, family, format!("{name}, {method}")))
        })
        .collect(),
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
                    Family::Photometry,
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

fn redshift_table(results: &Results) -> ScoreTable {
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

fn property_table(results: &Results) -> ScoreTable {
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

fn curve(run: &Path, stage: &str, note: &str) -> Result<LossCurve> {
    let records = MetricsFile::read(&metrics_path(run))?;
    let mut names: Vec<String> = Vec::new();
    for record in &records {
        for name in record.terms.keys() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    let mut terms = Vec::new();
    if names.len() > 1 {
        terms.push(Series {
            name: "total".into(),
            points: records
                .iter()
                .map(|record| (record.step as f64, record.loss))
                .collect(),
        });
    }
    for name in names {
        let points = records
            .iter()
            .filter_map(|record| Some((record.step as f64, record.terms.get(&name)?.as_f64()?)))
            .collect();
        terms.push(Series {
            name: name.replace('_', " "),
            points,
        });
    }
    Ok(LossCurve {
        stage: stage.into(),
        note: note.into(),
        terms,
    })
}

fn summary(results: &Results) -> Vec<(String, String)> {
    let names = ["image encoder", "spectrum encoder", "aligned model"];
    let mut rows = vec![
        (
            "version".to_owned(),
            format!("astroclip {}", results.version),
        ),
        ("preset".to_owned(), results.preset.clone()),
        (
            "galaxies".to_owned(),
            format!(
                "{}: {} train, {} test",
                results.galaxies, results.train_galaxies, results.test_galaxies
            ),
        ),
    ];
    for (name, stage) in names.into_iter().zip(&results.stages) {
        rows.push((
            name.to_owned(),
            format!(
                "{:.2} M parameters, {} steps",
                stage.parameters as f64 / 1e6,
                stage.steps
            ),
        ));
    }
    if let Some(bytes) = results.peak_memory_bytes {
        let gibibytes = bytes as f64 / f64::from(1 << 30);
        rows.push(("peak memory".to_owned(), format!("{gibibytes:.2} GiB")));
    }
    rows
}
