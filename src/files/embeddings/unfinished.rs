//! Embeddings in the making, kept beside the file that they will be: a killed program goes on where it was.
//!
//! After a line that says what it is, the file is a row of frames: the length of what follows, its SHA-256, and it. The first frame is the [`Plan`] as JSON,
//! each further one a batch: the length of its JSON, its JSON, and the numbers in it. Frames are only appended, so that
//! a kill or a power failure costs the last of them; HDF5 could lose all. In the end they become an embedding file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::plan::Plan;
use super::{EmbeddingBatch, EmbeddingWriter, Observed, Provenance};
use crate::base::error::{Error, Kind, Result};
use crate::base::output::{check_room, place_of};
use crate::survey::{Modality, ObjectId, Split};

/// What is added to the name of the embedding file.
const ENDING: &str = ".part";
/// What the file begins with.
const MAGIC: &[u8] = b"unfinished embeddings of astroclip\n";
/// Where the frames begin.
const FIRST_FRAME: SeekFrom = SeekFrom::Start(MAGIC.len() as u64);
/// Length and SHA-256 of a frame.
const HEAD: usize = 8 + 32;
/// At most this much work is lost in a power failure.
const SYNC_INTERVAL: Duration = Duration::from_secs(10);
/// Work that is kept where it ends in an error; less is done again as fast as it is asked for.
const WORTH_KEEPING: Duration = Duration::from_secs(60);
/// Bytes of a galaxy beside its embeddings, in the frames and in the file.
const OTHER_BYTES: u64 = 96;

/// Embeddings of the first galaxies of a survey, on their way to a file.
#[derive(Debug)]
pub struct Unfinished {
    out: PathBuf,
    path: PathBuf,
    file: File,
    plan: Plan,
    done: Done,
    synced: Instant,
    started: Instant,
    is_kept: bool,
}

/// What the frames hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Rows of the survey that are behind us.
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
}

impl Unfinished {
    /// Begins embeddings that will be the file `out`, or with `resume` goes on with those that a program left.
    ///
    /// # Errors
    /// [`Error::input`] where there are some and `resume` is not asked for, where they are of another plan, and where
    /// another program makes them now; where something else is called so. [`Error::run`] where the disk has no room for
    /// what the plan makes.
    pub fn open(out: &Path, plan: &Plan, resume: bool) -> Result<Self> {
        let mut path = place_of(out)?.into_os_string();
        path.push(ENDING);
        let path = PathBuf::from(path);
        let failed = |source| Error::writing(&path, source);
        let refuse = |what: &str| Err(Error::input(what).in_file(&path));
        if fs::metadata(&path).is_ok_and(|known| !known.is_file()) {
            return refuse("is no file, and what is done could not be kept in it; rename it");
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(failed)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return refuse(
                "is being written by another program; wait for it, or choose another --out",
            );
        }
        if !is_ours(&mut file).map_err(failed)? {
            return refuse("is in the way and none of ours; rename it, or choose another --out");
        }
        let (done, end) = match read_plan(&mut file).map_err(failed)? {
            Some(frame) => {
                let Ok(begun) = serde_json::from_slice::<Plan>(&frame) else {
                    return refuse(
                        "is of another version of astroclip; go on with that, or remove it",
                    );
                };
                let (done, end) = scan(&mut file, &begun).map_err(failed)?;
                match (done.rows, resume) {
                    // Nothing is lost.
                    (0, _) => (Done::default(), 0),
                    (_, true) => {
                        plan.check_same(&begun)
                            .map_err(|error| error.in_file(&path))?;
                        (done, end)
                    }
                    (rows, false) => {
                        return Err(Error::input(format!(
                            "holds an unfinished embedding of {rows} of {} galaxies; go on with it by --resume, or remove \
                             it to begin anew",
                            begun.galaxies
                        ))
                        .in_file(&path));
                    }
                }
            }
            None => (Done::default(), 0),
        };
        file.set_len(end)
            .and_then(|()| file.seek(SeekFrom::Start(end)))
            .map_err(failed)?;
        let now = Instant::now();
        let mut unfinished = Self {
            out: out.to_owned(),
            path: path.clone(),
            file,
            plan: plan.clone(),
            done,
            synced: now,
            started: now,
            is_kept: done.rows > 0,
        };
        if let Err(error) = unfinished.begin(end) {
            return Err(unfinished.abandoned(error));
        }
        Ok(unfinished)
    }

