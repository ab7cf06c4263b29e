//! Makes an index in three goes over the embeddings of a kind: a sample for the centres, all for the lists that they belong
//! to, all once more to be written there. Memory grows by 16 bytes for each galaxy.

use std::fs::OpenOptions;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis};
use rand::seq::index::sample;
use rayon::prelude::*;

use super::format::{GalleryHead, Head, Places, VERSION};
use super::measure::{Nearest, Queries};
use crate::base::error::{Error, Result};
use crate::base::output::{PartialFile, place_of};
use crate::base::progress::Progress;
use crate::base::random::{Purpose, generator};
use crate::evaluation::knn::{Clusters, InvertedFile, coded, has_direction, length};
use crate::files::embeddings::{EmbeddingRows, Keys, VectorLookup};
use crate::files::inputs::InputFiles;
use crate::survey::Modality;

/// Galaxies that are read at once.
const BLOCK: usize = 16_384;
/// Vectors of the sample for each list.
const PER_LIST: usize = 64;
/// The list of a vector without a direction.
const NONE: u32 = u32::MAX;

/// What to make.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Embedding files, which are one behind the other.
    pub files: Vec<PathBuf>,
    /// The index.
    pub out: PathBuf,
    /// Share of the ten nearest that searches are to find, above 0 to 1.
    pub recall: f64,
    /// Where a Qdrant server is to search, its collection: `http://HOST:PORT/NAME`.
    pub collection: Option<String>,
}

/// The lists of a kind of embeddings before anything is written.
struct Sorted {
    head: GalleryHead,
    clusters: Clusters,
    /// Where the lists begin, and where the last ends.
    starts: Vec<u64>,
    /// The list of each row.
    list_of: Vec<u32>,
}

/// Makes an index, whole or not at all.
///
/// # Errors
/// [`Error::input`] where an embedding file cannot be used, or there are no or too many galaxies; [`Error::run`] where the
/// disk refuses.
pub fn build(options: &BuildOptions) -> Result<Head> {
    let files = EmbeddingRows::open(&options.files, &Keys::default())?;
    let galaxies = files.rows();
    if galaxies == 0 || galaxies >= NONE as usize {
        return Err(
            Error::input(format!("{galaxies} galaxies; expected 1 to {}", NONE - 1))
                .in_file(&options.files[0]),
        );
    }
    check_one_model(&options.files, &files)?;
    let partial = PartialFile::beside(&options.out)?;
    let place = place_of(&options.out)?;
    let home = place.parent().unwrap_or(Path::new(""));
    let record = |path: &PathBuf| InputFiles::record(path, home);
    let embeddings: Vec<InputFiles> = options.files.iter().map(record).collect::<Result<_>>()?;
    if let Some(address) = &options.collection {
        return of_collection(options, address, &files, embeddings, partial);
    }
    let kinds = files.modalities();
    let lookups: Vec<VectorLookup> = kinds.iter().map(|&of| files.lookup(of)).collect();
    let queries: Vec<Queries> = (kinds.iter().zip(&lookups))
        .map(|(&of, lookup)| Queries::of(of, lookup))
        .collect::<Result<_>>()?;
    let sorted: Vec<Sorted> = (kinds.iter().zip(&lookups))
        .map(|(&of, lookup)| sort(&files, of, lookup, &queries, options.recall))
        .collect::<Result<_>>()?;
    let head = Head {
        version: VERSION,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        galaxies,
        embeddings,
        collection: None,
        galleries: sorted.iter().map(|sorted| sorted.head.clone()).collect(),
    };
    let (start, places, bytes) = head.laid_out();
    partial.make_room(bytes as u64)?;
    let writing = |source| Error::writing(&options.out, source);
    let file = OpenOptions::new().write(true).open(partial.path());
    let file = file.map_err(writing)?;
    let put = |place: usize, bytes: &[u8]| file.write_all_at(bytes, place as u64).map_err(writing);
    put(0, &start)?;
    for (sorted, places) in sorted.iter().zip(&places) {
        sorted.write(&files, places, &put)?;
    }
    file.set_len(bytes as u64).map_err(writing)?;
    partial.finish()?;
    Ok(head)
}

