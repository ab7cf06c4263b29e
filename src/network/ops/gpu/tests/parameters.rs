//! Kernels that take many parameters at once, of sizes that fill no cube, and more than all cubes.

use super::super::adamw::{BUFFERS, Step, steps};
use super::super::parameters::{MOVED, at_once, moved_means, squares};
use super::kernels::{EXACT, device, download, units, upload, wide};
use super::{Allowed, KINDS, assert_rows, random};
use crate::network::ops::adamw::AdamWConstants;

/// Read number by number, and four at once: what the last takes more than one round of all cubes for.
const COUNTS: [[usize; 8]; 2] = [
    [1, 3, 4, 77, 1024, 140_001, 5, 256],
    [4, 1024, 8, 540_672, 65_536, 12, 384, 1028],
];
/// Tensors in a launch: one, a number that leaves a rest, and as many as the device binds.
fn numbers_at_once(buffers: usize) -> [usize; 3] {
    [1, 3, 8].map(|number: usize| number.min(at_once(&device().client(), buffers)))
}

/// Numbers of each count, of one kind.
fn numbers(counts: [usize; 8], part: u64, of: fn(f32) -> f32) -> Vec<Vec<f32>> {
    let parts = counts.into_iter().zip(part..);
    let parts = parts.map(|(count, part)| random(count, part).into_iter().map(of).collect());
    parts.collect()
}

#[test]
#[ignore = "takes a GPU"]
fn adamw_steps() {
    const FACTOR: f32 = 0.3;
    let constants = |parameter: usize| AdamWConstants {
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        rate: 2e-3 / (1 + parameter) as f64,
        root_correction: 0.22 + 0.1 * parameter as f64,
        kept: 0.999 - 0.01 * parameter as f64,
    };
    for counts in COUNTS {
        for (kind, of) in KINDS {
            let gradients = numbers(counts, 0, of);
            let [weights, firsts] = [100, 200].map(|part| numbers(counts, part, |x| x));
            let seconds = numbers(counts, 300, |x| x * x);
            for at_once in numbers_at_once(BUFFERS) {
                let parameters = counts.iter().enumerate().map(|(index, &count)| {
                    let upload = |of: &[Vec<f32>]| upload(&of[index], [count]);
                    Step {
                        weight: upload(&weights),
                        gradient: upload(&gradients),
                        factor: super::kernels::upload(&[FACTOR], [1]),
                        first: upload(&firsts),
                        second: upload(&seconds),
                        constants: constants(index),
                    }
                });
                let after = steps(parameters.collect(), at_once);
                for (index, (weight, first, second)) in after.into_iter().enumerate() {
                    let constants = constants(index);
                    let mut wanted = [const { Vec::new() }; 3];
                    for place in 0..counts[index] {
                        let at = |of: &[Vec<f32>]| f64::from(of[index][place]);
                        let gradient = at(&gradients) * f64::from(FACTOR);
                        let keep = |old: f64, new: f64, beta: f64| old * beta + new * (1.0 - beta);
                        let first = keep(at(&firsts), gradient, constants.beta1);
                        let second = keep(at(&seconds), gradient * gradient, constants.beta2);
                        let root = second.sqrt() / constants.root_correction + constants.epsilon;
                        let kept = at(&weights) * constants.kept;
                        wanted[0].push(kept - first / root * constants.rate);
                        wanted[1].push(first);
                        wanted[2].push(second);
                    }
                    let ours = [("weight", weight), ("first", first), ("second", second)];
                    for ((part, ours), wanted) in ours.into_iter().zip(wanted) {
                        let count = counts[index];
                        let name = format!("{part} {index} of {count}, {kind}, {at_once} at once");
                        assert_rows(&name, &download(ours), &wanted, count, &[EXACT]);
                    }
                }
            }
        }
    }
}

#[test]
#[ignore = "takes a GPU"]
fn sums_of_squares() {
    // Sums of a thousandth of the numbers each.
    let allowed = Allowed {
        relative: 1e-4,
        least: 0.0,
    };
    for units in units() {
        for (counts, at_once) in COUNTS.into_iter().zip([8, 3]) {
            for (kind, of) in KINDS.into_iter().filter(|(kind, _)| *kind != "tiny") {
                let tensors = numbers(counts, 0, of);
                let uploaded = tensors.iter().zip(counts);
                let uploaded = uploaded
                    .map(|(values, count)| upload(values, [count]))
                    .collect();
                let parts = download(squares(uploaded, at_once, units));
                let rows = parts.len() / counts.len();
                for ((tensor, parts), count) in tensors.iter().zip(parts.chunks(rows)).zip(counts) {
                    let sum: f64 = wide(parts).iter().sum();
                    let wanted: f64 = wide(tensor).iter().map(|value| value * value).sum();
                    let name = format!("{count}, {kind}, {at_once} at once, {units:?}");
                    assert_rows(&name, &[sum as f32], &[wanted], 1, &[allowed]);
                }
            }
        }
    }
}

#[test]
#[ignore = "takes a GPU"]
fn means_move() {
    const MOMENTUM: f64 = 0.992;
    for counts in COUNTS {
        let (means, latest) = (numbers(counts, 0, |x| x), numbers(counts, 100, |x| x + 3.0));
        for at_once in numbers_at_once(MOVED) {
            let pairs = means.iter().zip(&latest).zip(counts);
            let pairs = pairs
                .map(|((mean, latest), count)| (upload(mean, [count]), upload(latest, [count])));
            let moved = moved_means(pairs.collect(), MOMENTUM, at_once);
            for (index, moved) in moved.into_iter().enumerate() {
                let wanted = wide(&means[index]).into_iter().zip(wide(&latest[index]));
                let wanted =
                    wanted.map(|(mean, latest)| mean * MOMENTUM + latest * (1.0 - MOMENTUM));
                let count = counts[index];
                let name = format!("{index} of {count}, {at_once} at once");
                assert_rows(
                    &name,
                    &download(moved),
                    &wanted.collect::<Vec<_>>(),
                    count,
                    &[EXACT],
                );
            }
        }
    }
}
