//! Each kernel by itself.

use burn::backend::ops::{FloatTensorOps, IntTensorOps};
use burn::backend::{CubeDevice, DispatchDevice};
use burn::tensor::{DType, TensorData};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::future::block_on;
use burn_cubecl::tensor::CubeTensor;

use super::super::{RowUnits, layer_norm, like, of_type, softmax};
use super::{Allowed, KINDS, assert_rows, gpu, random};
use crate::network::ops::residual::{ResidualOps, Seen};

/// Rows and columns.
const SHAPES: [(usize, usize); 11] = [
    (1, 1),
    (1, 77),
    (5, 1),
    (7, 2),
    (3, 32),
    (65, 33),
    (9, 100),
    (145, 145),
    (26, 26),
    (130, 384),
    (2, 1030),
];
pub(super) const EXACT: Allowed = Allowed {
    relative: 2e-5,
    least: 0.0,
};

pub(super) fn device() -> CubeDevice {
    match gpu().as_dispatch() {
        DispatchDevice::Cube(device) => device.clone(),
        other => panic!("{other:?} is no GPU"),
    }
}

pub(super) fn upload<const D: usize>(values: &[f32], shape: [usize; D]) -> CubeTensor {
    CubeBackend::float_from_data(TensorData::new(values.to_vec(), shape), &device())
}

pub(super) fn download(tensor: CubeTensor) -> Vec<f32> {
    let data = block_on(CubeBackend::float_into_data(tensor)).expect("the kernel ran");
    data.try_into_vec().expect("f32")
}

pub(super) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| value.into()).collect()
}

/// The units that share a row as the device has it, and as others have it.
pub(super) fn units() -> Vec<RowUnits> {
    let client = device().client();
    let properties = client.properties();
    let hardware = &properties.hardware;
    let mut all = vec![RowUnits::on(&client)];
    all.extend([8, 32, 64].map(|count| RowUnits {
        count,
        plane: false,
    }));
    // CubeCL reports no sums over planes for software, which has them.
    if hardware.plane_size_min == hardware.plane_size_max {
        all.push(RowUnits {
            count: hardware.plane_size_min,
            plane: true,
        });
    }
    println!("{}: {all:?}", properties.identity.name);
    all
}

/// Calls `check` with a name, numbers and their shape, for all shapes, kinds of numbers and ways to share a row.
fn for_all(check: impl Fn(&str, Vec<f32>, [usize; 2], RowUnits)) {
    for units in units() {
        for (part, (rows, columns)) in SHAPES.into_iter().enumerate() {
            for (kind, of) in KINDS {
                let values = random(rows * columns, part as u64).into_iter().map(of);
                let name = format!("{rows} x {columns}, {kind}, {units:?}");
                check(&name, values.collect(), [rows, columns], units);
            }
        }
    }
}

#[test]
#[ignore = "takes a GPU"]
fn memory_for_results_holds_nan_before() {
    let memory = like(&upload(&[0.0; 1000], [10, 100]));
    assert!(download(memory).iter().all(|value| value.is_nan()));
}

#[test]
#[ignore = "takes a GPU"]
fn softmax_and_its_gradient() {
    const SCALE: f64 = 0.125;
    for_all(|name, values, shape, units| {
        let [_, columns] = shape;
        let grad = random(values.len(), 99);
        let scores = upload(&values, shape);
        let alone = softmax::scaled_softmax(scores.clone(), SCALE, units);
        let (again, slopes) =
            softmax::scaled_softmax_gradient(scores, upload(&grad, shape), SCALE, units);

        let (mut shares, mut wanted) = (Vec::new(), Vec::new());
        for (scores, grad) in wide(&values)
            .chunks(columns)
            .zip(wide(&grad).chunks(columns))
        {
            let largest = scores.iter().fold(f64::NEG_INFINITY, |a, &b| a.max(b));
            let weights = scores.iter().map(|score| (SCALE * (score - largest)).exp());
            let sum: f64 = weights.clone().sum();
            let row: Vec<f64> = weights.map(|weight| weight / sum).collect();
            let mean: f64 = row.iter().zip(grad).map(|(share, grad)| share * grad).sum();
            let slope = |(share, grad): (&f64, &f64)| share * (grad - mean) * SCALE;
            wanted.extend(row.iter().zip(grad).map(slope));
            shares.extend(row);
        }
        assert_rows(
            &format!("shares, {name}"),
            &download(alone),
            &shares,
            columns,
            &[EXACT],
        );
        assert_rows(
            &format!("shares again, {name}"),
            &download(again),
            &shares,
            columns,
            &[EXACT],
        );
        // Where one score has it all, no slope is left but rounding.
        let allowed = Allowed {
            least: 0.1 * SCALE,
            ..EXACT
        };
        assert_rows(
            &format!("slopes, {name}"),
            &download(slopes),
            &wanted,
            columns,
            &[allowed],
        );
    });
}

