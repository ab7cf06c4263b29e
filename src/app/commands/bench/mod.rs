//! `astroclip bench`.

mod data;
mod model;
mod operations;
mod phases;
mod timing;

use crate::app::cli::BenchTask;
use crate::base::error::Result;

pub(super) fn run(task: &BenchTask) -> Result<()> {
    match task {
        BenchTask::Data(args) => data::run(args),
        BenchTask::TrainImage(args) => model::train_image(args),
        BenchTask::TrainSpectrum(args) => model::train_spectrum(args),
        BenchTask::Embed(args) => model::embed(args),
        BenchTask::Operations(args) => operations::run(args),
    }
}
