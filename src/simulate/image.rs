//! The cutout: components, neighbours, atmosphere and noise in g, r, z.

use ndarray::{Array3, ArrayViewMut2, Axis};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Poisson, StandardNormal};

use super::{morphology::add_point, normal, photometry, variant::Changes};
use crate::survey::{CUTOUT_SIZE, PIXEL_SCALE};

const SIZE: usize = CUTOUT_SIZE;

/// Lognormal distribution with an offset: `loc + scale exp(shape N)`.
struct ShiftedLognormal {
    shape: f64,
    loc: f64,
    scale: f64,
}

impl ShiftedLognormal {
    fn at(&self, normal: f64) -> f64 {
        self.loc + self.scale * (self.shape * normal).exp()
    }
}

/// Dispersion of the point spread function in g, r, z, pixels of 0.262": the fits of Stein et al.
/// (2021b). Their medians are 1.48", 1.33" and 1.24" FWHM.
const PSF_DISPERSION: [ShiftedLognormal; 3] = [
    ShiftedLognormal {
        shape: 0.210_996_6,
        loc: 1.080_715_3,
        scale: 1.315_317_1,
    },
    ShiftedLognormal {
        shape: 0.300_848_5,
        loc: 1.239_432_6,
        scale: 0.916_475_7,
    },
    ShiftedLognormal {
        shape: 0.347_117_2,
        loc: 1.192_836_3,
        scale: 0.823_370_2,
    },
];

/// Noise per pixel in g, r, z, nanomaggies (Stein et al. 2021b).
const NOISE: [ShiftedLognormal; 3] = [
    ShiftedLognormal {
        shape: 0.226_492_6,
        loc: -0.000_673_5,
        scale: 0.003_760_2,
    },
    ShiftedLognormal {
        shape: 0.243_114_6,
        loc: -0.002_366_3,
        scale: 0.006_741_7,
    },
    ShiftedLognormal {
        shape: 0.133_484_4,
        loc: -0.014_341_6,
        scale: 0.026_077_9,
    },
];

/// Surface brightness of the dark sky in g, r, z as DECam sees it, AB mag per square arcsec. Where an
/// object is as bright its photons double the variance.
const SKY_BRIGHTNESS: [f64; 3] = [22.0, 21.0, 19.0];

/// The galaxies beside: r magnitude limits, mean number in a cutout, slope of the log counts.
const FIELD_RANGE: [f64; 2] = [18.5, 24.6];
const FIELD_COUNT: f64 = 13.0;
const FIELD_SLOPE: f64 = 0.40;
/// Foreground stars at high Galactic latitude, likewise.
const STAR_RANGE: [f64; 2] = [15.5, 23.0];
const STAR_COUNT: f64 = 1.0;
const STAR_SLOPE: f64 = 0.18;

/// One canvas per band, nanomaggies per pixel.
pub(super) type Canvas = [Vec<f32>; 3];

/// An empty cutout.
pub(super) fn empty_canvas() -> Canvas {
    std::array::from_fn(|_| vec![0f32; SIZE * SIZE])
}

/// Adds `map`, scaled to each band's flux.
pub(super) fn add_component(canvas: &mut Canvas, map: &[f32], fluxes: [f64; 3]) {
    for (band, flux) in canvas.iter_mut().zip(fluxes) {
        let flux = flux as f32;
        for (sum, value) in band.iter_mut().zip(map) {
            *sum += flux * value;
        }
    }
}

/// A magnitude from counts that grow as 10^(slope m) between two limits.
fn draw_magnitude([bright, faint]: [f64; 2], slope: f64, rng: &mut impl Rng) -> f64 {
    let range = 10f64.powf(slope * (bright - faint));
    faint + (range + (1.0 - range) * rng.random::<f64>()).log10() / slope
}

fn count(mean: f64, rng: &mut impl Rng) -> usize {
    Poisson::new(mean).expect("a positive mean").sample(rng) as usize
}

