//! Arguments of `bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DeviceArg;
use crate::network::nn::Precision;
use crate::survey::Modality;

/// What `bench` can measure.
#[derive(Debug, Subcommand)]
pub enum BenchTask {
    /// Reading of a survey file and the crops of image pretraining, without a model.
    #[command(after_help = "Example:\n  astroclip bench data survey.h5\n\n\
        Medians of five runs after one that warms the caches. Reading is sequential, in batches of 64 rows, \
        beside the rate at which the bytes of the file can be read at all; the crops are those of the \
        recipe, made of images in memory, on one thread and on all.")]
    Data(BenchData),
    /// Steps of image pretraining on random crops.
    #[command(
        after_help = "Examples:\n  astroclip bench train-image --device cuda --precision bf16\n  \
        astroclip bench train-image --config tiny-vit --batch-size 32 --steps 2 --phases\n\n\
        Weights and crops are random; reading and augmenting are not measured (see `bench data`), sending the crops \
        to the device is. The median of five rounds of --steps."
    )]
    TrainImage(BenchModel),
    /// Steps of spectrum pretraining on random spectra.
    #[command(
        after_help = "Example:\n  astroclip bench train-spectrum --config tiny-specformer --batch-size 32 --steps 2"
    )]
    TrainSpectrum(BenchModel),
    /// Embedding of random images or spectra that lie on the device.
    #[command(
        after_help = "Example:\n  astroclip bench embed --of spectrum --device cuda --precision bf16 --batch-size 256"
    )]
    Embed(BenchEmbed),
    /// Matrix products, attention, layer norm and GELU at the shapes of a training step.
    #[command(
        after_help = "Examples:\n  astroclip bench operations --device cuda --precision bf16\n  \
        astroclip bench operations --of spectrum --config tiny-specformer --batch-size 8\n\n\
        Each operation of a block alone, forward and with its backward pass, on random values that lie on the device; \
        rates count the operations of the forward pass once, or three times with the backward pass."
    )]
    Operations(BenchEmbed),
}

/// What the models' benchmarks share.
#[derive(Debug, Args)]
pub struct BenchArg {
    /// Run file, or the name of a preset [default: vitl-released for images, specformer for spectra].
    #[arg(long, value_name = "NAME|PATH")]
    pub config: Option<String>,
    /// Override one setting; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Galaxies of a step: they go through the model at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,
    /// Steps of a round.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// Steps before the first round.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pub warmup: u32,
    /// f32 or bf16.
    #[arg(long, default_value_t = Precision::F32, value_name = "PRECISION")]
    pub precision: Precision,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench train-image` and `bench train-spectrum`.
#[derive(Debug, Args)]
pub struct BenchModel {
    /// What is timed, and how.
    #[command(flatten)]
    pub bench: BenchArg,
    /// Measure the phases of a step as well, in further steps that wait for the device after each.
    #[arg(long)]
    pub phases: bool,
}

/// Arguments of `bench embed` and `bench operations`.
#[derive(Debug, Args)]
pub struct BenchEmbed {
    /// Images or spectra.
    #[arg(long, default_value = "image")]
    pub of: Modality,
    /// What is timed, and how.
    #[command(flatten)]
    pub bench: BenchArg,
}

/// Arguments of `bench data`.
#[derive(Debug, Args)]
pub struct BenchData {
    /// Survey file.
    pub file: PathBuf,
    /// Galaxies to read, from the start of the file.
    #[arg(long, default_value_t = 2048, value_name = "N")]
    pub galaxies: usize,
    /// Run file of `pretrain-image`, or the name of a preset, whose crops are made.
    #[arg(long, default_value = "vitl", value_name = "NAME|PATH")]
    pub config: String,
    /// Override one setting; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}
