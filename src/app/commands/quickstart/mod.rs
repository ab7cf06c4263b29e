//! The whole method on a simulated survey, from one command.

mod report;
mod results;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;

use super::{print, print_json, shown};
use crate::app::cli::{Quickstart, QuickstartPreset};
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::files::catalog::LabelOptions;
use crate::files::data::SurveyFiles;
use crate::network::nn::Precision;
use crate::simulate::{SimulationConfig, write_survey};
use crate::training::config::{self, AlignRun, ImageRun, QuickstartRun, SpectrumRun};
use crate::training::stages::{
    self, EmbedOptions, EncoderPaths, MODEL_FILE, RunOptions, StageSummary, align, embed,
    pretrain_image, pretrain_spectrum,
};
use results::{Inputs, Results, StageTime};

/// Galaxies that go through a model at once while embedding.
const EMBED_BATCH: usize = 64;

impl QuickstartPreset {
    fn config(self) -> &'static str {
        match self {
            Self::Cpu => "quickstart",
            Self::Smoke => "quickstart-smoke",
            Self::Large => "quickstart-large",
            Self::Gpu => "quickstart-gpu",
        }
    }
}

/// Paths in the quickstart's folder.
struct Layout {
    folder: PathBuf,
}

impl Layout {
    fn survey(&self) -> PathBuf {
        self.folder.join("survey.h5")
    }

    fn run(&self, stage: &str) -> PathBuf {
        self.folder.join("runs").join(stage)
    }

    fn model(&self, stage: &str) -> PathBuf {
        self.run(stage).join(MODEL_FILE)
    }

    fn embeddings(&self, stage: &str) -> PathBuf {
        self.folder.join(format!("{stage}.emb.h5"))
    }

    fn results(&self) -> PathBuf {
        self.folder.join("results.json")
    }

    fn report(&self) -> PathBuf {
        self.folder.join("report.html")
    }
}

pub(super) fn run(args: &Quickstart) -> Result<()> {
    let plan: QuickstartRun = config::load(Some(args.preset.config()), &args.set)?;
    let image: ImageRun = plan.image.load()?;
    let spectrum: SpectrumRun = plan.spectrum.load()?;
    let alignment: AlignRun = plan.align.load()?;
    let layout = Layout {
        folder: args.out.clone(),
    };
    if layout.folder.join("runs").exists() {
        return Err(Error::input(
            "holds an earlier quickstart; choose another folder with --out, or remove it",
        )
        .in_file(&layout.folder));
    }
    fs::create_dir_all(&layout.folder).map_err(|source| Error::writing(&layout.folder, source))?;
    let device = args.device.device.open()?;

    let mut times = Vec::new();
    timed("simulate", &mut times, || simulate(&plan, &layout.survey()))?;
    let image_stage = timed("pretrain images", &mut times, || {
        pretrain_image(&image, &options(&layout, "image"), &device)
    })?;
    let spectrum_stage = timed("pretrain spectra", &mut times, || {
        pretrain_spectrum(&spectrum, &options(&layout, "spectrum"), &device)
    })?;
    let align_stage = timed("align", &mut times, || {
        let encoders = EncoderPaths {
            image: layout.model("image"),
            spectrum: layout.model("spectrum"),
        };
        align(&alignment, &encoders, &options(&layout, "align"), &device)
    })?;
    timed("embed", &mut times, || {
        // The aligned ones last: commands that name no embedding file take the newest.
        ["image", "spectrum", "align"]
            .iter()
            .try_for_each(|stage| embed_stage(&layout, stage, &device))
    })?;
    let stages: [StageSummary; 3] = [image_stage, spectrum_stage, align_stage];
    let inputs = timed("evaluate", &mut times, || {
        Inputs::evaluate(&layout.survey(), |stage| layout.embeddings(stage))
    })?;
    let results = Results::new(args, &plan, &stages, times, &inputs);
    results.write(&layout.results())?;
    let page = report::document(&results, &inputs, &layout.survey(), |stage| {
        layout.run(stage)
    })?;
    page.write(&layout.report())?;
    if args.json {
        return print_json(&results);
    }
    print(&format!(
        "{}\n{}\n\nnext: astroclip search {} --id {} --from image --to spectrum\n",
        results.summary(),
        layout.report().display(),
        shown(&[layout.embeddings("align")]),
        inputs.example_id(),
    ))
}

fn options(layout: &Layout, stage: &str) -> RunOptions {
    RunOptions {
        data: SurveyFiles::new([layout.survey()]),
        labels: Vec::new(),
        label_options: LabelOptions::default(),
        out: layout.run(stage),
        resume: false,
        stop_after: None,
    }
}

fn simulate(plan: &QuickstartRun, out: &Path) -> Result<()> {
    let config = SimulationConfig {
        galaxies: plan.galaxies,
        seed: plan.seed,
    };
    let mut progress = Progress::new("simulate", "galaxies", 0, plan.galaxies as u64);
    write_survey(&config, out, |done| progress.set(done as u64, ""))?;
    progress.finish("");
    Ok(())
}

fn embed_stage(layout: &Layout, stage: &str, device: &Device) -> Result<()> {
    let options = EmbedOptions {
        weights: layout.model(stage),
        data: SurveyFiles::new([layout.survey()]),
        labels: Vec::new(),
        out: layout.embeddings(stage),
        batch_size: EMBED_BATCH,
        precision: Precision::F32,
        raw: false,
    };
    embed(&options, device).map(|_: stages::EmbedSummary| ())
}

fn timed<T>(
    stage: &'static str,
    times: &mut Vec<StageTime>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let started = Instant::now();
    let value = work()?;
    times.push(StageTime {
        stage,
        seconds: started.elapsed().as_secs_f64(),
    });
    Ok(value)
}