#[test]
#[ignore = "takes a GPU"]
fn layer_norm_and_its_gradients() {
    const EPSILON: f64 = 1e-6;
    for_all(|name, values, shape, units| {
        let [rows, columns] = shape;
        let (weight, bias) = (random(columns, 97), random(columns, 98));
        let grad = random(values.len(), 99);
        let input = upload(&values, shape);
        let [weights, biases] = [&weight, &bias].map(|values| upload(values, [columns]));
        let output = layer_norm::layer_norm(input.clone(), weights.clone(), biases, EPSILON, units);
        let (slopes, weight_grad, bias_grad) =
            layer_norm::layer_norm_gradients(input, weights, upload(&grad, shape), EPSILON, units);

        let width = columns as f64;
        let (weight, bias) = (wide(&weight), wide(&bias));
        let (mut wanted, mut wanted_slopes) = (Vec::new(), Vec::new());
        let (mut weight_sums, mut bias_sums) = (vec![0.0; columns], vec![0.0; columns]);
        let (mut allowed, mut allowed_slopes) = (Vec::new(), Vec::new());
        for (row, grad) in wide(&values)
            .chunks(columns)
            .zip(wide(&grad).chunks(columns))
        {
            let mean = row.iter().sum::<f64>() / width;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width;
            let inverse = (variance + EPSILON).powf(-0.5);
            let normal: Vec<f64> = row.iter().map(|x| (x - mean) * inverse).collect();
            let inner: Vec<f64> = grad.iter().zip(&weight).map(|(g, w)| g * w).collect();
            let inner_mean = inner.iter().sum::<f64>() / width;
            let slope = inner.iter().zip(&normal).map(|(i, n)| i * n).sum::<f64>() / width;
            for column in 0..columns {
                wanted.push(normal[column] * weight[column] + bias[column]);
                let along = inner_mean + normal[column] * slope;
                wanted_slopes.push((inner[column] - along) * inverse);
                weight_sums[column] += grad[column] * normal[column];
                bias_sums[column] += grad[column];
            }
            // What the mean loses to rounding, in deviations.
            let lost = row.iter().fold(0.0, |a: f64, b| a.max(b.abs())) * inverse;
            let relative = EXACT.relative + 8.0 * f64::from(f32::EPSILON) * lost;
            allowed.push(Allowed {
                relative,
                least: 1.0,
            });
            // Two numbers are always at one deviation: no slope is left but rounding.
            allowed_slopes.push(Allowed {
                relative,
                least: inverse,
            });
        }
        let sums = Allowed {
            relative: allowed.iter().fold(0.0, |a: f64, b| a.max(b.relative)),
            least: (rows as f64).sqrt(),
        };
        let results = [
            ("output", output, wanted, allowed),
            ("slopes", slopes, wanted_slopes, allowed_slopes),
            ("weight's gradient", weight_grad, weight_sums, vec![sums]),
            ("bias's gradient", bias_grad, bias_sums, vec![sums]),
        ];
        for (what, ours, wanted, allowed) in results {
            assert_rows(
                &format!("{what}, {name}"),
                &download(ours),
                &wanted,
                columns,
                &allowed,
            );
        }
    });
}

/// `tensor` and its values as this type rounds them.
fn rounded(values: &[f32], shape: [usize; 2], dtype: DType) -> (CubeTensor, Vec<f64>) {
    let tensor = of_type(upload(values, shape), dtype);
    let values = wide(&download(of_type(tensor.clone(), DType::F32)));
    (tensor, values)
}

