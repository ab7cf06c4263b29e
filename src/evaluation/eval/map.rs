//! A map of embeddings in two dimensions: galaxies that are alike lie together.

use bhtsne::{Neighbor, tSNE};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::base::error::{Error, Result};
use crate::evaluation::knn;

/// Neighbours that a galaxy is drawn to, effectively; scikit-learn's default.
const PERPLEXITY: f32 = 30.0;
/// Accuracy of far forces (van der Maaten 2014).
const THETA: f32 = 0.5;
/// Passes of the power iteration.
const ITERATIONS: usize = 60;
/// Spread of the positions from which t-SNE starts (Kobak & Berens 2019).
const START: f32 = 1e-4;

/// Positions `(n, 2)` of embeddings `(n, width)` by t-SNE (van der Maaten & Hinton 2008), from exact neighbours,
/// starting at the first two principal components (Kobak & Berens 2019), so that nothing is left to chance.
///
/// # Errors
/// Where there are fewer than eight.
pub fn embedding_map(embeddings: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
    let rows = embeddings.nrows();
    if rows < 8 {
        return Err(Error::input(format!(
            "a map of {rows} galaxies says nothing; give at least 8"
        )));
    }
    let perplexity = PERPLEXITY.min((rows - 1) as f32 / 3.0);
    let k = (3.0 * perplexity) as usize;
    let found = knn::euclidean(embeddings, embeddings, (k + 1).min(rows))?;
    let neighbours: Vec<Vec<Neighbor<f32>>> = (0..rows)
        .map(|row| {
            let all = found.index.row(row).to_vec().into_iter();
            let others = all.zip(found.score.row(row).to_vec());
            others
                .filter(|(index, _)| *index != row)
                .take(k)
                .map(|(index, distance)| Neighbor {
                    index,
                    distance: distance.max(0.0) as f32,
                })
                .collect()
        })
        .collect();
    let start = principal_components(embeddings);
    let start = start.into_raw_vec_and_offset().0;
    // Sums of several threads differ from run to run, and t-SNE makes much of little.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.map_err(|source| Error::run(format!("a thread cannot start: {source}")))?;
    let positions = pool.install(|| {
        let rows_of: Vec<usize> = (0..rows).collect();
        let mut tsne: tSNE<'_, f32, usize> = tSNE::new(&rows_of);
        tsne.perplexity(perplexity)
            .initial_embedding(start)
            .barnes_hut_with_neighbors(THETA, &neighbours);
        tsne.embedding()
    });
    Ok(Array2::from_shape_vec((rows, 2), positions).expect("two numbers per galaxy"))
}

/// The first two principal components `(n, 2)`, scaled to a spread of [`START`].
fn principal_components(values: ArrayView2<'_, f32>) -> Array2<f32> {
    let mean = values.mean_axis(Axis(0)).expect("there are rows");
    let centred = &values - &mean;
    let mut components = Array2::zeros((values.nrows(), 2));
    let mut found: Vec<Array1<f32>> = Vec::new();
    for mut scores in components.columns_mut() {
        // Any start that is not along one axis alone.
        let mut axis = Array1::from_shape_fn(values.ncols(), |i| 1.0 / (1.0 + i as f32));
        for _ in 0..ITERATIONS {
            axis = centred.t().dot(&centred.dot(&axis));
            for known in &found {
                let along = axis.dot(known);
                axis.scaled_add(-along, known);
            }
            let norm = axis.dot(&axis).sqrt();
            axis /= norm.max(f32::MIN_POSITIVE);
        }
        let projected = centred.dot(&axis);
        let spread = (projected.dot(&projected) / values.nrows() as f32).sqrt();
        scores.assign(&(projected * (START / spread.max(f32::MIN_POSITIVE))));
        found.push(axis);
    }
    components
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::embedding_map;

    #[test]
    fn groups_of_galaxies_stay_apart_on_the_map() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let embeddings = Array2::from_shape_fn((150, 20), |(row, column)| {
            let group = row % 3;
            f32::from(u8::from(column % 3 == group)) + 0.2 * rng.random::<f32>()
        });
        let map = embedding_map(embeddings.view()).unwrap();
        assert_eq!(map, embedding_map(embeddings.view()).unwrap());
        let centre = |group: usize| {
            let rows: Vec<usize> = (group..150).step_by(3).collect();
            map.select(ndarray::Axis(0), &rows)
                .mean_axis(ndarray::Axis(0))
                .unwrap()
        };
        let centres = [centre(0), centre(1), centre(2)];
        for row in 0..150 {
            let distance = |group: usize| (&map.row(row) - &centres[group]).mapv(|v| v * v).sum();
            let nearest = (0..3).min_by(|&a, &b| distance(a).total_cmp(&distance(b)));
            assert_eq!(nearest, Some(row % 3), "galaxy {row}");
        }
    }
}
