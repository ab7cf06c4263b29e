//! What a result was made from: files by place, size and a sample of their content, so that a later command finds
//! them again and sees whether they have changed.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::catalog::LabelOptions;
use crate::files::container::{Container, hdf5_file, split_table};
use crate::files::data::{ReadOptions, expand};

/// Bytes of a block of a sample.
const BLOCK: u64 = 4096;
/// Most bytes that are sampled of one file; smaller files are read whole.
const MOST_OF_A_FILE: u64 = 1 << 20;
/// Most bytes that are sampled of the files that one path names.
const MOST_OF_A_PATH: u64 = 64 << 20;

/// Everything that a run, a model or an embedding file was made from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// Survey files.
    pub data: Vec<InputFiles>,
    /// How they were read.
    #[serde(default)]
    pub read: ReadOptions,
    /// The table that pairs images and spectra of different files, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<InputFiles>,
    /// Tables of labels that the run file names or that were given.
    #[serde(default)]
    pub labels: Vec<InputFiles>,
    /// What was said about their columns.
    #[serde(default)]
    pub label_options: LabelOptions,
    /// Models: the encoders of an alignment, image first; the model of an embedding.
    #[serde(default)]
    pub models: Vec<InputFiles>,
}

/// A path that was given, and the files that it stood for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFiles {
    /// A file, a folder or a pattern, from the root.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// The same from the folder of the record: it stays right where both are moved together.
    #[serde(serialize_with = "as_text")]
    pub relative: PathBuf,
    /// Number of files, those among them that HDF5 files take values from.
    pub files: usize,
    /// Their size, bytes.
    pub bytes: u64,
    /// SHA-256 of their sizes and of samples of their content, hexadecimal: the whole content of small files, blocks
    /// that are spread evenly over large ones.
    pub sample_sha256: String,
}

impl Inputs {
    /// Records files for a record that will lie in the folder `home`.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn record(
        home: &Path,
        data: &[PathBuf],
        read: &ReadOptions,
        labels: &[PathBuf],
        models: &[PathBuf],
    ) -> Result<Self> {
        let all = |paths: &[PathBuf]| -> Result<Vec<InputFiles>> {
            paths
                .iter()
                .map(|path| InputFiles::record(path, home))
                .collect()
        };
        Ok(Self {
            data: all(data)?,
            read: read.clone(),
            pairs: (read.pairs.as_deref())
                .map(|path| InputFiles::record(path, home))
                .transpose()?,
            labels: all(labels)?,
            label_options: LabelOptions::default(),
            models: all(models)?,
        })
    }
}

impl Inputs {
    /// Whether both were made from files of the same content, wherever they lie.
    pub fn same_files(&self, other: &Self) -> bool {
        let contents = |inputs: &Self| -> Vec<String> {
            let all = inputs
                .data
                .iter()
                .chain(&inputs.pairs)
                .chain(&inputs.models);
            all.map(|files| files.sample_sha256.clone()).collect()
        };
        self.read == other.read && contents(self) == contents(other)
    }
}

impl InputFiles {
    /// Records what `path` names, for a record that will lie in the folder `home`.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn record(path: &Path, home: &Path) -> Result<Self> {
        let absolute = absolute(path);
        let Sample {
            files,
            bytes,
            sha256,
        } = Sample::of(path)?;
        Ok(Self {
            relative: relative(&absolute, &self::absolute(home)),
            path: absolute,
            files,
            bytes,
            sample_sha256: sha256,
        })
    }

    /// Where the files are now, as a path to type: beside the record in `home` if both were moved, else where they
    /// were; none where they are gone.
    pub fn find(&self, home: &Path) -> Option<PathBuf> {
        let there = |path: &PathBuf| {
            expand(&[split_table(path).0]).is_ok_and(|files| files.iter().all(|file| file.exists()))
        };
        [absolute(&home.join(&self.relative)), self.path.clone()]
            .into_iter()
            .find(there)
            .map(|path| shown(&path))
    }

    /// Where the files are now, or else where they were.
    pub fn place(&self, home: &Path) -> PathBuf {
        self.find(home).unwrap_or_else(|| self.path.clone())
    }

    /// Whether the files at `place` are still those that were recorded.
    ///
    /// # Errors
    /// Says what is gone or different.
    pub fn check(&self, place: &Path) -> Result<()> {
        let now = Sample::of(place)?;
        let changed =
            |what: String| Err(Error::input(format!("has changed since: {what}")).in_file(place));
        if now.files != self.files {
            return changed(format!(
                "{} files were there, {} are",
                self.files, now.files
            ));
        }
        if now.bytes != self.bytes {
            return changed(format!("it had {} bytes and has {}", self.bytes, now.bytes));
        }
        match now.sha256 == self.sample_sha256 {
            true => Ok(()),
            false => changed("its size is the same, its content is not".to_owned()),
        }
    }

    /// What makes the files what they are, wherever they lie: number, bytes, and SHA-256 of samples.
    pub fn content(&self) -> (usize, u64, &str) {
        (self.files, self.bytes, &self.sample_sha256)
    }

    /// Whether two records are of the same files, wherever these lie.
    fn same_content(&self, other: &Self) -> bool {
        self.content() == other.content()
    }
}

