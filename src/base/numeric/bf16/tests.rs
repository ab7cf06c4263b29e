//! Products in bf16 against sums in `f64` of the same rounded factors.

use half::bf16;
use ndarray::{Array2, ArrayView2, s};

use super::super::{Factors, Product};

/// Rows, inner numbers, columns: of awkward sizes, of a block more, and deeper than what is multiplied at a time.
const SHAPES: [(usize, usize, usize); 12] = [
    (1, 1, 1),
    (1, 5, 7),
    (5, 1, 3),
    (13, 33, 1),
    (26, 31, 64),
    (145, 64, 145),
    (97, 2049, 33),
    (50, 4100, 70),
    (7, 8, 300),
    (0, 3, 4),
    (4, 3, 0),
    (3, 0, 5),
];

fn numbers(shape: (usize, usize), step: usize) -> Array2<f32> {
    Array2::from_shape_fn(shape, |(i, j)| {
        ((i * 7 + j * step) % 101) as f32 / 37.0 - 1.3
    })
}

fn rounded(matrix: ArrayView2<f32>) -> Array2<f64> {
    matrix.map(|&number| bf16::from_f32(number).to_f64())
}

/// The product on one thread and on all, which give the same bits.
fn product(of: Product, shape: (usize, usize)) -> Array2<f32> {
    let mut outputs = [of, of.on_all_threads()].map(|product| {
        let mut output = Array2::from_elem((shape.0, shape.1 + 3), 7.0);
        product.write_to(output.slice_mut(s![.., ..shape.1]));
        assert!(output.slice(s![.., shape.1..]).iter().all(|&x| x == 7.0));
        output.slice(s![.., ..shape.1]).to_owned()
    });
    let bits = |output: &Array2<f32>| output.map(|number| number.to_bits());
    assert_eq!(bits(&outputs[0]), bits(&outputs[1]));
    std::mem::take(&mut outputs[0])
}

#[test]
fn products_are_sums_of_rounded_factors_in_any_order_of_memory() {
    if !super::available() {
        return;
    }
    for (rows, inner, columns) in SHAPES {
        let (left, right) = (numbers((rows, inner), 13), numbers((inner, columns), 5));
        let wanted = rounded(left.view()).dot(&rounded(right.view()));
        let turned = |matrix: &Array2<f32>| matrix.t().as_standard_layout().into_owned();
        let (left_turned, right_turned) = (turned(&left), turned(&right));
        let narrow = right.map(|&number| bf16::from_f32(number));
        let narrow_turned = right_turned.map(|&number| bf16::from_f32(number));
        // Every second number, in both directions.
        let sparse = Array2::from_shape_fn((2 * rows, 2 * inner), |(i, j)| left[[i / 2, j / 2]]);
        let sparse = sparse.slice(s![..;2, ..;2]);
        let wide =
            |left, right| product(Product::of(left, right).with(Factors::Bf16), wanted.dim());
        let of_bf16 = |right| product(Product::of_bf16(left.view(), right), wanted.dim());
        let first = wide(left.view(), right.view());
        for (ours, wanted) in first.iter().zip(&wanted) {
            let error = (f64::from(*ours) - wanted).abs();
            assert!(
                error <= 2e-6 * inner as f64,
                "{rows} {inner} {columns}: {error:e}"
            );
        }
        for other in [
            wide(left_turned.t(), right.view()),
            wide(left.view(), right_turned.t()),
            wide(left_turned.t(), right_turned.t()),
            wide(sparse, right.view()),
            of_bf16(narrow.view()),
            of_bf16(narrow_turned.t()),
        ] {
            assert_eq!(first, other, "{rows} {inner} {columns}");
        }
    }
}

#[test]
fn extreme_numbers_come_through() {
    if !super::available() {
        return;
    }
    let times = |a: &[f32], b: &[f32]| {
        let (a, b) = (
            ArrayView2::from_shape((1, a.len()), a),
            ArrayView2::from_shape((b.len(), 1), b),
        );
        product(
            Product::of(a.unwrap(), b.unwrap()).with(Factors::Bf16),
            (1, 1),
        )[[0, 0]]
    };
    assert_eq!(
        times(&[1e30, 1.0], &[1e-30, 1.0]),
        bf16::from_f32(1e30).to_f32() * bf16::from_f32(1e-30).to_f32() + 1.0
    );
    assert_eq!(times(&[2.0_f32.powi(127)], &[4.0]), f32::INFINITY);
    assert_eq!(
        times(&[f32::NEG_INFINITY, 1.0], &[1.0, 1.0]),
        f32::NEG_INFINITY
    );
    assert!(times(&[f32::INFINITY, 0.0, 1.0], &[0.0, 1.0, 1.0]).is_nan());
    assert!(times(&[1.0, f32::NAN], &[1.0, 1.0]).is_nan());
    // Ties go to the even neighbour; subnormal numbers are zero.
    assert_eq!(times(&[1.0 + 2.0_f32.powi(-8)], &[1.0]), 1.0);
    assert_eq!(
        times(&[1.0 + 3.0 * 2.0_f32.powi(-8)], &[1.0]),
        1.0 + 2.0_f32.powi(-6)
    );
    assert_eq!(times(&[1e-40], &[1.0]), 0.0);
    assert_eq!(times(&[2.0_f32.powi(-100)], &[2.0_f32.powi(-40)]), 0.0);
}
