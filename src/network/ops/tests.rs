//! Every operation against its composition from burn's, on the CPU; in `f64`, for which there are no kernels, our own
//! composition runs.

use burn::tensor::{DType, Device, IndexingUpdateOp, Tensor, TensorData, activation, module};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::*;

mod parameters;

/// In the other type, and back.
fn without_kernels<const D: usize>(
    input: Tensor<D>,
    operation: impl FnOnce(Tensor<D>) -> Tensor<D>,
) -> Tensor<D> {
    operation(input.cast(DType::F64)).cast(DType::F32)
}

fn random<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| 2.0 * rng.sample::<f32, _>(StandardNormal))
        .collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff()).require_grad()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Largest difference over the largest magnitude.
fn relative_error(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0, f32::max);
    assert!(ours.iter().all(|value| value.is_finite()));
    largest(&mut ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()))
        / largest(&mut theirs.iter().map(|value| value.abs()))
}

fn assert_same_values<const D: usize>(ours: Tensor<D>, theirs: Tensor<D>) {
    let error = relative_error(&values(ours), &values(theirs));
    assert!(error < 2e-6, "output is off by {error:e}");
}

/// Relative errors of the output and of the gradients of two functions of the same inputs.
macro_rules! errors {
    ($ours:expr, $theirs:expr, $($input:expr),+) => {{
        let evaluate = |function: &dyn Fn() -> Tensor<_>| {
            let output = function();
            let direction = random(output.dims(), 99).detach();
            let tape = (output.clone() * direction).sum().backward();
            vec![values(output), $(values($input.grad(&tape).unwrap())),+]
        };
        let (ours, theirs) = (evaluate(&$ours), evaluate(&$theirs));
        let pairs = ours.iter().zip(&theirs);
        pairs.map(|(ours, theirs)| relative_error(ours, theirs)).collect::<Vec<f32>>()
    }};
}

/// Compares output and gradients of two functions of the same inputs.
macro_rules! assert_same {
    ($ours:expr, $theirs:expr, $($input:expr),+) => {{
        let errors = errors!($ours, $theirs, $($input),+);
        assert!(errors[0] < 2e-6, "output is off by {:e}", errors[0]);
        for (index, error) in errors[1..].iter().enumerate() {
            assert!(*error < 1e-5, "gradient {index} is off by {error:e}");
        }
    }};
}

#[test]
fn gelu_is_exact() {
    let x = random([3, 7, 1741], 0);
    let wanted = || activation::gelu(x.clone());
    assert_same!(|| gelu(x.clone()), wanted, x);
    assert_same!(|| without_kernels(x.clone(), gelu), wanted, x);

    let far = [-1e30, -40.0, -13.0, 0.0, 13.0, 1e30];
    let far = Tensor::<1>::from_floats(far, &Device::flex().autodiff()).require_grad();
    let output = gelu(far.clone());
    let slope = far.grad(&output.clone().sum().backward()).unwrap();
    let near = |ours: Vec<f32>, wanted: [f32; 6]| {
        for (ours, wanted) in ours.into_iter().zip(wanted) {
            assert!(
                (ours - wanted).abs() <= 1e-7 * wanted.abs().max(1.0),
                "{ours} {wanted}"
            );
        }
    };
    near(values(output), [0.0, 0.0, 0.0, 0.0, 13.0, 1e30]);
    near(values(slope), [0.0, 0.0, 0.0, 0.5, 1.0, 1.0]);
}

