//! A batch that goes through the model in parts gives the loss and the gradients of the whole batch, with
//! dropout and stochastic depth at work.

use astroclip::network::weights::TensorMap;
use astroclip::training::train::{Checkpoint, Objective, StepReport};
use astroclip::views::batch::{CropBatch, MaskedTokens, OfTeacher, PairBatch};
use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::objectives::{
    EMBEDDING, PATCH, SIDE, Settings, TOKEN_WIDTH, TOKENS, align, data, dino, masked,
};

/// Galaxies in a batch.
const SAMPLES: usize = 12;
/// Sizes of a part: divisors, and one that leaves a smaller part at the end.
const SPLITS: [usize; 4] = [1, 3, 5, 6];

/// The report of the last of two steps, and what is left after them. The learning rate is zero: the second
/// step sees the same weights, and the centres of the first.
fn two_steps<O: Objective<Batch: Clone>>(
    mut objective: O,
    batch: &O::Batch,
) -> (StepReport, Checkpoint) {
    objective.step(0, batch.clone()).expect("a step");
    let report = objective.step(1, batch.clone()).expect("a step").read();
    (report, objective.checkpoint(2))
}

fn assert_same(what: &str, actual: (StepReport, Checkpoint), expected: (StepReport, Checkpoint)) {
    let ((report, mut state), (whole_report, mut whole_state)) = (actual, expected);
    assert_eq!(report.terms.len(), whole_report.terms.len(), "{what}");
    for ((name, term), (_, whole)) in report.terms.iter().zip(&whole_report.terms) {
        let error = (term / whole - 1.0).abs();
        assert!(error < 1e-6, "{what}: {name} is {term}, not {whole}");
    }
    let error = (report.grad_norm / whole_report.grad_norm - 1.0).abs();
    assert!(error < 1e-6, "{what}: gradient norm off by {error:.1e}");
    for section in ["optimizer", "center"] {
        let error = relative_error(state.take(section), whole_state.take(section));
        assert!(error < 1e-6, "{what}: {section} off by {error:.1e}");
    }
}

/// Norm of the difference over the norm; second moments, which square the error, are left out.
fn relative_error(mut actual: TensorMap, mut expected: TensorMap) -> f64 {
    actual.retain(|name, _| !name.starts_with("second."));
    expected.retain(|name, _| !name.starts_with("second."));
    assert!(actual.keys().eq(expected.keys()));
    let (mut difference, mut norm) = (0.0, 0.0);
    for (actual, expected) in actual.values().zip(expected.values()) {
        for (&actual, &expected) in actual.values.iter().zip(&expected.values) {
            difference += f64::from(actual - expected).powi(2);
            norm += f64::from(expected).powi(2);
        }
    }
    if norm == 0.0 {
        0.0
    } else {
        (difference / norm).sqrt()
    }
}

#[test]
fn contrastive_gradients_are_those_of_the_whole_batch() {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let alone = PairBatch::new(
        data(&mut rng, [SAMPLES, 3, SIDE, SIDE]),
        data(&mut rng, [SAMPLES, TOKENS, TOKEN_WIDTH]),
    );
    let mut embeddings = || data(&mut rng, [SAMPLES, EMBEDDING]);
    let taught = PairBatch {
        teacher: Some(OfTeacher {
            images: embeddings(),
            spectra: embeddings(),
        }),
        ..alone.clone()
    };
    for (backbones, backbone_lr_factor) in [("trained", 1.0), ("frozen", 0.0)] {
        for (batch, terms) in [(&alone, 1), (&taught, 2)] {
            let run = |size| {
                let settings = Settings::frozen(&device).in_parts(size);
                two_steps(align(&settings, backbone_lr_factor), batch)
            };
            for size in SPLITS {
                let what = format!("{backbones} transformers, parts of {size}, {terms} terms");
                let whole = run(None);
                assert_eq!(whole.0.terms.len(), terms, "{what}");
                assert_same(&what, run(Some(size)), whole);
            }
        }
    }
}

#[test]
fn masked_modelling_gradients_are_those_of_the_whole_batch() {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    // The more tokens are hidden, the later the spectrum: no two parts have the same number.
    let hidden: Vec<Vec<bool>> = (0..SAMPLES)
        .map(|spectrum| (0..TOKENS).map(|token| token <= spectrum).collect())
        .collect();
    let batch = MaskedTokens::new(data(&mut rng, [SAMPLES, TOKENS, TOKEN_WIDTH]), &hidden);
    let run = |size| two_steps(masked(&Settings::frozen(&device).in_parts(size)), &batch);
    for size in SPLITS {
        assert_same(&format!("parts of {size}"), run(Some(size)), run(None));
    }
}

#[test]
fn self_distillation_gradients_and_centres_are_those_of_the_whole_batch() {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let patches = (SIDE / PATCH).pow(2);
    // One galaxy in three is not masked at all: some parts have no masked patch.
    let masks = (0..2 * SAMPLES)
        .map(|crop| {
            (0..patches)
                .map(|patch| crop % 3 > 0 && patch <= crop % 7)
                .collect()
        })
        .collect();
    let batch = CropBatch::new(
        SAMPLES,
        data(&mut rng, [2 * SAMPLES, 3, SIDE, SIDE]),
        data(&mut rng, [2 * SAMPLES, 3, SIDE / 2, SIDE / 2]),
        masks,
    );
    for separate_heads in [false, true] {
        let run = |size| {
            // KoLeo sees only the galaxies that go through at once.
            let objective = dino(
                &Settings::frozen(&device).in_parts(size),
                separate_heads,
                0.0,
            );
            two_steps(objective, &batch)
        };
        for size in SPLITS {
            let what = format!("separate heads: {separate_heads}, parts of {size}");
            assert_same(&what, run(Some(size)), run(None));
        }
    }
}
