//! What the quickstart measures: `results.json`, and a few lines for the terminal.

use std::path::{Path, PathBuf};

use comfy_table::{Table, presets};
use serde::Serialize;

use super::components::components;
use crate::app::cli::Quickstart;
use crate::app::commands::memory::peak_memory;
use crate::base::error::Result;
use crate::base::output::write_whole;
use crate::evaluation::eval::{
    EvalInputs, Method, Model, RegressionOptions, RegressionReport, RegressionResult,
    RetrievalOptions, RetrievalResult, Source, Target, regression, retrieval,
};
use crate::files::catalog::LabelOptions;
use crate::files::data::read_labels;
use crate::files::embeddings::{EmbeddingFile, EmbeddingSet, Keys, ModelEmbeddings};
use crate::survey::{Labels, Modality, ObjectId, Split};
use crate::training::config::QuickstartRun;
use crate::training::stages::StageSummary;

/// Ranks at which retrieval is scored.
const RECALL_AT: [usize; 3] = [1, 5, 10];

/// Embeddings before and after alignment, and what was evaluated from them.
pub(super) struct Inputs {
    pub aligned: EmbeddingFile,
    pub labels: Labels,
    pub after: Tasks,
    /// From what the aligned transformers give their heads.
    pub features: Tasks,
    /// From principal components of the spectra.
    pub components: Tasks,
    pub before_image: Tasks,
    pub before_spectrum: Tasks,
    pub retrieval: Vec<RetrievalResult>,
}

/// Redshift and properties from one embedding file.
pub(super) struct Tasks {
    pub redshift: RegressionReport,
    pub properties: RegressionReport,
}

impl Tasks {
    fn evaluate(inputs: &EvalInputs<'_>) -> Result<Self> {
        let of = |targets: &[Target]| {
            let options = RegressionOptions {
                targets: targets.to_vec(),
                ..RegressionOptions::default()
            };
            regression(inputs, &options)
        };
        Ok(Self {
            redshift: of(&[Target::Redshift])?,
            properties: of(&Target::PROPERTIES)?,
        })
    }
}

fn of_stage<'a>(
    name: &'a str,
    embeddings: &'a EmbeddingFile,
    labels: &'a Labels,
) -> EvalInputs<'a> {
    EvalInputs {
        models: vec![Model {
            name,
            embeddings,
            test: None,
        }],
        predictions: &[],
        labels: Some(labels),
    }
}

impl Inputs {
    pub fn evaluate(survey: &Path, embeddings: impl Fn(&str) -> PathBuf) -> Result<Self> {
        let labels = read_labels(&[survey.to_owned()], &LabelOptions::default())?;
        let aligned = EmbeddingFile::open(&embeddings("align"))?;
        let of_heads = Keys::of_features(&Modality::ALL, &Modality::ALL);
        let set = EmbeddingSet::of(embeddings("align"));
        let features = ModelEmbeddings::one(&set, &of_heads, None, &Modality::ALL)?;
        let components = components(survey, &aligned)?;
        let tasks = |stage: &str| {
            let file = EmbeddingFile::open(&embeddings(stage))?;
            Tasks::evaluate(&of_stage(stage, &file, &labels))
        };
        let retrieval_options = RetrievalOptions {
            at: RECALL_AT.to_vec(),
            ..RetrievalOptions::default()
        };
        Ok(Self {
            after: Tasks::evaluate(&of_stage("align", &aligned, &labels))?,
            features: Tasks::evaluate(&of_stage("features", &features, &labels))?,
            components: Tasks::evaluate(&of_stage("components", &components, &labels))?,
            before_image: tasks("image")?,
            before_spectrum: tasks("spectrum")?,
            retrieval: retrieval(&of_stage("align", &aligned, &labels), &retrieval_options)?
                .results
                .into_iter()
                .filter(|result| result.from != result.to)
                .collect(),
            aligned,
            labels,
        })
    }

    /// A held-out galaxy to search for.
    pub fn example_id(&self) -> ObjectId {
        let row = self.aligned.rows_of(Split::Test).first().copied();
        self.aligned.object_id[row.unwrap_or(0)]
    }
}

/// Wall-clock time of a stage.
#[derive(Debug, Clone, Serialize)]
pub(super) struct StageTime {
    pub stage: &'static str,
    pub seconds: f64,
}

