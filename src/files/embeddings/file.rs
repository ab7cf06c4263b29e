//! Embedding files of this program and of the released code in memory.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, Axis};

use super::continuum;
use super::reader::Reader;
use super::{Layer, Observed, Provenance, dataset_name};
use crate::base::error::{Error, Result};
use crate::survey::{Modality, ObjectId, Split};

/// An embedding file in memory; row i is the same galaxy in every part.
#[derive(Debug, Clone)]
pub struct EmbeddingFile {
    /// What to call it: where it was read from, or a pattern of several files.
    pub path: PathBuf,
    /// The files that it was read from, one behind the other.
    pub files: Vec<PathBuf>,
    /// Image embeddings (N, D), where the file has them and they were asked for.
    pub image: Option<Array2<f32>>,
    /// Spectrum embeddings (N, D), where the file has them and they were asked for.
    pub spectrum: Option<Array2<f32>>,
    /// Identifier of each galaxy.
    pub object_id: Vec<ObjectId>,
    /// Split of each galaxy.
    pub split: Vec<Split>,
    /// Redshift of each galaxy, NaN where unknown.
    pub redshift: Vec<f32>,
    /// Position of each galaxy, and how much of it was measured.
    pub observed: Vec<Observed>,
    /// What of `image` and `spectrum` is from before the heads of the model.
    pub features: Vec<Modality>,
    /// Where the embeddings come from; files of other programs do not say.
    pub provenance: Option<Provenance>,
}

/// Whether a file holds embeddings as this program writes them.
pub fn is_embedding_file(path: &Path) -> bool {
    Reader::open(path).is_ok_and(|reader| !reader.present().is_empty() && reader.has_ids())
}

/// What vectors from before the heads a file holds, and how wide they are; none where it is no embedding file.
pub fn features_in(path: &Path) -> Vec<(Modality, usize)> {
    let Ok(reader) = Reader::open(path) else {
        return Vec::new();
    };
    let present = reader.present_of(Layer::Features).into_iter();
    let width = |modality| Some((modality, reader.width((modality, Layer::Features))?));
    present.filter_map(width).collect()
}

/// Where the embeddings of a file come from, without reading them; none where it does not say.
pub fn read_provenance(path: &Path) -> Option<Provenance> {
    Reader::open(path).ok()?.provenance()
}

impl EmbeddingFile {
    /// Reads all that `path` holds.
    ///
    /// A file of another program may lack `split`, which is then the first 80 % train (with a
    /// warning), and `redshift`, which is then unknown.
    ///
    /// # Errors
    /// [`Error::input`] names the file and dataset, what it is and what was expected.
    pub fn open(path: &Path) -> Result<Self> {
        let reader = Reader::open(path)?;
        let present = reader.present();
        if present.is_empty() {
            return Err(Error::input(format!(
                "has neither {} nor {}; expected an embedding file as `astroclip embed` writes",
                dataset_name(Modality::Image),
                dataset_name(Modality::Spectrum)
            ))
            .in_file(path));
        }
        Self::read(path, &reader, &of_embeddings(&present))
    }

