//! Principal components of many wide vectors.

use ndarray::{Array1, Array2, ArrayBase, ArrayView1, ArrayView2, Axis, DataMut, Ix2, Zip};

use super::{Product, eigen};

/// Directions beyond those that are asked for, which make these more exact.
const SPARE: usize = 10;
/// Passes of the iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4).
const PASSES: usize = 4;

/// The directions along which vectors vary most.
#[derive(Debug, Clone, PartialEq)]
pub struct PrincipalComponents {
    /// Mean vector `(width)`.
    pub mean: Array1<f32>,
    /// Orthogonal, those of largest variance first, `(components, width)`; of unit length, unless they are scaled.
    pub axes: Array2<f32>,
    /// Standard deviation along each.
    pub deviations: Vec<f64>,
}

impl PrincipalComponents {
    /// The first so many, or as many as there can be, of vectors `(n, width)`, n ≥ 1; `draw` gives random numbers to begin
    /// with.
    pub fn fit(mut vectors: Array2<f32>, components: usize, draw: impl FnMut() -> f32) -> Self {
        let (count, width) = vectors.dim();
        let mean = vectors.mean_axis(Axis(0)).expect("there are vectors");
        vectors -= &mean;
        let most = width.min(count.saturating_sub(1)).max(1);
        let wanted = (components + SPARE).min(most);
        let mut axes = Array2::from_shape_simple_fn((wanted, width), draw);
        orthonormalize(&mut axes);
        for _ in 0..PASSES {
            let scores = product(vectors.view(), axes.t());
            axes = product(scores.t(), vectors.view());
            orthonormalize(&mut axes);
        }
        // Within what they span, the axes of the variance.
        let scores = product(vectors.view(), axes.t()).mapv(f64::from);
        let (variances, directions) = eigen(scores.t().dot(&scores) / count as f64);
        let mut order: Vec<usize> = (0..wanted).collect();
        order.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]));
        order.truncate(components.min(wanted));
        let rotation = directions
            .select(Axis(1), &order)
            .mapv(|value| value as f32);
        let deviations = order.iter().map(|&index| variances[index].max(0.0).sqrt());
        Self {
            mean,
            axes: product(rotation.t(), axes.view()),
            deviations: deviations.collect(),
        }
    }

    /// With axes divided by the deviation along them to the power `whitening`: at 1 all coordinates vary alike, at 0 they
    /// keep their sizes. Directions that vary by less than a millionth of the first one become zeros.
    pub fn whitened(mut self, whitening: f64) -> Self {
        let least = 1e-6 * self.deviations.first().copied().unwrap_or(0.0);
        for (mut axis, &deviation) in self.axes.rows_mut().into_iter().zip(&self.deviations) {
            let scale = match deviation > least {
                true => deviation.powf(-whitening),
                false => 0.0,
            };
            axis *= scale as f32;
        }
        self
    }

    /// Coordinates `(n, components)` of vectors `(n, width)`.
    pub fn project(&self, mut vectors: Array2<f32>) -> Array2<f32> {
        vectors -= &self.mean;
        product(vectors.view(), self.axes.t())
    }
}

fn product(left: ArrayView2<'_, f32>, right: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut output = Array2::zeros((left.nrows(), right.ncols()));
    Product::of(left, right)
        .on_all_threads()
        .write_to(output.view_mut());
    output
}

/// Makes rows orthonormal, from the first on; one that lies within those before it becomes zeros.
pub fn orthonormalize<S: DataMut<Elem = f32>>(rows: &mut ArrayBase<S, Ix2>) {
    let mut exact = rows.mapv(f64::from);
    for row in 0..exact.nrows() {
        let before = exact.row(row).dot(&exact.row(row)).sqrt();
        // Twice is enough (Giraud et al. 2005).
        for _ in 0..2 {
            let (known, mut rest) = exact.view_mut().split_at(Axis(0), row);
            let mut own = rest.row_mut(0);
            let along = known.dot(&own);
            own -= &along.dot(&known);
        }
        let norm = exact.row(row).dot(&exact.row(row)).sqrt();
        let scale = match norm > 1e-6 * before {
            true => norm.recip(),
            false => 0.0,
        };
        exact.row_mut(row).mapv_inplace(|value| value * scale);
    }
    rows.zip_mut_with(&exact, |row, &exact| *row = exact as f32);
}

