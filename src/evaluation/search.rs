//! Similarity search in an embedding file, within and across modalities (paper section 6.1).

use comfy_table::CellAlignment;
use ndarray::{Array1, ArrayView1, Axis};
use serde::Serialize;

use crate::base::error::{Error, Result};
use crate::base::terminal::new_table;
use crate::evaluation::engine::Index;
use crate::evaluation::knn::{self, has_direction};
use crate::files::embeddings::EmbeddingFile;
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
    let candidates: Vec<usize> = (0..file.len())
        .filter(|&row| has_direction(to.row(row)))
        .collect();
    warn_of_undirected(file, query.to, candidates.len());
    let complete = candidates.len() == file.len();
    let selected = (!complete).then(|| to.select(Axis(0), &candidates));
    let gallery = selected.as_ref().unwrap_or(to);
    let k = query.k.min(candidates.len());
    let nearest = knn::cosine(gallery.view(), vector.insert_axis(Axis(0)), k)?;
    let matches = nearest.index.iter().zip(&nearest.score).zip(1..);
    Ok(matches
        .map(|((&index, &similarity), rank)| Match::new(file, rank, candidates[index], similarity))
        .collect())
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
    warn_of_undirected(file, query.to, to.directed());
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
        tracing::warn!(
            "{}: {others} more rows have the id {object_id}; searching for the first, row {row}",
            file.path.display(),
        );
    }
    Ok(row)
}

fn warn_of_undirected(file: &EmbeddingFile, of: Modality, directed: usize) {
    if directed < file.len() {
        tracing::warn!(
            "{}: {} galaxies have a {of} embedding that is zero or not finite and cannot match",
            file.path.display(),
            file.len() - directed,
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
    let what = match vector.iter().all(|&value| value == 0.0) {
        true => "zero throughout",
        false => "not finite",
    };
    Error::input(format!(
        "the {of} embedding of galaxy {} (row {row}) is {what}; it cannot be searched for",
        file.object_id[row]
    ))
    .in_file(&file.path)
}

/// No galaxy of the file has this identifier; says how identifiers look there.
pub fn unknown(file: &EmbeddingFile, object_id: impl std::fmt::Display) -> Error {
    let example = file
        .object_id
        .first()
        .map_or(String::new(), |id| format!(", for example {id}"));
    Error::input(format!(
        "no galaxy has the id {object_id}; the file holds {} ids{example}",
        file.len()
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
