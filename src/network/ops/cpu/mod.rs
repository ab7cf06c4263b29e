//! Kernels for the CPU: loops over `f32` slices, written so that the compiler vectorizes them, and rayon's threads over
//! blocks of rows. Other types are composed.

mod attention;
mod gelu;
mod layer_norm;
mod linear;
mod mlp;

use burn::backend::ops::FloatTensorOps;
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, FloatDType, Shape};
use burn_flex::{FlexTensor, Layout};

/// Whether there are kernels for the type of `tensor`.
fn has_kernels(tensor: &FlexTensor) -> bool {
    tensor.dtype() == DType::F32
}

/// `tensor` in `f32`.
fn widened(tensor: FlexTensor) -> FlexTensor {
    Flex::float_cast(tensor, FloatDType::F32)
}

/// The numbers of a contiguous `f32` tensor.
fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("contiguous f32 tensor")
}

/// The numbers of `tensor`, in its own memory if nobody else holds it, else in a copy.
fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let covers_its_memory =
        tensor.is_contiguous() && tensor.storage::<f32>().len() == tensor.layout().num_elements();
    if !covers_its_memory {
        let copy = match tensor.as_slice::<f32>() {
            Some(values) => new_tensor(values.to_vec(), tensor.shape()),
            None => tensor.to_contiguous(),
        };
        *tensor = copy;
    }
    tensor.storage_mut()
}

/// A contiguous tensor of `values`.
fn new_tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape),
        DType::F32,
    )
}
