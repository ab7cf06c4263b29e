//! Arguments of `baseline`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{ConfigArg, DataArg, DeviceArg, RunArg, SupervisedLabels};

/// What a baseline can be trained on.
#[derive(Debug, Subcommand)]
pub enum BaselineTask {
    /// A ResNet18 on images.
    #[command(
        after_help = "Examples:\n  astroclip baseline image\n  astroclip baseline image --data survey.h5 --labels survey.h5 --out runs/resnet18\n\n\
        The paper's recipe (appendix B4): --config baseline-resnet18, once with --targets redshift and once without. \
        The run folder gets config.toml, metrics.jsonl, checkpoints/, model.safetensors (the weights with the lowest \
        validation loss) and predictions.csv: object_id, split and a column per target, for all galaxies. The network \
        was fitted to those called train and chosen by those called validation: only the predictions for test \
        galaxies say how good it is."
    )]
    Image(BaselineTraining),
    /// A convolution + attention network on spectra; or principal components with k-NN, or templates.
    #[command(
        after_help = "Examples:\n  astroclip baseline spectrum\n  astroclip baseline spectrum --data survey.h5 --labels survey.h5 --targets redshift --out runs/conv\n  \
        astroclip baseline spectrum --method pca\n  astroclip baseline spectrum --method templates\n\n\
        The paper's recipe (appendix B5): --config baseline-spectrum. The run folder is that of `baseline image`.\n\n\
        Embeddings of spectra should know more than `pca`, which takes seconds: 100 principal components of the spectra, \
        and the mean over the nearest training galaxies (--set estimator=mlp: a perceptron). Each training galaxy is \
        predicted from the others and called validation. `templates` tells redshifts alone: six templates are learnt from \
        the training galaxies and moved along each spectrum. Both take no steps and have no checkpoints; \
        model.safetensors holds what was fitted."
    )]
    Spectrum(BaselineSpectrum),
    /// An MLP on g, r and z magnitudes.
    #[command(
        after_help = "Examples:\n  astroclip baseline photometry\n  astroclip baseline photometry --data survey.h5 --labels survey.h5 --out runs/photometry\n\n\
        Takes seconds. The run folder gets config.toml, model.safetensors and predictions.csv."
    )]
    Photometry(BaselinePhotometry),
}

/// How `baseline spectrum` predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpectrumMethod {
    /// A network of convolutions and attention, trained end to end.
    Network,
    /// Principal components, and k-NN or a perceptron.
    Pca,
    /// Redshifts by the best fit of templates that are learnt from the training galaxies.
    Templates,
}

/// Arguments of `baseline spectrum`.
#[derive(Debug, Args)]
pub struct BaselineSpectrum {
    /// How.
    #[arg(long, default_value = "network", value_name = "METHOD")]
    pub method: SpectrumMethod,
    /// As for images.
    #[command(flatten)]
    pub training: BaselineTraining,
}

/// Arguments of `baseline image` and `baseline spectrum`.
#[derive(Debug, Args)]
pub struct BaselineTraining {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Run.
    #[command(flatten)]
    pub run: RunArg,
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

/// Arguments of `baseline photometry`.
#[derive(Debug, Args)]
pub struct BaselinePhotometry {
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigArg,
    /// Survey files, for identifiers, redshifts and the split.
    #[command(flatten)]
    pub data: DataArg,
    /// Run folder [default: runs/ and the name of the configuration].
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Labels.
    #[command(flatten)]
    pub labels: SupervisedLabels,
    /// Print the summary and the results as JSON.
    #[arg(long)]
    pub json: bool,
}
