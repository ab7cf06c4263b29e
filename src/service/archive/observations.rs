//! Images and spectra of the galaxies, from the survey files: as pictures for the eye, as FITS, as numbers.

use ndarray::{Array3, ArrayView3, Axis};
use serde::Serialize;
use utoipa::ToSchema;

use crate::base::error::{Error, Result};
use crate::evaluation::report::rgb_png;
use crate::files::data::Dataset;
use crate::survey::{Modality, ObjectId, RgbScaling, RowsById, Survey, arcsinh_rgb};
use crate::views::augment::centre_crop;

/// Rows whose identifiers are read at once.
const LABEL_ROWS: usize = 1 << 16;
/// Bytes of a block of a FITS file.
const FITS_BLOCK: usize = 2880;
/// Characters of a header card.
const CARD: usize = 80;

/// Survey files by identifier.
pub struct Observations {
    dataset: Dataset,
    object_id: Vec<ObjectId>,
    rows: RowsById,
}

/// How fluxes become colours, over the survey's own scaling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stretch {
    /// Fluxes are multiplied by it.
    pub brightness: f32,
    /// Softening of the arcsinh; the larger, the more of the faint is seen.
    pub softening: f32,
    /// Side of the picture, pixels about the centre; all where it is larger than the image.
    pub size: usize,
}

/// A spectrum on the survey's wavelengths.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Spectrum {
    /// Wavelength of the first pixel, Å in vacuum.
    pub start: f64,
    /// Distance between pixels, Å.
    pub step: f64,
    /// Flux of each pixel, 1e-17 erg/s/cm²/Å.
    pub flux: Vec<f32>,
}

impl Default for Stretch {
    fn default() -> Self {
        Self {
            brightness: 1.0,
            softening: RgbScaling::default().q,
            size: usize::MAX,
        }
    }
}

impl Observations {
    /// Reads which galaxies the files hold.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn new(dataset: Dataset) -> Result<Self> {
        let mut object_id = Vec::with_capacity(dataset.len());
        for start in (0..dataset.len()).step_by(LABEL_ROWS) {
            let range = start..(start + LABEL_ROWS).min(dataset.len());
            object_id.extend(dataset.labels(range)?.object_id);
        }
        Ok(Self {
            rows: RowsById::new(&object_id),
            object_id,
            dataset,
        })
    }

    /// Whether there are images, or spectra.
    pub fn has(&self, modality: Modality) -> bool {
        self.dataset.has(modality)
    }

    /// Whether the files hold a galaxy.
    pub fn holds(&self, id: ObjectId) -> bool {
        self.rows.find(&self.object_id, id).is_some()
    }

    /// Side of the images, arcsec; 0 without images.
    pub fn image_side(&self) -> f64 {
        let pixels = self.dataset.image_size().unwrap_or(0);
        pixels as f64 * self.survey().pixel_scale
    }

    /// What images and spectra are like.
    pub fn survey(&self) -> &Survey {
        self.dataset.survey()
    }

    fn row(&self, id: ObjectId) -> Result<usize> {
        self.rows.find(&self.object_id, id).ok_or_else(|| {
            Error::input(format!(
                "galaxy {id} is in the embeddings, not in the survey files; give the files that were embedded"
            ))
        })
    }

    /// Fluxes of a galaxy's image `(band, y, x)`, nanomaggies.
    ///
    /// # Errors
    /// Where the files lack it, or it cannot be read.
    pub fn image(&self, id: ObjectId) -> Result<Array3<f32>> {
        let row = self.row(id)?;
        Ok(self.dataset.images(&[row])?.index_axis_move(Axis(0), 0))
    }

    /// A galaxy's spectrum.
    ///
    /// # Errors
    /// As [`Observations::image`].
    pub fn spectrum(&self, id: ObjectId) -> Result<Spectrum> {
        let row = self.row(id)?;
        let flux = self.dataset.spectra(&[row])?.row(0).to_vec();
        Ok(Spectrum::of(self.survey(), flux))
    }

    /// A galaxy's image as FITS: fluxes in nanomaggies, and where `position` (degrees) is known, which way is north.
    ///
    /// # Errors
    /// As [`Observations::image`].
    pub fn fits(&self, id: ObjectId, position: [f64; 2]) -> Result<Vec<u8>> {
        Ok(fits(self.image(id)?.view(), id, position, self.survey()))
    }
}

impl Spectrum {
    /// Fluxes at the wavelengths of a survey.
    pub fn of(survey: &Survey, flux: Vec<f32>) -> Self {
        Self {
            start: survey.wavelengths.start,
            step: survey.wavelengths.step,
            flux,
        }
    }

    /// The same in at most `bins` pixels, each the mean of as many; what is left over at the red end is dropped.
    pub fn binned(&self, bins: usize) -> Self {
        let width = self.flux.len().div_ceil(bins.max(1));
        let mean = |pixels: &[f32]| pixels.iter().sum::<f32>() / pixels.len() as f32;
        Self {
            start: self.start + self.step * (width as f64 - 1.0) / 2.0,
            step: self.step * width as f64,
            flux: self.flux.chunks_exact(width).map(mean).collect(),
        }
    }
}