/// Fills a collection, and writes what it is of.
#[cfg(feature = "qdrant")]
fn of_collection(
    options: &BuildOptions,
    address: &str,
    files: &EmbeddingRows,
    embeddings: Vec<InputFiles>,
    partial: PartialFile,
) -> Result<Head> {
    let collected = super::collect::collect(address, files, &embeddings)?;
    let (galleries, directed): (Vec<_>, Vec<_>) = collected.into_iter().unzip();
    let head = Head {
        version: VERSION,
        program_version: env!("CARGO_PKG_VERSION").to_owned(),
        galaxies: files.rows(),
        embeddings,
        collection: Some(address.to_owned()),
        galleries,
    };
    let (mut bytes, _, _) = head.laid_out();
    bytes.extend(
        directed
            .iter()
            .flat_map(|rows| bytemuck::cast_slice::<u32, u8>(rows)),
    );
    std::fs::write(partial.path(), bytes).map_err(|source| Error::writing(&options.out, source))?;
    partial.finish()?;
    Ok(head)
}

#[cfg(not(feature = "qdrant"))]
fn of_collection(
    _options: &BuildOptions,
    address: &str,
    _files: &EmbeddingRows,
    _embeddings: Vec<InputFiles>,
    _partial: PartialFile,
) -> Result<Head> {
    Err(super::open::without_qdrant(address))
}

/// Refuses files whose embeddings are not comparable, as far as they say.
fn check_one_model(paths: &[PathBuf], files: &EmbeddingRows) -> Result<()> {
    let models = paths.iter().zip(files.provenance());
    let mut models = models.filter_map(|(path, from)| Some((path, from.as_ref()?)));
    let Some((first, model)) = models.next() else {
        return Ok(());
    };
    match models.find(|(_, other)| other.model_sha256 != model.model_sha256) {
        None => Ok(()),
        Some((path, _)) => Err(Error::input(format!(
            "its embeddings are of another model than those of {}; an index is of one",
            first.display()
        ))
        .in_file(path)),
    }
}

/// Finds centres, and the list of every row.
fn sort(
    files: &EmbeddingRows,
    of: Modality,
    lookup: &VectorLookup,
    queries: &[Queries],
    recall: f64,
) -> Result<Sorted> {
    let galaxies = files.rows();
    let wanted = ((4.0 / 3.0) * (galaxies as f64).sqrt()) as usize;
    let sample = sampled(lookup, galaxies.min(PER_LIST * wanted.max(1)))?;
    if sample.is_empty() {
        return Err(Error::input(format!(
            "all {of} embeddings are zero or not finite; there is nothing to search"
        )));
    }
    let count = wanted.clamp(1, sample.nrows());
    let rounds = Clusters::rounds();
    let mut progress = Progress::new(format!("{of}: {count} lists"), "rounds", 0, rounds as u64);
    let clusters = Clusters::of(sample.view(), count, |round| progress.set(round as u64, ""));
    progress.finish("");
    drop(sample);

    let mut nearest: Vec<Nearest<'_>> = (queries.iter())
        .map(|queries| Nearest::new(queries, of))
        .collect();
    let mut list_of = Vec::with_capacity(galaxies);
    let mut progress = Progress::new(format!("{of}: sorting"), "galaxies", 0, galaxies as u64);
    for rows in blocks(galaxies) {
        let (unit, norms) = directions(files.vectors(of, rows.clone())?);
        let lists = clusters.nearest(unit.view()).into_iter().zip(&norms);
        list_of.extend(lists.map(|(list, &norm)| if norm > 0.0 { list } else { NONE }));
        for nearest in &mut nearest {
            nearest.look_at(rows.start, unit.view(), &norms);
        }
        progress.set(rows.end as u64, "");
    }
    progress.finish("");

    let mut starts = vec![0; count + 1];
    for &list in list_of.iter().filter(|list| **list != NONE) {
        starts[list as usize + 1] += 1;
    }
    for list in 0..count {
        starts[list + 1] += starts[list];
    }
    let lists = InvertedFile {
        centres: clusters.centres().view(),
        bias: clusters.bias(),
        starts: &starts,
        rows: &[],
        step: &[],
        error: &[],
        codes: &[],
    };
    let head = GalleryHead {
        of,
        width: lookup.width(),
        vectors: starts[count] as usize,
        lists: count,
        searches: (nearest.iter())
            .map(|nearest| nearest.measured(&lists, &list_of, recall))
            .collect(),
    };
    Ok(Sorted {
        head,
        clusters,
        starts,
        list_of,
    })
}

