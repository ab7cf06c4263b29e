//! The datasets of an embedding file as this program and the released code write it, read by ranges of rows.

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5::{Dataset, H5Type};
use ndarray::{Array2, Array3, s};

use super::columns::{check_vectors, complete};
use super::continuum::{self, CONTINUUM};
use super::lookup::VectorFile;
use super::observed::{BANDS_MISSING, DEC, OF_SPECTRA, Put, RA, known_bands};
use super::{
    EMBEDDING, FORMAT_VERSION, FORMAT_VERSION_ATTRIBUTE, INPUTS, Layer, MODEL_CONFIG, MODEL_SHA256,
    NORMALIZED, OBJECT_ID, Observed, PROGRAM_VERSION, Part, Provenance, REDSHIFT, SHARD, SPLIT,
    known_redshifts,
};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file;
use crate::files::identifiers;
use crate::survey::{Modality, ObjectId, Split};

/// An open file.
pub(super) struct Reader {
    path: PathBuf,
    file: hdf5::File,
}

/// Its datasets, all with as many rows.
pub(super) struct Datasets {
    path: PathBuf,
    /// Number of galaxies.
    pub rows: usize,
    embeddings: Vec<(Modality, Layer, Dataset)>,
    object_id: Dataset,
    split: Option<Dataset>,
    redshift: Option<Dataset>,
    ra_dec: Option<[Dataset; 2]>,
    /// What is known of spectra: [`OF_SPECTRA`].
    spectrum: Vec<(&'static str, Dataset, Put)>,
    bands_missing: Option<Dataset>,
    continua: Option<Dataset>,
}

impl Reader {
    pub fn open(path: &Path) -> Result<Self> {
        let file = hdf5_file::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// The kinds of embeddings that there are.
    pub fn present(&self) -> Vec<Modality> {
        self.present_of(Layer::Embeddings)
    }

    /// The kinds of vectors of a layer that there are.
    pub fn present_of(&self, layer: Layer) -> Vec<Modality> {
        Modality::ALL
            .into_iter()
            .filter(|&modality| self.has((modality, layer)))
            .collect()
    }

    /// Whether there are such vectors.
    pub fn has(&self, (modality, layer): (Modality, Layer)) -> bool {
        self.file.link_exists(layer.dataset(modality))
    }

    /// Width of such vectors, where there are some.
    pub fn width(&self, (modality, layer): (Modality, Layer)) -> Option<usize> {
        let dataset = self.dataset(layer.dataset(modality)).ok()?;
        dataset.shape().get(1).copied()
    }

    /// Whether there are identifiers as this program writes them.
    pub fn has_ids(&self) -> bool {
        self.file.link_exists(OBJECT_ID)
    }

    /// The datasets, with the vectors of `wanted` only: of each modality one layer.
    ///
    /// # Errors
    /// [`Error::input`] names the one that is missing or has another shape.
    pub fn datasets(&self, wanted: &[(Modality, Layer)]) -> Result<Datasets> {
        self.check_version()?;
        if !self.has_ids() {
            let members = self.file.member_names().unwrap_or_default().join(", ");
            return Err(Error::input(format!(
                "has no {OBJECT_ID} (integers or text, one per galaxy); it has: {members}"
            ))
            .in_file(&self.path));
        }
        let object_id = self.dataset(OBJECT_ID)?;
        let rows = match object_id.shape()[..] {
            [rows] | [rows, 1] => rows,
            ref shape => return Err(self.wrong_shape(OBJECT_ID, shape, "(N)")),
        };
        let optional = |name: &str| {
            let is_there = self.file.link_exists(name);
            is_there.then(|| self.column(name, rows)).transpose()
        };
        let split = optional(SPLIT)?;
        if split.is_none() {
            tracing::warn!(
                "{}: has no {SPLIT}; taking the first 80 % of its {rows} rows as train and the rest \
                 as test",
                self.path.display()
            );
        }
        let mut spectrum = Vec::new();
        for (name, put) in OF_SPECTRA {
            spectrum.extend(optional(name)?.map(|dataset| (name, dataset, put)));
        }
        Ok(Datasets {
            path: self.path.clone(),
            rows,
            embeddings: wanted
                .iter()
                .map(|&(modality, layer)| {
                    let dataset = self.vectors(layer.dataset(modality), rows)?;
                    Ok((modality, layer, dataset))
                })
                .collect::<Result<_>>()?,
            object_id,
            split,
            redshift: optional(REDSHIFT)?,
            ra_dec: optional(RA)?.zip(optional(DEC)?).map(<[Dataset; 2]>::from),
            spectrum,
            bands_missing: optional(BANDS_MISSING)?,
            continua: self.continua(rows)?,
        })
    }

    fn continua(&self, rows: usize) -> Result<Option<Dataset>> {
        if !self.file.link_exists(CONTINUUM) {
            return Ok(None);
        }
        let dataset = self.dataset(CONTINUUM)?;
        let (kinds, bands) = continuum::SHAPE;
        match dataset.shape()[..] {
            [length, first, second] if (length, first, second) == (rows, kinds, bands) => {
                Ok(Some(dataset))
            }
            ref shape => {
                Err(self.wrong_shape(CONTINUUM, shape, &format!("({rows}, {kinds}, {bands})")))
            }
        }
    }

    fn check_version(&self) -> Result<()> {
        let version = self
            .file
            .attr(FORMAT_VERSION_ATTRIBUTE)
            .and_then(|attribute| attribute.read_scalar::<u32>());
        match version {
            Ok(version) if version > FORMAT_VERSION => Err(Error::input(format!(
                "embedding file of format version {version}; this program reads up to \
                 {FORMAT_VERSION}: use a newer one"
            ))
            .in_file(&self.path)),
            _ => Ok(()),
        }
    }

    fn column(&self, name: &str, rows: usize) -> Result<Dataset> {
        let dataset = self.dataset(name)?;
        // Some programs write (N, 1).
        match dataset.shape()[..] {
            [length] | [length, 1] if length == rows => Ok(dataset),
            ref shape => Err(self.wrong_shape(name, shape, &format!("({rows})"))),
        }
    }

    fn vectors(&self, name: &str, rows: usize) -> Result<Dataset> {
        let dataset = self.dataset(name)?;
        match dataset.shape()[..] {
            [length, width] if length == rows && width > 0 => Ok(dataset),
            ref shape => Err(self.wrong_shape(
                name,
                shape,
                &format!("({rows}, D), one row per {OBJECT_ID}"),
            )),
        }
    }

    fn dataset(&self, name: &str) -> Result<Dataset> {
        hdf5_file::dataset(&self.path, &self.file, name)?
            .ok_or_else(|| Error::input(format!("{name} is no dataset")).in_file(&self.path))
    }

    fn wrong_shape(&self, name: &str, shape: &[usize], expected: &str) -> Error {
        Error::input(format!("{name} has shape {shape:?}; expected {expected}")).in_file(&self.path)
    }

    /// Where the embeddings come from; none where the file does not say.
    pub fn provenance(&self) -> Option<Provenance> {
        let text = |name: &str| hdf5_file::attribute_texts(&self.file, name)?.pop();
        let normalized = self.file.attr(NORMALIZED).ok()?;
        Some(Provenance {
            model_sha256: text(MODEL_SHA256)?,
            model_config: text(MODEL_CONFIG)?,
            program_version: text(PROGRAM_VERSION)?,
            normalized: normalized.read_scalar::<bool>().ok()?,
            inputs: text(INPUTS).and_then(|text| serde_json::from_str(&text).ok()),
            part: text(SHARD)
                .zip(text(EMBEDDING))
                .and_then(|(shard, embedding)| {
                    let shard = shard.parse().ok()?;
                    Some(Part { shard, embedding })
                }),
        })
    }
}

impl Datasets {
    /// The kinds of embeddings among them, with their widths.
    pub fn widths(&self) -> impl Iterator<Item = (Modality, usize)> {
        let embeddings = self.embeddings.iter();
        embeddings.map(|(modality, _, dataset)| (*modality, dataset.shape()[1]))
    }

