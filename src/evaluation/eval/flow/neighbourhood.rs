//! What the nearest training galaxies say of a galaxy's targets: where these lie, and how far from there. Lines of spectra
//! put a galaxy beside others of its redshift; that is more precise by far than what a small flow learns of vectors.

use std::f64::consts::TAU;

use ndarray::{Array2, ArrayView1, ArrayView2, Axis, concatenate, s};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::base::numeric::Standardizer;
use crate::evaluation::knn;

/// How many of the nearest say where a target lies: of these the number with which training galaxies are likeliest.
const COUNTS: [usize; 3] = [6, 12, 24];
/// Those that are looked for.
const MOST_NEIGHBOURS: usize = COUNTS[COUNTS.len() - 1];
/// Fewer training galaxies than this have no neighbourhood.
const FEWEST: usize = 10 * MOST_NEIGHBOURS;
/// Training galaxies that neighbours are looked for among: of more, evenly many are left out.
const GALLERY: usize = 50_000;
/// Vectors of so few numbers are quantities, each in a unit of its own, rather than an embedding.
const QUANTITIES: usize = 16;
/// A target is told about its neighbours where these make it likelier than its own mean and deviation by so many nats, that is
/// narrow it down to a seventh. Flows follow vectors to less than that by themselves, and know better how targets go together.
const PRECISE: f64 = 2.0;

/// Training galaxies, and how targets are distributed about what the nearest of them say.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Neighbourhood {
    /// Those that are looked for among (N, C).
    vectors: Array2<f32>,
    /// Their standardised targets (N, D).
    targets: Array2<f32>,
    head: NeighbourhoodHead,
}

/// What a neighbourhood is beside its arrays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct NeighbourhoodHead {
    /// Of the vectors, where they are not taken as they are.
    vector_units: Option<Standardizer>,
    /// Of the targets.
    target_units: Standardizer,
    /// One for each target.
    laws: Vec<Law>,
    /// Which targets are told about their neighbours; the others by themselves.
    about: Vec<bool>,
}

/// The distribution of a target about the mean of its neighbours': Tukey's h (Goerg 2015, The Scientific World Journal
/// 909231), normal in the middle, with tails as heavy as neighbours are wrong. With a normal variate u a target is
/// mean + σ u exp(`tail` u² / 2), where σ² = `spread`² (variance of the neighbours) + `floor`².
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Law {
    neighbours: usize,
    spread: f64,
    floor: f64,
    tail: f64,
}

/// What neighbours say of some galaxies, in standardised targets (N, D).
#[derive(Debug)]
pub(super) struct Said {
    mean: Array2<f64>,
    /// σ of [`Law`].
    scale: Array2<f64>,
}

/// Galaxies as flows about neighbours take them.
#[derive(Debug)]
pub(super) struct Relative {
    /// Embeddings, and what neighbours say (N, C + 2 D).
    pub context: Array2<f32>,
    /// What becomes of the targets (N, D).
    pub variates: Array2<f64>,
    /// ln of the derivatives of these by the targets (N, D).
    pub log_derivative: Array2<f64>,
}

impl Neighbourhood {
    /// Of embeddings (N, C) and targets (N, D), and what the other training galaxies say of each; `None` where there are
    /// too few, or they are precise about no target.
    ///
    /// # Errors
    /// As [`knn::others`].
    pub fn fit(
        embeddings: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
    ) -> Result<Option<(Self, Said)>> {
        /// Galaxies that laws are fitted to.
        const MOST: usize = 10_000;
        let galaxies = embeddings.nrows();
        if galaxies < FEWEST {
            return Ok(None);
        }
        let step = galaxies.div_ceil(GALLERY);
        let gallery: Vec<usize> = (0..galaxies).step_by(step).collect();
        let of_quantities = || Standardizer::fit(embeddings);
        let vector_units = (embeddings.ncols() <= QUANTITIES).then(of_quantities);
        let target_units = Standardizer::fit(targets);
        let standard = target_units.apply(targets);
        let vectors = in_units(vector_units.as_ref(), embeddings);
        let own: Vec<usize> = (0..galaxies)
            .map(|galaxy| match galaxy % step {
                0 => galaxy / step,
                _ => usize::MAX,
            })
            .collect();
        let mut found = Self {
            targets: standard.select(Axis(0), &gallery),
            vectors: vectors.select(Axis(0), &gallery),
            head: NeighbourhoodHead {
                vector_units,
                target_units,
                laws: Vec::new(),
                about: Vec::new(),
            },
        };
        let nearest = knn::others(found.vectors.view(), vectors.view(), &own, MOST_NEIGHBOURS)?;
        let some: Vec<usize> = (0..galaxies).step_by(galaxies.div_ceil(MOST)).collect();
        let of_some = nearest.index.select(Axis(0), &some);
        let laws = (0..targets.ncols()).into_par_iter().map(|target| {
            let truth = some.iter().map(|&row| f64::from(standard[[row, target]]));
            Law::fit(&truth.collect::<Vec<_>>(), |count| {
                let moments = of_some.rows().into_iter();
                moments
                    .map(|nearest| found.moments(nearest, target, count))
                    .collect()
            })
        });
        let (nlls, laws): (Vec<f64>, Vec<Law>) = laws.collect::<Vec<_>>().into_iter().unzip();
        let normal = 0.5 * (TAU.ln() + 1.0);
        found.head.about = nlls.iter().map(|nll| nll + PRECISE < normal).collect();
        found.head.laws = laws;
        let said = found.said(&nearest.index);
        Ok(found.head.about.contains(&true).then_some((found, said)))
    }

