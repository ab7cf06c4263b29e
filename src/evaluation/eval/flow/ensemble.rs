//! Several flows, fitted apart, as one posterior: their mixture.

use std::sync::Mutex;

use ndarray::{Array2, ArrayView2, Axis};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::{
    conditional::{ConditionalFlow, LogProb},
    config::FlowConfig,
    density::padded,
    fit::{Inputs, TrainingSet},
    held_out::{HeldOut, calibrate, fewest_inputs, log_sum},
    neighbourhood::{Neighbourhood, Said},
};
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::base::random::{Purpose, generator};

/// Galaxies that are sampled together.
const GALAXIES: usize = 32;
/// Galaxies between two steps of the progress bar.
const STEP: usize = 1024;

/// Whether it knows what neighbours say, and what it is conditioned on.
type Trial = (bool, Inputs);
/// A flow, and what it says of its validation galaxies.
type Fitted = (Trial, (ConditionalFlow, HeldOut));

/// An ensemble of flows of random sizes (paper appendix B6).
#[derive(Debug, Clone, PartialEq)]
pub struct FlowEnsemble {
    pub(super) flows: Vec<ConditionalFlow>,
    pub(super) seed: u64,
    /// Where flows tell how targets are distributed about what neighbours say of them, rather than the targets themselves.
    pub(super) neighbourhood: Option<Neighbourhood>,
}

/// Samples of one galaxy's posterior.
#[derive(Debug, Clone, PartialEq)]
pub struct PosteriorSamples {
    /// Row of the galaxy's embedding.
    pub row: usize,
    /// Targets (samples, D), in their own units.
    pub values: Array2<f64>,
}

impl FlowEnsemble {
    /// Fits `config.flows` flows to embeddings (N, C) and targets (N, D), each with sizes, validation
    /// galaxies and initial weights of its own; `task` names the work in the progress bar. Whether they are conditioned
    /// on all of a wide embedding or on few linear combinations, and whether they tell of targets themselves or of how these
    /// lie about those of the nearest training galaxies, is decided by the first flow's validation galaxies, how
    /// wide their mixture is by those of all flows. The same seed gives the same bits, whatever the number of threads.
    ///
    /// # Errors
    /// As [`ConditionalFlow::fit`].
    pub fn fit(
        embeddings: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
        config: &FlowConfig,
        task: &str,
    ) -> Result<Self> {
        config.check()?;
        let mut data = TrainingSet::new(embeddings, targets)?;
        let mut candidates: Vec<Trial> = Vec::new();
        candidates.extend(
            data.reduce(config)
                .into_iter()
                .map(|inputs| (false, inputs)),
        );
        let about = Neighbourhood::fit(embeddings, targets)?;
        let about = about.map(|(neighbourhood, said)| {
            let relative = neighbourhood.relative(&said, embeddings, targets);
            (neighbourhood, relative)
        });
        let mut about_data = None;
        if let Some((neighbourhood, relative)) = &about {
            let log_derivative = relative.log_derivative.sum_axis(Axis(1)).to_vec();
            let data = TrainingSet::new(relative.context.view(), relative.variates.view())?;
            let mut data = data.about_neighbours(neighbourhood.width(), log_derivative);
            let inputs = data.reduce(config);
            // All of a wide embedding takes longest, and was not taken where it was tried beside what neighbours say.
            let skipped = usize::from(inputs.len() > 1);
            candidates.extend(
                inputs
                    .into_iter()
                    .skip(skipped)
                    .map(|inputs| (true, inputs)),
            );
            about_data = Some(data);
        }
        let trials = candidates.len();
        let board = Mutex::new(Board::new(
            task,
            config.max_epochs,
            trials - 1 + config.flows,
        ));
        let fit = |(place, (index, trial)): (usize, (usize, Trial))| {
            let data = match (trial.0, &about_data) {
                (true, Some(about)) => about,
                _ => &data,
            };
            let fitted = data.fit(config, index, trial.1, |epoch, loss| {
                board.lock().expect("no panic").report(place, epoch, loss);
            })?;
            board.lock().expect("no panic").finish(place);
            Ok((trial, fitted))
        };
        let fit_all = |first: usize, flows: Vec<(usize, Trial)>| -> Result<Vec<Fitted>> {
            let flows = flows.into_par_iter().with_max_len(1).enumerate();
            flows
                .map(|(place, flow)| fit((first + place, flow)))
                .collect()
        };
        // The first flow tries all inputs; the others take the fewest with which it was as good as with the best.
        let tried = fit_all(0, candidates.into_iter().map(|trial| (0, trial)).collect())?;
        let of_trials: Vec<(usize, Vec<f64>)> = tried
            .iter()
            .map(|(_, (flow, held_out))| (flow.summary.inputs, held_out.log_density()))
            .collect();
        let first = tried.into_iter().nth(fewest_inputs(&of_trials));
        let first = first.expect("one of those that were tried");
        let (is_about, _) = first.0;
        let others = (1..config.flows).map(|index| (index, first.0)).collect();
        let others = fit_all(trials, others)?;
        let all = std::iter::once(first).chain(others);
        let (mut flows, held_out): (Vec<ConditionalFlow>, Vec<HeldOut>) =
            all.map(|(_, fitted)| fitted).unzip();
        let epochs: usize = flows.iter().map(|flow| flow.summary().epochs).sum();
        let board = board.into_inner().expect("no panic");
        board.progress.finish(&format!("({epochs} were needed)"));
        calibrate(&mut flows, &held_out, targets.nrows());
        Ok(Self {
            flows,
            seed: config.seed,
            neighbourhood: about
                .filter(|_| is_about)
                .map(|(neighbourhood, _)| neighbourhood),
        })
    }

