//! The program and its parts from outside, in one binary: it links the tensor library once.

mod architecture;
mod catalogue;
mod cli;
mod degenerate;
mod embeddings;
mod estimator;
mod eval;
mod fetch_data;
mod finetune;
mod fuzz;
mod golden;
mod hostile_weights;
mod knn;
mod micro_batches;
mod models;
mod night;
mod objectives;
mod outputs;
mod posterior;
mod ranks;
mod real_data;
mod released;
mod serve;
mod snapshots;
mod support;
mod weights;