    /// What the training galaxies say of others with these embeddings (Q, C).
    ///
    /// # Errors
    /// As [`knn::euclidean`].
    pub fn of(&self, embeddings: ArrayView2<'_, f32>) -> Result<Said> {
        let vectors = in_units(self.head.vector_units.as_ref(), embeddings);
        let nearest = knn::euclidean(self.vectors.view(), vectors.view(), MOST_NEIGHBOURS)?;
        Ok(self.said(&nearest.index))
    }

    fn said(&self, nearest: &Array2<usize>) -> Said {
        let shape = (nearest.nrows(), self.head.laws.len());
        let mut said = Said {
            mean: Array2::zeros(shape),
            scale: Array2::zeros(shape),
        };
        for (row, nearest) in nearest.rows().into_iter().enumerate() {
            for (target, law) in self.head.laws.iter().enumerate() {
                let (mean, variance) = self.moments(nearest, target, law.neighbours);
                said.mean[[row, target]] = mean;
                said.scale[[row, target]] = law.scale(variance);
            }
        }
        said
    }

    /// Mean and variance of a target of the first `count` of `nearest`.
    fn moments(&self, nearest: ArrayView1<'_, usize>, target: usize, count: usize) -> (f64, f64) {
        let values = nearest.slice_move(s![..count]);
        let values = values.mapv(|row| f64::from(self.targets[[row, target]]));
        (values.sum() / count as f64, values.var(1.0))
    }

    /// Embeddings (Q, C) and what neighbours say of them: (Q, C + 2 D).
    pub fn extended(&self, embeddings: ArrayView2<'_, f32>, said: &Said) -> Array2<f32> {
        let mean = said.mean.mapv(|mean| mean as f32);
        let scale = said.scale.mapv(|scale| scale.ln() as f32);
        concatenate(Axis(1), &[embeddings, mean.view(), scale.view()]).expect("as many rows")
    }

    /// Galaxies with these embeddings (Q, C) and targets (Q, D).
    pub fn relative(
        &self,
        said: &Said,
        embeddings: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
    ) -> Relative {
        let (variates, log_derivative) = self.variates(said, targets);
        Relative {
            context: self.extended(embeddings, said),
            variates,
            log_derivative,
        }
    }

    /// Numbers by which [`extended`](Self::extended) is longer.
    pub fn width(&self) -> usize {
        2 * self.head.laws.len()
    }

    /// Numbers of a vector that it is shown.
    pub fn vector_width(&self) -> usize {
        self.vectors.ncols()
    }

    /// The variates (Q, D) of targets (Q, D), and ln of their derivatives by these.
    fn variates(&self, said: &Said, targets: ArrayView2<'_, f64>) -> (Array2<f64>, Array2<f64>) {
        let mut derivatives = Array2::zeros(targets.dim());
        let variates = Array2::from_shape_fn(targets.dim(), |place| {
            let (_, target) = place;
            let units = &self.head.target_units;
            let standard = (targets[place] - units.mean[target]) / units.scale[target];
            if !self.head.about[target] {
                derivatives[place] = -units.scale[target].ln();
                return standard;
            }
            let scale = said.scale[place];
            let law = &self.head.laws[target];
            let (variate, log_derivative) = law.variate((standard - said.mean[place]) / scale);
            derivatives[place] = log_derivative - scale.ln() - units.scale[target].ln();
            variate
        });
        (variates, derivatives)
    }

