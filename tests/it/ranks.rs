//! Ranks that share a batch take the step of one process that has all of it. Here they are threads.

use std::collections::BTreeMap;
use std::ops::Range;

use astroclip::base::ranks::{Ranks, Seat};
use astroclip::training::objective::{Centering, DinoLossConfig};
use astroclip::training::train::{Checkpoint, Numbers, Objective, RanksConfig, StepGradients};
use astroclip::views::augment::{
    AlignViewConfig, BlockMaskConfig, MultiCropConfig, PixelConfig, SegmentMaskConfig,
};
use astroclip::views::batch::{CropBatch, CropRecipe, PairRecipe, SpectrumTokenizer, TokenRecipe};
use burn::tensor::Device;
use ndarray::{Array, Dimension, ShapeBuilder, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::objectives::{PATCH, SIDE, Settings, TOKEN_WIDTH, TOKENS, align, dino_with, masked};

mod settings;
mod tensors;
mod threads;

use threads::{among, among_deaf};

/// Galaxies in a batch.
const SAMPLES: usize = 8;
/// Steps that are taken.
const STEPS: u64 = 8;
/// What may differ: losses and gradient norms relative to those of one process, gradients and weights to the norm of all.
const MOST: f64 = 1e-5;
/// The same of gradient norms after several steps: they tell most of how far weights have parted.
const MOST_OF_NORMS: f64 = 1e-4;
/// Pixels of a spectrum that make [`TOKENS`] of [`TOKEN_WIDTH`].
const PIXELS: usize = (TOKENS - 1) * (TOKEN_WIDTH - 2);

fn values<D: Dimension, S: ShapeBuilder<Dim = D>>(seed: u64, shape: S) -> Array<f32, D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0))
}

/// A step as a rank sees it.
struct Step {
    /// All that it begins with.
    before: Checkpoint,
    numbers: Numbers,
    /// Before clipping, by parameter.
    gradients: BTreeMap<String, Vec<f32>>,
    /// All that is left after it.
    after: Checkpoint,
}

/// Takes all steps, each from where the one before led, or else from where the same step `of` another run began.
fn steps<O: Objective>(
    mut objective: O,
    batch: impl Fn(u64) -> O::Batch,
    of: Option<&[Step]>,
) -> Vec<Step> {
    let step = |step: u64| {
        if let Some(of) = of {
            let before = copy(&of[step as usize].before);
            objective.restore(before).expect("the same model");
        }
        let before = objective.checkpoint(step);
        let StepGradients {
            numbers, gradients, ..
        } = objective.gradients(step, batch(step)).expect("a step");
        let on_host = gradients.on_host();
        let on_host = on_host.map(|(name, values)| (name.to_owned(), values));
        let (on_host, numbers) = (on_host.collect(), numbers.read());
        objective.update(step, gradients).expect("a step");
        Step {
            before,
            numbers,
            gradients: on_host,
            after: objective.checkpoint(step + 1),
        }
    };
    (0..STEPS).map(step).collect()
}

fn copy(checkpoint: &Checkpoint) -> Checkpoint {
    Checkpoint {
        tensors: checkpoint.tensors.clone(),
        ..*checkpoint
    }
}

fn squares(values: impl IntoIterator<Item = f32>) -> f64 {
    let squares = values.into_iter().map(|value| f64::from(value).powi(2));
    squares.sum()
}

/// Norm of the difference.
fn distance(actual: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let differences = actual.iter().zip(expected).map(|(a, b)| a - b);
    squares(differences).sqrt()
}

/// The values of a parameter whose gradient is zero by mathematics: a bias of keys adds the same to all that softmax
/// compares. What is computed is rounding, and Adam takes whole steps along it, in any direction.
fn of_no_effect(name: &str, count: usize) -> Range<usize> {
    match name {
        // Queries, keys, values.
        _ if name.ends_with("qkv.bias") => count / 3..2 * (count / 3),
        _ if name.ends_with("k_proj.bias") => 0..count,
        _ => 0..0,
    }
}

/// Compares the gradients of a step with those of one process, all relative to their joint norm.
fn assert_gradients(
    what: &str,
    actual: &BTreeMap<String, Vec<f32>>,
    expected: &BTreeMap<String, Vec<f32>>,
) {
    assert!(actual.keys().eq(expected.keys()), "{what}");
    let norm = squares(expected.values().flatten().copied()).sqrt();
    for (name, expected) in expected {
        let off = distance(&actual[name], expected) / norm;
        assert!(
            off < MOST,
            "{what}: the gradient of {name} is off by {off:.1e}"
        );
        let zero = &expected[of_no_effect(name, expected.len())];
        let zero = squares(zero.iter().copied()).sqrt() / norm;
        assert!(
            zero < 1e-6,
            "{what}: the gradient of {name} is {zero:.1e}, not zero"
        );
    }
}

