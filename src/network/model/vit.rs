//! The transformer of images.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::base::error::{Check, Result};
use crate::network::nn::{
    Block, BlockConfig, Factors, Initializer, LayerNorm, Linear, Packed, SampleDropper,
    bicubic_resize_matrix, entering, probe, product, widen,
};

/// DINOv2 resizes positions with this offset on the output size; the released weights expect it.
pub const POSITION_OFFSET: f64 = 0.1;
/// LayerNorm epsilon of DINOv2's vision transformers.
const EPSILON: f64 = 1e-6;

/// Vision transformer (Dosovitskiy et al. 2020; paper sect. 3.1 and appendix B1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Side of the images for which positions are learned, pixels; a multiple of `patch_size`.
    pub image_size: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Width of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; `width` is a multiple.
    pub heads: usize,
    /// Hidden width of a block's MLP over `width`.
    pub mlp_ratio: f64,
    /// Initial LayerScale (Touvron et al. 2021).
    pub layer_scale: f32,
    /// Share of samples that skip a residual branch during training, in [0, 1); the same in all blocks.
    pub drop_path: f64,
}

impl VitConfig {
    /// Checks that such a transformer can be built; `path` stands in front of the fields' names.
    ///
    /// # Errors
    ///
    /// Names the first field that is out of range.
    pub fn check(&self, path: &str) -> Result<()> {
        let check = Check::at(path);
        check.count("width", self.width, 1..=super::MOST)?;
        check.count("depth", self.depth, 1..=super::MOST)?;
        check.count("channels", self.channels, 1..=super::MOST)?;
        check.count("patch_size", self.patch_size, 1..=super::MOST)?;
        check.count("image_size", self.image_size, 1..=super::MOST)?;
        super::check_heads(check, self.width, self.heads)?;
        super::check_mlp_ratio(check, self.width, self.mlp_ratio)?;
        check.number("drop_path", self.drop_path, 0.0..1.0)?;
        check.number("layer_scale", self.layer_scale, ..)?;
        self.check_side(check, "image_size", self.image_size)
    }

    /// Checks that images of so many bands are taken; `path` stands in front of the field's name.
    ///
    /// # Errors
    ///
    /// Where they are not.
    pub fn check_channels(&self, path: &str, bands: usize) -> Result<()> {
        let expected = format!("{bands}, one for each of survey.bands");
        Check::at(path).require(self.channels == bands, "channels", self.channels, expected)
    }

    /// Checks that images of `size` pixels a side are whole patches.
    ///
    /// # Errors
    ///
    /// Names `field` when they are not.
    pub fn check_side(&self, check: Check<'_>, field: &str, size: usize) -> Result<()> {
        let holds = size > 0 && size.is_multiple_of(self.patch_size);
        let expected = format!("a multiple of model.patch_size = {}", self.patch_size);
        check.require(holds, field, size, expected)
    }

    /// Number of patches of an image of `size * size` pixels.
    pub fn patches(&self, size: usize) -> usize {
        (size / self.patch_size).pow(2)
    }
}

/// The image transformer.
#[derive(Module, Debug)]
pub struct Vit {
    /// Class token, `(1, 1, width)`.
    pub cls_token: Param<Tensor<3>>,
    /// Learned positions of the class token and of `image_size`'s patches, `(1, 1 + patches, width)`.
    pub pos_embed: Param<Tensor<3>>,
    /// Stands in for masked patches, `(1, width)`.
    pub mask_token: Param<Tensor<2>>,
    /// From a patch's pixels, ordered (channel, y, x), to a token.
    pub patch_embed: Linear,
    /// Transformer blocks.
    pub blocks: Vec<Block>,
    /// Final norm of all tokens.
    pub norm: LayerNorm,
    #[module(skip)]
    config: VitConfig,
}

/// A batch of images of one size, and what is hidden of them.
#[derive(Debug)]
pub struct VitInput {
    /// Pixel values `(batch, channels, side, side)`.
    pub images: Tensor<4>,
    /// `(batch, patches)`, true where the patch is replaced by the mask token.
    pub masks: Option<Tensor<2, Bool>>,
}

impl Vit {
    /// Fresh weights as in DINOv2: truncated normal of deviation 0.02, the patch embedding as
    /// PyTorch's convolution.
    pub fn new(config: &VitConfig, init: &mut Initializer) -> Self {
        let block = BlockConfig {
            width: config.width,
            heads: config.heads,
            mlp_ratio: config.mlp_ratio,
            layer_scale: Some(config.layer_scale),
            epsilon: EPSILON,
            std: (0.02, 0.02),
        };
        let pixels = config.channels * config.patch_size.pow(2);
        let tokens = 1 + config.patches(config.image_size);
        Self {
            cls_token: init.truncated_normal([1, 1, config.width], 1e-6),
            pos_embed: init.truncated_normal([1, tokens, config.width], 0.02),
            mask_token: init.constant([1, config.width], 0.0),
            patch_embed: Linear::new_uniform(pixels, config.width, init),
            blocks: (0..config.depth)
                .map(|_| Block::new(&block, init))
                .collect(),
            norm: LayerNorm::new(config.width, EPSILON, init),
            config: config.clone(),
        }
    }

