//! The supervised network on spectra: convolutions and attention.

use burn::module::Module;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, TensorData, activation::softmax, module};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::regressor::{Pass, Regressor, regress};
use crate::base::error::{Check, Result};
use crate::network::nn::{Conv1d, Initializer, Linear, PRelu, dropout, instance_norm, probe};

/// PyTorch's default, which the encoder of Melchior et al. (2023) takes.
const EPSILON: f64 = 1e-5;

/// The convolution + attention network on spectra (paper appendix B5).
///
/// The paper gives the channels and the hidden widths; the kernels' lengths are those of the released code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConvAttentionConfig {
    /// Channels of each convolution; the last even: half of them are attended with the other half.
    pub channels: Vec<usize>,
    /// Length of each kernel, pixels. After each but the last convolution, as many pixels are pooled to
    /// their maximum.
    pub kernels: Vec<usize>,
    /// Hidden widths of the MLP on the attended features.
    pub hidden: Vec<usize>,
    /// Share of the values set to zero during training after each convolution and hidden layer, in [0, 1).
    pub dropout: f64,
}

impl Default for ConvAttentionConfig {
    fn default() -> Self {
        Self {
            channels: vec![8, 16, 16, 32],
            kernels: vec![5, 10, 20, 40],
            hidden: vec![32, 32],
            dropout: 0.0,
        }
    }
}

impl ConvAttentionConfig {
    /// Checks that such a network can be built; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        for (field, values) in [
            ("channels", &self.channels),
            ("kernels", &self.kernels),
            ("hidden", &self.hidden),
        ] {
            for &value in values {
                check.count(field, value, 1..=super::MOST)?;
            }
        }
        let (channels, kernels) = (self.channels.len(), self.kernels.len());
        check.require(
            channels > 0 && channels == kernels,
            "channels",
            format!("{:?}", self.channels),
            format!("as many as `{path}.kernels`, {kernels}, and at least one"),
        )?;
        check.require(
            self.channels[channels - 1].is_multiple_of(2),
            "channels",
            format!("{:?}", self.channels),
            "an even number at the end, half for keys and half for values",
        )?;
        check.number("dropout", self.dropout, 0.0..1.0)
    }
}

/// A convolution, instance normalization, PReLU.
#[derive(Module, Debug)]
pub struct ConvolutionBlock {
    /// The convolution.
    pub conv: Conv1d,
    /// After the normalization.
    pub act: PRelu,
}

/// A hidden layer with PReLU.
#[derive(Module, Debug)]
pub struct HiddenLayer {
    /// The affine map.
    pub linear: Linear,
    /// After it.
    pub act: PRelu,
}

/// Convolutions that shorten a spectrum, dot-product attention over what is left, an MLP (Serrà et al. 2018;
/// Melchior et al. 2023).
#[derive(Module, Debug)]
pub struct ConvAttention {
    /// The convolutions.
    pub convolutions: Vec<ConvolutionBlock>,
    /// Hidden layers of the MLP.
    pub mlp: Vec<HiddenLayer>,
    /// Last layer of the MLP.
    pub head: Linear,
    #[module(skip)]
    config: ConvAttentionConfig,
}

impl ConvAttention {
    /// Fresh weights, for `outputs` predictions per spectrum.
    pub fn new(config: &ConvAttentionConfig, outputs: usize, init: &mut Initializer) -> Self {
        let mut inputs = 1;
        let convolutions = config.channels.iter().zip(&config.kernels);
        let convolutions = convolutions.map(|(&channels, &kernel)| ConvolutionBlock {
            conv: Conv1d::new(
                std::mem::replace(&mut inputs, channels),
                channels,
                kernel,
                init,
            ),
            act: PRelu::new(channels, init),
        });
        let convolutions = convolutions.collect();
        let mut width = inputs / 2;
        let mlp = config.hidden.iter().map(|&hidden| HiddenLayer {
            linear: Linear::new_uniform(std::mem::replace(&mut width, hidden), hidden, init),
            act: PRelu::new(hidden, init),
        });
        Self {
            convolutions,
            mlp: mlp.collect(),
            head: Linear::new_uniform(width, outputs, init),
            config: config.clone(),
        }
    }

    /// Spectra `(batch, pixels)` to `(batch, outputs)`; a generator switches dropout on.
    pub fn forward(&self, spectra: Tensor<2>, mut rng: Option<&mut ChaCha8Rng>) -> Tensor<2> {
        let [batch, pixels] = spectra.dims();
        let rate = self.config.dropout;
        let mut hidden = spectra.reshape([batch, 1, pixels]);
        for (index, block) in self.convolutions.iter().enumerate() {
            hidden = instance_norm(block.conv.forward(hidden), EPSILON);
            hidden = dropout(block.act.forward(hidden), rate, rng.as_deref_mut());
            probe::scope(format_args!("convolutions.{index}"), || {
                probe::output_by_galaxy("sum", &hidden);
            });
            if index + 1 < self.convolutions.len() {
                let size = self.config.kernels[index];
                let pool = MaxPoolOptions::new([size]).with_padding([size / 2]);
                hidden = module::max_pool1d(hidden, pool);
            }
        }
        let [_, channels, _] = hidden.dims();
        let half = channels / 2;
        let values = hidden.clone().narrow(1, 0, half);
        let attention = softmax(hidden.narrow(1, half, half), 2);
        let mut features = (values * attention).sum_dim(2).reshape([batch, half]);
        for layer in &self.mlp {
            features = layer.act.forward(layer.linear.forward(features));
            features = dropout(features, rate, rng.as_deref_mut());
        }
        probe::output_by_galaxy("mlp", &features);
        let predicted = regress(&self.head, features);
        probe::output_by_galaxy("head", &predicted);
        predicted
    }
}

impl Regressor for ConvAttention {
    fn predict(&self, inputs: TensorData, device: &Device, pass: Pass<'_>) -> Tensor<2> {
        let rng = match pass {
            Pass::Training(rng) | Pass::HeadTraining(rng) => Some(rng),
            Pass::Inference => None,
        };
        self.forward(Tensor::from_data(inputs, device), rng)
    }
}
