//! Files, folders and patterns to a list of files.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::files::hats::Catalog;

/// Endings of the names of survey files, for folders.
const ENDINGS: [&str; 8] = ["h5", "hdf5", "hdf", "fits", "fit", "fts", "fz", "parquet"];

/// Endings of the names of FITS files, which may be compressed as a whole.
const FITS_ENDINGS: [&str; 3] = ["fits", "fit", "fts"];

/// Beginnings of the names of files that belong to another, DESI's redshifts.
const COMPANIONS: [&str; 2] = ["redrock", "zbest"];

/// Files that a walk through folders, or a pattern, passes over, counted by reason.
#[derive(Default)]
struct PassedOver(BTreeMap<String, usize>);

impl PassedOver {
    fn count(&mut self, reason: impl Into<String>) {
        *self.0.entry(reason.into()).or_default() += 1;
    }

    /// Whether a file holds the single exposures of a coadd that `is_taken` too; counts it.
    fn as_exposures(&mut self, path: &Path, is_taken: impl Fn(&PathBuf) -> bool) -> bool {
        let has_coadd = beside(path, "spectra", "coadd").any(|coadd| is_taken(&coadd));
        if has_coadd {
            self.count("of single exposures beside their coadd");
        }
        has_coadd
    }

    /// Says how many there were.
    fn report(&self, folder: &Path) {
        let all: usize = self.0.values().sum();
        let reasons: Vec<String> = self
            .0
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        match all {
            0 => {}
            1 => tracing::info!(
                "{}: 1 file passed over: {}",
                folder.display(),
                reasons.join(", ")
            ),
            _ => tracing::info!(
                "{}: {all} files passed over: {}",
                folder.display(),
                reasons.join(", ")
            ),
        }
    }
}

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
            let mut passed_over = PassedOver::default();
            if !take_catalog(path, &mut files)? {
                walk(path, &mut files, &mut passed_over)?;
            }
            if files.len() == before {
                return Err(Error::input(format!(
                    "the folder holds no survey file ({}); name the files",
                    ENDINGS.map(|ending| format!("*.{ending}")).join(", ")
                ))
                .in_file(path));
            }
            passed_over.report(path);
        } else if path.exists() || !is_pattern(path) {
            files.push(path.clone());
        } else {
            let mut passed_over = PassedOver::default();
            files.extend(matches(path, &mut passed_over)?);
            passed_over.report(path);
        }
    }
    let mut known = HashSet::new();
    files.retain(|file| known.insert(file.clone()));
    Ok(files)
}

/// Whether a path is meant as a pattern of names.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

fn matches(pattern: &Path, passed_over: &mut PassedOver) -> Result<Vec<PathBuf>> {
    let name = pattern.to_string_lossy();
    let error = |message: String| Error::input(message).in_file(pattern);
    let found = glob::glob(&name)
        .map_err(|source| {
            error(format!("is no pattern of file names: {source}")).caused_by(source)
        })?
        .collect::<Result<Vec<PathBuf>, _>>()
        .map_err(|source| error(format!("cannot be read: {}", source.error())))?;
    let mut files: Vec<PathBuf> = found
        .into_iter()
        .filter(|path| path.is_file() && !is_companion(path))
        .collect();
    let all: HashSet<PathBuf> = files.iter().cloned().collect();
    files.retain(|path| !passed_over.as_exposures(path, |coadd| all.contains(coadd)));
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
fn walk(folder: &Path, files: &mut Vec<PathBuf>, passed_over: &mut PassedOver) -> Result<()> {
    let reading = |source| Error::reading(folder, source);
    let mut entries = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<std::io::Result<Vec<PathBuf>>>()
        })
        .map_err(reading)?;
    entries.sort();
    for path in &entries {
        if path.is_dir() {
            match take_catalog(path, files) {
                Ok(true) => {}
                Ok(false) => walk(path, files, passed_over)?,
                Err(error) => tracing::warn!("left out: {error}"),
            }
        } else if is_companion(path) {
            // Read with the file that it belongs to.
        } else if !is_survey_file(path) {
            passed_over.count(ending(path));
        } else if !passed_over.as_exposures(path, |coadd| entries.contains(coadd)) {
            files.push(path.clone());
        }
    }
    Ok(())
}

