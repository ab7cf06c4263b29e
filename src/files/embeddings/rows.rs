//! Embedding files read some rows at a time: memory does not grow with the number of galaxies.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, Axis, s};

use super::continuum;
use super::file::lacks;
use super::lookup::{VectorFile, VectorLookup};
use super::reader::{Datasets, Reader};
use super::{EmbeddingFile, Keys, Layer, ModelEmbeddings, Observed, Provenance, is_embedding_file};
use crate::base::error::{Error, Result};
use crate::survey::{Modality, ObjectId, Split};

/// The rows of some embedding files, one file behind the other.
pub struct EmbeddingRows {
    files: Vec<File>,
    paths: Vec<PathBuf>,
    /// First row of each file.
    starts: Vec<usize>,
    rows: usize,
    /// What every file has embeddings of, and how wide they are.
    widths: Vec<(Modality, usize)>,
    /// Of what the first file's are from before the heads.
    features: Vec<Modality>,
    provenance: Vec<Option<Provenance>>,
}

/// One file.
enum File {
    /// This program's or the released code's: read block by block.
    Open(Box<Datasets>),
    /// Another program's, in memory.
    Read(Box<EmbeddingFile>),
}

/// Some rows; row i is the same galaxy in every part.
#[derive(Debug, Clone)]
pub struct EmbeddingBlock {
    /// Image embeddings (rows, D), where all files have some. A row with NaN is an embedding that is not known.
    pub image: Option<Array2<f32>>,
    /// Spectrum embeddings (rows, D), likewise.
    pub spectrum: Option<Array2<f32>>,
    /// Identifier of each galaxy.
    pub object_id: Vec<ObjectId>,
    /// Split of each galaxy.
    pub split: Vec<Split>,
    /// Redshift of each galaxy, NaN where unknown.
    pub redshift: Vec<f32>,
    /// Right ascension and declination of each galaxy, degrees; NaN where unknown.
    pub position: Vec<[f64; 2]>,
    /// See [`Observed::spectrum_filled`].
    pub spectrum_filled: Vec<f32>,
    /// See [`Observed::signal_to_noise`].
    pub signal_to_noise: Vec<f32>,
    /// See [`Observed::star_lines`].
    pub star_lines: Vec<f32>,
    /// See [`Observed::bands_missing`].
    pub bands_missing: Vec<Option<u8>>,
    /// Continua of the spectra (rows, 2, bands), NaN where unknown; see
    /// [`SpectrumQuality::continuum`](crate::survey::SpectrumQuality::continuum).
    pub continua: Array3<f32>,
}

impl EmbeddingRows {
    /// Opens files of this program, and of others with embeddings of one model (see [`ModelEmbeddings`]); the latter are
    /// read at once.
    ///
    /// # Errors
    /// [`Error::input`] where a file cannot be read or holds embeddings of several models, and where the files have none
    /// of one kind in common, or of different widths.
    pub fn open(paths: &[PathBuf], keys: &Keys) -> Result<Self> {
        let mut opened = Self {
            files: Vec::with_capacity(paths.len()),
            paths: paths.to_vec(),
            starts: Vec::with_capacity(paths.len()),
            rows: 0,
            widths: Vec::new(),
            features: Vec::new(),
            provenance: Vec::with_capacity(paths.len()),
        };
        for path in paths {
            let (file, provenance) = File::open(path, keys)?;
            let widths = file.widths();
            if opened.files.is_empty() {
                opened.widths = widths;
                opened.features = file.features();
            } else {
                let before = opened.widths.clone();
                opened
                    .widths
                    .retain(|(of, _)| widths.iter().any(|(other, _)| other == of));
                let different = opened.widths.iter().find(|width| !widths.contains(width));
                if let Some((of, width)) = different {
                    let other = widths.iter().find(|(other, _)| other == of);
                    return Err(Error::input(format!(
                        "its {of} embeddings are {} wide, those of {} {width}; they are not of one model",
                        other.map_or(0, |(_, width)| *width),
                        paths[0].display(),
                    ))
                    .in_file(path));
                }
                if opened.widths.is_empty() {
                    let kinds = |widths: &[(Modality, usize)]| {
                        let names: Vec<&str> = widths.iter().map(|(of, _)| of.name()).collect();
                        names.join(" and ")
                    };
                    return Err(Error::input(format!(
                        "has {} embeddings, {} has {} embeddings; files given together need one kind in common",
                        kinds(&widths),
                        paths[0].display(),
                        kinds(&before)
                    ))
                    .in_file(path));
                }
            }
            opened.starts.push(opened.rows);
            opened.rows += file.rows();
            opened.files.push(file);
            opened.provenance.push(provenance);
        }
        if opened.files.is_empty() {
            return Err(Error::input("no embedding file given; name at least one"));
        }
        Ok(opened)
    }

