//! `astroclip align` with one encoder at hand: the other is pretrained first.

use std::path::{Path, PathBuf};

use burn::tensor::Device;

use super::survey_files;
use super::training::folder_of_run;
use crate::app::cli::Align;
use crate::app::workspace::{Kinds, Takings, Wanted, find_data, newest_model};
use crate::base::error::{Error, Result};
use crate::base::ranks::Ranks;
use crate::files::catalog::LabelOptions;
use crate::network::weights::{ModelFile, TensorFile};
use crate::survey::Survey;
use crate::training::config::{self, ImageRun, SpectrumRun, StageConfig};
use crate::training::run_folder;
use crate::training::stages::{self, RunOptions};

/// Pretrains the encoder that is missing where all is left to the defaults and the other one is there: by the default
/// preset of its stage, on the other's galaxies, as the other's survey says. Else nothing is done, and the alignment says
/// what it lacks.
///
/// # Errors
/// What the pretraining reports.
pub(super) fn pretrain(args: &Align, device: &Device) -> Result<()> {
    let is_default = args.config.config.is_none() && args.run.out.is_none() && !args.run.resume;
    if !is_default {
        return Ok(());
    }
    let out = folder_of_run(None, config::AlignRun::DEFAULT);
    let runs = out.parent().unwrap_or(Path::new("."));
    let at_hand = |named: &Option<PathBuf>, kinds, flag| match named {
        Some(path) => Ok(Some(path.clone())),
        None => Ok::<_, Error>(newest_model(runs, kinds, flag)?.and_then(|mut of| of.paths.pop())),
    };
    let image = at_hand(
        &args.image_encoder,
        Kinds::IMAGE_ENCODER,
        "--image-encoder MODEL",
    )?;
    let spectrum = at_hand(
        &args.spectrum_encoder,
        Kinds::SPECTRUM_ENCODER,
        "--spectrum-encoder MODEL",
    )?;
    match (image, spectrum) {
        (Some(image), None) => {
            let mut config: SpectrumRun = config::load(None, &[])?;
            config.survey = survey_of(&image)?;
            let stage =
                |config: &_, options: &_| stages::pretrain_spectrum(config, options, device);
            first(args, config, "spectrum encoder", &image, stage)
        }
        (None, Some(spectrum)) => {
            let mut config: ImageRun = config::load(None, &[])?;
            config.survey = survey_of(&spectrum)?;
            let stage =
                |config: &_, options: &_| stages::pretrain_image(config, None, options, device);
            first(args, config, "image encoder", &spectrum, stage)
        }
        _ => Ok(()),
    }
}

/// Runs a stage by its default preset; goes on where it was interrupted.
fn first<C: StageConfig>(
    args: &Align,
    config: C,
    what: &str,
    other: &Path,
    stage: impl FnOnce(&C, &RunOptions) -> Result<stages::StageSummary>,
) -> Result<()> {
    let out = folder_of_run(None, C::DEFAULT);
    tracing::info!(
        "{what}: none is in runs, so one is pretrained first, by the preset {}; `astroclip {}` makes one of your own",
        C::DEFAULT,
        C::STAGE
    );
    config.check()?;
    let named = survey_files(&args.run.data);
    let sources = find_data(&Wanted {
        named: &named.paths,
        read: named.read,
        run_file: None,
        models: &[other.to_owned()],
        needs: "paired images and spectra",
    })?;
    if let Some(found) = sources.taken {
        Takings::default().note(found);
    }
    let options = RunOptions {
        data: sources.data,
        labels: sources.labels,
        label_options: LabelOptions::default(),
        resume: run_folder::stage_of(&out).as_deref() == Some(C::STAGE),
        out,
        stop_after: None,
        ranks: Ranks::alone(),
    };
    stage(&config, &options).map(drop)
}

/// What a model's galaxies are like.
fn survey_of(model: &Path) -> Result<Survey> {
    let file: ModelFile = TensorFile::open(model)?.header()?;
    let survey = file.architecture.get("survey").cloned();
    let survey = survey.map_or_else(|| Ok(Survey::default()), serde_json::from_value);
    survey.map_err(|source| {
        Error::input(format!("the survey in its header: {source}"))
            .caused_by(source)
            .in_file(model)
    })
}
