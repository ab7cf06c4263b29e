//! What volunteers answered, from the columns of a label table.

use ndarray::Array2;

use crate::survey::{Labels, QUESTIONS, Question};

/// What volunteers answered to one question, row by row of a label table.
pub(in crate::evaluation) struct Answers {
    pub(in crate::evaluation) question: &'static Question,
    /// Fractions (rows, answers) that sum to 1; NaN where nobody was asked.
    pub(in crate::evaluation) fractions: Array2<f64>,
    /// How many were asked.
    pub(in crate::evaluation) asked: Vec<f64>,
}

/// Answers to the questions that the table has, in the order of [`QUESTIONS`], and how many volunteers saw each
/// galaxy: those who were asked the first question. `None` without that one. `notes` gets what the table lacks.
///
/// Columns are named as in the GZD-5 catalogue (Walmsley et al. 2022): `QUESTION_total-votes` and, of these,
/// the first that is there for all answers: `QUESTION_ANSWER_debiased`, `QUESTION_ANSWER_fraction`,
/// `QUESTION_ANSWER` (votes).
pub(in crate::evaluation) fn answers(
    labels: &Labels,
    notes: &mut Vec<String>,
) -> Option<(Vec<Answers>, Vec<f64>)> {
    let volunteers = total_votes(labels, &QUESTIONS[0])?.to_vec();
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for question in &QUESTIONS {
        match of_question(labels, question) {
            Some(answers) => known.push(answers),
            None => unknown.push(question.name),
        }
    }
    if !unknown.is_empty() {
        notes.push(format!(
            "left out: {}; {} lacks QUESTION_total-votes, or QUESTION_ANSWER_fraction of an answer",
            unknown.join(", "),
            labels.name
        ));
    }
    Some((known, volunteers))
}

fn total_votes<'a>(labels: &'a Labels, question: &Question) -> Option<&'a [f64]> {
    labels.column(&[&format!("{}_total-votes", question.name)])
}

fn of_question(labels: &Labels, question: &'static Question) -> Option<Answers> {
    let asked = total_votes(labels, question)?;
    let columns = |ending: &str| -> Option<Vec<&[f64]>> {
        let answers = question.answers.iter();
        answers
            .map(|answer| labels.column(&[&format!("{}_{answer}{ending}", question.name)]))
            .collect()
    };
    let columns = ["_debiased", "_fraction", ""]
        .into_iter()
        .find_map(columns)?;
    let mut fractions = Array2::from_shape_fn((asked.len(), columns.len()), |(row, answer)| {
        columns[answer][row]
    });
    for mut row in fractions.rows_mut() {
        let sum = row.sum();
        if sum > 0.0 {
            row /= sum;
        } else {
            row.fill(f64::NAN);
        }
    }
    Some(Answers {
        question,
        fractions,
        asked: asked.to_vec(),
    })
}
