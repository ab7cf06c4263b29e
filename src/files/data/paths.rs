//! Files, folders and patterns to a list of files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::files::container::hats::Catalog;

/// Endings of the names of survey files, for folders.
const ENDINGS: [&str; 7] = ["h5", "hdf5", "hdf", "fits", "fit", "fts", "parquet"];

/// Beginnings of the names of files that belong to another, DESI's redshifts.
const COMPANIONS: [&str; 2] = ["redrock", "zbest"];

/// The files that `paths` name: a file stands for itself, a folder for all survey files within (of
/// a HATS catalogue for its partitions), a pattern
/// with `*`, `?` or `[…]` for all that it matches. Each once; those of a folder or a pattern by name.
///
/// # Errors
/// Where a folder holds no survey file, or a pattern matches none.
pub fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            if !take_catalog(path, &mut files)? {
                walk(path, &mut files)?;
            }
            if files.len() == before {
                return Err(Error::input(format!(
                    "the folder holds no survey file ({}); name the files",
                    ENDINGS.map(|ending| format!("*.{ending}")).join(", ")
                ))
                .in_file(path));
            }
        } else if path.exists() || !is_pattern(path) {
            files.push(path.clone());
        } else {
            files.extend(matches(path)?);
        }
    }
    let mut known = std::collections::HashSet::new();
    files.retain(|file| known.insert(file.clone()));
    Ok(files)
}

fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

fn matches(pattern: &Path) -> Result<Vec<PathBuf>> {
    let name = pattern.to_string_lossy();
    let error = |message: String| Error::input(message).in_file(pattern);
    let found = glob::glob(&name)
        .map_err(|source| {
            error(format!("is no pattern of file names: {source}")).caused_by(source)
        })?
        .collect::<Result<Vec<PathBuf>, _>>()
        .map_err(|source| error(format!("cannot be read: {}", source.error())))?;
    let files: Vec<PathBuf> = found
        .into_iter()
        .filter(|path| path.is_file() && !is_companion(path))
        .collect();
    match files.is_empty() {
        true => Err(error("matches no file; check the path".into())),
        false => Ok(files),
    }
}

/// Files in a folder, but not in those within, whose names end as those of survey files do, by name.
pub fn survey_files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && is_survey_file(path) && !is_companion(path))
        .map(|path| path.strip_prefix(".").map_or(path.clone(), Path::to_owned))
        .collect();
    files.sort();
    files
}

/// Appends the partitions of a folder that is a HATS catalogue, and nothing else that lies in it; says whether it is one.
fn take_catalog(folder: &Path, files: &mut Vec<PathBuf>) -> Result<bool> {
    let Some(catalog) = Catalog::of(folder)? else {
        return Ok(false);
    };
    if let Some(incomplete) = catalog.incomplete() {
        tracing::warn!("{}: {incomplete}", folder.display());
    }
    files.extend(catalog.partitions);
    Ok(true)
}

/// Survey files in a folder and the folders within, in the order of their names.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let reading = |source| Error::reading(folder, source);
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<std::io::Result<Vec<PathBuf>>>()
        })
        .map_err(reading)?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            match take_catalog(&path, files) {
                Ok(true) => {}
                Ok(false) => walk(&path, files)?,
                Err(error) => tracing::warn!("left out: {error}"),
            }
        } else if is_survey_file(&path) && !is_companion(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_survey_file(path: &Path) -> bool {
    path.extension().is_some_and(|ending| {
        ENDINGS
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

fn is_companion(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    COMPANIONS.iter().any(|start| name.starts_with(start))
}
