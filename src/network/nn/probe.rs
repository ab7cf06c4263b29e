//! A look at what layers compute, for who asks where numbers stop being finite.
//!
//! Layers say what they computed by [`output`] and its kin. That costs a look at a flag, unless the thread is within
//! [`watch`]: then every output is read.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::ops::Range;

use burn::tensor::{DType, Tensor};

use super::Packed;

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static LOOK: RefCell<Look> = const { RefCell::new(Look::new()) };
}

/// What was seen so far, and where the forward pass stands.
struct Look {
    path: Vec<String>,
    galaxies: Range<usize>,
    outputs: Vec<LayerOutput>,
}

impl Look {
    const fn new() -> Self {
        Self {
            path: Vec::new(),
            galaxies: 0..0,
            outputs: Vec::new(),
        }
    }
}

/// What a layer computed.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerOutput {
    /// The layer, such as `student backbone.blocks.0.attn`.
    pub name: String,
    /// Largest size of its finite values.
    pub largest: f32,
    /// Values.
    pub values: usize,
    /// Those that are not finite.
    pub nonfinite: usize,
    /// The galaxies of the batch that these are of, in order, where the rows of the output are those of galaxies.
    pub galaxies: Vec<usize>,
}

/// Computes something, and returns what layers computed meanwhile, in their order.
pub fn watch<T>(compute: impl FnOnce() -> T) -> (T, Vec<LayerOutput>) {
    LOOK.set(Look::new());
    ON.set(true);
    let result = compute();
    ON.set(false);
    (result, LOOK.replace(Look::new()).outputs)
}

/// Whether outputs are looked at.
fn is_on() -> bool {
    ON.get()
}

/// Puts a name in front of the layers within.
pub fn scope<T>(name: impl Display, compute: impl FnOnce() -> T) -> T {
    if !is_on() {
        return compute();
    }
    LOOK.with_borrow_mut(|look| look.path.push(name.to_string()));
    let result = compute();
    LOOK.with_borrow_mut(|look| look.path.pop());
    result
}

/// Says which galaxies of the batch go through the model from now on.
pub fn galaxies(range: Range<usize>) {
    if is_on() {
        LOOK.with_borrow_mut(|look| look.galaxies = range);
    }
}

/// What a layer computed; its rows are not those of galaxies.
pub fn output<const D: usize>(name: &str, values: &Tensor<D>) {
    if is_on() {
        note(name, values, false);
    }
}

/// The same, of a layer whose first axis is that of the galaxies, once or several times.
pub fn output_by_galaxy<const D: usize>(name: &str, values: &Tensor<D>) {
    if is_on() {
        note(name, values, true);
    }
}

/// The same of packed sequences.
pub fn sequences(name: &str, values: &Packed) {
    if is_on() {
        for group in values.clone().unpack() {
            note(name, &group, true);
        }
    }
}

fn note<const D: usize>(name: &str, tensor: &Tensor<D>, by_galaxy: bool) {
    let rows = tensor.dims()[0].max(1);
    let values: Vec<f32> = tensor
        .clone()
        .without_autodiff()
        .cast(DType::F32)
        .into_data()
        .try_into_vec()
        .expect("the values were brought to f32");
    let per_row = (values.len() / rows).max(1);
    LOOK.with_borrow_mut(|look| {
        let mut seen = LayerOutput {
            name: [look.path.join(" ").as_str(), name]
                .join(" ")
                .trim()
                .to_owned(),
            largest: 0.0,
            values: values.len(),
            nonfinite: 0,
            galaxies: Vec::new(),
        };
        let of_batch = look.galaxies.len();
        for (row, values) in values.chunks(per_row).enumerate() {
            let before = seen.nonfinite;
            for value in values {
                match value.is_finite() {
                    true => seen.largest = seen.largest.max(value.abs()),
                    false => seen.nonfinite += 1,
                }
            }
            if by_galaxy && seen.nonfinite > before && of_batch > 0 {
                seen.galaxies.push(look.galaxies.start + row % of_batch);
            }
        }
        seen.galaxies.sort_unstable();
        seen.galaxies.dedup();
        look.outputs.push(seen);
    });
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::{galaxies, output_by_galaxy, scope, watch};

    #[test]
    fn what_is_not_finite_is_named_with_its_layer_and_its_galaxies() {
        let device = Device::flex();
        let rows = Tensor::<2>::from_data(
            [[1.0, -3.0], [2.0, 0.0], [0.0, 1.0], [f32::NAN, 1.0]],
            &device,
        );
        output_by_galaxy("before", &rows);
        let ((), outputs) = watch(|| {
            scope("student", || {
                galaxies(4..6);
                output_by_galaxy("tokens", &rows);
            });
        });
        output_by_galaxy("after", &rows);
        assert_eq!(outputs.len(), 1, "only within");
        let seen = &outputs[0];
        assert_eq!(seen.name, "student tokens");
        assert_eq!((seen.largest, seen.values, seen.nonfinite), (3.0, 8, 1));
        assert_eq!(seen.galaxies, [5], "two crops of two galaxies");
    }
}
