//! One galaxy per FITS file: an image of (band, y, x), as the Legacy Surveys' viewer gives cutouts.

use std::ops::Range;
use std::path::Path;

use crate::base::error::{Error, Result};
use crate::files::container::fits::{FitsFile, Hdu, HduKind};
use crate::files::data::describe::GroupDescription;
use crate::files::data::source::{
    Contents, Source, SourceLabels, Splits, StoredSpectra, known_redshift,
};
use crate::survey::{Modality, ObjectId, Survey};

/// Header cards of an identifier, the best first.
const ID_CARDS: [&str; 4] = ["TARGETID", "OBJID", "OBJ_ID", "OBJECTID"];

/// Header cards of a redshift, the best first.
const REDSHIFT_CARDS: [&str; 3] = ["REDSHIFT", "Z_SPEC", "Z"];

/// Pixel scales that differ by less than this share are the same.
const SCALE_TOLERANCE: f64 = 0.02;

/// One cutout. The file is opened anew for every reading: there may be more of them than files can be open.
#[derive(Debug)]
pub(super) struct Cutout {
    contents: Contents,
    /// Place of each of the survey's bands among those stored.
    places: Vec<usize>,
    object_id: Option<ObjectId>,
    redshift: f32,
}

impl Cutout {
    /// Reads the header of a cutout.
    ///
    /// # Errors
    /// Where the file holds no image of (band, y, x), or not the survey's bands.
    pub fn open(path: &Path, file: &FitsFile, survey: &Survey) -> Result<Self> {
        let hdu = image_hdu(path, file)?;
        let shape = file.image_shape(hdu)?;
        let names = band_names(hdu);
        let stored = names.as_ref().map_or(survey.bands.len(), Vec::len);
        let (height, width) = match shape[..] {
            [bands, height, width] if bands == stored => (height, width),
            [height, width] if stored == 1 => (height, width),
            _ => {
                return Err(file.error(
                    hdu,
                    format!(
                        "has shape {shape:?}; expected ({stored}, S, S), bands {}",
                        names.as_ref().unwrap_or(&survey.bands).join(", ")
                    ),
                ));
            }
        };
        let places = match &names {
            Some(names) => survey
                .places_of_bands(names)
                .map_err(|message| file.error(hdu, message))?,
            None => (0..stored).collect(),
        };
        let scale = hdu
            .number("CD2_2")
            .or_else(|| hdu.number("CDELT2"))
            .map(|degrees| 3600.0 * degrees.abs())
            .filter(|scale| (scale / survey.pixel_scale - 1.0).abs() > SCALE_TOLERANCE);
        let note = |scale: f64| {
            format!(
                "pixels of {scale:.3} arcsec; survey.pixel_scale is {}",
                survey.pixel_scale
            )
        };
        let number = |cards: &[&str]| cards.iter().find_map(|card| hdu.number(card));
        Ok(Self {
            contents: Contents {
                path: path.to_owned(),
                format: "FITS cutout",
                groups: vec![GroupDescription {
                    name: "/".into(),
                    galaxies: 1,
                    compressed: false,
                }],
                image_shape: Some([places.len(), height, width]),
                band_names: names,
                wavelengths: None,
                bad_pixels: false,
                splits: Splits::ById,
                catalog_columns: Vec::new(),
                notes: scale.map(note).into_iter().collect(),
            },
            places,
            object_id: ID_CARDS
                .iter()
                .find_map(|card| hdu.integer(card).map(ObjectId::from))
                .or_else(|| id_in_name(path)),
            redshift: number(&REDSHIFT_CARDS).map_or(f32::NAN, known_redshift),
        })
    }
}

/// Whether the file has an image.
pub(super) fn recognises(file: &FitsFile) -> bool {
    file.hdus().iter().any(|hdu| is_image(file, hdu))
}

fn is_image(file: &FitsFile, hdu: &Hdu) -> bool {
    hdu.kind == HduKind::CompressedImage
        || file.image_shape(hdu).is_ok_and(|shape| shape.len() >= 2)
}

/// The first image with two axes or more.
fn image_hdu<'a>(path: &Path, file: &'a FitsFile) -> Result<&'a Hdu> {
    let mut hdus = file.hdus().iter();
    hdus.find(|hdu| is_image(file, hdu)).ok_or_else(|| {
        Error::input(
            "FITS file without an image of galaxies, and no DESI coadd; a table of labels goes to \
             --labels",
        )
        .in_file(path)
    })
}

/// The bands that the header names: `BAND0`, `BAND1`, …, or one letter each in `BANDS`.
fn band_names(hdu: &Hdu) -> Option<Vec<String>> {
    let numbered: Vec<String> = (0..)
        .map_while(|index| hdu.text(&format!("BAND{index}")).map(str::to_owned))
        .collect();
    if !numbered.is_empty() {
        return Some(numbered);
    }
    let letters = hdu.text("BANDS").or_else(|| hdu.text("FILTER"))?;
    Some(letters.trim().chars().map(String::from).collect())
}

/// The longest number in a file's name, as in `cutout_39627788403084375.fits`, where it is long enough to be
/// an identifier.
fn id_in_name(path: &Path) -> Option<ObjectId> {
    const LEAST_DIGITS: usize = 6;
    let name = path.file_stem()?.to_string_lossy().into_owned();
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| digits.len() >= LEAST_DIGITS)
        .max_by_key(|digits| digits.len())?
        .parse::<i64>()
        .ok()
        .map(ObjectId::from)
}

impl Source for Cutout {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        Ok(SourceLabels {
            object_id: vec![self.object_id; rows.len()],
            redshift: vec![self.redshift; rows.len()],
        })
    }

    fn read_images(&self, wanted: &[(usize, usize)], out: &mut [f32]) -> Result<()> {
        let path = &self.contents.path;
        let file = FitsFile::open(path)?;
        let hdu = image_hdu(path, &file)?;
        let values = file.image(hdu)?.into_raw_vec_and_offset().0;
        let [bands, height, width] = self.contents.image_shape.expect("cutouts are images");
        let area = height * width;
        let most = self
            .places
            .iter()
            .max()
            .map_or(0, |place| (place + 1) * area);
        if values.len() < most {
            return Err(file.error(hdu, "has changed since it was opened"));
        }
        for &(position, _) in wanted {
            let image = &mut out[position * bands * area..][..bands * area];
            for (plane, &place) in image.chunks_exact_mut(area).zip(&self.places) {
                let stored = &values[place * area..][..area];
                for (out, value) in plane.iter_mut().zip(stored) {
                    *out = *value as f32;
                }
            }
        }
        Ok(())
    }

    fn read_spectra(&self, _wanted: &[(usize, usize)], _out: &mut StoredSpectra<'_>) -> Result<()> {
        Ok(())
    }

    fn place(&self, _what: Modality, _row: usize) -> String {
        "the image".to_owned()
    }
}
