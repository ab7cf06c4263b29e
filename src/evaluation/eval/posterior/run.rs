//! Which posteriors are evaluated, and of which galaxies.

use ndarray::{Array2, Axis};

use super::{
    assess::assess,
    galaxies::Galaxies,
    results::{PosteriorOptions, PosteriorReport},
};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::{
    left_out::{LeftOut, Reason},
    predictions::PredictionTable,
    sample::{EvalInputs, Features, Sample},
    source::{Condition, Source},
    truth::{Truths, constant},
};
use crate::survey::{Labels, Role, Split, Target};

/// Fewest train galaxies with known targets; also fewest that a supervised network was not fitted to, for flows to
/// leave out the others.
pub(in crate::evaluation) const FEWEST_TRAIN: usize = 100;
/// Fewest test galaxies with known targets.
const FEWEST_TEST: usize = 10;
/// Probability below which the joint posteriors are said not to be calibrated.
const LEAST_P: f64 = 0.05;
/// Fewest samples that quantiles of 2.5 % can be taken of.
const FEWEST_SAMPLES: usize = 40;

/// Fits the flows of each model and source to the train galaxies, and measures and summarizes the posteriors of the test
/// galaxies. Flows are conditioned on embeddings, magnitudes, and all that a network predicts.
///
/// # Errors
/// Where a target or source that was asked for is not there, too few galaxies are left, a setting makes no sense, or a
/// fit fails.
pub fn posterior(inputs: &EvalInputs<'_>, options: &PosteriorOptions) -> Result<PosteriorReport> {
    if options.samples < FEWEST_SAMPLES {
        return Err(Error::input(format!(
            "{} samples; expected at least {FEWEST_SAMPLES}, for a 95 % interval",
            options.samples
        )));
    }
    let mut notes = Vec::new();
    let mut sample = Sample::new(inputs, &mut notes)?;
    let mut targets = known_targets(inputs.labels, &options.targets, &sample, &mut notes)?;
    if options.targets.is_empty() {
        leave_out_constants(&sample, inputs.labels, &mut targets, &mut notes);
    }
    if targets.contains(&Target::Redshift) {
        sample.note_redshifts(inputs.labels, &mut notes);
    }
    add_predictions(inputs.predictions, &mut sample, &targets, &mut notes);
    let truths = Truths::new(&sample, inputs.labels, &targets);
    let sources = known_sources(&options.sources, &sample, &mut notes)?;
    let mut report = PosteriorReport {
        options: options.clone(),
        targets: targets.clone(),
        results: Vec::new(),
        left_out: Vec::new(),
        notes,
        summaries: Vec::new(),
    };
    for features in sources {
        let (train, lost) = train_galaxies(&truths, features, &targets, &mut report.notes);
        let (test, lost_test) =
            truths.gather(features, &targets, Split::Test, |role| role == Role::Test);
        let (model, source) = sample.describe(features);
        let condition = Condition::from(features);
        let complete = test.complete();
        let (n_train, n_test) = (train.object_id.len(), complete.len());
        if n_train < FEWEST_TRAIN || n_test < FEWEST_TEST {
            let names: Vec<&str> = targets.iter().map(|target| target.name()).collect();
            let problem = format!(
                "no posteriors of {} from {} ({}): {n_train} train and {n_test} test galaxies have all of it \
                 known; expected at least {FEWEST_TRAIN} and {FEWEST_TEST}. Left out: {}; {}",
                names.join(", "),
                condition.of(source),
                model,
                lost.in_words(),
                lost_test.in_words()
            );
            if !options.sources.is_empty() {
                return Err(Error::input(problem));
            }
            report.notes.push(problem);
            continue;
        }
        let from = (model, source, condition);
        let truth = test.truth.select(Axis(0), &complete);
        let constant = targets.iter().enumerate().find(|(column, _)| {
            let of = |truth: &Array2<f64>| constant(truth.column(*column).iter().copied());
            of(&train.truth).or_else(|| of(&truth)).is_some()
        });
        if let Some((_, target)) = constant {
            return Err(Error::input(format!(
                "{} is the same for all train or all test galaxies: of a constant there are no posteriors; leave it \
                 out of --targets",
                target.name()
            )));
        }
        let (result, summaries) = assess(from, &targets, &train, &test, options)?;
        if targets.len() > 1 && result.tarp.p_value < LEAST_P {
            report.notes.push(format!(
                "from {} ({model}): single targets may be covered as they should be, but all of them together are not (TARP \
                 p {:.3}); take the intervals of single targets, and their samples together for a rough guess",
                condition.of(source),
                result.tarp.p_value
            ));
        }
        report.results.push(result);
        report.summaries.push(summaries);
        report.left_out.extend(
            [lost, lost_test]
                .into_iter()
                .filter(|lost| lost.total() > 0),
        );
    }
    match report.results.is_empty() {
        true => Err(Error::input(report.notes.join("; "))),
        false => Ok(report),
    }
}

/// Adds the networks to what posteriors can be conditioned on.
fn add_predictions<'a>(
    predictions: &'a [PredictionTable],
    sample: &mut Sample<'a>,
    targets: &[Target],
    notes: &mut Vec<String>,
) {
    for from in predictions {
        let predicted = from.targets();
        let names = |targets: &[Target]| -> String {
            let names: Vec<&str> = targets.iter().map(|target| target.name()).collect();
            names.join(", ")
        };
        if predicted.is_empty() {
            notes.push(format!(
                "no posteriors from {} predictions (`{}`): {} has no column {}, redshift; it has {}",
                from.source,
                from.model,
                from.table.name,
                names(&Target::PROPERTIES),
                from.table.column_names()
            ));
            continue;
        }
        if targets.iter().any(|target| !predicted.contains(target)) {
            notes.push(format!(
                "{} predictions (`{}`) are of {} alone: all that the posteriors of {} know",
                from.source,
                from.model,
                names(&predicted),
                names(targets)
            ));
        }
        sample.add_predictions(from);
    }
}

