//! The operations of a model's blocks one by one, at the shapes of a training step: how far its products and its attention
//! are from what the device can do.

use burn::tensor::{DType, Device, Distribution, Tensor};
use comfy_table::CellAlignment;
use serde::Serialize;

use super::super::{print, print_json};
use super::timing::{Times, time};
use crate::app::cli::BenchEmbed;
use crate::base::error::{Error, Result};
use crate::base::terminal::new_table;
use crate::network::nn::{Precision, entering};
use crate::network::ops::{Sequences, gelu, layer_norm, linear, self_attention};
use crate::survey::Modality;
use crate::training::config::{self, ImageRun, SpectrumRun};
use crate::views::augment::GLOBAL_CROPS;

/// Inputs that an operation takes in turn: more than fit into a cache.
const INPUTS: usize = 2;
/// Of the released models' norms.
const EPSILON: f64 = 1e-6;

/// Blocks of a transformer, and what a training step sends through one.
struct Shape {
    width: usize,
    hidden: usize,
    heads: usize,
    groups: Vec<Sequences>,
}

impl Shape {
    /// Of a step of DINOv2: the student's crops without the samples that stochastic depth drops.
    fn of_images(run: &ImageRun, samples: usize) -> Self {
        let (model, crops) = (&run.model, &run.images.crops);
        let group = |crops: usize, side: usize| Sequences {
            samples: (((crops * samples) as f64 * (1.0 - model.drop_path)) as usize).max(1),
            tokens: 1 + (side / model.patch_size).pow(2),
        };
        Self {
            width: model.width,
            hidden: (model.width as f64 * model.mlp_ratio) as usize,
            heads: model.heads,
            groups: vec![
                group(GLOBAL_CROPS, crops.global_size),
                group(crops.local_count, crops.local_size),
            ],
        }
    }

    fn of_spectra(run: &SpectrumRun, samples: usize) -> Self {
        let tokens = run.spectra.tokens.tokens(run.survey.wavelengths.len);
        Self {
            width: run.model.width,
            hidden: (run.model.width as f64 * run.model.mlp_ratio) as usize,
            heads: run.model.heads,
            groups: vec![Sequences { samples, tokens }],
        }
    }

    /// Tokens of the step.
    fn rows(&self) -> usize {
        self.groups.iter().map(Sequences::rows).sum()
    }
}

/// What an operation takes; medians over the rounds.
#[derive(Debug, Serialize)]
struct OperationRate {
    operation: &'static str,
    shape: String,
    forward_ms: f64,
    /// The forward pass and the gradients of the input and, of a product, of weight and bias.
    training_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward_tflops_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training_tflops_per_second: Option<f64>,
}

#[derive(Debug, Serialize)]
struct OperationRates {
    of: Modality,
    precision: Precision,
    batch: usize,
    operations: Vec<OperationRate>,
}

pub(super) fn run(args: &BenchEmbed) -> Result<()> {
    let bench = &args.bench;
    let (samples, config) = (bench.batch_size as usize, bench.config.as_deref());
    let shape = match args.of {
        Modality::Image => {
            let run: ImageRun = config::load(Some(config.unwrap_or("vitl-released")), &bench.set)?;
            Shape::of_images(&run, samples)
        }
        Modality::Spectrum => {
            let run: SpectrumRun = config::load(Some(config.unwrap_or("specformer")), &bench.set)?;
            Shape::of_spectra(&run, samples)
        }
    };
    let stand = Stand {
        device: bench.device.device.open()?,
        precision: bench.precision,
        steps: bench.steps as usize,
        warmup: bench.warmup as usize,
    };
    let rates = OperationRates {
        of: args.of,
        precision: bench.precision,
        batch: samples,
        operations: stand.measure(&shape)?,
    };
    match bench.json {
        true => print_json(&rates),
        false => print(&render(&rates)),
    }
}

/// Where operations are measured, and how.
struct Stand {
    device: Device,
    precision: Precision,
    steps: usize,
    warmup: usize,
}

type Operation<'a> = Box<dyn Fn(Tensor<2>) -> Tensor<2> + 'a>;

