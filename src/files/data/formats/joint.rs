//! The released joint file: paired images and spectra in groups `0` to `9`.
//!
//! Its images were stored transposed, with axes x, y, band. Reading reverses them, as the released
//! code's collator does, so that every image has the axes band, y, x.

use super::column::Column;
use super::spectra::{SpectrumColumns, StoredWavelengths};
use super::table::{Axes, Bands, Group, Hdf5Table};
use super::{Layout, Opening};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, has_dataset, member_names};
use crate::files::data::options::Format;
use crate::survey::DESI_GRID;

/// Name of the optional root group with one dataset per label.
pub(super) const CATALOG: &str = "catalog";

pub(super) const LAYOUT: Layout = Layout {
    format: Format::Joint,
    holds: "groups (`0`, `1`, …) with `images` (n, S, S, 3), axes x, y, band, in nanomaggies, `spectra` (n, 7781, 1), \
            `redshifts`, `targetids`; optionally a group `catalog`",
    recognises,
    open,
};

fn recognises(file: &hdf5::File) -> bool {
    member_names(file)
        .iter()
        .any(|name| is_data_group(file, name))
}

pub(super) fn has_catalog(file: &hdf5::File) -> bool {
    file.link_exists(CATALOG)
}

fn is_data_group(file: &hdf5::File, name: &str) -> bool {
    file.group(name)
        .is_ok_and(|group| has_dataset(&group, "images") || has_dataset(&group, "spectra"))
}

fn open(opening: &Opening<'_>) -> Result<Hdf5Table> {
    let Opening { path, file, .. } = *opening;
    // A link that leads to nothing may stand for a group.
    hdf5_file::check_links(path, file)?;
    let mut names: Vec<_> = member_names(file)
        .into_iter()
        .filter(|name| is_data_group(file, name))
        .collect();
    // By number, so that `10` follows `9`; other names after the numbers.
    names.sort_by_key(|name| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
    let groups = names
        .iter()
        .map(|name| read_group(opening, name))
        .collect::<Result<Vec<_>>>()?;
    let catalog_columns = match has_catalog(file) {
        true => file
            .group(CATALOG)
            .map_or(Vec::new(), |catalog| member_names(&catalog)),
        false => Vec::new(),
    };
    let table = Hdf5Table::new(path, "joint", groups)?;
    Ok(table.describe(|contents| {
        contents.catalog_columns = catalog_columns;
        contents.stated.wavelengths = false;
    }))
}

fn read_group(opening: &Opening<'_>, name: &str) -> Result<Group> {
    let Opening {
        path, file, survey, ..
    } = *opening;
    let group = file.group(name).map_err(|source| {
        Error::input(format!("group `{name}` cannot be opened ({source})"))
            .caused_by(source)
            .in_file(path)
    })?;
    let column = |name| Column::open(path, &group, name);
    let (images, spectra) = (column("images")?, column("spectra")?);
    let rows = images
        .as_ref()
        .or(spectra.as_ref())
        .map_or(0, |column| column.shape()[0]);
    let mut data = Group::new(name, rows);
    if let Some(images) = images {
        let bands = Bands {
            survey,
            names: None,
            last: Axes::Reversed,
        };
        data = data.with_images(images, &bands)?;
    }
    if let Some(spectra) = spectra {
        data = data.with_spectra(SpectrumColumns::new(spectra, grid()))?;
    }
    let data = data
        .with_object_ids(path, &group, &["targetids"])?
        .with_redshifts(column("redshifts")?)?;
    Ok(data.with_positions(path, &group))
}

/// The wavelengths that the layout takes for granted.
fn grid() -> StoredWavelengths {
    StoredWavelengths::Known(DESI_GRID.wavelengths())
}
