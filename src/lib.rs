//! AstroCLIP: galaxy images and spectra in one embedding space (Parker et al. 2024, MNRAS 531, 4990).

pub mod augment;
pub mod batch;
pub mod cli;
pub mod commands;
pub mod config;
pub mod data;
pub mod device;
pub mod embeddings;
pub mod encoder;
pub mod error;
pub mod eval;
pub mod knn;
pub mod loss;
pub mod model;
pub mod nn;
pub mod objective;
pub mod output;
pub mod progress;
pub mod random;
pub mod report;
pub mod search;
pub mod simulate;
pub mod stages;
pub mod survey;
pub mod train;
pub mod weights;
