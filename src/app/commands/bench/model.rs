//! How fast models are trained and run, on random data.

use burn::tensor::{DType, Device, Tensor};
use comfy_table::CellAlignment;
use serde::Serialize;

use super::super::{memory::peak_memory, print, print_json};
use super::phases;
use super::timing::{Times, random, time};
use crate::app::cli::{BenchEmbed, BenchModel};
use crate::base::error::{Error, Result};
use crate::base::random::{Purpose, generator};
use crate::base::terminal::new_table;
use crate::network::model::{SpecFormer, Vit, VitInput};
use crate::network::nn::{Initializer, Precision};
use crate::survey::Modality;
use crate::training::config::{self, ImageRun, SpectrumRun, StageConfig};
use crate::training::objective::{Compute, DinoObjective, DinoWork, MaskedModellingObjective};
use crate::training::train::{Objective, StepOutcome, StepReport};
use crate::views::augment::{GLOBAL_CROPS, block_masks, segment_mask};
use crate::views::batch::{CropBatch, MaskedTokens};

/// Inputs that the steps take in turn.
const INPUTS: usize = 4;

/// What a model takes; medians over the rounds.
#[derive(Debug, Serialize)]
struct ModelRates {
    task: &'static str,
    precision: Precision,
    batch: usize,
    samples_per_second: f64,
    step_ms: f64,
    step_ms_min: f64,
    step_ms_max: f64,
    /// Steps measured.
    steps: usize,
    /// The very first step, seconds: kernels are compiled and chosen.
    first_step_s: f64,
    /// The device's memory that the program held at the end, GiB, which is the most that it needed; of the
    /// process where the CPU computes. None where neither is known.
    peak_memory_gib: Option<f64>,
    gflop_per_sample: f64,
    tflops_per_second: f64,
    /// Sum of the loss terms of the last step.
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<f64>,
    /// Milliseconds of a step's phases, each measured alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    phases: Vec<Phase>,
}

#[derive(Debug, Serialize)]
struct Phase {
    name: &'static str,
    ms: f64,
}

pub(super) fn train_image(args: &BenchModel) -> Result<()> {
    let run: ImageRun = config(args)?;
    let device = args.bench.device.device.open()?;
    let samples = args.bench.batch_size as usize;
    let inputs: Vec<CropBatch> = (0..INPUTS as u64)
        .map(|index| random_crops(&run, samples, index))
        .collect();
    let config = run.objective();
    let work = DinoWork {
        samples,
        global_size: run.images.crops.global_size,
        local_size: run.images.crops.local_size,
        locals: run.images.crops.local_count,
        masked_patches: inputs
            .iter()
            .map(|crops| crops.masked.index.len())
            .sum::<usize>()
            / INPUTS,
    };
    let objective = DinoObjective::new(config.clone(), Compute::of(&run.train, &device));
    train(
        ImageRun::STAGE,
        (args, &device),
        config.flops(&work),
        run.train.precision,
        objective,
        &inputs,
    )
}

pub(super) fn train_spectrum(args: &BenchModel) -> Result<()> {
    let run: SpectrumRun = config(args)?;
    let device = args.bench.device.device.open()?;
    let samples = args.bench.batch_size as usize;
    let tokens = run.spectra.tokens.tokens(run.survey.wavelengths.len);
    let inputs: Vec<MaskedTokens> = (0..INPUTS as u64)
        .map(|index| {
            let mut rng = generator(run.train.seed, Purpose::Masks, index);
            let hidden: Vec<Vec<bool>> = (0..samples)
                .map(|_| segment_mask(tokens, &run.spectra.masks, &mut rng))
                .collect();
            let shape = [samples, tokens, run.model.token_width];
            MaskedTokens::new(random(shape, run.train.seed, index), &hidden)
        })
        .collect();
    let training = device.clone().autodiff();
    let mut init = Initializer::new(run.train.seed, &training);
    let model = SpecFormer::new(&run.model, &mut init);
    let compute = Compute::of(&run.train, &device);
    let objective = MaskedModellingObjective::new(model, run.objective(), compute);
    train(
        SpectrumRun::STAGE,
        (args, &device),
        samples as f64 * run.model.step_flops(tokens),
        run.train.precision,
        objective,
        &inputs,
    )
}

