//! Spectra without images, on DESI's wavelength grid.

use std::path::Path;

use super::hdf5_file::{Column, Layout, has_dataset};
use super::image_file::first_column;
use super::table::{Group, SurveyTable};
use crate::error::{Error, Result};
use crate::survey::DESI_GRID;

const ID_NAMES: [&str; 3] = ["targetid", "TARGETID", "object_id"];

/// Names of a redshift, the best first.
const REDSHIFT_NAMES: [&str; 4] = ["z_redrock", "redshift", "z_spec", "Z"];

/// How far a wavelength may lie from its pixel of the grid, Å: a hundredth of a pixel.
const WAVELENGTH_TOLERANCE: f64 = 0.008;

pub(super) const LAYOUT: Layout = Layout {
    name: "spectra",
    holds: "`flux` (n, 7781) in 1e-17 erg/s/cm²/Å, `wave` (7781) in Å; optionally `ivar`, \
            `targetid`, `z_redrock`",
    recognises: |file| has_dataset(file, "flux") && !has_dataset(file, "images"),
    open,
};

fn open(path: &Path, file: &hdf5::File) -> Result<SurveyTable> {
    let flux = Column::open(path, file, "flux")?.expect("the layout was recognised by it");
    let wave = Column::open(path, file, "wave")?.ok_or_else(|| {
        Error::input(format!(
            "{}: has `flux` but no `wave`; add the wavelengths of its pixels, {}",
            path.display(),
            expected_grid()
        ))
    })?;
    check_wavelengths(&wave)?;
    let group = Group::new("/", flux.shape()[0])
        .with_spectra(flux)?
        .with_object_ids(first_column(path, file, &ID_NAMES)?)?
        .with_redshifts(first_column(path, file, &REDSHIFT_NAMES)?)?;
    SurveyTable::new(path, LAYOUT.name, vec![group], Vec::new())
}

fn expected_grid() -> String {
    format!(
        "{} values from {} to {} Å in steps of {} Å",
        DESI_GRID.len,
        DESI_GRID.start,
        DESI_GRID.wavelength(DESI_GRID.len - 1),
        DESI_GRID.step
    )
}

fn check_wavelengths(wave: &Column) -> Result<()> {
    let values: Vec<f64> = wave.read_all()?;
    let off_grid = |(index, wavelength): (usize, &f64)| {
        // Written so that NaN is off the grid.
        !((wavelength - DESI_GRID.wavelength(index)).abs() <= WAVELENGTH_TOLERANCE)
    };
    if values.len() == DESI_GRID.len && !values.iter().enumerate().any(off_grid) {
        return Ok(());
    }
    let ends = match (values.first(), values.last()) {
        (Some(first), Some(last)) => format!(" from {first} to {last} Å"),
        _ => String::new(),
    };
    Err(wave.error(format!(
        "holds {} values{ends}; expected {}: resample the spectra to this grid",
        values.len(),
        expected_grid()
    )))
}
