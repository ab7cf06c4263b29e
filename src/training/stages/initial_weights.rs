//! The weights that image pretraining begins with, where it does not begin with fresh ones.

use std::path::Path;

use crate::base::error::{Error, Result};
use crate::network::model::VitConfig;
use crate::network::released::{ImageStart, StartWeights};
use crate::network::weights::TensorMap;
use crate::training::config::{ImageRun, PRESETS, StageConfig, load};

/// The image transformer in a file, fitted to that of a run: [`ImageStart::read`] says how.
///
/// # Errors
///
/// What the file lacks, and where its transformer has another width, depth, heads or MLP than the run's: the message says
/// which settings it fits.
pub(super) fn initial_weights(config: &ImageRun, path: &Path) -> Result<TensorMap> {
    let start = ImageStart::open(path)?;
    check_fit(&start.model, &config.model).map_err(|error| error.in_file(path))?;
    let shown = path.display();
    if start
        .pixels
        .as_ref()
        .is_some_and(|seen| *seen != config.images.pixels)
    {
        tracing::warn!(
            "{shown}: was trained on other pixel values than images.pixels of this run, which begins with its weights all \
             the same"
        );
    }
    let StartWeights { tensors, notes } = start.read(&config.model, &config.images.pixels)?;
    tracing::info!(
        "student and teacher begin with the transformer of {shown}; their heads are fresh"
    );
    for note in notes {
        tracing::info!("{shown}: {note}");
    }
    Ok(tensors)
}

/// What must be the same in a file and in the run, as settings have it.
fn shape(model: &VitConfig) -> [(&'static str, f64); 4] {
    [
        ("width", model.width as f64),
        ("depth", model.depth as f64),
        ("heads", model.heads as f64),
        ("mlp_ratio", model.mlp_ratio),
    ]
}

fn check_fit(found: &VitConfig, wanted: &VitConfig) -> Result<()> {
    let (found, wanted) = (shape(found), shape(wanted));
    let pairs = found.iter().zip(&wanted);
    let differing = pairs.filter(|(found, wanted)| found != wanted);
    let settings: Vec<String> = differing
        .map(|((name, value), _)| format!("--set model.{name}={}", setting(name, *value)))
        .collect();
    if settings.is_empty() {
        return Ok(());
    }
    let in_words = |shape: [(&str, f64); 4]| {
        let [(_, width), (_, depth), (_, heads), (_, ratio)] = shape;
        format!(
            "width {width}, depth {depth}, {heads} heads of {} and an MLP {ratio} times as wide",
            width / heads
        )
    };
    let fitting = PRESETS.iter().filter(|preset| {
        preset.stage() == ImageRun::STAGE
            && load::<ImageRun>(Some(preset.name), &[]).is_ok_and(|run| shape(&run.model) == found)
    });
    let mut remedies: Vec<String> = fitting
        .map(|preset| format!("--config {}", preset.name))
        .collect();
    remedies.push(settings.join(" "));
    Err(Error::input(format!(
        "its image transformer has {}; that of the run has {}; say {}",
        in_words(found),
        in_words(wanted),
        remedies.join(", or ")
    )))
}

/// A value as a run file has it: ratios are no whole numbers there.
fn setting(name: &str, value: f64) -> String {
    match name {
        "mlp_ratio" => format!("{value:?}"),
        _ => value.to_string(),
    }
}
