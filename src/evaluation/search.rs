//! Similarity search in an embedding file, within and across modalities (paper section 6.1).

use std::ops::Range;
use std::path::Path;

use comfy_table::CellAlignment;
use ndarray::{Array1, ArrayView1, ArrayView2, Axis};
use serde::Serialize;

use crate::base::error::{Error, Result};
use crate::base::terminal::new_table;
use crate::evaluation::engine::Index;
use crate::evaluation::knn::{self, has_direction};
use crate::files::embeddings::{EmbeddingFile, EmbeddingRows};
use crate::survey::{Modality, ObjectId, Split};

/// A galaxy to look for, and among what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The galaxy whose embedding is the query.
    pub object_id: ObjectId,
    /// Which embedding of that galaxy.
    pub from: Modality,
    /// Which embeddings are searched.
    pub to: Modality,
    /// Matches wanted; all galaxies where there are fewer.
    pub k: usize,
}

/// A galaxy found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Match {
    /// Position among the matches, from 1.
    pub rank: usize,
    /// Its identifier.
    pub object_id: ObjectId,
    /// Its row in the embedding file.
    pub row: usize,
    /// Cosine similarity to the query, −1 to 1.
    pub similarity: f64,
    /// Its redshift, if known.
    pub redshift: Option<f32>,
    /// Its split.
    pub split: Split,
}

/// The galaxies most similar to the query by cosine, best first. Nothing is excluded: within one
/// modality the best match is the query itself, as in the paper.
///
/// A galaxy whose searched embedding is not finite, or zero throughout, cannot match: it has no direction. Of
/// several rows with the wanted identifier the first is the query.
///
/// # Errors
/// [`Error::input`] where the identifier is unknown, a modality is missing, the query's embedding has no
/// direction, or `k` is 0.
pub fn search(file: &EmbeddingFile, query: &Query) -> Result<Vec<Match>> {
    let from = file.embeddings(query.from)?;
    let to = file.embeddings(query.to)?;
    let row = row_of(file, query.object_id)?;
    let vector = from.row(row);
    if !has_direction(vector) {
        return Err(without_direction(file, query.from, row, vector));
    }
    let (nearest, directed) = nearest(to.view(), vector, query.k)?;
    warn_of_undirected(&file.path, query.to, file.len() - directed);
    let matches = nearest.into_iter().zip(1..);
    Ok(matches
        .map(|((row, similarity), rank)| Match::new(file, rank, row, similarity))
        .collect())
}

/// The galaxies of embedding files, called `path`, most similar to the query by cosine, best first: those that
/// [`search`] finds in one file of all, block by block. Memory does not grow with the number of galaxies.
///
/// # Errors
/// As [`search`], and where a file cannot be read.
pub fn search_rows(rows: &EmbeddingRows, path: &Path, query: &Query) -> Result<Vec<Match>> {
    for of in [query.from, query.to] {
        rows.check_has(of, path)?;
    }
    let mut found = Vec::new();
    for block in blocks(rows.rows()) {
        let ids = rows.ids(block.clone())?;
        let of_block = block.zip(ids).filter(|(_, id)| *id == query.object_id);
        found.extend(of_block.map(|(row, _)| row));
    }
    let about = |row: usize| rows.galaxies(row..(row + 1).min(rows.rows()), path);
    let row = match found[..] {
        [] => return Err(unknown_among(&about(0)?, rows.rows(), query.object_id)),
        [row] => row,
        [row, ..] => {
            warn_of_others(path, query.object_id, row, found.len() - 1);
            row
        }
    };
    let vector = rows.vectors(query.from, row..row + 1)?;
    let vector = vector.row(0);
    if !has_direction(vector) {
        return Err(not_directed(&about(row)?, 0, query.from, row, vector));
    }
    let mut best: Vec<(usize, f64)> = Vec::new();
    let mut undirected = 0;
    for block in blocks(rows.rows()) {
        let to = rows.vectors(query.to, block.clone())?;
        let (nearest, directed) = nearest(to.view(), vector, query.k)?;
        undirected += block.len() - directed;
        best.extend(
            nearest
                .into_iter()
                .map(|(row, similarity)| (block.start + row, similarity)),
        );
        // Stable: of equals those of earlier rows stay in front.
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        best.truncate(query.k);
    }
    warn_of_undirected(path, query.to, undirected);
    let mut ranked: Vec<(usize, (usize, f64))> = (1..).zip(best).collect();
    ranked.sort_unstable_by_key(|(_, (row, _))| *row);
    let mut matches = Vec::with_capacity(ranked.len());
    for of_block in ranked.chunk_by(|(_, a), (_, b)| a.0 / BLOCK == b.0 / BLOCK) {
        let start = of_block[0].1.0 / BLOCK * BLOCK;
        let file = rows.galaxies(start..(start + BLOCK).min(rows.rows()), path)?;
        matches.extend(of_block.iter().map(|&(rank, (row, similarity))| Match {
            row,
            ..Match::new(&file, rank, row - start, similarity)
        }));
    }
    matches.sort_unstable_by_key(|found| found.rank);
    Ok(matches)
}

/// Rows that are read at once.
const BLOCK: usize = 16_384;

fn blocks(rows: usize) -> impl Iterator<Item = Range<usize>> {
    let starts = (0..rows).step_by(BLOCK);
    starts.map(move |start| start..(start + BLOCK).min(rows))
}

