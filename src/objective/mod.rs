//! The training stages: from a batch through the model to losses, gradients and new weights.

use burn::tensor::Tensor;

mod align;
mod dino;
mod masked_modelling;
mod optimizer;
mod regression;

pub use align::{AlignBatch, AlignConfig, AlignObjective, AlignOptimizerConfig};
pub use dino::{
    Centering, DinoConfig, DinoLossConfig, DinoObjective, DinoOptimizerConfig, DinoWork, Schedule,
    TeacherConfig, parameter_rule,
};
pub use masked_modelling::{
    MaskedModellingConfig, MaskedModellingObjective, SpectrumOptimizerConfig,
};
pub use regression::{
    RegressionConfig, RegressionObjective, RegressionOptimizerConfig, ValidationBatches,
};

/// `sum + term`, where there is a sum.
fn add(sum: Option<Tensor<1>>, term: Tensor<1>) -> Option<Tensor<1>> {
    Some(match sum {
        Some(sum) => sum + term,
        None => term,
    })
}
