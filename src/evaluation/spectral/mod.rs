//! What spectra tell without a trained network: their principal components, and templates that are moved along them.
//! Rulers for embeddings of spectra.

mod components;
mod log_grid;
mod nearest;
mod orthonormal;
mod templates;

pub use components::Components;
pub use nearest::leave_one_out;
pub use templates::{TemplateSettings, Templates};

use ndarray::{Array2, ArrayView2, Axis, Zip};

/// Spectra `(galaxies, pixels)`, each with mean 0 and standard deviation 1; one that is constant becomes zeros.
fn standardized(spectra: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut scaled = spectra.to_owned();
    Zip::from(scaled.axis_iter_mut(Axis(0))).par_for_each(|mut spectrum| {
        let count = spectrum.len() as f64;
        let mean = spectrum.iter().map(|&flux| f64::from(flux)).sum::<f64>() / count;
        let square = |&flux: &f32| (f64::from(flux) - mean).powi(2);
        let deviation = (spectrum.iter().map(square).sum::<f64>() / count).sqrt();
        let scale = match deviation > 0.0 {
            true => deviation.recip(),
            false => 0.0,
        };
        spectrum.mapv_inplace(|flux| ((f64::from(flux) - mean) * scale) as f32);
    });
    scaled
}
