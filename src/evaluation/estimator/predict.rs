//! A catalogue of estimates, block by block: memory does not grow with the number of galaxies.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::Array2;
use serde::Serialize;
use serde_json::json;

use super::EstimatorFile;
use super::catalogue::{Layout, galaxies};
use super::fit::of_widths;
use super::flags::FLAGS;
use super::part::Telling;
use crate::base::error::{Error, Result};
use crate::base::interrupt;
use crate::base::progress::Progress;
use crate::base::shard::Shard;
use crate::evaluation::eval::{Source, SurveyGalaxies};
use crate::files::catalog::{TablePlan, UnfinishedTable, position_columns};
use crate::files::embeddings::{EmbeddingBlock, EmbeddingRows, Keys};
use crate::files::inputs::Inputs;
use crate::survey::{Labels, Modality};

/// Galaxies that are estimated together.
const BLOCK: usize = 2048;

/// What is to be estimated, and where it goes.
#[derive(Debug)]
pub struct PredictOptions {
    /// Catalogue to write; its name says the format.
    pub out: PathBuf,
    /// Embedding files, one behind the other.
    pub embeddings: Vec<PathBuf>,
    /// What files of other programs call their datasets.
    pub keys: Keys,
    /// Magnitudes for estimates from photometry, and positions that the embedding files do not know.
    pub labels: Option<Labels>,
    /// Which part of the survey.
    pub shard: Shard,
    /// Whether the embeddings are of that part alone; else they are of the whole.
    pub is_cut: bool,
    /// What is told.
    pub telling: Telling,
    /// Go on with what a killed program has left.
    pub resume: bool,
    /// What the embeddings were made from, for the record.
    pub inputs: Inputs,
}

