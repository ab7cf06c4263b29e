//! Spectra without images, on any wavelengths.

use super::column::{Column, first_column};
use super::table::{Group, Hdf5Table};
use super::{Layout, Opening};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::has_dataset;
use crate::files::data::options::Format;

const ID_NAMES: [&str; 3] = ["targetid", "TARGETID", "object_id"];

/// Names of a redshift, the best first.
const REDSHIFT_NAMES: [&str; 4] = ["z_redrock", "redshift", "z_spec", "Z"];

pub(super) const LAYOUT: Layout = Layout {
    format: Format::Spectra,
    holds: "`flux` (n, pixels) in 1e-17 erg/s/cm²/Å, `wave` (pixels) in Å; optionally `mask`, `targetid`, \
            `z_redrock`",
    recognises: |file| has_dataset(file, "flux") && !has_dataset(file, "images"),
    open,
};

fn open(opening: &Opening<'_>) -> Result<Hdf5Table> {
    let Opening { path, file, .. } = *opening;
    let missing = |name: &str, advice: &str| {
        Error::input(format!("no dataset `{name}`; {advice}")).in_file(path)
    };
    let flux = Column::open(path, file, "flux")?
        .ok_or_else(|| missing("flux", "it holds the spectra, (n, pixels)"))?;
    let wave = Column::open(path, file, "wave")?
        .ok_or_else(|| missing("wave", "add the wavelength of every pixel, Å"))?;
    let wavelengths = wavelengths(&wave)?;
    let mask = Column::open(path, file, "mask")?;
    let group = Group::new("/", flux.shape()[0])
        .with_spectra(flux, mask, wavelengths.len())?
        .with_object_ids(path, file, &ID_NAMES)?
        .with_redshifts(first_column(path, file, &REDSHIFT_NAMES)?)?;
    Hdf5Table::new(path, "spectra", vec![group], Some(wavelengths))
}

/// The wavelengths in a dataset of one, or of one row of the same for every galaxy.
///
/// # Errors
/// Where the rows differ, or there are none.
pub(super) fn wavelengths(column: &Column) -> Result<Vec<f64>> {
    match *column.shape() {
        [pixels] => column.read_range(0..pixels),
        [rows, _] if rows > 0 => {
            let first: Vec<f64> = column.read_range(0..1)?;
            let last: Vec<f64> = column.read_range(rows - 1..rows)?;
            match first == last {
                true => Ok(first),
                false => Err(column.error(format!(
                    "differs from row 0 in row {}; all spectra of a file need the same wavelengths",
                    rows - 1
                ))),
            }
        }
        ref other => Err(column.error(format!(
            "has shape {other:?}; expected one wavelength per pixel"
        ))),
    }
}
