//! Times of training steps of the tiny models, and of the fused CPU operations against burn's
//! compositions: `cargo bench --bench train_step`. Each number is the median of several runs.

use std::hint::black_box;
use std::time::Instant;

use astroclip::network::model::{
    AstroClip, AstroClipConfig, EmbeddingHeadConfig, ImageTokens, SpecFormer, SpecFormerConfig,
    VitConfig,
};
use astroclip::network::nn::{Initializer, PrototypeHeadConfig};
use astroclip::network::ops::{self, Factors};
use astroclip::training::objective::{
    AlignConfig, AlignObjective, AlignOptimizerConfig, Compute, DinoConfig, DinoObjective,
    DinoOptimizerConfig, MaskedModellingConfig, MaskedModellingObjective, SpectrumOptimizerConfig,
    TeacherConfig,
};
use astroclip::training::train::Objective;
use astroclip::views::batch::{CropBatch, MaskedTokens, PairBatch};
use burn::tensor::{Device, Tensor, TensorData, activation, module};

const RUNS: u64 = 5;
const PAIRS: usize = 64;
const IMAGES: usize = 32;
const SIDE: usize = 96;
const PATCH: usize = 12;
const TOKENS: usize = 195;
const TOKEN_WIDTH: usize = 62;
const WIDTH: usize = 128;

fn main() {
    println!(
        "{:<34} {:>10} {:>10}",
        "operation, forward and backward", "fused", "composed"
    );
    operations();
    println!(
        "\n{:<34} {:>10} {:>10}",
        "training step", "time", "samples/s"
    );
    steps();
}

fn operations() {
    let rows = [PAIRS * TOKENS, WIDTH];
    let (x, hidden) = (tensor(rows), tensor([rows[0], 4 * WIDTH]));
    let (w1, b1) = (tensor([WIDTH, 4 * WIDTH]), tensor([4 * WIDTH]));
    let (w2, b2) = (tensor([4 * WIDTH, WIDTH]), tensor([WIDTH]));
    let qkv = tensor([PAIRS, TOKENS, 3 * WIDTH]);
    let group = ops::Sequences {
        samples: PAIRS,
        tokens: TOKENS,
    };
    let linear =
        |x: Tensor<2>, w: &Tensor<2>, b: &Tensor<1>| module::linear(x, w.clone(), Some(b.clone()));
    compare(
        "GELU",
        || ops::gelu(hidden.clone()),
        || activation::gelu(hidden.clone()),
    );
    compare(
        "layer norm",
        || ops::layer_norm(x.clone(), b2.clone(), b2.clone(), 1e-5),
        || module::layer_norm(x.clone(), b2.clone(), Some(b2.clone()), 1e-5),
    );
    compare(
        "linear",
        || ops::linear(x.clone(), w1.clone(), b1.clone(), Factors::AsGiven),
        || linear(x.clone(), &w1, &b1),
    );
    compare(
        "MLP",
        || {
            let layers = ((w1.clone(), b1.clone()), (w2.clone(), b2.clone()));
            ops::mlp(x.clone(), layers.0, layers.1, Factors::AsGiven)
        },
        || linear(activation::gelu(linear(x.clone(), &w1, &b1)), &w2, &b2),
    );
    compare(
        "self-attention",
        || ops::self_attention(qkv.clone().flatten(0, 1), &[group], 4, Factors::AsGiven),
        || composed_self_attention(qkv.clone(), 4).flatten::<2>(0, 1),
    );
}

/// Self-attention in `heads` heads from burn's operations.
fn composed_self_attention(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    let width = width / 3;
    let part = |index: usize| {
        qkv.clone()
            .narrow(2, index * width, width)
            .reshape([batch, tokens, heads, width / heads])
            .swap_dims(1, 2)
    };
    let scale = ((width / heads) as f64).powf(-0.5);
    let scores = part(0).matmul(part(1).swap_dims(2, 3)) * scale;
    let output = activation::softmax(scores, 3).matmul(part(2));
    output.swap_dims(1, 2).reshape([batch, tokens, width])
}

fn compare<const D: usize>(
    name: &str,
    fused: impl Fn() -> Tensor<D>,
    composed: impl Fn() -> Tensor<D>,
) {
    let time = |run: &dyn Fn() -> Tensor<D>| {
        median(|_| {
            black_box(run().sum().backward());
        })
    };
    let (fused, composed) = (time(&fused), time(&composed));
    println!(
        "{name:<34} {:>7.1} ms {:>7.1} ms",
        fused * 1e3,
        composed * 1e3
    );
}

