//! The whole method on a simulated survey, from one command.

mod components;
mod journal;
mod report;
mod results;

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::output::Output;
use super::{print, print_json, shown};
use crate::app::cli::{Quickstart, QuickstartPreset};
use crate::base::error::{Error, Result};
use crate::base::output::check_folder;
use crate::base::progress::Progress;
use crate::base::ranks::Ranks;
use crate::base::shard::Shard;
use crate::files::catalog::LabelOptions;
use crate::files::data::SurveyFiles;
use crate::network::nn::Precision;
use crate::simulate::{SimulationConfig, write_survey};
use crate::survey::Modality;
use crate::training::config::{self, AlignRun, ImageRun, QuickstartRun, SpectrumRun};
use crate::training::run_folder::{MODEL_FILE, stage_of};
use crate::training::stages::{
    self, EmbedOptions, EncoderPaths, RunOptions, StageSummary, align, embed, pretrain_image,
    pretrain_spectrum,
};
use journal::Journal;
use results::{Inputs, Results, StageTime};

/// Galaxies that go through a model at once while embedding.
const EMBED_BATCH: usize = 64;

const SIMULATE: &str = "simulate";
const PRETRAIN_IMAGES: &str = "pretrain images";
const PRETRAIN_SPECTRA: &str = "pretrain spectra";
const ALIGN: &str = "align";
const EMBED: &str = "embed";
const EVALUATE: &str = "evaluate";
/// Parts of the work, in their order.
const STAGES: [&str; 6] = [
    SIMULATE,
    PRETRAIN_IMAGES,
    PRETRAIN_SPECTRA,
    ALIGN,
    EMBED,
    EVALUATE,
];

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
    if layout.report().exists() && layout.results().exists() {
        return Err(Error::input(
            "holds a quickstart that is finished; choose another folder with --out, or remove it",
        )
        .in_file(&layout.folder));
    }
    check_folder(&layout.folder)?;
    if layout.folder.is_dir() {
        // Another's survey would be taken for the one that is simulated.
        Output::Survey.check(&layout.survey())?;
        for stage in ["image", "spectrum", "align"] {
            Output::Embeddings.check(&layout.embeddings(stage))?;
        }
        Output::Json.check(&layout.results())?;
        Output::Page.check(&layout.report())?;
    }
    let mut journal = Journal::open(&layout.folder, &plan)?;
    let device = args.device.device.open()?;

    journal.timed(SIMULATE, || simulate(&plan, &layout.survey()))?;
    let image_stage = journal.timed(PRETRAIN_IMAGES, || {
        pretrain_image(&image, None, &options(&layout, "image"), &device)
    })?;
    let spectrum_stage = journal.timed(PRETRAIN_SPECTRA, || {
        pretrain_spectrum(&spectrum, &options(&layout, "spectrum"), &device)
    })?;
    let align_stage = journal.timed(ALIGN, || {
        let encoders = EncoderPaths {
            image: layout.model("image"),
            spectrum: layout.model("spectrum"),
            teacher: None,
        };
        align(&alignment, &encoders, &options(&layout, "align"), &device)
    })?;
    journal.timed(EMBED, || {
        // The aligned ones last: commands that name no embedding file take the newest.
        ["image", "spectrum", "align"]
            .iter()
            .try_for_each(|stage| embed_stage(&layout, stage, &device))
    })?;
    let stages: [StageSummary; 3] = [image_stage, spectrum_stage, align_stage];
    let inputs = journal.timed(EVALUATE, || {
        Inputs::evaluate(&layout.survey(), |stage| layout.embeddings(stage))
    })?;
    let times = STAGES.map(|stage| StageTime {
        stage,
        seconds: journal.seconds(stage),
    });
    let results = Results::new(args, &plan, &stages, times.into(), &inputs);
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
        // A stage that is finished is only looked at again.
        resume: stage_of(&layout.run(stage)).is_some(),
        out: layout.run(stage),
        stop_after: None,
        ranks: Ranks::alone(),
    }
}

fn simulate(plan: &QuickstartRun, out: &Path) -> Result<()> {
    // It appears whole or not at all.
    if out.exists() {
        return Ok(());
    }
    let config = SimulationConfig {
        galaxies: plan.galaxies,
        seed: plan.seed,
        ..SimulationConfig::default()
    };
    let mut progress = Progress::new("simulate", "galaxies", 0, plan.galaxies as u64);
    write_survey(&config, out, |done| progress.set(done as u64, ""))?;
    progress.finish("");
    Ok(())
}

fn embed_stage(layout: &Layout, stage: &str, device: &Device) -> Result<()> {
    if layout.embeddings(stage).exists() {
        return Ok(());
    }
    let options = EmbedOptions {
        weights: layout.model(stage),
        data: SurveyFiles::new([layout.survey()]),
        labels: Vec::new(),
        out: layout.embeddings(stage),
        shard: Shard::WHOLE,
        batch_size: EMBED_BATCH,
        precision: Precision::F32,
        raw: false,
        features: Modality::ALL.into(),
        resume: true,
    };
    embed(&options, device).map(|_: stages::EmbedSummary| ())
}
