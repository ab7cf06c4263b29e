//! `astroclip pretrain-spectrum`.

use std::path::Path;

use super::shown;
use super::training::{Asked, Training, among_ranks, in_runs, report_stage};
use crate::app::cli::PretrainSpectrum;
use crate::app::workspace::Kinds;
use crate::base::error::Result;
use crate::base::ranks::Ranks;
use crate::files::catalog::LabelOptions;
use crate::network::ops::ranks_on;
use crate::training::config::{SpectrumRun, StageConfig};
use crate::training::stages;

pub(super) fn run(args: &PretrainSpectrum) -> Result<()> {
    among_ranks(|ranks| train(args, ranks))
}

fn train(args: &PretrainSpectrum, ranks: &Ranks) -> Result<()> {
    let asked = Asked {
        config: args.config.config.as_deref(),
        set: &args.config.set,
        run: &args.run,
        labels: &[],
        label_options: LabelOptions::default(),
        needs: "galaxy spectra",
        ranks: ranks.clone(),
    };
    let Training {
        config,
        mut options,
        taken,
        ..
    } = asked.resolve::<SpectrumRun>(|_, _, _| Ok(Vec::new()))?;
    let device = args.device.device.open_for(ranks)?;
    options.ranks = ranks_on(ranks, &device)?;
    let summary = stages::pretrain_spectrum(&config, &options, &device)?;
    let next = |model: &Path| match in_runs(&options.out) {
        true => super::next_to_align(Kinds::IMAGE_ENCODER, "pretrain-image"),
        false => format!(
            "astroclip align --spectrum-encoder {} --data {}",
            shown(&[model.to_owned()]),
            shown(&options.data.paths)
        ),
    };
    report_stage(&summary, &taken, args.json, next, SpectrumRun::STAGE)
}