impl Sorted {
    /// Writes the lists by `put(place, bytes)`.
    fn write(
        &self,
        files: &EmbeddingRows,
        places: &Places,
        put: &impl Fn(usize, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let Self {
            head: GalleryHead {
                of, width, vectors, ..
            },
            clusters,
            ..
        } = self;
        put(places.starts.start, bytemuck::cast_slice(&self.starts))?;
        let centres = clusters.centres().as_slice().expect("standard layout");
        put(places.centres.start, bytemuck::cast_slice(centres))?;
        put(places.bias.start, bytemuck::cast_slice(clusters.bias()))?;
        let mut next = self.starts.clone();
        let mut rows_of = vec![0_u32; *vectors];
        let (mut steps, mut errors) = (vec![0.0_f32; *vectors], vec![0.0_f32; *vectors]);
        let galaxies = self.list_of.len();
        let mut progress = Progress::new(format!("{of}: writing"), "galaxies", 0, galaxies as u64);
        for rows in blocks(galaxies) {
            let block = files.vectors(*of, rows.clone())?;
            // Where each vector goes, in the order of the file.
            let mut order: Vec<(usize, usize)> = Vec::with_capacity(rows.len());
            for row in rows.clone() {
                let list = self.list_of[row];
                if list != NONE {
                    let place = &mut next[list as usize];
                    order.push((*place as usize, row));
                    *place += 1;
                }
            }
            order.sort_unstable();
            let mut codes = vec![0_i8; order.len() * width];
            let kept: Vec<(f32, f32)> = (codes.par_chunks_mut(*width))
                .zip(&order)
                .map(|(codes, &(_, row))| {
                    let vector = block.row(row - rows.start);
                    let list = self.list_of[row] as usize;
                    let centre = &centres[list * width..(list + 1) * width];
                    coded(vector, length(vector), centre, codes)
                })
                .collect();
            let mut written = 0;
            for run in order.chunk_by(|one, following| one.0 + 1 == following.0) {
                let bytes =
                    bytemuck::cast_slice(&codes[written * width..(written + run.len()) * width]);
                put(places.codes.start + run[0].0 * width, bytes)?;
                written += run.len();
            }
            for ((place, row), (step, error)) in order.into_iter().zip(kept) {
                rows_of[place] = row as u32;
                steps[place] = step;
                errors[place] = error;
            }
            progress.set(rows.end as u64, "");
        }
        put(places.rows.start, bytemuck::cast_slice(&rows_of))?;
        put(places.step.start, bytemuck::cast_slice(&steps))?;
        put(places.error.start, bytemuck::cast_slice(&errors))?;
        progress.finish("");
        Ok(())
    }
}

/// Unit vectors (rows, D) of some galaxies in random order, without those that have no direction.
fn sampled(lookup: &VectorLookup, count: usize) -> Result<Array2<f32>> {
    let mut rng = generator(0, Purpose::Clusters, 0);
    let rows = sample(&mut rng, lookup.rows(), count).into_vec();
    // In the order of the files, which disks like better.
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_unstable_by_key(|&place| rows[place]);
    let mut vectors = Array2::zeros((count, lookup.width()));
    for place in order {
        let vector = lookup.read(rows[place])?;
        vectors
            .row_mut(place)
            .assign(&ndarray::ArrayView1::from(&vector));
    }
    let (unit, norms) = directions(vectors);
    let known: Vec<usize> = (0..count).filter(|&place| norms[place] > 0.0).collect();
    match known.len() == count {
        true => Ok(unit),
        false => Ok(unit.select(Axis(0), &known)),
    }
}

/// Unit vectors and norms; zeros where there is no direction.
fn directions(mut vectors: Array2<f32>) -> (Array2<f32>, Vec<f64>) {
    let mut rows: Vec<_> = vectors.rows_mut().into_iter().collect();
    let norms = rows.par_iter_mut().map(|row| {
        if !has_direction(row.view()) {
            row.fill(0.0);
            return 0.0;
        }
        let norm = length(row.view());
        row.mapv_inplace(|value| (f64::from(value) / norm) as f32);
        norm
    });
    let norms = norms.collect();
    (vectors, norms)
}

fn blocks(rows: usize) -> impl Iterator<Item = Range<usize>> {
    blocks_of(BLOCK, rows)
}

/// Ranges of rows that are read at once, so many or fewer.
pub(super) fn blocks_of(most: usize, rows: usize) -> impl Iterator<Item = Range<usize>> {
    (0..rows)
        .step_by(most)
        .map(move |start| start..(start + most).min(rows))
}