/// Rows `(rows, columns)` in means of `bin` neighbours `(rows, bins)`, each row with mean 0 and standard deviation 1; one that
/// is constant becomes zeros.
pub fn standard_bins(rows: ArrayView2<'_, f32>, bin: usize) -> Array2<f32> {
    let mut scaled = Array2::zeros((rows.nrows(), rows.ncols() / bin));
    Zip::from(scaled.axis_iter_mut(Axis(0)))
        .and(rows.axis_iter(Axis(0)))
        .par_for_each(|mut scaled, row| {
            let row = binned(&row.to_vec(), bin);
            let count = row.len() as f64;
            let mean = row.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
            let square = |&value: &f32| (f64::from(value) - mean).powi(2);
            let deviation = (row.iter().map(square).sum::<f64>() / count).sqrt();
            let scale = match deviation > 0.0 {
                true => deviation.recip(),
                false => 0.0,
            };
            scaled.assign(&ArrayView1::from(&row));
            scaled.mapv_inplace(|value| ((f64::from(value) - mean) * scale) as f32);
        });
    scaled
}

/// Means of `bin` neighbours each; the last ones that make no whole bin are left out.
pub fn binned(values: &[f32], bin: usize) -> Vec<f32> {
    match bin {
        1 => values.to_vec(),
        _ => {
            let bins = values.chunks_exact(bin);
            bins.map(|own| own.iter().sum::<f32>() / bin as f32)
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors in which three shapes have amplitudes of 4, 2 and 1.
    fn vectors(count: usize) -> Array2<f32> {
        Array2::from_shape_fn((count, 200), |(row, column)| {
            let wave = |k: usize| (std::f64::consts::TAU * (k * column) as f64 / 200.0).sin();
            let amplitude = |k: usize| ((row * k * k + 3 * row) as f64).sin();
            let sum = 4.0 * amplitude(2) * wave(2)
                + 2.0 * amplitude(5) * wave(3)
                + amplitude(9) * wave(4);
            (7.0 + sum) as f32
        })
    }

    fn fit(vectors: Array2<f32>, components: usize) -> PrincipalComponents {
        let mut seed = 1_u32;
        PrincipalComponents::fit(vectors, components, || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
    }

    #[test]
    fn components_are_orthonormal_ordered_and_hold_what_varies() {
        let vectors = vectors(120);
        let found = fit(vectors.clone(), 3);
        assert_eq!(found.axes.dim(), (3, 200));
        let square = found.axes.dot(&found.axes.t()) - Array2::<f32>::eye(3);
        assert!(square.iter().all(|value| value.abs() < 1e-4), "{square}");
        assert!(found.deviations.is_sorted_by(|a, b| a >= b));
        let scores = found.project(vectors.clone());
        let rest = vectors.clone() - &found.mean - scores.dot(&found.axes);
        let share = |values: &Array2<f32>| values.iter().map(|v| f64::from(v * v)).sum::<f64>();
        assert!(share(&rest) < 1e-4 * share(&scores));
        let white = found.clone().whitened(1.0).project(vectors);
        for column in white.columns() {
            let variance = column.iter().map(|v| f64::from(v * v)).sum::<f64>() / 120.0;
            assert!((variance - 1.0).abs() < 1e-3, "{variance}");
        }
    }

    #[test]
    fn few_or_constant_vectors_are_no_hindrance() {
        let constant = Array2::from_elem((3, 50), 2.0);
        let found = fit(constant.clone(), 10).whitened(0.5);
        assert!(found.project(constant).iter().all(|value| *value == 0.0));
        let two = fit(vectors(2), 10);
        assert_eq!(two.axes.nrows(), 1);
        assert!(two.axes.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn bins_are_means_and_whole() {
        assert_eq!(binned(&[1.0, 3.0, 5.0, 9.0, 2.0], 2), [2.0, 7.0]);
        assert_eq!(binned(&[1.0, 3.0], 1), [1.0, 3.0]);
    }
}
