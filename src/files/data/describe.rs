//! What survey files hold, for people and programs.

use std::path::PathBuf;

use serde::Serialize;

use super::source::Contents;
use crate::survey::{LONGEST_BRIDGE, Survey, WavelengthGrid};

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
    /// What a user should know about how the files go together.
    pub notes: Vec<String>,
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
    /// What the file says of its images and spectra itself.
    pub stated: Vec<String>,
    /// What the file does not say and is taken for granted.
    pub assumed: Vec<String>,
    /// What the galaxies' positions on the sky are from; `None` without any.
    pub positions: Option<String>,
    /// The groups in the order of their rows; one named `/` for a file without groups.
    pub groups: Vec<GroupDescription>,
    /// What became of the pixels of the spectra that were read.
    pub pixels: PixelCounts,
    /// What a user should know about how the file was read.
    pub notes: Vec<String>,
}

/// What a file states of its images and spectra, and what is taken for granted instead.
pub(super) fn known_of(contents: &Contents, survey: &Survey) -> [Vec<String>; 2] {
    let [mut stated, mut assumed] = [Vec::new(), Vec::new()];
    let mut tell = |said: Option<String>, else_taken: String| match said {
        Some(said) => stated.push(said),
        None => assumed.push(else_taken),
    };
    let of = &contents.stated;
    let unit_of = |what: &'static str| move |unit: &String| format!("{what} in {unit}");
    if contents.image_shape.is_some() {
        let bands = |names: &[String]| format!("bands {}", names.join(", "));
        tell(
            contents.band_names.as_deref().map(bands),
            format!("{} in this order", bands(&survey.bands)),
        );
        let scale = of.pixel_scale.map(|[least, most]| {
            let [least, most] = [least, most].map(|scale| format!("{scale:.3}"));
            match least == most {
                true => format!("pixels of {least} arcsec"),
                false => format!("pixels of {least} to {most} arcsec"),
            }
        });
        tell(scale, format!("pixels of {} arcsec", survey.pixel_scale));
        tell(
            of.image_unit.as_ref().map(unit_of("images")),
            "images in nanomaggies".to_owned(),
        );
    }
    if contents.wavelengths.is_some() {
        let axis = "wavelengths";
        let WavelengthGrid { start, step, .. } = survey.wavelengths;
        tell(
            of.wavelengths.then(|| axis.to_owned()),
            format!("{axis} from {start} Å in steps of {step} Å"),
        );
        tell(
            of.flux_unit.as_ref().map(unit_of("spectra")),
            "spectra in 1e-17 erg/s/cm²/Å".to_owned(),
        );
    }
    [stated, assumed]
}

/// What became of the pixels of spectra, on their way to the survey's wavelengths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PixelCounts {
    /// Spectra that were read and placed.
    pub spectra: u64,
    /// Pixels that the files have of them.
    pub stored: u64,
    /// Of these, pixels that are bad and lie on a line between good ones now.
    pub interpolated: u64,
    /// Pixels of the survey's wavelengths.
    pub placed: u64,
    /// Of these, pixels in longer gaps, which got the median of the spectrum.
    pub filled: u64,
}

impl PixelCounts {
    /// Adds those of other spectra.
    pub fn add(&mut self, other: &Self) {
        self.spectra += other.spectra;
        self.stored += other.stored;
        self.interpolated += other.interpolated;
        self.placed += other.placed;
        self.filled += other.filled;
    }

    /// For people; nothing where all pixels are good.
    pub fn notes(&self) -> Vec<String> {
        let percent = |part: u64, whole: u64| match 100.0 * part as f64 / whole as f64 {
            share if share < 0.01 => "less than 0.01 %".to_owned(),
            share => format!("{share:.2} %"),
        };
        let mut notes = Vec::new();
        if self.interpolated > 0 {
            notes.push(format!(
                "of the {} spectra read, {} of the pixels are bad and interpolated (gaps up to {LONGEST_BRIDGE} Å)",
                self.spectra,
                percent(self.interpolated, self.stored)
            ));
        }
        if self.filled > 0 {
            notes.push(format!(
                "of the {} spectra read, {} of the survey's pixels lie in longer gaps of bad pixels, or at an end, and \
                 are filled with the median of the spectrum",
                self.spectra,
                percent(self.filled, self.placed)
            ));
        }
        notes
    }
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
