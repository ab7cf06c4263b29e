//! `astroclip embed`.

use std::path::{Path, PathBuf};

use super::output::{Originals, Output};
use super::training::WithTakings;
use super::{
    EMBEDDING, Resolved, WEIGHTS, model, print, print_json, quoted, shard, shown, sources,
};
use crate::app::cli::Embed;
use crate::app::workspace::{RUNS, Takings, models_in};
use crate::base::error::{Error, Result};
use crate::files::embeddings::EmbeddingSet;
use crate::training::stages::{self, EmbedOptions};

pub(super) fn run(args: &Embed) -> Result<()> {
    let shard = shard(args.shard)?;
    let out = shard.file(&args.out);
    Output::Embeddings.check(&out)?;
    let mut taken = Takings::default();
    let weights = model(args.weights.as_deref(), WEIGHTS, &EMBEDDING, &mut taken)?;
    let models = std::slice::from_ref(&weights);
    let Resolved { mut data, labels } =
        sources(&args.data, models, "images or spectra", &mut taken)?;
    data.read.missing_bands = args.missing_bands;
    let inputs = Originals::of(&data).and(&labels).and([&weights]);
    inputs.outlast(&out)?;
    let options = EmbedOptions {
        weights: weights.clone(),
        data,
        labels,
        out,
        shard,
        batch_size: args.batch_size as usize,
        precision: args.precision,
        raw: args.raw,
        features: args.features.modalities(),
        resume: args.resume,
    };
    let device = args.device.device.open()?;
    let summary = stages::embed(&options, &device)
        .map_err(|error| with_other_models(error, args, &weights))?;
    if args.json {
        return print_json(&WithTakings {
            summary: &summary,
            taken: &taken,
        });
    }
    let kinds: Vec<&str> = summary.modalities.iter().map(|kind| kind.name()).collect();
    let out = summary.out.display();
    let features = summary.features.iter();
    let features: String = features
        .map(|(kind, width)| format!(", {kind} features of width {width}"))
        .collect();
    let skipped = match summary.skipped {
        0 => String::new(),
        count => format!(" ({count} left out)"),
    };
    // The next commands look in the current folder.
    let (search, eval) = match args.out.parent() == Some(Path::new("")) {
        true => (String::new(), String::new()),
        false => {
            let set = EmbeddingSet::grouped(vec![summary.out.clone()]);
            let out = shown(&[set[0].pattern()]);
            (format!(" {out}"), format!(" --embeddings {out}"))
        }
    };
    let next = match shard.is_whole() {
        true => "next".to_owned(),
        false => format!("next, with all {} shards", shard.of()),
    };
    print(&format!(
        "{out}: {} galaxies{skipped}, {} embeddings of width {}{features}\n\n{next}: astroclip eval redshift{eval}\n      astroclip search{search} --id {}\n",
        summary.galaxies,
        kinds.join(" and "),
        summary.dimension,
        quoted(&summary.first_id.to_string()),
    ))
}

/// Where a model that nobody named does not go with the files: the message says which others there are.
fn with_other_models(error: Error, args: &Embed, taken: &Path) -> Error {
    if !error.is_input() || args.weights.is_some() {
        return error;
    }
    let others: Vec<PathBuf> = models_in(Path::new(RUNS))
        .into_iter()
        .filter(|(path, kind)| {
            path != taken && EMBEDDING.iter().any(|kinds| kinds.kinds.contains(kind))
        })
        .map(|(path, _)| path)
        .collect();
    let others = match others.is_empty() {
        true => "there is no other".to_owned(),
        false => format!("others are {}", shown(&others)),
    };
    error.and(format!(
        "\n{} was taken because no model was named ({others}); name one with --weights MODEL",
        taken.display()
    ))
}
