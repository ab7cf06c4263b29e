//! Normalizing flows for posteriors of galaxy properties given embeddings (paper section 6.4 and
//! appendices A4 and B6), on the host.
//!
//! Written out rather than built on the tensor library: nearly all the time goes into one matrix product
//! per step, the rest into splines that run on vectors, and `eval` stays free of models and devices.

mod conditional;
mod config;
mod density;
mod ensemble;
mod fit;
mod held_out;
mod layer;
mod neighbourhood;
mod network;
mod reduction;
mod spline;
mod stored;
mod variates;

pub use conditional::{ConditionalFlow, FlowSummary, LogProb};
pub use config::FlowConfig;
pub use ensemble::{FlowEnsemble, PosteriorSamples};
pub use spline::{Knots, LANES, Lanes};
pub(in crate::evaluation) use stored::FlowHead;
pub use variates::Variates;
