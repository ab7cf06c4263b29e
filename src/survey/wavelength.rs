use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A linear wavelength grid: pixel `i` lies at `start + i * step`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WavelengthGrid {
    /// Wavelength of the first pixel, Å in vacuum.
    pub start: f64,
    /// Distance between pixels, Å.
    pub step: f64,
    /// Number of pixels.
    pub len: usize,
}

/// DESI's three arms merged on one grid: 3600–9824 Å in steps of 0.8 Å.
pub const DESI_GRID: WavelengthGrid = WavelengthGrid {
    start: 3600.0,
    step: 0.8,
    len: 7781,
};

/// The largest number of pixels of a grid.
const MOST_PIXELS: usize = 1 << 24;

impl WavelengthGrid {
    /// Wavelength of pixel `index`, Å.
    pub fn wavelength(&self, index: usize) -> f64 {
        self.start + self.step * index as f64
    }

    /// All wavelengths, Å.
    pub fn wavelengths(&self) -> Vec<f64> {
        (0..self.len).map(|index| self.wavelength(index)).collect()
    }

    /// Checks all values; `key` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, key: &str) -> Result<()> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if positive(self.start) && positive(self.step) && (2..=MOST_PIXELS).contains(&self.len) {
            return Ok(());
        }
        Err(Error::input(format!(
            "`{key}` is {{ start = {}, step = {}, len = {} }}; expected Å above 0 and 2 to {MOST_PIXELS} pixels",
            self.start, self.step, self.len
        )))
    }

    /// Whether these are the grid's wavelengths, to a hundredth of a pixel.
    pub fn matches(&self, wavelengths: &[f64]) -> bool {
        let tolerance = 0.01 * self.step;
        wavelengths.len() == self.len
            && wavelengths
                .iter()
                .enumerate()
                .all(|(index, wavelength)| (wavelength - self.wavelength(index)).abs() <= tolerance)
    }
}
