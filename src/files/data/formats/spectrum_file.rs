//! Spectra without images, on any wavelengths, each on its own if need be.

use super::column::{Column, redshift_column};
use super::spectra::{SpectrumColumns, StoredWavelengths};
use super::table::{Group, Hdf5Table};
use super::{Layout, Opening};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::has_dataset;
use crate::files::data::options::Format;

const ID_NAMES: [&str; 3] = ["targetid", "TARGETID", "object_id"];

pub(super) const LAYOUT: Layout = Layout {
    format: Format::Spectra,
    holds: "`flux` (n, pixels) in 1e-17 erg/s/cm²/Å, `wave` (pixels) or (n, pixels) in Å; optionally `ivar`, `mask`, \
            `targetid`, `z_redrock`",
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
    let mut spectra = SpectrumColumns::new(flux, StoredWavelengths::of(wave)?);
    spectra.ivar = Column::open(path, file, "ivar")?;
    spectra.mask = Column::open(path, file, "mask")?;
    let group = Group::new("/", spectra.flux.shape()[0])
        .with_spectra(spectra)?
        .with_object_ids(path, file, &ID_NAMES)?
        .with_redshifts(redshift_column(path, file)?)?
        .with_positions(path, file);
    Hdf5Table::new(path, "spectra", vec![group])
}
