//! Each operation with its gradients through fusion and automatic differentiation, against the CPU.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{Allowed, KINDS, assert_rows, gpu, random};
use crate::network::ops::{
    Factors, RowSubset, Sequences, add_branch, gelu, layer_norm, linear, mlp, product,
    self_attention, take_rows,
};

/// NVIDIA GPUs round factors of a product to 11 bits.
const PRODUCT: Allowed = Allowed {
    relative: 2e-3,
    least: 1e-6,
};
const EXACT: Allowed = Allowed {
    relative: 2e-5,
    least: 1e-6,
};

/// Numbers of a shape.
type Input = (Vec<f32>, [usize; 2]);

fn normal(shape: [usize; 2], part: u64) -> Input {
    (random(shape[0] * shape[1], part), shape)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("f32")
}

/// What `function` makes of `inputs` on `device`, and the gradients of the inputs.
fn evaluate(
    device: Device,
    inputs: &[Input],
    function: &dyn Fn(&[Tensor<2>]) -> Tensor<2>,
) -> Vec<Vec<f32>> {
    let device = device.autodiff();
    let inputs: Vec<Tensor<2>> = inputs
        .iter()
        .map(|(values, shape)| {
            Tensor::from_data(TensorData::new(values.clone(), *shape), &device).require_grad()
        })
        .collect();
    let output = function(&inputs);
    let shape = output.dims();
    let direction = TensorData::new(random(shape[0] * shape[1], 1000), shape);
    let direction = Tensor::<2>::from_data(direction, &device);
    let tape = (output.clone() * direction).sum().backward();
    let gradients = inputs
        .iter()
        .map(|input| values(input.grad(&tape).expect("a gradient")));
    std::iter::once(values(output)).chain(gradients).collect()
}

/// Asserts that outputs and gradients are those of the CPU, as a whole and not row by row: rows of gradients may be sums
/// that cancel.
#[track_caller]
fn assert_as_on_cpu(
    what: &str,
    inputs: &[Input],
    allowed: Allowed,
    function: impl Fn(&[Tensor<2>]) -> Tensor<2>,
) {
    let ours = evaluate(gpu(), inputs, &function);
    let cpu = evaluate(Device::flex(), inputs, &function);
    for (part, (ours, cpu)) in ours.iter().zip(&cpu).enumerate() {
        let name = match part {
            0 => format!("{what}: output"),
            _ => format!("{what}: gradient {}", part - 1),
        };
        let cpu: Vec<f64> = cpu.iter().map(|&value| value.into()).collect();
        assert_rows(&name, ours, &cpu, ours.len(), &[allowed]);
    }
}

fn row(tensor: &Tensor<2>) -> Tensor<1> {
    tensor.clone().flatten(0, 1)
}

#[test]
#[ignore = "takes a GPU"]
fn gelu_on_a_gpu() {
    for shape in [[1, 1], [3, 77], [145, 130]] {
        for (kind, of) in KINDS {
            let (values, shape) = normal(shape, 0);
            let values = values.into_iter().map(of).collect();
            let name = format!("{shape:?}, {kind}");
            assert_as_on_cpu(&name, &[(values, shape)], EXACT, |x| gelu(x[0].clone()));
        }
    }
}

#[test]
#[ignore = "takes a GPU"]
fn layer_norm_of_views() {
    // Rows from the middle of other memory, and columns that were rows.
    for (rows, columns) in [(1, 64), (9, 77), (26, 100)] {
        let inputs = [
            normal([rows + 3, columns], 0),
            normal([columns, rows], 1),
            normal([1, columns], 2),
            normal([1, columns], 3),
        ];
        assert_as_on_cpu(&format!("{rows} x {columns}"), &inputs, EXACT, |x| {
            let view = x[0].clone().narrow(0, 2, rows) + x[1].clone().transpose();
            let first = layer_norm(view, row(&x[2]), row(&x[3]), 1e-6);
            let turned = layer_norm(x[1].clone().transpose(), row(&x[2]), row(&x[3]), 1e-6);
            let middle = layer_norm(
                x[0].clone().narrow(0, 1, rows),
                row(&x[2]),
                row(&x[3]),
                1e-6,
            );
            first + turned * 2.0 + middle * 3.0
        });
    }
}

