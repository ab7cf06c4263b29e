//! `astroclip finetune`.

use std::path::{Path, PathBuf};

use super::supervised::{LabelTables, comparison, overrides, render};
use super::training::{Asked, Training, WithTakings, report_stage};
use super::{EMBEDDING, WEIGHTS, print, print_json, shown};
use crate::app::cli::Finetune;
use crate::app::workspace::{RunRecord, Taken, Takings, newest_model};
use crate::base::error::{Error, Result};
use crate::base::ranks::Ranks;
use crate::training::config::{FineTuneRun, StageConfig};
use crate::training::stages::{self, FineTuneOutcome, FineTuneSummary};

pub(super) fn run(args: &Finetune) -> Result<()> {
    let mut set = overrides(&args.config.set, &args.labels);
    set.extend(args.source.map(|source| format!("source=\"{source}\"")));
    let asked = Asked {
        config: args.config.config.as_deref(),
        set: &set,
        run: &args.run,
        labels: &args.labels.labels.labels,
        label_options: args.labels.labels.options(),
        needs: "galaxies with labels",
        ranks: Ranks::alone(),
    };
    let Training {
        config,
        mut options,
        models,
        mut taken,
    } = asked.resolve::<FineTuneRun>(|begun, runs, taken| {
        Ok(vec![weights(args.weights.as_deref(), begun, runs, taken)?])
    })?;
    let wanted = LabelTables {
        named: &args.labels.labels.labels,
        why: match args.run.resume {
            true => "what the run began with",
            false => "as the run file says, or what the model was trained with",
        },
        options: &options.label_options,
    };
    let labels = wanted.read(
        &options.data,
        &mut options.labels,
        &config.targets,
        &mut taken,
    )?;
    let device = args.device.device.open()?;
    let [model] = <[PathBuf; 1]>::try_from(models).expect("one model was found");
    let summary = stages::finetune(&config, &model, labels.as_ref(), &options, &device)?;
    if args.json {
        let summary = &summary;
        let taken = &taken;
        return print_json(&WithTakings { summary, taken });
    }
    let FineTuneSummary { stage, outcome } = &summary;
    let (Some(outcome), Some(model)) = (outcome, &stage.model) else {
        return report_stage(stage, &taken, false, |_| String::new(), FineTuneRun::STAGE);
    };
    let source = outcome.source.name();
    let labels = (&options.labels[..], &options.label_options);
    let compare = comparison(source, &outcome.results, labels, &outcome.predictions);
    print(&format!(
        "{}{}\n{}\n{}\n\nnext: astroclip embed --weights {} --data {} --out emb.h5\n      {compare}\n",
        render(&outcome.results),
        kept(outcome, stage.steps),
        model.display(),
        outcome.predictions.display(),
        shown(std::slice::from_ref(model)),
        shown(&options.data.paths),
    ))
}

/// Which weights were kept, for people.
fn kept(outcome: &FineTuneOutcome, steps: u64) -> String {
    let loss = |loss: Option<f64>| loss.map_or("–".to_owned(), |loss| format!("{loss:.4}"));
    if outcome.folds.is_empty() {
        return format!(
            "best weights: after step {} of {steps}, validation loss {} of the targets' variance ({} galaxies)",
            outcome.best_step,
            loss(outcome.validation_loss),
            outcome.n_validation
        );
    }
    let folds = outcome.folds.iter().enumerate().map(|(index, fold)| {
        format!(
            "fold {index}: best after step {} of {steps}, validation loss {} of the targets' variance ({} galaxies)\n",
            fold.best_step,
            loss(fold.validation_loss),
            fold.n_validation
        )
    });
    format!(
        "{}scores are of the mean of the folds' models; the model is fitted to all labelled galaxies, for {} steps",
        folds.collect::<String>(),
        outcome.best_step
    )
}

/// The model that is trained on: as named, as the run began, or the newest beside the run.
fn weights(
    named: Option<&Path>,
    begun: Option<&RunRecord>,
    runs: &Path,
    taken: &mut Takings,
) -> Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    if let Some(path) = begun
        .map(|begun| begun.model(0, WEIGHTS))
        .transpose()?
        .flatten()
    {
        let (what, paths) = ("model", vec![path]);
        let why = "what the run began with".to_owned();
        return Ok(taken.note(Taken { what, paths, why }).swap_remove(0));
    }
    for kinds in EMBEDDING {
        if let Some(found) = newest_model(runs, kinds, WEIGHTS)? {
            return Ok(taken.note(found).swap_remove(0));
        }
    }
    Err(Error::input(format!(
        "no run there has a finished model that embeds; make one with `astroclip pretrain-image --data FILE` or \
         `astroclip pretrain-spectrum --data FILE`, or name one with {WEIGHTS}"
    ))
    .in_file(runs))
}