#[test]
fn layer_norm_agrees_with_composition() {
    let x = random([3, 131, 77], 0);
    let (weight, bias) = (random([77], 1), random([77], 2));
    let inputs = || (x.clone() + 3.0, weight.clone(), bias.clone());
    let wanted = || {
        let (x, weight, bias) = inputs();
        module::layer_norm(x, weight, Some(bias), 1e-6)
    };
    let ours = || {
        let (x, weight, bias) = inputs();
        layer_norm(x, weight, bias, 1e-6)
    };
    assert_same!(ours, wanted, x, weight, bias);
    let composed = || {
        let (x, weight, bias) = inputs();
        without_kernels(x, |x| layer_norm(x, weight, bias, 1e-6))
    };
    assert_same!(composed, wanted, x, weight, bias);
    let (x, weight, bias) = inputs();
    let (weight, bias) = (weight.inner(), bias.inner());
    let untracked = without_kernels(x.inner(), |x| layer_norm(x, weight, bias, 1e-6));
    assert_same_values(untracked, wanted().inner());
}

#[test]
fn linear_agrees_with_composition() {
    let x = random([5, 61, 37], 0);
    let (weight, bias) = (random([37, 83], 1), random([83], 2));
    assert_same!(
        || linear(x.clone(), weight.clone(), bias.clone(), Factors::AsGiven),
        || module::linear(x.clone(), weight.clone(), Some(bias.clone())),
        x,
        weight,
        bias
    );
}

#[test]
fn mlp_agrees_with_composition() {
    // More rows than a task of the backward pass takes at once.
    let x = random([3, 1001, 12], 0);
    let (weight1, bias1) = (random([12, 50], 1), random([50], 2));
    let (weight2, bias2) = (random([50, 12], 3), random([12], 4));
    let composed = || {
        let hidden = module::linear(x.clone(), weight1.clone(), Some(bias1.clone()));
        module::linear(
            activation::gelu(hidden),
            weight2.clone(),
            Some(bias2.clone()),
        )
    };
    let layer1 = || (weight1.clone(), bias1.clone());
    let layer2 = || (weight2.clone(), bias2.clone());
    assert_same!(
        || mlp(x.clone(), layer1(), layer2(), Factors::AsGiven),
        composed,
        x,
        weight1,
        bias1,
        weight2,
        bias2
    );
    let wide =
        |(weight, bias): (Tensor<2>, Tensor<1>)| (weight.cast(DType::F64), bias.cast(DType::F64));
    assert_same!(
        || without_kernels(x.clone(), |x| mlp(
            x,
            wide(layer1()),
            wide(layer2()),
            Factors::AsGiven
        )),
        composed,
        x,
        weight1,
        bias1,
        weight2,
        bias2
    );
}

/// Paper eq. A9 for each group of samples, with everything kept that its gradient needs.
fn plain_self_attention(qkv: Tensor<2>, groups: &[Sequences], heads: usize) -> Tensor<2> {
    let [_, width] = qkv.dims();
    let mut first = 0;
    let outputs = groups.iter().map(|group| {
        let rows = qkv.clone().narrow(0, first, group.rows());
        first += group.rows();
        let rows = rows.reshape([group.samples, group.tokens, width]);
        plain_attention_of_samples(rows, heads).flatten(0, 1)
    });
    Tensor::cat(outputs.collect(), 0)
}

fn plain_attention_of_samples(qkv: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, tokens, width] = qkv.dims();
    let (width, depth) = (width / 3, width / 3 / heads);
    let [query, key, value] = [0, 1, 2].map(|part| {
        let part = qkv.clone().narrow(2, part * width, width);
        part.reshape([batch, tokens, heads, depth]).swap_dims(1, 2)
    });
    let scores = query.matmul(key.swap_dims(2, 3)) * (depth as f64).powf(-0.5);
    let output = activation::softmax(scores, 3).matmul(value);
    output.swap_dims(1, 2).reshape([batch, tokens, width])
}

