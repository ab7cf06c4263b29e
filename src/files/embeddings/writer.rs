//! Embedding files, written batch by batch.

use std::path::{Path, PathBuf};

use hdf5::{Dataset, H5Type, types::VarLenUnicode};
use ndarray::{ArrayView2, ArrayView3, s};

use super::continuum::{self, ContinuumWriter};
use super::features::{FeatureWriter, Features};
use super::ids::IdWriter;
use super::observed::ObservedWriter;
use super::{
    EMBEDDING, FORMAT_VERSION, FORMAT_VERSION_ATTRIBUTE, INPUTS, MODEL_CONFIG, MODEL_SHA256,
    NORMALIZED, Observed, PROGRAM_VERSION, Provenance, REDSHIFT, SHARD, SPLIT, dataset_name,
};
use crate::base::error::{Error, Result};
use crate::base::output::PartialFile;
use crate::files::container::hdf5_file;
use crate::survey::{Modality, ObjectId, Split};

/// Rows per chunk: 128 KiB of 512-wide embeddings, so a file of a few galaxies stays small.
pub(super) const CHUNK_ROWS: usize = 64;

/// Embeddings of some galaxies, in file order. All parts have the same number of rows.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddingBatch<'a> {
    /// Image embeddings (rows, D), in every batch or in none.
    pub image: Option<ArrayView2<'a, f32>>,
    /// Spectrum embeddings (rows, D), in every batch or in none.
    pub spectrum: Option<ArrayView2<'a, f32>>,
    /// Vectors from before the heads, where they are kept.
    pub features: Features<'a>,
    /// Identifier of each row.
    pub object_id: &'a [ObjectId],
    /// Split of each row.
    pub split: &'a [Split],
    /// Redshift of each row, NaN where unknown.
    pub redshift: &'a [f32],
    /// Position of each row, and how much of it was measured.
    pub observed: &'a [Observed],
    /// Continua of the spectra (rows, 2, bands), where they were measured; see
    /// [`SpectrumQuality::continuum`](crate::survey::SpectrumQuality::continuum).
    pub continua: Option<ArrayView3<'a, f32>>,
}

impl<'a> EmbeddingBatch<'a> {
    /// Finds out whether all parts have the same rows, and whether they are finite embeddings of `modalities`,
    /// `dimension` wide.
    ///
    /// # Errors
    /// [`Error::run`] names the galaxy, or the part.
    pub(super) fn check(&self, modalities: &[Modality], dimension: usize) -> Result<()> {
        let rows = self.object_id.len();
        let others = [self.split.len(), self.redshift.len(), self.observed.len()];
        if others != [rows; 3] {
            let [splits, redshifts, positions] = others;
            return Err(Error::run(format!(
                "a batch of {rows} galaxies has {splits} splits, {redshifts} redshifts and {positions} positions"
            )));
        }
        if let Some(continua) = self.continua {
            let (kinds, bands) = continuum::SHAPE;
            let expected = (rows, kinds, bands);
            if continua.dim() != expected {
                return Err(Error::run(format!(
                    "continua of shape {:?} where {expected:?} was expected",
                    continua.dim()
                )));
            }
        }
        for modality in Modality::ALL {
            let values = match (self.embeddings(modality), modalities.contains(&modality)) {
                (None, false) => continue,
                (Some(values), true) => values,
                // Of a batch without galaxies there is nothing.
                (None, true) if rows == 0 => continue,
                (values, _) => {
                    return Err(Error::run(format!(
                        "a batch {} {modality} embeddings, unlike the file",
                        if values.is_some() { "has" } else { "lacks" }
                    )));
                }
            };
            if values.dim() != (rows, dimension) {
                return Err(Error::run(format!(
                    "{modality} embeddings of shape {:?} where {:?} was expected",
                    values.dim(),
                    (rows, dimension)
                )));
            }
            self.check_finite(modality, values)?;
        }
        for modality in Modality::ALL {
            let Some(values) = self.features.of(modality) else {
                continue;
            };
            if values.nrows() != rows {
                return Err(Error::run(format!(
                    "a batch of {rows} galaxies has {modality} features of {}",
                    values.nrows()
                )));
            }
            self.check_finite(modality, values)?;
        }
        Ok(())
    }

