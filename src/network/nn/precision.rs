//! The type of numbers in which layers compute.

use std::fmt;
use std::str::FromStr;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::network::ops::{Factors, multiplies_bf16};

/// The numbers in which layers compute.
///
/// Layers compute in the type of the tensor that enters them, and bring their weights to it; weights that are trained stay
/// `f32`, and so do their gradients. Norms, softmax and losses are `f32` whatever enters.
///
/// On a CPU the type of what enters a network says which numbers its layers multiply; between products all is `f32`
/// ([`entering`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the exponent of `f32` (bfloat16): the fast type of NVIDIA GPUs since 2020, and of CPUs with
    /// AVX512-BF16.
    Bf16,
}

impl Precision {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// The precision in which `device` computes where this one is asked for: in `f32` where a CPU does not multiply numbers
    /// in bf16, or a GPU does not compute with them.
    pub fn on(self, device: &Device) -> Self {
        let computes = match (self, *device == Device::flex()) {
            (Self::F32, _) => true,
            (Self::Bf16, true) => multiplies_bf16(),
            (Self::Bf16, false) => device.supports_dtype(DType::BF16),
        };
        if computes { self } else { Self::F32 }
    }

    /// `input` in this precision, as its device has it: what it enters then computes in it.
    pub fn of<const D: usize>(self, input: Tensor<D>) -> Tensor<D> {
        let dtype = self.on(&input.device()).dtype();
        input.cast(dtype)
    }

    /// `module` with weights in this precision, for inference.
    pub fn of_weights<M: Module>(self, module: M) -> M {
        struct Cast(Precision);
        impl ModuleMapper for Cast {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|weight| self.0.of(weight))
            }
        }
        module.map(&mut Cast(self))
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

/// What enters a network, as its layers compute on it, and what they multiply.
///
/// Where it is bf16, a CPU computes in `f32` between products of factors in bf16: it has instructions for these alone.
pub fn entering<const D: usize>(input: Tensor<D>) -> (Tensor<D>, Factors) {
    match input.dtype() == DType::BF16 && input.device() == Device::flex() {
        true => (widen(input), Factors::Bf16),
        false => (input, Factors::AsGiven),
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
