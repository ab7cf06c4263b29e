//! Arguments that several commands share.

use std::path::PathBuf;

use clap::Args;

use crate::base::device::DeviceChoice;
use crate::files::data::Format;

/// A choice of device.
#[derive(Debug, Args)]
pub struct DeviceArg {
    /// auto, cpu, gpu, cuda, vulkan or metal; auto takes a GPU if any.
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: DeviceChoice,
}

/// Which shards of an embedding are meant.
#[derive(Debug, Args)]
pub struct ShardsArg {
    /// Take the shards that are named as they are, although others of their embedding are missing.
    #[arg(long)]
    pub some_shards: bool,
}

/// A run file and changes to it.
#[derive(Debug, Args)]
pub struct ConfigArg {
    /// Run file, or the name of a preset (see `astroclip config list`).
    #[arg(long, value_name = "NAME|PATH")]
    pub config: Option<String>,
    /// Override one setting; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Survey files.
#[derive(Debug, Args)]
pub struct DataArg {
    /// Survey files (HDF5, FITS, Parquet), folders of them, or patterns such as 'south/*.h5'; files of images and files of
    /// spectra are paired [default: those of the run
    /// file, else what the model was trained on, else those of ASTROCLIP_DATA, else the one survey in the current folder].
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// How they are read.
    #[command(flatten)]
    pub read: ReadArg,
    /// Leave out galaxies that cannot be used (NaN, missing band, zero flux, unreadable) and files that cannot
    /// be opened, and count them; else the first stops the work.
    #[arg(long)]
    pub skip_bad: bool,
}

/// Over the options of [`ReadArg`], each by itself: a heading of the struct would stand over all that follow it too.
const READING: &str = "Reading";

/// How survey files are read where their content does not say it.
#[derive(Debug, Default, Args)]
pub struct ReadArg {
    /// Format of the files [default: what their content says].
    #[arg(long, value_name = "FORMAT", help_heading = READING)]
    pub format: Option<Format>,
    /// Table of which image and which spectrum of different files are of one galaxy, such as `astroclip match` writes
    /// [default: those with the same identifier].
    #[arg(long, value_name = "FILE", help_heading = READING)]
    pub pairs: Option<PathBuf>,
    /// HDF5 dataset or Parquet column of images, (n, band, y, x) or (n, y, x, band), where the layout is none of the
    /// known.
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub image_key: Option<String>,
    /// HDF5 dataset or Parquet column of spectra, (n, pixel).
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub spectrum_key: Option<String>,
    /// HDF5 dataset or Parquet column of the spectra's wavelengths, Å [default: those of the survey].
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub wavelength_key: Option<String>,
    /// HDF5 dataset or Parquet column of the spectra's inverse variance: pixels with none are bad.
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub ivar_key: Option<String>,
    /// HDF5 dataset or Parquet column of the spectra's mask: pixels with other than zero are bad.
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub mask_key: Option<String>,
    /// HDF5 dataset or Parquet column of identifiers.
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub id_key: Option<String>,
    /// HDF5 dataset or Parquet column of redshifts.
    #[arg(long, value_name = "NAME", help_heading = READING)]
    pub redshift_key: Option<String>,
}

/// What the galaxies of some files are like.
#[derive(Debug, Args)]
pub struct SurveyArg {
    /// Run file whose table [survey] says what the files hold [default: g, r, z cutouts of the Legacy Surveys,
    /// spectra on DESI's wavelengths].
    #[arg(long, value_name = "NAME|PATH")]
    pub config: Option<String>,
    /// Override one setting, such as survey.bands=["g","r","i","z","y"]; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Where a training run reads and writes.
#[derive(Debug, Args)]
pub struct RunArg {
    /// Survey files.
    #[command(flatten)]
    pub data: DataArg,
    /// Run folder [default: runs/ and the name of the configuration].
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the run folder, or with the newest that is not finished, as it began: configuration, data
    /// and encoders need not be given again.
    #[arg(long)]
    pub resume: bool,
    /// Stop after so many steps of the run, to be resumed later.
    #[arg(long, value_name = "STEPS")]
    pub stop_after: Option<u64>,
}