/// Whether two lists of records are of the same files in the same order, wherever these lie.
pub fn same_files(one: &[InputFiles], other: &[InputFiles]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.same_content(b))
}

/// A name that is no UTF-8 is not found again, which is better than a run that cannot start.
fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// What is looked at of some files.
struct Sample {
    files: usize,
    bytes: u64,
    sha256: String,
}

impl Sample {
    fn of(path: &Path) -> Result<Self> {
        let mut files = expand(&[split_table(path).0])?;
        let mut others = BTreeSet::new();
        for file in &files {
            // One that cannot be opened has none that its readers would see.
            if Container::of(file).is_ok_and(|container| container == Container::Hdf5) {
                others.extend(hdf5_file::other_files(file).unwrap_or_default());
            }
        }
        let places = files.iter().filter_map(|file| file.canonicalize().ok());
        let named: HashSet<PathBuf> = places.collect();
        files.extend(others.into_iter().filter(|place| !named.contains(place)));
        let most = (MOST_OF_A_PATH / files.len().max(1) as u64).clamp(BLOCK, MOST_OF_A_FILE);
        let mut hasher = Sha256::new();
        let mut bytes = 0;
        for file in &files {
            let opened = input::open(file)?;
            bytes +=
                sample(opened, most, &mut hasher).map_err(|source| Error::reading(file, source))?;
        }
        Ok(Self {
            files: files.len(),
            bytes,
            sha256: format!("{:x}", hasher.finalize()),
        })
    }
}

/// Adds a file's size and at most some `most` bytes of its content, and returns its size.
fn sample(mut file: File, most: u64, hasher: &mut Sha256) -> std::io::Result<u64> {
    let bytes = file.metadata()?.len();
    hasher.update(bytes.to_le_bytes());
    if bytes <= most {
        std::io::copy(&mut file, hasher)?;
        return Ok(bytes);
    }
    // The first and the last block always, so that a header and an appended row count.
    let blocks = (most / BLOCK).max(2);
    let mut block = vec![0; BLOCK as usize];
    for index in 0..blocks {
        let start = (u128::from(bytes - BLOCK) * u128::from(index) / u128::from(blocks - 1)) as u64;
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        hasher.update(&block);
    }
    Ok(bytes)
}

/// A path from the root without `..` and links, as far as its folders exist.
fn absolute(path: &Path) -> PathBuf {
    // The folder of a file that is named without one.
    let path = match path.as_os_str().is_empty() {
        true => Path::new("."),
        false => path,
    };
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // The last part stays as it is called: a link to a survey is a name for it that people chose.
    let mut rest: Vec<&OsStr> = path.file_name().into_iter().collect();
    let mut folder = path.parent();
    while let Some(known) = folder {
        if let Ok(real) = fs::canonicalize(known) {
            return rest.iter().rev().fold(real, |path, part| path.join(part));
        }
        rest.extend(known.file_name());
        folder = known.parent();
    }
    path
}