/// Compares weights, centres and means of clipped gradients, by the norm of the difference over the norm; but for those
/// of no effect.
fn assert_state(what: &str, actual: &Checkpoint, expected: &Checkpoint) {
    assert!(actual.tensors.keys().eq(expected.tensors.keys()), "{what}");
    for section in [
        "model/",
        "student/",
        "teacher/",
        "center/",
        "optimizer/first.",
    ] {
        let (mut difference, mut norm, mut worst) = (0.0_f64, 0.0_f64, (0.0, ""));
        for (name, expected) in &expected.tensors {
            if name.starts_with(section) {
                let (mut actual, mut expected) =
                    (actual.tensors[name].values.clone(), expected.values.clone());
                let zero = of_no_effect(name, expected.len());
                actual[zero.clone()].fill(0.0);
                expected[zero].fill(0.0);
                let off = distance(&actual, &expected);
                if off > worst.0 {
                    worst = (off, name);
                }
                difference = difference.hypot(off);
                norm += squares(expected);
            }
        }
        let off = difference / norm.sqrt().max(f64::MIN_POSITIVE);
        let worst = worst.1;
        assert!(
            off < MOST,
            "{what}: {section} is off by {off:.1e}, {worst} most"
        );
    }
}

fn assert_numbers(what: &str, actual: &Numbers, expected: &Numbers, most_of_norms: f64) {
    let loss = expected.loss();
    let of_loss = |((name, term), (_, expected)): (&(&'static str, f64), &(&'static str, f64))| {
        (*name, 1.0 + (term - expected) / loss, MOST)
    };
    let of_one = |((name, norm), (_, expected)): (&(&'static str, f64), &(&'static str, f64))| {
        (*name, norm / expected, most_of_norms)
    };
    assert_eq!(actual.terms.len(), expected.terms.len(), "{what}");
    let terms = actual.terms.iter().zip(&expected.terms).map(of_loss);
    let norms = actual.norms.iter().zip(&expected.norms).map(of_one);
    for (name, ratio, most) in terms.chain(norms) {
        let off = (ratio - 1.0).abs();
        assert!(off < most, "{what}: {name} is off by {off:.1e}");
    }
}

/// Compares runs of several ranks with that of one: each step for itself, from where that of one begins, and then all
/// steps one after the other.
fn assert_one_run(what: &str, run: impl Fn(Ranks, Option<&[Step]>) -> Vec<Step> + Sync) {
    let expected = run(Ranks::alone(), None);
    for size in [2, 4] {
        for (how, of, most_of_norms) in [
            ("by itself", Some(&expected[..]), MOST),
            ("after the others", None, MOST_OF_NORMS),
        ] {
            let all = among(size, |ranks| run(ranks, of));
            for (rank, steps) in all.iter().enumerate() {
                for (index, (step, expected)) in steps.iter().zip(&expected).enumerate() {
                    let what = format!("{what}, rank {rank} of {size}, step {index} {how}");
                    assert_numbers(&what, &step.numbers, &expected.numbers, most_of_norms);
                    if of.is_some() {
                        assert_gradients(&what, &step.gradients, &expected.gradients);
                    }
                    assert_state(&what, &step.after, &expected.after);
                }
            }
        }
    }
}

/// Self-distillation by one or several ranks.
fn distil(
    loss: &DinoLossConfig,
    micro: Option<usize>,
    ranks: Ranks,
    of: Option<&[Step]>,
) -> Vec<Step> {
    distil_sharing((loss, micro), RanksConfig::default(), ranks, of)
}

/// The same in some way of sharing.
fn distil_sharing(
    (loss, micro): (&DinoLossConfig, Option<usize>),
    sharing: RanksConfig,
    ranks: Ranks,
    of: Option<&[Step]>,
) -> Vec<Step> {
    let settings = Settings::training(&Device::flex().autodiff())
        .in_parts(micro)
        .among(ranks.clone())
        .sharing(sharing);
    let batch = crops(ranks.seat());
    steps(dino_with(&settings, true, loss.clone()), batch, of)
}

/// A rank's share of the batch of each step.
fn crops(seat: Seat) -> impl Fn(u64) -> CropBatch {
    let images = values(1, (SAMPLES, 3, SIDE + 8, SIDE + 8));
    let share = seat.share(SAMPLES);
    let recipe = CropRecipe {
        crops: MultiCropConfig {
            global_size: SIDE,
            local_size: SIDE / 2,
            local_count: 2,
            ..MultiCropConfig::default()
        },
        pixels: PixelConfig::default(),
        masks: BlockMaskConfig {
            // Of 16 crops 4 are masked: some ranks have none of them.
            masked_crops: 0.25,
            ..BlockMaskConfig::default()
        },
        patch_size: PATCH,
        seed: 2,
        seat,
    };
    move |step| recipe.prepare(images.slice(s![share.clone(), .., .., ..]), step)
}

