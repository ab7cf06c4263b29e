//! Embedding of all galaxies of some files.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use ndarray::{Array2, Array3, ArrayView2, Axis};
use rayon::prelude::*;
use serde::Serialize;

use super::precision_on;
use crate::base::error::{Error, Result};
use crate::base::interrupt;
use crate::base::output::unfinished_of;
use crate::base::progress::Progress;
use crate::base::shard::Shard;
use crate::files::data::loader::Prefetcher;
use crate::files::data::{Dataset, Labels, Skipped, SurveyFiles};
use crate::files::embeddings::{
    EmbeddingBatch, EmbeddingRows, Features, Keys, Layout, Observed, Plan, Provenance, Unfinished,
    read_provenance,
};
use crate::files::inputs::Inputs;
use crate::network::encoder::{Encoder, Preparation, Prepared, Vectors};
use crate::network::nn::Precision;
use crate::network::weights::file_sha256;
use crate::survey::{CONTINUUM_BANDS, Modality, ObjectId, SpectrumMeter, SpectrumQuality, Split};

/// What to embed and how.
#[derive(Debug, Clone)]
pub struct EmbedOptions {
    /// Exported model.
    pub weights: PathBuf,
    /// Survey files.
    pub data: SurveyFiles,
    /// Tables of labels, which the embedding file keeps in mind for later commands.
    pub labels: Vec<PathBuf>,
    /// Embedding file to write.
    pub out: PathBuf,
    /// Which part of the galaxies.
    pub shard: Shard,
    /// Galaxies that go through the model at once.
    pub batch_size: usize,
    /// In what numbers the model computes.
    pub precision: Precision,
    /// Leave the embeddings as the model gives them, not scaled to unit length.
    pub raw: bool,
    /// Of what the vectors from before the heads are kept too, where the model has heads.
    pub features: Vec<Modality>,
    /// Go on with what a killed program has left of the same embeddings, where it has.
    pub resume: bool,
}

/// What was embedded.
#[derive(Debug, Clone, Serialize)]
pub struct EmbedSummary {
    /// Embedding file.
    pub out: PathBuf,
    /// Galaxies embedded.
    pub galaxies: usize,
    /// Galaxies left out because they cannot be used.
    pub skipped: usize,
    /// Identifier of the first of them, to search for.
    pub first_id: ObjectId,
    /// Kinds of data embedded.
    pub modalities: Vec<Modality>,
    /// Width of an embedding.
    pub dimension: usize,
    /// Of what vectors from before the heads were kept, and how wide they are.
    pub features: Vec<(Modality, usize)>,
    /// Whether embeddings have unit length.
    pub normalized: bool,
    /// Duration, seconds.
    pub seconds: f64,
}

