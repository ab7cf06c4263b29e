//! The released joint file: paired images and spectra in groups `0` to `9`.
//!
//! Its images were stored transposed, with axes x, y, band; like the released code we only move the
//! band to the front, so `[band, i, j]` of an image read here is pixel x = i, y = j of the sky, the
//! mirror image of the same galaxy in an images-only file, whose axes are band, y, x. Training flips
//! both axes, so the models do not tell them apart.

use std::path::Path;

use super::hdf5_file::{Column, Layout, has_dataset, member_names};
use super::table::{Group, SurveyTable};
use crate::error::{Error, Result};

/// Name of the optional root group with one dataset per label.
pub(super) const CATALOG: &str = "catalog";

pub(super) const LAYOUT: Layout = Layout {
    name: "joint",
    holds: "groups (`0`, `1`, …) with `images` (n, S, S, 3) in nanomaggies, `spectra` (n, 7781, 1), \
            `redshifts`, `targetids`; optionally a group `catalog`",
    recognises,
    open,
};

fn recognises(file: &hdf5::File) -> bool {
    member_names(file)
        .iter()
        .any(|name| is_data_group(file, name))
}

fn is_data_group(file: &hdf5::File, name: &str) -> bool {
    file.group(name)
        .is_ok_and(|group| has_dataset(&group, "images") || has_dataset(&group, "spectra"))
}

fn open(path: &Path, file: &hdf5::File) -> Result<SurveyTable> {
    let mut names: Vec<_> = member_names(file)
        .into_iter()
        .filter(|name| is_data_group(file, name))
        .collect();
    // By number, so that `10` follows `9`; other names after the numbers.
    names.sort_by_key(|name| (name.parse::<u64>().unwrap_or(u64::MAX), name.clone()));
    let groups = names
        .iter()
        .map(|name| read_group(path, file, name))
        .collect::<Result<Vec<_>>>()?;
    let catalog_columns = match file.link_exists(CATALOG) {
        true => file
            .group(CATALOG)
            .map_or(Vec::new(), |catalog| member_names(&catalog)),
        false => Vec::new(),
    };
    SurveyTable::new(path, LAYOUT.name, groups, catalog_columns)
}

fn read_group(path: &Path, file: &hdf5::File, name: &str) -> Result<Group> {
    let group = file.group(name).map_err(|source| {
        Error::input(format!(
            "{}: group `{name}` cannot be opened ({source})",
            path.display()
        ))
    })?;
    let column = |name| Column::open(path, &group, name);
    let (images, spectra) = (column("images")?, column("spectra")?);
    let rows = images
        .as_ref()
        .or(spectra.as_ref())
        .map_or(0, |column| column.shape()[0]);
    let mut data = Group::new(name, rows);
    if let Some(images) = images {
        data = data.with_images(images)?;
    }
    if let Some(spectra) = spectra {
        data = data.with_spectra(spectra)?;
    }
    data.with_object_ids(column("targetids")?)?
        .with_redshifts(column("redshifts")?)
}
