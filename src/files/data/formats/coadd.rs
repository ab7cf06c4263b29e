//! DESI coadds as the survey publishes them (`coadd-*.fits`): the arms B, R and Z of every fibre, with the
//! redshifts of the `redrock-*.fits` beside it where there is one.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::base::error::{Error, Result};
use crate::files::container::fits::{FitsFile, Hdu};
use crate::files::data::describe::GroupDescription;
use crate::files::data::source::{
    Contents, Source, SourceLabels, Splits, StoredSpectra, Wavelengths, known_redshift,
};
use crate::survey::{DESI_GRID, Modality, ObjectId, WavelengthGrid};

/// Arms of the spectrograph, blue first, and all three joined.
const ARMS: [&str; 4] = ["B", "R", "Z", "BRZ"];

/// Beginnings of the names of files with redshifts, and their tables.
const REDSHIFT_FILES: [(&str, &str); 2] = [("redrock", "REDSHIFTS"), ("zbest", "ZBEST")];

/// The galaxies of one coadd. Fibres on the sky, faulty ones and those without any signal are left out.
#[derive(Debug)]
pub(super) struct Coadd {
    contents: Contents,
    file: Mutex<FitsFile>,
    arms: Vec<Arm>,
    /// Row in the file of each galaxy.
    rows: Vec<usize>,
    object_ids: Vec<ObjectId>,
    redshifts: Vec<f32>,
}

/// One arm.
#[derive(Debug)]
struct Arm {
    name: &'static str,
    /// Place on the grid of its first pixel.
    start: usize,
    pixels: usize,
}

/// Whether the file has the arms of a coadd.
pub(super) fn recognises(file: &FitsFile) -> bool {
    ARMS.iter()
        .any(|arm| file.hdu(&format!("{arm}_FLUX")).is_some())
}

impl Coadd {
    /// Opens a coadd and looks at every spectrum once.
    ///
    /// # Errors
    /// Where the file is no coadd or damaged, or its wavelengths are not on DESI's grid.
    pub fn open(path: &Path, file: FitsFile) -> Result<Self> {
        let arms = arms(path, &file)?;
        let fibres = Fibres::read(path, &file)?;
        let mut coadd = Self {
            contents: Contents {
                path: path.to_owned(),
                format: "DESI coadd",
                groups: Vec::new(),
                image_shape: None,
                band_names: None,
                wavelengths: Some(Wavelengths::Shared(DESI_GRID.wavelengths())),
                bad_pixels: true,
                splits: Splits::ById,
                catalog_columns: Vec::new(),
                notes: Vec::new(),
            },
            file: Mutex::new(file),
            arms,
            rows: Vec::new(),
            object_ids: Vec::new(),
            redshifts: Vec::new(),
        };
        let (mut empty, mut masked) = (0, 0);
        let mut spectrum = vec![0.0; DESI_GRID.len];
        let mut flags = vec![false; DESI_GRID.len];
        for (row, id) in fibres.ids.iter().enumerate() {
            let Some(id) = *id else {
                continue;
            };
            match coadd.merge(row, &mut spectrum, &mut flags)? {
                bad if bad == DESI_GRID.len => empty += 1,
                bad => {
                    masked += bad;
                    coadd.rows.push(row);
                    coadd.object_ids.push(id);
                }
            }
        }
        let galaxies = coadd.rows.len();
        let notes = &mut coadd.contents.notes;
        let counts = [
            (fibres.sky, "fibres on the sky"),
            (fibres.faulty, "faulty fibres (COADD_FIBERSTATUS)"),
            (empty, "spectra without any signal"),
        ];
        let left_out = counts.iter().filter(|(count, _)| *count > 0);
        let left_out: Vec<String> = left_out
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if !left_out.is_empty() {
            notes.push(format!(
                "left out {} of {} rows",
                left_out.join(", "),
                fibres.ids.len()
            ));
        }
        if masked > 0 {
            notes.push(format!(
                "{masked} masked pixels ({:.2} %)",
                100.0 * masked as f64 / (galaxies.max(1) * DESI_GRID.len) as f64
            ));
        }
        if galaxies == 0 {
            return Err(Error::input(format!(
                "no usable spectrum among {} rows: left out {}",
                fibres.ids.len(),
                left_out.join(", ")
            ))
            .in_file(path));
        }
        coadd.redshifts = vec![f32::NAN; galaxies];
        if let Some(known) = redshifts(path)? {
            for (redshift, id) in coadd.redshifts.iter_mut().zip(&coadd.object_ids) {
                *redshift = known.get(id).copied().unwrap_or(f32::NAN);
            }
        }
        coadd.contents.groups = vec![GroupDescription {
            name: "/".into(),
            galaxies,
            compressed: false,
        }];
        Ok(coadd)
    }