fn anywhere(rng: &mut impl Rng) -> [f64; 2] {
    [0, 1].map(|_| rng.random::<f64>() * (SIZE as f64 - 1.0))
}

/// Fluxes in g, r, z from r, g − r and r − z.
fn fluxes(r: f64, g_r: f64, r_z: f64) -> [f64; 3] {
    [r + g_r, r, r - r_z].map(photometry::nanomaggies)
}

/// Adds one small galaxy, an inclined exponential disc.
fn add_small_galaxy(
    canvas: &mut Canvas,
    centre: [f64; 2],
    half_light: f64,
    fluxes: [f64; 3],
    rng: &mut impl Rng,
) {
    let scale = (half_light / 1.678 / PIXEL_SCALE).max(0.35);
    let ratio = 0.3 + 0.7 * rng.random::<f64>();
    let (sin, cos) = (std::f64::consts::PI * rng.random::<f64>()).sin_cos();
    let reach = 5.0 * scale;
    let range = |at: f64| (at - reach).max(0.0) as usize..((at + reach) as usize + 1).min(SIZE);
    let sub = if scale < 2.0 { 3 } else { 1 };
    let total = 2.0 * std::f64::consts::PI * scale * scale * ratio * f64::from(sub * sub);
    for y in range(centre[1]) {
        for x in range(centre[0]) {
            let mut sum = 0.0;
            for step in 0..sub * sub {
                let shift = |step: i32| (f64::from(step) + 0.5) / f64::from(sub) - 0.5;
                let dx = x as f64 - centre[0] + shift(step % sub);
                let dy = y as f64 - centre[1] + shift(step / sub);
                let (along, across) = (dx * cos + dy * sin, (dy * cos - dx * sin) / ratio);
                sum += (-(along * along + across * across).sqrt() / scale).exp();
            }
            for (band, flux) in canvas.iter_mut().zip(fluxes) {
                band[y * SIZE + x] += (flux * sum / total) as f32;
            }
        }
    }
}

/// The galaxies around the one of interest.
pub(super) struct Surroundings {
    /// Mean number of companions of the same colour: groups and clusters around massive red galaxies.
    pub(super) companions: f64,
    /// Whether a companion of similar brightness is close by.
    pub(super) merger: bool,
    /// Half-light radius of the galaxy itself, arcsec.
    pub(super) half_light: f64,
    /// Its fluxes, nanomaggies.
    pub(super) fluxes: [f64; 3],
}

/// Adds neighbours: field galaxies, companions and foreground stars.
pub(super) fn add_neighbours(canvas: &mut Canvas, around: &Surroundings, rng: &mut impl Rng) {
    for _ in 0..count(FIELD_COUNT, rng) {
        let r = draw_magnitude(FIELD_RANGE, FIELD_SLOPE, rng);
        let g_r = (0.75 + 0.40 * normal(rng)).clamp(-0.1, 1.8);
        let r_z = (0.25 + 0.55 * g_r + 0.20 * normal(rng)).clamp(-0.2, 2.0);
        let half_light = 10f64.powf(-0.14 * (r - 22.0) - 0.32 + 0.18 * normal(rng));
        add_small_galaxy(
            canvas,
            anywhere(rng),
            half_light.min(4.0),
            fluxes(r, g_r, r_z),
            rng,
        );
    }
    for _ in 0..count(around.companions, rng) {
        let fainter = 1.0 + 3.0 * rng.random::<f64>().sqrt();
        let fluxes = around.fluxes.map(|flux| flux * 10f64.powf(-0.4 * fainter));
        let half_light = around.half_light * 10f64.powf(-0.13 * fainter + 0.1 * normal(rng));
        add_small_galaxy(
            canvas,
            anywhere(rng),
            half_light.clamp(0.2, 4.0),
            fluxes,
            rng,
        );
    }
    if around.merger {
        let angle = std::f64::consts::TAU * rng.random::<f64>();
        let distance = around.half_light * (1.5 + 1.5 * rng.random::<f64>()) / PIXEL_SCALE;
        let middle = (SIZE as f64 - 1.0) / 2.0;
        let place = [
            middle + distance * angle.cos(),
            middle + distance * angle.sin(),
        ];
        let share = 0.1 + 0.4 * rng.random::<f64>();
        let half_light = around.half_light * share.sqrt();
        add_small_galaxy(
            canvas,
            place,
            half_light.clamp(0.2, 6.0),
            around.fluxes.map(|flux| flux * share),
            rng,
        );
    }
    for _ in 0..count(STAR_COUNT, rng) {
        let r = draw_magnitude(STAR_RANGE, STAR_SLOPE, rng);
        // Turn-off stars of the halo and thick disc, or M dwarfs (Ivezić et al. 2008).
        let (g_r, r_z) = if rng.random::<f64>() < 0.4 {
            let g_r = 0.45 + 0.15 * normal(rng);
            (g_r, 0.5 * g_r - 0.05)
        } else {
            (1.40 + 0.10 * normal(rng), 0.8 + 1.5 * rng.random::<f64>())
        };
        let [x, y] = anywhere(rng);
        for (band, flux) in canvas.iter_mut().zip(fluxes(r, g_r, r_z)) {
            add_point(band, x, y, flux as f32);
        }
    }
}

