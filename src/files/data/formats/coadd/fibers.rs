//! Whom the rows of a coadd belong to, and the redshifts in the file beside it.

use std::collections::HashMap;
use std::path::Path;

use crate::base::error::{Error, Result};
use crate::files::container::fits::FitsFile;
use crate::files::data::paths::beside;
use crate::files::data::source::known_redshift;
use crate::survey::ObjectId;

/// Columns that say what is wrong with a fibre, the best first: productions until 2021 have the second alone.
const STATUS: [&str; 2] = ["COADD_FIBERSTATUS", "FIBERSTATUS"];

/// Beginnings of the names of files with spectra.
const SPECTRUM_FILES: [&str; 2] = ["coadd", "spectra"];

/// Beginnings of the names of files with redshifts, and their tables.
const REDSHIFT_FILES: [(&str, &str); 2] = [("redrock", "REDSHIFTS"), ("zbest", "ZBEST")];

/// Columns of the targets' right ascension and declination.
const POSITION: [&str; 2] = ["TARGET_RA", "TARGET_DEC"];

/// The targets of a file.
pub(super) struct Fibers {
    /// Each target once, with its rows that can be used: one in a coadd, more of single exposures.
    pub targets: Vec<(ObjectId, Vec<usize>)>,
    pub rows: usize,
    /// Rows on the sky.
    pub sky: usize,
    /// Rows of fibres that the file calls faulty.
    pub faulty: usize,
    /// The column that calls them so.
    pub status: &'static str,
    /// Whether the rows are single exposures.
    pub exposures: bool,
}

impl Fibers {
    /// Reads `FIBERMAP`.
    ///
    /// # Errors
    /// Where there is none, or it names no targets.
    pub fn read(path: &Path, file: &FitsFile) -> Result<Self> {
        let table = file.hdu("FIBERMAP").ok_or_else(|| {
            Error::input("no HDU `FIBERMAP`; a coadd names its targets there").in_file(path)
        })?;
        let ids = file
            .integers(table, "TARGETID")?
            .ok_or_else(|| file.error(table, "has no column TARGETID"))?;
        let kinds = file.texts(table, "OBJTYPE")?;
        let mut fibers = Self {
            targets: Vec::new(),
            rows: ids.len(),
            sky: 0,
            faulty: 0,
            status: STATUS[0],
            exposures: false,
        };
        let mut status = None;
        for column in STATUS {
            if status.is_none() {
                status = file.integers(table, column)?;
                fibers.status = column;
            }
        }
        let mut places: HashMap<ObjectId, usize> = HashMap::new();
        for (row, id) in ids.into_iter().enumerate() {
            let is_target = kinds.as_ref().is_none_or(|kinds| kinds[row] == "TGT");
            let id = id.filter(|&id| is_target && id >= 0);
            let Some(id) = id.and_then(ObjectId::of_integer) else {
                fibers.sky += 1;
                continue;
            };
            let place = *places.entry(id).or_insert_with(|| {
                fibers.targets.push((id, Vec::new()));
                fibers.targets.len() - 1
            });
            if status.as_ref().is_some_and(|status| status[row] != Some(0)) {
                fibers.faulty += 1;
            } else {
                fibers.targets[place].1.push(row);
            }
        }
        let rows = fibers.rows - fibers.sky;
        fibers.exposures = rows > fibers.targets.len();
        fibers.targets.retain(|(_, rows)| !rows.is_empty());
        Ok(fibers)
    }
}

/// Whether a file tells the positions of its targets.
pub(super) fn has_positions(file: &FitsFile) -> bool {
    let table = file.hdu("FIBERMAP").and_then(|hdu| file.table(hdu).ok());
    table.is_some_and(|table| POSITION.iter().all(|name| table.field(name).is_some()))
}

/// Right ascension and declination by row of `FIBERMAP`, degrees; none where they are not told.
///
/// # Errors
/// Where the file cannot be read.
pub(super) fn positions(file: &FitsFile) -> Result<Vec<[f64; 2]>> {
    let Some(hdu) = file.hdu("FIBERMAP").filter(|_| has_positions(file)) else {
        return Ok(Vec::new());
    };
    let [ra, dec] = POSITION.map(|name| file.numbers(hdu, name));
    let (ra, dec) = (ra?.unwrap_or_default(), dec?.unwrap_or_default());
    Ok(ra.into_iter().zip(dec).map(|(ra, dec)| [ra, dec]).collect())
}

/// Redshifts by target of the file beside a coadd, where there is one; those that Redrock warns of are
/// left out.
pub(super) fn redshifts(coadd: &Path) -> Result<Option<HashMap<ObjectId, f32>>> {
    let found = REDSHIFT_FILES.iter().find_map(|(start, table)| {
        let names = SPECTRUM_FILES.iter();
        let mut paths = names.flat_map(|own| beside(coadd, own, start));
        Some((paths.find(|path| path.is_file())?, *table))
    });
    let Some((path, table)) = found else {
        return Ok(None);
    };
    let file = FitsFile::open(&path)?;
    let hdu = file
        .hdu(table)
        .ok_or_else(|| Error::input(format!("no HDU `{table}`")).in_file(path))?;
    let lacks = |column: &str| file.error(hdu, format!("has no column {column}"));
    let ids = file
        .integers(hdu, "TARGETID")?
        .ok_or_else(|| lacks("TARGETID"))?;
    let values = file.numbers(hdu, "Z")?.ok_or_else(|| lacks("Z"))?;
    let warnings = file.integers(hdu, "ZWARN")?;
    let known = ids.into_iter().zip(values).enumerate();
    Ok(Some(
        known
            .filter(|(row, _)| {
                warnings
                    .as_ref()
                    .is_none_or(|warnings| warnings[*row] == Some(0))
            })
            .filter_map(|(_, (id, redshift))| {
                Some((ObjectId::of_integer(id?)?, known_redshift(redshift)))
            })
            .collect(),
    ))
}
