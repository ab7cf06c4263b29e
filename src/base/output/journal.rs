//! Work in the making, kept beside the file that it will be: a killed program goes on where it was.
//!
//! After a line that says what it is, the file is a row of frames: the length of what follows, its SHA-256, and it. The
//! first frame is the plan as JSON, each further one what was done of some rows. Frames are only appended, so that a
//! kill or a power failure costs the last of them; HDF5 could lose all. In the end they become the file.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{check_room, place_of};
use crate::base::error::{Error, Kind, Result};

/// What is added to the name of the file.
const ENDING: &str = ".part";
/// Length and SHA-256 of a frame.
const HEAD: usize = 8 + 32;
/// At most this much work is lost in a power failure.
const SYNC_INTERVAL: Duration = Duration::from_secs(10);
/// Work that is kept where it ends in an error; less is done again as fast as it is asked for.
const WORTH_KEEPING: Duration = Duration::from_secs(60);

/// What makes a result what it is: one that was begun goes on only by the same plan.
pub trait Resumable: Clone + Serialize + DeserializeOwned {
    /// The line that the file begins with.
    const MAGIC: &'static str;
    /// What is unfinished: "embedding".
    const WHAT: &'static str;

    /// Rows that the result is made from.
    fn rows(&self) -> usize;

    /// Bytes that the whole result takes.
    fn bytes(&self) -> u64;

    /// Refuses another plan than this for what was `begun`.
    ///
    /// # Errors
    /// [`Error::input`] says what is different, and how to name the former.
    fn check_same(&self, begun: &Self) -> Result<()>;
}

/// What is done of a result, on its way to a file.
#[derive(Debug)]
pub struct Journal<P> {
    out: PathBuf,
    path: PathBuf,
    file: File,
    plan: P,
    /// Rows that are behind us.
    rows: usize,
    synced: Instant,
    started: Instant,
    is_kept: bool,
}

impl<P: Resumable> Journal<P> {
    /// Begins a result that will be the file `out`, or with `resume` goes on with the one that a program left. `take` is
    /// given each frame of it, and says how many rows are behind us with that; `None` where it is not the next.
    ///
    /// # Errors
    /// [`Error::input`] where there is one and `resume` is not asked for, where it is of another plan, and where
    /// another program makes it now; where something else is called so. [`Error::run`] where the disk has no room for
    /// what the plan makes.
    pub fn open(
        out: &Path,
        plan: &P,
        resume: bool,
        take: impl FnMut(&P, &[u8]) -> Option<usize>,
    ) -> Result<Self> {
        let path = unfinished_of(out)?;
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
        if !begins_with(&mut file, P::MAGIC.as_bytes()).map_err(failed)? {
            return refuse("is in the way and none of ours; rename it, or choose another --out");
        }
        // The plan of what was begun: the same, but for what does not matter.
        let mut own = plan.clone();
        let (mut rows, mut end) = (0, 0);
        if let Some(frame) = read_plan::<P>(&mut file).map_err(failed)? {
            let Ok(begun) = serde_json::from_slice::<P>(&frame) else {
                return refuse("is of another version of astroclip; go on with that, or remove it");
            };
            let there = scan(&mut file, &begun, take).map_err(failed)?;
            match (there.0, resume) {
                // Nothing is lost.
                (0, _) => {}
                (_, true) => {
                    plan.check_same(&begun)
                        .map_err(|error| error.in_file(&path))?;
                    (rows, end) = there;
                    own = begun;
                }
                (rows, false) => {
                    return Err(Error::input(format!(
                        "holds an unfinished {} of {rows} of {} galaxies; go on with it by --resume, or remove it to \
                         begin anew",
                        P::WHAT,
                        begun.rows()
                    ))
                    .in_file(&path));
                }
            }
        }
        file.set_len(end)
            .and_then(|()| file.seek(SeekFrom::Start(end)))
            .map_err(failed)?;
        let now = Instant::now();
        let mut journal = Self {
            out: out.to_owned(),
            path: path.clone(),
            file,
            plan: own,
            rows,
            synced: now,
            started: now,
            is_kept: rows > 0,
        };
        if let Err(error) = journal.begin(end) {
            return Err(journal.abandoned(error));
        }
        Ok(journal)
    }

    /// Makes sure of the room, and writes the plan where there is none yet.
    fn begin(&mut self, end: u64) -> Result<()> {
        // Once as frames and once as the file.
        check_room(&self.out, (2 * self.plan.bytes()).saturating_sub(end))?;
        if end == 0 {
            let written = self.file.write_all(P::MAGIC.as_bytes());
            written.map_err(|source| Error::writing(&self.path, source))?;
            let plan = serde_json::to_vec(&self.plan).expect("plans are plain JSON");
            self.write_frame(&plan)?;
        }
        Ok(())
    }

