//! Fits an estimator to the training galaxies, and scores it on the test galaxies.

use std::collections::{BTreeMap, HashSet};

use ndarray::{Array2, s};

use super::galaxies::Galaxies;
use super::morphology::QuestionPart;
use super::neighbours::Nearest;
use super::options::{FitOptions, Regressor};
use super::part::{Fitted, Part, Telling};
use super::perceptrons::{Perceptrons, Recipe, disagreement, of_fractions};
use super::score::Score;
use super::space::Space;
use super::{Estimator, Head};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::fit_progress::FitProgress;
use crate::evaluation::eval::flow::FlowEnsemble;
use crate::evaluation::eval::left_out::LeftOut;
use crate::evaluation::eval::morphology::{question::QuestionTask, votes::answers};
use crate::evaluation::eval::posterior::{
    FEWEST_TRAIN, known_sources, known_targets, leave_out_constants,
};
use crate::evaluation::eval::regression::usable;
use crate::evaluation::eval::sample::{EvalInputs, Features, Sample};
use crate::evaluation::eval::truth::Truths;
use crate::evaluation::eval::{Mlp, MorphologyOptions, Source};
use crate::survey::{Labels, Modality, Role, Split, Target};

/// Fewest training galaxies that an interval of 95 % can be learnt from.
const FEWEST: usize = 40;

/// An estimator, and what was left out of its fit.
#[derive(Debug)]
pub struct Fit {
    /// The estimator.
    pub estimator: Estimator,
    /// Tasks that left out galaxies.
    pub left_out: Vec<LeftOut>,
}

/// Fits what `options` ask for to the training galaxies of one model's embeddings; the test galaxies say how good it is,
/// and nothing else is taken from them.
///
/// # Errors
/// Where settings make no sense, a target or source that was asked for is not there, or too few galaxies are left.
pub fn fit(inputs: &EvalInputs<'_>, options: &FitOptions) -> Result<Fit> {
    options.check()?;
    let [model] = &inputs.models[..] else {
        return Err(Error::input(format!(
            "{} models; expected embeddings of one, which an estimator belongs to",
            inputs.models.len()
        )));
    };
    let mut notes = Vec::new();
    let sample = Sample::new(inputs, &mut notes)?;
    let mut targets = known_targets(inputs.labels, &options.targets, &sample, &mut notes)?;
    if options.targets.is_empty() {
        leave_out_constants(&sample, inputs.labels, &mut targets, &mut notes);
    }
    if targets.contains(&Target::Redshift) {
        sample.note_redshifts(inputs.labels, &mut notes);
    }
    let mut fitting = Fitting {
        truths: Truths::new(&sample, inputs.labels, &targets),
        sample: &sample,
        options,
        parts: Vec::new(),
        questions: Vec::new(),
        spaces: Vec::new(),
        left_out: Vec::new(),
        notes,
        fitted_to: HashSet::new(),
    };
    let sources = fitting.sources()?;
    for &features in &sources {
        fitting.add_spaces(features)?;
        for &method in &options.methods {
            match method {
                Regressor::Knn => fitting.nearest(features, &targets)?,
                Regressor::Mlp => fitting.perceptrons(features, &targets)?,
                Regressor::Flow => fitting.flows(features, &targets)?,
            }
        }
    }
    if let (Some(labels), Some(morphology)) = (inputs.labels, &options.morphology) {
        fitting.morphology(labels, morphology, &sources)?;
    }
    if fitting.parts.is_empty() && fitting.questions.is_empty() {
        let problem = format!("nothing to fit; {}", fitting.notes.join("; "));
        return Err(Error::input(problem).in_file(&model.embeddings.path));
    }
    let provenance = model.embeddings.provenance.as_ref();
    let head = Head {
        model_sha256: provenance.map(|provenance| provenance.model_sha256.clone()),
        model: model.name.to_owned(),
        widths: fitting.widths(&sources),
        options: options.clone(),
        ranges: fitting.ranges(&targets),
        scores: Vec::new(),
        notes: fitting.notes.clone(),
    };
    fitting.finish(head)
}

/// A fit under way.
struct Fitting<'a> {
    sample: &'a Sample<'a>,
    truths: Truths<'a>,
    options: &'a FitOptions,
    parts: Vec<Part>,
    questions: Vec<QuestionPart>,
    spaces: Vec<Space>,
    left_out: Vec<LeftOut>,
    notes: Vec<String>,
    fitted_to: HashSet<u64>,
}

