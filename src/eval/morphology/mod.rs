//! Galaxy morphology (paper section 6.5, Fig. 5, Table E1): what volunteers answered to the questions of Galaxy
//! Zoo DECaLS, predicted from embeddings.

mod results;
mod task;
mod votes;

use ndarray::parallel::prelude::*;

use super::{
    fits::Fits,
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

/// Fits a classifier per question and source to vote fractions, and compares its answers for the test galaxies
/// with the volunteers'.
///
/// # Errors
/// [`Error::input`] where the labels hold no votes, or no galaxies are left to fit or to test.
pub fn morphology(
    models: &[Model<'_>],
    labels: &Labels,
    options: &MorphologyOptions,
) -> Result<MorphologyReport> {
    if options.seeds == 0 {
        return Err(Error::input("seeds = 0; expected at least 1"));
    }
    let mut notes = Vec::new();
    let sample = Sample::new(models, Some(labels), &mut notes)?;
    let Some((questions, volunteers)) = answers(labels, &mut notes) else {
        return Err(Error::input(format!(
            "no votes: expected columns {}_total-votes, {}_{}_fraction, … as in the GZD-5 catalogue \
             (a file of `astroclip simulate` has them); there are {}",
            QUESTIONS[0].name,
            QUESTIONS[0].name,
            QUESTIONS[0].answers[0],
            labels.column_names()
        ))
        .in_file(&labels.name));
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
        return Err(
            Error::input(format!("nothing to evaluate; {}", notes.join("; ")))
                .in_file(&labels.name),
        );
    }
    let progress = Fits::new("morphology", tasks.len() * options.seeds);
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
