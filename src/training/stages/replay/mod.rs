//! A step whose numbers were not finite, taken again on the CPU in `f32`: where it turned, and which galaxy did it.

mod look;
mod report;

use std::path::PathBuf;

use burn::tensor::Device;

use look::{GalaxyLook, look_at_galaxies, look_at_gradients, look_at_state};
use report::Guilty;
pub use report::{Extreme, Replay, Turn};

use super::run::batch_galaxies;
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::files::data::{BatchReader, Galaxies};
use crate::network::nn::probe;
use crate::training::objective::Compute;
use crate::training::train::{
    Fault, NamedNumber, NonfiniteRecord, Objective, RunConfig, StepGradients,
};

/// Galaxies that are tried as the guilty one: without it the step is finite.
const MOST_TRIED: usize = 4;

/// The step that is taken again.
#[derive(Debug)]
pub struct ReplayOptions {
    /// Run folder.
    pub run: PathBuf,
    /// Folder of the record.
    pub folder: PathBuf,
    /// The record.
    pub record: NonfiniteRecord,
}

impl ReplayOptions {
    /// The record in its folder, or the newest in a run folder.
    ///
    /// # Errors
    ///
    /// Where there is none, or it is damaged.
    pub fn open(path: PathBuf) -> Result<Self> {
        let (folder, record) = NonfiniteRecord::read(&path)?;
        let run = match folder == path {
            // The record is two folders below the run.
            true => match path.canonicalize() {
                Ok(full) => full.ancestors().nth(2).map(PathBuf::from),
                Err(source) => return Err(Error::reading(&path, source)),
            },
            false => Some(path.clone()),
        };
        let run = run.ok_or_else(|| Error::input("lies in no run folder").in_file(&path))?;
        Ok(Self {
            run,
            folder,
            record,
        })
    }

    /// Whether the step is reached from a checkpoint, not from the start of the run.
    ///
    /// # Errors
    ///
    /// Where a folder cannot be listed.
    pub fn starts_from_checkpoint(&self) -> Result<bool> {
        self.record.has_checkpoint(&self.folder, &self.run)
    }
}

/// How a replay computes.
pub(super) fn compute(run: &RunConfig) -> Compute {
    Compute::on(&device()).in_micro_batches(run.micro_batch_size)
}

/// Where it computes, with automatic differentiation.
pub(super) fn device() -> Device {
    Device::flex().autodiff()
}

/// Takes the step again with an `objective` as the run began with; `prepare` makes the batch of a step of its galaxies.
/// A batch has at least `fewest` galaxies.
///
/// # Errors
///
/// Where the checkpoint or the galaxies cannot be read.
pub(super) fn replay<O: Objective>(
    options: &ReplayOptions,
    reader: &BatchReader,
    objective: &mut O,
    prepare: impl Fn(u64, Galaxies) -> O::Batch,
    fewest: usize,
) -> Result<Replay> {
    let record = &options.record;
    let index = record
        .step
        .checked_sub(1)
        .ok_or_else(|| Error::input("its step is 0").in_file(&options.folder))?;
    let galaxies = reader.read(index)?;
    let mut looks = look_at_galaxies(&galaxies, &batch_galaxies(reader, index)?);
    let start = match record.checkpoint(&options.folder, &options.run)? {
        Some(checkpoint) => {
            let step = checkpoint.step;
            objective.restore(checkpoint)?;
            step
        }
        None => 0,
    };

    let mut progress = Progress::new("replay", "steps", start, record.step);
    let mut turned = None;
    for step in start..index {
        let batch = prepare(step, reader.read(step)?);
        let StepGradients {
            numbers, gradients, ..
        } = objective.gradients(step, batch)?;
        let numbers = numbers.read();
        if numbers.fault().is_some() {
            // Skipped in the run, or a little earlier on the CPU than where it ran.
            objective.skip(step)?;
            turned = Some(step + 1);
        } else {
            objective.update(step, gradients)?;
        }
        progress.set(step + 1, "");
    }
    let state = look_at_state(&objective.checkpoint(index));

    let batch = prepare(index, galaxies.clone());
    let (computed, outputs) = probe::watch(|| objective.gradients(index, batch));
    let StepGradients {
        numbers, gradients, ..
    } = computed?;
    let numbers = numbers.read();
    let gradients_look = look_at_gradients(&gradients);
    let faulty = numbers.fault();
    let (mut after, mut measured) = (None, None);
    if faulty.is_none() {
        let update = objective.update(index, gradients)?;
        let numbers = update.measured.into_iter();
        measured = Fault::first_of(numbers.map(|(name, value)| (name.to_owned(), value)));
        after = Some(look_at_state(&objective.checkpoint(record.step)));
    }
    progress.set(record.step, "");
    progress.finish("");

    let turn = Turn::before_update(&state, &outputs, &numbers, &gradients_look)
        .or_else(|| Turn::after_update(after.as_ref()?, measured));
    let guilty = match faulty {
        None => None,
        Some(_) => {
            objective.skip(index)?;
            let suspects = suspects(&looks, turn.as_ref());
            let is_finite_without = |place: usize| -> Result<bool> {
                let rest: Vec<usize> = (0..galaxies.rows.len()).filter(|&at| at != place).collect();
                let batch = prepare(index, galaxies.at(&rest));
                let numbers = objective.gradients(index, batch)?.numbers.read();
                objective.skip(index)?;
                Ok(numbers.fault().is_none())
            };
            guilty(&looks, suspects, fewest, is_finite_without)?
        }
    };
    looks.sort_by(|a, b| b.largest.value.abs().total_cmp(&a.largest.value.abs()));
    Ok(Replay {
        run: options.run.clone(),
        record: options.folder.clone(),
        stage: record.stage.clone(),
        step: record.step,
        recorded: NamedNumber {
            name: record.term.clone(),
            value: record.value.clone(),
        },
        started_from: start,
        skipped_on_the_way: turned,
        reproduced: turn.is_some(),
        guilty,
        largest_weight: state.largest,
        largest_weight_after: after.and_then(|after| after.largest),
        largest_gradient: gradients_look.largest,
        terms: texts(&numbers.terms),
        grad_norms: texts(&numbers.norms),
        layers: report::layers(&outputs),
        galaxies: looks,
        turn,
    })
}

