//! Files of the Multimodal Universe (2024): `legacysurvey`, `ssl_legacysurvey`, `desi` and `sdss`, one HDF5 file per
//! HEALPix pixel.

use super::column::{Column, redshift_column};
use super::spectra::{SpectrumColumns, StoredWavelengths};
use super::table::{Axes, Bands, Group, Hdf5Table};
use super::{Layout, Opening};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, has_dataset};
use crate::files::data::options::Format;
use crate::files::data::source::Splits;

pub(super) const LAYOUT: Layout = Layout {
    format: Format::MultimodalUniverse,
    holds: "`image_array` (n, bands, S, S) with `image_band`, or `spectrum_flux` (n, pixels) with \
            `spectrum_lambda`; `object_id`",
    recognises: |file| has_dataset(file, "image_array") || has_dataset(file, "spectrum_flux"),
    open,
};

fn open(opening: &Opening<'_>) -> Result<Hdf5Table> {
    let Opening {
        path, file, survey, ..
    } = *opening;
    let images = Column::open(path, file, "image_array")?;
    let spectra = Column::open(path, file, "spectrum_flux")?;
    let rows = images
        .as_ref()
        .or(spectra.as_ref())
        .map_or(0, |column| column.shape()[0]);
    let mut group = Group::new("/", rows);
    let mut notes = Vec::new();
    let (mut names, mut pixel_scale) = (None, None);
    if let Some(images) = images {
        let found = band_names(opening)?;
        let bands = Bands {
            survey,
            names: found.as_deref(),
            last: Axes::BandLast,
        };
        group = group.with_images(images, &bands)?;
        pixel_scale = first_scale(opening)?;
        notes.extend(pixel_scale.and_then(|scale| survey.note_on_scales(scale, scale)));
        let flags = ["image_mask", "image_ivar"].into_iter();
        let flags = flags.filter(|name| has_dataset(file, name));
        let flags: Vec<String> = flags.map(|name| format!("`{name}`")).collect();
        notes.extend(flags_not_applied(&flags));
        names = found;
    }
    if let Some(flux) = spectra {
        let waves = spectrum_wavelengths(opening, &flux)?;
        let mut spectra = SpectrumColumns::new(flux, waves);
        spectra.ivar = Column::open(path, file, "spectrum_ivar")?;
        spectra.mask = Column::open(path, file, "spectrum_mask")?;
        group = group.with_spectra(spectra)?;
    }
    let group = group
        .with_object_ids(path, file, &["object_id", "TARGETID"])?
        .with_redshifts(redshift_column(path, file)?)?
        .with_positions(path, file);
    let table = Hdf5Table::new(path, "Multimodal Universe", vec![group])?;
    Ok(table.describe(|contents| {
        contents.splits = Splits::ById;
        contents.band_names = names;
        contents.stated.pixel_scale = pixel_scale.map(|scale| [scale; 2]);
        contents.notes = notes;
    }))
}

/// Says why what tells which pixels of images to trust, by these names, is not used; `None` where there is none.
pub(super) fn flags_not_applied(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| {
        format!(
            "images are read without {}: pixels are as their survey's pipeline left them. An image with an unknown pixel \
             cannot be used, as in every format, and what a mask flags (saturation, neighbours, edges) differs by set",
            names.join(" and ")
        )
    })
}

/// The bands that `image_band` names, the same for every galaxy; `None` where it is absent.
fn band_names(opening: &Opening<'_>) -> Result<Option<Vec<String>>> {
    let Opening { path, file, .. } = *opening;
    let Some(dataset) = hdf5_file::dataset(path, file, "image_band")? else {
        return Ok(None);
    };
    let failed =
        |message: String| Error::input(format!("dataset `image_band` {message}")).in_file(path);
    let unreadable =
        |source: hdf5::Error| failed(format!("cannot be read: {source}")).caused_by(source);
    let bands = dataset.shape().get(1).copied().unwrap_or(1).max(1);
    let rows = dataset.shape().first().copied().unwrap_or(0);
    let names = hdf5_file::texts(&dataset, None, 0..rows).map_err(unreadable)?;
    let Some(names) = names else {
        return Err(failed("holds no text; expected the names of bands".into()));
    };
    let mut rows = names.chunks_exact(bands);
    let Some(first) = rows.next() else {
        return Ok(None);
    };
    match rows.position(|other| other != first) {
        None => Ok(Some(first.to_vec())),
        Some(row) => Err(failed(format!(
            "names other bands in row {} than in row 0; all galaxies of a file need the same",
            row + 1
        ))),
    }
}

/// The pixel scale of the first image, arcsec.
fn first_scale(opening: &Opening<'_>) -> Result<Option<f64>> {
    let Some(column) = Column::open(opening.path, opening.file, "image_scale")? else {
        return Ok(None);
    };
    if column.shape()[0] == 0 {
        return Ok(None);
    }
    let scales: Vec<f64> = column.read_range(0..1)?;
    Ok(scales.first().copied())
}

/// From `spectrum_lambda`, or evenly from `spectrum_lambda_min` to `_max` of the first galaxy.
fn spectrum_wavelengths(opening: &Opening<'_>, spectra: &Column) -> Result<StoredWavelengths> {
    let Opening { path, file, .. } = *opening;
    if let Some(column) = Column::open(path, file, "spectrum_lambda")? {
        return StoredWavelengths::of(column);
    }
    let end = |name: &str| -> Result<f64> {
        let column = Column::open(path, file, name)?.filter(|column| column.shape()[0] > 0);
        let values: Vec<f64> = match column {
            Some(column) => column.read_range(0..1)?,
            None => Vec::new(),
        };
        values.first().copied().ok_or_else(|| {
            spectra.error(format!(
                "has no wavelengths: neither `spectrum_lambda` nor `{name}` is there"
            ))
        })
    };
    let (first, last) = (end("spectrum_lambda_min")?, end("spectrum_lambda_max")?);
    let pixels = spectra.shape().get(1).copied().unwrap_or(0).max(2);
    let step = (last - first) / (pixels - 1) as f64;
    let wavelengths = (0..pixels).map(|i| first + step * i as f64);
    Ok(StoredWavelengths::Known(wavelengths.collect()))
}
