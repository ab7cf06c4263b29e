use super::{report_stage, run_options, shown};
use crate::cli::PretrainSpectrum;
use crate::config::{self, SpectrumRun, StageConfig};
use crate::error::Result;
use crate::stages;

pub(super) fn run(args: &PretrainSpectrum) -> Result<()> {
    let config: SpectrumRun = config::load(args.config.config.as_deref(), &args.config.set)?;
    let options = run_options(
        &args.run,
        args.config.config.as_deref(),
        SpectrumRun::DEFAULT,
        "galaxy spectra",
    )?;
    let device = args.device.device.open()?;
    let summary = stages::pretrain_spectrum(&config, &options, &device)?;
    let next = |model: &std::path::Path| {
        format!(
            "astroclip align --spectrum-encoder {} --data {}",
            model.display(),
            shown(&args.run.data.data)
        )
    };
    report_stage(&summary, args.json, next, SpectrumRun::STAGE)
}
