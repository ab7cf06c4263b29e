//! Fits an estimator to the training galaxies, and scores it on the test galaxies.

use std::collections::{BTreeMap, HashSet};

use ndarray::{Array2, s};

use super::continua::{self, Continua};
use super::morphology::QuestionPart;
use super::neighbours::Nearest;
use super::options::{FitOptions, Regressor};
use super::part::{Fitted, Part};
use super::perceptrons::{Perceptrons, Recipe, disagreement};
use super::space::Space;
use super::{Estimator, Head};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::fit_progress::FitProgress;
use crate::evaluation::eval::flow::FlowEnsemble;
use crate::evaluation::eval::left_out::LeftOut;
use crate::evaluation::eval::posterior::{
    FEWEST_TRAIN, known_sources, known_targets, leave_out_constants,
};
use crate::evaluation::eval::regression::usable;
use crate::evaluation::eval::sample::{EvalInputs, Features, Sample};
use crate::evaluation::eval::truth::Truths;
use crate::evaluation::eval::{Mlp, Source};
use crate::files::embeddings::EmbeddingFile;
use crate::survey::{Modality, Role, Split, Target};

/// Fewest training galaxies that an interval of 95 % can be learnt from.
pub(super) const FEWEST: usize = 40;

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
        continua: None,
        left_out: Vec::new(),
        notes,
        fitted_to: HashSet::new(),
    };
    let sources = fitting.sources()?;
    fitting.add_continua(model.embeddings)?;
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
    let widths = fitting.widths(&sources);
    let head = Head {
        model_sha256: provenance.map(|provenance| provenance.model_sha256.clone()),
        model: model.name.to_owned(),
        normalized: provenance.map(|provenance| provenance.normalized),
        features: of_widths(&model.embeddings.features, &widths),
        widths,
        options: options.clone(),
        ranges: fitting.ranges(&targets),
        scores: Vec::new(),
        notes: fitting.notes.clone(),
    };
    fitting.finish(head)
}

/// The kinds of data among those of an estimator's sources.
pub(super) fn of_widths(kinds: &[Modality], widths: &BTreeMap<Source, usize>) -> Vec<Modality> {
    let is_source = |kind: &Modality| widths.keys().any(|source| source.modality() == Some(*kind));
    kinds.iter().copied().filter(is_source).collect()
}

/// A fit under way.
pub(super) struct Fitting<'a> {
    pub(super) sample: &'a Sample<'a>,
    pub(super) truths: Truths<'a>,
    pub(super) options: &'a FitOptions,
    pub(super) parts: Vec<Part>,
    pub(super) questions: Vec<QuestionPart>,
    pub(super) spaces: Vec<Space>,
    pub(super) continua: Option<Continua>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) notes: Vec<String>,
    pub(super) fitted_to: HashSet<u64>,
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

    /// How the training galaxies' continua run, where their file tells.
    fn add_continua(&mut self, file: &EmbeddingFile) -> Result<()> {
        let train: Vec<usize> = self.sample.of_split(Split::Train).collect();
        let places = self.sample.places(0, &train);
        let step = places.len().div_ceil(continua::MOST).max(1);
        let places: Vec<usize> = places.into_iter().step_by(step).collect();
        let Some(of_train) = file.continua(&places)? else {
            return Ok(());
        };
        let signal = places.iter().map(|&row| file.observed[row].signal_to_noise);
        let signal: Vec<f32> = signal.collect();
        self.continua = Continua::fit(of_train.view(), &signal);
        if self.continua.is_none() {
            self.notes.push(format!(
                "flag unlike_continua: left out, fewer than {} training spectra with signal",
                continua::FEWEST
            ));
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

    pub(super) fn note(&mut self, lost: LeftOut) {
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

    pub(super) fn remember(&mut self, train: &[usize]) {
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
        /// Enough to say how much they disagree.
        const CALIBRATING: usize = 3;
        let recipe = Recipe {
            config: &self.options.mlp,
            members: self.options.members,
            calibrating: self.options.members.min(CALIBRATING),
            fit: Mlp::fit,
            doubt: disagreement,
        };
        let groups = self.groups(features, targets, Regressor::Mlp);
        let fits = groups.iter();
        let fits = fits.map(|(targets, train)| targets.len() * recipe.fits(train.len()));
        let source = self.sample.describe(features).1;
        let progress = FitProgress::new(&format!("perceptrons from {source}"), fits.sum());
        for (targets, train) in groups {
            let x = self.sample.features(features, &train);
            let values = self.values(&targets, &train);
            for (index, target) in targets.into_iter().enumerate() {
                let y = values.slice(s![.., index..=index]);
                let fitted = Perceptrons::fit(x.view(), y, recipe, &|| progress.one_more())?;
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

    /// Between which values the middle 99 % of the training galaxies lie.
    fn ranges(&self, targets: &[Target]) -> BTreeMap<Target, [f64; 2]> {
        const EDGES: [f64; 2] = [0.005, 0.995];
        let mut ranges = BTreeMap::new();
        for &target in targets {
            let train = self.sample.of_split(Split::Train);
            let values = train.map(|galaxy| self.truths.values[&target][galaxy]);
            let mut known: Vec<f64> = values.filter(|value| value.is_finite()).collect();
            known.sort_unstable_by(f64::total_cmp);
            let place = |level: f64| (level * known.len().saturating_sub(1) as f64).round();
            if let (Some(&low), Some(&high)) = (
                known.get(place(EDGES[0]) as usize),
                known.get(place(EDGES[1]) as usize),
            ) {
                ranges.insert(target, [low, high]);
            }
        }
        ranges
    }
}

/// Which source counts most where several tell of a galaxy.
pub(super) fn rank(source: Source) -> usize {
    match source {
        Source::Both => 0,
        Source::Spectrum => 1,
        Source::Image => 2,
        Source::Photometry => 3,
    }
}
