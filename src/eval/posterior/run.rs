use serde::{Deserialize, Serialize};

use super::{
    assess::assess,
    galaxies::{Lookup, gather, rows},
    report::PosteriorReport,
};
use crate::{
    embeddings::EmbeddingFile,
    error::{Error, Result},
    eval::{flow::FlowConfig, labels::Labels, results::Source, target::Target},
    survey::Split,
};

/// Fewest train galaxies with known targets.
const FEWEST_TRAIN: usize = 100;
/// Fewest test galaxies with known targets.
const FEWEST_TEST: usize = 10;
/// Fewest samples that quantiles of 2.5 % can be taken of.
const FEWEST_SAMPLES: usize = 40;

/// Settings of posteriors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PosteriorOptions {
    /// The ensemble of flows.
    pub flow: FlowConfig,
    /// Samples of each galaxy's posterior.
    pub samples: usize,
}

impl Default for PosteriorOptions {
    fn default() -> Self {
        Self {
            flow: FlowConfig::default(),
            samples: 1000,
        }
    }
}

/// Which posteriors to evaluate.
#[derive(Debug, Clone)]
pub struct PosteriorEvaluation<'a> {
    /// Embeddings; flows are fitted to its train split, and tested on its test split.
    pub embeddings: &'a EmbeddingFile,
    /// Embeddings of a test set. All of `embeddings` then trains, but for galaxies that are in both.
    pub test: Option<&'a EmbeddingFile>,
    /// Properties, magnitudes, and redshifts where the embedding file has none.
    pub labels: Option<&'a Labels>,
    /// What the posterior is of, jointly; empty for all that are known.
    pub targets: Vec<Target>,
    /// What it is conditioned on, one after the other; empty for all that there are.
    pub sources: Vec<Source>,
    /// Settings.
    pub options: PosteriorOptions,
}