    /// The kinds of them that are from before the heads.
    pub fn features(&self) -> Vec<Modality> {
        let embeddings = self.embeddings.iter();
        let features = embeddings.filter(|(_, layer, _)| *layer == Layer::Features);
        features.map(|(modality, ..)| *modality).collect()
    }

    /// Embeddings of one kind of some rows, where it is among the datasets.
    pub fn vectors(&self, modality: Modality, rows: Range<usize>) -> Result<Option<Array2<f32>>> {
        let mut embeddings = self.embeddings.iter();
        let Some((_, layer, dataset)) = embeddings.find(|(kind, ..)| *kind == modality) else {
            return Ok(None);
        };
        let name = layer.dataset(modality);
        let read = dataset.read_slice_2d::<f32, _>(s![rows.clone(), ..]);
        let values = read.map_err(|source| self.unreadable(name, source))?;
        check_vectors(&self.path, name, rows.start, &values)?;
        Ok(Some(values))
    }

    /// Embeddings of one kind, to be read row by row, where it is among the datasets.
    pub fn lookup(&self, modality: Modality) -> Option<VectorFile> {
        let mut embeddings = self.embeddings.iter();
        let (.., dataset) = embeddings.find(|(kind, ..)| *kind == modality)?;
        Some(VectorFile::of(&self.path, dataset))
    }

