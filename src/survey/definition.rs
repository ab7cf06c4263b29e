//! What the galaxies of some files are like: bands, pixels, wavelengths.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{BANDS, DESI_GRID, PIXEL_SCALE, WavelengthGrid};
use crate::base::error::{ABOVE_0, Check, Result};

/// Pixel scales that differ by less than this share are the same.
const SCALE_TOLERANCE: f64 = 0.02;

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
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        let names: HashSet<&str> = self.bands.iter().map(String::as_str).collect();
        check.require(
            !names.is_empty() && !names.contains("") && names.len() == self.bands.len(),
            "bands",
            format!("{:?}", self.bands),
            "at least one name, and names that differ",
        )?;
        check.number("pixel_scale", self.pixel_scale, ABOVE_0)?;
        if let Some(size) = self.cutout_size {
            check.count("cutout_size", size, 1..)?;
        }
        self.wavelengths.check(&format!("{path}.wavelengths"))
    }

    /// Whether two pixel scales, arcsec, are the same for all that is made of the pixels.
    pub fn is_same_scale(one: f64, other: f64) -> bool {
        (one / other - 1.0).abs() <= SCALE_TOLERANCE
    }

    /// What is to be said of images whose pixel scales, arcsec, lie between these; `None` where they are this survey's, or
    /// are not known.
    pub fn note_on_scales(&self, least: f64, most: f64) -> Option<String> {
        let expected = self.pixel_scale;
        let same = |scale: f64| Self::is_same_scale(scale, expected);
        if same(least) && same(most) || least.is_nan() || most.is_nan() || least > most {
            return None;
        }
        let [least, most] = [least, most].map(|scale| {
            let digits = format!("{scale:.4}");
            digits
                .trim_end_matches('0')
                .trim_end_matches('.')
                .to_owned()
        });
        let scales = match least == most {
            true => least,
            false => format!("{least} to {most}"),
        };
        Some(format!(
            "pixels of {scales} arcsec; survey.pixel_scale is {expected}"
        ))
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