/// Where DESI keeps what belongs to a file whose name begins with `own`: beside it, under the name that begins with
/// `other`, compressed or not, whichever the file is.
pub(super) fn beside(path: &Path, own: &str, other: &str) -> impl Iterator<Item = PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str());
    let rest = name.and_then(|name| name.strip_prefix(own));
    let plain = rest.map(|rest| path.with_file_name(format!("{other}{}", unpacked(rest))));
    plain.into_iter().flat_map(|plain| {
        let mut packed = plain.clone().into_os_string();
        packed.push(".gz");
        [plain, packed.into()]
    })
}

/// A name without the ending of gzip.
fn unpacked(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((name, ending)) if ending.eq_ignore_ascii_case("gz") => name,
        _ => name,
    }
}

/// How a file's name ends, for the count of those passed over.
fn ending(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match (name.starts_with('.'), path.extension()) {
        (true, _) => "hidden".to_owned(),
        (false, Some(ending)) => format!(".{}", ending.to_string_lossy()),
        (false, None) => "without an ending".to_owned(),
    }
}

fn ends_with(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension();
    ending.is_some_and(|ending| {
        endings
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

fn is_survey_file(path: &Path) -> bool {
    ends_with(path, &ENDINGS)
        || ends_with(path, &["gz"]) && ends_with(&path.with_extension(""), &FITS_ENDINGS)
}

/// A file's name without the endings that tell its format and compression.
pub(super) fn stem(path: &Path) -> String {
    let mut name = PathBuf::from(path.file_name().unwrap_or_default());
    for endings in [&["gz", "fz"][..], &ENDINGS] {
        if ends_with(&name, endings) {
            name.set_extension("");
        }
    }
    name.to_string_lossy().into_owned()
}

fn is_companion(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    COMPANIONS.iter().any(|start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compressed_files_are_taken_and_others_counted_by_ending() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "a.fits",
            "b.fits.gz",
            "c.fits.fz",
            "d.FITS.GZ",
            "table.csv.gz",
            "e.jpg",
            "f.jpg",
            ".hidden",
            "README",
            "redrock-1.fits",
            "coadd-1.fits",
            "spectra-1.fits",
            "spectra-2.fits",
            "coadd-3.fits.gz",
            "spectra-3.fits",
            "coadd-4.fits",
            "spectra-4.fits.gz",
        ];
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let mut exposures = PassedOver::default();
        let pattern = folder.path().join("*-[34].fits*");
        let matched = matches(&pattern, &mut exposures).unwrap();
        let matched: Vec<String> = matched.iter().map(|path| stem(path)).collect();
        assert_eq!(matched, ["coadd-3", "coadd-4"]);
        assert_eq!(exposures.0.values().sum::<usize>(), 2);
        // Exposures alone are what is meant.
        let alone = matches(&folder.path().join("spectra-*"), &mut exposures).unwrap();
        assert_eq!(alone.len(), 4);
        let (mut files, mut passed_over) = (Vec::new(), PassedOver::default());
        walk(folder.path(), &mut files, &mut passed_over).unwrap();
        let taken: Vec<String> = files.iter().map(|path| stem(path)).collect();
        assert_eq!(
            taken,
            [
                "a",
                "b",
                "c",
                "coadd-1",
                "coadd-3",
                "coadd-4",
                "d",
                "spectra-2"
            ]
        );
        let counts: Vec<(&str, usize)> = passed_over
            .0
            .iter()
            .map(|(k, n)| (k.as_str(), *n))
            .collect();
        let expected = [
            (".gz", 1),
            (".jpg", 2),
            ("hidden", 1),
            ("of single exposures beside their coadd", 3),
            ("without an ending", 1),
        ];
        assert_eq!(counts, expected);
    }
}
