//! Images without spectra, as Stein et al. (2021b) published them.

use super::column::{Column, redshift_column};
use super::table::{Axes, Bands, Group, Hdf5Table};
use super::{Layout, Opening};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::has_dataset;
use crate::files::data::options::Format;

/// Names of an identifier, the best first: the survey's `objid` is unique within a brick only.
const ID_NAMES: [&str; 5] = ["targetid", "TARGETID", "object_id", "inds", "objid"];

pub(super) const LAYOUT: Layout = Layout {
    format: Format::Images,
    holds: "`images` (n, 3, S, S), bands g, r, z in nanomaggies; optionally `targetid`, \
            `object_id`, `inds` or `objid`, and `redshift` or `z_spec`",
    recognises: |file| has_dataset(file, "images"),
    open,
};

fn open(opening: &Opening<'_>) -> Result<Hdf5Table> {
    let Opening {
        path, file, survey, ..
    } = *opening;
    let images = Column::open(path, file, "images")?
        .ok_or_else(|| Error::input("no dataset `images`").in_file(path))?;
    let names = band_names(&images);
    let bands = Bands {
        survey,
        names: names.as_deref(),
        last: Axes::BandLast,
    };
    let group = Group::new("/", images.shape()[0])
        .with_images(images, &bands)?
        .with_object_ids(path, file, &ID_NAMES)?
        .with_redshifts(redshift_column(path, file)?)?
        .with_positions(path, file);
    let table = Hdf5Table::new(path, "images", vec![group])?;
    Ok(table.describe(|contents| contents.band_names = names))
}

/// The bands that an attribute of the images names: a list of names, or a letter for each.
pub(super) fn band_names(images: &Column) -> Option<Vec<String>> {
    let names = images
        .words_of("bands")
        .or_else(|| images.words_of("band"))?;
    match names.as_slice() {
        [one] => Some(bands_in(one, &images.shape()[1..])),
        _ => Some(names),
    }
}

/// The bands that a text names: its words, or the letters of one word where there are as many planes, which are one of
/// these numbers.
pub(super) fn bands_in(text: &str, planes: &[usize]) -> Vec<String> {
    let words = text
        .split([',', ';', '/', ' '])
        .filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_owned).collect();
    match words.as_slice() {
        [letters] if planes.contains(&letters.chars().count()) => {
            letters.chars().map(String::from).collect()
        }
        _ => words,
    }
}
