//! Expected coverage around many random points, and what it may be by chance.

use ndarray::{ArrayView1, ArrayView2};
use rand::{Rng, RngExt};

use super::tarp::{INTERVALS, Tarp, UnitCube};

/// Reference points of each galaxy: one alone says little of regions in many dimensions.
const REFERENCES: usize = 16;
/// Surveys drawn from the posteriors themselves.
const SIMULATIONS: usize = 499;

/// Galaxies and reference points by credibility.
type Counts = [u64; INTERVALS];

/// What is drawn for a galaxy, for all of its targets and for each alone.
pub struct Lots {
    /// Points of the unit cube.
    references: Vec<Vec<f64>>,
    /// Where in a gap between two samples the truth lies, by reference point.
    ties: Vec<f64>,
    /// Samples that take the place of the truth, and where they lie in their gap, by simulation.
    simulated: Vec<(usize, f64)>,
}

impl Lots {
    /// For so many dimensions and samples.
    pub fn draw(dimensions: usize, samples: usize, rng: &mut impl Rng) -> Self {
        let mut point = || (0..dimensions).map(|_| rng.random()).collect();
        let references = (0..REFERENCES).map(|_| point()).collect();
        Self {
            references,
            ties: (0..REFERENCES).map(|_| rng.random()).collect(),
            simulated: (0..SIMULATIONS)
                .map(|_| (rng.random_range(0..samples), rng.random()))
                .collect(),
        }
    }
}

/// Expected coverage of credible regions (TARP) around 16 reference points of each galaxy, with the same for surveys whose
/// truths are samples of the posteriors: what calibrated posteriors would give.
pub struct ReferenceCoverage {
    observed: Counts,
    simulated: Vec<Counts>,
}

/// The credibilities of one galaxy, as numbers of intervals.
pub struct Credibilities {
    observed: [u8; REFERENCES],
    /// By simulation.
    simulated: Vec<[u8; REFERENCES]>,
}

impl Credibilities {
    /// Of a galaxy with these `samples` (S, D) and `truth` (D), at least one sample; of `dimension` alone, where one is
    /// named, `cube`, samples and truth being of it.
    pub fn new(
        cube: &UnitCube,
        samples: ArrayView2<'_, f64>,
        truth: ArrayView1<'_, f64>,
        lots: &Lots,
        dimension: Option<usize>,
    ) -> Self {
        let count = samples.nrows();
        let interval = |below: usize, tie: f64, of: usize| {
            let credibility = (below as f64 + tie) / of as f64;
            ((credibility * INTERVALS as f64) as usize).min(INTERVALS - 1) as u8
        };
        let mut of_galaxy = Self {
            observed: [0; REFERENCES],
            simulated: vec![[0; REFERENCES]; SIMULATIONS],
        };
        let mut ranks = vec![0; count];
        for (place, (reference, &tie)) in lots.references.iter().zip(&lots.ties).enumerate() {
            let reference = match dimension {
                Some(dimension) => &reference[dimension..=dimension],
                None => reference,
            };
            // Distances are not negative, so that they are in the order of their bits.
            let distance = |point| (cube.square_distance(point, reference) as f32).to_bits();
            let own = distance(truth);
            let mut order: Vec<u64> = samples
                .rows()
                .into_iter()
                .zip(0_u64..)
                .map(|(sample, index)| u64::from(distance(sample)) << 32 | index)
                .collect();
            order.sort_unstable();
            for (rank, key) in order.iter().enumerate() {
                ranks[*key as u32 as usize] = rank;
            }
            let below = order.partition_point(|key| ((key >> 32) as u32) < own);
            // Each among the others: exactly uniform, without ties.
            of_galaxy.observed[place] = interval(below, tie, count + 1);
            for (into, &(sample, tie)) in of_galaxy.simulated.iter_mut().zip(&lots.simulated) {
                into[place] = interval(ranks[sample], tie, count);
            }
        }
        of_galaxy
    }
}

impl ReferenceCoverage {
    /// Of no galaxy yet.
    pub fn none() -> Self {
        Self {
            observed: [0; INTERVALS],
            simulated: vec![[0; INTERVALS]; SIMULATIONS],
        }
    }

    /// Counts a galaxy; the order of the galaxies does not matter.
    pub fn add(&mut self, galaxy: &Credibilities) {
        let count = |into: &mut Counts, intervals: &[u8; REFERENCES]| {
            for &interval in intervals {
                into[usize::from(interval)] += 1;
            }
        };
        count(&mut self.observed, &galaxy.observed);
        for (into, intervals) in self.simulated.iter_mut().zip(&galaxy.simulated) {
            count(into, intervals);
        }
    }