    /// Number of galaxies.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What every file has embeddings of.
    pub fn modalities(&self) -> Vec<Modality> {
        self.widths.iter().map(|(modality, _)| *modality).collect()
    }

    /// Width of the embeddings of one kind, where there are some.
    pub fn dimension(&self, modality: Modality) -> Option<usize> {
        let mut widths = self.widths.iter();
        widths
            .find(|(of, _)| *of == modality)
            .map(|(_, width)| *width)
    }

    /// Of what the vectors are from before the heads of the model.
    pub fn features(&self) -> &[Modality] {
        &self.features
    }

    /// Where the embeddings of each file come from; files of other programs do not say.
    pub fn provenance(&self) -> &[Option<Provenance>] {
        &self.provenance
    }

    /// Reads some rows, from as many files as they lie in.
    ///
    /// # Errors
    /// Where a file cannot be read; names the file and dataset.
    ///
    /// # Panics
    /// Where there are no such rows.
    pub fn read(&self, rows: Range<usize>) -> Result<EmbeddingBlock> {
        assert!(
            rows.start <= rows.end && rows.end <= self.rows,
            "rows {rows:?} of {}",
            self.rows
        );
        let of_all = |modality| {
            let width = self.dimension(modality)?;
            Some(Array2::zeros((0, width)))
        };
        let mut block = EmbeddingBlock {
            image: of_all(Modality::Image),
            spectrum: of_all(Modality::Spectrum),
            object_id: Vec::with_capacity(rows.len()),
            split: Vec::with_capacity(rows.len()),
            redshift: Vec::with_capacity(rows.len()),
            position: Vec::with_capacity(rows.len()),
            spectrum_filled: Vec::with_capacity(rows.len()),
            signal_to_noise: Vec::with_capacity(rows.len()),
            star_lines: Vec::with_capacity(rows.len()),
            bands_missing: Vec::with_capacity(rows.len()),
            continua: continuum::unknown(0),
        };
        for (file, part) in self.parts(rows) {
            file.read_into(part, &mut block)?;
        }
        Ok(block)
    }

    /// Reads the embeddings of one kind of some rows.
    ///
    /// # Errors
    /// Where a file cannot be read; names the file and dataset.
    ///
    /// # Panics
    /// Where there are no such rows or embeddings.
    pub fn vectors(&self, of: Modality, rows: Range<usize>) -> Result<Array2<f32>> {
        let width = self.dimension(of).expect("every file has this kind");
        let mut parts = self.parts(rows.clone()).peekable();
        if let Some((file, part)) = parts.next_if(|(_, part)| part.len() == rows.len()) {
            return file.vectors(of, part);
        }
        let mut all = Array2::zeros((rows.len(), width));
        let mut first = 0;
        for (file, part) in parts {
            let end = first + part.len();
            all.slice_mut(s![first..end, ..])
                .assign(&file.vectors(of, part)?);
            first = end;
        }
        Ok(all)
    }

    /// Embeddings of one kind, to be read row by row in any order.
    ///
    /// # Panics
    /// Where there are no such embeddings.
    pub fn lookup(&self, of: Modality) -> VectorLookup {
        let width = self.dimension(of).expect("every file has this kind");
        let files = self.files.iter().map(|file| (file.lookup(of), file.rows()));
        VectorLookup::new(files.collect(), width)
    }

