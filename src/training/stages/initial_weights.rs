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

/// Settings with which a run's transformer would be that of a file, where it is another.
fn differences(found: &VitConfig, wanted: &VitConfig) -> Vec<String> {
    let counts = [
        ("width", found.width, wanted.width),
        ("depth", found.depth, wanted.depth),
        ("heads", found.heads, wanted.heads),
    ];
    let differing = counts.iter().filter(|(_, found, wanted)| found != wanted);
    let mut settings: Vec<String> = differing
        .map(|(name, found, _)| format!("--set model.{name}={found}"))
        .collect();
    let hidden = |ratio: f64| (found.width as f64 * ratio).round();
    if hidden(found.mlp_ratio) != hidden(wanted.mlp_ratio) {
        settings.push(format!("--set model.mlp_ratio={:?}", found.mlp_ratio));
    }
    settings
}

fn check_fit(found: &VitConfig, wanted: &VitConfig) -> Result<()> {
    let settings = differences(found, wanted);
    if settings.is_empty() {
        return Ok(());
    }
    let in_words = |model: &VitConfig| {
        let VitConfig {
            width,
            depth,
            heads,
            mlp_ratio,
            ..
        } = model;
        format!(
            "width {width}, depth {depth}, {heads} heads of {} and an MLP {mlp_ratio} times as wide",
            width / heads
        )
    };
    let fits = |name| {
        load::<ImageRun>(Some(name), &[]).is_ok_and(|run| differences(found, &run.model).is_empty())
    };
    let fitting = PRESETS
        .iter()
        .filter(|preset| preset.stage() == ImageRun::STAGE && fits(preset.name));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transformer_that_does_not_fit_is_told_which_settings_do() {
        let tiny = load::<ImageRun>(Some("tiny-vit"), &[])
            .expect("a preset")
            .model;
        // DINOv2's ViT-S/14.
        let small = VitConfig {
            image_size: 518,
            patch_size: 14,
            width: 384,
            depth: 12,
            heads: 6,
            ..tiny.clone()
        };
        let message = check_fit(&small, &tiny)
            .expect_err("another width")
            .to_string();
        for part in [
            "width 384, depth 12, 6 heads of 64",
            "width 128, depth 4, 4 heads of 32",
            "say --config vits, or --set model.width=384 --set model.depth=12 --set model.heads=6",
        ] {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
        assert!(!message.contains("mlp_ratio"), "{message}");
        let narrow = VitConfig {
            mlp_ratio: 2.0,
            ..tiny.clone()
        };
        let message = check_fit(&narrow, &tiny)
            .expect_err("another MLP")
            .to_string();
        assert!(
            message.contains("say --set model.mlp_ratio=2.0"),
            "{message}"
        );
        check_fit(&tiny, &tiny).expect("the same");
    }
}
