//! Embeddings in the making: a [`Journal`] whose frames are batches.
//!
//! A frame is the length of its JSON, its JSON, and the numbers of the batch.

use std::ops::Range;
use std::path::Path;

use ndarray::{Array2, Array3, ArrayView2};
use serde::{Deserialize, Serialize};

use super::continuum;
use super::plan::Plan;
use super::{EmbeddingBatch, EmbeddingWriter, Features, Observed, Provenance};
use crate::base::error::{Error, Result};
use crate::base::output::Journal;
use crate::survey::{Modality, ObjectId, Split};

/// Embeddings of the first galaxies of a survey, on their way to a file.
#[derive(Debug)]
pub struct Unfinished {
    journal: Journal<Plan>,
    done: Done,
}

/// What the frames hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows of the shard of the survey that are behind us.
    pub rows: usize,
    /// Galaxies of them that could be used.
    pub galaxies: usize,
    /// The first galaxy.
    pub first_id: Option<ObjectId>,
}

/// What a batch says in words; its numbers follow it.
#[derive(Debug, Serialize, Deserialize)]
struct BatchHead {
    /// The rows of the survey that were read.
    rows: Range<usize>,
    object_id: Vec<ObjectId>,
    split: Vec<Split>,
    /// Whether there are continua.
    continua: bool,
}

impl Unfinished {
    /// Begins embeddings that will be the file `out`, or with `resume` goes on with those that a program left.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open(out: &Path, plan: &Plan, resume: bool) -> Result<Self> {
        let mut done = Done::default();
        let journal = Journal::open(out, plan, resume, |begun, frame| {
            let batch = Batch::of(frame, begun)?;
            (batch.head.rows.start == done.rows).then(|| {
                done.add(batch.head.rows, &batch.head.object_id);
                done.rows
            })
        })?;
        Ok(Self { journal, done })
    }

    /// What is behind us.
    pub fn done(&self) -> Done {
        self.done
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        self.journal.path()
    }

    /// Appends the galaxies of the next `rows` of the survey that can be used; a batch of none where no one can.
    ///
    /// # Errors
    /// As [`EmbeddingWriter::append`].
    pub fn append(&mut self, rows: Range<usize>, batch: &EmbeddingBatch<'_>) -> Result<()> {
        let Plan {
            dimension,
            modalities,
            features,
            ..
        } = self.journal.plan();
        batch.check(modalities, *dimension)?;
        let head = BatchHead {
            rows: rows.clone(),
            object_id: batch.object_id.to_vec(),
            split: batch.split.to_vec(),
            continua: batch.continua.is_some(),
        };
        let head = serde_json::to_vec(&head).expect("heads are plain JSON");
        let of_features: usize = features.iter().map(|(_, width)| width).sum();
        let numbers = 1 + 2 * dimension + of_features + continuum::NUMBERS;
        let of_one = 4 * numbers + Observed::BYTES;
        let mut frame = Vec::with_capacity(8 + head.len() + batch.object_id.len() * of_one);
        frame.extend((head.len() as u64).to_le_bytes());
        frame.extend(head);
        let redshifts = batch.redshift.iter();
        frame.extend(redshifts.flat_map(|redshift| redshift.to_le_bytes()));
        let observed = batch.observed.iter();
        frame.extend(observed.flat_map(|observed| observed.to_bytes()));
        for &modality in modalities {
            let values = batch.embeddings(modality).into_iter().flatten();
            frame.extend(values.flat_map(|value| value.to_le_bytes()));
        }
        for &(modality, _) in features {
            let values = batch.features.of(modality).into_iter().flatten();
            frame.extend(values.flat_map(|value| value.to_le_bytes()));
        }
        let continua = batch.continua.into_iter().flatten();
        frame.extend(continua.flat_map(|value| value.to_le_bytes()));
        self.journal.append(rows.end, &frame)?;
        self.done.add(rows, batch.object_id);
        Ok(())
    }

    /// Writes the embedding file, and removes what was kept for it. Returns the number of galaxies.
    ///
    /// # Errors
    /// As [`EmbeddingWriter`]; what was kept stays then.
    pub fn finish(self, provenance: &Provenance) -> Result<usize> {
        self.journal.finish(|journal| {
            let plan = journal.plan();
            let (modalities, dimension) = (&plan.modalities, plan.dimension);
            let mut writer =
                EmbeddingWriter::create(journal.out(), modalities, dimension, provenance)?;
            journal.each(|frame| {
                let Some(batch) = Batch::of(frame, plan) else {
                    return Ok(None);
                };
                if !batch.head.object_id.is_empty() {
                    writer.append(&batch.view())?;
                }
                Ok(Some(batch.head.rows.end))
            })?;
            writer.finish()
        })
    }

    /// The error that ends the work, as [`Journal::abandoned`].
    pub fn abandoned(self, error: Error) -> Error {
        self.journal.abandoned(error)
    }
}

