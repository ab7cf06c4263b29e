//! How the continua of the training galaxies run, and how far another's runs from them.
//!
//! The bands of a spectrum, divided by their root mean square, have a mean and a covariance among the training galaxies:
//! that of noiseless spectra, the noise taken away. A spectrum's distance is Mahalanobis's with the covariance of its own
//! noise added, so that faint spectra are not unlike others because they are faint.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, Axis, s};
use rayon::prelude::*;

use super::space::Space;
use crate::base::numeric::{eigen, solve};
use crate::survey::{CONTINUUM_BANDS, NO_SIGNAL};

/// Fewest training galaxies that a covariance of the bands is learnt from.
pub(super) const FEWEST: usize = 100;
/// Most that it is learnt from.
pub(super) const MOST: usize = 20_000;
/// Parts of the training galaxies; how far each is from the others is told by a covariance of the others.
const FOLDS: usize = 5;
/// Share of the galaxies whose spectra have a band, and share of the bands that a spectrum has, at least.
const MEASURED: f64 = 0.9;
/// Errors of the calibration of fluxes with wavelength.
const CALIBRATION: f64 = 0.02;
/// No direction is taken to vary less than this share of the variance of the one that varies most.
const LEAST_VARIANCE: f64 = 1e-4;

/// The continua of training galaxies.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Continua {
    /// How many.
    pub galaxies: usize,
    /// Which bands are told of.
    pub bands: Vec<usize>,
    /// Their mean, and below it their covariance, (1 + bands, bands).
    pub moments: Array2<f32>,
    /// The distance that [`Space::USUAL`] of the training galaxies stay below, and of spectra that differ by noise alone.
    pub limit: f64,
}

/// A spectrum's bands, divided by their root mean square.
struct Shape {
    /// Places of the bands that were measured, among all that count.
    places: Vec<usize>,
    flux: Vec<f64>,
    /// Of the noise.
    variance: Vec<f64>,
}

impl Continua {
    /// Of continua (N, 2, bands) with these signal-to-noise ratios; none of fewer than [`FEWEST`] that can be used.
    pub fn fit(continua: ArrayView3<'_, f32>, signal_to_noise: &[f32]) -> Option<Self> {
        let with_signal: Vec<usize> = (0..continua.len_of(Axis(0)))
            .filter(|&row| signal_to_noise[row] >= NO_SIGNAL)
            .collect();
        let is_known =
            |row: usize, band: usize| (0..2).all(|kind| continua[[row, kind, band]].is_finite());
        let bands: Vec<usize> = (0..CONTINUUM_BANDS)
            .filter(|&band| {
                let known = with_signal.iter().filter(|&&row| is_known(row, band));
                known.count() as f64 >= MEASURED * with_signal.len() as f64
            })
            .collect();
        let shapes: Vec<Shape> = with_signal
            .iter()
            .filter(|&&row| bands.iter().all(|&band| is_known(row, band)))
            .filter_map(|&row| Shape::of(continua.index_axis(Axis(0), row), &bands))
            .collect();
        if shapes.len() < FEWEST || 2 * bands.len() < CONTINUUM_BANDS {
            return None;
        }
        let fold = |number: usize| fold(number, shapes.len());
        let distances = (0..FOLDS).into_par_iter().flat_map_iter(|number| {
            let own = fold(number);
            let (before, after) = (&shapes[..own.start], &shapes[own.end..]);
            let others: Vec<&Shape> = before.iter().chain(after).collect();
            let law = Law::of(&others, bands.len());
            let distances: Vec<f64> = shapes[own].iter().map(|of| law.distance(of)).collect();
            distances
        });
        let mut distances: Vec<f64> = distances.collect();
        distances.sort_unstable_by(f64::total_cmp);
        let place = (Space::USUAL * (distances.len() - 1) as f64).round() as usize;
        let law = Law::of(&shapes.iter().collect::<Vec<_>>(), bands.len());
        let mut moments = Array2::zeros((1 + bands.len(), bands.len()));
        let single = |value: f64| value as f32;
        moments.row_mut(0).assign(&law.mean.mapv(single));
        let mut below = moments.slice_mut(s![1.., ..]);
        below.assign(&law.covariance.mapv(single));
        Some(Self {
            galaxies: shapes.len(),
            moments,
            limit: distances[place].max(of_noise(bands.len())),
            bands,
        })
    }

