//! One galaxy per FITS file: an image of (band, y, x), as the Legacy Surveys' viewer gives cutouts.

use std::ops::Range;
use std::path::Path;

use super::image_file::bands_in;
use super::wcs;
use crate::base::error::{Error, Result};
use crate::files::catalog::{Column, Values};
use crate::files::container::fits::{FieldType, FitsFile, Hdu, HduKind};
use crate::files::data::describe::GroupDescription;
use crate::files::data::paths::stem;
use crate::files::data::source::{
    Contents, NOWHERE, Source, SourceLabels, Splits, Stated, known_redshift,
};
use crate::survey::{Modality, ObjectId, Survey};

/// Header cards of an identifier, the best first.
const ID_CARDS: [&str; 4] = ["TARGETID", "OBJID", "OBJ_ID", "OBJECTID"];

/// Header cards of a redshift, the best first.
const REDSHIFT_CARDS: [&str; 3] = ["REDSHIFT", "Z_SPEC", "Z"];

/// What is wrong with pictures of 8 bits.
pub(super) const EIGHT_BITS: &str = "holds 8-bit pictures (integers from 0 to 255) made from the fluxes for the eye; models \
    take fluxes in nanomaggies: fetch cutouts in FITS by the galaxies' positions (`ra`, `dec`), such as \
    https://www.legacysurvey.org/viewer/fits-cutout?ra=RA&dec=DEC&layer=ls-dr9&pixscale=0.262&size=152&bands=grz";

/// What is odd about other integers.
pub(super) const INTEGERS: &str = "pixels are integers, such as counts of a detector; models take fluxes in nanomaggies: \
    calibrate them first unless they are so scaled";

/// One cutout. The file is opened anew for every reading: there may be more of them than files can be open.
#[derive(Debug)]
pub(super) struct Cutout {
    contents: Contents,
    /// Place of each of the survey's bands among those stored.
    places: Vec<usize>,
    object_id: Option<ObjectId>,
    /// The card that tells the redshift, and its number.
    redshift: Option<(&'static str, f64)>,
    /// Right ascension and declination, degrees.
    position: Option<[f64; 2]>,
}

impl Cutout {
    /// Reads the header of a cutout.
    ///
    /// # Errors
    /// Where the file holds no image of (band, y, x), or not the survey's bands.
    pub fn open(path: &Path, file: &FitsFile, survey: &Survey) -> Result<Self> {
        let hdu = image_hdu(path, file)?;
        let shape = file.image_shape(hdu)?;
        let names = band_names(hdu, &shape);
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
        let scaled = hdu.number("BSCALE").is_some_and(|scale| scale != 1.0);
        let warnings = match (file.stored_type(hdu)?, scaled) {
            (FieldType::F32 | FieldType::F64, _) | (_, true) => Vec::new(),
            (FieldType::U8, false) => return Err(file.error(hdu, EIGHT_BITS)),
            _ => vec![INTEGERS.to_owned()],
        };
        let compressed = hdu.kind == HduKind::CompressedImage || file.is_gzip();
        let redshift = REDSHIFT_CARDS
            .iter()
            .find_map(|&card| Some((card, hdu.number(card)?)));
        let mut notes = scale_notes(hdu, survey);
        let position = match wcs::centre(hdu, [width, height]) {
            Ok(position) => position,
            Err(why) => {
                notes.push(format!("position unknown: {why}"));
                None
            }
        };
        Ok(Self {
            contents: Contents {
                path: path.to_owned(),
                format: "FITS cutout",
                groups: vec![GroupDescription {
                    name: "/".into(),
                    galaxies: 1,
                    compressed,
                }],
                image_shape: Some([places.len(), height, width]),
                band_names: names,
                wavelengths: None,
                bad_pixels: false,
                splits: Splits::ById,
                catalog_columns: Vec::new(),
                stated: Stated {
                    pixel_scale: wcs::pixel_sides(hdu).map(|[x, y]| [(x * y).sqrt(); 2]),
                    image_unit: hdu.text("BUNIT").map(str::to_owned),
                    ..Stated::default()
                },
                positions: position.map(|_| "the image's centre (WCS)".to_owned()),
                notes,
                warnings,
            },
            places,
            position,
            object_id: ID_CARDS
                .iter()
                .find_map(|card| match hdu.integer(card) {
                    Some(number) => ObjectId::from(number).known(),
                    None => ObjectId::of_text(hdu.text(card)?),
                })
                .or_else(|| id_in_name(path)),
            redshift,
        })
    }
}

/// Whether the file has an image.
pub(super) fn recognises(file: &FitsFile) -> bool {
    file.hdus().iter().any(is_image)
}

fn is_image(hdu: &Hdu) -> bool {
    match hdu.kind {
        HduKind::CompressedImage => true,
        HduKind::Image => hdu.integer("NAXIS").is_some_and(|axes| axes >= 2),
        HduKind::Table | HduKind::TextTable | HduKind::Other => false,
    }
}

/// The first image with two axes or more.
fn image_hdu<'a>(path: &Path, file: &'a FitsFile) -> Result<&'a Hdu> {
    let mut hdus = file.hdus().iter();
    hdus.find(|hdu| is_image(hdu)).ok_or_else(|| {
        Error::input(
            "FITS file without an image of galaxies, and no DESI coadd; a table of labels goes to \
             --labels",
        )
        .in_file(path)
    })
}