/// Dispersion of the point spread function and noise of one exposure stack.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Conditions {
    /// Dispersion of the point spread function per band, pixels.
    pub(super) dispersion: [f64; 3],
    /// Noise per pixel per band, nanomaggies.
    pub(super) noise: [f64; 3],
    /// How far, in pixels, resampling moved the pixels along x and y: it correlates the noise.
    pub(super) resampling: [f64; 2],
}

impl Conditions {
    /// Draws the weather; bands share part of it.
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        let shared = normal(rng);
        let depth = normal(rng);
        let mut with = |common: f64| (0.8 * common + 0.6 * normal(rng)).clamp(-2.5, 2.5);
        Self {
            dispersion: PSF_DISPERSION.each_ref().map(|band| band.at(with(shared))),
            noise: NOISE.each_ref().map(|band| band.at(with(depth))),
            resampling: [0.5 * rng.random::<f64>(), 0.5 * rng.random::<f64>()],
        }
    }

    /// As a variant of the survey has them.
    pub(super) fn changed(self, changes: &Changes) -> Self {
        Self {
            dispersion: self.dispersion.map(|width| width * changes.seeing),
            noise: self.noise.map(|noise| noise * changes.image_noise),
            ..self
        }
    }
}

/// Gaussian taps on one side of the centre, normalised with the other side.
fn gaussian(dispersion: f64) -> Vec<f32> {
    let radius = (3.2 * dispersion).ceil() as i32;
    let taps: Vec<f64> = (-radius..=radius)
        .map(|tap| (-0.5 * (f64::from(tap) / dispersion).powi(2)).exp())
        .collect();
    let sum: f64 = taps.iter().sum();
    taps.iter().map(|tap| (tap / sum) as f32).collect()
}

/// Convolves a map with a round Gaussian, first along rows, then along columns, and adds `weight` times
/// the result. Nothing comes in from outside the cutout.
fn add_blurred(map: &[f32], dispersion: f64, weight: f32, out: &mut ArrayViewMut2<'_, f32>) {
    let taps = gaussian(dispersion);
    let radius = taps.len() / 2;
    let mut rows = vec![0f32; SIZE * SIZE];
    let mut padded = vec![0f32; SIZE + 2 * radius];
    for (row, blurred) in map.chunks_exact(SIZE).zip(rows.chunks_exact_mut(SIZE)) {
        padded[radius..radius + SIZE].copy_from_slice(row);
        for (tap, &coefficient) in taps.iter().enumerate() {
            for (sum, value) in blurred.iter_mut().zip(&padded[tap..tap + SIZE]) {
                *sum += coefficient * value;
            }
        }
    }
    for (y, mut target) in out.axis_iter_mut(Axis(0)).enumerate() {
        let target = target
            .as_slice_mut()
            .expect("rows of an image are contiguous");
        for (tap, &coefficient) in taps.iter().enumerate() {
            let Some(source) = (y + tap).checked_sub(radius).filter(|&row| row < SIZE) else {
                continue;
            };
            let coefficient = coefficient * weight;
            for (sum, value) in target
                .iter_mut()
                .zip(&rows[source * SIZE..(source + 1) * SIZE])
            {
                *sum += coefficient * value;
            }
        }
    }
}

