//! Embedding of all galaxies of some files.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use ndarray::{Array2, Axis};
use serde::Serialize;

use super::warn_if_emulated;
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::files::data::loader::Prefetcher;
use crate::files::data::{Dataset, Labels, Skipped, SurveyFiles};
use crate::files::embeddings::{EmbeddingBatch, EmbeddingWriter, Provenance};
use crate::files::inputs::Inputs;
use crate::network::encoder::{Encoder, Preparation, Prepared};
use crate::network::nn::Precision;
use crate::network::weights::file_sha256;
use crate::survey::{Modality, ObjectId, Split};

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
    /// Galaxies that go through the model at once.
    pub batch_size: usize,
    /// In what numbers the model computes.
    pub precision: Precision,
    /// Leave the embeddings as the model gives them, not scaled to unit length.
    pub raw: bool,
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
    /// Whether embeddings have unit length.
    pub normalized: bool,
    /// Duration, seconds.
    pub seconds: f64,
}

/// Embeds all galaxies of the files (paper eq. 4), batch by batch: memory does not grow with their
/// number.
///
/// # Errors
///
/// Bad model or data, nothing in the data that the model knows, a disk that refuses.
pub fn embed(options: &EmbedOptions, device: &Device) -> Result<EmbedSummary> {
    let started = Instant::now();
    warn_if_emulated(options.precision, device);
    let (encoder, file) = Encoder::load(&options.weights, device)?;
    let encoder = encoder.in_precision(options.precision);
    let dataset = Arc::new(options.data.open(encoder.survey())?);
    let modalities = common_modalities(&encoder, &dataset, &options.weights)?;
    let skipped: Option<Arc<Skipped>> = options.data.read.skip_bad.then(Arc::default);
    let provenance = Provenance {
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
    };
    let dimension = encoder.dimension();
    let mut writer = EmbeddingWriter::create(&options.out, &modalities, dimension, &provenance)?;
    let galaxies = dataset.len();
    let mut progress = Progress::new("embed", "galaxies", 0, galaxies as u64);
    let mut embedded = 0;
    let mut first_id = None;
    let batches = Batches {
        dataset: Arc::clone(&dataset),
        preparation: encoder.preparation(),
        modalities: modalities.clone(),
        batch_size: options.batch_size,
        skipped: skipped.clone(),
    };
    for batch in batches.prefetch() {
        let SurveyBatch {
            range,
            prepared,
            labels,
            splits,
        } = batch?;
        embedded += splits.len();
        first_id = first_id.or(labels.object_id.first().copied());
        progress.set(range.end as u64, "");
        let Some(prepared) = prepared else {
            continue;
        };
        let (image, spectrum) = encoder.embed(prepared);
        let finished = |embeddings: Option<Array2<f32>>| match options.raw {
            true => embeddings,
            false => embeddings.map(normalized),
        };
        let (image, spectrum) = (finished(image), finished(spectrum));
        writer.append(&EmbeddingBatch {
            image: image.as_ref().map(|values| values.view()),
            spectrum: spectrum.as_ref().map(|values| values.view()),
            object_id: &labels.object_id,
            split: &splits,
            redshift: &labels.redshift,
        })?;
    }
    let Some(first_id) = first_id else {
        return Err(Error::input(
            "no galaxy of the files can be used; `astroclip check` says why",
        ));
    };
    writer.finish()?;
    progress.finish("");
    Ok(EmbedSummary {
        out: options.out.clone(),
        galaxies: embedded,
        first_id,
        skipped: skipped.map_or(0, |skipped| {
            skipped.report();
            skipped.len()
        }),
        modalities,
        dimension,
        normalized: !options.raw,
        seconds: started.elapsed().as_secs_f64(),
    })
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
    /// The rows that were read.
    range: Range<usize>,
    /// Those of them that can be used; none where no one can.
    prepared: Option<Prepared>,
    labels: Labels,
    splits: Vec<Split>,
}

/// Reads and prepares all galaxies of the files.
struct Batches {
    dataset: Arc<Dataset>,
    preparation: Preparation,
    modalities: Vec<Modality>,
    batch_size: usize,
    skipped: Option<Arc<Skipped>>,
}

impl Batches {
    fn prefetch(self) -> Prefetcher<SurveyBatch> {
        let count = self.dataset.len().div_ceil(self.batch_size) as u64;
        Prefetcher::start(0..count, move |index| self.read(index as usize))
    }

    fn read(&self, index: usize) -> Result<SurveyBatch> {
        let (dataset, start) = (&self.dataset, index * self.batch_size);
        let range = start..(start + self.batch_size).min(dataset.len());
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
        let splits = galaxies.rows.iter().map(|&row| dataset.split(row));
        let (images, spectra) = (&galaxies.images, &galaxies.spectra);
        let prepare = || {
            let images = images.as_ref().map(|images| images.view());
            let spectra = spectra.as_ref().map(|spectra| spectra.view());
            self.preparation.prepare(images, spectra)
        };
        Ok(SurveyBatch {
            range,
            prepared: (!galaxies.rows.is_empty()).then(prepare).transpose()?,
            labels,
            splits: splits.collect(),
        })
    }
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
