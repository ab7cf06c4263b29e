use super::{report_stage, run_options, shown};
use crate::cli::PretrainImage;
use crate::config::{self, ImageRun, StageConfig};
use crate::error::Result;
use crate::stages;

pub(super) fn run(args: &PretrainImage) -> Result<()> {
    let config: ImageRun = config::load(args.config.config.as_deref(), &args.config.set)?;
    let options = run_options(
        &args.run,
        args.config.config.as_deref(),
        ImageRun::DEFAULT,
        "galaxy images",
    )?;
    let device = args.device.device.open()?;
    let summary = stages::pretrain_image(&config, &options, &device)?;
    let next = |model: &std::path::Path| {
        format!(
            "astroclip align --image-encoder {} --data {}",
            model.display(),
            shown(&args.run.data.data)
        )
    };
    report_stage(&summary, args.json, next, ImageRun::STAGE)
}
