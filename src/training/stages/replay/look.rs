//! The largest numbers of data, weights and gradients, and those that are not finite.

use serde::Serialize;

use super::report::Extreme;
use crate::files::data::Galaxies;
use crate::training::train::{BatchGalaxy, Checkpoint, Gradients};

/// A galaxy of the batch, by its values in the file.
#[derive(Debug, Clone, Serialize)]
pub struct GalaxyLook {
    /// The galaxy.
    #[serde(flatten)]
    pub galaxy: BatchGalaxy,
    /// Its value that is furthest from zero.
    pub largest: Extreme,
    /// The size of that value over the median of these sizes in the batch.
    pub over_median: f32,
}

/// Looks at the galaxies of a batch, in its order.
pub(super) fn look_at_galaxies(galaxies: &Galaxies, names: &[BatchGalaxy]) -> Vec<GalaxyLook> {
    let mut looks: Vec<GalaxyLook> = names
        .iter()
        .enumerate()
        .map(|(place, galaxy)| {
            let image = galaxies.images.as_ref().map(|images| {
                let of_galaxy = images.index_axis(ndarray::Axis(0), place);
                let ((band, y, x), value) = furthest(of_galaxy.indexed_iter());
                Extreme {
                    place: format!("image, band {band}, y {y}, x {x}"),
                    value,
                }
            });
            let spectrum = galaxies.spectra.as_ref().map(|spectra| {
                let of_galaxy = spectra.row(place);
                let (at, value) = furthest(of_galaxy.indexed_iter());
                Extreme {
                    place: format!("spectrum, pixel {at}"),
                    value,
                }
            });
            let both = image.into_iter().chain(spectrum);
            let largest = both.max_by(|a, b| a.value.abs().total_cmp(&b.value.abs()));
            GalaxyLook {
                galaxy: galaxy.clone(),
                largest: largest.expect("a stage reads images or spectra"),
                over_median: 1.0,
            }
        })
        .collect();
    let mut sizes: Vec<f32> = looks.iter().map(|look| look.largest.value.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    let median = sizes[sizes.len() / 2];
    for look in &mut looks {
        look.over_median = look.largest.value.abs() / median;
    }
    looks
}

/// The value that is furthest from zero, NaN before all, with its index.
fn furthest<'a, I>(values: impl Iterator<Item = (I, &'a f32)>) -> (I, f32) {
    let (at, value) = values
        .max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))
        .expect("data are not empty");
    (at, *value)
}

/// What some tensors hold.
#[derive(Debug, Default)]
pub(super) struct TensorLook {
    /// The finite value that is furthest from zero.
    pub largest: Option<Extreme>,
    /// The first tensor that is not finite throughout.
    pub nonfinite: Option<String>,
    /// Tensors that are not finite throughout.
    pub count: usize,
    /// Tensors.
    pub tensors: usize,
}

impl TensorLook {
    fn add(&mut self, name: &str, values: &[f32]) {
        self.tensors += 1;
        let finite = values.iter().filter(|value| value.is_finite());
        let size = finite.clone().count();
        if let Some(&value) = finite.max_by(|a, b| a.abs().total_cmp(&b.abs()))
            && self
                .largest
                .as_ref()
                .is_none_or(|known| value.abs() > known.value.abs())
        {
            self.largest = Some(Extreme {
                place: name.to_owned(),
                value,
            });
        }
        if size < values.len() {
            self.count += 1;
            self.nonfinite.get_or_insert_with(|| name.to_owned());
        }
    }
}

/// Looks at what a checkpoint holds.
pub(super) fn look_at_state(checkpoint: &Checkpoint) -> TensorLook {
    let mut look = TensorLook::default();
    for (name, tensor) in &checkpoint.tensors {
        look.add(name, &tensor.values);
    }
    look
}

/// Looks at gradients.
pub(super) fn look_at_gradients(gradients: &Gradients) -> TensorLook {
    let mut look = TensorLook::default();
    for (name, values) in gradients.on_host() {
        look.add(name, &values);
    }
    look
}
