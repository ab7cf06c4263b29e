//! Floating point pixels that were stored as integers, with dithering (FITS standard 4.0, section 10.2).

use std::sync::LazyLock;

/// Random numbers of the standard (appendix I).
const RANDOM_NUMBERS: usize = 10_000;

/// The integer that stands for exactly zero in `SUBTRACTIVE_DITHER_2`.
const ZERO: i64 = -2_147_483_646;

static RANDOM: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let (a, m) = (16_807.0, 2_147_483_647.0);
    let mut seed: f64 = 1.0;
    (0..RANDOM_NUMBERS)
        .map(|_| {
            let next = a * seed;
            seed = next - m * (next / m).trunc();
            (seed / m) as f32
        })
        .collect()
});

/// What was added to pixels before they were rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dithering {
    /// Nothing.
    None,
    /// A random part of a step.
    Subtractive,
    /// The same, but not to zeros, which have an integer of their own.
    SubtractiveButZeros,
}

/// The random numbers of a tile in their order.
struct Sequence {
    seed: usize,
    next: usize,
}

impl Sequence {
    /// For tile `tile`, counted from 0, and `ZDITHER0`, counted from 1.
    fn new(tile: usize, first: usize) -> Self {
        let seed = (tile + first.saturating_sub(1)) % RANDOM_NUMBERS;
        Self {
            seed,
            next: start(seed),
        }
    }

    fn take(&mut self) -> f64 {
        let value = RANDOM[self.next];
        self.next += 1;
        if self.next == RANDOM_NUMBERS {
            self.seed = (self.seed + 1) % RANDOM_NUMBERS;
            self.next = start(self.seed);
        }
        f64::from(value)
    }
}

fn start(seed: usize) -> usize {
    (RANDOM[seed] * 500.0) as usize
}

/// How the integers of a tile become pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quantization {
    pub dithering: Dithering,
    /// `ZDITHER0`.
    pub first: usize,
    pub scale: f64,
    pub zero: f64,
    /// The integer of a pixel without a value.
    pub blank: Option<i64>,
}

impl Quantization {
    /// The pixels of tile `tile`, counted from 0; NaN where they have no value.
    pub fn restore(&self, tile: usize, integers: &[i64]) -> Vec<f64> {
        let mut random = Sequence::new(tile, self.first);
        let pixel = |&integer: &i64| {
            let dither = match self.dithering {
                Dithering::None => 0.0,
                _ => random.take() - 0.5,
            };
            if Some(integer) == self.blank {
                f64::NAN
            } else if self.dithering == Dithering::SubtractiveButZeros && integer == ZERO {
                0.0
            } else {
                (integer as f64 - dither) * self.scale + self.zero
            }
        };
        integers.iter().map(pixel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{RANDOM, Sequence};

    #[test]
    fn random_numbers_are_those_of_the_standard() {
        // The standard gives the seed after the last: 1043618065.
        let last = f64::from(RANDOM[9_999]) * 2_147_483_647.0;
        assert!((last - 1_043_618_065.0).abs() < 100.0, "{last}");
        // Tiles take up the sequence anew after 10 000 of them.
        assert_eq!(Sequence::new(10_000, 1).take(), Sequence::new(0, 1).take());
    }
}
