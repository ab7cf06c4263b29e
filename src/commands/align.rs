use std::path::Path;

use super::{report_stage, run_options, shown};
use crate::cli::Align;
use crate::config::{self, AlignRun, StageConfig};
use crate::error::Result;
use crate::stages::{self, EncoderPaths, find_newest_model};
use crate::weights::ModelKind;

pub(super) fn run(args: &Align) -> Result<()> {
    let config: AlignRun = config::load(args.config.config.as_deref(), &args.config.set)?;
    let options = run_options(
        &args.run,
        args.config.config.as_deref(),
        AlignRun::DEFAULT,
        "paired images and spectra",
    )?;
    let runs = options.out.parent().unwrap_or(Path::new("."));
    let encoder = |named: &Option<_>, kind| match named {
        Some(path) => Ok(Clone::clone(path)),
        None => find_newest_model(runs, kind).inspect(|path| {
            tracing::info!("{}: {}", kind.label(), path.display());
        }),
    };
    let encoders = EncoderPaths {
        image: encoder(&args.image_encoder, ModelKind::ImageEncoder)?,
        spectrum: encoder(&args.spectrum_encoder, ModelKind::SpectrumEncoder)?,
    };
    let device = args.device.device.open()?;
    let summary = stages::align(&config, &encoders, &options, &device)?;
    let next = |model: &Path| {
        format!(
            "astroclip embed --weights {} --data {} --out emb.h5",
            model.display(),
            shown(&args.run.data.data)
        )
    };
    report_stage(&summary, args.json, next, AlignRun::STAGE)
}
