//! ResNet18, the supervised network on images.

use burn::module::Module;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, TensorData, activation::relu, module};
use serde::{Deserialize, Serialize};

use super::regressor::{Pass, Regressor, regress};
use crate::base::error::{Check, Result};
use crate::network::nn::{BatchNorm, Conv2d, Initializer, Linear, Statistics, probe};

/// Size of a ResNet18 (paper appendix B4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResNetConfig {
    /// Channels after the first convolution, 64 in the paper; the last stage has eight times as many.
    pub width: usize,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self { width: 64 }
    }
}

impl ResNetConfig {
    /// Checks that such a network can be built; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        Check::at(path).count("width", self.width, 1..=super::MOST)
    }
}

/// Two 3 x 3 convolutions on a residual branch.
#[derive(Module, Debug)]
pub struct BasicBlock {
    /// First convolution, with the block's stride.
    pub conv1: Conv2d,
    /// After the first convolution.
    pub bn1: BatchNorm,
    /// Second convolution.
    pub conv2: Conv2d,
    /// After the second convolution.
    pub bn2: BatchNorm,
    /// The shortcut where shapes differ: a 1 x 1 convolution and its norm.
    pub downsample: Option<(Conv2d, BatchNorm)>,
}

impl BasicBlock {
    fn new(inputs: usize, outputs: usize, stride: usize, init: &mut Initializer) -> Self {
        Self {
            conv1: Conv2d::new((inputs, outputs), 3, stride, init),
            bn1: BatchNorm::new(outputs, init),
            conv2: Conv2d::new((outputs, outputs), 3, 1, init),
            bn2: BatchNorm::new(outputs, init),
            downsample: (inputs != outputs || stride != 1).then(|| {
                (
                    Conv2d::new((inputs, outputs), 1, stride, init),
                    BatchNorm::new(outputs, init),
                )
            }),
        }
    }

    /// `(batch, inputs, y, x)` to `(batch, outputs, y / stride, x / stride)`.
    pub fn forward(&self, input: Tensor<4>, statistics: Statistics) -> Tensor<4> {
        let hidden = self.conv1.forward(input.clone());
        let hidden = relu(self.bn1.forward(hidden, statistics));
        let hidden = self.conv2.forward(hidden);
        let hidden = self.bn2.forward(hidden, statistics);
        let shortcut = match &self.downsample {
            Some((conv, norm)) => norm.forward(conv.forward(input), statistics),
            None => input,
        };
        relu(hidden + shortcut)
    }
}

/// ResNet18 (He et al. 2016) on images of any number of bands with a regression head: the layers and names
/// of torchvision's `resnet18`.
#[derive(Module, Debug)]
pub struct ResNet18 {
    /// 7 x 7, stride 2.
    pub conv1: Conv2d,
    /// After the first convolution.
    pub bn1: BatchNorm,
    /// Two blocks at a quarter of the image's size.
    pub layer1: Vec<BasicBlock>,
    /// Two blocks at an eighth.
    pub layer2: Vec<BasicBlock>,
    /// Two blocks at a sixteenth.
    pub layer3: Vec<BasicBlock>,
    /// Two blocks at a thirty-second.
    pub layer4: Vec<BasicBlock>,
    /// Regression head.
    pub fc: Linear,
}

impl ResNet18 {
    /// Fresh weights, for images of so many `bands` and so many `outputs` per image.
    pub fn new(
        config: &ResNetConfig,
        (bands, outputs): (usize, usize),
        init: &mut Initializer,
    ) -> Self {
        let width = config.width;
        let layer = |inputs: usize, outputs: usize, stride: usize, init: &mut Initializer| {
            vec![
                BasicBlock::new(inputs, outputs, stride, init),
                BasicBlock::new(outputs, outputs, 1, init),
            ]
        };
        Self {
            conv1: Conv2d::new((bands, width), 7, 2, init),
            bn1: BatchNorm::new(width, init),
            layer1: layer(width, width, 1, init),
            layer2: layer(width, 2 * width, 2, init),
            layer3: layer(2 * width, 4 * width, 2, init),
            layer4: layer(4 * width, 8 * width, 2, init),
            fc: Linear::new_uniform(8 * width, outputs, init),
        }
    }

    /// `(batch, bands, y, x)` to `(batch, outputs)`.
    pub fn forward(&self, images: Tensor<4>, statistics: Statistics) -> Tensor<2> {
        let hidden = relu(self.bn1.forward(self.conv1.forward(images), statistics));
        let pool = MaxPoolOptions::new([3; 2])
            .with_stride([2; 2])
            .with_padding([1; 2]);
        probe::output_by_galaxy("conv1", &hidden);
        let mut hidden = module::max_pool2d(hidden, pool);
        let layers = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        for (index, layer) in layers.into_iter().enumerate() {
            for block in layer {
                hidden = block.forward(hidden, statistics);
            }
            probe::scope(format_args!("layer{}", index + 1), || {
                probe::output_by_galaxy("sum", &hidden);
            });
        }
        let [batch, channels, height, width] = hidden.dims();
        let features = hidden
            .reshape([batch, channels, height * width])
            .mean_dim(2)
            .reshape([batch, channels]);
        let predicted = regress(&self.fc, features);
        probe::output_by_galaxy("fc", &predicted);
        predicted
    }
}

impl Regressor for ResNet18 {
    fn predict(&self, inputs: TensorData, device: &Device, pass: Pass<'_>) -> Tensor<2> {
        let statistics = match pass {
            Pass::Training(_) | Pass::HeadTraining(_) => Statistics::Batch,
            Pass::Inference => Statistics::Running,
        };
        self.forward(Tensor::from_data(inputs, device), statistics)
    }
}
