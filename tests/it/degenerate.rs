//! Batches that tell a model nothing, or the same thing many times, give finite losses, gradients and weights; and a
//! step that is not finite can be left out without a trace.

use astroclip::training::train::{Fault, Objective};
use astroclip::views::batch::{
    CropBatch, MaskedTokens, PairBatch, RegressionBatch, SpectrumTokenizer,
};
use burn::tensor::{Device, TensorData};
use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::objectives::{
    PATCH, SIDE, Settings, TOKEN_WIDTH, TOKENS, align, conv_attention, data, dino, masked, resnet,
};

/// Pixels of a spectrum for the supervised network.
const PIXELS: usize = 7781;

fn device() -> Device {
    Device::flex().autodiff()
}

fn constant<const D: usize>(value: f32, shape: [usize; D]) -> TensorData {
    TensorData::new(vec![value; shape.iter().product()], shape)
}

/// So many times the same random numbers, along the first axis.
fn repeated<const D: usize>(rng: &mut ChaCha8Rng, shape: [usize; D]) -> TensorData {
    let mut one = shape;
    one[0] = 1;
    let values: Vec<f32> = data(rng, one).try_into_vec().expect("f32");
    TensorData::new(values.repeat(shape[0]), shape)
}

/// Two steps on a batch, and what is left of them.
#[track_caller]
fn stays_finite<O: Objective<Batch: Clone>>(what: &str, mut objective: O, batch: &O::Batch) {
    for step in 0..2 {
        let computed = objective.gradients(step, batch.clone()).expect(what);
        for (name, values) in computed.gradients.on_host() {
            let finite = values.iter().all(|value| value.is_finite());
            assert!(finite, "{what}: the gradient of {name}");
        }
        assert_eq!(computed.numbers.read().fault(), None, "{what}");
        objective.update(step, computed.gradients).expect(what);
    }
    let left = objective.checkpoint(2);
    assert_eq!(Fault::in_checkpoint(&left), None, "{what}");
}

fn crops(global: TensorData, local: TensorData, is_masked: impl Fn(usize) -> bool) -> CropBatch {
    let patches = (SIDE / PATCH).pow(2);
    let crops = global.shape()[0];
    let masks = (0..crops).map(|crop| vec![is_masked(crop); patches]);
    CropBatch::new(crops / 2, global, local, masks.collect())
}

#[test]
fn self_distillation_of_galaxies_that_are_alike() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (global, local) = (
        |n: usize| [2 * n, 3, SIDE, SIDE],
        |n: usize| [2 * n, 3, SIDE / 2, SIDE / 2],
    );
    let odd = |crop: usize| crop % 2 == 1;
    let cases = [
        (
            "all galaxies the same",
            crops(
                repeated(&mut rng, global(4)),
                repeated(&mut rng, local(4)),
                odd,
            ),
        ),
        (
            "one galaxy",
            crops(data(&mut rng, global(1)), data(&mut rng, local(1)), odd),
        ),
        (
            "black images",
            crops(constant(0.0, global(3)), constant(0.0, local(3)), odd),
        ),
        (
            "constant images",
            crops(constant(1e4, global(3)), constant(-1e4, local(3)), odd),
        ),
        (
            "every patch masked",
            crops(data(&mut rng, global(3)), data(&mut rng, local(3)), |_| {
                true
            }),
        ),
        (
            "no patch masked",
            crops(data(&mut rng, global(3)), data(&mut rng, local(3)), |_| {
                false
            }),
        ),
    ];
    for (what, batch) in cases {
        for part in [None, Some(1)] {
            let settings = Settings::training(&device()).in_parts(part);
            stays_finite(what, dino(&settings, true, 0.1), &batch);
        }
    }
}

#[test]
fn masked_modelling_of_spectra_that_say_nothing() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let shape = |n: usize| [n, TOKENS, TOKEN_WIDTH];
    let hidden = |n: usize, hide: fn(usize, usize) -> bool| -> Vec<Vec<bool>> {
        (0..n)
            .map(|row| (0..TOKENS).map(|token| hide(row, token)).collect())
            .collect()
    };
    let some = |_: usize, token: usize| token.is_multiple_of(3);
    let tokenizer = SpectrumTokenizer {
        section_length: TOKEN_WIDTH - 2,
        overlap: 0,
        ..SpectrumTokenizer::default()
    };
    let pixels = (TOKENS - 1) * (TOKEN_WIDTH - 2);
    let flat = tokenizer.tokenize(Array2::from_elem((3, pixels), 5.0_f32).view());
    let bright = tokenizer.tokenize(Array2::from_elem((3, pixels), 1e10_f32).view());
    let cases = [
        (
            "constant spectra",
            MaskedTokens::new(flat, &hidden(3, some)),
        ),
        (
            "constant spectra, as bright as may be",
            MaskedTokens::new(bright, &hidden(3, some)),
        ),
        (
            "one spectrum",
            MaskedTokens::new(data(&mut rng, shape(1)), &hidden(1, some)),
        ),
        (
            "all the same",
            MaskedTokens::new(repeated(&mut rng, shape(4)), &hidden(4, some)),
        ),
        (
            "all hidden",
            MaskedTokens::new(data(&mut rng, shape(3)), &hidden(3, |_, _| true)),
        ),
        (
            "nothing hidden",
            MaskedTokens::new(data(&mut rng, shape(3)), &hidden(3, |_, _| false)),
        ),
        (
            "hidden in one of them",
            MaskedTokens::new(data(&mut rng, shape(3)), &hidden(3, |row, _| row == 1)),
        ),
    ];
    for (what, batch) in cases {
        for part in [None, Some(1)] {
            let settings = Settings::training(&device()).in_parts(part);
            stays_finite(what, masked(&settings), &batch);
        }
    }
}