#[test]
#[ignore = "takes a GPU"]
fn residual_branch_and_its_gradients() {
    const SCALE: f64 = 1.25;
    let dtypes = [(DType::F32, EXACT.relative), (DType::BF16, 1.0 / 256.0)];
    let known = dtypes
        .into_iter()
        .filter(|(dtype, _)| gpu().supports_dtype(*dtype));
    for (dtype, relative) in known {
        for (part, (all, columns)) in SHAPES.into_iter().enumerate() {
            for ((kind, of), dropping) in
                KINDS.iter().flat_map(|&kind| [(kind, false), (kind, true)])
            {
                let name = format!("{all} x {columns}, {kind}, {dtype:?}, dropping {dropping}");
                // From the last on, every other row.
                let rows: Vec<usize> = match dropping {
                    true => (0..all).rev().step_by(2).collect(),
                    false => (0..all).collect(),
                };
                let values =
                    |count: usize, seed: u64| random(count * columns, 10 * part as u64 + seed);
                let hard: Vec<f32> = values(rows.len(), 0).into_iter().map(of).collect();
                let (branches, branch) = rounded(&hard, [rows.len(), columns], dtype);
                let (wholes, whole) = rounded(&values(all, 1), [all, columns], dtype);
                let (grads, grad) = rounded(&values(all, 2), [all, columns], dtype);
                let gamma = values(1, 3);
                let gammas = upload(&gamma, [columns]);
                let (mut places, mut scales) = (vec![0; all], vec![0.0; all]);
                for (place, &row) in rows.iter().enumerate() {
                    places[row] = place as i32;
                    scales[row] = SCALE as f32;
                }
                let indices = |values: Vec<i32>| {
                    let count = values.len();
                    CubeBackend::int_from_data(TensorData::new(values, [count]), &device())
                };
                let seen = match dropping {
                    true => Seen::Some {
                        rows: indices(rows.iter().map(|&row| row as i32).collect()),
                        places: indices(places),
                        scales: upload(&scales, [all, 1]),
                    },
                    false => Seen::All,
                };
                let scale = if dropping { SCALE } else { 1.0 };
                let sum =
                    CubeBackend::add_branch(wholes, branches.clone(), gammas.clone(), seen.clone());
                let (slopes, gamma_grad) =
                    CubeBackend::add_branch_gradients(branches, gammas, grads, seen);

                let gamma = wide(&gamma);
                let mut wanted = whole;
                let (mut wanted_slopes, mut sums, mut largest) =
                    (Vec::new(), vec![0.0; columns], 0.0f64);
                for (place, &row) in rows.iter().enumerate() {
                    for column in 0..columns {
                        let (from, to) = (place * columns + column, row * columns + column);
                        wanted[to] += branch[from] * gamma[column] * scale;
                        wanted_slopes.push(grad[to] * scale * gamma[column]);
                        let term = grad[to] * scale * branch[from];
                        sums[column] += term;
                        largest = largest.max(term.abs());
                    }
                }
                let allowed = Allowed {
                    relative,
                    least: 0.0,
                };
                let allowed_sums = Allowed {
                    least: largest,
                    ..EXACT
                };
                let results = [
                    ("sum", sum, wanted, allowed),
                    ("slopes", slopes, wanted_slopes, allowed),
                    ("factors' gradient", gamma_grad, sums, allowed_sums),
                ];
                for (what, ours, wanted, allowed) in results {
                    let ours = download(of_type(ours, DType::F32));
                    assert_rows(
                        &format!("{what}, {name}"),
                        &ours,
                        &wanted,
                        columns,
                        &[allowed],
                    );
                }
            }
        }
    }
}

#[test]
#[ignore = "takes a GPU"]
fn a_branch_with_nan_reaches_its_own_row_alone() {
    let (all, columns) = (5, 33);
    let (rows, places) = (vec![3, 1], vec![0, 1, 0, 0, 0]);
    let indices = |values: Vec<i32>| {
        let count = values.len();
        CubeBackend::int_from_data(TensorData::new(values, [count]), &device())
    };
    let seen = Seen::Some {
        rows: indices(rows),
        places: indices(places),
        scales: upload(&[0.0, 2.0, 0.0, 2.0, 0.0], [all, 1]),
    };
    let mut branch = random(2 * columns, 0);
    branch[..columns].fill(f32::NAN);
    let whole = upload(&random(all * columns, 1), [all, columns]);
    let gamma = upload(&random(columns, 2), [columns]);
    let sum = CubeBackend::add_branch(whole, upload(&branch, [2, columns]), gamma, seen);
    for (row, values) in download(sum).chunks(columns).enumerate() {
        assert!(
            values.iter().all(|value| value.is_nan() == (row == 3)),
            "row {row}"
        );
    }
}

#[test]
#[ignore = "takes a GPU"]
fn a_row_with_nan_is_nan_and_the_others_are_not() {
    for units in units() {
        let (rows, columns) = (11, 45);
        let mut values = random(rows * columns, 0);
        values[3 * columns + 44] = f32::NAN;
        let scores = upload(&values, [rows, columns]);
        let [weight, bias] = [1, 2].map(|part| upload(&random(columns, part), [columns]));
        let grad = upload(&random(values.len(), 3), [rows, columns]);
        let (shares, slopes) =
            softmax::scaled_softmax_gradient(scores.clone(), grad.clone(), 1.0, units);
        let results = [
            softmax::scaled_softmax(scores.clone(), 1.0, units),
            shares,
            slopes,
            layer_norm::layer_norm(scores.clone(), weight.clone(), bias, 1e-6, units),
            layer_norm::layer_norm_gradients(scores, weight, grad, 1e-6, units).0,
        ];
        for (which, result) in results.into_iter().enumerate() {
            for (row, values) in download(result).chunks(columns).enumerate() {
                let expected = |value: &f32| value.is_nan() == (row == 3);
                assert!(
                    values.iter().all(expected),
                    "result {which}, row {row}, {units:?}"
                );
            }
        }
    }
}