/// Settings of a run; `--batch-size` and `--precision` count as settings too.
fn config<C: StageConfig>(args: &BenchModel) -> Result<C> {
    let mut set = args.bench.set.clone();
    set.push(format!("train.batch_size={}", args.bench.batch_size));
    set.push(format!("train.precision=\"{}\"", args.bench.precision));
    let preset = match C::STAGE == ImageRun::STAGE {
        true => "vitl-released",
        false => "specformer",
    };
    config::load(Some(args.bench.config.as_deref().unwrap_or(preset)), &set)
}

fn train<O: Objective<Batch: Clone>>(
    task: &'static str,
    (args, device): (&BenchModel, &Device),
    flops: f64,
    precision: Precision,
    mut objective: O,
    inputs: &[O::Batch],
) -> Result<()> {
    let mut step = 0;
    let mut last: Option<StepOutcome> = None;
    let mut next = || {
        let input = inputs[step % inputs.len()].clone();
        last = Some(objective.step(step as u64, input)?);
        step += 1;
        Ok(())
    };
    let times = time(
        device,
        args.bench.steps as usize,
        args.bench.warmup as usize,
        &mut next,
    )?;
    let phases = match args.phases {
        true => time_phases(device, args.bench.steps as usize, &mut next)?,
        false => Vec::new(),
    };
    let report = last.map(StepOutcome::read);
    let loss = report.map(|StepReport { terms, .. }| terms.iter().map(|(_, term)| term).sum());
    if let Some(loss) = loss.filter(|loss: &f64| !loss.is_finite()) {
        return Err(Error::run(format!("the loss of step {step} is {loss}")));
    }
    let rates = ModelRates {
        task,
        precision: precision.on(device),
        loss,
        phases,
        ..rates(&times, args.bench.batch_size as usize, flops, device)
    };
    show(&rates, args.bench.json)
}

pub(super) fn embed(args: &BenchEmbed) -> Result<()> {
    let device = args.bench.device.device.open()?;
    let samples = args.bench.batch_size as usize;
    let mut init = Initializer::new(0, &device);
    let (config, set) = (args.bench.config.as_deref(), &args.bench.set);
    let (flops, mut forward): (f64, Box<dyn FnMut(usize) -> Tensor<2>>) = match args.of {
        Modality::Image => {
            let run: ImageRun = config::load(Some(config.unwrap_or("vitl-released")), set)?;
            let size = run.model.image_size;
            let inputs: Vec<Tensor<4>> = (0..INPUTS as u64)
                .map(|index| random([samples, run.model.channels, size, size], 0, index))
                .map(|data| args.bench.precision.of(Tensor::from_data(data, &device)))
                .collect();
            let vit = args
                .bench
                .precision
                .of_weights(Vit::new(&run.model, &mut init));
            let flops = run.model.blocks_flops(size) + run.model.embedding_flops(size);
            let forward = move |index: usize| {
                let input = VitInput {
                    images: inputs[index % INPUTS].clone(),
                    masks: None,
                };
                let tokens = vit.forward(input, None);
                let [batch, _, width] = tokens.dims();
                tokens.narrow(1, 0, 1).reshape([batch, width])
            };
            (flops, Box::new(forward))
        }
        Modality::Spectrum => {
            let run: SpectrumRun = config::load(Some(config.unwrap_or("specformer")), set)?;
            let tokens = run.spectra.tokens.tokens(run.survey.wavelengths.len);
            let inputs: Vec<Tensor<3>> = (0..INPUTS as u64)
                .map(|index| random([samples, tokens, run.model.token_width], 0, index))
                .map(|data| args.bench.precision.of(Tensor::from_data(data, &device)))
                .collect();
            let model = SpecFormer::new(&run.model, &mut init);
            let model = args.bench.precision.of_weights(model);
            let forward = move |index: usize| {
                model
                    .forward(inputs[index % INPUTS].clone())
                    .mean_dim(1)
                    .squeeze_dim(1)
            };
            (run.model.inference_flops(tokens), Box::new(forward))
        }
    };
    let mut last = None;
    let mut index = 0;
    let mut next = || {
        last = Some(forward(index));
        index += 1;
        Ok(())
    };
    let times = time(
        &device,
        args.bench.steps as usize,
        args.bench.warmup as usize,
        &mut next,
    )?;
    let finite = last.is_none_or(|embeddings: Tensor<2>| {
        let sum = embeddings.cast(DType::F32).sum();
        sum.into_scalar::<f32>().is_finite()
    });
    if !finite {
        return Err(Error::run("an embedding is not finite"));
    }
    let rates = ModelRates {
        task: match args.of {
            Modality::Image => "embed-image",
            Modality::Spectrum => "embed-spectrum",
        },
        precision: args.bench.precision.on(&device),
        ..rates(&times, samples, flops * samples as f64, &device)
    };
    show(&rates, args.bench.json)
}