#[test]
fn alignment_of_pairs_that_are_alike() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (images, tokens) = (|n| [n, 3, SIDE, SIDE], |n| [n, TOKENS, TOKEN_WIDTH]);
    let cases = [
        (
            "two identical pairs",
            repeated(&mut rng, images(2)),
            repeated(&mut rng, tokens(2)),
        ),
        (
            "all the same",
            repeated(&mut rng, images(5)),
            repeated(&mut rng, tokens(5)),
        ),
        (
            "black images",
            constant(0.0, images(3)),
            data(&mut rng, tokens(3)),
        ),
        (
            "spectra of zeros",
            data(&mut rng, images(3)),
            constant(0.0, tokens(3)),
        ),
    ];
    for (what, images, tokens) in cases {
        for factor in [1.0, 0.0] {
            let batch = PairBatch::new(images.clone(), tokens.clone());
            stays_finite(what, align(&Settings::training(&device()), factor), &batch);
        }
    }
}

fn regression(inputs: TensorData, target: f32, known: f32) -> RegressionBatch {
    let shape = [inputs.shape()[0], 1];
    RegressionBatch {
        inputs,
        targets: constant(target, shape),
        known: constant(known, shape),
    }
}

#[test]
fn regression_of_galaxies_that_are_alike() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let settings = Settings::training(&device());
    let images = |n| [n, 3, SIDE, SIDE];
    for (what, batch) in [
        (
            "black images",
            regression(constant(0.0, images(3)), 1.0, 1.0),
        ),
        (
            "all the same",
            regression(repeated(&mut rng, images(3)), 1.0, 1.0),
        ),
        (
            "no target known",
            regression(data(&mut rng, images(3)), 0.0, 0.0),
        ),
    ] {
        stays_finite(what, resnet(&settings), &batch);
    }
    for (what, batch) in [
        (
            "constant spectra",
            regression(constant(5.0, [2, PIXELS]), 1.0, 1.0),
        ),
        (
            "spectra as bright as may be",
            regression(constant(1e10, [2, PIXELS]), 1.0, 1.0),
        ),
        (
            "one spectrum",
            regression(data(&mut rng, [1, PIXELS]), 1.0, 1.0),
        ),
    ] {
        stays_finite(what, conv_attention(&settings), &batch);
    }
}

/// Steps on good batches, with a step on a bad batch between them that is left out, or without.
fn checkpoint_after<O: Objective<Batch: Clone>>(
    mut objective: O,
    good: &O::Batch,
    bad: Option<&O::Batch>,
) -> astroclip::training::train::Checkpoint {
    objective.step(0, good.clone()).expect("a step");
    if let Some(bad) = bad {
        let computed = objective.gradients(1, bad.clone()).expect("gradients");
        assert!(computed.numbers.read().fault().is_some());
        drop(computed.gradients);
        objective.skip(1).expect("a step that is left out");
    }
    objective.step(2, good.clone()).expect("a step");
    objective.checkpoint(3)
}

#[test]
fn a_step_that_is_left_out_leaves_no_trace() {
    #[track_caller]
    fn check<O: Objective<Batch: Clone>>(new: impl Fn() -> O, good: &O::Batch, bad: &O::Batch) {
        let (with, without) = (
            checkpoint_after(new(), good, Some(bad)),
            checkpoint_after(new(), good, None),
        );
        assert_eq!(with.optimizer_steps, without.optimizer_steps);
        assert!(with.tensors == without.tensors, "other bits");
    }
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let settings = Settings::training(&device());
    let odd = |crop: usize| crop % 2 == 1;
    let (global, local) = ([6, 3, SIDE, SIDE], [6, 3, SIDE / 2, SIDE / 2]);
    check(
        || dino(&settings, true, 0.1),
        &crops(data(&mut rng, global), data(&mut rng, local), odd),
        &crops(constant(f32::NAN, global), data(&mut rng, local), odd),
    );
    let hidden = vec![vec![true; TOKENS]; 3];
    let shape = [3, TOKENS, TOKEN_WIDTH];
    check(
        || masked(&settings),
        &MaskedTokens::new(data(&mut rng, shape), &hidden),
        &MaskedTokens::new(constant(f32::INFINITY, shape), &hidden),
    );
    let images = [3, 3, SIDE, SIDE];
    let tokens = data(&mut rng, shape);
    check(
        || align(&settings, 1.0),
        &PairBatch::new(data(&mut rng, images), tokens.clone()),
        &PairBatch::new(constant(f32::NAN, images), tokens),
    );
    check(
        || resnet(&settings),
        &regression(data(&mut rng, images), 1.0, 1.0),
        &regression(constant(f32::NAN, images), 1.0, 1.0),
    );
}
