//! Redshift and properties from principal components of spectra.

use std::time::Instant;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::perceptrons::Perceptrons;
use super::{BaselineFiles, FittedSummary, spectra};
use crate::base::error::Result;
use crate::base::numeric::PrincipalComponents;
use crate::evaluation::eval::{Labels, Target};
use crate::evaluation::knn::Weights;
use crate::evaluation::spectral::{ComponentSettings, Components, leave_one_out};
use crate::files::data::SurveyFiles;
use crate::files::inputs::Inputs;
use crate::network::weights::{ModelFile, ModelKind, NamedTensor, TensorMap};
use crate::survey::{Modality, Survey};
use crate::training::config::{ComponentsRun, Estimator};
use crate::training::run_folder::{MODEL_FILE, RunFolder};
use crate::training::stages::supervised::{
    LabelsLimit, PREDICTIONS_FILE, SupervisedData, score, write,
};

/// What the file of the components says of them: tensors `mean` `(bins)` and `axes` `(components, bins)` of spectra in
/// bins with mean 0 and standard deviation 1; with perceptrons `TARGET.LAYER.weight` and `.bias` on the coordinates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct ComponentsArchitecture {
    survey: Survey,
    targets: Vec<Target>,
    estimator: Estimator,
    pca: ComponentSettings,
    /// Standard deviation along each axis.
    deviations: Vec<f64>,
}

/// Finds the principal components of the training galaxies' spectra in bins, each with mean 0 and standard deviation 1, and
/// predicts for all galaxies by the nearest training galaxies or by perceptrons.
///
/// # Errors
///
/// Bad data, labels or configuration, a run folder in use.
pub fn baseline_components(
    config: &ComponentsRun,
    labels: Option<&Labels>,
    files: &BaselineFiles,
) -> Result<FittedSummary> {
    let started = Instant::now();
    let limit = config.labels_limit.map(|count| LabelsLimit {
        count,
        seed: config.seed,
    });
    let data = SupervisedData::open(
        &files.data,
        &config.survey,
        &[Modality::Spectrum],
        &config.targets,
        labels,
        limit,
    )?;
    let SurveyFiles { paths, read } = &files.data;
    let inputs = Inputs::record(&files.out, paths, read, &files.labels, &[])?;
    let _folder = RunFolder::begin(&files.out, config, &inputs, false)?;

    let (_, some) = spectra::some(&data, config.spectra, config.seed)?;
    let components = Components::fit(some.view(), &config.pca, config.seed);
    drop(some);
    let shape = (data.split.len(), components.principal.axes.nrows());
    let mut coordinates = Array2::from_elem(shape, f32::NAN);
    let all = (0..data.split.len()).collect();
    spectra::each(&data.files, all, "project", |rows, spectra| {
        let found = components.project(spectra);
        for (&row, found) in rows.iter().zip(found.rows()) {
            coordinates.row_mut(row).assign(&found);
        }
    })?;
    data.files.report_skipped();

    let (predicted, roles, mut tensors) = match config.estimator {
        Estimator::Knn => {
            let how = (config.neighbours, Weights::Distance);
            let (vectors, targets) = (coordinates.view(), data.targets.view());
            let predicted = leave_one_out(vectors, targets, &data.train, how)?;
            // Each training galaxy is predicted from the others, as if it validated.
            (predicted, data.roles(&data.train), TensorMap::new())
        }
        Estimator::Mlp => {
            let coordinates = coordinates.view();
            let (targets, mlp) = (&config.targets, &config.mlp);
            let fitted = Perceptrons::fit(&data, coordinates, targets, mlp, "components")?;
            (fitted.predicted, fitted.roles, fitted.tensors)
        }
    };

    let model = files.out.join(MODEL_FILE);
    let predictions = files.out.join(PREDICTIONS_FILE);
    let PrincipalComponents {
        mean,
        axes,
        deviations,
    } = components.principal;
    let tensor = |shape: &[usize], values: Vec<f32>| NamedTensor {
        shape: shape.to_vec(),
        values,
    };
    tensors.insert("mean".into(), tensor(mean.shape(), mean.to_vec()));
    let values = axes.iter().copied().collect();
    tensors.insert("axes".into(), tensor(axes.shape(), values));
    let architecture = ComponentsArchitecture {
        survey: config.survey.clone(),
        targets: config.targets.clone(),
        estimator: config.estimator,
        pca: config.pca.clone(),
        deviations,
    };
    let resolved = serde_json::to_value(config).expect("run files are plain JSON");
    ModelFile::new(ModelKind::SpectrumComponents, &architecture, 0, resolved)
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
