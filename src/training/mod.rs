//! The loop, the objectives, run files, and the stages that they make up.

pub mod config;
pub mod objective;
pub(crate) mod run_folder;
pub(crate) mod stages;
pub mod train;
