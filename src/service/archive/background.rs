//! What takes too long to wait for, computed once beside the searches: the map of the embeddings, and how far from all
//! others each galaxy lies.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Archive;
use crate::base::error::{Error, Result};
use crate::evaluation::engine::unit_vectors;
use crate::evaluation::{eval, knn};
use crate::survey::Modality;

/// Galaxies that t-SNE places; the others of a larger file stand between those that they are most similar to.
const LANDMARKS: usize = 5000;
/// Landmarks between which a galaxy stands.
const BETWEEN: usize = 4;
/// Galaxies of a larger file among which neighbours are looked for: a sample, so that the time grows with the file and not
/// with its square.
const SAMPLE: usize = 30_000;
/// Galaxies of a larger file that are placed and compared at all, which is what a browser can draw.
const MOST: usize = 500_000;
/// The neighbour whose distance says how unusual a galaxy is.
pub const NEIGHBOUR: usize = 10;
/// Galaxies that are looked at at once.
const BLOCK: usize = 8192;

/// What is being computed and what is done.
#[derive(Default)]
pub struct Background {
    maps: Tasks<Map>,
    rankings: Tasks<Ranking>,
}

/// Results of one kind by modality.
type Tasks<T> = Mutex<BTreeMap<Modality, Progress<T>>>;

/// How far a computation is.
pub enum Progress<T> {
    /// It goes on.
    Computing,
    /// It is done.
    Done(Arc<T>),
    /// It cannot be done; says why.
    Failed(String),
}

impl<T> Clone for Progress<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Computing => Self::Computing,
            Self::Done(done) => Self::Done(Arc::clone(done)),
            Self::Failed(why) => Self::Failed(why.clone()),
        }
    }
}

/// Places of galaxies on a map of their embeddings.
#[derive(Debug)]
pub struct Map {
    /// Rows of the galaxies that are on it.
    pub rows: Vec<usize>,
    /// Their places, from 0 to 1 in the longer direction.
    pub at: Vec<[f32; 2]>,
    /// How many of them t-SNE placed.
    pub landmarks: usize,
}

/// Galaxies from the most unusual on.
#[derive(Debug)]
pub struct Ranking {
    /// Rows and distances, the largest first.
    pub rows: Vec<(usize, f64)>,
    /// Galaxies among which neighbours were looked for.
    pub among: usize,
}

impl Archive {
    /// The map of a kind of embeddings; the first call begins it.
    ///
    /// # Errors
    /// Where there are no such embeddings.
    pub fn map(self: &Arc<Self>, of: Modality) -> Result<Progress<Map>> {
        self.gallery(of)?;
        self.progress(|background| &background.maps, of, Self::draw_map)
    }

    /// Galaxies by their distance to the tenth neighbour, the most unusual first; the first call begins it.
    ///
    /// # Errors
    /// Where there are no such embeddings.
    pub fn unusual(self: &Arc<Self>, of: Modality) -> Result<Progress<Ranking>> {
        self.gallery(of)?;
        self.progress(|background| &background.rankings, of, Self::rank)
    }

