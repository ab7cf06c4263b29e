//! The arms of the spectrograph in a coadd, and where they lie on the grid.

use std::path::Path;

use crate::base::error::{Error, Result};
use crate::files::container::fits::{FitsFile, Hdu, HduKind};
use crate::survey::{DESI_GRID, WavelengthGrid};

/// Arms of the spectrograph, blue first, and all three joined.
const ARMS: [&str; 4] = ["B", "R", "Z", "BRZ"];

/// One arm.
#[derive(Debug)]
pub(super) struct Arm {
    pub name: &'static str,
    /// Place on the grid of its first pixel.
    pub start: usize,
    pub pixels: usize,
}

/// Whether the file has the flux of an arm.
pub(super) fn any(file: &FitsFile) -> bool {
    ARMS.iter()
        .any(|arm| file.hdu(&format!("{arm}_FLUX")).is_some())
}

/// The unit that the file states of its flux.
pub(super) fn unit(file: &FitsFile) -> Option<String> {
    let mut flux = ARMS
        .iter()
        .filter_map(|arm| file.hdu(&format!("{arm}_FLUX")));
    flux.find_map(|hdu| hdu.text("BUNIT").map(str::to_owned))
}

/// Whether any of these is compressed, in tiles or with the whole file.
pub(super) fn are_compressed(file: &FitsFile, arms: &[Arm]) -> bool {
    let flux = |arm: &Arm| file.hdu(&format!("{}_FLUX", arm.name));
    let in_tiles = |hdu: &Hdu| hdu.kind == HduKind::CompressedImage;
    file.is_gzip() || arms.iter().filter_map(flux).any(in_tiles)
}

/// The arms of DESI that are not among these.
pub(super) fn lacking(arms: &[Arm]) -> Vec<&'static str> {
    let has = |name: &str| arms.iter().any(|arm| arm.name == name);
    let [single @ .., joined] = ARMS;
    match has(joined) {
        true => Vec::new(),
        false => single.into_iter().filter(|name| !has(name)).collect(),
    }
}

/// The HDU of what an arm measured.
pub(super) fn hdu<'a>(path: &Path, file: &'a FitsFile, arm: &str, what: &str) -> Result<&'a Hdu> {
    file.hdu(&format!("{arm}_{what}")).ok_or_else(|| {
        Error::input(format!(
            "no HDU `{arm}_{what}`; a coadd has {arm}_WAVELENGTH, {arm}_FLUX and {arm}_IVAR"
        ))
        .in_file(path)
    })
}

/// The arms that the file has, on the grid.
pub(super) fn read(path: &Path, file: &FitsFile, rows: usize) -> Result<Vec<Arm>> {
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
            // A coadd may do without a mask.
            let mask = file.hdu(&format!("{name}_MASK"));
            let measured = [hdu(path, file, name, "FLUX")?, hdu(path, file, name, "IVAR")?];
            for hdu in measured.into_iter().chain(mask) {
                let shape = file.image_shape(hdu)?;
                if shape != [rows, values.len()] {
                    return Err(file.error(
                        hdu,
                        format!(
                            "has shape {shape:?}; expected ({rows}, {}), a row for each of FIBERMAP",
                            values.len()
                        ),
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