    /// The curve, and how often a simulated one is as far from the diagonal: 1/500 at least.
    pub fn tarp(&self) -> Tarp {
        let observed = curve(&self.observed);
        let distance = distance(&observed);
        let simulated = self.simulated.iter();
        let as_far = simulated.filter(|counts| self::distance(&curve(counts)) >= distance);
        Tarp {
            credibility: levels(),
            p_value: (1 + as_far.count()) as f64 / (1 + SIMULATIONS) as f64,
            expected_coverage: observed,
        }
    }
}

fn levels() -> Vec<f64> {
    let level = |level| level as f64 / INTERVALS as f64;
    (0..=INTERVALS).map(level).collect()
}

/// Share of the credibilities below each level.
fn curve(counts: &Counts) -> Vec<f64> {
    let all = counts.iter().sum::<u64>() as f64;
    let sums = counts.iter().scan(0, |sum, count| {
        *sum += count;
        Some(*sum as f64 / all)
    });
    std::iter::once(0.0).chain(sums).collect()
}

fn distance(curve: &[f64]) -> f64 {
    let pairs = curve.iter().zip(levels());
    pairs.fold(0.0, |worst, (coverage, level)| {
        worst.max((coverage - level).abs())
    })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, s};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// 1500 galaxies with two correlated properties, and samples of posteriors `width` times as wide as
    /// the true ones, shifted by `bias` of their widths.
    fn curves(width: f64, bias: f64, seed: u64) -> [Tarp; 2] {
        const GALAXIES: usize = 400;
        const SAMPLES: usize = 200;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut truth = Array2::zeros((GALAXIES, 2));
        let mut samples = Vec::new();
        for mut row in truth.rows_mut() {
            let centre = [3.0 * normal(), normal()];
            let mut draw = |width: f64, bias: f64| {
                let (a, b) = (width * normal() + bias, width * normal() + bias);
                [centre[0] + a, centre[1] + 0.1 * (0.8 * a + 0.6 * b)]
            };
            row.assign(&ndarray::arr1(&draw(1.0, 0.0)));
            let drawn: Vec<[f64; 2]> = (0..SAMPLES).map(|_| draw(width, bias)).collect();
            samples.push(ndarray::arr2(&drawn));
        }
        let cube = UnitCube::of(truth.view());
        let mut rng = ChaCha8Rng::seed_from_u64(!seed);
        let [mut joint, mut one] = [(); 2].map(|()| ReferenceCoverage::none());
        for (samples, truth) in samples.iter().zip(truth.rows()) {
            let lots = Lots::draw(2, SAMPLES, &mut rng);
            joint.add(&Credibilities::new(
                &cube,
                samples.view(),
                truth,
                &lots,
                None,
            ));
            let (samples, truth) = (samples.slice(s![.., 1..]), truth.slice_move(s![1..]));
            one.add(&Credibilities::new(
                &cube.axis(1),
                samples,
                truth,
                &lots,
                Some(1),
            ));
        }
        [joint, one].map(|coverage| coverage.tarp())
    }

    fn farthest(curve: &Tarp) -> f64 {
        let pairs = curve.expected_coverage.iter().zip(&curve.credibility);
        pairs.fold(0.0, |worst, (coverage, level)| {
            worst.max((coverage - level).abs())
        })
    }

    #[test]
    fn the_true_posterior_follows_the_diagonal_and_no_other_does() {
        for exact in curves(1.0, 0.0, 8) {
            assert!(farthest(&exact) < 0.05 && exact.p_value > 0.05, "{exact:?}");
            assert_eq!(
                (exact.expected_coverage[0], exact.expected_coverage[50]),
                (0.0, 1.0)
            );
        }
        for (width, bias) in [(0.6, 0.0), (1.7, 0.0), (1.0, 0.8)] {
            for wrong in curves(width, bias, 8) {
                assert!(
                    farthest(&wrong) > 0.04 && wrong.p_value < 0.005,
                    "{width} {bias}: {wrong:?}"
                );
            }
        }
    }

    #[test]
    fn of_calibrated_posteriors_all_probabilities_are_alike() {
        let p: Vec<[f64; 2]> = (0..60)
            .map(|seed| curves(1.0, 0.0, 100 + seed).map(|curve| curve.p_value))
            .collect();
        for which in 0..2 {
            let below = |limit: f64| p.iter().filter(|p| p[which] < limit).count();
            // 30 ± 4 and 6 ± 2.3 are expected.
            assert!((18..=42).contains(&below(0.5)), "{p:?}");
            assert!((1..=13).contains(&below(0.1)), "{p:?}");
        }
    }
}
