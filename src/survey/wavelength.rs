use serde::{Deserialize, Serialize};

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

impl WavelengthGrid {
    /// Wavelength of pixel `index`, Å.
    pub fn wavelength(&self, index: usize) -> f64 {
        self.start + self.step * index as f64
    }

    /// All wavelengths, Å.
    pub fn wavelengths(&self) -> Vec<f64> {
        (0..self.len).map(|index| self.wavelength(index)).collect()
    }
}
