//! The steps of the method as functions: from a run file and survey files to a run folder, from a model
//! to embeddings. Commands and the quickstart call the same ones.

mod align;
mod baseline;
mod embed;
mod finetune;
mod initial_weights;
mod memory;
mod pretrain_image;
mod pretrain_spectrum;
mod replay;
mod run;
mod shares;
mod supervised;

use std::path::PathBuf;

use burn::tensor::Device;
use serde::Serialize;

pub use align::{EncoderPaths, align, replay_align};
pub use baseline::{
    BaselineFiles, BaselineSummary, FittedSummary, baseline_components, baseline_image,
    baseline_photometry, baseline_spectrum, baseline_templates, replay_baseline_image,
    replay_baseline_spectrum,
};
pub use embed::{EmbedOptions, EmbedSummary, embed};
pub use finetune::{FineTuneOutcome, FineTuneSummary, finetune, replay_finetune};
pub use pretrain_image::{pretrain_image, replay_pretrain_image};
pub use pretrain_spectrum::{pretrain_spectrum, replay_pretrain_spectrum};
pub use replay::{Extreme, Replay, ReplayOptions, Turn};
pub use supervised::{PREDICTIONS_FILE, TargetScore};

use crate::base::ranks::Ranks;
use crate::files::catalog::LabelOptions;
use crate::files::data::SurveyFiles;
use crate::network::nn::Precision;

/// Where a run reads and writes, and how far it goes.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Survey files.
    pub data: SurveyFiles,
    /// Tables of labels, which the run folder keeps in mind for later commands.
    pub labels: Vec<PathBuf>,
    /// What is said about their columns.
    pub label_options: LabelOptions,
    /// Run folder.
    pub out: PathBuf,
    /// Go on with the run in `out`.
    pub resume: bool,
    /// Stop after so many steps of the run.
    pub stop_after: Option<u64>,
    /// The processes that train together.
    pub ranks: Ranks,
}

/// What a training stage leaves behind.
#[derive(Debug, Clone, Serialize)]
pub struct StageSummary {
    /// Run folder.
    pub run: PathBuf,
    /// The exported model; none while the run is not finished.
    pub model: Option<PathBuf>,
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Trained parameters.
    pub parameters: usize,
    /// Galaxies trained on.
    pub galaxies: usize,
    /// Galaxies that were met and cannot be used.
    pub skipped: usize,
    /// Duration of this call, seconds.
    pub seconds: f64,
}

/// The precision in which `device` computes where `asked` is asked for; a word of warning where that is another.
fn precision_on(device: &Device, asked: Precision) -> Precision {
    let precision = asked.on(device);
    if precision != asked {
        let lack = match *device == Device::flex() {
            true => "this CPU has no instructions for bf16 (AVX512-BF16)",
            false => "this GPU does not compute in bf16",
        };
        tracing::warn!("{lack}: computing in {precision}");
    }
    precision
}
