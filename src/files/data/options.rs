//! How survey files are read where their content does not say it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How survey files are read where their content does not say it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadOptions {
    /// The format, instead of the one that the content suggests.
    pub format: Option<Format>,
    /// Names of datasets in an HDF5 file of no known layout, or of columns in a Parquet file.
    pub keys: Keys,
    /// Leave out files that cannot be opened, and galaxies that cannot be used, instead of stopping.
    pub skip_bad: bool,
    /// Take images with bands that were not observed, of zeros or NaN alone, as they are.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub missing_bands: bool,
    /// A table that says which images and spectra of different files are of one galaxy, such as `astroclip match` writes;
    /// without it equal identifiers say so. A record of what was read keeps it beside the other files.
    #[serde(skip)]
    pub pairs: Option<PathBuf>,
}

/// Names of datasets in an HDF5 file, groups included (`group/name`), or of columns in a Parquet file (`struct.member`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keys {
    /// Images, `(n, band, y, x)` or `(n, y, x, band)`.
    pub image: Option<String>,
    /// Spectra, `(n, pixel)`.
    pub spectrum: Option<String>,
    /// Wavelengths of the spectra's pixels, Å, `(pixel)` or `(n, pixel)`.
    pub wavelength: Option<String>,
    /// Inverse variance of the spectra, of their shape: pixels with none are bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ivar: Option<String>,
    /// Mask of the spectra, of their shape: pixels with other than zero are bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// Identifiers.
    pub id: Option<String>,
    /// Redshifts.
    pub redshift: Option<String>,
}

impl Keys {
    /// Whether the user named images or spectra.
    pub fn name_data(&self) -> bool {
        self.image.is_some() || self.spectrum.is_some()
    }
}

/// Formats of survey files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// HDF5: pairs of images and spectra in groups, as the released AstroCLIP data set.
    Joint,
    /// HDF5: `images`, as Stein et al. (2021b) published them.
    Images,
    /// HDF5: `flux` and `wave`.
    Spectra,
    /// HDF5: `image_array` or `spectrum_flux`; Parquet: structs `image` and `spectrum`, as in the Multimodal Universe.
    MultimodalUniverse,
    /// HDF5 with datasets that --image-key, --spectrum-key, --wavelength-key and --id-key name.
    Keys,
    /// Parquet: nested lists `image` and `spectrum`, as the Hugging Face copy of the joint set.
    HuggingFace,
    /// FITS: a DESI coadd, or single exposures, with its `redrock` file beside it where there is one.
    DesiCoadd,
    /// FITS: one SDSS spectrum, `spec-PLATE-MJD-FIBER.fits`.
    SdssSpectrum,
    /// FITS: one cutout, an image of (band, y, x).
    Cutout,
}
