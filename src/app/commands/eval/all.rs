//! The paper's whole evaluation on one page.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::page::{Drawings, Results, document, figure};
use super::per_galaxy::write_predictions;
use super::{Models, Opened, check_table, morphology_options, regression_options};
use crate::app::cli::EvalAll;
use crate::app::commands::output::Output;
use crate::app::commands::plot::{
    attention_drawing, map_drawing, reconstruction_drawing, redshifts,
};
use crate::app::commands::search_examples::search_examples;
use crate::app::commands::{print, print_json, survey_files};
use crate::app::workspace::{RunRecord, Taken, Takings, origin_of};
use crate::base::error::{Error, Result};
use crate::base::output::{check_folder, write_whole};
use crate::evaluation::eval::flow::FlowConfig;
use crate::evaluation::eval::{self, PosteriorOptions, Target};
use crate::evaluation::report::Document;
use crate::files::data::{Dataset, SurveyFiles};
use crate::network::encoder::{AlignedEncoder, SpectrumEncoder};
use crate::network::weights::{ModelFile, ModelKind, TensorFile};
use crate::survey::{Labels, Modality, Split, Survey};

/// Galaxies on a map at most.
const MAPPED: usize = 5000;
/// Galaxies in drawings of the encoders.
const DRAWN: usize = 3;

pub(super) fn run(args: &EvalAll) -> Result<()> {
    // Known at once rather than after the evaluation.
    if args.report.extension() != Some("html".as_ref()) {
        return Err(Error::input(format!(
            "--report {}: expected a name that ends in .html",
            args.report.display()
        )));
    }
    let numbers = args.report.with_extension("json");
    let figures = Document::figures_beside(&args.report);
    if let Some(folder) = args
        .report
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        check_folder(folder)?;
        fs::create_dir_all(folder).map_err(|source| Error::writing(folder, source))?;
    }
    Output::Page.check(&args.report)?;
    Output::Json.check(&numbers)?;
    check_folder(&figures)?;
    check_table(args.eval.out.as_deref())?;
    let opened = Opened::open(
        &args.eval.embeddings,
        &args.eval.labels,
        Some(&args.eval.predictions),
        &Target::ALL,
    )?;
    opened.outlast(args.eval.out.as_deref())?;
    opened.outlast(Some(&numbers))?;
    let mut left_out = Vec::new();
    let inputs = opened.inputs();
    tracing::info!("redshift");
    let options = regression_options(&args.eval, &[Target::Redshift]);
    let redshift = eval::regression(&inputs, &options)?;
    tracing::info!("properties");
    let options = regression_options(&args.eval, &Target::PROPERTIES);
    let properties = eval::regression(&inputs, &options);
    let properties = optional("properties", &mut left_out, properties);
    let options = morphology_options(&args.eval.mlp, &args.eval.bootstrap);
    let morphology = eval::morphology(&inputs, &options);
    let morphology = optional("morphology", &mut left_out, morphology);
    tracing::info!("retrieval");
    let retrieval = eval::retrieval(&inputs, &eval::RetrievalOptions::default())?;
    let posterior = match args.flows {
        0 => None,
        _ => {
            let posterior = eval::posterior(&inputs, &posterior_options(args));
            optional("posteriors", &mut left_out, posterior)
        }
    };
    drop(inputs);
    let Opened {
        models,
        labels,
        mut taken,
        ..
    } = opened;
    let drawn = drawn(args, &models, &mut taken, &mut left_out)?;
    let drawings = drawings(args, &drawn, &models, labels.as_ref())?;
    let results = Results {
        redshift,
        properties,
        morphology,
        retrieval,
        posterior,
        left_out,
        taken,
    };
    if let Some(out) = &args.eval.out {
        let properties = results.properties.iter();
        let all = properties.flat_map(|of| of.predictions.iter());
        let all = results.redshift.predictions.iter().chain(all);
        write_predictions(all, out)?;
    }
    let text = serde_json::to_string_pretty(&results).expect("results are plain JSON");
    write_whole(&numbers, text.as_bytes())?;
    document(&results, &drawings)?.write(&args.report)?;
    if args.eval.json {
        return print_json(&results);
    }
    let notes: Vec<String> = (results.left_out.iter())
        .map(|note| format!("left out: {note}\n"))
        .collect();
    print(&format!(
        "{}{}\n{}\n{}\n",
        notes.concat(),
        args.report.display(),
        numbers.display(),
        figures.display()
    ))
}

/// A part that the inputs may not allow; why not is kept.
fn optional<T>(what: &str, left_out: &mut Vec<String>, part: Result<T>) -> Option<T> {
    part.map_err(|error| left_out.push(format!("{what}: {error}")))
        .ok()
}

fn posterior_options(args: &EvalAll) -> PosteriorOptions {
    PosteriorOptions {
        flow: FlowConfig {
            flows: args.flows as usize,
            max_epochs: args.epochs as usize,
            seed: args.eval.mlp.seed,
            ..FlowConfig::default()
        },
        samples: args.samples as usize,
        ..PosteriorOptions::default()
    }
}

