//! What flows say of the galaxies that they were not fitted to: how wide their mixture has to be.

use ndarray::{Array2, ArrayView1};

use super::conditional::ConditionalFlow;
use super::variates::Variates;

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
    /// ln of the densities (rows) of the galaxies, with standard variates.
    pub fn log_density(&self) -> Vec<f64> {
        let standard = Variates::standard(self.variates.ncols());
        let words = self.variates.rows().into_iter().zip(&self.log_derivative);
        words
            .map(|(variates, &log_derivative)| {
                let word = Word {
                    variates,
                    log_derivative,
                };
                word.log_density(&standard)
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
    fn log_density(&self, distribution: &Variates) -> f64 {
        let mut white: Vec<f64> = self.variates.iter().map(|&z| f64::from(z)).collect();
        distribution.whiten(&mut white);
        let terms = white.iter().enumerate();
        let terms = terms.map(|(d, z)| 0.5 * z * z + distribution.log_scale(d));
        self.log_derivative - terms.sum::<f64>()
    }
}

/// Sets the variates of `flows`, the same for all, to those with which `galaxies` training galaxies are likeliest, each
/// under the mixture of the flows that had it for validation.
pub(super) fn calibrate(flows: &mut [ConditionalFlow], held_out: &[HeldOut], galaxies: usize) {
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
    words.retain(|words| !words.is_empty());
    let variates = likeliest(&words, held_out[0].variates.ncols());
    for flow in flows {
        flow.summary.variates = variates.clone();
    }
}

/// The normal variates with which galaxies are likeliest, each under the mixture of the flows whose words on it are given:
/// by expectation and maximisation.
fn likeliest(galaxies: &[Vec<Word<'_>>], dimensions: usize) -> Variates {
    let mut variates = Variates::standard(dimensions);
    for _ in 0..ROUNDS {
        let mut count = PRIOR;
        let mut sums = vec![0.0; dimensions];
        let mut products: Array2<f64> = Array2::eye(dimensions) * PRIOR;
        for words in galaxies {
            let logs: Vec<f64> = words
                .iter()
                .map(|word| word.log_density(&variates))
                .collect();
            let total = log_sum(&logs);
            for (word, log) in words.iter().zip(logs) {
                let weight = (log - total).exp();
                for (row, &z) in word.variates.iter().enumerate() {
                    let weighted = weight * f64::from(z);
                    sums[row] += weighted;
                    for (column, &other) in word.variates.iter().enumerate().take(row + 1) {
                        products[[row, column]] += weighted * f64::from(other);
                    }
                }
            }
            count += 1.0;
        }
        let mean: Vec<f64> = sums.into_iter().map(|sum| sum / count).collect();
        let covariance = Array2::from_shape_fn((dimensions, dimensions), |(row, column)| {
            let product = products[[row.max(column), row.min(column)]];
            product / count - mean[row] * mean[column]
        });
        match Variates::new(mean, &covariance) {
            Some(next) => variates = next,
            None => break,
        }
    }
    variates
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
        // twice, the second by half of what the flows take it for, about 0.5. 1000 more galaxies had no flow.
        let variates = Array2::from_shape_fn((6000, 2), |(_, dimension)| {
            (normal() * [2.0, 0.5][dimension] + [0.0, 0.5][dimension]) as f32
        });
        let held_out = [0..4000, 2000..6000].map(|rows| HeldOut {
            variates: variates.slice(ndarray::s![rows.clone(), ..]).to_owned(),
            log_derivative: vec![0.25; rows.len()],
            rows: rows.collect(),
        });
        let mut flows = [flow.clone(), flow];
        calibrate(&mut flows, &held_out, 7000);
        let found = flows[0].summary.variates.clone();
        let wanted = [
            (found.factor[0][0], 2.0),
            (found.factor[1][1], 0.5),
            (found.mean[1], 0.5),
        ];
        for (found, wanted) in wanted {
            assert!((found / wanted - 1.0_f64).abs() < 0.05, "{found} {wanted}");
        }
        assert!(found.factor[1][0].abs() < 0.03 && found.mean[0].abs() < 0.1);
        assert_eq!(flows[1].summary.variates, found);
        // What the flow says follows, and so does what it draws.
        let after = flows[0].log_prob(x.view(), y.view());
        assert_ne!(before.joint, after.joint);
        let zeros = Array2::<f32>::zeros((1, 1));
        let draw = |flow: &ConditionalFlow, z: f32| {
            let mut values = Array2::from_elem((2, LANES), z);
            flow.sample(&zeros, LANES, &mut values);
            values
        };
        let mut standard = flows[1].clone();
        standard.summary.variates = Variates::standard(2);
        let mut scaled = Array2::from_elem((2, LANES), 0.3);
        found.colour(&mut scaled);
        standard.sample(&zeros, LANES, &mut scaled);
        assert_eq!(draw(&flows[0], 0.3), scaled);
    }
}
