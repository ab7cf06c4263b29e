//! Galaxies that a task leaves out, and why.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{
    source::Condition,
    task::{Subject, Task},
};
use crate::survey::Split;

/// Galaxies that a task left out, by the first reason that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Train galaxies were not fitted to. Test galaxies were not scored, but have a posterior if their features are
    /// known and the network behind them never saw them.
    #[serde(flatten)]
    pub task: Task,
    /// How many for each reason that the task knows.
    #[serde(flatten, deserialize_with = "known_reasons")]
    pub reasons: BTreeMap<Reason, usize>,
}

/// The counts among the fields of a record: those of its task stand beside them.
fn known_reasons<'de, D: Deserializer<'de>>(
    fields: D,
) -> Result<BTreeMap<Reason, usize>, D::Error> {
    let fields = BTreeMap::<String, Value>::deserialize(fields)?;
    let count = |(name, count)| {
        let reason = serde_json::from_value(Value::String(name)).ok()?;
        Some((reason, serde_json::from_value(count).ok()?))
    };
    Ok(fields.into_iter().filter_map(count).collect())
}

/// Why a galaxy is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Another model has it, but not this one.
    NotInFile,
    /// The embedding, a magnitude or a prediction is unknown or not finite.
    WithoutFeatures,
    /// The network behind the predictions was fitted to it, or a test galaxy validated the network.
    TrainedOn,
    /// Its identifier is not in the label table.
    NotInLabels,
    /// It fails the catalogue's cuts (stellar mass and magnitudes above 0).
    Cut,
    /// A target is unknown or not finite.
    WithoutTarget,
    /// Its identifier is not in the label table, or without votes there.
    WithoutVotes,
    /// Too few volunteers saw it.
    TooFewVotes,
    /// Too small a fraction of the volunteers was asked the question.
    RarelyAsked,
}

impl Reason {
    /// The reasons that tasks of this kind know.
    fn of(subject: &Subject) -> &'static [Self] {
        use Reason::{
            Cut, NotInFile, NotInLabels, RarelyAsked, TooFewVotes, TrainedOn, WithoutFeatures,
            WithoutTarget, WithoutVotes,
        };
        match subject {
            Subject::Target(_) | Subject::Condition(_) => &[
                NotInFile,
                WithoutFeatures,
                TrainedOn,
                NotInLabels,
                Cut,
                WithoutTarget,
            ],
            Subject::Question(_) => &[
                NotInFile,
                WithoutFeatures,
                WithoutVotes,
                TooFewVotes,
                RarelyAsked,
            ],
        }
    }
}

impl LeftOut {
    /// None so far.
    pub(in crate::evaluation) fn none(task: Task) -> Self {
        let reasons = Reason::of(&task.subject).iter();
        Self {
            reasons: reasons.map(|&reason| (reason, 0)).collect(),
            task,
        }
    }

    /// The galaxies that there is no reason to leave out; the others are counted.
    pub(in crate::evaluation) fn select(
        &mut self,
        galaxies: impl Iterator<Item = usize>,
        reason: impl Fn(usize) -> Option<Reason>,
    ) -> Vec<usize> {
        let mut selected = Vec::new();
        for galaxy in galaxies {
            match reason(galaxy) {
                Some(reason) => *self.reasons.entry(reason).or_default() += 1,
                None => selected.push(galaxy),
            }
        }
        selected
    }

    /// The number of galaxies left out for a reason.
    pub fn count(&self, reason: Reason) -> usize {
        self.reasons.get(&reason).copied().unwrap_or(0)
    }

    /// The number of galaxies left out.
    pub fn total(&self) -> usize {
        self.reasons.values().sum()
    }

    /// Split, counts and reasons in words, without reasons that left out none.
    pub(in crate::evaluation) fn in_words(&self) -> String {
        let words = |reason| match (reason, &self.task.subject) {
            (Reason::WithoutFeatures, Subject::Condition(Condition::Predictions)) => {
                "prediction not finite"
            }
            (Reason::WithoutFeatures, _) => "embedding or magnitude not finite",
            (Reason::NotInFile, _) => "not in this model's file",
            (Reason::TrainedOn, _) => "that the network was trained on",
            (Reason::NotInLabels, _) => "not in the label table",
            (Reason::Cut, _) => "stellar mass or a magnitude not above 0",
            (Reason::WithoutTarget, _) => "target unknown or not finite",
            (Reason::WithoutVotes, _) => "without votes",
            (Reason::TooFewVotes, _) => "seen by too few volunteers",
            (Reason::RarelyAsked, _) => "of which too few were asked",
        };
        let some = self.reasons.iter().filter(|(_, count)| **count > 0);
        let some: Vec<String> = some
            .map(|(&reason, count)| format!("{count} {}", words(reason)))
            .collect();
        let split = match self.task.split {
            Split::Train => "train",
            Split::Test => "test",
        };
        match some.is_empty() {
            true => format!("{split}: none"),
            false => format!("{split}: {}", some.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::eval::source::Source;

    #[test]
    fn what_and_why_are_fields_of_one_record() {
        let mut left_out = LeftOut::none(Task {
            model: "aligned".to_owned(),
            source: Source::Image,
            subject: Subject::Condition(Condition::Embeddings),
            split: Split::Test,
        });
        let kept = left_out.select(0..3, |galaxy| (galaxy == 1).then_some(Reason::Cut));
        assert_eq!((kept, left_out.total()), (vec![0, 2], 1));
        let json = serde_json::json!({
            "model": "aligned", "source": "image", "condition": "embeddings", "split": "test",
            "not_in_file": 0, "without_features": 0, "trained_on": 0, "not_in_labels": 0, "cut": 1,
            "without_target": 0,
        });
        assert_eq!(serde_json::to_value(&left_out).unwrap(), json);
        assert_eq!(serde_json::from_value::<LeftOut>(json).unwrap(), left_out);
    }
}
