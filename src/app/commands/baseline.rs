//! `astroclip baseline`.

use super::output::Originals;
use super::supervised::{LabelTables, comparison, overrides, render};
use super::training::{Asked, Training, WithTakings, folder_of_run, report_stage};
use super::{print, print_json, survey_files};
use crate::app::cli::{BaselinePhotometry, BaselineTask, BaselineTraining};
use crate::app::workspace::{Takings, Wanted, find_data};
use crate::base::error::{Error, Result};
use crate::base::output::check_folder;
use crate::base::ranks::Ranks;
use crate::evaluation::eval::Target;
use crate::survey::Labels;
use crate::training::config::{
    self, ImageBaselineRun, PhotometryBaselineRun, RunFile, SpectrumBaselineRun, StageConfig,
};
use crate::training::stages::{self, BaselineSummary, PhotometryOptions};

pub(super) fn run(task: &BaselineTask) -> Result<()> {
    match task {
        BaselineTask::Image(args) => train(
            args,
            "galaxy images",
            |c: &ImageBaselineRun| &c.targets,
            |i| stages::baseline_image(i.config, i.labels, i.options, i.device),
        ),
        BaselineTask::Spectrum(args) => train(
            args,
            "spectra",
            |c: &SpectrumBaselineRun| &c.targets,
            |i| stages::baseline_spectrum(i.config, i.labels, i.options, i.device),
        ),
        BaselineTask::Photometry(args) => photometry(args),
    }
}

/// What a training stage takes.
struct Inputs<'a, C> {
    config: &'a C,
    labels: Option<&'a Labels>,
    options: &'a stages::RunOptions,
    device: &'a burn::tensor::Device,
}

fn train<C: StageConfig>(
    args: &BaselineTraining,
    needs: &str,
    targets: fn(&C) -> &[Target],
    stage: impl FnOnce(Inputs<'_, C>) -> Result<BaselineSummary>,
) -> Result<()> {
    let named = args.config.config.as_deref();
    let asked = Asked {
        config: named,
        set: &overrides(&args.config.set, &args.labels),
        run: &args.run,
        labels: &args.labels.labels.labels,
        label_options: args.labels.labels.options(),
        needs,
        ranks: Ranks::alone(),
    };
    let Training {
        config,
        mut options,
        mut taken,
        ..
    } = asked.resolve::<C>(|_, _, _| Ok(Vec::new()))?;
    let why = match args.run.resume {
        true => "what the run began with",
        false => "as the run file says",
    };
    let wanted = LabelTables {
        named: &args.labels.labels.labels,
        why,
        options: &options.label_options,
    };
    let labels = wanted.read(
        &options.data,
        &mut options.labels,
        targets(&config),
        &mut taken,
    )?;
    let device = args.device.device.open()?;
    let summary = stage(Inputs {
        config: &config,
        labels: labels.as_ref(),
        options: &options,
        device: &device,
    })?;
    if args.json {
        let summary = &summary;
        let taken = &taken;
        return print_json(&WithTakings { summary, taken });
    }
    match (&summary.outcome, &summary.stage.model) {
        (Some(outcome), Some(model)) => print(&format!(
            "{}best weights: after step {} of {}, validation loss {:.4} of the targets' variance ({} galaxies)\n\
             {}\n{}\n\nnext: {}\n",
            render(&outcome.results),
            outcome.best_step,
            summary.stage.steps,
            outcome.validation_mse,
            outcome.n_validation,
            model.display(),
            outcome.predictions.display(),
            comparison(
                C::STAGE.trim_start_matches("baseline "),
                &outcome.results,
                (&options.labels, &options.label_options),
                &outcome.predictions
            ),
        )),
        _ => report_stage(&summary.stage, &taken, false, |_| String::new(), C::STAGE),
    }
}

fn photometry(args: &BaselinePhotometry) -> Result<()> {
    let named = args.config.config.as_deref();
    let file: RunFile<PhotometryBaselineRun> =
        config::load_run(named, &overrides(&args.config.set, &args.labels))?;
    let files = survey_files(&args.data);
    let out = folder_of_run(
        args.out.as_deref(),
        named.unwrap_or(PhotometryBaselineRun::DEFAULT),
    );
    check_folder(&out)?;
    let mut taken = Takings::default();
    let sources = find_data(&Wanted {
        named: &files.paths,
        read: files.read,
        run_file: Some((&file.origin, &file.data)),
        models: &[],
        needs: "the galaxies' identifiers",
    })?;
    if let Some(found) = sources.taken {
        taken.note(found);
    }
    let mut tables = sources.labels;
    let named_tables = &args.labels.labels.labels;
    let label_options = match named_tables.is_empty() {
        true => args.labels.labels.options().or(&file.data.label_options()),
        false => args.labels.labels.options(),
    };
    let wanted = LabelTables {
        named: named_tables,
        why: "as the run file says",
        options: &label_options,
    };
    let labels = wanted.read(&sources.data, &mut tables, &file.config.targets, &mut taken)?;
    let labels = labels.ok_or_else(|| {
        Error::input(
            "magnitudes come from a label table; pass --labels FILE with MAG_G, MAG_R and MAG_Z (a file of \
             `astroclip simulate` has them)",
        )
    })?;
    let options = PhotometryOptions {
        data: sources.data,
        labels: tables,
        out,
    };
    let inputs = Originals::of(&options.data).and(&options.labels);
    inputs.outlast_run(&options.out)?;
    let summary = stages::baseline_photometry(&file.config, &labels, &options)?;
    match args.json {
        true => print_json(&WithTakings {
            summary: &summary,
            taken: &taken,
        }),
        false => print(&format!(
            "{}{}\n{}\n\nnext: {}\n",
            render(&summary.results),
            summary.model.display(),
            summary.predictions.display(),
            comparison(
                "photometry",
                &summary.results,
                (&options.labels, &label_options),
                &summary.predictions,
            ),
        )),
    }
}
