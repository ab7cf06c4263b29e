//! Fills a collection of a Qdrant server instead of lists: the index then holds no more than what it is of.

use super::build::blocks_of;
use super::format::GalleryHead;
use crate::base::error::Result;
use crate::base::progress::Progress;
use crate::evaluation::engine::qdrant::Collection;
use crate::evaluation::knn::has_direction;
use crate::files::embeddings::EmbeddingRows;
use crate::files::inputs::InputFiles;

/// Galaxies in one request: some megabytes.
const BLOCK: usize = 256;

/// Makes the collection; returns what it has of each kind, and the rows that have a direction.
pub(super) fn collect(
    address: &str,
    files: &EmbeddingRows,
    embeddings: &[InputFiles],
) -> Result<Vec<(GalleryHead, Vec<u32>)>> {
    let widths: Vec<_> = (files.modalities().into_iter())
        .filter_map(|of| Some((of, files.dimension(of)?)))
        .collect();
    let mut directed: Vec<Vec<u32>> = vec![Vec::new(); widths.len()];
    let collection = Collection::at(address)?;
    collection.create(&widths)?;
    let source = source(embeddings);
    let galaxies = files.rows();
    let mut progress = Progress::new("sending", "galaxies", 0, galaxies as u64);
    for rows in blocks_of(BLOCK, galaxies) {
        let vectors: Vec<_> = (widths.iter())
            .map(|&(of, _)| Ok((of, files.vectors(of, rows.clone())?)))
            .collect::<Result<_>>()?;
        for (directed, (_, vectors)) in directed.iter_mut().zip(&vectors) {
            let all = (rows.start as u32..).zip(vectors.outer_iter());
            directed.extend(
                all.filter(|(_, vector)| has_direction(vector.view()))
                    .map(|(row, _)| row),
            );
        }
        collection.add(rows.start, &vectors, &source)?;
        progress.set(rows.end as u64, "");
    }
    progress.finish("");
    let galleries = widths
        .into_iter()
        .zip(directed)
        .map(|((of, width), directed)| {
            let head = GalleryHead {
                of,
                width,
                vectors: directed.len(),
                lists: 0,
                searches: Vec::new(),
            };
            (head, directed)
        });
    Ok(galleries.collect())
}

/// What tells the embedding files from others.
pub(super) fn source(embeddings: &[InputFiles]) -> String {
    let samples: Vec<&str> = embeddings
        .iter()
        .map(|file| file.sample_sha256.as_str())
        .collect();
    samples.join(" ")
}
