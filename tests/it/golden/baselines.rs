//! The supervised networks against PyTorch; `baselines.py` says what the file holds and makes it.

use std::collections::BTreeMap;
use std::path::Path;

use astroclip::base::random::{Purpose, generator};
use astroclip::network::model::{
    ConvAttention, ConvAttentionConfig, Pass, Regressor, ResNet18, ResNetConfig,
};
use astroclip::network::nn::Initializer;
use astroclip::network::weights::{ModulePath, assign, named_parameters};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use super::reference::*;

/// Gradients by parameter, in the layout of PyTorch: matrices are `(outputs, inputs)`.
fn gradients<M: Module>(model: &M, tape: &mut Gradients) -> BTreeMap<String, Vec<f32>> {
    struct Collect<'a> {
        path: ModulePath,
        tape: &'a mut Gradients,
        found: BTreeMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.path.enter(name, container);
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad_remove(self.tape) {
                let gradient = if D == 2 {
                    gradient.transpose()
                } else {
                    gradient
                };
                self.found.insert(self.path.name(), values(gradient));
            }
        }
    }
    let mut visitor = Collect {
        path: ModulePath::default(),
        tape,
        found: BTreeMap::new(),
    };
    model.visit(&mut visitor);
    visitor.found
}

/// Forward in both modes, gradients and running statistics of the network called `name`.
fn agrees_with_pytorch<M: Regressor>(
    name: &str,
    shape: &[usize],
    build: impl FnOnce(usize, &mut Initializer) -> M,
) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/baselines.safetensors");
    let golden = under(&golden_at(&path).tensors, &format!("{name}/"));
    let outputs = golden["train_output"].shape[1];
    let count: usize = shape.iter().product();
    let input: Vec<f32> = (0..count)
        .map(|i| (i * 7919 % 1000) as f32 / 1000.0)
        .collect();
    let input = TensorData::new(input, shape.to_vec());

    let device = Device::flex().autodiff();
    let model = build(outputs, &mut Initializer::new(0, &device));
    let model = assign(model, under(&golden, "before/")).expect("PyTorch's names and shapes");
    let mut rng = generator(0, Purpose::Dropout, 0);
    let output = model.predict(input.clone(), &device, Pass::Training(&mut rng));
    let expected = &golden["train_output"].values;
    assert_close(name, &values(output.clone()), expected, 1e-5);

    let mut tape = output.square().mean().backward();
    let gradients = gradients(&model, &mut tape);
    let expected = under(&golden, "gradient/");
    let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    for (key, expected) in &expected {
        // Where PyTorch finds rounding noise around zero, so may we.
        if largest(&expected.values) > 1e-6 {
            assert_close(key, &gradients[key], &expected.values, 1e-4);
        }
    }
    let parameters = named_parameters(&model);
    for (key, expected) in under(&golden, "after/") {
        assert_close(&key, &parameters[&key].values, &expected.values, 1e-5);
    }

    let trained = model.valid();
    let predict = || {
        let output = trained.predict(input.clone(), &device.clone().inner(), Pass::Inference);
        values(output)
    };
    let predicted = predict();
    assert_close(name, &predicted, &golden["eval_output"].values, 1e-5);
    assert_eq!(predicted, predict(), "inference changes nothing");
}

#[test]
fn resnet18_forward_gradients_and_running_statistics() {
    agrees_with_pytorch("resnet", &[4, 3, 33, 33], |outputs, init| {
        ResNet18::new(&ResNetConfig { width: 2 }, (3, outputs), init)
    });
}

#[test]
fn convolution_attention_forward_and_gradients() {
    agrees_with_pytorch("conv", &[3, 1555], |outputs, init| {
        let config = ConvAttentionConfig {
            channels: vec![2, 4, 4, 6],
            hidden: vec![6, 6],
            ..ConvAttentionConfig::default()
        };
        ConvAttention::new(&config, outputs, init)
    });
}