impl Fitting<'_> {
    /// What is fitted from: what was asked for, else all embeddings, those of both kinds together first.
    fn sources(&mut self) -> Result<Vec<Features>> {
        let asked = &self.options.sources;
        let mut unheard = Vec::new();
        let mut sources = match asked.is_empty() {
            false => known_sources(asked, self.sample, &mut self.notes)?,
            true => {
                let mut all = self.sample.sources(&mut unheard);
                all.retain(|features| matches!(features, Features::Embeddings(..)));
                all.extend(self.sample.both());
                all
            }
        };
        sources.sort_by_key(|features| rank(self.sample.describe(*features).1));
        Ok(sources)
    }

    /// The training galaxies' vectors: of each kind of embeddings, for what is unlike them all, and what the k-NN needs.
    fn add_spaces(&mut self, features: Features) -> Result<()> {
        let needs_own = self.options.methods.contains(&Regressor::Knn);
        let wanted: Vec<Features> = match features {
            Features::Both(model) => Modality::ALL
                .map(|modality| Features::Embeddings(model, modality))
                .into_iter()
                .chain(needs_own.then_some(features))
                .collect(),
            Features::Photometry if !needs_own => Vec::new(),
            one => vec![one],
        };
        for features in wanted {
            let source = self.sample.describe(features).1;
            if self.spaces.iter().any(|space| space.source == source) {
                continue;
            }
            let train = self.with_features(features, Split::Train);
            if train.len() <= self.options.k {
                return Err(Error::input(format!(
                    "{} training galaxies have what {source} estimates are made from; expected more than k = {}, better \
                     some hundred",
                    train.len(),
                    self.options.k
                )));
            }
            let vectors = self.sample.features(features, &train);
            self.spaces
                .push(Space::fit(source, vectors, self.options.k)?);
        }
        Ok(())
    }

    fn with_features(&self, features: Features, split: Split) -> Vec<usize> {
        let known = |&galaxy: &usize| self.sample.lacks_features(features, galaxy).is_none();
        self.sample.of_split(split).filter(known).collect()
    }

    /// Groups of targets that may be fitted to the same galaxies, with these; targets of too few are noted.
    fn groups(
        &mut self,
        features: Features,
        targets: &[Target],
        method: Regressor,
    ) -> Vec<(Vec<Target>, Vec<usize>)> {
        let mut groups: Vec<(Vec<Target>, Vec<usize>)> = Vec::new();
        for &target in targets {
            let (train, lost) = usable(&self.truths, features, target, Split::Train);
            let why = match self.truths.constant(target, &train) {
                Some(value) => Some(format!("it is {value} of all training galaxies")),
                None if train.len() < FEWEST => Some(format!(
                    "{} training galaxies, of which an interval of 95 % needs {FEWEST} ({})",
                    train.len(),
                    lost.in_words()
                )),
                None => None,
            };
            if let Some(why) = why {
                let source = self.sample.describe(features).1;
                self.notes.push(format!(
                    "{} from {source} by {method}: left out, {why}",
                    target.name()
                ));
            } else {
                match groups.iter_mut().find(|(_, known)| *known == train) {
                    Some((together, _)) => together.push(target),
                    None => groups.push((vec![target], train)),
                }
            }
            self.note(lost);
        }
        groups
    }

    fn note(&mut self, lost: LeftOut) {
        if lost.total() > 0 && !self.left_out.contains(&lost) {
            self.left_out.push(lost);
        }
    }

    fn values(&self, targets: &[Target], galaxies: &[usize]) -> Array2<f64> {
        Array2::from_shape_fn((galaxies.len(), targets.len()), |(row, target)| {
            self.truths.values[&targets[target]][galaxies[row]]
        })
    }

    fn add(&mut self, features: Features, targets: Vec<Target>, train: &[usize], fitted: Fitted) {
        self.remember(train);
        self.parts.push(Part {
            source: self.sample.describe(features).1,
            targets,
            n_train: train.len(),
            fitted,
        });
    }

    fn remember(&mut self, train: &[usize]) {
        let ids = train.iter().map(|&galaxy| self.sample.object_id[galaxy]);
        self.fitted_to.extend(ids.map(|id| id.bits()));
    }

    fn nearest(&mut self, features: Features, targets: &[Target]) -> Result<()> {
        let source = self.sample.describe(features).1;
        let all = self.with_features(features, Split::Train);
        let row_of: BTreeMap<usize, usize> = all.into_iter().zip(0..).collect();
        for (targets, train) in self.groups(features, targets, Regressor::Knn) {
            let rows = train.iter().map(|galaxy| row_of[galaxy]).collect();
            let values = self.values(&targets, &train);
            let space = self.spaces.iter().find(|space| space.source == source);
            let space = space.expect("the k-NN's space is kept with it");
            let how = (self.options.k, self.options.weights);
            let nearest = Nearest::fit(space, rows, values, how)?;
            self.add(features, targets, &train, Fitted::Knn(nearest));
        }
        Ok(())
    }

    fn perceptrons(&mut self, features: Features, targets: &[Target]) -> Result<()> {
        let groups = self.groups(features, targets, Regressor::Mlp);
        let progress = FitProgress::new(
            &format!("perceptrons from {}", self.sample.describe(features).1),
            groups
                .iter()
                .map(|(targets, train)| {
                    targets.len() * Recipe::fits(self.options.members, train.len())
                })
                .sum(),
        );
        for (targets, train) in groups {
            let x = self.sample.features(features, &train);
            let values = self.values(&targets, &train);
            for (index, target) in targets.into_iter().enumerate() {
                let recipe = Recipe {
                    config: &self.options.mlp,
                    members: self.options.members,
                    fit: Mlp::fit,
                    doubt: disagreement,
                    one_more: &|| progress.one_more(),
                };
                let y = values.slice(s![.., index..=index]);
                let fitted = Perceptrons::fit(x.view(), y, recipe)?;
                self.add(features, vec![target], &train, Fitted::Mlp(fitted));
            }
        }
        progress.finish();
        Ok(())
    }

    fn flows(&mut self, features: Features, targets: &[Target]) -> Result<()> {
        let is_test = |role| role == Role::Test;
        let (train, lost) = self.truths.gather(features, targets, Split::Train, is_test);
        let complete = train.select(&train.complete());
        let source = self.sample.describe(features).1;
        let count = complete.object_id.len();
        if count < FEWEST_TRAIN {
            self.notes.push(format!(
                "posteriors from {source}: left out, {count} training galaxies of which all is known, expected at least \
                 {FEWEST_TRAIN} ({})",
                lost.in_words()
            ));
            self.note(lost);
            return Ok(());
        }
        let flows = FlowEnsemble::fit(
            complete.features.view(),
            complete.truth.view(),
            &self.options.flow,
            &format!("flows from {source}"),
        )?;
        self.note(lost);
        let ids = complete.object_id.iter();
        self.fitted_to.extend(ids.map(|id| id.bits()));
        self.parts.push(Part {
            source,
            targets: targets.to_vec(),
            n_train: count,
            fitted: Fitted::Flow(flows),
        });
        Ok(())
    }

    /// Morphology is in pictures: it is told from images where there are any.
    fn morphology(
        &mut self,
        labels: &Labels,
        options: &MorphologyOptions,
        sources: &[Features],
    ) -> Result<()> {
        let Some((questions, volunteers)) = answers(labels, &mut self.notes) else {
            return Ok(());
        };
        let is_image = |features: &&Features| self.sample.describe(**features).1 == Source::Image;
        let Some(&features) = sources.iter().find(is_image).or(sources.first()) else {
            return Ok(());
        };
        let sample = self.sample;
        let mut chosen = Vec::new();
        for answers in &questions {
            let mut lost = Vec::new();
            let task =
                QuestionTask::choose((sample, answers, features), &volunteers, options, &mut lost);
            if task.train.len() < FEWEST {
                self.notes.push(format!(
                    "{}: left out, {} training galaxies",
                    answers.question.name,
                    task.train.len()
                ));
            } else {
                chosen.push(task);
            }
            lost.into_iter().for_each(|lost| self.note(lost));
        }
        let fits = chosen
            .iter()
            .map(|task| Recipe::fits(MEMBERS, task.train.len()));
        let progress = FitProgress::new("morphology", fits.sum());
        for task in chosen {
            let recipe = Recipe {
                config: &options.mlp,
                members: MEMBERS,
                fit: Mlp::fit_fractions,
                doubt: of_fractions,
                one_more: &|| progress.one_more(),
            };
            let x = sample.features(features, &task.train);
            let answers = task.answers.question.answers;
            let mut fractions = Array2::zeros((task.train.len(), answers.len()));
            for (mut row, &galaxy) in fractions.rows_mut().into_iter().zip(&task.train) {
                row.assign(&task.fractions(galaxy).expect("galaxies with votes"));
            }
            self.remember(&task.train);
            self.questions.push(QuestionPart {
                source: sample.describe(features).1,
                question: task.answers.question.name.to_owned(),
                answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
                n_train: task.train.len(),
                perceptrons: Perceptrons::fit(x.view(), fractions.view(), recipe)?,
            });
        }
        progress.finish();
        Ok(())
    }

    /// Widths of all vectors that the estimator is shown.
    fn widths(&self, sources: &[Features]) -> BTreeMap<Source, usize> {
        let spaces = self.spaces.iter();
        let mut widths: BTreeMap<Source, usize> = spaces
            .map(|space| (space.source, space.vectors.ncols()))
            .collect();
        for &features in sources {
            let one = self.sample.of_split(Split::Train);
            let mut one =
                one.filter(|&galaxy| self.sample.lacks_features(features, galaxy).is_none());
            if let Some(galaxy) = one.next() {
                let width = self.sample.features(features, &[galaxy]).ncols();
                widths.insert(self.sample.describe(features).1, width);
            }
        }
        widths
    }

    fn ranges(&self, targets: &[Target]) -> BTreeMap<Target, [f64; 2]> {
        let mut ranges = BTreeMap::new();
        for &target in targets {
            let train = self.sample.of_split(Split::Train);
            let values = train.map(|galaxy| self.truths.values[&target][galaxy]);
            let known = values.filter(|value| value.is_finite());
            let range = known.fold(
                [f64::INFINITY, f64::NEG_INFINITY],
                |[least, most], value| [value.min(least), value.max(most)],
            );
            if range[0].is_finite() {
                ranges.insert(target, range);
            }
        }
        ranges
    }

    /// Scores what was fitted, as it will be told of other galaxies.
    fn finish(mut self, head: Head) -> Result<Fit> {
        let mut estimator = Estimator {
            head,
            parts: std::mem::take(&mut self.parts),
            questions: std::mem::take(&mut self.questions),
            spaces: std::mem::take(&mut self.spaces),
            fitted_to: std::mem::take(&mut self.fitted_to),
        };
        let test: Vec<usize> = self.sample.of_split(Split::Test).collect();
        let galaxies = Galaxies {
            object_id: self.sample.ids(&test),
            image: self.vectors(&test, Source::Image, &estimator),
            spectrum: self.vectors(&test, Source::Spectrum, &estimator),
            magnitudes: self.vectors(&test, Source::Photometry, &estimator),
        };
        let telling = Telling {
            samples: self.options.samples,
            grid: None,
        };
        let mut scores = Vec::new();
        for (part, rows, said) in estimator.estimate(&galaxies, telling)?.parts {
            let condition = match part.source {
                Source::Photometry => Features::Photometry,
                _ => Features::Both(0),
            };
            for (index, &target) in part.targets.iter().enumerate() {
                let known = |&row: &usize| {
                    let lacks =
                        self.truths
                            .lacks_targets(condition.into(), &[target], test[rows[row]]);
                    lacks.is_none()
                };
                let known: Vec<usize> = (0..rows.len()).filter(known).collect();
                if known.len() < 2 {
                    continue;
                }
                let truth: Vec<usize> = known.iter().map(|&row| test[rows[row]]).collect();
                let levels = known
                    .iter()
                    .map(|&row| std::array::from_fn(|level| said.levels[[row, index, level]]));
                let point: Vec<f64> = known.iter().map(|&row| said.point[[row, index]]).collect();
                scores.push(Score::new(
                    (target, part.source, part.method()),
                    &self.truths.of(target, &truth),
                    &point,
                    &levels.collect::<Vec<[f64; 5]>>(),
                    part.n_train,
                ));
            }
        }
        scores.sort_by_key(|score| (score.target, rank(score.source), score.method));
        if scores.is_empty() {
            estimator.head.notes.push(
                "no test galaxy says how good it is: none of the test split has labels".to_owned(),
            );
        }
        estimator.head.scores = scores;
        Ok(Fit {
            estimator,
            left_out: self.left_out,
        })
    }

    /// What the estimator is shown of galaxies, NaN where there is nothing.
    fn vectors(
        &self,
        galaxies: &[usize],
        source: Source,
        estimator: &Estimator,
    ) -> Option<Array2<f32>> {
        let features = match source {
            Source::Image => Features::Embeddings(0, Modality::Image),
            Source::Spectrum => Features::Embeddings(0, Modality::Spectrum),
            _ => Features::Photometry,
        };
        let width = *estimator.head.widths.get(&source)?;
        let mut vectors = Array2::from_elem((galaxies.len(), width), f32::NAN);
        for (mut row, &galaxy) in vectors.rows_mut().into_iter().zip(galaxies) {
            if self.sample.lacks_features(features, galaxy).is_none() {
                row.assign(&self.sample.features(features, &[galaxy]).row(0));
            }
        }
        Some(vectors)
    }
}

/// Perceptrons of an ensemble for morphology.
const MEMBERS: usize = 3;

/// Which source counts most where several tell of a galaxy.
fn rank(source: Source) -> usize {
    match source {
        Source::Both => 0,
        Source::Spectrum => 1,
        Source::Image => 2,
        Source::Photometry => 3,
    }
}
