//! Objectives of the three stages and of the supervised networks, small enough for a test.

use astroclip::base::ranks::Ranks;
use astroclip::network::model::{
    AstroClip, AstroClipConfig, ConvAttention, ConvAttentionConfig, EmbeddingHeadConfig,
    ImageTokens, Regressor, ResNet18, ResNetConfig, SpecFormer, SpecFormerConfig, VitConfig,
};
use astroclip::network::nn::{Initializer, PrototypeHeadConfig};
use astroclip::training::objective::{
    AlignConfig, AlignObjective, AlignOptimizerConfig, Compute, DinoConfig, DinoLossConfig,
    DinoObjective, DinoOptimizerConfig, MaskedModellingConfig, MaskedModellingObjective,
    RegressionConfig, RegressionObjective, RegressionOptimizer, RegressionOptimizerConfig,
    SpectrumOptimizerConfig, TeacherConfig,
};
use astroclip::training::train::RanksConfig;
use astroclip::views::batch::TargetScaling;
use burn::tensor::{Device, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Side of images, pixels.
pub const SIDE: usize = 24;
/// Side of a patch, pixels.
pub const PATCH: usize = 6;
/// Tokens of a spectrum.
pub const TOKENS: usize = 20;
/// Width of a token.
pub const TOKEN_WIDTH: usize = 12;
/// Steps of a run, for the schedules.
const STEPS: u64 = 8;

/// How an objective trains.
pub struct Settings {
    lr: f64,
    clip_norm: f64,
    teacher_momentum: f64,
    compute: Compute,
}

impl Settings {
    /// With a learning rate.
    pub fn training(device: &Device) -> Self {
        Self {
            lr: 1e-3,
            clip_norm: 1.0,
            teacher_momentum: 0.9,
            compute: Compute::on(device),
        }
    }

    /// Weights stay as they are, and nothing is clipped: the optimiser's first moments are the gradients.
    pub fn frozen(device: &Device) -> Self {
        Self {
            lr: 0.0,
            clip_norm: 1e9,
            teacher_momentum: 1.0,
            compute: Compute::on(device),
        }
    }

    /// So many galaxies at once.
    pub fn in_parts(self, size: Option<usize>) -> Self {
        Self {
            compute: self.compute.in_micro_batches(size),
            ..self
        }
    }

    /// Together with other ranks.
    pub fn among(self, ranks: Ranks) -> Self {
        Self {
            compute: self.compute.among(ranks),
            ..self
        }
    }

    /// With other ranks in this way.
    pub fn sharing(self, sharing: RanksConfig) -> Self {
        Self {
            compute: self.compute.sharing(sharing),
            ..self
        }
    }

    fn init(&self, seed: u64) -> Initializer {
        Initializer::new(seed, &Device::flex().autodiff())
    }
}

fn vit() -> VitConfig {
    VitConfig {
        image_size: SIDE,
        patch_size: PATCH,
        channels: 3,
        width: 16,
        depth: 3,
        heads: 2,
        mlp_ratio: 2.0,
        layer_scale: 1.0,
        drop_path: 0.4,
    }
}

fn specformer() -> SpecFormerConfig {
    SpecFormerConfig {
        token_width: TOKEN_WIDTH,
        max_tokens: TOKENS,
        width: 16,
        depth: 2,
        heads: 2,
        mlp_ratio: 2.0,
    }
}

/// Random numbers in [-1, 1).
pub fn data<const D: usize>(rng: &mut ChaCha8Rng, shape: [usize; D]) -> TensorData {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    TensorData::new(values, shape)
}

/// Numbers of an embedding.
pub const EMBEDDING: usize = 16;

/// Alignment with dropout and stochastic depth.
pub fn align(settings: &Settings, backbone_lr_factor: f64) -> AlignObjective {
    let head = EmbeddingHeadConfig {
        embedding: EMBEDDING,
        heads: 2,
        mlp_ratio: 2.0,
        dropout: 0.3,
        residual: true,
    };
    let model = AstroClipConfig {
        image: vit(),
        image_head: head.clone(),
        spectrum: specformer(),
        spectrum_head: head,
        image_tokens: ImageTokens::All,
        photometry: None,
        spectrum_photometry: None,
    };
    let model = AstroClip::new(&model, &mut settings.init(2));
    let config = AlignConfig {
        optimizer: AlignOptimizerConfig {
            lr: settings.lr,
            min_lr: 0.0,
            backbone_lr_factor,
            warmup_steps: 0,
            weight_decay: 0.0,
            clip_norm: settings.clip_norm,
            adamw: Default::default(),
        },
        logit_scale: 15.5,
        teacher_weight: 0.5,
        steps: STEPS,
        seed: 3,
    };
    AlignObjective::new(model, config, settings.compute.clone())
}

/// Masked modelling.
pub fn masked(settings: &Settings) -> MaskedModellingObjective {
    let model = SpecFormer::new(&specformer(), &mut settings.init(5));
    let config = MaskedModellingConfig {
        optimizer: SpectrumOptimizerConfig {
            lr: settings.lr,
            min_lr: 0.0,
            warmup_steps: 0,
            weight_decay: 0.0,
            clip_norm: settings.clip_norm,
            adamw: Default::default(),
        },
        steps: STEPS,
    };
    MaskedModellingObjective::new(model, config, settings.compute.clone())
}

/// Self-distillation with a weight of KoLeo.
pub fn dino(settings: &Settings, separate_heads: bool, koleo_weight: f64) -> DinoObjective {
    let loss = DinoLossConfig {
        koleo_weight,
        ..DinoLossConfig::default()
    };
    dino_with(settings, separate_heads, loss)
}

/// Self-distillation.
pub fn dino_with(settings: &Settings, separate_heads: bool, loss: DinoLossConfig) -> DinoObjective {
    let config = DinoConfig {
        model: vit(),
        head: PrototypeHeadConfig {
            hidden: 16,
            layers: 2,
            bottleneck: 8,
            prototypes: 24,
        },
        separate_heads,
        loss,
        teacher: TeacherConfig {
            momentum: settings.teacher_momentum,
            momentum_end: 1.0,
            temperature: 0.04,
            temperature_end: 0.07,
            temperature_warmup_steps: 2,
        },
        optimizer: DinoOptimizerConfig {
            lr: settings.lr,
            min_lr: 0.0,
            warmup_steps: 0,
            weight_decay: 0.0,
            weight_decay_end: 0.0,
            layer_decay: 1.0,
            patch_embed_lr_factor: 1.0,
            freeze_last_layer_steps: 0,
            frozen_blocks: 0,
            clip_norm: settings.clip_norm,
            adamw: Default::default(),
        },
        steps: STEPS,
        seed: 7,
    };
    DinoObjective::new(config, settings.compute.clone())
}

/// Regression of one target from images.
pub fn resnet(settings: &Settings) -> RegressionObjective<ResNet18> {
    let model = ResNet18::new(&ResNetConfig { width: 2 }, (3, 1), &mut settings.init(8));
    regression(settings, model)
}

/// Regression of one target from spectra.
pub fn conv_attention(settings: &Settings) -> RegressionObjective<ConvAttention> {
    let config = ConvAttentionConfig {
        channels: vec![2, 4, 4, 4],
        ..ConvAttentionConfig::default()
    };
    regression(
        settings,
        ConvAttention::new(&config, 1, &mut settings.init(9)),
    )
}

fn regression<M: Regressor>(settings: &Settings, model: M) -> RegressionObjective<M> {
    let config = RegressionConfig {
        optimizer: RegressionOptimizer::Uniform(RegressionOptimizerConfig {
            lr: settings.lr,
            min_lr: None,
            warmup_steps: 0,
            weight_decay: 0.0,
            clip_norm: Some(settings.clip_norm),
            adamw: Default::default(),
        }),
        huber_delta: None,
        scaling: TargetScaling {
            mean: vec![0.0],
            std: vec![1.0],
        },
        steps: STEPS,
        schedule_steps: STEPS,
        validate_every: STEPS,
        patience: None,
        seed: 10,
    };
    RegressionObjective::new(model, config, None, settings.compute.clone())
}