fn texts(numbers: &[(&'static str, f64)]) -> Vec<NamedNumber> {
    let numbers = numbers.iter();
    numbers
        .map(|&(name, value)| NamedNumber {
            name: name.to_owned(),
            value: value.to_string(),
        })
        .collect()
}

/// Places in the batch of galaxies that may have done it, the likeliest first: those whose outputs turned first, where
/// not all did, then those with the largest values.
fn suspects(looks: &[GalaxyLook], turn: Option<&Turn>) -> Vec<usize> {
    let mut suspects: Vec<usize> = match turn {
        Some(Turn::Layer { galaxies, .. }) if galaxies.len() < looks.len() => galaxies.clone(),
        _ => Vec::new(),
    };
    let mut by_size: Vec<usize> = (0..looks.len()).collect();
    let size = |place: usize| looks[place].largest.value.abs();
    by_size.sort_by(|&a, &b| size(b).total_cmp(&size(a)));
    suspects.sort_by(|&a, &b| size(b).total_cmp(&size(a)));
    suspects.extend(by_size);
    let mut known = std::collections::HashSet::new();
    suspects.retain(|place| known.insert(*place));
    suspects.truncate(MOST_TRIED);
    suspects
}

/// The first of the suspects without which the step is finite.
fn guilty(
    looks: &[GalaxyLook],
    suspects: Vec<usize>,
    fewest: usize,
    mut is_finite_without: impl FnMut(usize) -> Result<bool>,
) -> Result<Option<Guilty>> {
    if looks.len() <= fewest {
        return Ok(None);
    }
    for place in suspects {
        if is_finite_without(place)? {
            let GalaxyLook {
                galaxy, largest, ..
            } = &looks[place];
            return Ok(Some(Guilty {
                galaxy: galaxy.clone(),
                largest: largest.clone(),
            }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::look::GalaxyLook;
    use super::report::{Extreme, Turn};
    use super::{guilty, suspects};
    use crate::training::train::BatchGalaxy;

    fn looks(values: &[f32]) -> Vec<GalaxyLook> {
        let look = |(place, &value): (usize, &f32)| GalaxyLook {
            galaxy: BatchGalaxy {
                object_id: place.to_string(),
                places: Vec::new(),
            },
            largest: Extreme {
                place: String::new(),
                value,
            },
            over_median: 1.0,
        };
        values.iter().enumerate().map(look).collect()
    }

    #[test]
    fn the_galaxy_without_which_the_step_is_finite_is_the_guilty_one() {
        let looks = looks(&[3.0, -9.0, 1.0, 5.0, 2.0]);
        let layer = Turn::Layer {
            name: "norm".to_owned(),
            nonfinite: 1,
            values: 2,
            galaxies: vec![2],
        };
        let tried = suspects(&looks, Some(&layer));
        assert_eq!(tried, [2, 1, 3, 0], "what turned first, then the largest");
        let found = guilty(&looks, tried.clone(), 1, |place| Ok(place == 3)).unwrap();
        assert_eq!(found.unwrap().galaxy.object_id, "3");
        assert!(guilty(&looks, tried, 1, |_| Ok(false)).unwrap().is_none());
        let alone = guilty(&looks, vec![0], 5, |_| panic!("no batch is so small"));
        assert!(alone.unwrap().is_none());
    }
}