    /// The flows.
    pub fn flows(&self) -> &[ConditionalFlow] {
        &self.flows
    }

    /// ln of the product of the training galaxies' standard deviations in all targets: what −ln p gains by
    /// going from units of these to the targets' own.
    pub fn log_volume(&self) -> f64 {
        match &self.neighbourhood {
            Some(neighbourhood) => neighbourhood.log_volume(),
            None => self.flows[0].target_units.log_volume(),
        }
    }

    /// ln of the density of `targets` (N, D) given `embeddings` (N, C), by each flow.
    ///
    /// # Errors
    /// Where the width of the embeddings is not that of the fit, or one is not finite.
    pub fn log_prob(
        &self,
        embeddings: ArrayView2<'_, f32>,
        targets: ArrayView2<'_, f64>,
    ) -> Result<Vec<LogProb>> {
        let flows = self.flows.iter();
        let Some(neighbourhood) = &self.neighbourhood else {
            return Ok(flows
                .map(|flow| flow.log_prob(embeddings, targets))
                .collect());
        };
        let said = neighbourhood.of(embeddings)?;
        let relative = neighbourhood.relative(&said, embeddings, targets);
        let by_flow = flows.map(|flow| {
            let of_variates = flow.log_prob(relative.context.view(), relative.variates.view());
            LogProb::of(of_variates.by_dimension + &relative.log_derivative)
        });
        Ok(by_flow.collect())
    }

    /// ln of the density (N) of the mixture of all flows, from what [`log_prob`](Self::log_prob) returned.
    pub fn log_mixture(&self, by_flow: &[LogProb]) -> Vec<f64> {
        let of = |galaxy: usize| {
            let logs: Vec<f64> = by_flow.iter().map(|flow| flow.joint[galaxy]).collect();
            log_sum(&logs) - (logs.len() as f64).ln()
        };
        (0..by_flow[0].joint.len()).map(of).collect()
    }

    /// Draws `samples` from the posterior of each of `embeddings` (N, C), the same number from each flow
    /// (the first ones get what is left over), and collects what `summarize` makes of them, in the order
    /// of the rows. The samples of a galaxy hang on the seed and its key of `keys` (N) alone, so that a part of a
    /// survey gets those of the whole; they are never all in memory.
    ///
    /// # Errors
    /// [`Error::input`] where `samples` is 0 or the width of the embeddings is not that of the fit.
    ///
    /// # Panics
    /// Where there is not one key for each embedding.
    pub fn posteriors<R: Send>(
        &self,
        embeddings: ArrayView2<'_, f32>,
        keys: &[u64],
        samples: usize,
        task: &str,
        summarize: impl Fn(PosteriorSamples) -> R + Sync,
    ) -> Result<Vec<R>> {
        let mut progress = Progress::new(task, "galaxies", 0, keys.len() as u64);
        let mut results = Vec::with_capacity(keys.len());
        let steps = embeddings.axis_chunks_iter(Axis(0), STEP);
        for (step, (embeddings, keys)) in steps.zip(keys.chunks(STEP)).enumerate() {
            let made = self.sampled(embeddings, keys, samples, |mut posterior| {
                posterior.row += step * STEP;
                summarize(posterior)
            })?;
            results.extend(made);
            progress.set(results.len() as u64, "");
        }
        progress.finish("");
        Ok(results)
    }