fn steps() {
    let device = Device::flex().autodiff();
    let mut init = Initializer::new(0, &device);
    let image = VitConfig {
        image_size: SIDE,
        patch_size: PATCH,
        channels: 3,
        width: WIDTH,
        depth: 4,
        heads: 4,
        mlp_ratio: 4.0,
        layer_scale: 0.1,
        drop_path: 0.1,
    };
    let spectrum = SpecFormerConfig {
        token_width: TOKEN_WIDTH,
        max_tokens: TOKENS,
        width: WIDTH,
        depth: 4,
        heads: 4,
        mlp_ratio: 4.0,
    };

    let model = AstroClip::new(
        &AstroClipConfig {
            image: image.clone(),
            image_head: EmbeddingHeadConfig::default(),
            spectrum: spectrum.clone(),
            spectrum_head: EmbeddingHeadConfig::default(),
            image_tokens: ImageTokens::default(),
            photometry: None,
            spectrum_photometry: None,
        },
        &mut init,
    );
    let optimizer = AlignOptimizerConfig {
        lr: 1e-4,
        min_lr: 0.0,
        backbone_lr_factor: 1.0,
        warmup_steps: 0,
        weight_decay: 0.01,
        clip_norm: 1.0,
        adamw: Default::default(),
    };
    let config = AlignConfig {
        optimizer,
        logit_scale: 15.5,
        teacher_weight: 1.0,
        steps: RUNS + 1,
        seed: 0,
    };
    for (name, size) in [
        ("align, 64 pairs", None),
        ("align, 64 pairs in parts of 16", Some(16)),
    ] {
        let mut align = AlignObjective::new(
            model.clone(),
            config.clone(),
            Compute::on(&device).in_micro_batches(size),
        );
        report(name, PAIRS, |step| {
            let batch = PairBatch::new(
                data([PAIRS, 3, SIDE, SIDE]),
                data([PAIRS, TOKENS, TOKEN_WIDTH]),
            );
            align.step(step, batch).expect("a finite step");
        });
    }

    let config = MaskedModellingConfig {
        optimizer: SpectrumOptimizerConfig {
            lr: 1e-4,
            min_lr: 0.0,
            warmup_steps: 0,
            weight_decay: 0.01,
            clip_norm: 1.0,
            adamw: Default::default(),
        },
        steps: RUNS + 1,
    };
    let model = SpecFormer::new(&spectrum, &mut init);
    let mut masked = MaskedModellingObjective::new(model, config, Compute::on(&device));
    report("pretrain-spectrum, 64 spectra", PAIRS, |step| {
        let batch = MaskedTokens {
            target: data([PAIRS, TOKENS, TOKEN_WIDTH]),
            mask: data([PAIRS, TOKENS, TOKEN_WIDTH]),
        };
        masked.step(step, batch).expect("a finite step");
    });

    let config = DinoConfig {
        model: image,
        head: PrototypeHeadConfig {
            hidden: 256,
            layers: 3,
            bottleneck: 64,
            prototypes: 1024,
        },
        separate_heads: true,
        loss: Default::default(),
        teacher: TeacherConfig {
            momentum: 0.99,
            momentum_end: 1.0,
            temperature: 0.04,
            temperature_end: 0.07,
            temperature_warmup_steps: 10,
        },
        optimizer: DinoOptimizerConfig {
            lr: 1e-4,
            min_lr: 0.0,
            warmup_steps: 0,
            weight_decay: 0.01,
            weight_decay_end: 0.01,
            layer_decay: 0.9,
            patch_embed_lr_factor: 0.2,
            freeze_last_layer_steps: 0,
            frozen_blocks: 0,
            clip_norm: 3.0,
            adamw: Default::default(),
        },
        steps: RUNS + 1,
        seed: 0,
    };
    let mut dino = DinoObjective::new(config, Compute::on(&device));
    let patches = (SIDE / PATCH).pow(2);
    report("pretrain-image, 32 images", IMAGES, |step| {
        let masks = (0..2 * IMAGES).map(|crop| (0..patches).map(|i| (crop + i) % 4 == 0).collect());
        let batch = CropBatch::new(
            IMAGES,
            data([2 * IMAGES, 3, SIDE, SIDE]),
            data([4 * IMAGES, 3, SIDE / 2, SIDE / 2]),
            masks.collect(),
        );
        dino.step(step, batch).expect("a finite step");
    });
}

fn report(name: &str, samples: usize, step: impl FnMut(u64)) {
    let time = median(step);
    println!(
        "{name:<34} {:>7.0} ms {:>10.1}",
        time * 1e3,
        samples as f64 / time
    );
}

/// Seconds of the run in the middle, after one that does not count.
fn median(mut run: impl FnMut(u64)) -> f64 {
    let time = |index| {
        let start = Instant::now();
        run(index);
        start.elapsed().as_secs_f64()
    };
    let mut times: Vec<f64> = (0..=RUNS).map(time).skip(1).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Numbers in [-1, 1), evenly spread.
fn data<const D: usize>(shape: [usize; D]) -> TensorData {
    let value = |index: usize| (index * 7919 % 2000) as f32 / 1000.0 - 1.0;
    let count = shape.iter().product();
    TensorData::new((0..count).map(value).collect::<Vec<_>>(), shape)
}

fn tensor<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(data(shape), &Device::flex().autodiff()).require_grad()
}
