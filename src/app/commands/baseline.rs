//! `astroclip baseline`.

use std::path::Path;

use super::output::Originals;
use super::supervised::{LabelTables, comparison, overrides, render};
use super::training::{Asked, Training, WithTakings, folder_of_run, report_stage};
use super::{print, print_json, survey_files};
use crate::app::cli::{
    BaselinePhotometry, BaselineTask, BaselineTraining, ConfigArg, DataArg, SpectrumMethod,
    SupervisedLabels,
};
use crate::app::workspace::{Takings, Wanted, find_data};
use crate::base::error::{Error, Result};
use crate::base::output::check_folder;
use crate::base::ranks::Ranks;
use crate::evaluation::eval::Target;
use crate::survey::Labels;
use crate::training::config::{
    self, ComponentsRun, ImageBaselineRun, PhotometryBaselineRun, RunFile, SpectrumBaselineRun,
    StageConfig, TemplatesRun,
};
use crate::training::stages::{self, BaselineFiles, BaselineSummary, FittedSummary};

pub(super) fn run(task: &BaselineTask) -> Result<()> {
    match task {
        BaselineTask::Image(args) => train(
            args,
            "galaxy images",
            |c: &ImageBaselineRun| &c.targets,
            |i| stages::baseline_image(i.config, i.labels, i.options, i.device),
        ),
        BaselineTask::Spectrum(args) => match args.method {
            SpectrumMethod::Network => train(
                &args.training,
                "spectra",
                |c: &SpectrumBaselineRun| &c.targets,
                |i| stages::baseline_spectrum(i.config, i.labels, i.options, i.device),
            ),
            SpectrumMethod::Pca => Fit::spectrum(&args.training)?
                .run(|c: &ComponentsRun| &c.targets, stages::baseline_components),
            SpectrumMethod::Templates => Fit::spectrum(&args.training)?
                .run(|c: &TemplatesRun| &c.targets, stages::baseline_templates),
        },
        BaselineTask::Photometry(args) => Fit::photometry(args).run(
            |c: &PhotometryBaselineRun| &c.targets,
            stages::baseline_photometry,
        ),
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

/// A baseline that takes no steps, as the command line asks for it.
struct Fit<'a> {
    config: &'a ConfigArg,
    data: &'a DataArg,
    out: Option<&'a Path>,
    labels: &'a SupervisedLabels,
    json: bool,
    /// What it predicts from, as `eval --predictions` calls it.
    source: &'a str,
    /// What the survey files must hold, for messages.
    needs: &'a str,
}

impl<'a> Fit<'a> {
    fn photometry(args: &'a BaselinePhotometry) -> Self {
        Self {
            config: &args.config,
            data: &args.data,
            out: args.out.as_deref(),
            labels: &args.labels,
            json: args.json,
            source: "photometry",
            needs: "the galaxies' identifiers",
        }
    }

    fn spectrum(args: &'a BaselineTraining) -> Result<Self> {
        if args.run.resume || args.run.stop_after.is_some() {
            return Err(Error::input(
                "--resume and --stop-after are for the network: other methods take no steps; leave them out",
            ));
        }
        Ok(Self {
            config: &args.config,
            data: &args.run.data,
            out: args.run.out.as_deref(),
            labels: &args.labels,
            json: args.json,
            source: "spectrum",
            needs: "spectra",
        })
    }

    fn run<C: StageConfig>(
        &self,
        targets: fn(&C) -> &[Target],
        fit: impl FnOnce(&C, Option<&Labels>, &BaselineFiles) -> Result<FittedSummary>,
    ) -> Result<()> {
        let named = self.config.config.as_deref();
        let file: RunFile<C> = config::load_run(named, &overrides(&self.config.set, self.labels))?;
        let files = survey_files(self.data);
        let out = folder_of_run(self.out, named.unwrap_or(C::DEFAULT));
        check_folder(&out)?;
        let mut taken = Takings::default();
        let sources = find_data(&Wanted {
            named: &files.paths,
            read: files.read,
            run_file: Some((&file.origin, &file.data)),
            models: &[],
            needs: self.needs,
        })?;
        if let Some(found) = sources.taken {
            taken.note(found);
        }
        let mut tables = sources.labels;
        let named_tables = &self.labels.labels.labels;
        let label_options = match named_tables.is_empty() {
            true => self.labels.labels.options().or(&file.data.label_options()),
            false => self.labels.labels.options(),
        };
        let wanted = LabelTables {
            named: named_tables,
            why: "as the run file says",
            options: &label_options,
        };
        let labels = wanted.read(
            &sources.data,
            &mut tables,
            targets(&file.config),
            &mut taken,
        )?;
        let files = BaselineFiles {
            data: sources.data,
            labels: tables,
            out,
        };
        let inputs = Originals::of(&files.data).and(&files.labels);
        inputs.outlast_run(&files.out)?;
        let summary = fit(&file.config, labels.as_ref(), &files)?;
        match self.json {
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
                    self.source,
                    &summary.results,
                    (&files.labels, &label_options),
                    &summary.predictions,
                ),
            )),
        }
    }
}