    fn progress<T: Send + Sync + 'static>(
        self: &Arc<Self>,
        tasks: fn(&Background) -> &Tasks<T>,
        of: Modality,
        compute: fn(&Self, Modality) -> Result<T>,
    ) -> Result<Progress<T>> {
        let mut known = lock(tasks(&self.background));
        if let Some(progress) = known.get(&of) {
            return Ok(progress.clone());
        }
        known.insert(of, Progress::Computing);
        drop(known);
        let archive = Arc::clone(self);
        let task = move || {
            // One thread, so that searches go on meanwhile.
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
            let result = match pool {
                Ok(pool) => pool.install(|| compute(&archive, of)),
                Err(source) => Err(Error::run(format!("a thread cannot start: {source}"))),
            };
            let progress = match result {
                Ok(done) => Progress::Done(Arc::new(done)),
                Err(error) => Progress::Failed(error.message_in(archive.path())),
            };
            lock(tasks(&archive.background)).insert(of, progress);
        };
        let started = std::thread::Builder::new().name("background".into());
        started
            .spawn(task)
            .map_err(|source| Error::run(format!("a thread cannot start: {source}")))?;
        Ok(Progress::Computing)
    }

    /// t-SNE of some galaxies, all others between their nearest.
    fn draw_map(&self, of: Modality) -> Result<Map> {
        let gallery = self.gallery(of)?;
        let known = self.with_direction(of)?;
        let landmarks = spread(&known, LANDMARKS);
        let placed = unit_vectors(gallery, &landmarks)?;
        let places = eval::embedding_map(placed.view())?;
        let place = |landmark: usize| [places[[landmark, 0]], places[[landmark, 1]]];
        let mut at = Vec::with_capacity(known.len());
        if landmarks.len() == known.len() {
            at.extend((0..known.len()).map(place));
        } else {
            for rows in known.chunks(BLOCK) {
                let found =
                    knn::cosine(placed.view(), unit_vectors(gallery, rows)?.view(), BETWEEN)?;
                let pairs = found.index.outer_iter().zip(found.score.outer_iter());
                at.extend(pairs.map(|(index, cosine)| {
                    let near: Vec<([f32; 2], f64)> = (index.iter().zip(cosine))
                        .map(|(&landmark, cosine)| {
                            (place(landmark), (2.0 - 2.0 * cosine).max(1e-12))
                        })
                        .collect();
                    between(&near)
                }));
            }
        }
        Ok(Map {
            at: scaled(at),
            rows: known,
            landmarks: landmarks.len(),
        })
    }

    fn rank(&self, of: Modality) -> Result<Ranking> {
        let gallery = self.gallery(of)?;
        let known = self.with_direction(of)?;
        let sample = spread(&known, SAMPLE);
        let k = NEIGHBOUR.min(sample.len().saturating_sub(1));
        if k == 0 {
            return Err(Error::input(
                "one galaxy alone is neither usual nor unusual",
            ));
        }
        let among = unit_vectors(gallery, &sample)?;
        let mut rows = Vec::with_capacity(known.len());
        for block in known.chunks(BLOCK) {
            let vectors = unit_vectors(gallery, block)?;
            let found = knn::cosine(among.view(), vectors.view(), k + 1)?;
            for (place, &row) in block.iter().enumerate() {
                let (index, cosine) = (found.index.row(place), found.score.row(place));
                let others = index
                    .iter()
                    .zip(cosine)
                    .filter(|(near, _)| sample[**near] != row);
                if let Some((_, &cosine)) = others.take(k).last() {
                    rows.push((row, (2.0 - 2.0 * cosine).max(0.0).sqrt()));
                }
            }
        }
        rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        Ok(Ranking {
            rows,
            among: sample.len(),
        })
    }

    /// Rows whose embedding has a direction, spread evenly where there are too many of them.
    fn with_direction(&self, of: Modality) -> Result<Vec<usize>> {
        let gallery = self.gallery(of)?;
        let rows = (0..self.len()).filter(|&row| gallery.has_direction(row));
        Ok(spread(&rows.collect::<Vec<_>>(), MOST))
    }
}

fn lock<T>(tasks: &Tasks<T>) -> std::sync::MutexGuard<'_, BTreeMap<Modality, Progress<T>>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

/// At most `most` of some rows, spread evenly.
fn spread(rows: &[usize], most: usize) -> Vec<usize> {
    let count = most.min(rows.len());
    (0..count)
        .map(|index| rows[index * rows.len() / count])
        .collect()
}

/// The mean of places, each counted by the inverse of its squared distance.
fn between(near: &[([f32; 2], f64)]) -> [f32; 2] {
    let total: f64 = near.iter().map(|(_, square)| square.recip()).sum();
    [0, 1].map(|axis| {
        let sum = near.iter().map(|(at, square)| f64::from(at[axis]) / square);
        (sum.sum::<f64>() / total) as f32
    })
}

/// Places moved and scaled into a square of side 1.
fn scaled(mut at: Vec<[f32; 2]>) -> Vec<[f32; 2]> {
    let ends = [0, 1].map(|axis| {
        let values = at.iter().map(|at| at[axis]);
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    });
    let side = ends
        .iter()
        .map(|(low, high)| high - low)
        .fold(f32::MIN_POSITIVE, f32::max);
    for at in &mut at {
        for axis in [0, 1] {
            at[axis] = (at[axis] - ends[axis].0) / side;
        }
    }
    at
}
