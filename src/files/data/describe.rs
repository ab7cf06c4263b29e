//! What survey files hold, for people and programs.

use std::path::PathBuf;

use serde::Serialize;

/// What a [`Dataset`](super::Dataset) holds, for `astroclip inspect`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Galaxies in all files.
    pub galaxies: usize,
    /// Galaxies of the training split.
    pub train: usize,
    /// Galaxies of the test split.
    pub test: usize,
    /// One entry per file, in the order given.
    pub files: Vec<FileDescription>,
}

/// What one survey file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileDescription {
    /// The file.
    pub path: PathBuf,
    /// Name of its format.
    pub format: &'static str,
    /// Galaxies in the file.
    pub galaxies: usize,
    /// Bands as the file names them; none where it does not.
    pub bands: Vec<String>,
    /// Shape of one image, `[band, y, x]`; `None` without images.
    pub image_shape: Option<[usize; 3]>,
    /// Pixels of one spectrum; `None` without spectra.
    pub spectrum_pixels: Option<usize>,
    /// First and last wavelength of a spectrum, Å.
    pub wavelength_range: Option<[f64; 2]>,
    /// Share of the survey's wavelengths that the spectra cover.
    pub wavelength_coverage: Option<f64>,
    /// Columns of the file's catalogue; empty without one.
    pub catalog_columns: Vec<String>,
    /// The groups in the order of their rows; one named `/` for a file without groups.
    pub groups: Vec<GroupDescription>,
    /// What a user should know about how the file was read.
    pub notes: Vec<String>,
}

/// What one group of a survey file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupDescription {
    /// Name of the group.
    pub name: String,
    /// Galaxies in the group.
    pub galaxies: usize,
    /// Whether its images or spectra are compressed.
    pub compressed: bool,
}
