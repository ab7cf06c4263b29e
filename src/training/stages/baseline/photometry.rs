//! The supervised networks on magnitudes.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::perceptrons::Perceptrons;
use super::{BaselineFiles, FittedSummary};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::{Labels, SurveyGalaxies, Target};
use crate::files::data::SurveyFiles;
use crate::files::inputs::Inputs;
use crate::network::weights::{ModelFile, ModelKind};
use crate::training::config::PhotometryBaselineRun;
use crate::training::run_folder::{MODEL_FILE, RunFolder};
use crate::training::stages::supervised::{PREDICTIONS_FILE, SupervisedData, score, write};

/// What the file of the networks says of them: one MLP with ReLU per target on the magnitudes g, r, z, of
/// tensors `TARGET.LAYER.weight` and `.bias`; inputs and outputs are in natural units.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PhotometryArchitecture {
    targets: Vec<Target>,
    hidden: Vec<usize>,
}

/// Trains an MLP per target on the g, r, z magnitudes of the training galaxies (paper sect. 6.2 and 6.3), and
/// predicts for all.
///
/// # Errors
///
/// Bad data, labels or configuration, magnitudes that are missing, a run folder in use.
pub fn baseline_photometry(
    config: &PhotometryBaselineRun,
    labels: Option<&Labels>,
    files: &BaselineFiles,
) -> Result<FittedSummary> {
    let started = Instant::now();
    let labels = labels.ok_or_else(|| {
        Error::input(
            "magnitudes come from a label table; pass --labels FILE with MAG_G, MAG_R and MAG_Z (a file of \
             `astroclip simulate` has them)",
        )
    })?;
    let data = SupervisedData::open(
        &files.data,
        &config.survey,
        &[],
        &config.targets,
        Some(labels),
        None,
    )?;
    let galaxies = SurveyGalaxies {
        object_id: &data.own.object_id,
        redshift: &data.own.redshift,
    };
    let magnitudes = galaxies.magnitudes(labels)?;
    let SurveyFiles { paths, read } = &files.data;
    let inputs = Inputs::record(&files.out, paths, read, &files.labels, &[])?;
    let _folder = RunFolder::begin(&files.out, config, &inputs, false)?;

    let Perceptrons {
        predicted,
        roles,
        tensors,
    } = Perceptrons::fit(
        &data,
        magnitudes.view(),
        &config.targets,
        &config.mlp,
        "photometry",
    )?;

    let (model, predictions) = (files.out.join(MODEL_FILE), files.out.join(PREDICTIONS_FILE));
    let architecture = PhotometryArchitecture {
        targets: config.targets.clone(),
        hidden: config.mlp.hidden.clone(),
    };
    let resolved = serde_json::to_value(config).expect("run files are plain JSON");
    ModelFile::new(ModelKind::PhotometryBaseline, &architecture, 0, resolved)
        .write(&model, &tensors)?;
    write(&predictions, &data.own, &roles, &config.targets, &predicted)?;
    Ok(FittedSummary {
        run: files.out.clone(),
        model,
        predictions,
        results: score(&data.split, &config.targets, &data.targets, &predicted),
        seconds: started.elapsed().as_secs_f64(),
    })
}
