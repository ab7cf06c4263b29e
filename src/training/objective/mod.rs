//! The training stages: from a batch through the model to losses, gradients and new weights.

mod across;
mod align;
mod buffers;
mod dino;
mod finetuning;
mod masked_modelling;
mod optimizer;
mod regression;
mod trained;

pub use align::{AlignConfig, AlignObjective, AlignOptimizerConfig};
pub use dino::{
    Centering, DinoConfig, DinoLossConfig, DinoObjective, DinoOptimizerConfig, DinoWork,
    KoleoNeighbours, Schedule, TeacherConfig, parameter_rule,
};
pub use finetuning::FineTuneOptimizerConfig;
pub use masked_modelling::{
    MaskedModellingConfig, MaskedModellingObjective, SpectrumOptimizerConfig,
};
pub use regression::{
    Kept, RegressionConfig, RegressionObjective, RegressionOptimizer, RegressionOptimizerConfig,
    ValidationBatches,
};
pub use trained::Compute;
