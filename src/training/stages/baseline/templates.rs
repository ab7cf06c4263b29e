//! Redshifts by templates that are moved along spectra.

use std::time::Instant;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::{BaselineFiles, FittedSummary, spectra};
use crate::base::error::Result;
use crate::evaluation::eval::Labels;
use crate::evaluation::spectral::{TemplateSettings, Templates};
use crate::files::data::SurveyFiles;
use crate::files::inputs::Inputs;
use crate::network::weights::{ModelFile, ModelKind, NamedTensor, TensorMap};
use crate::survey::{Modality, Survey};
use crate::training::config::TemplatesRun;
use crate::training::run_folder::{MODEL_FILE, RunFolder};
use crate::training::stages::supervised::{PREDICTIONS_FILE, SupervisedData, score, write};

/// What the file of the templates says of them: a tensor `templates` `(templates, pixels)` of lines at rest, without
/// continua, on wavelengths that are even in logarithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct TemplatesArchitecture {
    survey: Survey,
    settings: TemplateSettings,
    /// Wavelength at which the first pixel begins, Å at rest.
    start: f64,
    /// Width of a pixel in ln λ.
    step: f64,
}

/// Learns templates from the training galaxies' spectra and redshifts, and finds the redshifts of all galaxies.
///
/// # Errors
///
/// Bad data, labels or configuration, a run folder in use.
pub fn baseline_templates(
    config: &TemplatesRun,
    labels: Option<&Labels>,
    files: &BaselineFiles,
) -> Result<FittedSummary> {
    let started = Instant::now();
    let data = SupervisedData::open(
        &files.data,
        &config.survey,
        &[Modality::Spectrum],
        &config.targets,
        labels,
        None,
    )?;
    let SurveyFiles { paths, read } = &files.data;
    let inputs = Inputs::record(&files.out, paths, read, &files.labels, &[])?;
    let _folder = RunFolder::begin(&files.out, config, &inputs, false)?;

    let (fitted, some) = spectra::some(&data, config.spectra, config.seed)?;
    let redshifts: Vec<f64> = fitted.iter().map(|&row| data.targets[[row, 0]]).collect();
    let wavelengths = &config.survey.wavelengths;
    let templates = Templates::learn(
        some.view(),
        &redshifts,
        wavelengths,
        &config.fit,
        config.seed,
    )?;
    drop(some);
    let mut predicted = Array2::from_elem(data.targets.dim(), f64::NAN);
    let all = (0..data.split.len()).collect();
    spectra::each(&data.files, all, "redshift", |rows, spectra| {
        let found = templates.redshifts(spectra);
        for (&row, found) in rows.iter().zip(found) {
            predicted[[row, 0]] = found;
        }
    })?;
    data.files.report_skipped();

    let model = files.out.join(MODEL_FILE);
    let predictions = files.out.join(PREDICTIONS_FILE);
    let architecture = TemplatesArchitecture {
        survey: config.survey.clone(),
        settings: config.fit.clone(),
        start: templates.start(wavelengths),
        step: config.fit.step,
    };
    let rest = NamedTensor {
        shape: templates.rest.shape().to_vec(),
        values: templates.rest.iter().copied().collect(),
    };
    let resolved = serde_json::to_value(config).expect("run files are plain JSON");
    ModelFile::new(ModelKind::SpectrumTemplates, &architecture, 0, resolved)
        .write(&model, &TensorMap::from([("templates".to_owned(), rest)]))?;
    // Those that the templates were not learnt from are as if they validated.
    let others = data.train.iter().copied();
    let others: Vec<usize> = others
        .filter(|row| fitted.binary_search(row).is_err())
        .collect();
    let roles = data.roles(&others);
    write(&predictions, &data.own, &roles, &config.targets, &predicted)?;
    Ok(FittedSummary {
        run: files.out.clone(),
        model,
        predictions,
        results: score(&data.split, &config.targets, &data.targets, &predicted),
        seconds: started.elapsed().as_secs_f64(),
    })
}
