//! Vectors from before the heads in an embedding file: `image_features`, `spectrum_features`, f32 (N, D).

use hdf5::Dataset;
use ndarray::{ArrayView2, s};

use super::Layer;
use super::writer::CHUNK_ROWS;
use crate::survey::Modality;

/// Vectors of some galaxies from before the heads; every part has the batch's rows, and a width of its own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Features<'a> {
    /// Of images, in every batch with galaxies or in none.
    pub image: Option<ArrayView2<'a, f32>>,
    /// Of spectra, likewise.
    pub spectrum: Option<ArrayView2<'a, f32>>,
}

impl<'a> Features<'a> {
    pub(super) fn of(&self, modality: Modality) -> Option<ArrayView2<'a, f32>> {
        match modality {
            Modality::Image => self.image,
            Modality::Spectrum => self.spectrum,
        }
    }
}

/// Writes features batch by batch; the first batch with galaxies says which there are.
#[derive(Debug, Default)]
pub(super) struct FeatureWriter {
    datasets: Vec<(Modality, Dataset)>,
}

impl FeatureWriter {
    /// Appends those of `rows` galaxies behind `start` others.
    pub fn extend(
        &mut self,
        file: &hdf5::File,
        start: usize,
        rows: usize,
        features: Features<'_>,
    ) -> hdf5::Result<()> {
        if rows == 0 {
            return Ok(());
        }
        for modality in Modality::ALL {
            let known = self.datasets.iter().find(|(of, _)| *of == modality);
            let dataset = match (known, features.of(modality)) {
                (None, None) => continue,
                (Some((_, dataset)), _) => dataset.clone(),
                (None, Some(values)) => {
                    let dataset = file
                        .new_dataset::<f32>()
                        .obj_track_times(false)
                        .chunk((CHUNK_ROWS, values.ncols()))
                        .shape((0.., values.ncols()))
                        .create(Layer::Features.dataset(modality))?;
                    self.datasets.push((modality, dataset.clone()));
                    dataset
                }
            };
            let held = dataset.shape();
            match features.of(modality) {
                Some(values) if held == [start, values.ncols()] => {
                    dataset.resize((start + rows, values.ncols()))?;
                    dataset
                        .write_slice(&values.as_standard_layout(), s![start..start + rows, ..])?;
                }
                values => {
                    let found = values.map_or(0, |values| values.ncols());
                    return Err(hdf5::Error::from(format!(
                        "{modality} features of width {found} behind those of {held:?}, which all galaxies of a file have"
                    )));
                }
            }
        }
        Ok(())
    }
}