    /// Makes sure of the room, and writes the plan where there is none yet.
    fn begin(&mut self, end: u64) -> Result<()> {
        let values = self.plan.modalities.len() * self.plan.dimension;
        let of_one = 4 * values as u64 + OTHER_BYTES;
        // Once as frames and once as the file.
        let all = 2 * of_one * self.plan.galaxies as u64;
        check_room(&self.out, all.saturating_sub(end))?;
        if end == 0 {
            let written = self.file.write_all(MAGIC);
            written.map_err(|source| Error::writing(&self.path, source))?;
            let plan = serde_json::to_vec(&self.plan).expect("plans are plain JSON");
            self.write_frame(&plan)?;
        }
        Ok(())
    }

    /// What is behind us.
    pub fn done(&self) -> Done {
        self.done
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the galaxies of the next `rows` of the survey that can be used; a batch of none where no one can.
    ///
    /// # Errors
    /// As [`EmbeddingWriter::append`].
    pub fn append(&mut self, rows: Range<usize>, batch: &EmbeddingBatch<'_>) -> Result<()> {
        let dimension = self.plan.dimension;
        batch.check(&self.plan.modalities, dimension)?;
        let head = BatchHead {
            rows: rows.clone(),
            object_id: batch.object_id.to_vec(),
            split: batch.split.to_vec(),
        };
        let head = serde_json::to_vec(&head).expect("heads are plain JSON");
        let of_one = 4 * (1 + 2 * dimension) + Observed::BYTES;
        let mut frame = Vec::with_capacity(8 + head.len() + batch.object_id.len() * of_one);
        frame.extend((head.len() as u64).to_le_bytes());
        frame.extend(head);
        let redshifts = batch.redshift.iter();
        frame.extend(redshifts.flat_map(|redshift| redshift.to_le_bytes()));
        let observed = batch.observed.iter();
        frame.extend(observed.flat_map(|observed| observed.to_bytes()));
        for &modality in &self.plan.modalities {
            let values = batch.embeddings(modality).into_iter().flatten();
            frame.extend(values.flat_map(|value| value.to_le_bytes()));
        }
        self.write_frame(&frame)?;
        self.done.add(rows, batch.object_id);
        if self.synced.elapsed() >= SYNC_INTERVAL {
            self.synced = Instant::now();
            let synced = self.file.sync_data();
            synced.map_err(|source| Error::writing(&self.path, source))?;
        }
        Ok(())
    }

    fn write_frame(&mut self, content: &[u8]) -> Result<()> {
        let mut head = (content.len() as u64).to_le_bytes().to_vec();
        head.extend(Sha256::digest(content));
        (self.file.write_all(&head))
            .and_then(|()| self.file.write_all(content))
            .map_err(|source| Error::writing(&self.path, source))
    }

    /// Writes the embedding file, and removes what was kept for it. Returns the number of galaxies.
    ///
    /// # Errors
    /// As [`EmbeddingWriter`]; what was kept stays then.
    pub fn finish(mut self, provenance: &Provenance) -> Result<usize> {
        let plan = self.plan.clone();
        self.is_kept = true;
        match self.assemble(&plan, provenance) {
            Ok(galaxies) => {
                // It is of no more use: what stays of it is named by the next that writes the same file.
                let _ = fs::remove_file(&self.path);
                Ok(galaxies)
            }
            Err(error) => Err(self.abandoned(error)),
        }
    }

    fn assemble(&self, plan: &Plan, provenance: &Provenance) -> Result<usize> {
        let mut writer =
            EmbeddingWriter::create(&self.out, &plan.modalities, plan.dimension, provenance)?;
        let failed = |source| Error::reading(&self.path, source);
        let changed = || {
            Error::run("has changed since it was written; remove it and begin anew")
                .in_file(&self.path)
        };
        let mut file = &self.file;
        file.seek(FIRST_FRAME).map_err(failed)?;
        let mut frames = BufReader::new(file);
        next_frame(&mut frames).map_err(failed)?;
        let mut rows = 0;
        while let Some(frame) = next_frame(&mut frames).map_err(failed)? {
            let batch = Batch::of(&frame, plan).ok_or_else(changed)?;
            rows = batch.head.rows.end;
            if !batch.head.object_id.is_empty() {
                writer.append(&batch.view())?;
            }
        }
        match rows == self.done.rows {
            true => writer.finish(),
            false => Err(changed()),
        }
    }

    /// The error that ends the work, with what is left to go on from. Little work is not worth it: nothing is left then.
    pub fn abandoned(self, error: Error) -> Error {
        let is_asked_for = self.is_kept || error.kind() == Kind::Interrupted;
        let is_kept = is_asked_for || self.started.elapsed() >= WORTH_KEEPING;
        if !is_kept || self.done.rows == 0 {
            let _ = fs::remove_file(&self.path);
            return error;
        }
        error.and(format!(
            "\n{} of {} galaxies are kept in {}; go on with them by the same command and --resume",
            self.done.rows,
            self.plan.galaxies,
            self.path.display()
        ))
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
        let mut embeddings = Vec::new();
        for &modality in &plan.modalities {
            let values = numbers(bytes(4 * rows * plan.dimension)?);
            let values = Array2::from_shape_vec((rows, plan.dimension), values).ok()?;
            embeddings.push((modality, values));
        }
        (rest.is_empty() && head.split.len() == rows).then_some(Self {
            head,
            redshift,
            observed,
            embeddings,
        })
    }

    fn view(&self) -> EmbeddingBatch<'_> {
        let of = |modality: Modality| -> Option<ArrayView2<'_, f32>> {
            let mut all = self.embeddings.iter();
            let found = all.find(|(kind, _)| *kind == modality);
            found.map(|(_, values)| values.view())
        };
        EmbeddingBatch {
            image: of(Modality::Image),
            spectrum: of(Modality::Spectrum),
            object_id: &self.head.object_id,
            split: &self.head.split,
            redshift: &self.redshift,
            observed: &self.observed,
        }
    }
}

