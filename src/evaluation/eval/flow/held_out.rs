//! What flows say of the galaxies that they were not fitted to: how wide their mixture has to be.

use ndarray::{Array2, ArrayView1};

use super::conditional::ConditionalFlow;

/// Rounds of expectation and maximisation.
const ROUNDS: usize = 100;
/// Galaxies' worth of belief that the widths are right as they are, for very small samples.
const PRIOR: f64 = 10.0;

/// The validation galaxies of a flow.
pub(super) struct HeldOut {
    /// Rows of the training galaxies.
    pub rows: Vec<usize>,
    /// Normal variates that their targets become (rows, D).
    pub variates: Array2<f32>,
    /// ln of the derivative of the variates by the targets, in the targets' own units, less D/2 ln 2π.
    pub log_derivative: Vec<f64>,
}

impl HeldOut {
    /// ln of the densities (rows) of the galaxies, at temperature 1.
    pub fn log_density(&self) -> Vec<f64> {
        let ones = vec![1.0; self.variates.ncols()];
        let words = self.variates.rows().into_iter().zip(&self.log_derivative);
        words
            .map(|(variates, &log_derivative)| {
                let word = Word {
                    variates,
                    log_derivative,
                };
                word.log_density(&ones)
            })
            .collect()
    }
}

/// Which of the `trials` to take, each the number of its inputs and ln of the densities of the same galaxies: the one
/// with the fewest inputs that is no worse than the likeliest, by two standard errors. More inputs of use show the
/// clearer the more galaxies there are, and with few galaxies it is chance that seems to favour them.
pub(super) fn fewest_inputs(trials: &[(usize, Vec<f64>)]) -> usize {
    let sum = |(_, log_density): &(usize, Vec<f64>)| log_density.iter().sum::<f64>();
    let best = trials
        .iter()
        .max_by(|a, b| sum(a).total_cmp(&sum(b)))
        .expect("a trial");
    let is_as_good = |(_, log_density): &(usize, Vec<f64>)| {
        let differences = best.1.iter().zip(log_density);
        let worse: Vec<f64> = differences.map(|(best, own)| best - own).collect();
        let count = worse.len() as f64;
        let mean = worse.iter().sum::<f64>() / count;
        let square = worse
            .iter()
            .map(|worse| (worse - mean).powi(2))
            .sum::<f64>();
        mean <= 2.0 * square.sqrt() / count
    };
    let good = trials
        .iter()
        .enumerate()
        .filter(|(_, trial)| is_as_good(trial));
    let fewest = good.min_by_key(|(_, (inputs, _))| *inputs);
    fewest.expect("the likeliest is as good as itself").0
}

/// One flow's word on one galaxy.
struct Word<'a> {
    variates: ArrayView1<'a, f32>,
    log_derivative: f64,
}

impl Word<'_> {
    fn log_density(&self, square: &[f64]) -> f64 {
        let variates = self.variates.iter().zip(square);
        let terms = variates.map(|(&z, square)| f64::from(z).powi(2) / square + square.ln());
        self.log_derivative - 0.5 * terms.sum::<f64>()
    }
}

/// Sets the temperatures of `flows`, the same for all, to those of the largest likelihood of `galaxies` training
/// galaxies, each under the mixture of the flows that had it for validation. Returns ln of the densities of these
/// galaxies under that mixture, NaN for those that no flow had.
pub(super) fn calibrate(
    flows: &mut [ConditionalFlow],
    held_out: &[HeldOut],
    galaxies: usize,
) -> Vec<f64> {
    let mut words: Vec<Vec<Word<'_>>> = (0..galaxies).map(|_| Vec::new()).collect();
    for held_out in held_out {
        let of_rows = held_out.rows.iter().zip(held_out.variates.rows());
        for ((&row, variates), &log_derivative) in of_rows.zip(&held_out.log_derivative) {
            words[row].push(Word {
                variates,
                log_derivative,
            });
        }
    }
    // Squares of the temperatures.
    let mut square = vec![1.0; held_out[0].variates.ncols()];
    let logs = |words: &[Word<'_>], square: &[f64]| -> Vec<f64> {
        words.iter().map(|word| word.log_density(square)).collect()
    };
    for _ in 0..ROUNDS {
        let mut sums = vec![PRIOR; square.len()];
        let mut count = PRIOR;
        for words in words.iter().filter(|words| !words.is_empty()) {
            let logs = logs(words, &square);
            let total = log_sum(&logs);
            for (word, log) in words.iter().zip(logs) {
                let weight = (log - total).exp();
                for (sum, &z) in sums.iter_mut().zip(word.variates) {
                    *sum += weight * f64::from(z).powi(2);
                }
            }
            count += 1.0;
        }
        square = sums.into_iter().map(|sum| sum / count).collect();
    }
    for flow in flows {
        flow.summary.temperature = square.iter().map(|square| square.sqrt()).collect();
    }
    let density = |words: &Vec<Word<'_>>| match words.len() {
        0 => f64::NAN,
        count => log_sum(&logs(words, &square)) - (count as f64).ln(),
    };
    words.iter().map(density).collect()
}

