//! What is measured on embeddings: neighbours, estimates, posteriors, and the pages and drawings that show them. Never
//! a model.

pub mod engine;
pub mod estimator;
pub mod eval;
pub mod knn;
pub(crate) mod report;
pub mod search;
pub mod spectral;
