//! `astroclip predict`.

use std::fs;
use std::path::{Path, PathBuf};

use super::output::{Originals, Output};
use super::training::WithTakings;
use super::{
    EMBEDDING, Resolved, WEIGHTS, embeddings, label_table, model, print, print_json, shard, shown,
    sources,
};
use crate::app::cli::{GridChoice, Predict};
use crate::app::workspace::Takings;
use crate::base::error::{Error, Result};
use crate::base::shard::Shard;
use crate::evaluation::estimator::{
    EstimatorFile, FLAGS, Grid, PredictOptions, Predicted, Telling, predict,
};
use crate::files::catalog::OutputFormat;
use crate::files::data::ReadOptions;
use crate::files::embeddings::read_provenance;
use crate::files::inputs::Inputs;
use crate::network::weights::file_sha256;
use crate::survey::Target;
use crate::training::stages::{self, EmbedOptions};

pub(super) fn run(args: &Predict) -> Result<()> {
    let shard = shard(args.shard)?;
    let out = shard.file(&args.out);
    Output::Table.check(&out)?;
    let path = estimator(args)?;
    let file = EstimatorFile::open(&path)?;
    let mut taken = Takings::default();
    let labels = label_table(&args.labels.labels, &args.labels.options(), &[], &mut taken)?;
    let telling = Telling {
        samples: (args.samples).map_or(file.estimator.head.options.samples, |samples| {
            samples as usize
        }),
        grid: args.pz.map(|choice| grid(choice, &file)).transpose()?,
        each: args.each,
    };
    let originals = Originals::default().and(&args.labels.labels).and([&path]);
    let Embedded {
        files,
        inputs,
        leave,
    } = match args.data.data.is_empty() {
        true => embedded(args, &mut taken)?,
        false => embed(args, (shard, &out), &file, &originals, &mut taken)?,
    };
    originals.and(&files).outlast(&out)?;
    let options = PredictOptions {
        out,
        embeddings: files.clone(),
        keys: args.keys.keys(),
        labels,
        shard,
        is_cut: !args.data.data.is_empty(),
        telling,
        resume: args.resume,
        inputs,
    };
    let predicted = predict(&file, &options).inspect_err(|_| {
        if leave {
            let kept = shown(&files);
            tracing::info!("{kept} has the embeddings, which the same command with --resume takes");
        }
    })?;
    if leave {
        for file in &files {
            fs::remove_file(file).map_err(|source| Error::writing(file, source))?;
        }
    }
    match args.json {
        true => print_json(&WithTakings {
            summary: &predicted,
            taken: &taken,
        }),
        false => print(&rendered(&predicted)),
    }
}

/// The estimator that is named, else the one of the current folder.
fn estimator(args: &Predict) -> Result<PathBuf> {
    const USUAL: &str = "estimator.safetensors";
    match &args.estimator {
        Some(path) => Ok(path.clone()),
        None if Path::new(USUAL).exists() => Ok(USUAL.into()),
        None => Err(Error::input(format!(
            "no {USUAL} is in the current folder; name one with --estimator FILE, or make it: astroclip fit"
        ))),
    }
}

/// Embeddings that are there.
struct Embedded {
    files: Vec<PathBuf>,
    /// What they were made from, or they themselves.
    inputs: Inputs,
    /// Whether they go when the catalogue is whole.
    leave: bool,
}

fn home(args: &Predict) -> &Path {
    args.out.parent().unwrap_or(Path::new(""))
}

fn embedded(args: &Predict, taken: &mut Takings) -> Result<Embedded> {
    let set = embeddings(&args.embeddings, &args.shards, "--embeddings FILE", taken)?;
    let files = set.files().to_vec();
    let labels = &args.labels.labels;
    let inputs = Inputs::record(home(args), &files, &ReadOptions::default(), labels, &[])?;
    Ok(Embedded {
        files,
        inputs,
        leave: false,
    })
}