    /// Merges the arms of a row of the file: where they overlap, the mean by inverse variance, as DESI's
    /// `coadd_cameras` does it. Flags pixels without any weight and returns their number.
    fn merge(&self, row: usize, out: &mut [f32], bad: &mut [bool]) -> Result<usize> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums = vec![0.0; DESI_GRID.len];
        let mut weights = vec![0.0; DESI_GRID.len];
        for arm in &self.arms {
            let read = |what: &str| {
                let hdu = hdu(&self.contents.path, &file, arm.name, what)?;
                file.image_rows(hdu, row..row + 1)
            };
            let (flux, ivar) = (read("FLUX")?, read("IVAR")?);
            let mask = match file.hdu(&format!("{}_MASK", arm.name)) {
                Some(hdu) => file.image_rows(hdu, row..row + 1)?,
                None => vec![0.0; flux.len()],
            };
            let pixels = flux.iter().zip(&ivar).zip(&mask);
            for (place, ((&flux, &ivar), &mask)) in pixels.enumerate() {
                if mask == 0.0 && ivar > 0.0 && ivar.is_finite() && flux.is_finite() {
                    sums[arm.start + place] += ivar * flux;
                    weights[arm.start + place] += ivar;
                }
            }
        }
        for (((out, bad), sum), weight) in out.iter_mut().zip(&mut *bad).zip(&sums).zip(&weights) {
            *bad = *weight == 0.0;
            *out = match *bad {
                true => 0.0,
                false => (sum / weight) as f32,
            };
        }
        // A fibre without light has weights but no flux.
        match out.iter().any(|&flux| flux != 0.0) {
            true => Ok(bad.iter().filter(|&&bad| bad).count()),
            false => Ok(bad.len()),
        }
    }
}

fn hdu<'a>(path: &Path, file: &'a FitsFile, arm: &str, what: &str) -> Result<&'a Hdu> {
    file.hdu(&format!("{arm}_{what}")).ok_or_else(|| {
        Error::input(format!(
            "no HDU `{arm}_{what}`; a coadd has {arm}_WAVELENGTH, {arm}_FLUX and {arm}_IVAR"
        ))
        .in_file(path)
    })
}

/// The arms that the file has, on the grid.
fn arms(path: &Path, file: &FitsFile) -> Result<Vec<Arm>> {
    let present = ARMS
        .into_iter()
        .filter(|arm| file.hdu(&format!("{arm}_FLUX")).is_some());
    let arms = present
        .map(|name| {
            let wavelengths = hdu(path, file, name, "WAVELENGTH")?;
            let values = file.image(wavelengths)?.into_raw_vec_and_offset().0;
            let first = values.first().copied().unwrap_or(f64::NAN);
            let start = ((first - DESI_GRID.start) / DESI_GRID.step).round();
            let fits = start >= 0.0 && start as usize + values.len() <= DESI_GRID.len;
            let part = WavelengthGrid {
                start: DESI_GRID.wavelength(start.max(0.0) as usize),
                len: values.len(),
                ..DESI_GRID
            };
            if !fits || !part.matches(&values) {
                return Err(file.error(
                    wavelengths,
                    format!(
                        "starts at {first} Å; expected pixels of DESI's grid, {} Å and on in steps of {} Å",
                        DESI_GRID.start, DESI_GRID.step
                    ),
                ));
            }
            for what in ["FLUX", "IVAR"] {
                let hdu = hdu(path, file, name, what)?;
                let shape = file.image_shape(hdu)?;
                if shape.len() != 2 || shape[1] != values.len() {
                    return Err(file.error(
                        hdu,
                        format!("has shape {shape:?}; expected (n, {})", values.len()),
                    ));
                }
            }
            Ok(Arm {
                name,
                start: start as usize,
                pixels: values.len(),
            })
        })
        .collect::<Result<Vec<Arm>>>()?;
    match arms.iter().map(|arm| arm.pixels).sum::<usize>() {
        0 => Err(
            Error::input("no DESI coadd: there is no HDU B_FLUX, R_FLUX or Z_FLUX").in_file(path),
        ),
        _ => Ok(arms),
    }
}