/// What galaxies and encoders are drawn from.
#[derive(Default)]
struct Drawn {
    data: SurveyFiles,
    model: Option<PathBuf>,
    spectrum_model: Option<PathBuf>,
}

/// What the command line names, else what the first model's embeddings were made from: without it there are fewer
/// drawings.
fn drawn(
    args: &EvalAll,
    models: &Models,
    taken: &mut Takings,
    left_out: &mut Vec<String>,
) -> Result<Drawn> {
    if !args.data.data.is_empty() {
        return Ok(Drawn {
            data: survey_files(&args.data),
            model: args.model.clone(),
            spectrum_model: args.spectrum_model.clone(),
        });
    }
    let first = models.all()[0].embeddings;
    let mut note = |what, path: PathBuf, why: &str| {
        taken
            .note(Taken {
                what,
                paths: vec![path],
                why: why.to_owned(),
            })
            .pop()
    };
    let origin = match origin_of(first) {
        Ok(Some(origin)) => origin,
        Ok(None) if args.model.is_some() || args.spectrum_model.is_some() => {
            return Err(Error::input(
                "drawings of a model need galaxies; name the survey files with --data",
            ));
        }
        Ok(None) => return Ok(Drawn::default()),
        Err(error) => {
            left_out.push(format!("drawings of galaxies and encoders: {error}"));
            return Ok(Drawn::default());
        }
    };
    for path in &origin.data.paths {
        note("data", path.clone(), "what was embedded");
    }
    let aligned = |path: &PathBuf| {
        let file = TensorFile::open(path).and_then(|file| file.header::<ModelFile>());
        file.is_ok_and(|file| file.kind == ModelKind::AstroClip)
    };
    let model = match &args.model {
        Some(model) => Some(model.clone()),
        None => (origin.model.filter(aligned))
            .and_then(|path| note("model", path, "what the embeddings were made with")),
    };
    let folder = model.as_deref().and_then(Path::parent);
    let begun = folder.and_then(|folder| RunRecord::of(folder).ok().flatten());
    // The second of the encoders; without it, or where it has changed, the drawing is left out.
    let encoder = begun.and_then(|begun| begun.model(1, "--spectrum-model").ok().flatten());
    let spectrum_model = match &args.spectrum_model {
        Some(model) => Some(model.clone()),
        None => encoder
            .and_then(|path| note("spectrum encoder", path, "what the model was aligned from")),
    };
    Ok(Drawn {
        data: origin.data,
        model,
        spectrum_model,
    })
}

/// Drawings of the first model's embeddings, and of encoders.
fn drawings(
    args: &EvalAll,
    drawn: &Drawn,
    models: &Models,
    labels: Option<&Labels>,
) -> Result<Drawings> {
    let mut encoders = Vec::new();
    let mut search = None;
    let all = models.all();
    let first = all.first().expect("at least one model is named");
    let tested = first.test.unwrap_or(first.embeddings);
    for modality in first.embeddings.modalities() {
        let (drawing, _) = map_drawing(
            tested,
            modality,
            MAPPED,
            "redshift",
            &redshifts(tested, labels),
        )?;
        encoders.push(figure(
            &format!("map-{modality}"),
            format!(
                "Galaxies by their {modality} embeddings ({}), t-SNE, coloured by redshift.",
                first.name
            ),
            drawing,
        ));
    }
    let files = &drawn.data;
    if files.paths.is_empty() {
        return Ok(Drawings { search, encoders });
    }
    let device = args.device.device.open()?;
    let aligned = match &drawn.model {
        Some(weights) => Some(AlignedEncoder::load(weights, &device)?),
        None => None,
    };
    let survey = aligned
        .as_ref()
        .map_or_else(Survey::default, |encoder| encoder.survey.clone());
    let dataset: Arc<Dataset> = Arc::new(files.open(&survey)?);
    if dataset.has(Modality::Image) && tested.modalities().len() == 2 {
        let held_out = match first.test {
            Some(test) => test.clone(),
            None => tested.of_split(Split::Test),
        };
        search = Some(search_examples(&held_out, labels, &dataset)?);
    }
    if let Some(encoder) = &aligned {
        for modality in Modality::ALL {
            if dataset.has(modality) {
                let (drawing, _) =
                    attention_drawing(encoder, Arc::clone(&dataset), modality, DRAWN)?;
                encoders.push(figure(
                    &format!("attention-{modality}"),
                    format!("What each head of the {modality}'s cross-attention looks at (paper Fig. D1)."),
                    drawing,
                ));
            }
        }
    }
    if let Some(weights) = &drawn.spectrum_model {
        let encoder = SpectrumEncoder::load(weights, &device)?;
        let drawn = reconstruction_drawing(&encoder, dataset, DRAWN, 6, None, 0)?;
        encoders.push(figure(
            "reconstruction",
            format!(
                "Spectra with parts hidden from the encoder (grey) and what it predicts there (orange; means \
                 of 20 pixels, paper Fig. D2). Mean squared error where hidden: {:.3} of the variance there.",
                drawn.error_of_hidden
            ),
            drawn.svg,
        ));
    }
    Ok(Drawings { search, encoders })
}