/// Sends a canvas through the atmosphere and the camera: `(band, y, x)`, nanomaggies.
///
/// The point spread function is a core with 85 % of the light and a wing twice as wide, close to a
/// Moffat profile with β = 3.5. The noise's correlation between neighbouring pixels is that of the
/// cutout service's bilinear resampling.
pub(super) fn observe(canvas: &Canvas, conditions: &Conditions, rng: &mut impl Rng) -> Array3<f32> {
    let mut image = Array3::zeros((3, SIZE, SIZE));
    let mut white = vec![0f32; (SIZE + 1) * (SIZE + 1)];
    for (band, map) in canvas.iter().enumerate() {
        let mut plane = image.index_axis_mut(Axis(0), band);
        let dispersion = conditions.dispersion[band];
        add_blurred(map, 0.94 * dispersion, 0.85, &mut plane);
        add_blurred(map, 1.88 * dispersion, 0.15, &mut plane);

        white.fill_with(|| rng.sample(StandardNormal));
        let [shift_x, shift_y] = conditions.resampling.map(|shift| shift as f32);
        let variance = |shift: f32| shift * shift + (1.0 - shift) * (1.0 - shift);
        let sigma = conditions.noise[band] as f32 / (variance(shift_x) * variance(shift_y)).sqrt();
        let area = PIXEL_SCALE * PIXEL_SCALE;
        let sky = (photometry::nanomaggies(SKY_BRIGHTNESS[band]) * area) as f32;
        for (y, mut row) in plane.axis_iter_mut(Axis(0)).enumerate() {
            let below = &white[y * (SIZE + 1)..(y + 1) * (SIZE + 1)];
            let above = &white[(y + 1) * (SIZE + 1)..(y + 2) * (SIZE + 1)];
            for (x, value) in row.iter_mut().enumerate() {
                let along = |line: &[f32]| (1.0 - shift_x) * line[x] + shift_x * line[x + 1];
                let noise = (1.0 - shift_y) * along(below) + shift_y * along(above);
                *value += sigma * noise * (1.0 + value.max(0.0) / sky).sqrt();
            }
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn atmosphere_keeps_the_flux_and_sets_the_width() {
        let mut canvas = empty_canvas();
        add_point(&mut canvas[1], 75.0, 75.0, 100.0);
        let conditions = Conditions {
            dispersion: [2.0; 3],
            noise: [0.0; 3],
            resampling: [0.0; 2],
        };
        let image = observe(&canvas, &conditions, &mut ChaCha8Rng::seed_from_u64(0));
        assert!((image.sum() - 100.0).abs() < 0.1);
        // Full width at half maximum between 2.2 and 2.5 dispersions.
        let peak = image[[1, 75, 75]];
        let half = (0..20)
            .take_while(|&x| image[[1, 75, 75 + x]] > 0.5 * peak)
            .count();
        assert_eq!(half, 3);
    }

    #[test]
    fn noise_has_the_stated_size() {
        let conditions = Conditions {
            dispersion: [2.0; 3],
            noise: [0.003, 0.005, 0.012],
            resampling: [0.4, 0.2],
        };
        let image = observe(
            &empty_canvas(),
            &conditions,
            &mut ChaCha8Rng::seed_from_u64(0),
        );
        for (band, expected) in conditions.noise.iter().enumerate() {
            let plane = image.index_axis(Axis(0), band);
            let measured =
                f64::from(plane.mapv(|value| value * value).mean().unwrap_or(0.0)).sqrt();
            assert!((measured / expected - 1.0).abs() < 0.03);
        }
    }
}
