//! Schedules as pure functions of the step, in double precision.

use std::f64::consts::PI;

/// DINOv2's `CosineScheduler`: `warmup` steps spaced evenly from `start` to `base` with both ends
/// included, a cosine to `end`, then `end`.
pub fn dino_cosine(step: u64, (start, base, end): (f64, f64, f64), warmup: u64, total: u64) -> f64 {
    if step >= total {
        return end;
    }
    if step < warmup {
        return match warmup {
            1 => start,
            _ => start + (base - start) * step as f64 / (warmup - 1) as f64,
        };
    }
    let progress = (step - warmup) as f64 / (total - warmup) as f64;
    end + 0.5 * (base - end) * (1.0 + (PI * progress).cos())
}

/// Linear warm-up from zero that reaches `base` at step `warmup`, then a cosine to `end` at `total`.
pub fn cosine_with_warmup(step: u64, (base, end): (f64, f64), warmup: u64, total: u64) -> f64 {
    if step < warmup {
        return base * step as f64 / warmup as f64;
    }
    if step >= total {
        return end;
    }
    let progress = (step - warmup) as f64 / (total - warmup) as f64;
    end + 0.5 * (base - end) * (1.0 + (PI * progress).cos())
}