/// Scores of one kind of embedding.
#[derive(Debug, Serialize)]
pub(super) struct Scores {
    pub redshift: Vec<RegressionResult>,
    pub properties: Vec<RegressionResult>,
}

impl Scores {
    fn new(tasks: &Tasks, keep: impl Fn(Source) -> bool) -> Self {
        let kept = |report: &RegressionReport| {
            let results = report.results.iter();
            results
                .filter(|result| keep(result.source))
                .cloned()
                .collect()
        };
        Self {
            redshift: kept(&tasks.redshift),
            properties: kept(&tasks.properties),
        }
    }

    pub fn redshift_r2(&self, source: Source, method: Method) -> Option<f64> {
        let mut results = self.redshift.iter();
        results
            .find(|result| (result.source, result.method) == (source, method))
            .map(|result| result.metrics.r2)
    }
}

/// `results.json`.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    pub version: &'static str,
    pub preset: String,
    pub galaxies: usize,
    pub train_galaxies: usize,
    pub test_galaxies: usize,
    pub seconds: f64,
    pub peak_memory_bytes: Option<u64>,
    pub times: Vec<StageTime>,
    pub stages: Vec<StageSummary>,
    pub after_alignment: Scores,
    /// From what the aligned transformers give their heads.
    pub features: Scores,
    pub before_alignment: Scores,
    /// From principal components of the spectra, in the place of embeddings.
    pub principal_components: Scores,
    pub photometry: Scores,
    pub retrieval: Vec<RetrievalResult>,
}

impl Results {
    pub fn new(
        args: &Quickstart,
        plan: &QuickstartRun,
        stages: &[StageSummary],
        times: Vec<StageTime>,
        inputs: &Inputs,
    ) -> Self {
        let mut before = Scores::new(&inputs.before_image, |source| source == Source::Image);
        let spectrum = Scores::new(&inputs.before_spectrum, |source| source == Source::Spectrum);
        before.redshift.extend(spectrum.redshift);
        before.properties.extend(spectrum.properties);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            preset: format!("{:?}", args.preset).to_lowercase(),
            galaxies: plan.galaxies,
            train_galaxies: inputs.aligned.rows_of(Split::Train).len(),
            test_galaxies: inputs.aligned.rows_of(Split::Test).len(),
            seconds: times.iter().map(|time| time.seconds).sum(),
            peak_memory_bytes: peak_memory(),
            times,
            stages: stages.to_vec(),
            after_alignment: Scores::new(&inputs.after, |source| source != Source::Photometry),
            features: Scores::new(&inputs.features, |source| source != Source::Photometry),
            before_alignment: before,
            principal_components: Scores::new(&inputs.components, |source| {
                source == Source::Spectrum
            }),
            photometry: Scores::new(&inputs.after, |source| source == Source::Photometry),
            retrieval: inputs.retrieval.clone(),
        }
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).expect("results are plain JSON");
        write_whole(path, (text + "\n").as_bytes())
    }

    /// Redshift and retrieval in a few lines, for the terminal.
    pub fn summary(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.set_header(["redshift from", "zero-shot R²", "few-shot R²"]);
        let mut row = |name: &str, scores: &Scores, source| {
            let show = |method| {
                let r2 = scores.redshift_r2(source, method);
                r2.map_or("–".to_owned(), |r2| format!("{r2:.3}"))
            };
            table.add_row([
                name.to_owned(),
                show(Method::ZeroShot),
                show(Method::FewShot),
            ]);
        };
        row("images", &self.after_alignment, Source::Image);
        row("images, before the head", &self.features, Source::Image);
        row(
            "images, before alignment",
            &self.before_alignment,
            Source::Image,
        );
        row("spectra", &self.after_alignment, Source::Spectrum);
        row("spectra, before the head", &self.features, Source::Spectrum);
        row(
            "spectra, before alignment",
            &self.before_alignment,
            Source::Spectrum,
        );
        row(
            "spectra, principal components",
            &self.principal_components,
            Source::Spectrum,
        );
        row("g, r, z magnitudes", &self.photometry, Source::Photometry);
        let mut text = format!("{table}\n");
        for result in &self.retrieval {
            if let Some(found) = result.recall.iter().find(|recall| recall.k == 10) {
                text += &format!(
                    "own {} among the 10 nearest of its {}: {:.1} % ({:.1} x chance)\n",
                    result.to,
                    result.from,
                    100.0 * found.recall,
                    found.recall / found.chance,
                );
            }
        }
        text
    }
}
