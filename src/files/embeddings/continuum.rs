//! The continua of spectra in an embedding file: `spectrum_continuum`, f32 (N, 2, bands).

use hdf5::Dataset;
use ndarray::{Array3, ArrayView3, s};

use super::writer::{CHUNK_ROWS, write_text};
use crate::survey::CONTINUUM_BANDS;

/// The dataset.
pub(super) const CONTINUUM: &str = "spectrum_continuum";

/// Shape of one galaxy's.
pub(super) const SHAPE: (usize, usize) = (2, CONTINUUM_BANDS);

/// Numbers of one galaxy.
pub(super) const NUMBERS: usize = SHAPE.0 * SHAPE.1;

/// Of galaxies of which nothing is known.
pub(super) fn unknown(rows: usize) -> Array3<f32> {
    Array3::from_elem((rows, SHAPE.0, SHAPE.1), f32::NAN)
}

/// Writes continua batch by batch; a file has the dataset once one is known.
#[derive(Debug, Default)]
pub(super) struct ContinuumWriter {
    dataset: Option<Dataset>,
}

impl ContinuumWriter {
    /// Appends those of `rows` galaxies behind `start` others.
    pub fn extend(
        &mut self,
        file: &hdf5::File,
        start: usize,
        rows: usize,
        continua: Option<ArrayView3<'_, f32>>,
    ) -> hdf5::Result<()> {
        let dataset = match (&self.dataset, continua) {
            (None, None) => return Ok(()),
            (Some(dataset), _) => dataset,
            (None, Some(_)) => {
                let dataset = file
                    .new_dataset::<f32>()
                    .obj_track_times(false)
                    .chunk((CHUNK_ROWS, SHAPE.0, SHAPE.1))
                    .shape((0.., SHAPE.0, SHAPE.1))
                    .create(CONTINUUM)?;
                write_text(
                    &dataset,
                    "meaning",
                    "flux of each of 60 bands, then its standard deviation; NaN = not measured",
                )?;
                append(&dataset, 0, unknown(start).view())?;
                self.dataset.insert(dataset)
            }
        };
        match continua {
            Some(continua) => append(dataset, start, continua),
            None => append(dataset, start, unknown(rows).view()),
        }
    }
}

fn append(dataset: &Dataset, start: usize, continua: ArrayView3<'_, f32>) -> hdf5::Result<()> {
    let end = start + continua.len_of(ndarray::Axis(0));
    if end == start {
        return Ok(());
    }
    dataset.resize((end, SHAPE.0, SHAPE.1))?;
    dataset.write_slice(&continua.as_standard_layout(), s![start..end, .., ..])
}
