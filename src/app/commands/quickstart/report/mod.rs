//! From the quickstart's results to its page.

mod run;
mod scatter;
mod scores;

use std::path::{Path, PathBuf};

use super::results::{Inputs, Results, Scores};
use crate::app::commands::search_examples::search_examples;
use crate::base::error::Result;
use crate::evaluation::eval::{Method, Source};
use crate::evaluation::report::{Block, Document, Highlight, Panel, Retrieval, Section, count};
use crate::files::data::{self, ReadOptions};
use crate::survey::{Split, Survey};
use run::{summary, timings, training};
use scatter::scatter;
use scores::{property_table, redshift_table, retrieval_scores};

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
         magnitudes only: what a method reaches above them, it has seen in the picture. In the table, the heads of \
         AstroCLIP keep what images and spectra share; what the spectrum transformer gives its head also has what only a \
         spectrum knows, and should know more than 100 principal components of the spectra do.",
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