impl Stand {
    fn measure(&self, shape: &Shape) -> Result<Vec<OperationRate>> {
        let Shape { width, hidden, .. } = *shape;
        let mut rates = Vec::new();
        for (name, inputs, outputs) in [
            ("qkv", width, 3 * width),
            ("proj", width, width),
            ("fc1", width, hidden),
            ("fc2", hidden, width),
        ] {
            let with_weights = |device: &Device| -> Operation<'_> {
                let weight: Tensor<2> = self.normal([inputs, outputs], device);
                let bias: Tensor<1> = self.normal([outputs], device);
                Box::new(move |input| {
                    let (input, factors) = entering(input);
                    linear(input, weight.clone(), bias.clone(), factors)
                })
            };
            let work = (2 * inputs * outputs) as f64 * shape.rows() as f64;
            let text = format!("{} x {inputs} x {outputs}", shape.rows());
            let input = [shape.rows(), inputs];
            rates.push(self.rate((name, text), input, Some(work), with_weights)?);
        }
        rates.push(self.attention(shape)?);
        let text = |columns: usize| format!("{} x {columns}", shape.rows());
        let norm = |device: &Device| -> Operation<'_> {
            let [weight, bias] = [(); 2].map(|()| self.normal([width], device));
            Box::new(move |input| {
                layer_norm(entering(input).0, weight.clone(), bias.clone(), EPSILON)
            })
        };
        let input = [shape.rows(), width];
        rates.push(self.rate(("layer norm", text(width)), input, None, norm)?);
        let activation =
            |_: &Device| -> Operation<'_> { Box::new(|input| gelu(entering(input).0)) };
        let input = [shape.rows(), hidden];
        rates.push(self.rate(("gelu", text(hidden)), input, None, activation)?);
        Ok(rates)
    }

    fn attention(&self, shape: &Shape) -> Result<OperationRate> {
        let groups: Vec<String> = shape
            .groups
            .iter()
            .map(|group| format!("{} x {}", group.samples, group.tokens))
            .collect();
        // Scores, and the values that they weight.
        let work = |group: &Sequences| 4.0 * (group.rows() * group.tokens * shape.width) as f64;
        let attention = |_: &Device| -> Operation<'_> {
            Box::new(|qkv| {
                let (qkv, factors) = entering(qkv);
                self_attention(qkv, &shape.groups, shape.heads, factors)
            })
        };
        self.rate(
            ("attention", groups.join(" + ")),
            [shape.rows(), 3 * shape.width],
            Some(shape.groups.iter().map(work).sum()),
            attention,
        )
    }

    /// Times an operation on inputs `(rows, columns)`; `work` are the floating-point operations of its forward pass.
    fn rate<'a>(
        &self,
        (operation, shape): (&'static str, String),
        input: [usize; 2],
        work: Option<f64>,
        on: impl Fn(&Device) -> Operation<'a>,
    ) -> Result<OperationRate> {
        let inputs: Vec<Tensor<2>> = (0..INPUTS)
            .map(|_| Tensor::random(input, Distribution::Normal(0.0, 1.0), &self.device))
            .map(|input| self.precision.of(input))
            .collect();
        let mut next = inputs.iter().cycle().cloned();
        let mut take = || next.next().expect("they go round");

        let run = on(&self.device);
        let mut output = None;
        let forward = self.time(|| output = Some(run(take())))?;
        let training = self.device.clone().autodiff();
        let run = on(&training);
        let train = self.time(|| {
            let input = Tensor::from_inner(take()).require_grad();
            let gradients = run(input.clone()).sum().backward();
            output = input.grad(&gradients);
        })?;
        // The backward pass of a product is two of them; that of attention computes the scores once more.
        let rate =
            |times: &Times, passes: f64| work.map(|work| passes * work / times.median() / 1e12);
        let finite = output.is_none_or(|output| {
            let sum = output.cast(DType::F32).sum();
            sum.into_scalar::<f32>().is_finite()
        });
        match finite {
            true => Ok(OperationRate {
                operation,
                shape,
                forward_ms: 1e3 * forward.median(),
                training_ms: 1e3 * train.median(),
                forward_tflops_per_second: rate(&forward, 1.0),
                training_tflops_per_second: rate(&train, 3.0),
            }),
            false => Err(Error::run(format!("a result of {operation} is not finite"))),
        }
    }

    fn time(&self, mut run: impl FnMut()) -> Result<Times> {
        time(&self.device, self.steps, self.warmup, &mut || {
            run();
            Ok(())
        })
    }

    /// Standard normal parameters in the type of what meets them, with gradients on a device that keeps them.
    fn normal<const D: usize>(&self, shape: [usize; D], device: &Device) -> Tensor<D> {
        let values = Tensor::random(shape, Distribution::Normal(0.0, 1.0), device);
        let (values, _) = entering(self.precision.of(values));
        match device.is_autodiff() {
            true => values.require_grad(),
            false => values,
        }
    }
}

fn render(rates: &OperationRates) -> String {
    let mut table = new_table();
    table.set_header([
        &format!("{} x {}, {}", rates.batch, rates.of, rates.precision),
        "shape",
        "forward [ms]",
        "TFLOP/s",
        "with backward [ms]",
        "TFLOP/s",
    ]);
    let flops = |rate: Option<f64>| rate.map_or(String::new(), |rate| format!("{rate:.3}"));
    for rate in &rates.operations {
        table.add_row([
            rate.operation.to_owned(),
            rate.shape.clone(),
            format!("{:.2}", rate.forward_ms),
            flops(rate.forward_tflops_per_second),
            format!("{:.2}", rate.training_ms),
            flops(rate.training_tflops_per_second),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
