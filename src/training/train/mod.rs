//! What every training stage shares: the loop, schedules, optimiser, checkpoints, metrics.
//! It knows an [`Objective`] and nothing of galaxies.

mod adamw;
mod checkpoint;
mod ema;
mod gradients;
mod metrics;
mod nonfinite;
mod ranks;
mod run;
mod schedule;
mod shards;
mod step;
mod stepper;
mod tensorboard;
mod watch;

pub use adamw::{AdamW, AdamWConfig, ParameterRule};
pub use checkpoint::{
    Checkpoint, CheckpointHeader, CheckpointStore, FoundCheckpoint, checkpoints_of,
};
pub use ema::ema_update;
pub use gradients::Gradients;
pub use metrics::{MetricsFile, MetricsRecord, SkippedStep};
pub use nonfinite::{BatchGalaxy, Fault, NamedNumber, NonfiniteRecord, OnNonfinite, Place};
pub use ranks::{GradientNumbers, RanksConfig};
pub use run::{RunConfig, TrainOutcome, check_steps, metrics_path, train};
pub use schedule::{cosine_with_warmup, dino_cosine};
pub use step::{
    Numbers, Objective, StepGradients, StepNumbers, StepOutcome, StepReport, StepUpdate,
};
pub use tensorboard::EventFile;
pub use watch::{Heartbeat, Phase, PhaseTimes, Watch};
