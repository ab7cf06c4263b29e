//! Distributions from the few points of them that catalogues have: where the truth lies in them, and how far they are
//! from it.
//!
//! Between its points, the distribution is taken for Gaussian: linear in the standard score of its level, with the outer
//! pieces going on beyond the outer points. A Gaussian is met exactly by any two of its points. Then
//! CRPS = ∫ (F(x) − [x ≥ truth])² dx (Gneiting & Raftery 2007) has a closed form piece by piece.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Beyond, the unit normal's distribution function is 0 or 1 to the last bit that counts.
const FARTHEST: f64 = 9.0;

/// The levels of the points that a catalogue has, as standard scores, ascending.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Levels(Vec<f64>);

/// What a distribution says of the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Assessed {
    /// Probability integral transform: the distribution function at the truth.
    pub pit: f64,
    /// Continuous ranked probability score, in the unit of the quantity; lower is better.
    pub crps: f64,
}

impl Levels {
    /// Of levels between 0 and 1, ascending, at least two.
    pub fn new(levels: &[f64]) -> Self {
        assert!(levels.len() > 1 && levels.is_sorted(), "{levels:?}");
        Self(levels.iter().map(|&level| score_of(level)).collect())
    }

    /// The distribution with these ascending points at the levels, at the truth.
    pub fn assess(&self, points: &[f64], truth: f64) -> Assessed {
        Assessed {
            pit: self.pit(points, truth),
            crps: self.crps(points, truth),
        }
    }

    /// Pieces: standard scores of their ends, a score and the point there, and the point's change with the score.
    fn pieces(&self, points: &[f64]) -> impl Iterator<Item = Piece> {
        let scores = &self.0;
        let last = scores.len() - 1;
        let slope = |piece: usize| {
            (points[piece + 1] - points[piece]) / (scores[piece + 1] - scores[piece])
        };
        (0..=last + 1).map(move |index| {
            let inner = index.clamp(1, last) - 1;
            Piece {
                ends: [
                    match index {
                        0 => f64::NEG_INFINITY,
                        _ => scores[index - 1],
                    },
                    match index > last {
                        true => f64::INFINITY,
                        false => scores[index],
                    },
                ],
                at: (scores[inner], points[inner]),
                slope: slope(inner),
            }
        })
    }

    fn crps(&self, points: &[f64], truth: f64) -> f64 {
        let pieces = self.pieces(points).filter(|piece| piece.slope > 0.0);
        let within = pieces.map(|piece| {
            let [start, end] = piece.ends;
            let split = piece.score(truth).clamp(start, end);
            let below = squared_below(split) - squared_below(start);
            let above = squared_below(-split) - squared_below(-end);
            piece.slope * (below + above)
        });
        // Outer pieces without width end at the outer points.
        let scores = self.0.len();
        let ends = [points[0], points[scores - 1]];
        let outside = match self.is_pointed(points) {
            [true, _] if truth < ends[0] => ends[0] - truth,
            [_, true] if truth > ends[1] => truth - ends[1],
            _ => 0.0,
        };
        within.sum::<f64>() + outside
    }

    /// Whether the first and the last piece have no width.
    fn is_pointed(&self, points: &[f64]) -> [bool; 2] {
        let last = points.len() - 1;
        [points[1] <= points[0], points[last] <= points[last - 1]]
    }

    fn pit(&self, points: &[f64], truth: f64) -> f64 {
        let last = points.len() - 1;
        let [low, high] = self.is_pointed(points);
        if truth < points[0] && low {
            return 0.0;
        }
        if truth > points[last] && high {
            return 1.0;
        }
        // Where several levels have one point, half of what lies between them.
        let equal = |point: &f64| *point == truth;
        if let (Some(first), Some(end)) = (
            points.iter().position(equal),
            points.iter().rposition(equal),
        ) && first < end
        {
            return 0.5 * (distribution(self.0[first]) + distribution(self.0[end]));
        }
        let below = points.partition_point(|&point| point < truth);
        let piece = self
            .pieces(points)
            .nth(below)
            .expect("one more than points");
        distribution(piece.score(truth))
    }
}

