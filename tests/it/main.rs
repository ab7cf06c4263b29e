//! The program and its parts from outside, in one binary: it links the tensor library once.

mod architecture;
mod cli;
mod embeddings;
mod eval;
mod fetch_data;
mod golden;
mod hostile_weights;
mod knn;
mod micro_batches;
mod models;
mod night;
mod outputs;
mod posterior;
mod real_data;
mod released;
mod snapshots;
mod support;
