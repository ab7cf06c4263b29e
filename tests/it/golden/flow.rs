//! Splines against zuko, expected coverage against the package `tarp`.

use astroclip::evaluation::eval::{
    calibration::{UnitCube, expected_coverage},
    flow::{Knots, LANES, Lanes},
};
use ndarray::{Array1, Array2, Array3, ArrayView1, Axis};
use safetensors::SafeTensors;

use super::reference::{assert_close, folder, golden};

#[test]
fn rational_quadratic_splines() {
    let golden = golden("rqs.safetensors");
    let tensor = |name: &str| golden.tensors[name].values.as_slice();
    let rows = tensor("x").len();
    let knots = golden.tensors["horizontal"].shape[1];
    let (mut y, mut log_derivative, mut x) = (Vec::new(), Vec::new(), Vec::new());
    for start in (0..rows).step_by(LANES) {
        // The last rows again, where they do not fill all lanes.
        let row = |lane: usize| (start + lane).min(rows - 1);
        let lanes = |name: &str, width: usize, column: usize| -> Lanes {
            std::array::from_fn(|lane| tensor(name)[row(lane) * width + column])
        };
        let places = |name| (0..knots).map(|knot| lanes(name, knots, knot)).collect();
        let splines = Knots {
            horizontal: places("horizontal"),
            vertical: places("vertical"),
            derivatives: places("derivatives"),
        };
        let (value, log) = splines.forward(&lanes("x", 1, 0));
        y.extend(value);
        log_derivative.extend(log);
        x.extend(splines.inverse(&value));
    }
    assert_close("y", &y[..rows], tensor("y"), 1e-5);
    assert_close(
        "ln dy/dx",
        &log_derivative[..rows],
        tensor("log_abs_det"),
        1e-4,
    );
    assert_close("x", &x[..rows], tensor("x"), 1e-5);
    for (row, (x, expected)) in x.iter().zip(tensor("x")).enumerate() {
        assert!(
            (x - expected).abs() < 1e-5,
            "row {row}: {x} against {expected}"
        );
    }
}

#[test]
fn expected_coverage_of_random_regions() {
    let bytes = std::fs::read(folder().join("tarp.safetensors")).expect("golden file");
    let file = SafeTensors::deserialize(&bytes).expect("golden tensors");
    let tensor = |name: &str| -> (Vec<usize>, Vec<f64>) {
        let view = file.tensor(name).expect("golden tensor");
        let (chunks, _) = view.data().as_chunks::<8>();
        let values = chunks.iter().map(|&bytes| f64::from_le_bytes(bytes));
        (view.shape().to_vec(), values.collect())
    };
    let (shape, samples) = tensor("samples");
    let samples = Array3::from_shape_vec([shape[0], shape[1], shape[2]], samples).unwrap();
    let matrix = |name: &str| Array2::from_shape_vec([shape[1], shape[2]], tensor(name).1).unwrap();
    let (truth, references) = (matrix("theta"), matrix("references"));

    let cube = UnitCube::of(truth.view());
    let credibilities: Vec<f64> = (0..shape[1])
        .map(|galaxy| {
            let reference = references.row(galaxy).to_vec();
            let distance = |point| cube.square_distance(point, &reference);
            let own = distance(truth.row(galaxy));
            let samples = samples.index_axis(Axis(1), galaxy);
            let nearer = samples
                .rows()
                .into_iter()
                .filter(|&sample| distance(sample) < own);
            let nearer = nearer.count();
            nearer as f64 / shape[0] as f64
        })
        .collect();
    let coverage = expected_coverage(&credibilities, &tensor("alpha").1);
    let expected = Array1::from(tensor("ecp").1);
    let worst = (ArrayView1::from(&coverage).to_owned() - &expected).map(|d| d.abs());
    assert!(
        worst.iter().all(|&d| d < 1e-9),
        "{coverage:?} against {expected:?}"
    );
}
