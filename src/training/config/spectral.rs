//! Run files of the baselines on spectra that take no steps.

use serde::{Deserialize, Serialize};

use super::StageConfig;
use super::baselines::{check_labels_limit, check_targets};
use crate::base::error::{Check, Result};
use crate::evaluation::eval::{MlpConfig, Target};
use crate::evaluation::spectral::{ComponentSettings, TemplateSettings};
use crate::survey::Survey;

/// Most components, neighbours and spectra; more is a slip.
const MOST: usize = 1 << 20;

/// How targets are estimated from numbers of galaxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Estimator {
    /// The mean over the nearest training galaxies.
    #[default]
    Knn,
    /// A perceptron for each target.
    Mlp,
}

/// Run file of `baseline spectrum --method pca`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentsRun {
    /// What to predict: redshift, log_mstar, log_z_mw, tage_mw, log_ssfr.
    pub targets: Vec<Target>,
    /// Labelled training galaxies that are used, 4 or more, chosen by the seed; all where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels_limit: Option<usize>,
    /// What the spectra are.
    #[serde(default)]
    pub survey: Survey,
    /// Training galaxies whose spectra they are of at most, 2 or more; the seed chooses them.
    pub spectra: usize,
    /// Seed of the components, and of the galaxies that are chosen.
    #[serde(default)]
    pub seed: u64,
    /// What estimates from them.
    #[serde(default)]
    pub estimator: Estimator,
    /// Neighbours of the k-NN, which count by the inverse of their distance, 1 or more.
    pub neighbours: usize,
    /// Components.
    #[serde(default)]
    pub pca: ComponentSettings,
    /// Perceptrons, one per target.
    #[serde(default)]
    pub mlp: MlpConfig,
}

impl StageConfig for ComponentsRun {
    const STAGE: &'static str = "baseline spectrum --method pca";
    const DEFAULT: &'static str = "baseline-spectrum-pca";

    fn check(&self) -> Result<()> {
        check_targets(&self.targets)?;
        check_labels_limit(self.labels_limit)?;
        self.survey.check("survey")?;
        let check = Check::at("");
        self.pca.check("pca", self.survey.wavelengths.len)?;
        check.count("spectra", self.spectra, 2..=MOST)?;
        check.count("neighbours", self.neighbours, 1..=MOST)?;
        self.mlp.check("mlp")
    }
}

/// Run file of `baseline spectrum --method templates`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplatesRun {
    /// What to predict: the redshift, which is all that templates tell.
    pub targets: Vec<Target>,
    /// What the spectra are.
    #[serde(default)]
    pub survey: Survey,
    /// Training galaxies that they are learnt from at most, 2 or more; the seed chooses them.
    pub spectra: usize,
    /// Seed of the galaxies that are chosen, and of what the fit begins with.
    #[serde(default)]
    pub seed: u64,
    /// Templates.
    #[serde(default)]
    pub fit: TemplateSettings,
}

impl StageConfig for TemplatesRun {
    const STAGE: &'static str = "baseline spectrum --method templates";
    const DEFAULT: &'static str = "baseline-spectrum-templates";

    fn check(&self) -> Result<()> {
        let names: Vec<&str> = self.targets.iter().map(|target| target.name()).collect();
        let check = Check::at("");
        check.require(
            self.targets == [Target::Redshift],
            "targets",
            format!("{names:?}"),
            "[\"redshift\"], which is all that templates tell",
        )?;
        self.survey.check("survey")?;
        check.count("spectra", self.spectra, 2..=MOST)?;
        self.fit.check("fit")
    }
}