    /// The same transformer of which training leaves alone what enters the blocks (patch embedding, positions, class and
    /// mask token) and the first `blocks` blocks.
    pub fn frozen(self, blocks: usize) -> Self {
        let freeze = |(index, block): (usize, Block)| match index < blocks {
            true => block.no_grad(),
            false => block,
        };
        Self {
            cls_token: self.cls_token.no_grad(),
            pos_embed: self.pos_embed.no_grad(),
            mask_token: self.mask_token.no_grad(),
            patch_embed: self.patch_embed.no_grad(),
            blocks: self.blocks.into_iter().enumerate().map(freeze).collect(),
            ..self
        }
    }

    /// The architecture.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Normalized tokens `(batch, 1 + patches, width)`, the class token first (paper eq. 3).
    pub fn forward(&self, input: VitInput, dropper: Option<&mut SampleDropper>) -> Tensor<3> {
        self.forward_all(vec![input], dropper).remove(0)
    }

    /// Class tokens `(batch, width)` of images `(batch, channels, side, side)`: their embeddings; `dropper` switches
    /// stochastic depth on.
    pub fn class_token(&self, images: Tensor<4>, dropper: Option<&mut SampleDropper>) -> Tensor<2> {
        let input = VitInput {
            images,
            masks: None,
        };
        let tokens = self.forward(input, dropper);
        let [batch, _, width] = tokens.dims();
        tokens.narrow(1, 0, 1).reshape([batch, width])
    }

    /// The same as [`Vit::forward`] for images of several sizes, which go through the layers together.
    pub fn forward_all(
        &self,
        inputs: Vec<VitInput>,
        dropper: Option<&mut SampleDropper>,
    ) -> Vec<Tensor<3>> {
        let mut factors = Factors::AsGiven;
        let tokens = inputs.into_iter().map(|input| {
            let (tokens, own) = self.embed(input);
            factors = own;
            tokens
        });
        let tokens = tokens.collect();
        self.transform(tokens, factors, dropper)
    }

    /// Normalized tokens `(batch, patches, width)` of images `(batch, channels, side, side)` that entered the
    /// blocks without class token and positions, as the released alignment computes them.
    pub fn forward_bare_patches(
        &self,
        images: Tensor<4>,
        dropper: Option<&mut SampleDropper>,
    ) -> Tensor<3> {
        let (tokens, factors) = self.patches(images);
        self.transform(vec![tokens], factors, dropper).remove(0)
    }

    fn transform(
        &self,
        tokens: Vec<Tensor<3>>,
        factors: Factors,
        mut dropper: Option<&mut SampleDropper>,
    ) -> Vec<Tensor<3>> {
        let mut tokens = Packed::new(tokens, factors);
        probe::sequences("patch_embed", &tokens);
        for (index, block) in self.blocks.iter().enumerate() {
            tokens = probe::scope(format_args!("blocks.{index}"), || {
                let tokens = block.forward(tokens, dropper.as_deref_mut());
                probe::sequences("sum", &tokens);
                tokens
            });
        }
        let tokens = tokens.map(|rows| self.norm.forward(rows));
        probe::sequences("norm", &tokens);
        tokens.unpack()
    }

    /// Patches as tokens, `(batch, patches, width)`, and what layers multiply.
    fn patches(&self, images: Tensor<4>) -> (Tensor<3>, Factors) {
        let (images, factors) = entering(images);
        let [batch, channels, height, width] = images.dims();
        let patch = self.config.patch_size;
        let (rows, columns) = (height / patch, width / patch);
        let pixels = images
            .reshape([batch, channels, rows, patch, columns, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * columns, channels * patch * patch]);
        (self.patch_embed.multiply(pixels, factors), factors)
    }

    /// Tokens that enter the blocks, `(batch, 1 + patches, width)`, and what layers multiply.
    fn embed(&self, VitInput { images, masks }: VitInput) -> (Tensor<3>, Factors) {
        let side = images.dims()[2] / self.config.patch_size;
        let (mut tokens, factors) = self.patches(images);
        let [batch, patches, width] = tokens.dims();
        if let Some(masks) = masks {
            let hidden = self.mask_token.val().cast(tokens.dtype());
            let hidden = hidden.reshape([1, 1, width]);
            let masks = masks.unsqueeze_dim::<3>(2).expand([batch, patches, width]);
            tokens = tokens.mask_where(masks, hidden.expand([batch, patches, width]));
        }
        let class = self.cls_token.val().cast(tokens.dtype());
        let positions = self.positions(side).cast(tokens.dtype());
        let tokens = Tensor::cat(vec![class.repeat_dim(0, batch), tokens], 1) + positions;
        (tokens, factors)
    }

    /// Positions for a grid of `side * side` patches, `(1, 1 + side * side, width)`, in `f32`.
    pub fn positions(&self, side: usize) -> Tensor<3> {
        let learned = self.config.image_size / self.config.patch_size;
        let positions = widen(self.pos_embed.val());
        if side == learned {
            return positions;
        }
        let [_, tokens, width] = positions.dims();
        let matrix = Tensor::<2>::from_data(
            TensorData::new(
                bicubic_resize_matrix(learned, side, POSITION_OFFSET),
                [side * side, learned * learned],
            ),
            &positions.device(),
        );
        let class = positions.clone().narrow(1, 0, 1);
        let patches = positions
            .narrow(1, 1, tokens - 1)
            .reshape([tokens - 1, width]);
        let resized = product(matrix, patches).reshape([1, side * side, width]);
        Tensor::cat(vec![class, resized], 1)
    }
}