/// A catalogue that was written.
#[derive(Debug, Serialize)]
pub struct Predicted {
    /// The catalogue.
    pub out: PathBuf,
    /// Its rows.
    pub galaxies: usize,
    /// How many galaxies have each flag, by its name; of those that this call estimated.
    pub flagged: Vec<(&'static str, usize)>,
    /// How many of them have none.
    pub without_flag: usize,
    /// Galaxies that this call estimated: fewer than all where it went on with another's work.
    pub estimated: usize,
    /// Duration, seconds.
    pub seconds: f64,
}

/// Writes a catalogue: a row for each galaxy, with or without labels, whole or not at all. What is done is kept beside it
/// until it is whole.
///
/// # Errors
/// Where the embeddings are of another model than the estimator's, lack what it needs, or cannot be read; where the disk
/// refuses.
pub fn predict(file: &EstimatorFile, options: &PredictOptions) -> Result<Predicted> {
    let started = Instant::now();
    let rows = file.open_embeddings(&options.embeddings, &options.keys)?;
    let magnitudes = options.labels.as_ref().is_some_and(Labels::has_magnitudes);
    file.check_embeddings(&rows, &options.embeddings, magnitudes)?;
    let layout = Layout {
        estimator: &file.estimator,
        telling: options.telling,
        spectra: rows.modalities().contains(&Modality::Spectrum),
    };
    let shard = match options.is_cut {
        true => Shard::WHOLE,
        false => options.shard,
    };
    let all = shard.some_rows(rows.rows())?;
    let provenance = json!({
        "program_version": env!("CARGO_PKG_VERSION"),
        "commit": option_env!("ASTROCLIP_COMMIT"),
        "estimator": {
            "sha256": file.sha256,
            "program_version": file.program_version,
            "commit": file.commit,
            "inputs": file.inputs,
            "model_sha256": file.estimator.head.model_sha256,
            "options": file.estimator.head.options,
            "scores": file.estimator.head.scores,
        },
        "embeddings": options.inputs,
        "shard": options.shard.to_string(),
    });
    let plan = TablePlan {
        head: layout.head(file, provenance),
        rows: all.len(),
        identity: json!({
            "estimator": file.sha256,
            "embeddings": options.inputs.data,
            "labels": options.inputs.labels,
            "shard": options.shard,
            "samples": options.telling.samples,
        }),
    };
    let mut table = UnfinishedTable::open(&options.out, &plan, options.resume)?;
    let begun = table.done();
    if begun > 0 {
        tracing::info!(
            "going on after {begun} of {} galaxies in {}",
            all.len(),
            table.path().display()
        );
    }
    let mut tally = [0; FLAGS.len()];
    let mut without_flag = 0;
    let estimated = all.len() - begun;
    if let Err(error) = estimate_rest(&rows, &all, &layout, options, &mut table, |flags| {
        for (count, flag) in tally.iter_mut().zip(FLAGS) {
            *count += flags.iter().filter(|&&flags| flags & flag.bit != 0).count();
        }
        without_flag += flags.iter().filter(|&&flags| flags == 0).count();
    }) {
        return Err(table.abandoned(error));
    }
    Ok(Predicted {
        out: options.out.clone(),
        galaxies: table.finish()?,
        flagged: FLAGS.iter().map(|flag| flag.name).zip(tally).collect(),
        without_flag,
        estimated,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Estimates what is not yet behind us, block by block; each is kept as soon as it is made.
fn estimate_rest(
    rows: &EmbeddingRows,
    all: &Range<usize>,
    layout: &Layout<'_>,
    options: &PredictOptions,
    table: &mut UnfinishedTable,
    mut made: impl FnMut(&[i32]),
) -> Result<()> {
    let _listening = interrupt::listen();
    let count = all.len();
    let mut progress = Progress::new("predict", "galaxies", table.done() as u64, count as u64);
    while table.done() < count {
        let part = table.done()..count.min(table.done() + BLOCK);
        let mut block = rows.read(all.start + part.start..all.start + part.end)?;
        let magnitudes = look_up(&mut block, options.labels.as_ref())?;
        let estimates = layout
            .estimator
            .estimate(&galaxies(&block, magnitudes), options.telling)?;
        let filled = layout.cells(&block, &estimates);
        progress.set(part.end as u64, "");
        table.append(part, &filled.cells)?;
        made(&filled.flags);
        if let Some(signal) = interrupt::requested().filter(|_| table.done() < count) {
            return Err(Error::interrupted(format!("{signal}: after a block")));
        }
    }
    progress.finish("");
    Ok(())
}

/// Takes from labels what they know of a block: magnitudes, and positions where the embedding files know none.
fn look_up(block: &mut EmbeddingBlock, labels: Option<&Labels>) -> Result<Option<Array2<f32>>> {
    let Some(labels) = labels else {
        return Ok(None);
    };
    if let Some([ra, dec]) = positions(labels) {
        let [ra, dec] = [ra, dec].map(|column| labels.values_at(column, &block.object_id));
        for (row, place) in block.position.iter_mut().enumerate() {
            if place.iter().any(|angle| angle.is_nan()) {
                *place = [ra[row], dec[row]];
            }
        }
    }
    let survey = SurveyGalaxies {
        object_id: &block.object_id,
        redshift: &block.redshift,
    };
    match labels.has_magnitudes() {
        true => survey.magnitudes(labels).map(Some),
        false => Ok(None),
    }
}

/// Right ascension and declination by row, degrees; `None` where there are no such columns.
fn positions(labels: &Labels) -> Option<[&[f64]; 2]> {
    let names: Vec<&str> = labels.columns.keys().map(String::as_str).collect();
    let places = position_columns(&names)?;
    Some(places.map(|place| labels.columns[names[place]].as_slice()))
}

impl EstimatorFile {
    /// Opens embeddings; where nobody names their datasets, those that the estimator was fitted to.
    fn open_embeddings(&self, paths: &[PathBuf], keys: &Keys) -> Result<EmbeddingRows> {
        let features = &self.estimator.head.features;
        if features.is_empty() || *keys != Keys::default() {
            return EmbeddingRows::open(paths, keys);
        }
        let present = EmbeddingRows::open(paths, keys)?.modalities();
        let kinds = of_widths(&present, &self.estimator.head.widths);
        match kinds.is_empty() {
            true => EmbeddingRows::open(paths, keys),
            false => EmbeddingRows::open(paths, &Keys::of_features(features, &kinds)),
        }
    }

    /// Finds out whether embeddings are of the model that the estimator was fitted to, and are what it estimates from.
    ///
    /// # Errors
    /// [`Error::input`] names the file, and says what is different.
    fn check_embeddings(
        &self,
        rows: &EmbeddingRows,
        paths: &[PathBuf],
        magnitudes: bool,
    ) -> Result<()> {
        let head = &self.estimator.head;
        for (provenance, path) in rows.provenance().iter().zip(paths) {
            let (Some(model), Some(provenance)) = (&head.model_sha256, provenance) else {
                tracing::warn!(
                    "{}: nothing says whether its embeddings are of the model that the estimator was fitted to (`{}`)",
                    path.display(),
                    head.model
                );
                continue;
            };
            if provenance.model_sha256 != *model {
                return Err(another_model(model, &provenance.model_sha256).in_file(path));
            }
            if head
                .normalized
                .is_some_and(|normalized| normalized != provenance.normalized)
            {
                return Err(Error::input(
                    "its embeddings are scaled to unit length and those that the estimator was fitted to are not, or the \
                     reverse (`embed --raw`); embed again as for the fit",
                )
                .in_file(path));
            }
        }
        let of_rows = of_widths(rows.features(), &head.widths);
        let present = of_widths(&head.features, &head.widths);
        let present: Vec<Modality> = present
            .into_iter()
            .filter(|&kind| rows.dimension(kind).is_some())
            .collect();
        if of_rows != present {
            let of = |features: &[Modality]| match features {
                [] => "embeddings alone".to_owned(),
                features => format!("features of {}", names(features.iter())),
            };
            return Err(Error::input(format!(
                "{} were named, and the estimator was fitted to {}; leave --embedding-key out, or name the former",
                of(&of_rows),
                of(&present)
            ))
            .in_file(&paths[0]));
        }
        let width = |source: Source| match source {
            Source::Image => rows.dimension(Modality::Image),
            Source::Spectrum => rows.dimension(Modality::Spectrum),
            Source::Photometry | Source::Both => None,
        };
        let mut usable = false;
        for (&source, &expected) in &head.widths {
            match width(source) {
                Some(found) if found != expected => {
                    return Err(Error::input(format!(
                        "its {source} embeddings are {found} wide, those that the estimator was fitted to {expected}: they \
                         are not of one model"
                    ))
                    .in_file(&paths[0]));
                }
                Some(_) => usable = true,
                None => usable |= source == Source::Photometry && magnitudes,
            }
        }
        let wants_magnitudes = head.widths.contains_key(&Source::Photometry);
        match usable {
            true => Ok(()),
            false if wants_magnitudes => Err(Error::input(
                "the estimator tells from magnitudes; name a table of them with --labels FILE, with columns MAG_G, MAG_R and \
                 MAG_Z",
            )),
            false => Err(Error::input(format!(
                "has no {} embeddings, from which the estimator tells; it has {}",
                names(head.widths.keys()),
                names(rows.modalities().iter())
            ))
            .in_file(&paths[0])),
        }
    }

    /// Finds out whether a model of this hash is the one whose embeddings the estimator was fitted to, before anything is
    /// embedded.
    ///
    /// # Errors
    /// [`Error::input`] where it is not.
    pub fn check_model(&self, sha256: &str, path: &Path) -> Result<()> {
        match &self.estimator.head.model_sha256 {
            Some(model) if model != sha256 => Err(another_model(model, sha256).in_file(path)),
            _ => Ok(()),
        }
    }
}

fn another_model(expected: &str, found: &str) -> Error {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    Error::input(format!(
        "is of the model {}…, and the estimator was fitted to embeddings of {}…: embed with that one, or fit an estimator \
         to embeddings of this",
        short(found),
        short(expected)
    ))
}

fn names<'a, T: fmt::Display + 'a>(all: impl Iterator<Item = &'a T>) -> String {
    let names: Vec<String> = all.map(T::to_string).collect();
    names.join(", ")
}
