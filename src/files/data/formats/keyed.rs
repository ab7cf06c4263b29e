//! Any HDF5 file, by the names of its datasets.

use super::Opening;
use super::column::{Column, redshift_column};
use super::image_file::band_names;
use super::spectra::{SpectrumColumns, StoredWavelengths};
use super::table::{Axes, Bands, Group, Hdf5Table};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file;

/// Names of identifiers, the best first, in a file that lacks the one that is named for another.
const ID_NAMES: [&str; 3] = ["targetid", "TARGETID", "object_id"];

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
    // Of images and spectra in different files each has its own.
    let has = |name: &Option<String>| {
        let name = name.as_ref()?;
        Some(hdf5_file::has_dataset(file, name))
    };
    let held = [has(&keys.image), has(&keys.spectrum)];
    let is_side = matches!(held, [Some(true), Some(false)] | [Some(false), Some(true)]);
    let own = |held: Option<bool>, flag: &str, name: &Option<String>| match is_side
        && held != Some(true)
    {
        true => Ok(None),
        false => named(flag, name),
    };
    let images = own(held[0], "--image-key", &keys.image)?;
    let spectra = own(held[1], "--spectrum-key", &keys.spectrum)?;
    let waves = own(held[1], "--wavelength-key", &keys.wavelength)?;
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
    let mut id: Vec<&str> = keys.id.as_deref().into_iter().collect();
    if let Some(named) = id.first()
        && hdf5_file::dataset(path, file, named)?.is_none()
    {
        let has_usual = ID_NAMES
            .iter()
            .any(|name| hdf5_file::has_dataset(file, name));
        if !(is_side && has_usual) {
            return Err(missing("--id-key", named));
        }
        id = ID_NAMES.to_vec();
    }
    let group = group
        .with_object_ids(path, file, &id)?
        .with_redshifts(match &keys.redshift {
            Some(name) if !(is_side && !hdf5_file::has_dataset(file, name)) => {
                named("--redshift-key", &keys.redshift)?
            }
            _ => redshift_column(path, file)?,
        })?
        .with_positions(path, file);
    let table = Hdf5Table::new(path, "keys", vec![group])?;
    Ok(table.describe(|contents| {
        contents.band_names = names;
        contents.stated.wavelengths = has_waves;
    }))
}