/// Whether a file is empty, or begins as ours do, as far as it goes.
fn is_ours(file: &mut File) -> std::io::Result<bool> {
    file.rewind()?;
    let mut start = Vec::new();
    let mut beginning = (&*file).take(MAGIC.len() as u64);
    beginning.read_to_end(&mut start)?;
    Ok(MAGIC.starts_with(&start))
}

/// What was begun, as JSON; none where not even that is whole.
fn read_plan(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    file.seek(FIRST_FRAME)?;
    next_frame(&mut BufReader::new(&*file))
}

/// What whole frames there are, and where they end.
fn scan(file: &mut File, plan: &Plan) -> std::io::Result<(Done, u64)> {
    file.seek(FIRST_FRAME)?;
    let mut frames = BufReader::new(&*file);
    let mut end = MAGIC.len() as u64;
    let mut done = Done::default();
    let mut is_first = true;
    while let Some(frame) = next_frame(&mut frames)? {
        if !is_first {
            match Batch::of(&frame, plan) {
                Some(batch) if batch.head.rows.start == done.rows => {
                    done.add(batch.head.rows, &batch.head.object_id);
                }
                _ => break,
            }
        }
        is_first = false;
        end += (HEAD + frame.len()) as u64;
    }
    Ok((done, end))
}

/// The next frame; none where the file ends, or goes on with half a frame or a damaged one.
fn next_frame(frames: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = Vec::with_capacity(HEAD);
    frames.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
    let Some((length, sha256)) = head.split_first_chunk::<8>() else {
        return Ok(None);
    };
    let length = u64::from_le_bytes(*length);
    let mut content = Vec::new();
    frames.by_ref().take(length).read_to_end(&mut content)?;
    let is_whole = content.len() as u64 == length && Sha256::digest(&content)[..] == *sha256;
    Ok(is_whole.then_some(content))
}