    /// Reads `path` with these vectors, where it is an embedding file that has them all; else none.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn open_vectors(path: &Path, wanted: &[(Modality, Layer)]) -> Result<Option<Self>> {
        let reader = Reader::open(path)?;
        match reader.has_ids() && wanted.iter().all(|&vectors| reader.has(vectors)) {
            true => Self::read(path, &reader, wanted).map(Some),
            false => Ok(None),
        }
    }

    fn read(path: &Path, reader: &Reader, wanted: &[(Modality, Layer)]) -> Result<Self> {
        let datasets = reader.datasets(wanted)?;
        let all = 0..datasets.rows;
        Ok(Self {
            path: path.to_owned(),
            files: vec![path.to_owned()],
            image: datasets.vectors(Modality::Image, all.clone())?,
            spectrum: datasets.vectors(Modality::Spectrum, all.clone())?,
            object_id: datasets.ids(all.clone())?,
            split: datasets.splits(all.clone())?,
            redshift: datasets.redshifts(all.clone())?,
            observed: datasets.observed(all)?,
            features: datasets.features(),
            provenance: reader.provenance(),
        })
    }

    /// A file at `path` of which nothing is known.
    pub fn without_galaxies(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            files: vec![path.to_owned()],
            image: None,
            spectrum: None,
            object_id: Vec::new(),
            split: Vec::new(),
            redshift: Vec::new(),
            observed: Vec::new(),
            features: Vec::new(),
            provenance: None,
        }
    }

    /// Reads the continua (rows, 2, bands) of some rows, in this order, which are not kept in memory; none where the file
    /// has none, or is of another program.
    ///
    /// # Errors
    /// [`Error::input`] where the file cannot be read, or has other rows than when it was opened.
    ///
    /// # Panics
    /// Where there are no such rows.
    pub fn continua(&self, rows: &[usize]) -> Result<Option<Array3<f32>>> {
        /// Rows that are read at once.
        const BLOCK: usize = 8192;
        if !self.files.iter().all(|path| is_embedding_file(path)) {
            return Ok(None);
        }
        let open = |path: &PathBuf| Reader::open(path)?.datasets(&[]);
        let files: Vec<_> = self.files.iter().map(open).collect::<Result<_>>()?;
        let now: usize = files.iter().map(|file| file.rows).sum();
        if now != self.len() {
            return Err(Error::input(format!(
                "has {now} galaxies now, and had {}; run the command again",
                self.len()
            ))
            .in_file(&self.path));
        }
        let mut wanted: Vec<(usize, usize)> = rows.iter().copied().zip(0..).collect();
        wanted.sort_unstable();
        let mut wanted = &wanted[..];
        let mut continua = continuum::unknown(rows.len());
        let (mut first, mut is_known) = (0, false);
        for file in files {
            let here = wanted.partition_point(|(row, _)| *row < first + file.rows);
            let (of_file, rest) = wanted.split_at(here);
            for of_block in
                of_file.chunk_by(|one, next| (one.0 - first) / BLOCK == (next.0 - first) / BLOCK)
            {
                let start = (of_block[0].0 - first) / BLOCK * BLOCK;
                let block = start..(start + BLOCK).min(file.rows);
                let Some(read) = file.continua(block)? else {
                    continue;
                };
                is_known = true;
                for &(row, place) in of_block {
                    let continuum = read.index_axis(Axis(0), row - first - start);
                    continua.index_axis_mut(Axis(0), place).assign(&continuum);
                }
            }
            (wanted, first) = (rest, first + file.rows);
        }
        Ok(is_known.then_some(continua))
    }

    /// The number of galaxies.
    pub fn len(&self) -> usize {
        self.object_id.len()
    }

    /// Whether the file holds no galaxies.
    pub fn is_empty(&self) -> bool {
        self.object_id.is_empty()
    }

    /// The modalities in memory.
    pub fn modalities(&self) -> Vec<Modality> {
        Modality::ALL
            .into_iter()
            .filter(|&modality| self.optional(modality).is_some())
            .collect()
    }

    /// The embeddings (N, D) of `modality`.
    ///
    /// # Errors
    /// [`Error::input`] where the file lacks them; says which it has.
    pub fn embeddings(&self, modality: Modality) -> Result<&Array2<f32>> {
        self.optional(modality)
            .ok_or_else(|| lacks(&self.path, modality, &self.modalities()))
    }

    /// The rows of `split`, in file order.
    pub fn rows_of(&self, split: Split) -> Vec<usize> {
        (0..self.len())
            .filter(|&row| self.split[row] == split)
            .collect()
    }

    /// The galaxies of `split` alone.
    pub fn of_split(&self, split: Split) -> Self {
        let rows = self.rows_of(split);
        let select = |embeddings: &Option<Array2<f32>>| {
            embeddings
                .as_ref()
                .map(|embeddings| embeddings.select(Axis(0), &rows))
        };
        Self {
            path: self.path.clone(),
            files: self.files.clone(),
            image: select(&self.image),
            spectrum: select(&self.spectrum),
            object_id: rows.iter().map(|&row| self.object_id[row]).collect(),
            split: vec![split; rows.len()],
            redshift: rows.iter().map(|&row| self.redshift[row]).collect(),
            observed: rows.iter().map(|&row| self.observed[row]).collect(),
            features: self.features.clone(),
            provenance: self.provenance.clone(),
        }
    }

    fn optional(&self, modality: Modality) -> Option<&Array2<f32>> {
        match modality {
            Modality::Image => self.image.as_ref(),
            Modality::Spectrum => self.spectrum.as_ref(),
        }
    }
}

fn of_embeddings(modalities: &[Modality]) -> Vec<(Modality, Layer)> {
    let of = modalities.iter();
    of.map(|&modality| (modality, Layer::Embeddings)).collect()
}

pub(super) fn lacks(path: &Path, modality: Modality, present: &[Modality]) -> Error {
    let present = match present {
        [] => "no embeddings".to_owned(),
        present => present
            .iter()
            .map(|&modality| dataset_name(modality))
            .collect::<Vec<_>>()
            .join(", "),
    };
    Error::input(format!(
        "has no {}; it has {present}",
        dataset_name(modality)
    ))
    .in_file(path)
}