/// Embeds survey files, or this part of them, into a file that lies beside the catalogue until this is whole.
fn embed(
    args: &Predict,
    (shard, catalogue): (Shard, &Path),
    file: &EstimatorFile,
    originals: &Originals,
    taken: &mut Takings,
) -> Result<Embedded> {
    let weights = model(args.weights.as_deref(), WEIGHTS, &EMBEDDING, taken)?;
    file.check_model(&file_sha256(&weights)?, &weights)?;
    let models = std::slice::from_ref(&weights);
    let Resolved { mut data, labels } = sources(&args.data, models, "images or spectra", taken)?;
    data.read.missing_bands = args.missing_bands;
    let out = match &args.keep_embeddings {
        Some(path) => shard.file(path),
        None => {
            let mut beside = catalogue.to_owned().into_os_string();
            beside.push(".embeddings.h5");
            beside.into()
        }
    };
    Output::Embeddings.check(&out)?;
    let inputs = Originals::of(&data).and(&labels).and([&weights]);
    inputs.outlast(&out)?;
    originals.outlast(&out)?;
    inputs.outlast(catalogue)?;
    let record = Inputs::record(home(args), &data.paths, &data.read, &labels, models)?;
    let is_done = || {
        let made = read_provenance(&out).and_then(|provenance| provenance.inputs);
        args.resume && made.is_some_and(|made| made.same_files(&record))
    };
    if !is_done() {
        let device = args.device.device.open()?;
        let options = EmbedOptions {
            weights,
            data,
            labels,
            out: out.clone(),
            shard,
            batch_size: args.batch_size as usize,
            precision: args.precision,
            raw: file.estimator.head.normalized == Some(false),
            features: file.estimator.head.features.clone(),
            resume: args.resume,
        };
        stages::embed(&options, &device)?;
    }
    Ok(Embedded {
        files: vec![out],
        inputs: record,
        leave: args.keep_embeddings.is_none(),
    })
}

/// The redshifts of densities.
fn grid(choice: GridChoice, file: &EstimatorFile) -> Result<Grid> {
    /// Beyond most of the training galaxies, since posteriors reach there.
    const MARGIN: f64 = 1.25;
    const POINTS: usize = 201;
    let [_, most] = (file.estimator.head.ranges.get(&Target::Redshift))
        .ok_or_else(|| Error::input("--pz: the estimator does not tell redshifts"))?;
    if !file.estimator.has_posteriors() {
        return Err(Error::input(
            "--pz: the estimator has no posteriors of redshifts; fit one with --method flow",
        ));
    }
    match choice {
        GridChoice::Of(grid) => Ok(grid),
        // To three digits, so that steps are numbers that people can read.
        GridChoice::Usual => Grid::new(0.0, (1000.0 * MARGIN * most).ceil() / 1000.0, POINTS),
    }
}

fn rendered(predicted: &Predicted) -> String {
    let out = &predicted.out;
    let mut text = format!("{}: {} galaxies\n", out.display(), predicted.galaxies);
    if predicted.estimated > 0 {
        let share = |count: usize| 100.0 * count as f64 / predicted.estimated as f64;
        text += &format!(
            "without a flag: {} ({:.1} %)\n",
            predicted.without_flag,
            share(predicted.without_flag)
        );
        for ((name, count), flag) in predicted.flagged.iter().zip(FLAGS) {
            if *count > 0 {
                text += &format!(
                    "flag {:>2} {name}: {count} ({:.1} %), {}\n",
                    flag.bit,
                    share(*count),
                    flag.meaning
                );
            }
        }
    }
    // What is written as VOTable is for others.
    match OutputFormat::of(out) {
        Ok(OutputFormat::VoTable) => text,
        _ => {
            let out = shown(std::slice::from_ref(out));
            text + &format!("\nnext: astroclip eval catalogue {out} --labels TRUTH\n")
        }
    }
}