fn balanced() -> DinoLossConfig {
    DinoLossConfig {
        centering: Centering::SinkhornKnopp,
        ..DinoLossConfig::default()
    }
}

#[test]
fn self_distillation_by_several_ranks_is_that_of_one() {
    for (what, loss, micro) in [
        ("centred", DinoLossConfig::default(), None),
        ("in micro-batches", DinoLossConfig::default(), Some(2)),
        ("balanced", balanced(), None),
    ] {
        assert_one_run(what, |ranks, of| distil(&loss, micro, ranks, of));
    }
}

#[test]
fn ranks_that_do_not_hear_of_prototypes_differ() {
    // Sums over rows, of the centre or of Sinkhorn-Knopp.
    let deaf_to = Some(4 * 24);
    for loss in [DinoLossConfig::default(), balanced()] {
        let expected = distil(&loss, None, Ranks::alone(), None);
        let all = among_deaf(2, deaf_to, |ranks| {
            distil(&loss, None, ranks, Some(&expected))
        });
        let compare = || assert_state("deaf", &all[0][0].after, &expected[0].after);
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(compare)).is_err());
    }
}

#[test]
fn masked_modelling_by_several_ranks_is_that_of_one() {
    let spectra = values(3, (SAMPLES, PIXELS));
    for micro in [None, Some(1)] {
        assert_one_run(&format!("parts of {micro:?}"), |ranks, of| {
            let seat = ranks.seat();
            let share = seat.share(SAMPLES);
            let settings = Settings::training(&Device::flex().autodiff())
                .in_parts(micro)
                .among(ranks);
            let recipe = TokenRecipe {
                tokenizer: tokenizer(),
                masks: SegmentMaskConfig {
                    segments: 2,
                    width: 3,
                },
                seed: 4,
                seat,
            };
            steps(
                masked(&settings),
                |step| recipe.prepare(spectra.slice(s![share.clone(), ..]), step),
                of,
            )
        });
    }
}

#[test]
fn every_pair_is_told_apart_from_those_of_all_ranks() {
    let images = values(5, (SAMPLES, 3, SIDE + 8, SIDE + 8));
    let spectra = values(6, (SAMPLES, PIXELS));
    for (backbones, micro) in [(1.0, None), (0.0, None), (1.0, Some(1))] {
        assert_one_run(
            &format!("backbones {backbones}, parts of {micro:?}"),
            |ranks, of| {
                let seat = ranks.seat();
                let share = seat.share(SAMPLES);
                let settings = Settings::training(&Device::flex().autodiff())
                    .in_parts(micro)
                    .among(ranks);
                let recipe = PairRecipe {
                    extra_seeing: 1.5,
                    photometer: None,
                    spectrophotometer: None,
                    view: AlignViewConfig {
                        size: SIDE,
                        ..AlignViewConfig::default()
                    },
                    pixels: PixelConfig::default(),
                    tokenizer: tokenizer(),
                    seed: 7,
                    seat,
                };
                steps(
                    align(&settings, backbones),
                    |step| {
                        let images = images.slice(s![share.clone(), .., .., ..]);
                        recipe.prepare(images, spectra.slice(s![share.clone(), ..]), step)
                    },
                    of,
                )
            },
        );
    }
}

fn tokenizer() -> SpectrumTokenizer {
    SpectrumTokenizer {
        section_length: TOKEN_WIDTH - 2,
        overlap: 0,
        ..SpectrumTokenizer::default()
    }
}

#[test]
fn a_rank_that_has_something_else_is_named() {
    let answers = among(3, |ranks| {
        let data = if ranks.seat().rank == 2 {
            "north"
        } else {
            "south"
        };
        let things = [
            ("program", "1".to_owned()),
            ("set of data", data.to_owned()),
        ];
        let all = ranks.agree(&things).expect_err("one differs").to_string();
        ranks.agree(&things[..1]).expect("the same program");
        let gpus = ["0 of a", "", "0 of a"];
        let twice = ranks.differ("GPU", gpus[ranks.seat().rank]);
        (all, twice.expect_err("one GPU twice").to_string())
    });
    for (differs, twice) in answers {
        assert!(differs.starts_with("rank 2 on "), "{differs}");
        assert!(
            differs.contains("another set of data than rank 0"),
            "{differs}"
        );
        assert!(differs.contains("north there, south here"), "{differs}");
        assert!(
            twice.contains("ranks 0 and 2 both ask for the GPU 0 of a"),
            "{twice}"
        );
    }
}