/// A part of a distribution that is Gaussian.
struct Piece {
    ends: [f64; 2],
    at: (f64, f64),
    slope: f64,
}

impl Piece {
    /// The standard score of a value.
    fn score(&self, value: f64) -> f64 {
        self.at.0 + (value - self.at.1) / self.slope
    }
}

/// ∫ Φ(u)² du up to z.
fn squared_below(z: f64) -> f64 {
    if z == f64::NEG_INFINITY {
        return 0.0;
    }
    let phi = distribution(z);
    z * phi * phi + 2.0 * density(z) * phi - distribution(z / FRAC_1_SQRT_2) / PI.sqrt()
}

/// Density of the unit normal.
fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// Distribution function of the unit normal, by its series of terms of one sign.
fn distribution(z: f64) -> f64 {
    if z.abs() > FARTHEST {
        return f64::from(u8::from(z > 0.0));
    }
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 + density(z) * sum
}

/// The standard score of a level between 0 and 1.
fn score_of(level: f64) -> f64 {
    let (mut low, mut high) = (-FARTHEST, FARTHEST);
    while high - low > 1e-14 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        match distribution(middle) < level {
            true => low = middle,
            false => high = middle,
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_is_scipys() {
        for (z, expected) in [
            (-4.5, 3.397_673_124_730_053e-6),
            (-1.0, 0.158_655_253_931_457_05),
            (0.3, 0.617_911_422_188_952_7),
            (5.0, 0.999_999_713_348_428),
        ] {
            assert!((distribution(z) - expected).abs() < 1e-15, "{z}");
        }
        assert!((score_of(0.975) - 1.959_963_984_540_054).abs() < 1e-12);
    }

    #[test]
    fn a_gaussian_is_met_exactly_by_its_points() {
        let levels = [0.025, 0.16, 0.5, 0.84, 0.975];
        let (mean, sigma) = (3.0, 0.25);
        let scores = Levels::new(&levels);
        let points: Vec<f64> = scores.0.iter().map(|z| mean + sigma * z).collect();
        for truth in [1.0, 2.4, 3.0, 3.01, 3.2, 3.6, 5.0] {
            let z: f64 = (truth - mean) / sigma;
            // Gneiting & Raftery (2007), eq. 20.
            let expected =
                sigma * (z * (2.0 * distribution(z) - 1.0) + 2.0 * density(z) - 1.0 / PI.sqrt());
            let found = scores.assess(&points, truth);
            assert!((found.crps - expected).abs() < 1e-12, "{truth}: {found:?}");
            assert!((found.pit - distribution(z)).abs() < 1e-12);
        }
    }

    #[test]
    fn points_that_fall_together_are_a_step() {
        let levels = Levels::new(&[0.025, 0.16, 0.5, 0.84, 0.975]);
        let same = [2.0; 5];
        for (truth, pit, crps) in [(1.5, 0.0, 0.5), (2.0, 0.5, 0.0), (3.0, 1.0, 1.0)] {
            let found = levels.assess(&same, truth);
            assert!((found.pit - pit).abs() < 1e-12 && (found.crps - crps).abs() < 1e-12);
        }
        // Numerically: a step of 34 % at 1, and two Gaussian halves.
        let points = [0.0, 1.0, 1.0, 2.0, 3.0];
        for truth in [-1.0, 0.5, 1.0, 1.7, 4.0] {
            let step = 1e-4;
            let grid = (0..200_000).map(|index| -10.0 + step * (f64::from(index) + 0.5));
            let integral: f64 = grid
                .map(|x| {
                    let above = f64::from(u8::from(x >= truth));
                    (levels.pit(&points, x) - above).powi(2) * step
                })
                .sum();
            let found = levels.assess(&points, truth).crps;
            assert!(
                (found - integral).abs() < 2e-4,
                "{truth}: {found} {integral}"
            );
        }
    }
}