impl PosteriorEvaluation<'_> {
    /// Fits the flows of each source, and measures and summarizes the posteriors of the test galaxies.
    ///
    /// # Errors
    /// [`Error::Input`] where a target or source that was asked for is not there, too few galaxies are left
    /// or a setting makes no sense; [`Error::Run`] where a fit fails.
    pub fn run(&self) -> Result<PosteriorReport> {
        if self.options.samples < FEWEST_SAMPLES {
            return Err(Error::Input(format!(
                "{} samples; expected at least {FEWEST_SAMPLES}, for a 95 % interval",
                self.options.samples
            )));
        }
        let mut notes = Vec::new();
        let targets = self.known_targets(&mut notes)?;
        let lookup = self.labels.map(|labels| Lookup::new(labels, &targets));
        if let (Some(lookup), Some(labels)) = (&lookup, self.labels)
            && lookup.repeated > 0
        {
            notes.push(format!(
                "{}: {} rows repeat an identifier; the first row of each counts",
                labels.name, lookup.repeated
            ));
        }
        let sources = self.known_sources(lookup.as_ref(), &mut notes)?;
        let (train_rows, test_rows, shared) = rows(self.embeddings, self.test);
        let test_file = self.test.unwrap_or(self.embeddings);
        if shared > 0 {
            notes.push(format!(
                "{shared} galaxies of {} are in the test file {} too and were not trained on",
                self.embeddings.path.display(),
                test_file.path.display()
            ));
        }
        let mut report = PosteriorReport {
            options: self.options.clone(),
            targets,
            results: Vec::new(),
            left_out: Vec::new(),
            notes,
            summaries: Vec::new(),
        };
        for source in sources {
            let part = |file, rows: &[usize], split| {
                gather(file, rows, split, source, &report.targets, lookup.as_ref())
            };
            let (train, lost) = part(self.embeddings, &train_rows, Split::Train);
            let (test, lost_test) = part(test_file, &test_rows, Split::Test);
            let train = train.select(&train.complete());
            let (n_train, n_test) = (train.object_id.len(), test.complete().len());
            if n_train < FEWEST_TRAIN || n_test < FEWEST_TEST {
                let names: Vec<&str> = report.targets.iter().map(|target| target.name()).collect();
                return Err(Error::Input(format!(
                    "posteriors of {} from {source}: {n_train} train and {n_test} test galaxies have \
                     all of it known; expected at least {FEWEST_TRAIN} and {FEWEST_TEST}. Left out: {lost}, \
                     {lost_test}",
                    names.join(", ")
                )));
            }
            let (result, summaries) =
                assess(source, &report.targets, &train, &test, &self.options)?;
            report.results.push(result);
            report.summaries.push(summaries);
            report.left_out.extend(
                [lost, lost_test]
                    .into_iter()
                    .filter(|lost| lost.total() > 0),
            );
        }
        Ok(report)
    }

    /// The targets asked for; all that are known where none were.
    fn known_targets(&self, notes: &mut Vec<String>) -> Result<Vec<Target>> {
        let redshifts = |file: &EmbeddingFile| file.redshift.iter().any(|z| z.is_finite());
        let known = |target: Target| {
            let in_file = target == Target::Redshift && redshifts(self.embeddings);
            in_file
                || self
                    .labels
                    .is_some_and(|labels| target.values(labels).is_some())
        };
        let asked = !self.targets.is_empty();
        let mut wanted = match asked {
            true => self.targets.clone(),
            false => [Target::Redshift]
                .into_iter()
                .chain(Target::PROPERTIES)
                .collect(),
        };
        let mut seen = Vec::new();
        wanted.retain(|target| {
            !seen.contains(target) && {
                seen.push(*target);
                true
            }
        });
        let (there, missing): (Vec<Target>, Vec<Target>) =
            wanted.into_iter().partition(|&target| known(target));
        let describe = |target: &Target| {
            let columns = target.columns().iter().map(|names| names.join(" or "));
            format!(
                "{} (column {})",
                target.name(),
                columns.collect::<Vec<_>>().join(" and ")
            )
        };
        let missing: Vec<String> = missing.iter().map(describe).collect();
        if there.is_empty() || (asked && !missing.is_empty()) {
            let labels = self.labels.map_or_else(
                || "no label table was given (--labels FILE)".to_owned(),
                |labels| format!("{} has {}", labels.name, labels.column_names()),
            );
            return Err(Error::Input(format!(
                "unknown: {}; {labels}",
                missing.join(", ")
            )));
        }
        if !missing.is_empty() {
            notes.push(format!(
                "left out, because the labels lack it: {}",
                missing.join(", ")
            ));
        }
        Ok(there)
    }

    /// The sources asked for; all that there are where none were.
    fn known_sources(
        &self,
        lookup: Option<&Lookup>,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Source>> {
        let reason = |source: Source| -> Option<String> {
            let lacks = |file: &EmbeddingFile| match source {
                Source::Image => file.image.is_none(),
                Source::Spectrum => file.spectrum.is_none(),
                Source::Photometry => !lookup.is_some_and(Lookup::has_photometry),
            };
            let files = [Some(self.embeddings), self.test];
            let file = files.into_iter().flatten().find(|file| lacks(file))?;
            Some(match source {
                Source::Photometry => {
                    "no photometry: it needs a label table with MAG_G, MAG_R and MAG_Z".to_owned()
                }
                _ => format!("{} has no {source} embeddings", file.path.display()),
            })
        };
        let all = [Source::Image, Source::Spectrum, Source::Photometry];
        if self.sources.is_empty() {
            notes.extend(all.into_iter().filter_map(reason));
            return Ok(all
                .into_iter()
                .filter(|&source| reason(source).is_none())
                .collect());
        }
        match self.sources.iter().find_map(|&source| reason(source)) {
            Some(reason) => Err(Error::Input(reason)),
            None => {
                let asked = all
                    .into_iter()
                    .filter(|source| self.sources.contains(source));
                Ok(asked.collect())
            }
        }
    }
}
