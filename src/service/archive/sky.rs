//! Where galaxies are on the sky, and which are near a position.

use rayon::prelude::*;

/// Positions of galaxies, from the south to the north, so that a search looks at a strip of the sky alone.
pub struct Sky {
    /// Unit vectors.
    directions: Vec<[f64; 3]>,
    /// Whose they are.
    rows: Vec<u32>,
}

impl Sky {
    /// From right ascensions and declinations in degrees, NaN where unknown.
    ///
    /// # Panics
    /// Where there are 2³² or more.
    pub fn new(positions: impl IndexedParallelIterator<Item = [f64; 2]>) -> Self {
        assert!(u32::try_from(positions.len()).is_ok(), "rows have 32 bits");
        let known = positions.enumerate();
        let known = known.filter_map(|(row, at)| Some((direction(at)?, row as u32)));
        let mut known: Vec<([f64; 3], u32)> = known.collect();
        known.par_sort_unstable_by(|(a, _), (b, _)| a[2].total_cmp(&b[2]));
        let (directions, rows) = known.into_iter().unzip();
        Self { directions, rows }
    }

    /// Number of galaxies whose position is known.
    pub fn known(&self) -> usize {
        self.rows.len()
    }

    /// Galaxies within `radius` degrees of a position and their distances in degrees, nearest first.
    pub fn within(&self, ra: f64, dec: f64, radius: f64) -> Vec<(usize, f64)> {
        let Some(centre) = direction([ra, dec]) else {
            return Vec::new();
        };
        let limit = (radius.clamp(0.0, 180.0).to_radians() / 2.0).sin() * 2.0;
        let from = self
            .directions
            .partition_point(|at| at[2] < centre[2] - limit);
        let to = self
            .directions
            .partition_point(|at| at[2] <= centre[2] + limit);
        let strip = self.directions[from..to].iter().zip(&self.rows[from..to]);
        let near = strip.filter_map(|(at, &row)| {
            let chord = (0..3).map(|axis| (at[axis] - centre[axis]).powi(2));
            let chord = chord.sum::<f64>().sqrt();
            (chord <= limit).then(|| (row as usize, separation(chord)))
        });
        let mut near: Vec<(usize, f64)> = near.collect();
        near.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        near
    }
}

/// Degrees under which a chord of the unit sphere appears.
fn separation(chord: f64) -> f64 {
    2.0 * (chord / 2.0).min(1.0).asin().to_degrees()
}

fn direction([ra, dec]: [f64; 2]) -> Option<[f64; 3]> {
    if !(ra.is_finite() && dec.abs() <= 90.0) {
        return None;
    }
    let (sin_ra, cos_ra) = ra.rem_euclid(360.0).to_radians().sin_cos();
    let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
    Some([cos_dec * cos_ra, cos_dec * sin_ra, sin_dec])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cone_crosses_the_meridian_and_holds_the_pole() {
        let positions = [[359.9, 0.0], [0.1, 0.0], [f64::NAN, f64::NAN], [77.0, 90.0]];
        let sky = Sky::new(positions.into_par_iter());
        assert_eq!(sky.known(), 3);
        let near = sky.within(0.05, 0.0, 0.2);
        assert_eq!(near.iter().map(|found| found.0).collect::<Vec<_>>(), [1, 0]);
        assert!((near[0].1 - 0.05).abs() < 1e-12 && (near[1].1 - 0.15).abs() < 1e-12);
        assert_eq!(sky.within(200.0, 89.9, 0.11).len(), 1);
        assert_eq!(sky.within(0.0, 0.0, 180.0).len(), 3);
        assert!(sky.within(f64::NAN, 0.0, 10.0).is_empty());
    }
}
