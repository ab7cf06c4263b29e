//! Kernels against double precision, and operations against the CPU, at shapes that suit no kernel: one row, one column,
//! widths that are no multiple of anything. Numbers are others in every run, and a kernel's outputs hold NaN before it.
//!
//! They take a GPU, or Mesa's software for one (`scripts/test_vulkan`), and run where they are asked for, one after the
//! other: `cargo test --features wgpu --lib ops::gpu -- --ignored --test-threads 1`. `ASTROCLIP_GOLDEN_DEVICE` names another
//! than the first GPU, as `--device` takes it; `ASTROCLIP_SEED` repeats a run.

mod kernels;
mod operations;
mod parameters;

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Device;
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use crate::base::device::DeviceChoice;

/// `memory` with NaN in every element.
pub(super) fn poisoned(memory: CubeTensor) -> CubeTensor {
    CubeBackend::float_mul_scalar(memory, f32::NAN.into())
}

/// The GPU that is tested.
fn gpu() -> Device {
    let name = std::env::var("ASTROCLIP_GOLDEN_DEVICE").unwrap_or_else(|_| "gpu".to_owned());
    let choice: DeviceChoice = name.parse().expect("a device");
    choice.open().expect("a device that is there")
}

static SEED: LazyLock<u64> = LazyLock::new(|| {
    let given = std::env::var("ASTROCLIP_SEED").ok();
    let seed = given.map(|text| text.parse().expect("ASTROCLIP_SEED is a number"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    seed.unwrap_or(now.expect("a clock").as_nanos() as u64)
});

/// Numbers of mean 0 and deviation 1, others for each `part` of a test.
fn random(count: usize, part: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED.wrapping_add(part));
    (0..count).map(|_| rng.sample(StandardNormal)).collect()
}

/// What can be done to numbers of deviation 1 to make them hard.
const KINDS: [(&str, fn(f32) -> f32); 5] = [
    ("normal", |x| x),
    ("far from 0", |x| x + 30.0),
    ("large", |x| 1e4 * x),
    ("tiny", |x| 1e-20 * x),
    ("equal", |_| 3.0),
];

/// What rows may be off by.
#[derive(Clone, Copy)]
struct Allowed {
    /// In parts of the largest of the row.
    relative: f64,
    /// What the row is taken to hold at least.
    least: f64,
}

/// Asserts that each row of `ours` is near that of `wanted`; of what is `allowed` there is one for each row, or one for all.
#[track_caller]
fn assert_rows(what: &str, ours: &[f32], wanted: &[f64], columns: usize, allowed: &[Allowed]) {
    assert_eq!(ours.len(), wanted.len(), "{what}");
    let rows = ours.chunks(columns).zip(wanted.chunks(columns));
    for ((row, (ours, wanted)), allowed) in rows.enumerate().zip(allowed.iter().cycle()) {
        let largest = wanted
            .iter()
            .fold(allowed.least, |largest, value| largest.max(value.abs()));
        for (column, (&ours, &wanted)) in ours.iter().zip(wanted).enumerate() {
            let error = (f64::from(ours) - wanted).abs() / largest;
            // NaN is within nothing.
            assert!(
                error <= allowed.relative,
                "{what}: row {row}, column {column}: {ours:e} against {wanted:e}, off by {error:.1e} of the row; \
                 ASTROCLIP_SEED={} repeats it",
                *SEED
            );
        }
    }
}
