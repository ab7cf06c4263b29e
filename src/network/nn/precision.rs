//! The type of numbers in which layers compute.

use std::fmt;
use std::str::FromStr;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// The numbers in which layers compute.
///
/// Layers compute in the type of the tensor that enters them, and bring their weights to it; weights that are trained stay
/// `f32`, and so do their gradients. Norms, softmax and losses are `f32` whatever enters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the exponent of `f32` (bfloat16): the fast type of NVIDIA GPUs since 2020.
    Bf16,
}

impl Precision {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// `input` in this precision: what it enters then computes in it.
    pub fn of<const D: usize>(self, input: Tensor<D>) -> Tensor<D> {
        input.cast(self.dtype())
    }

    /// `module` with weights in this precision, for inference.
    pub fn of_weights<M: Module>(self, module: M) -> M {
        struct Cast(DType);
        impl ModuleMapper for Cast {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|weight| weight.cast(self.0))
            }
        }
        module.map(&mut Cast(self.dtype()))
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err(format!("`{text}` is no precision; expected f32 or bf16")),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

/// `tensor` as `f32`, for what loses too much in fewer bits.
pub fn widen<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.cast(DType::F32)
}

/// `weight` in the type of the `input` that it meets.
pub(super) fn to_type_of<const D: usize, const E: usize>(
    weight: Tensor<D>,
    input: &Tensor<E>,
) -> Tensor<D> {
    weight.cast(input.dtype())
}
