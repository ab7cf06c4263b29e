//! Ways in which ranks can share a step: KoLeo by rank, gradients in bf16, shards of the optimiser.

use astroclip::base::ranks::Ranks;
use astroclip::training::objective::{DinoLossConfig, KoleoNeighbours};
use astroclip::training::train::{GradientNumbers, Objective, RanksConfig};
use burn::tensor::Device;

use super::threads::{among, among_heard};
use super::{
    MOST, MOST_OF_NORMS, SAMPLES, Step, assert_gradients, assert_numbers, assert_state, crops,
    distance, distil, distil_sharing, squares,
};
use crate::objectives::{Settings, dino_with};

/// Half of the last bit of a number in bf16, relative to it.
const HALF_BIT: f64 = 1.0 / 512.0;

const BF16: RanksConfig = RanksConfig {
    gradients: GradientNumbers::Bf16,
    shard_optimizer: false,
};
const SHARDED: RanksConfig = RanksConfig {
    gradients: GradientNumbers::F32,
    shard_optimizer: true,
};

#[test]
fn koleo_by_rank_is_koleo_of_micro_batches_as_large_as_shares() {
    let global = DinoLossConfig::default();
    let by_rank = DinoLossConfig {
        koleo_neighbours: KoleoNeighbours::PerRank,
        ..global.clone()
    };
    let expected = distil(&global, Some(SAMPLES / 2), Ranks::alone(), None);
    for steps in among(2, |ranks| distil(&by_rank, None, ranks, Some(&expected))) {
        for (step, expected) in steps.iter().zip(&expected) {
            assert_numbers("by rank", &step.numbers, &expected.numbers, MOST);
            assert_gradients("by rank", &step.gradients, &expected.gradients);
        }
    }
    let all = among(2, |ranks| distil(&global, None, ranks, Some(&expected)));
    let koleo = |step: &Step| {
        let mut terms = step.numbers.terms.iter();
        terms.find(|(name, _)| *name == "koleo").expect("a term").1
    };
    assert!((koleo(&all[0][0]) / koleo(&expected[0]) - 1.0).abs() > 1e-3);
}

#[test]
fn gradients_in_bf16_are_rounded_twice() {
    let loss = DinoLossConfig::default();
    let expected = distil(&loss, None, Ranks::alone(), None);
    for size in [2, 4] {
        let each = among(size, |ranks| {
            distil_sharing((&loss, None), BF16, ranks, Some(&expected))
        });
        let all = among(size, |ranks| {
            distil_sharing((&loss, None), BF16, ranks, None)
        });
        for (index, expected) in expected.iter().enumerate() {
            let step = &each[0][index];
            let norm = squares(expected.gradients.values().flatten().copied()).sqrt();
            let off =
                |(name, expected): (&String, &Vec<f32>)| distance(&step.gradients[name], expected);
            let off = expected.gradients.iter().map(off).fold(0.0, f64::hypot) / norm;
            // Each by half a bit at most; what ranks have may be larger than its sum.
            assert!(
                off > 0.1 * HALF_BIT && off < 2.0 * HALF_BIT,
                "{size} ranks, step {index}: {off:.1e}"
            );
            let step = &all[0][index];
            let off = (step.numbers.loss() / expected.numbers.loss() - 1.0).abs();
            assert!(
                off < HALF_BIT,
                "{size} ranks, step {index}: the loss is off by {off:.1e}"
            );
            for rank in &all[1..] {
                assert_eq!(rank[index].gradients, step.gradients);
                assert_eq!(rank[index].after.tensors, step.after.tensors);
            }
        }
    }
}

#[test]
fn shards_of_an_optimizer_are_the_whole_to_the_bit() {
    let loss = DinoLossConfig::default();
    let alone = distil(&loss, None, Ranks::alone(), None);
    for size in [2, 4] {
        // From one step to the next, and from checkpoints of one process.
        for of in [None, Some(&alone[..])] {
            let run = |sharing| {
                among_heard(size, |ranks| {
                    distil_sharing((&loss, None), sharing, ranks, of)
                })
            };
            let (whole, heard) = run(RanksConfig::default());
            let (sharded, more) = run(SHARDED);
            let mut parameters = 0;
            for (index, (step, whole)) in sharded[0].iter().zip(&whole[0]).enumerate() {
                let what = format!("{size} ranks, step {index}");
                assert_eq!(step.after.tensors, whole.after.tensors, "{what}");
                assert_eq!(step.after.optimizer_steps, whole.after.optimizer_steps);
                assert_numbers(&what, &step.numbers, &alone[index].numbers, MOST_OF_NORMS);
                parameters += step.gradients.values().map(Vec::len).sum::<usize>();
            }
            // Else each rank would have updated all.
            assert!(more - heard > size_of::<f32>() * parameters);
        }
    }
}

#[test]
fn a_rank_lends_what_the_first_writes_and_one_process_goes_on() {
    let (loss, device) = (DinoLossConfig::default(), Device::flex().autodiff());
    let expected = distil(&loss, None, Ranks::alone(), None);
    let checkpoints = among(4, |ranks| {
        let batch = crops(ranks.seat());
        let is_first = ranks.is_first();
        let settings = Settings::training(&device).among(ranks).sharing(SHARDED);
        let mut objective = dino_with(&settings, true, loss.clone());
        for step in 0..3 {
            objective.step(step, batch(step)).expect("a step");
        }
        is_first.then(|| objective.checkpoint(3)).or_else(|| {
            objective.lend();
            None
        })
    });
    let checkpoint = checkpoints
        .into_iter()
        .next()
        .flatten()
        .expect("of the first");
    assert_state("lent", &checkpoint, &expected[2].after);
    let batch = crops(Ranks::alone().seat());
    let mut objective = dino_with(&Settings::training(&device), true, loss);
    objective.restore(checkpoint).expect("the same model");
    objective.step(3, batch(3)).expect("a step");
    assert_state("gone on", &objective.checkpoint(4), &expected[3].after);
}