#[test]
fn self_attention_agrees_with_composition() {
    // More tokens than a block of queries, and a width that is no multiple of a vector.
    for (tokens, heads, depth) in [(1, 1, 8), (17, 3, 12), (195, 2, 20)] {
        // Samples of two lengths.
        let groups = [(3, tokens), (2, 7)].map(|(samples, tokens)| Sequences { samples, tokens });
        let rows = groups.iter().map(Sequences::rows).sum();
        let qkv = random([rows, 3 * heads * depth], tokens as u64);
        let wanted = || plain_self_attention(qkv.clone(), &groups, heads);
        assert_same!(
            || self_attention(qkv.clone(), &groups, heads, Factors::AsGiven),
            wanted,
            qkv
        );
        let attend = |qkv| {
            without_kernels(qkv, |qkv| {
                self_attention(qkv, &groups, heads, Factors::AsGiven)
            })
        };
        assert_same!(|| attend(qkv.clone()), wanted, qkv);
        assert_same_values(attend(qkv.clone().inner()), wanted().inner());
    }
}

#[test]
fn residual_branches_agree_with_scatter() {
    let (whole, weight, gamma) = (random([7, 5], 0), random([5, 5], 1), random([5], 2));
    let device = whole.device();
    let rows = [4, 0, 5];
    let (mut places, mut present, mut scales) = ([2; 7], [0.0; 7], [0.0; 7]);
    for (place, &row) in rows.iter().enumerate() {
        places[row] = place as i32;
        present[row] = 1.0;
        scales[row] = 1.5;
    }
    let subset = RowSubset {
        rows: Tensor::from_ints(rows, &device),
        places: Tensor::from_ints(places, &device),
        present: Tensor::<1>::from_floats(present, &device).unsqueeze_dim(1),
        scales: Tensor::<1>::from_floats(scales, &device).unsqueeze_dim(1),
    };
    let on_some = |whole: Tensor<2>, gamma: Option<Tensor<1>>| {
        let branch = take_rows(whole.clone(), &subset).matmul(weight.clone().cast(whole.dtype()));
        add_branch(whole, branch, gamma, Some(&subset))
    };
    let scattered = |gamma: Tensor<2>| {
        let rows = subset.rows.clone();
        let branch = whole.clone().select(0, rows.clone()).matmul(weight.clone()) * gamma * 1.5;
        let add = IndexingUpdateOp::Add;
        whole.clone().select_assign(0, rows, branch, add)
    };
    let wanted = || scattered(gamma.clone().unsqueeze());
    let ours = |whole| on_some(whole, Some(gamma.clone()));
    assert_same!(|| ours(whole.clone()), wanted, whole, weight, gamma);
    assert_same!(
        || without_kernels(whole.clone(), ours),
        wanted,
        whole,
        weight,
        gamma
    );
    assert_same!(
        || on_some(whole.clone(), None),
        || scattered(Tensor::ones([1, 5], &device)),
        whole,
        weight
    );

    let branch = || whole.clone().matmul(weight.clone());
    assert_same!(
        || add_branch(whole.clone(), branch(), Some(gamma.clone()), None),
        || whole.clone() + branch() * gamma.clone().unsqueeze(),
        whole,
        weight,
        gamma
    );
}

#[test]
fn cross_entropy_agrees_with_composition() {
    let scores = random([7, 1003], 0);
    let wanted = activation::softmax(random([7, 1003], 1).inner() * 3.0, 1) * 2.0;
    let wanted = Tensor::<2>::from_inner(wanted);
    let composed = || {
        let logs = activation::log_softmax(scores.clone() / 0.1, 1);
        (wanted.clone() * logs).sum_dim(1) * -1.0
    };
    let ours = |scores: Tensor<2>| cross_entropy(wanted.clone().cast(scores.dtype()), scores, 0.1);
    assert_same!(|| ours(scores.clone()), composed, scores);
    assert_same!(|| without_kernels(scores.clone(), ours), composed, scores);
    let untracked = cross_entropy(wanted.clone().inner(), scores.clone().inner(), 0.1);
    assert_same_values(untracked, composed().inner());
}

