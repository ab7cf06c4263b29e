//! Any HDF5 file, by the names of its datasets.

use super::Opening;
use super::column::{Column, redshift_column};
use super::image_file::band_names;
use super::spectra::{SpectrumColumns, StoredWavelengths};
use super::table::{Axes, Bands, Group, Hdf5Table};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file;

pub(super) fn open(opening: &Opening<'_>) -> Result<Hdf5Table> {
    let Opening {
        path,
        file,
        survey,
        options,
    } = *opening;
    let keys = &options.keys;
    let missing = |flag: &str, name: &str| {
        Error::input(format!(
            "no dataset `{name}`, which {flag} names; it holds {}",
            super::listed(file)
        ))
        .in_file(path)
    };
    let named = |flag: &str, name: &Option<String>| {
        let Some(name) = name else {
            return Ok::<_, Error>(None);
        };
        let column = Column::open(path, file, name)?.ok_or_else(|| missing(flag, name))?;
        Ok(Some(column))
    };
    let images = named("--image-key", &keys.image)?;
    let spectra = named("--spectrum-key", &keys.spectrum)?;
    let waves = named("--wavelength-key", &keys.wavelength)?;
    let has_waves = waves.is_some();
    let rows = match images.as_ref().or(spectra.as_ref()) {
        Some(column) => column.shape()[0],
        None => {
            return Err(
                Error::input("--format keys needs --image-key or --spectrum-key").in_file(path),
            );
        }
    };
    let mut group = Group::new("/", rows);
    let mut names = None;
    if let Some(images) = images {
        names = band_names(&images);
        let bands = Bands {
            survey,
            names: names.as_deref(),
            last: Axes::BandLast,
        };
        group = group.with_images(images, &bands)?;
    }
    if let Some(spectra) = spectra {
        let waves = match waves {
            Some(column) => StoredWavelengths::of(column)?,
            None => StoredWavelengths::Known(survey.wavelengths.wavelengths()),
        };
        let mut spectra = SpectrumColumns::new(spectra, waves);
        spectra.ivar = named("--ivar-key", &keys.ivar)?;
        spectra.mask = named("--mask-key", &keys.mask)?;
        group = group.with_spectra(spectra)?;
    }
    let id: Vec<&str> = keys.id.as_deref().into_iter().collect();
    if let Some(id) = id.first()
        && hdf5_file::dataset(path, file, id)?.is_none()
    {
        return Err(missing("--id-key", id));
    }
    let group = group
        .with_object_ids(path, file, &id)?
        .with_redshifts(match &keys.redshift {
            Some(_) => named("--redshift-key", &keys.redshift)?,
            None => redshift_column(path, file)?,
        })?
        .with_positions(path, file);
    let table = Hdf5Table::new(path, "keys", vec![group])?;
    Ok(table.describe(|contents| {
        contents.band_names = names;
        contents.stated.wavelengths = has_waves;
    }))
}