    /// Identifiers of some galaxies.
    ///
    /// # Errors
    /// Where a file cannot be read; names the file and dataset.
    pub fn ids(&self, rows: Range<usize>) -> Result<Vec<ObjectId>> {
        let mut ids = Vec::with_capacity(rows.len());
        for (file, rows) in self.parts(rows) {
            match file {
                File::Open(datasets) => ids.extend(datasets.ids(rows)?),
                File::Read(file) => ids.extend(&file.object_id[rows]),
            }
        }
        Ok(ids)
    }

    /// All that is known of some galaxies but their embeddings, as of one file that is called `path`.
    ///
    /// # Errors
    /// Where a file cannot be read; names the file and dataset.
    ///
    /// # Panics
    /// Where there are no such rows.
    pub fn galaxies(&self, rows: Range<usize>, path: &Path) -> Result<EmbeddingFile> {
        let mut all = EmbeddingFile {
            files: self.paths.clone(),
            provenance: self.provenance[0].clone(),
            ..EmbeddingFile::without_galaxies(path)
        };
        for (file, rows) in self.parts(rows) {
            match file {
                File::Open(datasets) => {
                    all.object_id.extend(datasets.ids(rows.clone())?);
                    all.split.extend(datasets.splits(rows.clone())?);
                    all.redshift.extend(datasets.redshifts(rows.clone())?);
                    all.observed.extend(datasets.observed(rows)?);
                }
                File::Read(file) => {
                    all.object_id.extend(&file.object_id[rows.clone()]);
                    all.split.extend(&file.split[rows.clone()]);
                    all.redshift.extend(&file.redshift[rows.clone()]);
                    all.observed.extend(&file.observed[rows]);
                }
            }
        }
        Ok(all)
    }

    /// All of the files in memory, as one that is called `path`.
    ///
    /// # Errors
    /// As [`galaxies`](Self::galaxies).
    pub fn whole(&self, path: &Path) -> Result<EmbeddingFile> {
        self.whole_of(&self.modalities(), path)
    }

    /// The same with the embeddings of some kinds only.
    ///
    /// # Errors
    /// As [`whole`](Self::whole), and where a kind is missing (says which there are).
    pub fn whole_of(&self, kinds: &[Modality], path: &Path) -> Result<EmbeddingFile> {
        for &of in kinds {
            self.check_has(of, path)?;
        }
        let read = |of| {
            let is_wanted = kinds.contains(&of);
            is_wanted
                .then(|| self.vectors(of, 0..self.rows))
                .transpose()
        };
        let features = self.features.iter().copied();
        Ok(EmbeddingFile {
            image: read(Modality::Image)?,
            spectrum: read(Modality::Spectrum)?,
            features: features.filter(|of| kinds.contains(of)).collect(),
            ..self.galaxies(0..self.rows, path)?
        })
    }

    /// Finds out whether all files, which are called `path`, have embeddings of a kind.
    ///
    /// # Errors
    /// [`Error::input`] says which they have.
    pub fn check_has(&self, of: Modality, path: &Path) -> Result<()> {
        match self.dimension(of) {
            Some(_) => Ok(()),
            None => Err(lacks(path, of, &self.modalities())),
        }
    }

    /// The files in which some rows lie, and which of their rows these are.
    fn parts(&self, rows: Range<usize>) -> impl Iterator<Item = (&File, Range<usize>)> {
        let files = self.files.iter().zip(&self.starts);
        files.filter_map(move |(file, &start)| {
            let (from, to) = (rows.start.max(start), rows.end.min(start + file.rows()));
            (from < to).then(|| (file, from - start..to - start))
        })
    }
}

