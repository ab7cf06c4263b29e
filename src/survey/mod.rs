//! What a survey measures: bands, pixels, wavelengths, identifiers. No files, no tensors.

mod modality;
mod morphology;
mod rgb;
mod split;
mod wavelength;

pub use modality::Modality;
pub use morphology::{QUESTIONS, Question};
pub use rgb::{RgbScaling, arcsinh_rgb};
pub use split::Split;
pub use wavelength::{DESI_GRID, WavelengthGrid};

/// Identifier of a galaxy within a survey, such as DESI's `TARGETID`.
pub type ObjectId = i64;

/// Bands of the DESI Legacy Imaging Surveys cutouts, in the order in which files hold them.
pub const BANDS: [&str; 3] = ["g", "r", "z"];

/// Pixel scale of the Legacy Surveys cutouts, arcsec per pixel (Stein et al. 2021b).
pub const PIXEL_SCALE: f32 = 0.262;

/// Side of a stored cutout in pixels (Stein et al. 2021b).
pub const CUTOUT_SIZE: usize = 152;
