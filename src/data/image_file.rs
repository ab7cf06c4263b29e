//! Images without spectra, as Stein et al. (2021b) published them.

use std::path::Path;

use super::hdf5_file::{Column, Layout, has_dataset};
use super::table::{Group, SurveyTable};
use crate::error::Result;

/// Names of an identifier, the best first: the survey's `objid` is unique within a brick only.
const ID_NAMES: [&str; 5] = ["targetid", "TARGETID", "object_id", "inds", "objid"];

/// Names of a redshift, the best first.
const REDSHIFT_NAMES: [&str; 4] = ["redshift", "z_spec", "z_redrock", "Z"];

pub(super) const LAYOUT: Layout = Layout {
    name: "images",
    holds: "`images` (n, 3, S, S), bands g, r, z in nanomaggies; optionally `targetid`, \
            `object_id`, `inds` or `objid`, and `redshift` or `z_spec`",
    recognises: |file| has_dataset(file, "images"),
    open,
};

fn open(path: &Path, file: &hdf5::File) -> Result<SurveyTable> {
    let images = Column::open(path, file, "images")?.expect("the layout was recognised by it");
    let group = Group::new("/", images.shape()[0])
        .with_images(images)?
        .with_object_ids(first_column(path, file, &ID_NAMES)?)?
        .with_redshifts(first_column(path, file, &REDSHIFT_NAMES)?)?;
    SurveyTable::new(path, LAYOUT.name, vec![group], Vec::new())
}

/// The first of these datasets that the file has.
pub(super) fn first_column(
    path: &Path,
    file: &hdf5::File,
    names: &[&str],
) -> Result<Option<Column>> {
    names
        .iter()
        .find(|name| has_dataset(file, name))
        .map_or(Ok(None), |name| Column::open(path, file, name))
}