/// Embeds all galaxies of the files (paper eq. 4), batch by batch: memory does not grow with their
/// number. What is done is kept beside the file until it is whole.
///
/// # Errors
///
/// Bad model or data, nothing in the data that the model knows, a disk that refuses.
pub fn embed(options: &EmbedOptions, device: &Device) -> Result<EmbedSummary> {
    let started = Instant::now();
    let precision = precision_on(device, options.precision);
    let (encoder, file) = Encoder::load(&options.weights, device)?;
    let encoder = encoder.in_precision(precision);
    let dataset = Arc::new(options.data.open(encoder.survey())?);
    let modalities = common_modalities(&encoder, &dataset, &options.weights)?;
    let mut provenance = Provenance {
        model_sha256: file_sha256(&options.weights)?,
        model_config: file.config.to_string(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        normalized: !options.raw,
        inputs: Some(Inputs::record(
            options.out.parent().unwrap_or(Path::new("")),
            &options.data.paths,
            &options.data.read,
            &options.labels,
            std::slice::from_ref(&options.weights),
        )?),
        part: None,
    };
    let kept = modalities.iter().filter(|of| options.features.contains(of));
    let features = kept.filter_map(|&of| Some((of, encoder.features(of)?)));
    let plan = Plan {
        features: features.collect(),
        layout: Layout::default(),
        program_version: provenance.program_version.clone(),
        model_sha256: provenance.model_sha256.clone(),
        inputs: provenance.inputs.clone().expect("recorded above"),
        galaxies: dataset.len(),
        shard: options.shard,
        modalities,
        dimension: encoder.dimension(),
        batch_size: options.batch_size,
        precision: options.precision.to_string(),
        normalized: !options.raw,
    };
    let rows = options.shard.some_rows(dataset.len())?;
    provenance.part = plan.part();
    let known = provenance
        .part
        .as_ref()
        .and_then(|_| read_provenance(&options.out));
    if options.resume
        && known.is_some_and(|known| known.part == provenance.part)
        && !unfinished_of(&options.out)?.exists()
    {
        tracing::info!("{}: is whole, and is not made again", options.out.display());
        return whole(options, plan, started);
    }
    let mut unfinished = Unfinished::open(&options.out, &plan, options.resume)?;
    let begun = unfinished.done();
    if begun.rows > 0 {
        tracing::info!(
            "going on after {} of {} galaxies in {}",
            begun.rows,
            rows.len(),
            unfinished.path().display()
        );
    }
    let batches = Batches {
        dataset,
        meter: SpectrumMeter::new(&encoder.survey().wavelengths),
        preparation: encoder.preparation(),
        modalities: plan.modalities.clone(),
        batch_size: options.batch_size,
        rows,
        skipped: options.data.read.skip_bad.then(Arc::default),
    };
    if let Err(error) = embed_rest(&encoder, batches, &plan, &mut unfinished) {
        return Err(unfinished.abandoned(error));
    }
    let done = unfinished.done();
    let Some(first_id) = done.first_id else {
        return Err(unfinished.abandoned(Error::input(
            "no galaxy of the files can be used; `astroclip check` says why",
        )));
    };
    unfinished.finish(&provenance)?;
    Ok(EmbedSummary {
        out: options.out.clone(),
        galaxies: done.galaxies,
        first_id,
        skipped: done.rows - done.galaxies,
        modalities: plan.modalities,
        dimension: plan.dimension,
        features: plan.features,
        normalized: plan.normalized,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// What there is of a shard that is whole.
fn whole(options: &EmbedOptions, plan: Plan, started: Instant) -> Result<EmbedSummary> {
    let rows = EmbeddingRows::open(std::slice::from_ref(&options.out), &Keys::default())?;
    let galaxies = rows.rows();
    let first = rows.galaxies(0..galaxies.min(1), &options.out)?;
    let first = first.object_id.first();
    Ok(EmbedSummary {
        out: options.out.clone(),
        galaxies,
        first_id: *first.ok_or_else(|| Error::input("holds no galaxies").in_file(&options.out))?,
        skipped: options.shard.rows(plan.galaxies).len() - galaxies,
        modalities: plan.modalities,
        dimension: plan.dimension,
        features: plan.features,
        normalized: plan.normalized,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Embeds the galaxies that are not yet behind us, batch by batch; each is kept as soon as it is made.
fn embed_rest(
    encoder: &Encoder,
    batches: Batches,
    plan: &Plan,
    unfinished: &mut Unfinished,
) -> Result<()> {
    let _listening = interrupt::listen();
    let (rows, all) = (unfinished.done().rows, batches.rows.len());
    let mut progress = Progress::new("embed", "galaxies", rows as u64, all as u64);
    let skipped = batches.skipped.clone();
    for batch in batches.prefetch(rows) {
        let SurveyBatch {
            range,
            prepared,
            labels,
            splits,
            observed,
            continua,
        } = batch?;
        let (image, spectrum) = match prepared {
            Some(prepared) => encoder.embed(prepared),
            None => (None, None),
        };
        let finished = |of: Modality, vectors: Option<Vectors>| {
            let Some(Vectors {
                embeddings,
                features,
            }) = vectors
            else {
                return (None, None);
            };
            let is_kept = plan.features.iter().any(|(kept, _)| *kept == of);
            let scaled = |vectors| match plan.normalized {
                true => normalized(vectors),
                false => vectors,
            };
            let features = features.filter(|_| is_kept);
            (Some(scaled(embeddings)), features.map(scaled))
        };
        let (image, image_features) = finished(Modality::Image, image);
        let (spectrum, spectrum_features) = finished(Modality::Spectrum, spectrum);
        progress.set(range.end as u64, "");
        unfinished.append(
            range,
            &EmbeddingBatch {
                image: image.as_ref().map(|values| values.view()),
                spectrum: spectrum.as_ref().map(|values| values.view()),
                features: Features {
                    image: image_features.as_ref().map(|values| values.view()),
                    spectrum: spectrum_features.as_ref().map(|values| values.view()),
                },
                object_id: &labels.object_id,
                split: &splits,
                redshift: &labels.redshift,
                observed: &observed,
                continua: continua.as_ref().map(|continua| continua.view()),
            },
        )?;
        let rows = unfinished.done().rows;
        if let Some(signal) = interrupt::requested().filter(|_| rows < all) {
            return Err(Error::interrupted(format!("{signal}: after a batch")));
        }
    }
    if let Some(skipped) = skipped {
        skipped.report();
    }
    progress.finish("");
    Ok(())
}

/// What the model knows and the data have.
fn common_modalities(
    encoder: &Encoder,
    dataset: &Dataset,
    weights: &Path,
) -> Result<Vec<Modality>> {
    let common: Vec<Modality> = encoder
        .modalities()
        .iter()
        .copied()
        .filter(|&modality| dataset.has(modality))
        .collect();
    if common.is_empty() {
        let known = encoder.modalities()[0];
        return Err(Error::input(format!(
            "the model embeds only {known} data, and the files hold none"
        ))
        .in_file(weights));
    }
    Ok(common)
}

/// Some galaxies in the order of the files.
struct SurveyBatch {
    /// The rows that were read, counted from the first that is embedded.
    range: Range<usize>,
    /// Those of them that can be used; none where no one can.
    prepared: Option<Prepared>,
    labels: Labels,
    splits: Vec<Split>,
    observed: Vec<Observed>,
    continua: Option<Array3<f32>>,
}

/// Reads and prepares galaxies of the files.
struct Batches {
    dataset: Arc<Dataset>,
    /// Those that are embedded.
    rows: Range<usize>,
    meter: SpectrumMeter,
    preparation: Preparation,
    modalities: Vec<Modality>,
    batch_size: usize,
    skipped: Option<Arc<Skipped>>,
}

impl Batches {
    /// From this of the rows on, which begins a batch or is the end.
    fn prefetch(self, row: usize) -> Prefetcher<SurveyBatch> {
        let batches = |rows: usize| rows.div_ceil(self.batch_size) as u64;
        let range = batches(row)..batches(self.rows.len());
        Prefetcher::start(range, move |index| self.read(index as usize))
    }

    fn read(&self, index: usize) -> Result<SurveyBatch> {
        let (dataset, first) = (&self.dataset, self.rows.start);
        let start = first + index * self.batch_size;
        let range = start..(start + self.batch_size).min(self.rows.end);
        let rows: Vec<usize> = range.clone().collect();
        let galaxies = match &self.skipped {
            Some(skipped) => skipped.read(dataset, &rows, &self.modalities)?,
            None => dataset.read(&rows, &self.modalities)?,
        };
        let all = dataset.labels(range.clone())?;
        let used = galaxies.rows.iter().map(|row| row - start);
        let labels = Labels {
            object_id: used.clone().map(|row| all.object_id[row]).collect(),
            redshift: used.map(|row| all.redshift[row]).collect(),
        };
        let positions = dataset.positions(range.clone())?;
        let filled = galaxies.spectrum_filled.as_deref();
        let missing = galaxies.bands_missing();
        let quality =
            (galaxies.spectra.as_ref()).map(|spectra| measured(&self.meter, spectra.view()));
        let observed = galaxies
            .rows
            .iter()
            .enumerate()
            .map(|(place, row)| Observed {
                position: positions[row - start],
                spectrum_filled: filled.map_or(f32::NAN, |filled| filled[place]),
                signal_to_noise: quality
                    .as_ref()
                    .map_or(f32::NAN, |of| of[place].signal_to_noise),
                star_lines: quality.as_ref().map_or(f32::NAN, |of| of[place].star_lines),
                bands_missing: missing.as_ref().map(|missing| missing[place]),
            });
        let splits = galaxies.rows.iter().map(|&row| dataset.split(row));
        let (images, spectra) = (&galaxies.images, &galaxies.spectra);
        let prepare = || {
            let images = images.as_ref().map(|images| images.view());
            let spectra = spectra.as_ref().map(|spectra| spectra.view());
            self.preparation.prepare(images, spectra)
        };
        Ok(SurveyBatch {
            range: range.start - first..range.end - first,
            prepared: (!galaxies.rows.is_empty()).then(prepare).transpose()?,
            labels,
            splits: splits.collect(),
            observed: observed.collect(),
            continua: quality.as_deref().map(continua),
        })
    }
}

/// What each spectrum says of itself.
fn measured(meter: &SpectrumMeter, spectra: ArrayView2<'_, f32>) -> Vec<SpectrumQuality> {
    let rows = spectra.outer_iter().into_par_iter();
    rows.map(|spectrum| meter.measure(spectrum.to_slice().expect("standard layout")))
        .collect()
}

/// The continua of spectra, (n, 2, bands).
fn continua(quality: &[SpectrumQuality]) -> Array3<f32> {
    let numbers = quality.iter().flat_map(|of| of.continuum).flatten();
    Array3::from_shape_vec((quality.len(), 2, CONTINUUM_BANDS), numbers.collect())
        .expect("two numbers of each band")
}

/// Rows scaled to unit length (paper sect. 6).
fn normalized(mut embeddings: Array2<f32>) -> Array2<f32> {
    for mut row in embeddings.axis_iter_mut(Axis(0)) {
        let norm = row
            .iter()
            .map(|v| f64::from(*v).powi(2))
            .sum::<f64>()
            .sqrt() as f32;
        if norm > 0.0 {
            row /= norm;
        }
    }
    embeddings
}
