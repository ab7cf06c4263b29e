//! An index that is open: searches in its lists, answers from the embedding files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use ndarray::ArrayView1;
use rayon::prelude::*;

use super::format::{GalleryHead, Head, Places};
use crate::base::error::{Error, Result};
use crate::base::input;
use crate::base::numeric::matrix;
use crate::evaluation::engine::{Searchable, ranked};
use crate::evaluation::knn::{Admits, InvertedFile, Reach, unit_query};
use crate::files::embeddings::{EmbeddingFile, EmbeddingRows, Keys, VectorLookup};
use crate::files::inputs::InputFiles;
use crate::survey::Modality;

/// Vectors that are looked at for each that is wanted, at least.
const PER_WANTED: usize = 20;

/// An index and its embedding files.
pub struct Index {
    /// The embedding files without their galaxies.
    sources: Vec<EmbeddingFile>,
    /// What is known of the galaxies but their embeddings.
    galaxies: EmbeddingFile,
    galleries: Galleries,
}

/// Embeddings by their kind.
pub type Galleries = Vec<(Modality, Box<dyn Searchable>)>;

/// Embeddings of one kind in an index.
pub struct IndexedVectors {
    path: PathBuf,
    map: Arc<Mmap>,
    head: GalleryHead,
    places: Places,
    vectors: VectorLookup,
    /// Rows without a direction, sorted.
    undirected: Vec<usize>,
    is_exact: bool,
}

impl Index {
    /// Opens an index; with `is_exact` its searches find what those of all embeddings do, and take longer.
    ///
    /// # Errors
    /// [`Error::input`] where the index is damaged, and where an embedding file is gone or has changed since.
    pub fn open(path: &Path, is_exact: bool) -> Result<Self> {
        let (head, places) = Head::read(path)?;
        let home = path.parent().unwrap_or(Path::new(""));
        let files = head.embeddings.iter();
        let files: Vec<PathBuf> = files
            .map(|file| unchanged(file, home, path))
            .collect::<Result<_>>()?;
        let rows = EmbeddingRows::open(&files, &Keys::default())?;
        let map = Arc::new(input::mapped(path)?);
        let ask = (head.collection.as_deref())
            .map(|address| asked(address, &head, is_exact))
            .transpose()?;
        let mut galleries = Vec::new();
        for (gallery, places) in head.galleries.iter().zip(places) {
            let fits =
                rows.rows() == head.galaxies && rows.dimension(gallery.of) == Some(gallery.width);
            if !fits {
                return Err(damaged(
                    path,
                    "its sizes are not those of the embedding files",
                ));
            }
            let vectors = rows.lookup(gallery.of);
            let directed: &[u32] = bytemuck::cast_slice(&map[places.rows.clone()]);
            let undirected = undirected(directed, head.galaxies)
                .ok_or_else(|| damaged(path, "its rows are none of the galaxies"))?;
            let searchable: Box<dyn Searchable> = match &ask {
                Some(ask) => ask(gallery.of, vectors, undirected),
                None => Box::new(
                    IndexedVectors {
                        path: path.to_owned(),
                        map: Arc::clone(&map),
                        head: gallery.clone(),
                        places,
                        vectors,
                        undirected,
                        is_exact,
                    }
                    .checked()?,
                ),
            };
            galleries.push((gallery.of, searchable));
        }
        Ok(Self {
            galaxies: rows.galaxies(0..rows.rows(), path)?,
            sources: (files.iter().zip(rows.provenance()))
                .map(|(path, provenance)| EmbeddingFile {
                    provenance: provenance.clone(),
                    ..EmbeddingFile::without_galaxies(path)
                })
                .collect(),
            galleries,
        })
    }

    /// The embedding files where they lie now, without their galaxies.
    pub fn sources(&self) -> Vec<EmbeddingFile> {
        self.sources.clone()
    }

    /// What is known of the galaxies but their embeddings, under the path of the index.
    pub fn galaxies(&self) -> &EmbeddingFile {
        &self.galaxies
    }

    /// The embeddings of a kind.
    ///
    /// # Errors
    /// [`Error::input`] where there are none; says which there are.
    pub fn gallery(&self, of: Modality) -> Result<&dyn Searchable> {
        let found = self.galleries.iter().find(|(kind, _)| *kind == of);
        found.map(|(_, gallery)| gallery.as_ref()).ok_or_else(|| {
            let present: Vec<&str> = self.galleries.iter().map(|(kind, _)| kind.name()).collect();
            let present = present.join(" and ");
            Error::input(format!("has no {of} embeddings; it has those of {present}"))
                .in_file(&self.galaxies.path)
        })
    }

    /// What is known of the galaxies, and their embeddings.
    pub fn into_parts(self) -> (EmbeddingFile, Galleries) {
        (self.galaxies, self.galleries)
    }
}

