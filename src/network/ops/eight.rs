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

/// `values` in eights; the last of them is made up to eight with the last value.
pub(super) fn in_eights<T: Clone>(values: Vec<T>) -> Vec<[T; 8]> {
    let part = |part: &[T]| {
        let last = part.last().expect("no part is empty");
        std::array::from_fn(|index| part.get(index).unwrap_or(last).clone())
    };
    values.chunks(8).map(part).collect()
}
