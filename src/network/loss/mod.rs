//! One loss, one file; none knows of models or training.

mod centering;
mod dino;
mod distillation;
mod ibot;
mod info_nce;
mod koleo;
mod masked_huber;
mod masked_mse;

pub use centering::{Center, OtherRows, sinkhorn_knopp, sinkhorn_knopp_among};
pub use dino::cross_entropy;
pub use distillation::distillation;
pub use ibot::masked_patch_loss;
pub use info_nce::info_nce;
pub use koleo::koleo;
pub use masked_huber::masked_huber;
pub use masked_mse::masked_mse;
