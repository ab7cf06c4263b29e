//! What a survey measures: bands, pixels, wavelengths, identifiers, labels. No files, no tensors.

mod definition;
mod gaps;
mod identifier;
mod labels;
mod modality;
mod morphology;
mod quality;
mod quantity;
mod resample;
mod rgb;
mod role;
mod rows_by_id;
mod split;
mod target;
mod wavelength;

pub use definition::Survey;
pub use gaps::{LEAST_GOOD, LONGEST_BRIDGE, bridge, fill_with_median};
pub use identifier::{EXACT_32, EXACT_64, IdColumn, ObjectId};
pub use labels::{Labels, Quantity, TakenColumn};
pub use modality::Modality;
pub use morphology::{QUESTIONS, Question};
pub use quality::{CONTINUUM_BANDS, NO_SIGNAL, STAR_LINES, SpectrumMeter, SpectrumQuality};
pub use quantity::{
    Choice, Columns, MAGNITUDES, choose, is_placeholder, known_magnitude, shortest,
};
pub use resample::Resampler;
pub use rgb::{RgbScaling, arcsinh_rgb};
pub use role::Role;
pub use rows_by_id::RowsById;
pub use split::Split;
pub use target::Target;
pub use wavelength::{DESI_GRID, WavelengthGrid};

/// Bands of the DESI Legacy Imaging Surveys cutouts, in the order in which files hold them.
pub const BANDS: [&str; 3] = ["g", "r", "z"];

/// Pixel scale of the Legacy Surveys cutouts, arcsec per pixel (Stein et al. 2021b).
pub const PIXEL_SCALE: f64 = 0.262;

/// Side of a stored cutout in pixels (Stein et al. 2021b).
pub const CUTOUT_SIZE: usize = 152;

/// Pixels before a crop of `size` pixels about the centre of `side`, rounded as torchvision's `CenterCrop`
/// does it.
///
/// # Panics
/// Where the crop does not fit.
pub fn centre_margin(side: usize, size: usize) -> usize {
    assert!(size <= side, "a crop of {size} pixels from {side}");
    ((side - size) as f64 / 2.0).round_ties_even() as usize
}