    /// Distances of continua (Q, 2, bands) over the limit: above 1 one is unlike the training galaxies'. NaN where too
    /// little was measured.
    pub fn novelty(&self, continua: ArrayView3<'_, f32>) -> Vec<f32> {
        let law = Law {
            mean: self.moments.row(0).mapv(f64::from),
            covariance: self.moments.slice(s![1.., ..]).mapv(f64::from),
        };
        let rows = continua.outer_iter().into_par_iter();
        rows.map(|continuum| {
            let shape = Shape::of(continuum, &self.bands);
            shape.map_or(f32::NAN, |shape| (law.distance(&shape) / self.limit) as f32)
        })
        .collect()
    }

    /// Whether it is of as many bands as it says, and can tell distances.
    pub fn is_of_one_piece(&self) -> bool {
        let count = self.bands.len();
        let rise = self.bands.is_sorted_by(|one, next| one < next);
        self.moments.dim() == (1 + count, count)
            && rise
            && self
                .bands
                .last()
                .is_some_and(|&band| band < CONTINUUM_BANDS)
            && self.limit > 0.0
    }
}

/// The distance that [`Space::USUAL`] of spectra stay below that differ from the mean by their noise alone: the square root
/// of χ² over its degrees of freedom (Wilson & Hilferty 1931).
fn of_noise(bands: usize) -> f64 {
    /// Standard deviations that 99 % of a normal distribution stay below.
    const USUAL: f64 = 2.326;
    let error = 2.0 / (9.0 * bands as f64);
    (1.0 - error + USUAL * error.sqrt()).powf(1.5)
}

/// The shapes of a part, one behind the other.
fn fold(number: usize, all: usize) -> Range<usize> {
    number * all / FOLDS..(number + 1) * all / FOLDS
}

impl Shape {
    /// Of a continuum (2, bands); none where too few of `bands` were measured.
    fn of(continuum: ArrayView2<'_, f32>, bands: &[usize]) -> Option<Self> {
        let is_known = |band: usize| (0..2).all(|kind| continuum[[kind, band]].is_finite());
        let places = (0..bands.len()).filter(|&place| is_known(bands[place]));
        let places: Vec<usize> = places.collect();
        let values = |kind: usize| -> Vec<f64> {
            let at = |&place: &usize| f64::from(continuum[[kind, bands[place]]]);
            places.iter().map(at).collect()
        };
        let (mut flux, mut variance) = (values(0), values(1));
        let square: f64 = flux.iter().map(|flux| flux * flux).sum();
        let scale = (square / flux.len() as f64).sqrt();
        if (places.len() as f64) < MEASURED * bands.len() as f64 || scale.is_nan() || scale <= 0.0 {
            return None;
        }
        flux.iter_mut().for_each(|flux| *flux /= scale);
        for variance in &mut variance {
            *variance = (*variance / scale).powi(2);
        }
        Some(Self {
            places,
            flux,
            variance,
        })
    }
}

/// How the bands of noiseless spectra are distributed.
struct Law {
    mean: Array1<f64>,
    covariance: Array2<f64>,
}

impl Law {
    /// Of spectra that have all of `bands` bands.
    fn of(shapes: &[&Shape], bands: usize) -> Self {
        let count = shapes.len() as f64;
        let flux = |(row, band): (usize, usize)| shapes[row].flux[band];
        let flux = Array2::from_shape_fn((shapes.len(), bands), flux);
        let mean = flux.sum_axis(Axis(0)) / count;
        let away = flux - &mean;
        let mut covariance = away.t().dot(&away) / (count - 1.0);
        for (band, value) in covariance.diag_mut().iter_mut().enumerate() {
            let noise = shapes.iter().map(|shape| shape.variance[band]).sum::<f64>();
            *value -= noise / count;
        }
        let (values, vectors) = eigen(covariance);
        let most = values.fold(f64::MIN_POSITIVE, |most, &value| most.max(value));
        let values = values.mapv(|value| value.max(LEAST_VARIANCE * most));
        Self {
            covariance: (&vectors * &values).dot(&vectors.t()),
            mean,
        }
    }

