//! `astroclip baseline`.

use std::path::{Path, PathBuf};

use comfy_table::CellAlignment;

use super::output::Originals;
use super::training::{Asked, Training, WithTakings, folder_of_run, report_stage};
use super::{label_table, print, print_json, quoted, shown, survey_files};
use crate::app::cli::{BaselineLabels, BaselinePhotometry, BaselineTask, BaselineTraining};
use crate::app::workspace::{Taken, Takings, Wanted, find_data};
use crate::base::error::{Error, Result};
use crate::base::output::check_folder;
use crate::base::terminal::new_table;
use crate::evaluation::eval::Target;
use crate::files::catalog::LabelOptions;
use crate::files::data::{SurveyFiles, has_catalog};
use crate::survey::Labels;
use crate::training::config::{
    self, ImageBaselineRun, PhotometryBaselineRun, RunFile, SpectrumBaselineRun, StageConfig,
};
use crate::training::stages::{self, BaselineResult, BaselineSummary, PhotometryOptions};

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
                C::STAGE,
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
                PhotometryBaselineRun::STAGE,
                &summary.results,
                (&options.labels, &label_options),
                &summary.predictions,
            ),
        )),
    }
}

/// Where labels come from.
struct LabelTables<'a> {
    /// Tables that the command line names.
    named: &'a [PathBuf],
    /// Why those count that are there although it names none.
    why: &'a str,
    options: &'a LabelOptions,
}

impl LabelTables<'_> {
    /// The tables that are named, else `tables`, else the survey files where they hold a catalogue.
    fn read(
        &self,
        data: &SurveyFiles,
        tables: &mut Vec<PathBuf>,
        targets: &[Target],
        taken: &mut Takings,
    ) -> Result<Option<Labels>> {
        if !self.named.is_empty() {
            *tables = self.named.to_vec();
        } else if tables.is_empty() {
            let mut files = crate::files::data::expand(&data.paths)?;
            files.retain(|path| has_catalog(path));
            if !files.is_empty() {
                *tables = taken.note(Taken {
                    what: "labels",
                    paths: files,
                    why: "the catalogue of the survey".to_owned(),
                });
            }
        } else {
            taken.note(Taken {
                what: "labels",
                paths: tables.clone(),
                why: self.why.to_owned(),
            });
        }
        label_table(tables, self.options, targets, taken)
    }
}

/// What a command line says about the columns of labels.
fn flags(options: &LabelOptions) -> String {
    let named = |flag: &str, name: &Option<String>| {
        let name = name.as_ref()?;
        Some(format!("--{flag} {} ", quoted(name)))
    };
    let general = [
        named("id-column", &options.id_column),
        named("table", &options.table),
    ];
    let columns = options.columns.iter().map(|(target, name)| {
        let flag = format!("{}-column", target.name().replace('_', "-"));
        named(&flag, &Some(name.clone()))
    });
    general.into_iter().chain(columns).flatten().collect()
}

/// The command that sets the predictions beside embeddings.
fn comparison(
    stage: &str,
    results: &[BaselineResult],
    labels: (&[PathBuf], &LabelOptions),
    predictions: &Path,
) -> String {
    let (labels, label_options) = labels;
    let source = stage.trim_start_matches("baseline ");
    let has_redshift = results
        .iter()
        .any(|result| result.target == Target::Redshift);
    let task = match has_redshift {
        true => "redshift",
        false => "properties",
    };
    let labels = match labels.is_empty() {
        true => String::new(),
        false => format!("--labels {} {}", shown(labels), flags(label_options)),
    };
    format!(
        "astroclip eval {task} --embeddings emb.h5 {labels}--predictions {source}={}",
        shown(&[predictions.to_owned()])
    )
}

/// The settings of a command line, the targets among them.
fn overrides(set: &[String], labels: &BaselineLabels) -> Vec<String> {
    let mut set = set.to_vec();
    if !labels.targets.is_empty() {
        let names: Vec<&str> = labels.targets.iter().map(|target| target.name()).collect();
        // A list of strings in Rust is one in TOML.
        set.push(format!("targets={names:?}"));
    }
    set
}

/// How good the predictions are, as a table for people, then what was left out.
fn render(results: &[BaselineResult]) -> String {
    let mut table = new_table();
    table.set_header([
        "target", "R²", "scatter", "bias", "outliers", "train", "test",
    ]);
    for result in results {
        let metrics = &result.metrics;
        let outliers = metrics.outlier_fraction;
        table.add_row([
            result.target.to_string(),
            format!("{:.3}", metrics.r2),
            format!("{:.4}", metrics.scatter),
            format!("{:+.4}", metrics.bias),
            outliers.map_or("–".to_owned(), |fraction| {
                format!("{:.1} %", 100.0 * fraction)
            }),
            result.n_train.to_string(),
            result.n_test.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    if results
        .iter()
        .any(|result| result.target == Target::Redshift)
    {
        text +=
            "z: scatter is σ_NMAD and bias the mean of Δz/(1+z), outliers have |Δz|/(1+z) > 0.15\n";
    }
    if results
        .iter()
        .any(|result| result.target != Target::Redshift)
    {
        text += "properties: scatter is the RMSE\n";
    }
    for result in results {
        let (train, test) = (result.unknown_train, result.unknown_test);
        if train + test > 0 {
            text += &format!(
                "left out: {} of {train} training and {test} test galaxies, not in the label table, cut, or not finite\n",
                result.target
            );
        }
    }
    text
}
