//! Arguments of `finetune`.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigArg, DeviceArg, RunArg, SupervisedLabels};
use crate::survey::Modality;

/// Arguments of `finetune`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  astroclip finetune --source image\n  astroclip finetune --weights runs/tiny-vit/model.safetensors --data survey.h5 --labels survey.h5\n  astroclip finetune --weights clip.safetensors --source spectrum --targets redshift --set validation.folds=5\n  astroclip finetune --source image --set labels_limit=100 --out runs/finetune-100\n\n\
    A head on the embeddings learns alone first, then the transformer with it, the slower the deeper; --config finetune \
    has the settings. model.safetensors is a model of the kind that was given, for `embed` and all that follows it; of an \
    aligned one the other transformer stays as it was. The run folder is that of `baseline image`: predictions.csv has \
    what the head predicts. With folds, a galaxy of the training split has the prediction of the model that was not fitted \
    to it, a test galaxy the mean of all."
)]
pub struct Finetune {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run.
    #[command(flatten)]
    pub run: RunArg,
    /// Model that is trained on [default: the newest aligned one beside the run folder, or the newest encoder if none is
    /// aligned].
    #[arg(long, value_name = "MODEL")]
    pub weights: Option<PathBuf>,
    /// What it is shown: of an aligned model that transformer is trained on [default: what the model takes, if it takes
    /// one of them only].
    #[arg(long)]
    pub source: Option<Modality>,
    /// Labels.
    #[command(flatten)]
    pub labels: SupervisedLabels,
    /// Device.
    #[command(flatten)]
    pub device: DeviceArg,
    /// Print the summary and the results as JSON.
    #[arg(long)]
    pub json: bool,
}
