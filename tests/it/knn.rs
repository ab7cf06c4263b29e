//! k-NN against scikit-learn's values, and against brute force where sums of single precision fail.

use std::{env, fs, path::PathBuf};

use astroclip::evaluation::knn::{self, Weights};
use ndarray::{Array1, Array2, Axis};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;

fn reference(name: &str) -> PathBuf {
    env::var_os("ASTROCLIP_REFERENCE")
        .map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
            PathBuf::from,
        )
        .join(name)
}

fn matrix<const BYTES: usize, T>(
    file: &SafeTensors<'_>,
    name: &str,
    decode: fn([u8; BYTES]) -> T,
) -> Array2<T> {
    let tensor = file.tensor(name).unwrap();
    let shape = (tensor.shape()[0], tensor.shape()[1]);
    let (chunks, _) = tensor.data().as_chunks::<BYTES>();
    let values = chunks.iter().map(|&bytes| decode(bytes)).collect();
    Array2::from_shape_vec(shape, values).unwrap()
}

/// scikit-learn's `KNeighborsRegressor(64, weights="distance")`, `r2_score` and cosine top-10.
#[test]
fn equals_scikit_learn() {
    let bytes = fs::read(reference("knn.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |name| matrix(&file, name, f32::from_le_bytes);
    let (train, test) = (floats("x_train"), floats("x_test"));
    let (y_train, y_test) = (
        floats("y_train").mapv(f64::from),
        floats("y_test").mapv(f64::from),
    );

    let neighbours = knn::euclidean(train.view(), test.view(), 64).unwrap();
    let predicted = knn::regress(&neighbours, y_train.view(), Weights::Distance);
    let expected = floats("knn64_distance_pred").mapv(f64::from);
    let worst = (&predicted - &expected).map(|d| d.abs());
    assert!(
        worst.iter().all(|&d| d < 1e-6),
        "{:?}",
        worst.iter().cloned().fold(0.0, f64::max)
    );

    let json: serde_json::Value =
        serde_json::from_slice(&fs::read(reference("knn.json")).unwrap()).unwrap();
    let mean: Array1<f64> = y_test.mean_axis(Axis(0)).unwrap();
    for target in 0..y_test.ncols() {
        let residual = (&predicted - &y_test).column(target).map(|d| d * d).sum();
        let total = y_test
            .column(target)
            .map(|y| (y - mean[target]).powi(2))
            .sum();
        let expected = json["r2_per_target"][target].as_f64().unwrap();
        assert!((1.0 - residual / total - expected).abs() < 1e-6);
    }

    let index = matrix(&file, "cosine_top10", i64::from_le_bytes).mapv(|row| row as usize);
    let score = floats("cosine_top10_score").mapv(f64::from);
    let nearest = knn::cosine(train.view(), test.view(), index.ncols()).unwrap();
    assert_eq!(nearest.index, index);
    assert!((&nearest.score - &score).iter().all(|d| d.abs() < 1e-6));
}

/// Integer coordinates far from the origin: many exact ties, and squares that f32 cannot hold.
#[test]
fn ties_go_to_the_lower_row_and_offsets_do_not_matter() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let mut draw =
        |rows| Array2::from_shape_simple_fn((rows, 5), || 50_000.0 + rng.random_range(0..4) as f32);
    let (gallery, queries) = (draw(5_000), draw(200));
    let nearest = knn::euclidean(gallery.view(), queries.view(), 40).unwrap();
    for (query, vector) in queries.rows().into_iter().enumerate() {
        let mut brute: Vec<(i64, usize)> = gallery
            .rows()
            .into_iter()
            .map(|row| {
                row.iter()
                    .zip(vector)
                    .map(|(a, b)| (a - b) as i64)
                    .map(|d| d * d)
                    .sum()
            })
            .zip(0..)
            .collect();
        brute.sort_unstable();
        for (nth, (square, row)) in brute.into_iter().take(40).enumerate() {
            assert_eq!(nearest.index[[query, nth]], row);
            assert_eq!(nearest.score[[query, nth]], (square as f64).sqrt());
        }
    }
}

#[test]
fn coincident_neighbours_outweigh_all_others() {
    let gallery = ndarray::array![[0.0_f32, 0.0], [0.0, 0.0], [1.0, 0.0], [9.0, 9.0]];
    let targets = ndarray::array![[1.0], [3.0], [100.0], [1000.0]];
    let queries = ndarray::array![[0.0_f32, 0.0], [0.5, 0.0]];
    let neighbours = knn::euclidean(gallery.view(), queries.view(), 3).unwrap();
    let by_distance = knn::regress(&neighbours, targets.view(), Weights::Distance);
    let uniform = knn::regress(&neighbours, targets.view(), Weights::Uniform);
    assert_eq!(by_distance.column(0).to_vec(), [2.0, 104.0 / 3.0]);
    assert_eq!(uniform.column(0).to_vec(), [104.0 / 3.0, 104.0 / 3.0]);
}

#[test]
fn counterparts_rank_as_brute_force_and_a_collapsed_model_ranks_by_chance() {
    // By cosine with the query of angle 0: rows at angles 0.1 (own), 0, 0.2, and one of zeros.
    let at = |angle: f32| [2.0 * angle.cos(), 2.0 * angle.sin()];
    let gallery = ndarray::arr2(&[at(0.1), at(0.0), at(0.2), [0.0, 0.0]]);
    let queries = ndarray::arr2(&[at(0.0), at(0.16), at(0.2), at(3.0)]);
    let ranks = knn::counterpart_ranks(gallery.view(), queries.view()).unwrap();
    assert_eq!(ranks, [2.0, 3.0, 1.0, 1.0]);

    let collapsed = Array2::<f32>::ones((9, 4));
    let ranks = knn::counterpart_ranks(collapsed.view(), collapsed.view()).unwrap();
    assert_eq!(ranks, [5.0; 9]);
}

#[test]
fn bad_input_is_refused_with_its_value() {
    let gallery = Array2::<f32>::ones((3, 2));
    let mut queries = Array2::<f32>::ones((4, 2));
    let error = |gallery: &Array2<f32>, queries: &Array2<f32>, k| {
        let error = knn::euclidean(gallery.view(), queries.view(), k).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(error(&gallery, &queries, 4).contains("k = 4 nearest neighbours among 3"));
    assert!(error(&gallery, &Array2::ones((1, 5)), 1).contains("width 5 among vectors of width 2"));
    queries[[2, 1]] = f32::NAN;
    assert!(error(&gallery, &queries, 1).contains("row 2 of the queries"));
}
