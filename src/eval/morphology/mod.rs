//! Galaxy morphology (paper section 6.5, Fig. 5, Table E1): what volunteers answered to the questions of Galaxy
//! Zoo DECaLS, predicted from embeddings.

mod results;
mod task;
mod votes;

use ndarray::parallel::prelude::*;

use super::{
    fit_progress::FitProgress,
    labels::Labels,
    sample::{Model, Sample},
};
use crate::{
    error::{Error, Result},
    survey::QUESTIONS,
};
pub use results::{
    MorphologyDropped, MorphologyOptions, MorphologyPredictions, MorphologyReport, MorphologyResult,
};
use task::Task;
use votes::answers;

/// FitProgress a classifier per question and source to vote fractions, and compares its answers for the test galaxies
/// with the volunteers'.
///
/// # Errors
/// [`Error::Input`] where the labels hold no votes, or no galaxies are left to fit or to test.
pub fn morphology(
    models: &[Model<'_>],
    labels: &Labels,
    options: &MorphologyOptions,
) -> Result<MorphologyReport> {
    if options.seeds == 0 {
        return Err(Error::Input("seeds = 0; expected at least 1".to_owned()));
    }
    let mut notes = Vec::new();
    let sample = Sample::new(models, Some(labels), &mut notes)?;
    let Some((questions, volunteers)) = answers(labels, &mut notes) else {
        return Err(Error::Input(format!(
            "{}: no votes: expected columns {}_total-votes, {}_{}_fraction, … as in the GZD-5 catalogue \
             (a file of `astroclip simulate` has them); there are {}",
            labels.name,
            QUESTIONS[0].name,
            QUESTIONS[0].name,
            QUESTIONS[0].answers[0],
            labels.column_names()
        )));
    };
    let sources = sample.sources(&mut notes);
    let mut tasks = Vec::new();
    let mut dropped = Vec::new();
    for answers in &questions {
        for &features in &sources {
            let task = Task {
                sample: &sample,
                answers,
                features,
                train: Vec::new(),
                test: Vec::new(),
            };
            let task = task.choose(&volunteers, options, &mut dropped);
            let (n_train, n_test) = (task.train.len(), task.test.len());
            if n_train < 4 || n_test < 2 {
                let (model, source) = sample.describe(features);
                notes.push(format!(
                    "{} from {source} ({model}): left out, {n_train} train and {n_test} test galaxies remain",
                    answers.question.name
                ));
            } else {
                tasks.push(task);
            }
        }
    }
    dropped.retain(|lost: &MorphologyDropped| lost.total() > 0);
    if tasks.is_empty() {
        return Err(Error::Input(format!(
            "{}: nothing to evaluate; {}",
            labels.name,
            notes.join("; ")
        )));
    }
    let progress = FitProgress::new("morphology", tasks.len() * options.seeds);
    let made: Vec<(MorphologyResult, MorphologyPredictions)> = tasks
        .into_par_iter()
        .map(|task| task.run(options, &progress))
        .collect::<Result<_>>()?;
    progress.finish();
    let (results, predictions) = made.into_iter().unzip();
    Ok(MorphologyReport {
        options: options.clone(),
        results,
        dropped,
        notes,
        predictions,
    })
}