/// The fibres of a coadd.
struct Fibres {
    /// Identifier of each row; `None` for those that are left out.
    ids: Vec<Option<ObjectId>>,
    sky: usize,
    faulty: usize,
}

impl Fibres {
    fn read(path: &Path, file: &FitsFile) -> Result<Self> {
        let table = file.hdu("FIBERMAP").ok_or_else(|| {
            Error::input("no HDU `FIBERMAP`; a coadd names its targets there").in_file(path)
        })?;
        let ids = file
            .integers(table, "TARGETID")?
            .ok_or_else(|| file.error(table, "has no column TARGETID"))?;
        let kinds = file.texts(table, "OBJTYPE")?;
        let status = file.integers(table, "COADD_FIBERSTATUS")?;
        let (mut sky, mut faulty) = (0, 0);
        let ids = ids.into_iter().enumerate().map(|(row, id)| {
            let is_target = kinds.as_ref().is_none_or(|kinds| kinds[row] == "TGT");
            if !is_target || id < 0 {
                sky += 1;
                return None;
            }
            if status.as_ref().is_some_and(|status| status[row] != 0) {
                faulty += 1;
                return None;
            }
            Some(ObjectId::from(id))
        });
        let ids: Vec<Option<ObjectId>> = ids.collect();
        Ok(Self { ids, sky, faulty })
    }
}

/// Redshifts by target of the file beside a coadd, where there is one; those that Redrock warns of are
/// left out.
fn redshifts(coadd: &Path) -> Result<Option<HashMap<ObjectId, f32>>> {
    let name = coadd.file_name().unwrap_or_default().to_string_lossy();
    let beside = REDSHIFT_FILES.iter().find_map(|(start, table)| {
        let path: PathBuf = coadd.with_file_name(name.replacen("coadd", start, 1));
        (path.as_path() != coadd && path.is_file()).then_some((path, *table))
    });
    let Some((path, table)) = beside else {
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
            .filter(|(row, _)| warnings.as_ref().is_none_or(|warnings| warnings[*row] == 0))
            .map(|(_, (id, redshift))| (ObjectId::from(id), known_redshift(redshift)))
            .collect(),
    ))
}

impl Source for Coadd {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        Ok(SourceLabels {
            object_id: self.object_ids[rows.clone()]
                .iter()
                .copied()
                .map(Some)
                .collect(),
            redshift: self.redshifts[rows].to_vec(),
        })
    }

    fn read_images(&self, _wanted: &[(usize, usize)], _out: &mut [f32]) -> Result<()> {
        Ok(())
    }

    fn read_spectra(&self, wanted: &[(usize, usize)], out: &mut StoredSpectra<'_>) -> Result<()> {
        for &(position, row) in wanted {
            let pixels = position * DESI_GRID.len..(position + 1) * DESI_GRID.len;
            let (flux, bad) = (&mut out.flux[pixels.clone()], &mut out.bad[pixels]);
            self.merge(self.rows[row], flux, bad)?;
        }
        Ok(())
    }

    fn place(&self, _what: Modality, row: usize) -> String {
        format!("target {} in row {}", self.object_ids[row], self.rows[row])
    }
}
