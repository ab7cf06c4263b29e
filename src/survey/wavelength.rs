//! Grids of wavelengths.

use serde::{Deserialize, Serialize};

use crate::base::error::{ABOVE_0, Check, Result};

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

    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.number("start", self.start, ABOVE_0)?;
        check.number("step", self.step, ABOVE_0)?;
        check.count("len", self.len, 2..=MOST_PIXELS)
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
