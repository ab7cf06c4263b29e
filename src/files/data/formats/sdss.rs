//! One SDSS spectrum per FITS file (`spec-PLATE-MJD-FIBER.fits`): flux at wavelengths of its own in a table, the redshift
//! in another.

use std::ops::Range;
use std::path::Path;

use crate::base::error::{Error, Result};
use crate::files::catalog::{Column, Table};
use crate::files::container::fits::{FieldType, FitsFile, Hdu, HduKind};
use crate::files::data::describe::GroupDescription;
use crate::files::data::paths::stem;
use crate::files::data::source::{
    Contents, NOWHERE, Source, SourceLabels, Splits, Stated, StoredSpectra, Wavelengths,
    known_redshift,
};
use crate::survey::{Modality, ObjectId};

/// Bits of `and_mask` of pixels that no exposure saw well: FULLREJECT, NOSKY, BRIGHTSKY and NODATA of SPPIXMASK. The others
/// describe the fibre, or pixels that can be used.
const BAD: i128 = 1 << 18 | 1 << 22 | 1 << 23 | 1 << 24;

/// Columns of the fibre's right ascension and declination.
const POSITION: [&str; 2] = ["PLUG_RA", "PLUG_DEC"];

/// One spectrum. The file is opened anew for every reading: there may be more of them than files can be open.
#[derive(Debug)]
pub(super) struct SdssSpectrum {
    contents: Contents,
    pixels: usize,
    object_id: Option<ObjectId>,
    redshift: f32,
}

/// Whether the file has a table of flux by the logarithm of the wavelength.
pub(super) fn recognises(file: &FitsFile) -> bool {
    spectrum_hdu(file).is_some()
}

fn spectrum_hdu(file: &FitsFile) -> Option<&Hdu> {
    let mut tables = file.hdus().iter().filter(|hdu| hdu.kind == HduKind::Table);
    tables.find(|hdu| {
        let table = file.table(hdu);
        table.is_ok_and(|table| {
            ["flux", "loglam", "ivar"]
                .iter()
                .all(|name| table.field(name).is_some_and(|field| field.count == 1))
        })
    })
}

impl SdssSpectrum {
    /// Reads a file's wavelengths and labels.
    ///
    /// # Errors
    /// Where the file holds no spectrum.
    pub fn open(path: &Path, file: &FitsFile) -> Result<Self> {
        let hdu = spectrum_hdu(file).ok_or_else(|| no_spectrum(path))?;
        let wavelengths = wavelengths(file, hdu)?;
        if wavelengths.is_empty() {
            return Err(file.error(hdu, "has no pixels"));
        }
        let mut spectrum = Self {
            contents: Contents {
                path: path.to_owned(),
                format: "SDSS spectrum",
                groups: vec![GroupDescription {
                    name: "/".into(),
                    galaxies: 1,
                    compressed: file.is_gzip(),
                }],
                image_shape: None,
                band_names: None,
                wavelengths: Some(Wavelengths::per_row(&wavelengths)),
                bad_pixels: true,
                splits: Splits::ById,
                catalog_columns: Vec::new(),
                stated: Stated {
                    flux_unit: file.hdus()[0].text("BUNIT").map(str::to_owned),
                    wavelengths: true,
                    ..Stated::default()
                },
                positions: None,
                notes: Vec::new(),
                warnings: Vec::new(),
            },
            pixels: wavelengths.len(),
            object_id: ObjectId::of_text(&stem(path)),
            redshift: f32::NAN,
        };
        if let Some(labels) = labels_hdu(file) {
            let table = file.table(labels)?;
            if POSITION.iter().all(|name| table.field(name).is_some()) {
                spectrum.contents.positions =
                    Some(POSITION.map(|name| format!("`{name}`")).join(" and "));
            }
            spectrum.object_id = object_id(file, labels)?.or(spectrum.object_id);
            let one = |values: Option<Vec<f64>>| values.and_then(|values| values.first().copied());
            let warning = one(file.numbers(labels, "ZWARNING")?).unwrap_or(0.0);
            match one(file.numbers(labels, "Z")?) {
                Some(redshift) if warning == 0.0 => spectrum.redshift = known_redshift(redshift),
                _ => spectrum
                    .contents
                    .notes
                    .push(format!("no redshift: ZWARNING is {warning}")),
            }
        }
        Ok(spectrum)
    }
}

