//! Arguments of `replay`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  astroclip replay runs/tiny-vit\n  \
    astroclip replay runs/tiny-vit/nonfinite/step-00000412 --json\n\n\
    A run that stops at a loss or a gradient that is not finite, or skips such a step, keeps a record of it in its folder. \
    The step is taken again on the CPU in f32, from the state before it or from the last checkpoint, and every number is \
    looked at: the galaxies of the batch, the weights, what each layer computes, the losses, the gradients. A galaxy \
    without which the step is finite is named, with its file and row. Nothing is written. Exits with 0 where it says where \
    the step turned, with 1 where it is finite this time.")]
pub struct Replay {
    /// Run folder, of which the last record counts, or the folder of a record.
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}
