//! Eight tensors that go through an operation at once. On a GPU what a kernel of a small tensor costs is mostly what the
//! host does to ask for it: of a training step's hundreds of parameters, eight share that.

use burn::backend::{Backend, Dispatch, ExtensionType, tensor::FloatTensor};

/// A tensor of any number of axes, on the device that it names.
pub type AnyTensor = FloatTensor<Dispatch>;

/// Eight tensors, each of a shape of its own.
#[derive(ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "cuda", feature = "wgpu")))]
#[allow(missing_docs)]
pub struct Eight<B: Backend> {
    pub t0: FloatTensor<B>,
    pub t1: FloatTensor<B>,
    pub t2: FloatTensor<B>,
    pub t3: FloatTensor<B>,
    pub t4: FloatTensor<B>,
    pub t5: FloatTensor<B>,
    pub t6: FloatTensor<B>,
    pub t7: FloatTensor<B>,
}

impl<B: Backend> Eight<B> {
    /// Of a list of eight.
    pub(super) fn of(tensors: Vec<FloatTensor<B>>) -> Self {
        match <[FloatTensor<B>; 8]>::try_from(tensors) {
            Ok(tensors) => tensors.into(),
            Err(others) => unreachable!("{} tensors", others.len()),
        }
    }

    /// The tensors in their order.
    pub(super) fn into_array(self) -> [FloatTensor<B>; 8] {
        let Self {
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
        } = self;
        [t0, t1, t2, t3, t4, t5, t6, t7]
    }
}

impl<B: Backend> From<[FloatTensor<B>; 8]> for Eight<B> {
    fn from([t0, t1, t2, t3, t4, t5, t6, t7]: [FloatTensor<B>; 8]) -> Self {
        Self {
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
        }
    }
}

/// `values` in eights; the last of them is made up to eight with copies of the value of the smallest `size`, which cost
/// least. The others are moved, so that what holds them alone may be written over.
pub(super) fn in_eights<T: Clone>(mut values: Vec<T>, size: impl Fn(&T) -> usize) -> Vec<[T; 8]> {
    if let Some(smallest) = values.iter().min_by_key(|value| size(value)).cloned() {
        values.resize(values.len().next_multiple_of(8), smallest);
    }
    let mut values = values.into_iter();
    let eights = 0..values.len() / 8;
    eights
        .map(|_| std::array::from_fn(|_| values.next().expect("eights")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::in_eights;

    #[test]
    fn what_is_left_is_made_up_with_the_smallest() {
        let in_eights = |values| in_eights(values, |value: &usize| *value);
        assert!(in_eights(vec![]).is_empty());
        assert_eq!(in_eights(vec![2, 1, 3]), [[2, 1, 3, 1, 1, 1, 1, 1]]);
        let eights = in_eights((0..9).collect());
        assert_eq!(eights, [[0, 1, 2, 3, 4, 5, 6, 7], [8, 0, 0, 0, 0, 0, 0, 0]]);
    }
}
