//! Absorption lines of stars at redshift 0.

use std::ops::Range;

use crate::survey::WavelengthGrid;

/// Absorption lines that stars of most types have some of: Ca II K and H, Hδ, Hβ, Mg b, Na D, Hα and the Ca II triplet.
/// Wavelength in vacuum and half of the width over which they are measured, Å.
const LINES: [(f64, f64); 10] = [
    (3934.8, 8.0),
    (3969.6, 8.0),
    (4102.9, 8.0),
    (4862.7, 8.0),
    (5175.0, 13.0),
    (5894.6, 8.0),
    (6564.6, 8.0),
    (8500.4, 8.0),
    (8544.4, 8.0),
    (8664.5, 8.0),
];
/// Fewest of the lines that tell anything together.
const FEWEST_LINES: usize = 6;
/// From where to where beside a line its continuum is measured, Å.
const BESIDE: [f64; 2] = [6.0, 36.0];
/// What one line may say, in standard deviations: an emission line, or an absorption line of a galaxy that happens to lie
/// there, decides nothing alone.
const OF_ONE_LINE: [f64; 2] = [-3.0, 5.0];

/// Where the lines lie on a grid of wavelengths.
#[derive(Debug, Clone)]
pub(super) struct StarLines {
    lines: Vec<Line>,
    /// Å of a pixel.
    step: f64,
}

/// The pixels of a line, and those beside it.
#[derive(Debug, Clone)]
struct Line {
    within: Range<usize>,
    beside: [Range<usize>; 2],
}

impl StarLines {
    pub fn new(grid: &WavelengthGrid) -> Self {
        // The pixels from one wavelength to another, where the grid has them all.
        let pixels = |from: f64, to: f64| {
            let place = |wavelength: f64| (wavelength - grid.start) / grid.step;
            let (first, end) = (place(from).ceil(), place(to).floor() + 1.0);
            (first >= 0.0 && end <= grid.len as f64).then_some(first as usize..end as usize)
        };
        let lines = LINES.iter().filter_map(|&(centre, half)| {
            let [near, far] = BESIDE.map(|away| half + away);
            let line = Line {
                within: pixels(centre - half, centre + half)?,
                beside: [
                    pixels(centre - far, centre - near)?,
                    pixels(centre + near, centre + far)?,
                ],
            };
            // On a coarse grid nothing of a line is left.
            let enough = line.within.len() >= 3 && line.beside.iter().all(|side| side.len() >= 4);
            enough.then_some(line)
        });
        Self {
            lines: lines.collect(),
            step: grid.step,
        }
    }

    /// How significant they are together, in standard deviations; NaN where too few were measured.
    pub fn significance(&self, spectrum: &[f32], is_unknown: impl Fn(usize) -> bool) -> f32 {
        let lines = self.lines.iter();
        let depths = lines.filter_map(|line| line.depth(spectrum, &is_unknown, self.step));
        let [least, most] = OF_ONE_LINE;
        let (sum, count) = depths.fold((0.0, 0_usize), |(sum, count), depth| {
            (sum + depth.clamp(least, most), count + 1)
        });
        match count < FEWEST_LINES {
            true => f32::NAN,
            false => (sum / (count as f64).sqrt()) as f32,
        }
    }
}

impl Line {
    /// How much light is missing below the straight line through what is beside, in standard deviations; `None` where too
    /// little was measured.
    fn depth(
        &self,
        spectrum: &[f32],
        is_unknown: impl Fn(usize) -> bool,
        step: f64,
    ) -> Option<f64> {
        let whole = self.beside[0].start..self.beside[1].end;
        if 4 * whole.clone().filter(|&pixel| is_unknown(pixel)).count() > whole.len() {
            return None;
        }
        let middle = 0.5 * (whole.start + whole.end - 1) as f64;
        let at = |pixel: usize| (step * (pixel as f64 - middle), f64::from(spectrum[pixel]));
        let beside = || self.beside.iter().cloned().flatten().map(at);
        let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (place, flux) in beside() {
            n += 1.0;
            x += place;
            y += flux;
            xx += place * place;
            xy += place * flux;
        }
        let slope = (n * xy - x * y) / (n * xx - x * x);
        let level = (y - slope * x) / n;
        let above = |(place, flux): (f64, f64)| level + slope * place - flux;
        let mut scatter: Vec<f64> = beside().map(|pixel| above(pixel).abs()).collect();
        let half = scatter.len() / 2;
        let (_, &mut scatter, _) = scatter.select_nth_unstable_by(half, f64::total_cmp);
        let missing: f64 = self.within.clone().map(at).map(above).sum();
        let within = self.within.len() as f64;
        // The standard deviation of a pixel from the median deviation; the line has an error of its own.
        let error = 1.482_6 * scatter * (within + within * within / n).sqrt();
        (error > 0.0).then(|| missing / error)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::survey::{DESI_GRID, STAR_LINES};

    /// The significance in a spectrum with noise of one standard deviation about `flux` by wavelength.
    fn significance(grid: &WavelengthGrid, flux: impl Fn(f64) -> f64, seed: u64) -> f32 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let flux = grid.wavelengths().into_iter().map(|wavelength| {
            let noise: f64 = StandardNormal.sample(&mut rng);
            (flux(wavelength) + noise) as f32
        });
        StarLines::new(grid).significance(&flux.collect::<Vec<_>>(), |_| false)
    }

    #[test]
    fn absorption_at_redshift_0_is_a_stars_and_that_of_a_galaxy_is_not() {
        let lines = |redshift: f64| {
            move |wavelength: f64| {
                let depth = LINES.iter().map(|(centre, _)| {
                    let away = (wavelength - centre * (1.0 + redshift)) / 2.5;
                    0.3 * (-0.5 * away * away).exp()
                });
                5.0 * (1.0 - depth.sum::<f64>())
            }
        };
        let star = significance(&DESI_GRID, lines(0.0), 3);
        // Equivalent widths of 1.9 Å at 5 standard deviations per pixel of 0.8 Å: 11.7 of one pixel's, over 21 pixels and
        // a continuum of 74, so 2.3 for one line and 7 for ten, each with an error of 1.
        assert!((5.0..9.0).contains(&star), "{star}");
        for redshift in [0.02, 0.1, 0.26, 0.4] {
            let galaxy = significance(&DESI_GRID, lines(redshift), 4);
            assert!(galaxy < 3.0, "{redshift}: {galaxy}");
        }
        let sky = significance(&DESI_GRID, |_| 0.0, 2);
        assert!(sky.abs() < STAR_LINES - 1.0, "{sky}");
        let coarse = WavelengthGrid {
            step: 40.0,
            len: 150,
            ..DESI_GRID
        };
        assert!(significance(&coarse, |_| 3.0, 5).is_nan());
    }
}