/// Of a step of `batch` samples with so many floating-point operations.
fn rates(times: &Times, batch: usize, flops: f64, device: &Device) -> ModelRates {
    let median = times.median();
    ModelRates {
        task: "",
        precision: Precision::F32,
        batch,
        samples_per_second: batch as f64 / median,
        step_ms: 1e3 * median,
        step_ms_min: 1e3 * times.rounds[0],
        step_ms_max: 1e3 * times.rounds[times.rounds.len() - 1],
        steps: times.steps,
        first_step_s: times.first,
        peak_memory_gib: memory_on(device).map(|bytes| bytes / f64::from(1 << 30)),
        gflop_per_sample: flops / batch as f64 / 1e9,
        tflops_per_second: flops / median / 1e12,
        loss: None,
        phases: Vec::new(),
    }
}

fn time_phases(
    device: &Device,
    steps: usize,
    next: &mut impl FnMut() -> Result<()>,
) -> Result<Vec<Phase>> {
    let mut outcome = Ok(());
    let spent = phases::measure(device, || outcome = (0..steps).try_for_each(|_| next()));
    outcome?;
    let mut phases: Vec<Phase> = spent
        .into_iter()
        .map(|(name, time)| Phase {
            name,
            ms: 1e3 * time.as_secs_f64() / steps as f64,
        })
        .collect();
    phases.sort_by(|a, b| b.ms.total_cmp(&a.ms));
    Ok(phases)
}

/// Bytes: what the device's allocator holds, else the most that the process has held.
fn memory_on(device: &Device) -> Option<f64> {
    match device.memory_pool_usage() {
        Some(usage) => Some(usage.bytes_reserved as f64),
        None => peak_memory().map(|bytes| bytes as f64),
    }
}

fn random_crops(run: &ImageRun, samples: usize, index: u64) -> CropBatch {
    let (crops, channels) = (&run.images.crops, run.model.channels);
    let seed = run.train.seed;
    let image = |count: usize, size: usize, stream: u64| {
        random(
            [count * samples, channels, size, size],
            seed,
            2 * index + stream,
        )
    };
    let grid = crops.global_size / run.model.patch_size;
    let mut rng = generator(seed, Purpose::Masks, index);
    CropBatch::new(
        samples,
        image(GLOBAL_CROPS, crops.global_size, 0),
        image(crops.local_count, crops.local_size, 1),
        block_masks(
            GLOBAL_CROPS * samples,
            [grid, grid],
            &run.images.masks,
            &mut rng,
        ),
    )
}

fn show(rates: &ModelRates, json: bool) -> Result<()> {
    match json {
        true => print_json(rates),
        false => print(&render(rates)),
    }
}

fn render(rates: &ModelRates) -> String {
    let mut table = new_table();
    table.set_header([
        format!("{}, {}", rates.task, rates.precision),
        String::new(),
    ]);
    let mut row = |name: &str, value: String| {
        table.add_row([name, &value]);
    };
    row("samples at once", rates.batch.to_string());
    row("samples/s", format!("{:.1}", rates.samples_per_second));
    let step = format!("{:.1}", rates.step_ms);
    let range = format!("{:.1} to {:.1}", rates.step_ms_min, rates.step_ms_max);
    row("step [ms], median", step);
    row("step [ms], range", range);
    row("first step [s]", format!("{:.2}", rates.first_step_s));
    let memory = |gib: f64| format!("{gib:.2}");
    row(
        "memory [GiB]",
        rates.peak_memory_gib.map_or("unknown".to_owned(), memory),
    );
    row("GFLOP per sample", format!("{:.1}", rates.gflop_per_sample));
    row("TFLOP/s", format!("{:.3}", rates.tflops_per_second));
    if let Some(loss) = rates.loss {
        row("loss", format!("{loss:.4}"));
    }
    for Phase { name, ms } in &rates.phases {
        row(&format!("{name} [ms]"), format!("{ms:.1}"));
    }
    if let Some(column) = table.column_mut(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