    /// The same at once, of some galaxies.
    ///
    /// # Errors
    /// As [`posteriors`](Self::posteriors).
    ///
    /// # Panics
    /// As there.
    pub fn sampled<R: Send>(
        &self,
        embeddings: ArrayView2<'_, f32>,
        keys: &[u64],
        samples: usize,
        summarize: impl Fn(PosteriorSamples) -> R + Sync,
    ) -> Result<Vec<R>> {
        let (width, _) = self.widths();
        if samples == 0 || embeddings.ncols() != width {
            return Err(Error::input(format!(
                "{samples} samples for embeddings of width {}; expected at least 1, and the width {} \
                 that the flows were fitted to",
                embeddings.ncols(),
                width
            )));
        }
        assert_eq!(embeddings.nrows(), keys.len(), "a key for each embedding");
        let about = match &self.neighbourhood {
            Some(neighbourhood) => {
                let said = neighbourhood.of(embeddings)?;
                Some((
                    neighbourhood,
                    neighbourhood.extended(embeddings, &said),
                    said,
                ))
            }
            None => None,
        };
        let about = about.as_ref();
        let context = about.map_or(embeddings, |(_, extended, _)| extended.view());
        let about = about.map(|(neighbourhood, _, said)| (*neighbourhood, said));
        let rows: Vec<usize> = (0..keys.len()).collect();
        let made: Vec<Vec<R>> = rows
            .par_chunks(GALAXIES)
            .map(|rows| {
                let drawn = self.draw(context, about, (keys, rows), samples);
                drawn.into_iter().map(&summarize).collect()
            })
            .collect();
        Ok(made.into_iter().flatten().collect())
    }

    /// Of the galaxies of `rows`, given what flows are conditioned on.
    fn draw(
        &self,
        embeddings: ArrayView2<'_, f32>,
        about: Option<(&Neighbourhood, &Said)>,
        (keys, rows): (&[u64], &[usize]),
        samples: usize,
    ) -> Vec<PosteriorSamples> {
        let first = &self.flows[0];
        let dimensions = first.target_units.mean.len();
        let mut context = Array2::zeros((rows.len(), embeddings.ncols()));
        first
            .context_units
            .gather(embeddings, rows, context.view_mut());
        let mut rngs: Vec<_> = rows
            .iter()
            .map(|&row| generator(self.seed, Purpose::PosteriorSamples, keys[row]))
            .collect();
        let mut drawn: Vec<PosteriorSamples> = rows
            .iter()
            .map(|&row| PosteriorSamples {
                row,
                values: Array2::zeros((samples, dimensions)),
            })
            .collect();
        let mut done = 0;
        for (index, flow) in self.flows.iter().enumerate() {
            let each = samples / self.flows.len() + usize::from(index < samples % self.flows.len());
            if each == 0 {
                break;
            }
            let mut values = Array2::zeros((dimensions, padded(rows.len() * each)));
            for (galaxy, rng) in rngs.iter_mut().enumerate() {
                for column in galaxy * each..(galaxy + 1) * each {
                    for value in values.column_mut(column) {
                        *value = StandardNormal.sample(rng);
                    }
                }
            }
            flow.sample(&context, each, &mut values);
            for (galaxy, drawn) in drawn.iter_mut().enumerate() {
                for sample in 0..each {
                    for dimension in 0..dimensions {
                        let value = values[[dimension, galaxy * each + sample]];
                        let value = flow.target_units.restore(dimension, value);
                        let place = (rows[galaxy], dimension);
                        drawn.values[[done + sample, dimension]] = match about {
                            Some((neighbourhood, said)) => {
                                neighbourhood.restore(said, place, value)
                            }
                            None => value,
                        };
                    }
                }
            }
            done += each;
        }
        drawn
    }
}

/// Progress of all flows: epochs, of which a flow that stops early skips the rest.
struct Board {
    progress: Progress,
    epochs: Vec<u64>,
    best: f64,
    most: u64,
}

impl Board {
    fn new(task: &str, max_epochs: usize, flows: usize) -> Self {
        let most = max_epochs as u64;
        Self {
            progress: Progress::new(task, "epochs at most", 0, most * flows as u64),
            epochs: vec![0; flows],
            best: f64::INFINITY,
            most,
        }
    }

    fn report(&mut self, flow: usize, epoch: usize, loss: f64) {
        self.epochs[flow] = epoch as u64;
        self.best = self.best.min(loss);
        self.show();
    }

    fn finish(&mut self, flow: usize) {
        self.epochs[flow] = self.most;
        self.show();
    }

    fn show(&mut self) {
        let done = self
            .epochs
            .iter()
            .filter(|&&epochs| epochs == self.most)
            .count();
        let message = format!(
            "{done} of {} flows done, best validation loss {:.3}",
            self.epochs.len(),
            self.best
        );
        self.progress.set(self.epochs.iter().sum(), &message);
    }
}
