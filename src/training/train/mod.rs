//! What every training stage shares: the loop, schedules, optimiser, checkpoints, metrics.
//! It knows an [`Objective`] and nothing of galaxies.

mod adamw;
mod checkpoint;
mod ema;
mod gradients;
mod metrics;
mod run;
mod schedule;
mod watch;

pub use adamw::{AdamW, AdamWConfig, ParameterRule};
pub use checkpoint::{Checkpoint, CheckpointHeader, CheckpointStore, FoundCheckpoint};
pub use ema::ema_update;
pub use gradients::Gradients;
pub use metrics::{MetricsFile, MetricsRecord};
pub use run::{Objective, RunConfig, StepOutcome, StepReport, TrainOutcome, metrics_path, train};
pub use schedule::{cosine_with_warmup, dino_cosine};
pub use watch::{Heartbeat, Phase, PhaseTimes, Watch};
