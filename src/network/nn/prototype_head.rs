//! The projection head of DINO and iBOT.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::precision::to_type_of;
use super::{Initializer, Linear, entering, l2_normalize, widen};
use crate::base::error::{Check, Result};
use crate::network::ops::{Factors, gelu, linear, product, weight_norm};

/// Sizes of a DINO or iBOT head (paper appendix B1; Oquab et al. 2023).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrototypeHeadConfig {
    /// Width of the hidden layers, 1 to 2^20.
    pub hidden: usize,
    /// Number of layers of the MLP before the prototypes, 1 to 2^20.
    pub layers: usize,
    /// Width of the normalized bottleneck, 1 to 2^20.
    pub bottleneck: usize,
    /// Number of prototypes, 1 to 2^20.
    pub prototypes: usize,
}

/// Largest extent of a head; what is larger is a slip.
const MOST: usize = 1 << 20;

impl Default for PrototypeHeadConfig {
    fn default() -> Self {
        Self {
            hidden: 2048,
            layers: 3,
            bottleneck: 256,
            prototypes: 65536,
        }
    }
}

impl PrototypeHeadConfig {
    /// Checks all values; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("hidden", self.hidden, 1..=MOST)?;
        check.count("layers", self.layers, 1..=MOST)?;
        check.count("bottleneck", self.bottleneck, 1..=MOST)?;
        check.count("prototypes", self.prototypes, 1..=MOST)
    }

    /// Floating-point operations, forward, of a row of `width`; two for a multiply-add.
    pub fn flops(&self, width: usize) -> f64 {
        let widths = self.widths(width);
        let layers: usize = widths.windows(2).map(|pair| pair[0] * pair[1]).sum();
        2.0 * (layers + self.bottleneck * self.prototypes) as f64
    }

    /// Numbers in its weights, on rows of `width`; floating-point, as settings that nobody can build have counts
    /// beyond all integers.
    pub fn parameters(&self, width: usize) -> f64 {
        let [width, hidden, bottleneck] = [width, self.hidden, self.bottleneck].map(|n| n as f64);
        // Weights and biases of the layers from the first to the one before the last, and of the last.
        let mlp = match self.layers {
            1 => (width + 1.0) * bottleneck,
            layers => {
                (width + 1.0) * hidden
                    + (layers - 2) as f64 * (hidden + 1.0) * hidden
                    + (hidden + 1.0) * bottleneck
            }
        };
        mlp + (bottleneck + 1.0) * self.prototypes as f64
    }

    /// Widths from the input to the bottleneck.
    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths = vec![width];
        widths.extend(std::iter::repeat_n(self.hidden, self.layers - 1));
        widths.push(self.bottleneck);
        widths
    }
}

/// The projection head of DINO and iBOT: an MLP, a unit-length bottleneck, and similarities with
/// weight-normed prototypes.
#[derive(Module, Debug)]
pub struct PrototypeHead {
    /// Layers with a GELU between.
    pub mlp: Vec<Linear>,
    /// Prototypes.
    pub last_layer: WeightNormed,
}

/// A linear map without bias whose rows are `gain * direction / ‖direction‖` (Salimans & Kingma 2016).
#[derive(Module, Debug)]
pub struct WeightNormed {
    /// Gains, `(outputs, 1)`.
    pub weight_g: Param<Tensor<2>>,
    /// Directions, `(outputs, inputs)`.
    pub weight_v: Param<Tensor<2>>,
}

impl PrototypeHead {
    /// A head on tokens of `width`.
    pub fn new(width: usize, config: &PrototypeHeadConfig, init: &mut Initializer) -> Self {
        let PrototypeHeadConfig {
            bottleneck,
            prototypes,
            ..
        } = *config;
        Self {
            mlp: config
                .widths(width)
                .windows(2)
                .map(|pair| Linear::new(pair[0], pair[1], 0.02, init))
                .collect(),
            last_layer: WeightNormed {
                weight_g: init.constant([prototypes, 1], 1.0),
                weight_v: init
                    .uniform([prototypes, bottleneck], (bottleneck as f32).sqrt().recip()),
            },
        }
    }

    /// Scores `(rows, prototypes)` of `(rows, width)`.
    pub fn forward(&self, input: Tensor<2>) -> Tensor<2> {
        let (mut hidden, factors) = entering(input);
        for (index, layer) in self.mlp.iter().enumerate() {
            if index > 0 {
                hidden = gelu(hidden);
            }
            hidden = layer.multiply(hidden, factors);
        }
        let dtype = hidden.dtype();
        self.last_layer
            .multiply(l2_normalize(widen(hidden), 1e-12).cast(dtype), factors)
    }
}

impl WeightNormed {
    fn multiply(&self, input: Tensor<2>, factors: Factors) -> Tensor<2> {
        let weight = weight_norm(self.weight_v.val(), self.weight_g.val());
        let weight = to_type_of(weight, &input);
        match factors {
            Factors::AsGiven => product(input, weight.transpose()),
            Factors::Bf16 => {
                let [outputs, _] = weight.dims();
                let bias = Tensor::zeros([outputs], &input.device());
                linear(input, weight.transpose(), bias, factors)
            }
        }
    }
}