/// The bands that the header names: `BAND0`, `BAND1`, …, or `BANDS` or `FILTER`, one letter each where there are as many
/// letters as planes.
fn band_names(hdu: &Hdu, shape: &[usize]) -> Option<Vec<String>> {
    let numbered: Vec<String> = (0..)
        .map_while(|index| hdu.text(&format!("BAND{index}")).map(str::to_owned))
        .collect();
    if !numbered.is_empty() {
        return Some(numbered);
    }
    let planes = match shape {
        [planes, _, _] => *planes,
        _ => 1,
    };
    let text = ["BANDS", "FILTER", "BAND"]
        .into_iter()
        .find_map(|card| hdu.text(card))?;
    let mut names = bands_in(text, &[planes]);
    if planes == 1 {
        // Filters of one image are described at length, the name first.
        names.truncate(1);
    }
    (!names.is_empty()).then_some(names)
}

/// The number in a file's name, as in `cutout_39627788403084375.fits`, where it can only be an identifier: the only one
/// that is long enough, set off by underscores, in a name without the points and signs of coordinates. Else the name.
fn id_in_name(path: &Path) -> Option<ObjectId> {
    const LEAST_DIGITS: usize = 6;
    let name = stem(path);
    let long: Vec<&str> = name
        .split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| digits.len() >= LEAST_DIGITS)
        .collect();
    let is_number = |digits: &str| {
        !name.contains(['.', '+', '-']) && name.split('_').any(|part| part == digits)
    };
    match long[..] {
        [digits] if is_number(digits) => ObjectId::of_text(digits),
        _ => ObjectId::of_text(&name),
    }
}

/// What is to be said of the pixels' size, arcsec.
fn scale_notes(hdu: &Hdu, survey: &Survey) -> Vec<String> {
    let Some([x, y]) = wcs::pixel_sides(hdu) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if !Survey::is_same_scale(x, y) {
        notes.push(format!("pixels are not square: {x:.3} by {y:.3} arcsec"));
    }
    let scale = (x * y).sqrt();
    notes.extend(survey.note_on_scales(scale, scale));
    notes
}

impl Source for Cutout {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        Ok(SourceLabels {
            object_id: vec![self.object_id; rows.len()],
            redshift: vec![
                self.redshift
                    .map_or(f32::NAN, |(_, number)| known_redshift(number));
                rows.len()
            ],
        })
    }

    fn positions(&self, rows: Range<usize>) -> Result<Vec<[f64; 2]>> {
        Ok(vec![self.position.unwrap_or(NOWHERE); rows.len()])
    }

    fn columns(&self) -> Result<Vec<Column>> {
        let column = |(card, number): (&str, f64)| Column {
            name: card.to_owned(),
            values: Values::Floats(vec![number]),
        };
        Ok(self.redshift.map(column).into_iter().collect())
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

    fn place(&self, _what: Modality, _row: usize) -> String {
        "the image".to_owned()
    }
}