/// The `k` rows most similar to a vector with a direction, and their cosines, best first; and how many rows have one.
fn nearest(
    vectors: ArrayView2<'_, f32>,
    vector: ArrayView1<'_, f32>,
    k: usize,
) -> Result<(Vec<(usize, f64)>, usize)> {
    let all = vectors.nrows();
    let candidates: Vec<usize> = (0..all)
        .filter(|&row| has_direction(vectors.row(row)))
        .collect();
    let directed = candidates.len();
    let selected = (directed < all).then(|| vectors.select(Axis(0), &candidates));
    let gallery = selected
        .as_ref()
        .map_or(vectors, |selected| selected.view());
    let nearest = match (k, directed) {
        (1.., 0) => return Ok((Vec::new(), 0)),
        _ => knn::cosine(gallery, vector.insert_axis(Axis(0)), k.min(directed))?,
    };
    let rows = nearest.index.iter().map(|&index| candidates[index]);
    Ok((rows.zip(nearest.score).collect(), directed))
}

/// The galaxies of an index most similar to the query by cosine, best first: as [`search`], but that some of them may be
/// missing unless the index was opened as exact.
///
/// # Errors
/// As [`search`], and where an embedding cannot be read.
pub fn search_index(index: &Index, query: &Query) -> Result<Vec<Match>> {
    let file = index.galaxies();
    let (from, to) = (index.gallery(query.from)?, index.gallery(query.to)?);
    let row = row_of(file, query.object_id)?;
    let vector = Array1::from(from.vector(row)?);
    if !from.has_direction(row) {
        return Err(without_direction(file, query.from, row, vector.view()));
    }
    warn_of_undirected(&file.path, query.to, file.len() - to.directed());
    let nearest = to.nearest(vector.view(), Some(query.from), query.k, None)?;
    let matches = nearest.into_iter().zip(1..);
    Ok(matches
        .map(|((row, similarity), rank)| Match::new(file, rank, row, similarity))
        .collect())
}

/// The row of a galaxy; of several the first.
fn row_of(file: &EmbeddingFile, object_id: ObjectId) -> Result<usize> {
    let mut rows = (0..file.len()).filter(|&row| file.object_id[row] == object_id);
    let row = rows.next().ok_or_else(|| unknown(file, object_id))?;
    let others = rows.count();
    if others > 0 {
        warn_of_others(&file.path, object_id, row, others);
    }
    Ok(row)
}

fn warn_of_others(path: &Path, object_id: ObjectId, row: usize, others: usize) {
    tracing::warn!(
        "{}: {others} more rows have the id {object_id}; searching for the first, row {row}",
        path.display(),
    );
}

fn warn_of_undirected(path: &Path, of: Modality, undirected: usize) {
    if undirected > 0 {
        tracing::warn!(
            "{}: {undirected} galaxies have a {of} embedding that is zero or not finite and cannot match",
            path.display(),
        );
    }
}

impl Match {
    /// The galaxy in a row of a file.
    pub fn new(file: &EmbeddingFile, rank: usize, row: usize, similarity: f64) -> Self {
        Self {
            rank,
            object_id: file.object_id[row],
            row,
            similarity,
            redshift: Some(file.redshift[row]).filter(|redshift| redshift.is_finite()),
            split: file.split[row],
        }
    }
}

/// The embedding of a row, `vector`, has no direction in which others could lie.
pub fn without_direction(
    file: &EmbeddingFile,
    of: Modality,
    row: usize,
    vector: ArrayView1<'_, f32>,
) -> Error {
    not_directed(file, row, of, row, vector)
}

/// The same for a row that is the `place`th of the galaxies of `file`.
fn not_directed(
    file: &EmbeddingFile,
    place: usize,
    of: Modality,
    row: usize,
    vector: ArrayView1<'_, f32>,
) -> Error {
    let what = match vector.iter().all(|&value| value == 0.0) {
        true => "zero throughout",
        false => "not finite",
    };
    Error::input(format!(
        "the {of} embedding of galaxy {} (row {row}) is {what}; it cannot be searched for",
        file.object_id[place]
    ))
    .in_file(&file.path)
}

/// No galaxy of the file has this identifier; says how identifiers look there.
pub fn unknown(file: &EmbeddingFile, object_id: impl std::fmt::Display) -> Error {
    unknown_among(file, file.len(), object_id)
}

/// The same where there are `all` galaxies, of which `file` has the first.
fn unknown_among(file: &EmbeddingFile, all: usize, object_id: impl std::fmt::Display) -> Error {
    let example = file
        .object_id
        .first()
        .map_or(String::new(), |id| format!(", for example {id}"));
    Error::input(format!(
        "no galaxy has the id {object_id}; the file holds {all} ids{example}"
    ))
    .in_file(&file.path)
}

/// The matches as a table for people.
pub fn render_table(matches: &[Match]) -> String {
    let mut table = new_table();
    table.set_header(["rank", "object_id", "similarity", "redshift", "split"]);
    for found in matches {
        table.add_row([
            found.rank.to_string(),
            found.object_id.to_string(),
            format!("{:.4}", found.similarity),
            found
                .redshift
                .map_or("–".to_owned(), |redshift| format!("{redshift:.4}")),
            format!("{:?}", found.split).to_lowercase(),
        ]);
    }
    for column in 0..4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    format!("{table}\n")
}
