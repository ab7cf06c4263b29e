//! Kernels for the CPU: loops over `f32` slices, written so that the compiler vectorizes them, and rayon's threads over
//! blocks of rows. Other types are composed.

mod attention;
mod cross_entropy;
mod gelu;
mod layer_norm;
mod linear;
mod mlp;
mod parameters;
mod product;
mod residual;
mod room;
mod rows;
mod weight_norm;

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Bytes, DType, FloatDType, IntDType, Shape};
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
    let is_all_of_its_memory = tensor.is_unique()
        && tensor.is_contiguous()
        && tensor.storage::<f32>().len() == tensor.layout().num_elements();
    if !is_all_of_its_memory {
        let copy = match tensor.as_slice::<f32>() {
            Some(values) => new_tensor(room::copy(values), tensor.shape()),
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

/// The numbers of a tensor of row numbers.
fn row_numbers(tensor: FlexTensor) -> Vec<usize> {
    let tensor = Flex::int_cast(tensor, IntDType::I32).to_contiguous();
    let numbers: &[i32] = tensor.as_slice().expect("contiguous i32 tensor");
    numbers.iter().map(|&number| number as usize).collect()
}
