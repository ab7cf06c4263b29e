//! A picture of some galaxies of a survey.

use std::path::Path;

use ndarray::Axis;

use crate::app::commands::contents::{held, spread};
use crate::base::error::Result;
use crate::evaluation::report::{Exhibit, gallery, write_drawing};
use crate::files::data::{Dataset, Galaxies, Skipped};
use crate::survey::{RgbScaling, arcsinh_rgb};
use crate::views::augment::centre_crop;

/// The fraction of a cutout's side that a picture shows: galaxies are small in their cutouts.
const PICTURE_SHARE: f64 = 0.6;
/// Galaxies in a picture.
const SHOWN: usize = 16;
/// Draws galaxies spread evenly over the file that can be used.
///
/// # Errors
/// Where the file cannot be read or the picture not be written.
pub(super) fn plot(dataset: &Dataset, path: &Path) -> Result<()> {
    let rows = spread(dataset.len(), SHOWN);
    let galaxies = Skipped::default().read(dataset, &rows, &held(dataset))?;
    let Galaxies {
        rows,
        images,
        spectra,
        ..
    } = galaxies;
    let mut exhibits = Vec::with_capacity(rows.len());
    for (index, &row) in rows.iter().enumerate() {
        let labels = dataset.labels(row..row + 1)?;
        let redshift = match labels.redshift[0] {
            redshift if redshift.is_finite() => format!("  z = {redshift:.4}"),
            _ => String::new(),
        };
        let picture = images.as_ref().map(|images| {
            let image = images.index_axis(Axis(0), index);
            let side = image.dim().1;
            let shown = ((side as f64 * PICTURE_SHARE) as usize).clamp(1, side);
            let image = centre_crop(image, shown);
            // Blue, green and red of however many bands there are.
            let last = image.dim().0 - 1;
            let three = image.select(Axis(0), &[0, last / 2, last]);
            arcsinh_rgb(three.view(), &RgbScaling::default())
        });
        exhibits.push(Exhibit {
            caption: format!("{}{redshift}", labels.object_id[0]),
            picture,
            spectrum: spectra.as_ref().map(|spectra| spectra.row(index).to_vec()),
        });
    }
    let wavelengths = dataset.survey().wavelengths.wavelengths();
    write_drawing(&gallery(&exhibits, &wavelengths)?, path)
}