    fn check_finite(&self, modality: Modality, values: ArrayView2<'_, f32>) -> Result<()> {
        for (row, object_id) in values.rows().into_iter().zip(self.object_id) {
            if row.iter().any(|value| !value.is_finite()) {
                return Err(Error::run(format!(
                    "galaxy {object_id}: its {modality} embedding is not finite; check the input \
                     for NaN and the model's weights"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn embeddings(&self, modality: Modality) -> Option<ArrayView2<'a, f32>> {
        match modality {
            Modality::Image => self.image,
            Modality::Spectrum => self.spectrum,
        }
    }
}

/// Writes an embedding file batch by batch; memory does not grow with the number of galaxies.
///
/// The file appears under its name when [`finish`](Self::finish) returns; a writer that is dropped
/// before that leaves nothing.
#[derive(Debug)]
pub struct EmbeddingWriter {
    // Declared before `partial`: HDF5 lets go of the file before the file is removed.
    columns: Columns,
    file: hdf5::File,
    partial: PartialFile,
    path: PathBuf,
    dimension: usize,
    rows: usize,
}

#[derive(Debug)]
struct Columns {
    embeddings: Vec<(Modality, Dataset)>,
    object_id: IdWriter,
    split: Dataset,
    redshift: Dataset,
    observed: ObservedWriter,
    continua: ContinuumWriter,
    features: FeatureWriter,
}

impl EmbeddingWriter {
    /// Starts a file that will be `path`, with `dimension`-wide embeddings of `modalities`.
    ///
    /// # Errors
    /// [`Error::input`] where the folder is missing, [`Error::run`] where it cannot be written.
    pub fn create(
        path: &Path,
        modalities: &[Modality],
        dimension: usize,
        provenance: &Provenance,
    ) -> Result<Self> {
        let partial = PartialFile::beside(path)?;
        let file =
            hdf5_file::create(partial.path()).map_err(|source| Error::writing(path, source))?;
        let create = || -> hdf5::Result<Columns> {
            write_provenance(&file, provenance)?;
            let mut embeddings = Vec::new();
            for &modality in modalities {
                let dataset = file
                    .new_dataset::<f32>()
                    .obj_track_times(false)
                    .chunk((CHUNK_ROWS, dimension))
                    .shape((0.., dimension))
                    .create(dataset_name(modality))?;
                embeddings.push((modality, dataset));
            }
            let columns = Columns {
                embeddings,
                object_id: IdWriter::new(&file)?,
                split: new_column::<u8>(&file, SPLIT)?,
                redshift: new_column::<f32>(&file, REDSHIFT)?,
                observed: ObservedWriter::new(),
                continua: ContinuumWriter::default(),
                features: FeatureWriter::default(),
            };
            write_text(&columns.split, "meaning", "0 = train, 1 = test")?;
            write_text(&columns.redshift, "meaning", "NaN = unknown")?;
            Ok(columns)
        };
        let columns = create().map_err(|source| Error::writing(path, source))?;
        Ok(Self {
            columns,
            file,
            partial,
            path: path.to_owned(),
            dimension,
            rows: 0,
        })
    }

    /// Appends the galaxies of `batch`.
    ///
    /// # Errors
    /// [`Error::run`] where an embedding is not finite (names the galaxy), where the batch does not
    /// have the modalities, width and lengths of this file, or where the disk refuses.
    pub fn append(&mut self, batch: &EmbeddingBatch<'_>) -> Result<()> {
        let rows = batch.object_id.len();
        let columns = &self.columns.embeddings;
        let modalities: Vec<Modality> = columns.iter().map(|(of, _)| *of).collect();
        batch
            .check(&modalities, self.dimension)
            .map_err(|error| error.in_file(&self.path))?;
        let mut write = || -> hdf5::Result<()> {
            let (start, end) = (self.rows, self.rows + rows);
            for (modality, dataset) in &self.columns.embeddings {
                if let Some(values) = batch.embeddings(*modality) {
                    dataset.resize((end, values.ncols()))?;
                    dataset.write_slice(&values.as_standard_layout(), s![start..end, ..])?;
                }
            }
            let split: Vec<u8> = batch
                .split
                .iter()
                .map(|split| u8::from(*split == Split::Test))
                .collect();
            self.columns.object_id.extend(&self.file, batch.object_id)?;
            extend(&self.columns.split, start, &split)?;
            extend(&self.columns.redshift, start, batch.redshift)?;
            let observed = &mut self.columns.observed;
            observed.extend(&self.file, start, batch.observed)?;
            let continua = &mut self.columns.continua;
            continua.extend(&self.file, start, rows, batch.continua)?;
            let features = &mut self.columns.features;
            features.extend(&self.file, start, rows, batch.features)
        };
        write().map_err(|source| Error::writing(&self.path, source))?;
        self.rows += rows;
        Ok(())
    }

    /// Completes the file and gives it its name, replacing an older one. Returns the number of rows.
    ///
    /// # Errors
    /// [`Error::run`] where the disk refuses; nothing is left then.
    pub fn finish(self) -> Result<usize> {
        let Self {
            columns,
            file,
            partial,
            path,
            rows,
            ..
        } = self;
        drop(columns);
        file.flush()
            .and_then(|()| file.close())
            .map_err(|source| Error::writing(&path, source))?;
        partial.finish()?;
        Ok(rows)
    }
}

pub(super) fn new_column<T: H5Type>(file: &hdf5::File, name: &str) -> hdf5::Result<Dataset> {
    // Without the time of writing: the same embeddings have the same bytes.
    file.new_dataset::<T>()
        .obj_track_times(false)
        .chunk((CHUNK_ROWS * 64,))
        .shape((0..,))
        .create(name)
}

pub(super) fn extend<T: H5Type>(dataset: &Dataset, start: usize, values: &[T]) -> hdf5::Result<()> {
    let end = start + values.len();
    dataset.resize((end,))?;
    dataset.write_slice(values, s![start..end])
}

fn write_provenance(file: &hdf5::File, provenance: &Provenance) -> hdf5::Result<()> {
    file.new_attr::<u32>()
        .create(FORMAT_VERSION_ATTRIBUTE)?
        .write_scalar(&FORMAT_VERSION)?;
    file.new_attr::<bool>()
        .create(NORMALIZED)?
        .write_scalar(&provenance.normalized)?;
    write_text(file, MODEL_SHA256, &provenance.model_sha256)?;
    write_text(file, MODEL_CONFIG, &provenance.model_config)?;
    if let Some(inputs) = &provenance.inputs {
        let text = serde_json::to_string(inputs).expect("records are plain JSON");
        write_text(file, INPUTS, &text)?;
    }
    if let Some(part) = &provenance.part {
        write_text(file, SHARD, &part.shard.to_string())?;
        write_text(file, EMBEDDING, &part.embedding)?;
    }
    write_text(file, PROGRAM_VERSION, &provenance.program_version)
}

pub(super) fn write_text(location: &hdf5::Location, name: &str, text: &str) -> hdf5::Result<()> {
    let text: VarLenUnicode = text
        .parse()
        .map_err(|_| hdf5::Error::from(format!("attribute {name}: text with a zero byte")))?;
    location
        .new_attr::<VarLenUnicode>()
        .create(name)?
        .write_scalar(&text)
}