    /// The target at `place` (galaxy, target) of a variate.
    pub fn restore(&self, said: &Said, place: (usize, usize), variate: f64) -> f64 {
        let law = &self.head.laws[place.1];
        let standard = match self.head.about[place.1] {
            true => said.mean[place] + said.scale[place] * law.residual(variate),
            false => variate,
        };
        let units = &self.head.target_units;
        units.mean[place.1] + units.scale[place.1] * standard
    }

    /// As [`FlowEnsemble::log_volume`](super::FlowEnsemble::log_volume).
    pub fn log_volume(&self) -> f64 {
        self.head.target_units.log_volume()
    }

    /// Its numbers: head, vectors, targets.
    pub fn parts(&self) -> (&NeighbourhoodHead, [&Array2<f32>; 2]) {
        (&self.head, [&self.vectors, &self.targets])
    }

    /// One of these numbers; `None` where they do not go together.
    pub fn of_parts(head: NeighbourhoodHead, [vectors, targets]: [Array2<f32>; 2]) -> Option<Self> {
        let dimensions = head.laws.len();
        let units = head.vector_units.as_ref();
        let fits = vectors.nrows() >= MOST_NEIGHBOURS
            && targets.dim() == (vectors.nrows(), dimensions)
            && head.target_units.is_of(dimensions)
            && head.about.len() == dimensions
            && units.is_none_or(|units| units.is_of(vectors.ncols()))
            && head.laws.iter().all(Law::makes_sense);
        fits.then_some(Self {
            vectors,
            targets,
            head,
        })
    }
}

fn in_units(units: Option<&Standardizer>, vectors: ArrayView2<'_, f32>) -> Array2<f32> {
    match units {
        Some(units) => units.apply_single(vectors),
        None => vectors.to_owned(),
    }
}

impl Law {
    /// The one with which these targets are likeliest, and the mean of −ln of their densities; `moments` are means and
    /// variances of so many of their neighbours.
    fn fit(truth: &[f64], moments: impl Fn(usize) -> Vec<(f64, f64)>) -> (f64, Self) {
        /// Steps in ln of spread, floor and tail: the first, and the one below which the search ends.
        const STEPS: [f64; 2] = [1.0, 0.04];
        let fits = COUNTS.map(|neighbours| {
            let moments = moments(neighbours);
            let of = |logs: [f64; 3]| {
                let [spread, floor, tail] = logs.map(f64::exp);
                let law = Self {
                    neighbours,
                    spread: spread.clamp(1e-3, 1e3),
                    floor: floor.clamp(1e-4, 1e3),
                    tail: tail.clamp(1e-4, 1.0),
                };
                let galaxies = truth.iter().zip(&moments);
                let nll = galaxies.map(|(truth, moments)| law.nll(*truth, *moments));
                (nll.sum::<f64>() / truth.len() as f64, law)
            };
            let mut at = [0.0, -2.3, -2.3];
            let mut best = of(at);
            let mut step = STEPS[0];
            while step > STEPS[1] {
                let mut moved = false;
                for axis in 0..at.len() {
                    for sign in [-1.0, 1.0] {
                        let mut next = at;
                        next[axis] += sign * step;
                        let found = of(next);
                        if found.0 < best.0 {
                            (best, at, moved) = (found, next, true);
                        }
                    }
                }
                if !moved {
                    step /= 2.0;
                }
            }
            best
        });
        let best = fits.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
        best.expect("a number of neighbours")
    }

    fn makes_sense(&self) -> bool {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        (1..=MOST_NEIGHBOURS).contains(&self.neighbours)
            && [self.spread, self.floor, self.tail]
                .into_iter()
                .all(positive)
    }

    fn scale(&self, variance: f64) -> f64 {
        (self.spread.powi(2) * variance + self.floor.powi(2)).sqrt()
    }

    /// −ln of the density of a target whose neighbours have this mean and variance.
    fn nll(&self, truth: f64, (mean, variance): (f64, f64)) -> f64 {
        let scale = self.scale(variance);
        let (variate, log_derivative) = self.variate((truth - mean) / scale);
        0.5 * variate.powi(2) + 0.5 * TAU.ln() + scale.ln() - log_derivative
    }

    /// (target − mean) / σ of a variate.
    fn residual(&self, variate: f64) -> f64 {
        variate * (0.5 * self.tail * variate.powi(2)).exp()
    }