/// The train galaxies that flows are fitted to. Of a supervised network those that it was not fitted to: for the
/// others its predictions are better than for test galaxies, and flows that learn from them take the predictions
/// for better than they are.
fn train_galaxies(
    truths: &Truths<'_>,
    features: Features,
    targets: &[Target],
    notes: &mut Vec<String>,
) -> (Galaxies, LeftOut) {
    let gather = |wanted: fn(Role) -> bool| {
        let (galaxies, lost) = truths.gather(features, targets, Split::Train, wanted);
        (galaxies.select(&galaxies.complete()), lost)
    };
    let (unseen, lost) = gather(|role| role != Role::Train);
    let Some(from) = truths.sample.network(features) else {
        return (unseen, lost);
    };
    let what = format!("{} predictions (`{}`)", from.source, from.model);
    let count = unseen.object_id.len();
    if !from.says_roles() {
        notes.push(format!(
            "{what}: {} has no column split; if the network was fitted to train galaxies, these posteriors are \
             too narrow",
            from.table.name
        ));
    } else if count < FEWEST_TRAIN && lost.count(Reason::TrainedOn) > 0 {
        let (all, lost) = gather(|_| true);
        notes.push(format!(
            "{what}: the network was not fitted to {count} of the train galaxies; flows need {FEWEST_TRAIN} and \
             were fitted to all {}, on which its predictions are too good: these posteriors come out too narrow. \
             Set more galaxies aside: astroclip baseline {} --set {}=0.3",
            all.object_id.len(),
            from.source,
            match from.source {
                Source::Photometry => "mlp.validation_fraction",
                _ => "validation.fraction",
            }
        ));
        return (all, lost);
    } else if lost.count(Reason::TrainedOn) > 0 {
        notes.push(format!(
            "{what}: flows were fitted to the {count} train galaxies that the network was not fitted to"
        ));
    }
    (unseen, lost)
}

/// Leaves out targets that are the same for all galaxies of a split whose value is known.
pub(in crate::evaluation) fn leave_out_constants(
    sample: &Sample<'_>,
    labels: Option<&Labels>,
    targets: &mut Vec<Target>,
    notes: &mut Vec<String>,
) {
    let truths = Truths::new(sample, labels, targets);
    targets.retain(|&target| {
        let is_constant = [Split::Train, Split::Test].into_iter().any(|split| {
            let galaxies: Vec<usize> = sample.of_split(split).collect();
            let values = truths.of(target, &galaxies).into_iter();
            constant(values.filter(|value| value.is_finite())).is_some()
        });
        if is_constant {
            notes.push(format!(
                "left out: {} is the same for all train or all test galaxies, and of a constant there are no posteriors",
                target.name()
            ));
        }
        !is_constant
    });
}

/// The targets asked for; all that are known where none were.
pub(in crate::evaluation) fn known_targets(
    labels: Option<&Labels>,
    asked: &[Target],
    sample: &Sample<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<Target>> {
    let known = |target: Target| match target {
        Target::Redshift => sample.redshift.iter().any(|z| z.is_finite()),
        _ => labels.is_some_and(|labels| labels.known(target).is_some()),
    };
    let mut wanted: Vec<Target> = Vec::new();
    for target in if asked.is_empty() {
        &Target::ALL
    } else {
        asked
    } {
        if !wanted.contains(target) {
            wanted.push(*target);
        }
    }
    let (there, missing): (Vec<Target>, Vec<Target>) =
        wanted.into_iter().partition(|&target| known(target));
    let describe = |target: &Target| match labels.and_then(|labels| labels.refusal(*target)) {
        Some(refused) => format!("{} ({refused})", target.name()),
        None => {
            let columns = target.usual_columns().join(" and ");
            format!("{} (column {columns})", target.name())
        }
    };
    let missing: Vec<String> = missing.iter().map(describe).collect();
    if there.is_empty() || (!asked.is_empty() && !missing.is_empty()) {
        let labels = labels.map_or_else(
            || "no label table was given (--labels FILE)".to_owned(),
            |labels| format!("{} has {}", labels.name, labels.column_names()),
        );
        return Err(Error::input(format!(
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
pub(in crate::evaluation) fn known_sources(
    asked: &[Source],
    sample: &Sample<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<Features>> {
    let mut missing = Vec::new();
    let mut there = sample.sources(&mut missing);
    if asked.is_empty() {
        notes.append(&mut missing);
        return Ok(there);
    }
    there.extend(sample.both());
    let source_of = |features: &Features| sample.describe(*features).1;
    if let Some(source) = asked
        .iter()
        .find(|source| there.iter().all(|features| source_of(features) != **source))
    {
        let files = sample
            .models
            .iter()
            .map(|model| model.embeddings.path.display().to_string());
        missing.push(match source {
            Source::Photometry => "no label table has magnitudes".to_owned(),
            Source::Both => format!(
                "{} has not both kinds of embeddings",
                files.collect::<Vec<_>>().join(", ")
            ),
            _ => format!(
                "{} has no such embeddings",
                files.collect::<Vec<_>>().join(", ")
            ),
        });
        return Err(Error::input(format!(
            "no posteriors from {source}: {}",
            missing.join("; ")
        )));
    }
    there.retain(|features| asked.contains(&source_of(features)));
    Ok(there)
}
