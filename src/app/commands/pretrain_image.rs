//! `astroclip pretrain-image`.

use std::path::{Path, PathBuf};

use super::shown;
use super::training::{Asked, Training, among_ranks, in_runs, report_stage};
use crate::app::cli::PretrainImage;
use crate::app::workspace::{Kinds, RunRecord};
use crate::base::error::Result;
use crate::base::ranks::Ranks;
use crate::files::catalog::LabelOptions;
use crate::network::ops::ranks_on;
use crate::training::config::{ImageRun, StageConfig};
use crate::training::stages;

pub(super) fn run(args: &PretrainImage) -> Result<()> {
    among_ranks(|ranks| train(args, ranks))
}

fn train(args: &PretrainImage, ranks: &Ranks) -> Result<()> {
    let asked = Asked {
        config: args.config.config.as_deref(),
        set: &args.config.set,
        run: &args.run,
        labels: &[],
        label_options: LabelOptions::default(),
        needs: "galaxy images",
        ranks: ranks.clone(),
    };
    let Training {
        config,
        mut options,
        models,
        taken,
    } = asked.resolve::<ImageRun>(|begun, _, _| initial(args, begun))?;
    let device = args.device.device.open_for(ranks)?;
    options.ranks = ranks_on(ranks, &device)?;
    let init = models.first().map(PathBuf::as_path);
    let summary = stages::pretrain_image(&config, init, &options, &device)?;
    let next = |model: &Path| match in_runs(&options.out) {
        true => super::next_to_align(Kinds::SPECTRUM_ENCODER, "pretrain-spectrum"),
        false => format!(
            "astroclip align --image-encoder {} --data {}",
            shown(&[model.to_owned()]),
            shown(&options.data.paths)
        ),
    };
    report_stage(&summary, &taken, args.json, next, ImageRun::STAGE)
}

/// The file that the run begins with: as named, or as a run that has no checkpoint yet began.
fn initial(args: &PretrainImage, begun: Option<&RunRecord>) -> Result<Vec<PathBuf>> {
    let recorded = || match begun {
        Some(begun) if !begun.has_checkpoint()? => begun.model(0, "--init"),
        _ => Ok(None),
    };
    let path = args
        .init
        .clone()
        .map_or_else(recorded, |path| Ok(Some(path)))?;
    Ok(path.into_iter().collect())
}