impl File {
    fn open(path: &PathBuf, keys: &Keys) -> Result<(Self, Option<Provenance>)> {
        let is_default = *keys == Keys::default();
        if (is_default || keys.own().is_some()) && is_embedding_file(path) {
            let reader = Reader::open(path)?;
            let present = reader.present().into_iter();
            let embeddings = present.map(|modality| (modality, Layer::Embeddings));
            let wanted = keys.own().unwrap_or_else(|| embeddings.collect());
            // The other reader's error says what else there is.
            if wanted.iter().all(|&vectors| reader.has(vectors)) {
                let datasets = reader.datasets(&wanted)?;
                return Ok((Self::Open(Box::new(datasets)), reader.provenance()));
            }
        }
        let mut models = ModelEmbeddings::open(path, "", keys)?;
        if let [_, _, ..] = models[..] {
            let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
            return Err(Error::input(format!(
                "holds embeddings of several models ({}); name the columns of one with --embedding-key",
                names.join(", ")
            ))
            .in_file(path));
        }
        let file = models.remove(0).file;
        let provenance = file.provenance.clone();
        Ok((Self::Read(Box::new(file)), provenance))
    }

    fn rows(&self) -> usize {
        match self {
            Self::Open(datasets) => datasets.rows,
            Self::Read(file) => file.len(),
        }
    }

    fn widths(&self) -> Vec<(Modality, usize)> {
        match self {
            Self::Open(datasets) => datasets.widths().collect(),
            Self::Read(file) => {
                let width = |of| Some((of, file.embeddings(of).ok()?.ncols()));
                file.modalities().into_iter().filter_map(width).collect()
            }
        }
    }

    fn vectors(&self, of: Modality, rows: Range<usize>) -> Result<Array2<f32>> {
        match self {
            Self::Open(datasets) => {
                let vectors = datasets.vectors(of, rows)?;
                Ok(vectors.expect("every file has this kind"))
            }
            Self::Read(file) => Ok(file.embeddings(of)?.slice(s![rows, ..]).to_owned()),
        }
    }

    fn lookup(&self, of: Modality) -> VectorFile {
        match self {
            Self::Open(datasets) => datasets.lookup(of).expect("every file has this kind"),
            Self::Read(file) => {
                let vectors = file.embeddings(of).expect("every file has this kind");
                VectorFile::Memory(vectors.clone())
            }
        }
    }

    fn features(&self) -> Vec<Modality> {
        match self {
            Self::Open(datasets) => datasets.features(),
            Self::Read(file) => file.features.clone(),
        }
    }

    /// Appends some rows to `block`, with the embeddings that it has.
    fn read_into(&self, rows: Range<usize>, block: &mut EmbeddingBlock) -> Result<()> {
        for (modality, all) in [
            (Modality::Image, &mut block.image),
            (Modality::Spectrum, &mut block.spectrum),
        ] {
            let Some(all) = all else { continue };
            let vectors = self.vectors(modality, rows.clone())?;
            match all.is_empty() {
                true => *all = vectors,
                false => all
                    .append(Axis(0), vectors.view())
                    .expect("files of one width"),
            }
        }
        let continua = match self {
            Self::Open(datasets) => datasets.continua(rows.clone())?,
            Self::Read(_) => None,
        };
        let continua = continua.unwrap_or_else(|| continuum::unknown(rows.len()));
        match block.continua.is_empty() {
            true => block.continua = continua,
            false => block
                .continua
                .append(Axis(0), continua.view())
                .expect("continua of one shape"),
        }
        let observed: Vec<Observed> = match self {
            Self::Open(datasets) => {
                block.object_id.extend(datasets.ids(rows.clone())?);
                block.split.extend(datasets.splits(rows.clone())?);
                block.redshift.extend(datasets.redshifts(rows.clone())?);
                datasets.observed(rows)?
            }
            Self::Read(file) => {
                block.object_id.extend(&file.object_id[rows.clone()]);
                block.split.extend(&file.split[rows.clone()]);
                block.redshift.extend(&file.redshift[rows.clone()]);
                file.observed[rows].to_vec()
            }
        };
        block.position.extend(observed.iter().map(|of| of.position));
        let of = |value: fn(&Observed) -> f32| observed.iter().map(value);
        block.spectrum_filled.extend(of(|of| of.spectrum_filled));
        block.signal_to_noise.extend(of(|of| of.signal_to_noise));
        block.star_lines.extend(of(|of| of.star_lines));
        let missing = observed.iter().map(|of| of.bands_missing);
        block.bands_missing.extend(missing);
        Ok(())
    }
}
