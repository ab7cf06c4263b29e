//! How much a model's vectors tell of galaxies, for a choice between those of its last layer and those from before its heads.

use std::collections::BTreeMap;

use ndarray::Array2;

use super::fit::FEWEST;
use super::options::FitOptions;
use crate::base::error::Result;
use crate::evaluation::eval::accuracy_of_properties;
use crate::evaluation::eval::posterior::known_targets;
use crate::evaluation::eval::regression::usable;
use crate::evaluation::eval::sample::{EvalInputs, Features, Sample};
use crate::evaluation::eval::truth::Truths;
use crate::evaluation::knn;
use crate::survey::{Modality, Split};

/// R² of estimates of training galaxies by the nearest of the others, from each kind of embeddings of the one model: the mean
/// over the targets. A kind of which too few galaxies are known is left out.
///
/// # Errors
/// As [`fit`](super::fit).
pub fn left_out_r2(
    inputs: &EvalInputs<'_>,
    options: &FitOptions,
) -> Result<BTreeMap<Modality, f64>> {
    /// Galaxies that are enough to tell.
    const MOST: usize = 5000;
    options.check()?;
    let mut unheard = Vec::new();
    let sample = Sample::new(inputs, &mut unheard)?;
    let targets = known_targets(inputs.labels, &options.targets, &sample, &mut unheard)?;
    let truths = Truths::new(&sample, inputs.labels, &targets);
    let mut found = BTreeMap::new();
    for features in sample.sources(&mut unheard) {
        let Features::Embeddings(_, modality) = features else {
            continue;
        };
        let mut known: Option<(Vec<usize>, Array2<usize>)> = None;
        let mut of_targets = Vec::new();
        for &target in &targets {
            let (train, _) = usable(&truths, features, target, Split::Train);
            let step = train.len().div_ceil(MOST).max(1);
            let train: Vec<usize> = train.into_iter().step_by(step).collect();
            if train.len() < FEWEST.max(options.k + 1) || truths.constant(target, &train).is_some()
            {
                continue;
            }
            if known
                .as_ref()
                .is_none_or(|(galaxies, _)| *galaxies != train)
            {
                let vectors = sample.features(features, &train);
                let rows: Vec<usize> = (0..train.len()).collect();
                let others = knn::others(vectors.view(), vectors.view(), &rows, options.k)?;
                known = Some((train, others.index));
            }
            let (train, nearest) = known.as_ref().expect("just found");
            let truth = truths.of(target, train);
            let told = nearest.rows().into_iter().map(|nearest| {
                nearest.iter().map(|&row| truth[row]).sum::<f64>() / options.k as f64
            });
            let told: Vec<f64> = told.collect();
            of_targets.push(accuracy_of_properties(&truth, &told).r2);
        }
        if !of_targets.is_empty() {
            let mean = of_targets.iter().sum::<f64>() / of_targets.len() as f64;
            found.insert(modality, mean);
        }
    }
    Ok(found)
}