/// ln of the sum of the exponentials.
pub(super) fn log_sum(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::evaluation::eval::flow::{FlowConfig, LANES};

    #[test]
    fn more_inputs_are_taken_where_they_help_beyond_chance() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut trial = |inputs: usize, mean: f64, galaxies: usize| -> (usize, Vec<f64>) {
            let log_density = (0..galaxies).map(|_| -> f64 {
                let noise: f64 = StandardNormal.sample(&mut rng);
                mean + 0.5 * noise
            });
            (inputs, log_density.collect())
        };
        let few = [trial(512, 0.02, 300), trial(37, 0.0, 300)];
        assert_eq!(fewest_inputs(&few), 1);
        let many = [trial(512, 0.02, 100_000), trial(37, 0.0, 100_000)];
        assert_eq!(fewest_inputs(&many), 0);
        let best_in_between = [
            trial(512, 0.0, 9000),
            trial(37, 0.0, 9000),
            trial(133, 0.3, 9000),
        ];
        assert_eq!(fewest_inputs(&best_in_between), 2);
    }

    #[test]
    fn widths_become_those_of_galaxies_held_out() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let x = Array2::from_shape_simple_fn((60, 1), || normal() as f32);
        let y = Array2::from_shape_simple_fn((60, 2), &mut normal);
        let config = FlowConfig {
            max_epochs: 1,
            ..FlowConfig::default()
        };
        let flow = ConditionalFlow::fit(x.view(), y.view(), &config).unwrap();
        let before = flow.log_prob(x.view(), y.view());
        // Two flows that say the same of 4000 galaxies each, half of them the same: the first dimension scatters by
        // twice, the second by half of what the flows take it for. 1000 more galaxies had no flow.
        let variates = Array2::from_shape_fn((6000, 2), |(_, dimension)| {
            (normal() * [2.0, 0.5][dimension]) as f32
        });
        let held_out = [0..4000, 2000..6000].map(|rows| HeldOut {
            variates: variates.slice(ndarray::s![rows.clone(), ..]).to_owned(),
            log_derivative: vec![0.25; rows.len()],
            rows: rows.collect(),
        });
        let mut flows = [flow.clone(), flow];
        let log_density = calibrate(&mut flows, &held_out, 7000);
        let [one, other] = flows[0].summary.temperature[..] else {
            panic!("two dimensions")
        };
        assert!(
            (one - 2.0).abs() < 0.05 && (other - 0.5).abs() < 0.0125,
            "{one} {other}"
        );
        assert_eq!(flows[1].summary.temperature, [one, other]);
        for (row, log_density) in log_density.iter().enumerate() {
            if row < 6000 {
                let z = [0, 1].map(|d| f64::from(variates[[row, d]]) / [one, other][d]);
                let wanted = 0.25 - 0.5 * (z[0] * z[0] + z[1] * z[1]) - (one * other).ln();
                assert!((log_density - wanted).abs() < 1e-9, "{row}");
            } else {
                assert!(log_density.is_nan());
            }
        }
        // What the flow says follows, and so does what it draws.
        let after = flows[0].log_prob(x.view(), y.view());
        assert_ne!(before.joint, after.joint);
        let zeros = Array2::<f32>::zeros((1, 1));
        let draw = |flow: &ConditionalFlow, z: f32| {
            let mut values = Array2::from_elem((2, LANES), z);
            flow.sample(&zeros, LANES, &mut values);
            values
        };
        let mut cold = flows[1].clone();
        cold.summary.temperature = vec![1.0, 1.0];
        let mut scaled = Array2::from_shape_fn((2, LANES), |(d, _)| 0.3 * [one, other][d] as f32);
        cold.sample(&zeros, LANES, &mut scaled);
        assert_eq!(draw(&flows[0], 0.3), scaled);
    }
}
