//! Galaxy morphology (paper section 6.5, Fig. 5, Table E1): what volunteers answered to the questions of Galaxy
//! Zoo DECaLS, predicted from embeddings.

pub(in crate::evaluation) mod question;
mod results;
pub(in crate::evaluation) mod votes;

use ndarray::parallel::prelude::*;

use super::{
    fit_progress::FitProgress,
    left_out::LeftOut,
    sample::{EvalInputs, Sample},
};
use crate::base::error::{Error, Result};
use crate::survey::QUESTIONS;
use question::QuestionTask;
pub use results::{MorphologyOptions, MorphologyPredictions, MorphologyReport, MorphologyResult};
use votes::answers;

/// FitProgress a classifier per question and source to vote fractions, and compares its answers for the test galaxies
/// with the volunteers'.
///
/// # Errors
/// Where the labels hold no votes, or no galaxies are left to fit or to test.
pub fn morphology(
    inputs: &EvalInputs<'_>,
    options: &MorphologyOptions,
) -> Result<MorphologyReport> {
    let labels = inputs.labels.ok_or_else(|| {
        Error::input(
            "morphology needs a table of votes; pass --labels FILE with columns as in the GZD-5 catalogue, \
             such as smooth-or-featured_total-votes (a file of `astroclip simulate` has them)",
        )
    })?;
    if options.seeds == 0 {
        return Err(Error::input("seeds = 0; expected at least 1"));
    }
    let mut notes = Vec::new();
    let sample = Sample::new(inputs, &mut notes)?;
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
    let mut left_out = Vec::new();
    for answers in &questions {
        for &features in &sources {
            let task = QuestionTask::choose(
                (&sample, answers, features),
                &volunteers,
                options,
                &mut left_out,
            );
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
    left_out.retain(|lost: &LeftOut| lost.total() > 0);
    if tasks.is_empty() {
        let error = Error::input(format!("nothing to evaluate; {}", notes.join("; ")));
        return Err(error.in_file(&labels.name));
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
        left_out,
        notes,
        predictions,
    })
}