    /// The variate of (target − mean) / σ, and ln of its derivative by that: w = tail u² solves w exp(w) = tail r².
    fn variate(&self, residual: f64) -> (f64, f64) {
        /// Newton's steps on the logarithm, of which each doubles the digits.
        const PASSES: usize = 8;
        let product = self.tail * residual.powi(2);
        if product < 1e-12 {
            return (residual, 0.0);
        }
        let mut w = product.ln_1p();
        for _ in 0..PASSES {
            w *= (1.0 + product.ln() - w.ln()) / (1.0 + w);
        }
        let variate = (w / self.tail).sqrt().copysign(residual);
        (variate, -0.5 * w - w.ln_1p())
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    #[test]
    fn a_variate_and_its_residual_belong_together() {
        let law = |tail| Law {
            neighbours: 6,
            spread: 1.0,
            floor: 0.1,
            tail,
        };
        for tail in [1e-4, 0.1, 1.0] {
            let law = law(tail);
            for residual in [-1e6_f64, -60.0, -1.0, -1e-9, 0.0, 1e-3, 2.0, 1e4] {
                let (variate, log_derivative) = law.variate(residual);
                let back = law.residual(variate);
                assert!(
                    (back - residual).abs() <= 1e-9 * residual.abs(),
                    "{back} {residual}"
                );
                let step = 1e-5 * residual.abs().max(1e-3);
                let [below, above] = [-step, step].map(|step| law.variate(residual + step).0);
                let slope = (above - below) / (2.0 * step);
                assert!(
                    (slope.ln() - log_derivative).abs() < 1e-5,
                    "{tail} {residual}"
                );
            }
        }
    }

    /// A target that the first of 20 numbers tells precisely, but for one galaxy in 20.
    fn problem(galaxies: usize, seed: u64) -> (Array2<f32>, Array2<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || -> f64 { StandardNormal.sample(&mut rng) };
        let mut embeddings = Array2::zeros((galaxies, 20));
        let targets = Array2::from_shape_fn((galaxies, 1), |(galaxy, _)| {
            let hidden = normal();
            embeddings[[galaxy, 0]] = hidden as f32;
            5.0 + 3.0 * hidden
                + if galaxy % 20 == 0 {
                    3.0 * normal()
                } else {
                    0.0
                }
        });
        (embeddings, targets)
    }

    #[test]
    fn neighbours_say_where_a_target_lies_and_how_far_from_there() {
        let (embeddings, targets) = problem(1200, 1);
        let (hood, of_training) = Neighbourhood::fit(embeddings.view(), targets.view())
            .unwrap()
            .expect("enough galaxies");
        let (embeddings, targets) = problem(400, 2);
        let said = hood.of(embeddings.view()).unwrap();
        let (variates, derivatives) = hood.variates(&said, targets.view());
        let nll = |variates: &Array2<f64>, derivatives: &Array2<f64>| {
            let squares = variates.mapv(|u| 0.5 * u * u + 0.5 * TAU.ln()) - derivatives;
            squares.mean().unwrap()
        };
        // That of a normal distribution of the target's own deviation is 2.5.
        assert!(
            nll(&variates, &derivatives) < 0.5,
            "{}",
            nll(&variates, &derivatives)
        );
        for place in [(0, 0), (1, 0), (20, 0)] {
            let back = hood.restore(&said, place, variates[place]);
            assert!((back - targets[place]).abs() < 1e-6);
        }
        assert_eq!(hood.extended(embeddings.view(), &said).dim(), (400, 22));
        assert_eq!(hood.width(), 2);
        let (head, arrays) = hood.parts();
        let again = Neighbourhood::of_parts(head.clone(), arrays.map(Clone::clone));
        assert_eq!(again.as_ref(), Some(&hood));
        // No training galaxy has a say in what is said of it.
        let (embeddings, mut targets) = problem(1200, 1);
        targets[[7, 0]] += 30.0;
        let (other, after) = Neighbourhood::fit(embeddings.view(), targets.view())
            .unwrap()
            .expect("enough galaxies");
        let [before, after] = [(&hood, &of_training), (&other, &after)]
            .map(|(hood, said)| hood.restore(said, (7, 0), 0.0));
        assert!((before - after).abs() < 1.0, "{before} {after}");
    }

    #[test]
    fn too_few_galaxies_have_no_neighbourhood() {
        let (embeddings, targets) = problem(FEWEST - 1, 1);
        assert!(
            Neighbourhood::fit(embeddings.view(), targets.view())
                .unwrap()
                .is_none()
        );
    }
}
