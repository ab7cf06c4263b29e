//! The supervised networks on magnitudes.

use std::path::PathBuf;
use std::time::Instant;

use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::evaluation::eval::{Labels, Mlp, SurveyGalaxies, Target};
use crate::files::data::SurveyFiles;
use crate::files::inputs::Inputs;
use crate::network::weights::{ModelFile, ModelKind, NamedTensor, TensorMap};
use crate::training::config::PhotometryBaselineRun;
use crate::training::run_folder::{MODEL_FILE, RunFolder};
use crate::training::stages::supervised::{
    Holdout, PREDICTIONS_FILE, SupervisedData, TargetScore, score, write,
};

/// Where the photometry baseline reads and writes.
#[derive(Debug, Clone)]
pub struct PhotometryOptions {
    /// Survey files, for identifiers, redshifts and the split.
    pub data: SurveyFiles,
    /// Tables of labels, which the run folder keeps in mind.
    pub labels: Vec<PathBuf>,
    /// Run folder.
    pub out: PathBuf,
}

/// What the photometry baseline leaves behind.
#[derive(Debug, Clone, Serialize)]
pub struct PhotometrySummary {
    /// Run folder.
    pub run: PathBuf,
    /// The networks.
    pub model: PathBuf,
    /// Predictions for all galaxies whose magnitudes are known.
    pub predictions: PathBuf,
    /// How good they are, on the test galaxies; one per target.
    pub results: Vec<TargetScore>,
    /// Duration, seconds.
    pub seconds: f64,
}

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
    labels: &Labels,
    options: &PhotometryOptions,
) -> Result<PhotometrySummary> {
    let started = Instant::now();
    let data = SupervisedData::open(
        &options.data,
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
    let SurveyFiles { paths, read } = &options.data;
    let inputs = Inputs::record(&options.out, paths, read, &options.labels, &[])?;
    let _folder = RunFolder::begin(&options.out, config, &inputs, false)?;

    let has_magnitudes = |row: &usize| magnitudes.row(*row).iter().all(|value| value.is_finite());
    let usable: Vec<usize> = (0..data.split.len()).filter(has_magnitudes).collect();
    let usable_magnitudes = magnitudes.select(Axis(0), &usable);
    let mut predicted = Array2::from_elem(data.targets.dim(), f64::NAN);
    let mut tensors = TensorMap::new();
    let mut fitted_to = vec![false; data.split.len()];
    let mut set_aside = fitted_to.clone();
    let total = config.targets.len() as u64;
    let mut progress = Progress::new("baseline photometry", "targets", 0, total);
    for (column, target) in config.targets.iter().enumerate() {
        let truth = data.targets.column(column);
        let of_target = |error: Error| error.about(format!("{target} from photometry"));
        let is_known = |row: usize| has_magnitudes(&row) && truth[row].is_finite();
        let (fitted, validation) = data
            .set_aside(
                &Holdout::Fraction(config.mlp.validation_fraction),
                config.mlp.seed,
                is_known,
            )
            .map_err(of_target)?;
        let train = [fitted.as_slice(), validation.as_slice()].concat();
        let x = magnitudes.select(Axis(0), &train);
        let y = truth.select(Axis(0), &train).insert_axis(Axis(1));
        let mlp = Mlp::fit_validated(x.view(), y.view(), validation.len(), &config.mlp)
            .map_err(of_target)?;
        fitted.iter().for_each(|&row| fitted_to[row] = true);
        validation.iter().for_each(|&row| set_aside[row] = true);
        let values = mlp.predict(usable_magnitudes.view());
        for (&row, &value) in usable.iter().zip(&values) {
            predicted[[row, column]] = value;
        }
        tensors.extend(named_layers(target.name(), &mlp));
        progress.set(column as u64 + 1, "");
    }
    progress.finish("");

    let (model, predictions) = (
        options.out.join(MODEL_FILE),
        options.out.join(PREDICTIONS_FILE),
    );
    let architecture = PhotometryArchitecture {
        targets: config.targets.clone(),
        hidden: config.mlp.hidden.clone(),
    };
    let resolved = serde_json::to_value(config).expect("run files are plain JSON");
    ModelFile::new(ModelKind::PhotometryBaseline, &architecture, 0, resolved)
        .write(&model, &tensors)?;
    // Where not all targets are known, a galaxy that one network was fitted to may validate another.
    let validation: Vec<usize> = (0..data.split.len())
        .filter(|&row| set_aside[row] && !fitted_to[row])
        .collect();
    write(
        &predictions,
        &data.own,
        &data.roles(&validation),
        &config.targets,
        &predicted,
    )?;
    Ok(PhotometrySummary {
        run: options.out.clone(),
        model,
        predictions,
        results: score(&data.split, &config.targets, &data.targets, &predicted),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// The layers of a perceptron as files hold them: weights `(outputs, inputs)`.
fn named_layers(target: &str, mlp: &Mlp) -> TensorMap {
    let mut tensors = TensorMap::new();
    for (index, (weight, bias)) in mlp.layers().into_iter().enumerate() {
        let weight = weight.reversed_axes();
        let tensor = |shape: &[usize], values: Vec<f32>| NamedTensor {
            shape: shape.to_vec(),
            values,
        };
        tensors.insert(
            format!("{target}.{index}.weight"),
            tensor(weight.shape(), weight.iter().copied().collect()),
        );
        tensors.insert(
            format!("{target}.{index}.bias"),
            tensor(bias.shape(), bias.to_vec()),
        );
    }
    tensors
}