    /// Identifiers of some rows.
    pub fn ids(&self, rows: Range<usize>) -> Result<Vec<ObjectId>> {
        let ids = identifiers::read(&self.path, &self.object_id, None, rows.clone())?;
        complete(&self.path, OBJECT_ID, rows.start, ids)
    }

    /// Splits of some rows.
    pub fn splits(&self, rows: Range<usize>) -> Result<Vec<Split>> {
        let Some(dataset) = &self.split else {
            return Ok(Split::of_group(self.rows)
                .skip(rows.start)
                .take(rows.len())
                .collect());
        };
        let codes: Vec<u8> = self.numbers(dataset, SPLIT, rows.clone())?;
        rows.zip(codes)
            .map(|(row, code)| match code {
                0 => Ok(Split::Train),
                1 => Ok(Split::Test),
                _ => Err(Error::input(format!(
                    "{SPLIT} is {code} in row {row}; expected 0 (train) or 1 (test)"
                ))
                .in_file(&self.path)),
            })
            .collect()
    }

    /// Redshifts of some rows, NaN where unknown.
    pub fn redshifts(&self, rows: Range<usize>) -> Result<Vec<f32>> {
        match &self.redshift {
            Some(dataset) => {
                let stored = self.numbers(dataset, REDSHIFT, rows)?;
                Ok(known_redshifts(stored.into_iter()))
            }
            None => Ok(vec![f32::NAN; rows.len()]),
        }
    }

    /// What else is known of some rows.
    pub fn observed(&self, rows: Range<usize>) -> Result<Vec<Observed>> {
        let mut observed = vec![Observed::UNKNOWN; rows.len()];
        if let Some([ra, dec]) = &self.ra_dec {
            let ra: Vec<f64> = self.numbers(ra, RA, rows.clone())?;
            let dec: Vec<f64> = self.numbers(dec, DEC, rows.clone())?;
            for (of, position) in observed.iter_mut().zip(ra.into_iter().zip(dec)) {
                of.position = position.into();
            }
        }
        for (name, dataset, put) in &self.spectrum {
            let values: Vec<f32> = self.numbers(dataset, name, rows.clone())?;
            for (of, value) in observed.iter_mut().zip(values) {
                put(of, value);
            }
        }
        if let Some(dataset) = &self.bands_missing {
            let bands: Vec<u8> = self.numbers(dataset, BANDS_MISSING, rows)?;
            for (of, bands) in observed.iter_mut().zip(bands) {
                of.bands_missing = known_bands(bands);
            }
        }
        Ok(observed)
    }

    /// Continua of some rows, (rows, 2, bands), where they were measured.
    pub fn continua(&self, rows: Range<usize>) -> Result<Option<Array3<f32>>> {
        let Some(dataset) = &self.continua else {
            return Ok(None);
        };
        let read = dataset.read_slice::<f32, _, ndarray::Ix3>(s![rows, .., ..]);
        let values = read.map_err(|source| self.unreadable(CONTINUUM, source))?;
        Ok(Some(values))
    }

    fn numbers<T: H5Type>(
        &self,
        dataset: &Dataset,
        name: &str,
        rows: Range<usize>,
    ) -> Result<Vec<T>> {
        let read = match dataset.ndim() {
            1 => dataset
                .read_slice_1d::<T, _>(s![rows])
                .map(|values| values.into_raw_vec_and_offset().0),
            _ => dataset
                .read_slice_2d::<T, _>(s![rows, ..])
                .map(|values| values.into_raw_vec_and_offset().0),
        };
        read.map_err(|source| self.unreadable(name, source))
    }

    fn unreadable(&self, name: &str, source: hdf5::Error) -> Error {
        Error::input(format!("{name} cannot be read: {source}"))
            .caused_by(source)
            .in_file(&self.path)
    }
}