    /// How far a spectrum is from the mean: Mahalanobis's distance over the square root of the bands.
    fn distance(&self, shape: &Shape) -> f64 {
        let places = &shape.places;
        let mut covariance =
            Array2::from_shape_fn((places.len(), places.len()), |(row, column)| {
                self.covariance[[places[row], places[column]]]
            });
        let own = shape.variance.iter().zip(&shape.flux);
        for (value, (variance, flux)) in covariance.diag_mut().iter_mut().zip(own) {
            *value += variance + (CALIBRATION * flux).powi(2);
        }
        let at = |(place, _): (usize, usize)| shape.flux[place] - self.mean[places[place]];
        let away = Array2::from_shape_fn((places.len(), 1), at);
        let mut solution = away.clone();
        solve(covariance, &mut solution);
        let square = (&away * &solution).sum() / places.len() as f64;
        square.max(0.0).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    /// Continua on a slope of its own each, with noise of 1 / `signal` in each band.
    fn continua(galaxies: usize, signal: f32, seed: u64) -> Array3<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
        let mut continua = Array3::zeros((galaxies, 2, CONTINUUM_BANDS));
        for mut continuum in continua.outer_iter_mut() {
            let slope = 0.5 + 0.15 * normal();
            for band in 0..CONTINUUM_BANDS {
                let away = band as f32 / 30.0 - 1.0;
                continuum[[0, band]] = 3.0 * (1.0 + slope * away + normal() / signal);
                continuum[[1, band]] = 3.0 / signal;
            }
        }
        continua
    }

    #[test]
    fn distances_are_mahalanobis_of_what_noise_does_not_explain() {
        let law = Law {
            mean: ndarray::array![1.0, 1.0],
            covariance: ndarray::array![[0.09, 0.06], [0.06, 0.09]],
        };
        let shape = Shape {
            places: vec![0, 1],
            flux: vec![1.1, 0.9],
            variance: vec![0.01, 0.02],
        };
        // With C = [[.09 + .01 + .000484, .06], [.06, .09 + .02 + .000324]] and d = (.1, -.1), by hand:
        // d C⁻¹ d = .01 (C₁₁ + C₂₂ + 2 C₁₂) / (C₁₁ C₂₂ − C₁₂²).
        let [first, second, both] = [0.100_484, 0.110_324, 0.06];
        let square = 0.01 * (first + second + 2.0 * both) / (first * second - both * both);
        assert!((law.distance(&shape) - f64::sqrt(square / 2.0)).abs() < 1e-12);
        let alone = Shape {
            places: vec![1],
            flux: vec![1.3],
            variance: vec![0.02],
        };
        let square = 0.09 / (0.09 + 0.02 + (0.02_f64 * 1.3).powi(2));
        assert!((law.distance(&alone) - square.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn noise_alone_is_not_unlike() {
        // 99 % points of χ² with 60 and with 10 degrees of freedom.
        assert!((of_noise(60) - (88.379_f64 / 60.0).sqrt()).abs() < 1e-3);
        assert!((of_noise(10) - (23.209_f64 / 10.0).sqrt()).abs() < 3e-3);
    }

    #[test]
    fn another_shape_is_unlike_and_a_faint_spectrum_of_the_same_is_not() {
        let training = continua(400, 30.0, 1);
        let known = Continua::fit(training.view(), &[5.0; 400]).unwrap();
        assert!(known.is_of_one_piece() && known.galaxies == 400);
        let share = |continua: &Array3<f32>| {
            let novelty = known.novelty(continua.view());
            novelty.iter().filter(|&&value| value > 1.0).count() as f64 / novelty.len() as f64
        };
        assert!(share(&continua(1000, 30.0, 2)) < 0.03);
        assert!(share(&continua(1000, 3.0, 3)) < 0.05);
        let mut steps = continua(50, 30.0, 4);
        steps.slice_mut(s![.., 0, ..30]).fill(0.5);
        assert_eq!(share(&steps), 1.0);
        // A band that is not known is left out; of a spectrum that lacks many, nothing is told.
        let mut part = continua(2, 30.0, 5);
        part.slice_mut(s![.., .., 7..9]).fill(f32::NAN);
        part.slice_mut(s![1, .., 20..40]).fill(f32::NAN);
        let novelty = known.novelty(part.view());
        assert!(novelty[0] < 1.0 && novelty[1].is_nan());

        let few = training.slice(s![..FEWEST - 1, .., ..]);
        assert_eq!(Continua::fit(few, &[5.0; FEWEST - 1]), None);
        assert_eq!(Continua::fit(training.view(), &[0.1; 400]), None);
        // Bands that no spectrum reaches do not count.
        let mut short = training.clone();
        short.slice_mut(s![.., .., 50..]).fill(f32::NAN);
        let short = Continua::fit(short.view(), &[5.0; 400]).unwrap();
        assert_eq!(short.bands, (0..50).collect::<Vec<_>>());
    }
}