/// The table of one row with the redshift.
fn labels_hdu(file: &FitsFile) -> Option<&Hdu> {
    file.hdus().iter().find(|hdu| {
        let table = file.table(hdu);
        table.is_ok_and(|table| table.rows == 1 && table.field("Z").is_some())
    })
}

fn no_spectrum(path: &Path) -> Error {
    Error::input("no SDSS spectrum: there is no table with the columns flux, loglam and ivar")
        .in_file(path)
}

/// In vacuum, Å.
fn wavelengths(file: &FitsFile, hdu: &Hdu) -> Result<Vec<f64>> {
    let logarithms = column(file, hdu, "loglam")?;
    Ok(logarithms.into_iter().map(|log| 10_f64.powf(log)).collect())
}

fn column(file: &FitsFile, hdu: &Hdu, name: &str) -> Result<Vec<f64>> {
    let values = file.numbers(hdu, name)?;
    values.ok_or_else(|| file.error(hdu, format!("has no column {name}")))
}

/// `SPECOBJID`, which is text or an unsigned integer.
fn object_id(file: &FitsFile, hdu: &Hdu) -> Result<Option<ObjectId>> {
    let table = file.table(hdu)?;
    let Some(field) = table.field("SPECOBJID") else {
        return Ok(None);
    };
    if field.field_type == FieldType::Text {
        let texts = file.texts(hdu, "SPECOBJID")?.unwrap_or_default();
        return Ok(texts.first().and_then(|text| ObjectId::of_text(text)));
    }
    let numbers = file.integers(hdu, "SPECOBJID")?.unwrap_or_default();
    let number = numbers.first().copied().flatten();
    Ok(number.and_then(ObjectId::of_integer))
}

impl Source for SdssSpectrum {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        Ok(SourceLabels {
            object_id: vec![self.object_id; rows.len()],
            redshift: vec![self.redshift; rows.len()],
        })
    }

    fn positions(&self, rows: Range<usize>) -> Result<Vec<[f64; 2]>> {
        if self.contents.positions.is_none() {
            return Ok(vec![NOWHERE; rows.len()]);
        }
        let file = FitsFile::open(&self.contents.path)?;
        let hdu = labels_hdu(&file).ok_or_else(|| no_spectrum(file.path()))?;
        let [ra, dec] = POSITION.map(|name| column(&file, hdu, name));
        Ok(vec![[ra?[0], dec?[0]]; rows.len()])
    }

    fn columns(&self) -> Result<Vec<Column>> {
        let path = &self.contents.path;
        let file = FitsFile::open(path)?;
        let Some(labels) = labels_hdu(&file) else {
            return Ok(Vec::new());
        };
        let mut hdus = file.hdus().iter();
        let number = hdus.position(|hdu| std::ptr::eq(hdu, labels)).unwrap_or(0);
        Table::open_one(path, Some(&number.to_string())).map(Table::into_columns)
    }

    fn read_spectra(&self, wanted: &[(usize, usize)], out: &mut StoredSpectra<'_>) -> Result<()> {
        let path = &self.contents.path;
        let file = FitsFile::open(path)?;
        let hdu = spectrum_hdu(&file).ok_or_else(|| no_spectrum(path))?;
        let flux = column(&file, hdu, "flux")?;
        let ivar = column(&file, hdu, "ivar")?;
        let masks = file.integers(hdu, "and_mask")?;
        let waves = wavelengths(&file, hdu)?;
        if flux.len() != self.pixels {
            return Err(file.error(hdu, "has changed since it was opened"));
        }
        for &(position, _) in wanted {
            for pixel in 0..self.pixels {
                let place = position * self.pixels + pixel;
                let masked = masks
                    .as_ref()
                    .is_some_and(|masks| masks[pixel].is_none_or(|mask| mask & BAD != 0));
                out.flux[place] = flux[pixel] as f32;
                out.bad[place] = masked || !(ivar[pixel] > 0.0 && ivar[pixel].is_finite());
                out.wavelengths[place] = waves[pixel];
            }
        }
        Ok(())
    }

    fn place(&self, _what: Modality, _row: usize) -> String {
        "the spectrum".to_owned()
    }
}