impl Done {
    fn add(&mut self, rows: Range<usize>, ids: &[ObjectId]) {
        self.rows = rows.end;
        self.galaxies += ids.len();
        self.first_id = self.first_id.or(ids.first().copied());
    }
}

/// A batch as it was appended.
struct Batch {
    head: BatchHead,
    redshift: Vec<f32>,
    observed: Vec<Observed>,
    embeddings: Vec<(Modality, Array2<f32>)>,
    features: Vec<(Modality, Array2<f32>)>,
    continua: Option<Array3<f32>>,
}

impl Batch {
    /// `None` where the frame holds something else.
    fn of(frame: &[u8], plan: &Plan) -> Option<Self> {
        let (length, rest) = frame.split_first_chunk::<8>()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (head, mut rest) = rest.split_at_checked(length)?;
        let head: BatchHead = serde_json::from_slice(head).ok()?;
        let mut bytes = |count: usize| {
            let (these, more) = rest.split_at_checked(count)?;
            rest = more;
            Some(these)
        };
        let numbers = |bytes: &[u8]| -> Vec<f32> {
            let (chunks, _) = bytes.as_chunks::<4>();
            let numbers = chunks.iter().map(|&chunk| f32::from_le_bytes(chunk));
            numbers.collect()
        };
        let rows = head.object_id.len();
        let redshift = numbers(bytes(4 * rows)?);
        let (observed, _) = bytes(Observed::BYTES * rows)?.as_chunks();
        let observed = observed.iter().map(Observed::from_bytes).collect();
        let mut vectors = |modality: Modality, width: usize| {
            let values = numbers(bytes(4 * rows * width)?);
            let values = Array2::from_shape_vec((rows, width), values).ok()?;
            Some((modality, values))
        };
        let embeddings = plan.modalities.iter();
        let embeddings = embeddings
            .map(|&modality| vectors(modality, plan.dimension))
            .collect::<Option<_>>()?;
        let features = plan.features.iter();
        let features = features
            .map(|&(modality, width)| vectors(modality, width))
            .collect::<Option<_>>()?;
        let mut continua = None;
        if head.continua {
            let values = numbers(bytes(4 * rows * continuum::NUMBERS)?);
            let (kinds, bands) = continuum::SHAPE;
            continua = Some(Array3::from_shape_vec((rows, kinds, bands), values).ok()?);
        }
        (rest.is_empty() && head.split.len() == rows).then_some(Self {
            head,
            redshift,
            observed,
            embeddings,
            features,
            continua,
        })
    }

    fn view(&self) -> EmbeddingBatch<'_> {
        EmbeddingBatch {
            image: of(&self.embeddings, Modality::Image),
            spectrum: of(&self.embeddings, Modality::Spectrum),
            features: Features {
                image: of(&self.features, Modality::Image),
                spectrum: of(&self.features, Modality::Spectrum),
            },
            object_id: &self.head.object_id,
            split: &self.head.split,
            redshift: &self.redshift,
            observed: &self.observed,
            continua: self.continua.as_ref().map(|continua| continua.view()),
        }
    }
}

/// The vectors of one kind.
fn of(vectors: &[(Modality, Array2<f32>)], modality: Modality) -> Option<ArrayView2<'_, f32>> {
    let mut all = vectors.iter();
    let found = all.find(|(kind, _)| *kind == modality);
    found.map(|(_, values)| values.view())
}
