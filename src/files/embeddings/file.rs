//! Embedding files of this program and of the released code in memory.

use std::path::{Path, PathBuf};

use hdf5::H5Type;
use ndarray::{Array2, Axis, Ix2};

use super::columns::{check_vectors, complete};
use super::{
    FORMAT_VERSION, FORMAT_VERSION_ATTRIBUTE, INPUTS, MODEL_CONFIG, MODEL_SHA256, NORMALIZED,
    OBJECT_ID, PROGRAM_VERSION, Provenance, REDSHIFT, SPLIT, dataset_name, known_redshifts,
};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file;
use crate::files::identifiers;
use crate::survey::{Modality, ObjectId, Split};

/// An embedding file in memory; row i is the same galaxy in every part.
#[derive(Debug, Clone)]
pub struct EmbeddingFile {
    /// Where it was read from.
    pub path: PathBuf,
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
    /// Where the embeddings come from; files of other programs do not say.
    pub provenance: Option<Provenance>,
}

/// Whether a file holds embeddings as this program writes them.
pub fn is_embedding_file(path: &Path) -> bool {
    Reader::open(path)
        .is_ok_and(|reader| !reader.present().is_empty() && reader.file.link_exists(OBJECT_ID))
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
        reader.read(&present)
    }

    /// Reads `path` with the embeddings of `modalities` only, which a large file makes worthwhile.
    ///
    /// # Errors
    /// As [`open`](Self::open), and where the file lacks one of `modalities` (says which it has).
    pub fn open_modalities(path: &Path, modalities: &[Modality]) -> Result<Self> {
        let reader = Reader::open(path)?;
        let present = reader.present();
        if let Some(missing) = modalities.iter().find(|wanted| !present.contains(wanted)) {
            return Err(lacks(path, *missing, &present));
        }
        reader.read(modalities)
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
            image: select(&self.image),
            spectrum: select(&self.spectrum),
            object_id: rows.iter().map(|&row| self.object_id[row]).collect(),
            split: vec![split; rows.len()],
            redshift: rows.iter().map(|&row| self.redshift[row]).collect(),
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

fn lacks(path: &Path, modality: Modality, present: &[Modality]) -> Error {
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

struct Reader<'a> {
    path: &'a Path,
    file: hdf5::File,
}

impl<'a> Reader<'a> {
    fn open(path: &'a Path) -> Result<Self> {
        let file = hdf5_file::open(path)?;
        Ok(Self { path, file })
    }

    fn present(&self) -> Vec<Modality> {
        Modality::ALL
            .into_iter()
            .filter(|&modality| self.file.link_exists(dataset_name(modality)))
            .collect()
    }

    fn read(&self, modalities: &[Modality]) -> Result<EmbeddingFile> {
        self.check_version()?;
        if !self.file.link_exists(OBJECT_ID) {
            let members = self.file.member_names().unwrap_or_default().join(", ");
            return Err(Error::input(format!(
                "has no {OBJECT_ID} (integers or text, one per galaxy); it has: {members}"
            ))
            .in_file(self.path));
        }
        let object_id = self.ids()?;
        let rows = object_id.len();
        let read = |modality| -> Result<Option<Array2<f32>>> {
            modalities
                .contains(&modality)
                .then(|| self.matrix(dataset_name(modality), rows))
                .transpose()
        };
        Ok(EmbeddingFile {
            path: self.path.to_owned(),
            image: read(Modality::Image)?,
            spectrum: read(Modality::Spectrum)?,
            split: self.split(rows)?,
            redshift: if self.file.link_exists(REDSHIFT) {
                known_redshifts(self.column(REDSHIFT, rows)?.into_iter())
            } else {
                vec![f32::NAN; rows]
            },
            provenance: self.provenance(),
            object_id,
        })
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
            .in_file(self.path)),
            _ => Ok(()),
        }
    }

    fn split(&self, rows: usize) -> Result<Vec<Split>> {
        if !self.file.link_exists(SPLIT) {
            tracing::warn!(
                "{}: has no {SPLIT}; taking the first 80 % of its {rows} rows as train and the rest \
                 as test",
                self.path.display()
            );
            return Ok(Split::of_group(rows).collect());
        }
        let codes: Vec<u8> = self.column(SPLIT, rows)?;
        codes
            .into_iter()
            .enumerate()
            .map(|(row, code)| match code {
                0 => Ok(Split::Train),
                1 => Ok(Split::Test),
                _ => Err(Error::input(format!(
                    "{SPLIT} is {code} in row {row}; expected 0 (train) or 1 (test)"
                ))
                .in_file(self.path)),
            })
            .collect()
    }

    fn ids(&self) -> Result<Vec<ObjectId>> {
        let dataset = self.dataset(OBJECT_ID)?;
        match dataset.shape()[..] {
            [rows] | [rows, 1] => {
                let ids = identifiers::read(self.path, &dataset, None, 0..rows)?;
                complete(self.path, OBJECT_ID, ids)
            }
            ref shape => Err(self.wrong_shape(OBJECT_ID, shape, "(N)")),
        }
    }

    fn column<T: H5Type>(&self, name: &str, rows: usize) -> Result<Vec<T>> {
        let dataset = self.dataset(name)?;
        let shape = dataset.shape();
        // Some programs write (N, 1).
        let one_column = match shape[..] {
            [length] | [length, 1] => rows == length,
            _ => false,
        };
        if !one_column {
            return Err(self.wrong_shape(name, &shape, &format!("({rows})")));
        }
        dataset
            .read_raw::<T>()
            .map_err(|source| self.unreadable(name, source))
    }

    fn matrix(&self, name: &str, rows: usize) -> Result<Array2<f32>> {
        let dataset = self.dataset(name)?;
        let shape = dataset.shape();
        match shape[..] {
            [length, width] if length == rows && width > 0 => {
                let read = dataset.read::<f32, Ix2>();
                let values = read.map_err(|source| self.unreadable(name, source))?;
                check_vectors(self.path, name, &values)?;
                Ok(values)
            }
            _ => Err(self.wrong_shape(
                name,
                &shape,
                &format!("({rows}, D), one row per {OBJECT_ID}"),
            )),
        }
    }

    fn dataset(&self, name: &str) -> Result<hdf5::Dataset> {
        hdf5_file::dataset(self.path, &self.file, name)?
            .ok_or_else(|| Error::input(format!("{name} is no dataset")).in_file(self.path))
    }

    fn wrong_shape(&self, name: &str, shape: &[usize], expected: &str) -> Error {
        Error::input(format!("{name} has shape {shape:?}; expected {expected}")).in_file(self.path)
    }

    fn unreadable(&self, name: &str, source: hdf5::Error) -> Error {
        Error::input(format!("{name} cannot be read: {source}"))
            .caused_by(source)
            .in_file(self.path)
    }

    fn provenance(&self) -> Option<Provenance> {
        let text = |name: &str| hdf5_file::attribute_texts(&self.file, name)?.pop();
        let normalized = self.file.attr(NORMALIZED).ok()?;
        Some(Provenance {
            model_sha256: text(MODEL_SHA256)?,
            model_config: text(MODEL_CONFIG)?,
            program_version: text(PROGRAM_VERSION)?,
            normalized: normalized.read_scalar::<bool>().ok()?,
            inputs: text(INPUTS).and_then(|text| serde_json::from_str(&text).ok()),
        })
    }
}
