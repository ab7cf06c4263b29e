//! `astroclip align`.

use std::path::{Path, PathBuf};

use super::training::{Asked, Training, among_ranks, in_runs, report_stage};
use super::{missing_encoder, shown};
use crate::app::cli::Align;
use crate::app::workspace::{Kinds, RunRecord, Taken, Takings, newest_model};
use crate::base::error::{Error, Result};
use crate::base::output::check_folder;
use crate::base::ranks::Ranks;
use crate::files::catalog::LabelOptions;
use crate::network::ops::ranks_on;
use crate::training::config::{AlignRun, StageConfig};
use crate::training::stages::{self, EncoderPaths};

/// An encoder that is aligned, and how it is called where it is missing.
struct Wanted<'a> {
    named: Option<&'a PathBuf>,
    kinds: Kinds,
    flag: &'static str,
    made_by: &'static str,
}

pub(super) fn run(args: &Align) -> Result<()> {
    among_ranks(|ranks| train(args, ranks))
}

fn train(args: &Align, ranks: &Ranks) -> Result<()> {
    let device = args.device.device.open_for(ranks)?;
    if let Some(out) = &args.run.out {
        check_folder(out)?;
    }
    if ranks.is_alone() {
        missing_encoder::pretrain(args, &device)?;
    }
    let asked = Asked {
        config: args.config.config.as_deref(),
        set: &args.config.set,
        run: &args.run,
        labels: &[],
        label_options: LabelOptions::default(),
        needs: "paired images and spectra",
        ranks: ranks.clone(),
    };
    let Training {
        config,
        mut options,
        models,
        taken,
    } = asked.resolve::<AlignRun>(|begun, runs, taken| encoders(args, begun, runs, taken))?;
    options.ranks = ranks_on(ranks, &device)?;
    let encoders = EncoderPaths::of(models);
    let summary = stages::align(&config, &encoders, &options, &device)?;
    let next = |model: &Path| match in_runs(&options.out) {
        true => "astroclip embed --out emb.h5".to_owned(),
        false => format!(
            "astroclip embed --weights {} --data {} --out emb.h5",
            shown(&[model.to_owned()]),
            shown(&options.data.paths)
        ),
    };
    report_stage(&summary, &taken, args.json, next, AlignRun::STAGE)
}

/// The image and the spectrum encoder: as named, as the run began, or the newest beside the run; and a teacher, where one is
/// named or the run began with one.
fn encoders(
    args: &Align,
    begun: Option<&RunRecord>,
    runs: &Path,
    taken: &mut Takings,
) -> Result<Vec<PathBuf>> {
    let wanted = [
        Wanted {
            named: args.image_encoder.as_ref(),
            kinds: Kinds::IMAGE_ENCODER,
            flag: "--image-encoder",
            made_by: "pretrain-image",
        },
        Wanted {
            named: args.spectrum_encoder.as_ref(),
            kinds: Kinds::SPECTRUM_ENCODER,
            flag: "--spectrum-encoder",
            made_by: "pretrain-spectrum",
        },
    ];
    let choose = |(index, wanted): (usize, Wanted<'_>)| {
        let Wanted {
            named,
            kinds,
            flag,
            made_by,
        } = wanted;
        if let Some(path) = named {
            return Ok(path.clone());
        }
        let recorded = begun.map(|begun| begun.model(index, flag)).transpose()?;
        if let Some(path) = recorded.flatten() {
            let why = "what the run began with".to_owned();
            let (what, paths) = (kinds.label, vec![path]);
            return Ok(taken.note(Taken { what, paths, why }).swap_remove(0));
        }
        match newest_model(runs, kinds, flag)? {
            Some(found) => Ok(taken.note(found).swap_remove(0)),
            None => Err(Error::input(format!(
                "no run there has a finished {}; make one with `astroclip {made_by} --data FILE`, \
                 or name one with {flag}",
                kinds.label
            ))
            .in_file(runs)),
        }
    };
    let encoders = wanted.into_iter().enumerate().map(choose);
    let mut models = encoders.collect::<Result<Vec<_>>>()?;
    let recorded = || begun.map(|begun| begun.model(2, "--teacher"));
    let teacher = match &args.teacher {
        Some(path) => Some(path.clone()),
        None => recorded().transpose()?.flatten(),
    };
    models.extend(teacher);
    Ok(models)
}