#[test]
fn weights_of_given_lengths_agree_with_composition() {
    // More rows than a task takes.
    let (directions, gains) = (random([131, 37], 0), random([131, 1], 1));
    let composed = || {
        let norms = directions.clone().square().sum_dim(1).sqrt();
        directions.clone() * (gains.clone() / norms)
    };
    let ours = |directions: Tensor<2>| {
        let gains = gains.clone().cast(directions.dtype());
        weight_norm(directions, gains)
    };
    assert_same!(|| ours(directions.clone()), composed, directions, gains);
    assert_same!(
        || without_kernels(directions.clone(), ours),
        composed,
        directions,
        gains
    );
}

#[test]
fn products_with_transposes_agree_with_burn() {
    let (x, weight) = (random([9, 37], 0), random([83, 37], 1));
    let ours = || product(x.clone(), weight.clone().transpose());
    assert_same!(
        ours,
        || x.clone().matmul(weight.clone().transpose()),
        x,
        weight
    );
    let across = weight.clone().transpose().matmul(random([83, 5], 2));
    let ours = || product(x.clone(), across.clone().detach());
    assert_same!(ours, || x.clone().matmul(across.clone().detach()), x);
}

#[test]
fn views_of_other_memory_are_read_as_they_look() {
    let x = random([40, 30], 0);
    let view = || x.clone().transpose().narrow(0, 3, 20);
    let copy = || Tensor::<2>::from_data(view().into_data(), &x.device());
    assert_eq!(values(gelu(view())), values(gelu(copy())));
}

/// Factors rounded to 8 bits move what is a product, but for the gradient of a bias.
fn assert_rounded(errors: &[f32]) {
    assert!(errors.iter().all(|&error| error < 4e-2), "{errors:?}");
    let moved = errors.iter().filter(|&&error| error > 1e-4).count();
    assert!(!multiplies_bf16() || moved >= 2, "{errors:?}");
}

#[test]
fn factors_in_bf16_move_results_by_their_rounding() {
    let x = random([5, 61, 37], 0);
    let (weight, bias) = (random([37, 83], 1), random([83], 2));
    let affine = |factors| linear(x.clone(), weight.clone(), bias.clone(), factors);
    let (rounded, given) = (|| affine(Factors::Bf16), || affine(Factors::AsGiven));
    assert_rounded(&errors!(rounded, given, x, weight, bias));

    // A weight that is in bf16 already, and one whose axes have changed places.
    let narrow = |weight: Tensor<2>| weight.inner().cast(DType::BF16);
    let (input, shift) = (x.clone().inner(), bias.clone().inner());
    let turned = narrow(weight.clone()).transpose().cast(DType::F32);
    let turned = turned.cast(DType::BF16).transpose();
    let wanted = values(linear(
        input.clone(),
        narrow(weight.clone()),
        shift.clone(),
        Factors::Bf16,
    ));
    // Other CPUs multiply factors as they are given.
    if multiplies_bf16() {
        assert_eq!(values(rounded().inner()), wanted);
    }
    assert_eq!(values(linear(input, turned, shift, Factors::Bf16)), wanted);

    let (weight2, bias2) = (random([83, 37], 3), random([37], 4));
    let perceptron = |factors| {
        let layers = [(&weight, &bias), (&weight2, &bias2)];
        let [first, second] = layers.map(|(weight, bias)| (weight.clone(), bias.clone()));
        mlp(x.clone(), first, second, factors)
    };
    let (rounded, given) = (
        || perceptron(Factors::Bf16),
        || perceptron(Factors::AsGiven),
    );
    assert_rounded(&errors!(rounded, given, x, weight, bias, weight2, bias2));

    let groups = [(3, 145), (2, 7)].map(|(samples, tokens)| Sequences { samples, tokens });
    let rows = groups.iter().map(Sequences::rows).sum();
    // Small, so that no token takes all of another's attention.
    let qkv = random([rows, 3 * 24], 5);
    let attention = |factors| self_attention(qkv.clone() * 0.5, &groups, 2, factors);
    let (rounded, given) = (|| attention(Factors::Bf16), || attention(Factors::AsGiven));
    assert_rounded(&errors!(rounded, given, qkv));
}