/// Where an embedding file lies now.
fn unchanged(file: &InputFiles, home: &Path, index: &Path) -> Result<PathBuf> {
    let remedy = || {
        format!(
            "; {} was made from it: make it again with `astroclip index`",
            index.display()
        )
    };
    let place = file.place(home);
    file.check(&place).map_err(|error| error.and(remedy()))?;
    Ok(place)
}

fn damaged(path: &Path, what: &str) -> Error {
    Error::input(format!(
        "is a damaged index: {what}; make it again with `astroclip index`"
    ))
    .in_file(path)
}

/// The rows that are not among those that have a direction; none where these are no rows of the galaxies.
fn undirected(directed: &[u32], galaxies: usize) -> Option<Vec<usize>> {
    if !directed.par_iter().all(|&row| (row as usize) < galaxies) {
        return None;
    }
    if directed.len() == galaxies {
        return Some(Vec::new());
    }
    let mut is_there = vec![false; galaxies];
    for &row in directed {
        is_there[row as usize] = true;
    }
    Some((0..galaxies).filter(|&row| !is_there[row]).collect())
}

/// Makes a kind's embeddings searchable, which the server has and the lookup reads; the rows have no direction.
type Ask = Box<dyn Fn(Modality, VectorLookup, Vec<usize>) -> Box<dyn Searchable>>;

/// What asks a collection.
#[cfg(feature = "qdrant")]
fn asked(address: &str, head: &Head, is_exact: bool) -> Result<Ask> {
    use crate::evaluation::engine::qdrant::{CollectedVectors, Collection};
    let collection = Arc::new(Collection::at(address)?);
    collection.check(head.galaxies, &super::collect::source(&head.embeddings))?;
    Ok(Box::new(move |of, vectors, undirected| {
        let collection = Arc::clone(&collection);
        Box::new(CollectedVectors::new(
            collection, of, vectors, undirected, is_exact,
        ))
    }))
}

#[cfg(not(feature = "qdrant"))]
fn asked(address: &str, _head: &Head, _is_exact: bool) -> Result<Ask> {
    Err(without_qdrant(address))
}

/// This program asks no server.
#[cfg(not(feature = "qdrant"))]
pub(super) fn without_qdrant(address: &str) -> Error {
    Error::input(format!(
        "qdrant={address}: this program was built without it: cargo install … --features qdrant"
    ))
}

impl IndexedVectors {
    /// The same, once its lists are known to be lists.
    fn checked(self) -> Result<Self> {
        let lists = self.lists();
        let ends = (lists.starts.first(), lists.starts.last());
        let are_lists =
            ends == (Some(&0), Some(&(self.head.vectors as u64))) && lists.starts.is_sorted();
        match are_lists {
            true => Ok(self),
            false => Err(damaged(&self.path, "its lists are none of the galaxies")),
        }
    }

    fn lists(&self) -> InvertedFile<'_> {
        let Places {
            starts,
            centres,
            bias,
            rows,
            step,
            error,
            codes,
        } = &self.places;
        let floats =
            |place: &std::ops::Range<usize>| bytemuck::cast_slice(&self.map[place.clone()]);
        InvertedFile {
            centres: matrix(floats(centres), (self.head.lists, self.head.width)),
            bias: floats(bias),
            starts: bytemuck::cast_slice(&self.map[starts.clone()]),
            rows: bytemuck::cast_slice(&self.map[rows.clone()]),
            step: floats(step),
            error: floats(error),
            codes: bytemuck::cast_slice(&self.map[codes.clone()]),
        }
    }

    /// How far a search goes by an embedding of some kind; of one that is not known as far as of any.
    fn reach(&self, from: Option<Modality>, k: usize) -> Reach {
        if self.is_exact {
            return Reach::All;
        }
        let searches = self.head.searches.iter();
        let known = searches.filter(|search| from.is_none_or(|from| search.from == from));
        let most = known.map(|search| search.vectors).max();
        match most {
            Some(vectors) => Reach::Vectors(vectors.max(PER_WANTED * k)),
            // Of this kind nothing was measured.
            None => Reach::All,
        }
    }
}

impl Searchable for IndexedVectors {
    fn len(&self) -> usize {
        self.vectors.rows()
    }

    fn width(&self) -> usize {
        self.head.width
    }

    fn directed(&self) -> usize {
        self.len() - self.undirected.len()
    }

    fn has_direction(&self, row: usize) -> bool {
        self.undirected.binary_search(&row).is_err()
    }

    fn is_approximate(&self) -> bool {
        !self.is_exact
    }

    fn vector(&self, row: usize) -> Result<Vec<f32>> {
        self.vectors.read(row)
    }

    fn nearest(
        &self,
        query: ArrayView1<'_, f32>,
        from: Option<Modality>,
        k: usize,
        admits: Admits<'_>,
    ) -> Result<Vec<(usize, f64)>> {
        let unit = unit_query(query, self.width())?;
        if k == 0 {
            return Ok(Vec::new());
        }
        let rows = self
            .lists()
            .candidates(&unit, k, self.reach(from, k), admits);
        ranked(query, rows, k, &self.vectors)
    }
}
