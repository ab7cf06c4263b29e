//! AstroCLIP: galaxy images and spectra in one embedding space (Parker et al. 2024, MNRAS 531, 4990).

pub mod app;
pub mod base;
pub mod evaluation;
pub mod files;
pub mod network;
mod service;
mod simulate;
pub mod survey;
pub mod training;
pub mod views;
