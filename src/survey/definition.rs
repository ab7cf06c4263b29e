use serde::{Deserialize, Serialize};

use super::{BANDS, DESI_GRID, PIXEL_SCALE, WavelengthGrid};
use crate::error::{Error, Result};

/// What the cutouts and spectra of a survey are: the `[survey]` table of a run file. Trained models keep
/// it, and files are read as it says: bands in this order, spectra on this grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Survey {
    /// Bands of an image in the order in which the augmentations and `images.pixels` see them. Files that
    /// name their bands give these; others must hold as many.
    pub bands: Vec<String>,
    /// Pixel scale of the cutouts, arcsec per pixel.
    pub pixel_scale: f64,
    /// Side to which cutouts are cut about their centre when read, pixels; without it they stay as they
    /// are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutout_size: Option<usize>,
    /// Wavelengths of the pixels of a spectrum; spectra on others are resampled.
    pub wavelengths: WavelengthGrid,
}

/// Images of the Legacy Surveys and spectra of DESI.
impl Default for Survey {
    fn default() -> Self {
        Self {
            bands: BANDS.map(str::to_owned).to_vec(),
            pixel_scale: PIXEL_SCALE,
            cutout_size: None,
            wavelengths: DESI_GRID,
        }
    }
}

impl Survey {
    /// Checks all values.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self) -> Result<()> {
        let error = |message: String| Err(Error::input(message));
        if self.bands.is_empty() {
            return error("`survey.bands` is empty; name at least one band".into());
        }
        for (index, band) in self.bands.iter().enumerate() {
            if band.is_empty() || self.bands[..index].contains(band) {
                return error(format!(
                    "`survey.bands` is {:?}; expected names that differ",
                    self.bands
                ));
            }
        }
        if !(self.pixel_scale.is_finite() && self.pixel_scale > 0.0) {
            return error(format!(
                "`survey.pixel_scale` is {}; expected arcsec per pixel, above 0",
                self.pixel_scale
            ));
        }
        if self.cutout_size == Some(0) {
            return error("`survey.cutout_size` is 0; expected pixels, or no such line".into());
        }
        self.wavelengths.check("survey.wavelengths")
    }

    /// The place of each of this survey's bands among the bands `named` in a file, which may carry a
    /// prefix such as `DES-G`.
    ///
    /// # Errors
    /// Says which band is missing.
    pub fn places_of_bands(&self, named: &[String]) -> Result<Vec<usize>, String> {
        let place = |band: &String| {
            let same = |name: &String| name.eq_ignore_ascii_case(band);
            let short = |name: &String| {
                let end = name.rsplit(['-', '_', '.', ' ']).next().unwrap_or(name);
                end.eq_ignore_ascii_case(band)
            };
            let found = named.iter().position(same);
            found.or_else(|| named.iter().position(short)).ok_or_else(|| {
                format!(
                    "has the bands {}, not `{band}`; expected {}: set survey.bands to those that there are",
                    named.join(", "),
                    self.bands.join(", ")
                )
            })
        };
        self.bands.iter().map(place).collect()
    }
}
