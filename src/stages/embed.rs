use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use ndarray::{Array2, Array4, Axis};
use serde::Serialize;

use super::{PREFETCH, loader_threads};
use crate::data::loader::Prefetcher;
use crate::data::{self, Dataset};
use crate::embeddings::{EmbeddingBatch, EmbeddingWriter, Provenance};
use crate::encoder::Encoder;
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::survey::Modality;
use crate::weights::file_sha256;

/// What to embed and how.
#[derive(Debug, Clone)]
pub struct EmbedOptions {
    /// Exported model.
    pub weights: PathBuf,
    /// Survey files.
    pub data: Vec<PathBuf>,
    /// Embedding file to write.
    pub out: PathBuf,
    /// Galaxies that go through the model at once.
    pub batch_size: usize,
    /// Leave the embeddings as the model gives them, not scaled to unit length.
    pub raw: bool,
}

/// What was embedded.
#[derive(Debug, Clone, Serialize)]
pub struct EmbedSummary {
    /// Embedding file.
    pub out: PathBuf,
    /// Galaxies.
    pub galaxies: usize,
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
    let (encoder, file) = Encoder::load(&options.weights, device)?;
    let dataset: Arc<dyn Dataset> = data::open(&options.data)?.into();
    let modalities = common_modalities(&encoder, dataset.as_ref(), &options.weights)?;
    let provenance = Provenance {
        model_sha256: file_sha256(&options.weights)?,
        model_config: file.config.to_string(),
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        normalized: !options.raw,
    };
    let dimension = encoder.dimension();
    let mut writer = EmbeddingWriter::create(&options.out, &modalities, dimension, &provenance)?;
    let galaxies = dataset.len();
    let mut progress = Progress::new("embed", "galaxies", 0, galaxies as u64);
    for batch in batches(Arc::clone(&dataset), &modalities, options.batch_size) {
        let batch = batch?;
        let rows = batch.rows.clone();
        let image = match batch.images {
            Some(images) => encoder.embed_images(images.view())?,
            None => None,
        };
        let spectrum = match batch.spectra {
            Some(spectra) => encoder.embed_spectra(spectra.view())?,
            None => None,
        };
        let finished = |embeddings: Option<Array2<f32>>| match options.raw {
            true => embeddings,
            false => embeddings.map(normalized),
        };
        let (image, spectrum) = (finished(image), finished(spectrum));
        writer.append(&EmbeddingBatch {
            image: image.as_ref().map(|values| values.view()),
            spectrum: spectrum.as_ref().map(|values| values.view()),
            object_id: &dataset.object_ids()[rows.clone()],
            split: &dataset.splits()[rows.clone()],
            redshift: &dataset.redshifts()[rows.clone()],
        })?;
        progress.set(rows.end as u64, "");
    }
    writer.finish()?;
    progress.finish("");
    Ok(EmbedSummary {
        out: options.out.clone(),
        galaxies,
        modalities,
        dimension,
        normalized: !options.raw,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// What the model knows and the data have.
fn common_modalities(
    encoder: &Encoder,
    dataset: &dyn Dataset,
    weights: &Path,
) -> Result<Vec<Modality>> {
    let has = |modality: Modality| match modality {
        Modality::Image => dataset.has_images(),
        Modality::Spectrum => dataset.has_spectra(),
    };
    let common: Vec<Modality> = encoder
        .modalities()
        .iter()
        .copied()
        .filter(|&modality| has(modality))
        .collect();
    if common.is_empty() {
        let known = encoder.modalities()[0];
        return Err(Error::input(format!(
            "{}: the model embeds only {known} data, and the files hold none",
            weights.display()
        )));
    }
    Ok(common)
}

/// Arrays of some galaxies in the order of the files.
struct SurveyBatch {
    rows: std::ops::Range<usize>,
    images: Option<Array4<f32>>,
    spectra: Option<Array2<f32>>,
}

fn batches(
    dataset: Arc<dyn Dataset>,
    modalities: &[Modality],
    batch_size: usize,
) -> Prefetcher<SurveyBatch> {
    let galaxies = dataset.len();
    let wants = |modality| modalities.contains(&modality);
    let (images, spectra) = (wants(Modality::Image), wants(Modality::Spectrum));
    let count = galaxies.div_ceil(batch_size) as u64;
    Prefetcher::new(0..count, PREFETCH, loader_threads(), move |index| {
        let start = index as usize * batch_size;
        let range = start..(start + batch_size).min(galaxies);
        let rows: Vec<usize> = range.clone().collect();
        Ok(SurveyBatch {
            images: images.then(|| dataset.images(&rows)).transpose()?,
            spectra: spectra.then(|| dataset.spectra(&rows)).transpose()?,
            rows: range,
        })
    })
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