/// `path` from the folder `home`, both from the root.
fn relative(path: &Path, home: &Path) -> PathBuf {
    let home = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
    let common = path
        .components()
        .zip(home.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = home.components().skip(common).map(|_| Component::ParentDir);
    up.chain(path.components().skip(common)).collect()
}

/// A path as people type it: from the current folder where it lies in it.
pub fn shown(path: &Path) -> PathBuf {
    if let Ok(rest) = path.strip_prefix(".") {
        return rest.to_owned();
    }
    let here = std::env::current_dir().and_then(fs::canonicalize);
    let short = here.ok().and_then(|here| {
        let rest = path.strip_prefix(&here).ok()?;
        (!rest.as_os_str().is_empty()).then(|| rest.to_owned())
    });
    short.unwrap_or_else(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn files_are_found_where_they_and_the_record_moved() {
        let folder = TempDir::new().expect("a folder");
        let make = |name: &str| {
            let home = folder.path().join(name).join("runs/vit");
            fs::create_dir_all(&home).expect("folders");
            home
        };
        let home = make("old");
        let survey = folder.path().join("old/survey.h5");
        fs::write(&survey, "galaxies").expect("a file");
        let record = InputFiles::record(&survey, &home).expect("a record");
        assert_eq!(record.relative, Path::new("../../survey.h5"));
        assert_eq!(record.place(&home), absolute(&survey));
        record.check(&record.place(&home)).expect("unchanged");

        fs::rename(folder.path().join("old"), folder.path().join("new")).expect("a move");
        let home = folder.path().join("new/runs/vit");
        let found = record.place(&home);
        assert_eq!(found, absolute(&folder.path().join("new/survey.h5")));
        record.check(&found).expect("unchanged");

        // Without the file the place is the one that was recorded, for the message.
        fs::remove_file(&found).expect("a file less");
        assert_eq!(record.place(&home), record.path);
        let gone = record.check(&record.path).expect_err("gone").to_string();
        assert!(gone.contains("no such file"), "{gone}");
    }

    #[test]
    fn a_change_is_seen_at_either_end_and_in_size() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("large.h5");
        let mut bytes = vec![7_u8; 3 * MOST_OF_A_FILE as usize];
        fs::write(&path, &bytes).expect("a file");
        let record = InputFiles::record(&path, folder.path()).expect("a record");
        let last = bytes.len() - 1;
        for place in [0, last] {
            bytes[place] ^= 1;
            fs::write(&path, &bytes).expect("a file");
            let changed = record.check(&path).expect_err("another byte").to_string();
            assert!(changed.contains("its content is not"), "{changed}");
            bytes[place] ^= 1;
        }
        fs::write(&path, &bytes).expect("a file");
        record.check(&path).expect("as it was");
        bytes.push(7);
        fs::write(&path, &bytes).expect("a file");
        let longer = record.check(&path).expect_err("a byte more").to_string();
        assert!(
            longer.contains(&format!("it had {} bytes", last + 1)),
            "{longer}"
        );
    }

    #[test]
    fn files_that_an_hdf5_file_takes_values_from_are_recorded_too() {
        let folder = TempDir::new().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let write = |value: f32| {
            let file = hdf5::File::create(path("source.h5")).expect("a file");
            let build = file.new_dataset_builder();
            build.with_data(&[value; 4]).create("z").expect("a dataset");
        };
        write(1.0);
        fs::write(path("raw.bin"), [0_u8; 16]).expect("a file");
        let file = hdf5::File::create(path("named.h5")).expect("a file");
        let group = file.create_group("inner").expect("a group");
        let linked = group.link_external("source.h5", "z", "linked");
        linked.expect("a link");
        let raw = file.new_dataset::<f32>().shape(4);
        let raw = raw.external("raw.bin", 0, 16);
        raw.create("raw").expect("a dataset");
        drop(file);
        let record = InputFiles::record(&path("named.h5"), folder.path()).expect("a record");
        assert_eq!(record.files, 3);
        record.check(&path("named.h5")).expect("unchanged");
        write(2.0);
        let changed = record.check(&path("named.h5")).expect_err("another value");
        assert!(
            changed.to_string().contains("its content is not"),
            "{changed}"
        );
        write(1.0);
        fs::write(path("raw.bin"), [1_u8; 16]).expect("a file");
        record.check(&path("named.h5")).expect_err("another byte");
    }

    #[test]
    fn a_folder_is_one_record_of_all_its_files() {
        let folder = TempDir::new().expect("a folder");
        let survey = folder.path().join("south");
        fs::create_dir(&survey).expect("a folder");
        for name in ["a.h5", "b.h5", "notes.txt"] {
            fs::write(survey.join(name), name).expect("a file");
        }
        let record = InputFiles::record(&survey, folder.path()).expect("a record");
        assert_eq!((record.files, record.bytes), (2, 8));
        fs::write(survey.join("c.h5"), "c").expect("a file");
        let more = record.check(&survey).expect_err("a file more").to_string();
        assert!(more.contains("2 files were there, 3 are"), "{more}");
    }
}