    /// The file that it will be.
    pub fn out(&self) -> &Path {
        &self.out
    }

    /// Where it is kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The plan by which it was begun.
    pub fn plan(&self) -> &P {
        &self.plan
    }

    /// Appends what was done of the rows up to `rows`.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn append(&mut self, rows: usize, frame: &[u8]) -> Result<()> {
        self.write_frame(frame)?;
        self.rows = rows;
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

    /// Makes the file by `assemble`, and removes what was kept for it.
    ///
    /// # Errors
    /// Those of `assemble`; what was kept stays then.
    pub fn finish<T>(mut self, assemble: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        self.is_kept = true;
        match assemble(&self) {
            Ok(result) => {
                // It is of no more use: what stays of it is named by the next that writes the same file.
                let _ = fs::remove_file(&self.path);
                Ok(result)
            }
            Err(error) => Err(self.abandoned(error)),
        }
    }

    /// Goes through the frames behind the plan, each of which `take` must know: it says how many rows are behind us.
    ///
    /// # Errors
    /// Where `take` fails or knows a frame not, and where frames are missing.
    pub fn each(&self, mut take: impl FnMut(&[u8]) -> Result<Option<usize>>) -> Result<()> {
        let failed = |source| Error::reading(&self.path, source);
        let changed = || {
            Error::run("has changed since it was written; remove it and begin anew")
                .in_file(&self.path)
        };
        let mut file = &self.file;
        file.seek(first_frame::<P>()).map_err(failed)?;
        let mut frames = BufReader::new(file);
        next_frame(&mut frames).map_err(failed)?;
        let mut rows = 0;
        while let Some(frame) = next_frame(&mut frames).map_err(failed)? {
            rows = take(&frame)?.ok_or_else(changed)?;
        }
        match rows == self.rows {
            true => Ok(()),
            false => Err(changed()),
        }
    }

    /// The error that ends the work, with what is left to go on from. Little work is not worth it: nothing is left then.
    pub fn abandoned(self, error: Error) -> Error {
        let is_asked_for = self.is_kept || error.kind() == Kind::Interrupted;
        let is_kept = is_asked_for || self.started.elapsed() >= WORTH_KEEPING;
        if !is_kept || self.rows == 0 {
            let _ = fs::remove_file(&self.path);
            return error;
        }
        error.and(format!(
            "\n{} of {} galaxies are kept in {}; go on with them by the same command and --resume",
            self.rows,
            self.plan.rows(),
            self.path.display()
        ))
    }
}

/// Where the work that will be the file `out` is kept until it is whole.
///
/// # Errors
/// As [`place_of`].
pub fn unfinished_of(out: &Path) -> Result<PathBuf> {
    let mut path = place_of(out)?.into_os_string();
    path.push(ENDING);
    Ok(path.into())
}

/// Whether a file is empty, or begins so, as far as it goes.
fn begins_with(file: &mut File, magic: &[u8]) -> std::io::Result<bool> {
    file.rewind()?;
    let mut start = Vec::new();
    let mut beginning = (&*file).take(magic.len() as u64);
    beginning.read_to_end(&mut start)?;
    Ok(magic.starts_with(&start))
}

/// Where the frames begin.
fn first_frame<P: Resumable>() -> SeekFrom {
    SeekFrom::Start(P::MAGIC.len() as u64)
}

/// What was begun, as JSON; none where not even that is whole.
fn read_plan<P: Resumable>(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    file.seek(first_frame::<P>())?;
    next_frame(&mut BufReader::new(&*file))
}

/// The rows that whole frames tell of, and where these end.
fn scan<P: Resumable>(
    file: &mut File,
    plan: &P,
    mut take: impl FnMut(&P, &[u8]) -> Option<usize>,
) -> std::io::Result<(usize, u64)> {
    file.seek(first_frame::<P>())?;
    let mut frames = BufReader::new(&*file);
    let mut end = P::MAGIC.len() as u64;
    let mut rows = 0;
    let mut is_first = true;
    while let Some(frame) = next_frame(&mut frames)? {
        if !is_first {
            match take(plan, &frame) {
                Some(behind) => rows = behind,
                None => break,
            }
        }
        is_first = false;
        end += (HEAD + frame.len()) as u64;
    }
    Ok((rows, end))
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