/// An image `(band, y, x)` of fluxes as the eye sees it: PNG of the last, the middle and the first band as red, green and
/// blue.
///
/// # Errors
/// Where it has no pixels.
pub fn picture(image: ArrayView3<'_, f32>, stretch: Stretch) -> Result<Vec<u8>> {
    let (bands, height, width) = image.dim();
    if bands == 0 || height == 0 || width == 0 {
        return Err(Error::input("the image has no pixels"));
    }
    let three = centre_crop(image, stretch.size.clamp(1, height.min(width)))
        .select(Axis(0), &[0, (bands - 1) / 2, bands - 1]);
    let mut scaling = RgbScaling::default();
    for scale in &mut scaling.scales {
        *scale *= stretch.brightness;
    }
    scaling.q = stretch.softening;
    // Rows of a picture go down, those of the sky up.
    let rgb = arcsinh_rgb(three.view(), &scaling);
    rgb_png(rgb.slice(ndarray::s![.., ..;-1, ..]))
}

fn fits(image: ArrayView3<'_, f32>, id: ObjectId, position: [f64; 2], survey: &Survey) -> Vec<u8> {
    let (bands, height, width) = image.dim();
    let mut cards = vec![
        ("SIMPLE", "T".to_owned()),
        ("BITPIX", "-32".to_owned()),
        ("NAXIS", "3".to_owned()),
        ("NAXIS1", width.to_string()),
        ("NAXIS2", height.to_string()),
        ("NAXIS3", bands.to_string()),
        ("OBJECT", quoted(&id.to_string())),
        ("BANDS", quoted(&survey.bands.join(" "))),
        ("BUNIT", quoted("nanomaggy")),
    ];
    let [ra, dec] = position;
    if ra.is_finite() && dec.is_finite() {
        let scale = survey.pixel_scale / 3600.0;
        cards.extend([
            ("CTYPE1", quoted("RA---TAN")),
            ("CTYPE2", quoted("DEC--TAN")),
            ("CRVAL1", format!("{ra:?}")),
            ("CRVAL2", format!("{dec:?}")),
            ("CRPIX1", format!("{:?}", (width as f64 + 1.0) / 2.0)),
            ("CRPIX2", format!("{:?}", (height as f64 + 1.0) / 2.0)),
            ("CDELT1", format!("{:?}", -scale)),
            ("CDELT2", format!("{scale:?}")),
        ]);
    }
    let mut bytes = Vec::new();
    for (key, value) in cards {
        let value = match value.starts_with('\'') {
            true => value,
            false => format!("{value:>20}"),
        };
        let card = format!("{key:<8}= {value}");
        bytes.extend(format!("{card:<CARD$}").bytes().take(CARD));
    }
    bytes.extend(format!("{:<CARD$}", "END").bytes());
    bytes.resize(bytes.len().next_multiple_of(FITS_BLOCK), b' ');
    bytes.extend(image.iter().flat_map(|value| value.to_be_bytes()));
    bytes.resize(bytes.len().next_multiple_of(FITS_BLOCK), 0);
    bytes
}

/// A text in a header card, which has ASCII alone.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_graphic() || letter == ' ';
    let text: String = text
        .chars()
        .filter(|letter| plain(*letter))
        .take(60)
        .collect();
    format!("'{:<8}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::data::{ReadOptions, open};

    #[test]
    fn an_image_in_fits_is_read_back_as_it_was() {
        let image = Array3::from_shape_fn((3, 24, 24), |(band, y, x)| {
            (band * 1000 + y * 30 + x) as f32 + 0.25
        });
        let survey = Survey::default();
        let bytes = fits(
            image.view(),
            39_628_439_081_225_000_i64.into(),
            [10.5, -3.25],
            &survey,
        );
        assert_eq!(bytes.len() % FITS_BLOCK, 0);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cutout.fits");
        std::fs::write(&path, bytes).unwrap();
        let read = open(&[path], &survey, &ReadOptions::default()).unwrap();
        assert_eq!(read.images(&[0]).unwrap().index_axis(Axis(0), 0), image);
        let [ra, dec] = read.positions(0..1).unwrap()[0];
        assert!(
            (ra - 10.5).abs() < 1e-9 && (dec + 3.25).abs() < 1e-9,
            "{ra} {dec}"
        );
    }

    #[test]
    fn a_picture_has_three_colours_and_a_brighter_one_is_brighter() {
        let image = Array3::from_elem((1, 8, 8), 0.1);
        let faint = picture(image.view(), Stretch::default()).unwrap();
        assert!(faint.starts_with(b"\x89PNG"));
        let bright = Stretch {
            brightness: 8.0,
            size: 4,
            ..Stretch::default()
        };
        assert_ne!(picture(image.view(), bright).unwrap(), faint);
        assert!(picture(Array3::zeros((3, 0, 4)).view(), bright).is_err());
    }
}