#[test]
#[ignore = "takes a GPU"]
fn products() {
    for (rows, inputs, hidden) in [
        (1, 1, 3),
        (1, 37, 83),
        (5, 64, 2),
        (145, 100, 33),
        (52, 128, 512),
    ] {
        let weights = [
            normal([rows, inputs], 0),
            normal([inputs, hidden], 1),
            normal([1, hidden], 2),
        ];
        let name = format!("linear, {rows} x {inputs} x {hidden}");
        assert_as_on_cpu(&name, &weights, PRODUCT, |x| {
            linear(x[0].clone(), x[1].clone(), row(&x[2]), Factors::AsGiven)
        });
        let [input, weight1, bias1] = weights;
        let all = [
            input,
            weight1,
            bias1,
            normal([hidden, inputs], 3),
            normal([1, inputs], 4),
        ];
        let name = format!("mlp, {rows} x {inputs} x {hidden}");
        assert_as_on_cpu(&name, &all, PRODUCT, |x| {
            let layer = |at: usize| (x[at].clone(), row(&x[at + 1]));
            mlp(x[0].clone(), layer(1), layer(3), Factors::AsGiven)
        });
    }
}

#[test]
#[ignore = "takes a GPU"]
fn attention_in_samples_of_all_lengths() {
    let cases: [(&[(usize, usize)], usize, usize); 5] = [
        (&[(1, 1)], 1, 8),
        (&[(2, 145), (3, 26)], 2, 20),
        (&[(3, 17), (2, 7)], 3, 12),
        (&[(1, 145)], 1, 64),
        (&[(1, 257), (4, 1)], 2, 16),
    ];
    for (groups, heads, depth) in cases {
        let groups: Vec<Sequences> = groups
            .iter()
            .map(|&(samples, tokens)| Sequences { samples, tokens })
            .collect();
        let rows = groups.iter().map(Sequences::rows).sum();
        for (kind, of) in KINDS {
            let (values, shape) = normal([rows, 3 * heads * depth], 0);
            // Scores of thousands differ by less than single precision tells apart.
            let of = |x: f32| match kind {
                "large" => 10.0 * x,
                "far from 0" => x + 5.0,
                _ => of(x),
            };
            let qkv = (values.into_iter().map(of).collect(), shape);
            let name = format!("{groups:?}, {heads} heads of {depth}, {kind}");
            assert_as_on_cpu(&name, &[qkv], PRODUCT, |x| {
                self_attention(x[0].clone(), &groups, heads, Factors::AsGiven)
            });
        }
    }
}

/// Some of `all` rows, whose factor is 1.5.
fn subset(rows: &[i32], all: usize, device: &Device) -> RowSubset {
    let (mut places, mut present) = (vec![0; all], vec![0.0; all]);
    for (place, &row) in rows.iter().enumerate() {
        places[row as usize] = place as i32;
        present[row as usize] = 1.0;
    }
    let column =
        |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [all, 1]), device);
    let indices = |values: Vec<i32>| {
        let count = values.len();
        Tensor::<1, Int>::from_data(TensorData::new(values, [count]), device)
    };
    RowSubset {
        rows: indices(rows.to_vec()),
        places: indices(places),
        scales: column(present.iter().map(|x| 1.5 * x).collect()),
        present: column(present),
    }
}

#[test]
#[ignore = "takes a GPU"]
fn residual_branches() {
    for (all, rows, width) in [
        (1, vec![0], 5),
        (7, vec![4, 0, 5], 33),
        (40, vec![39, 1], 64),
        (131, (0..131).rev().step_by(3).collect(), 130),
    ] {
        let inputs = [
            normal([all, width], 0),
            normal([width, width], 1),
            normal([1, width], 2),
        ];
        let name = format!("{} of {all} rows of {width}", rows.len());
        let branch = |x: &[Tensor<2>], gamma: Option<Tensor<1>>| {
            let subset = subset(&rows, all, &x[0].device());
            let branch = product(take_rows(x[0].clone(), &subset), x[1].clone());
            add_branch(x[0].clone(), branch, gamma, Some(&subset))
        };
        assert_as_on_cpu(&name, &inputs, PRODUCT, |x| branch(x, Some(row(&x[2]))));
        let name = format!("{name}, without factors");
        assert_as_on_cpu(&name, &inputs[..2], PRODUCT, |x| branch(x, None));
        let name = format!("all rows of {width}");
        assert_as_on_cpu(&name, &inputs, PRODUCT, |x| {
            let branch = product(x[0].clone(), x[1].clone());
            add_branch(x[0].clone(), branch, Some(row(&x[2])), None)
        });
    }
}
