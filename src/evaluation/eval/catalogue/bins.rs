//! Scores in bins of true redshift and of r magnitude.

use std::collections::HashSet;

use super::results::{BinScores, CatalogueReport, Scores};
use super::sample::Sample;
use crate::base::error::Result;
use crate::evaluation::eval::results::BinnedBy;
use crate::evaluation::eval::scores::Binning;
use crate::evaluation::eval::truth::SurveyGalaxies;
use crate::survey::{Labels, ObjectId, Target};

/// Bins of all galaxies that are scored, by what the truth says of them.
pub(super) fn binnings<'a>(
    samples: impl Iterator<Item = &'a Sample>,
    truth: &Labels,
    bins: usize,
    report: &mut CatalogueReport,
) -> Result<Vec<Binning>> {
    if bins == 0 {
        return Ok(Vec::new());
    }
    let ids: HashSet<ObjectId> = samples
        .flat_map(|sample| sample.object_id.iter().copied())
        .collect();
    let ids: Vec<ObjectId> = ids.into_iter().collect();
    let unknown = vec![f32::NAN; ids.len()];
    let galaxies = SurveyGalaxies {
        object_id: &ids,
        redshift: &unknown,
    };
    let mut note = |what: &str| {
        let note = format!("no bins of {what}: the tables of the truth do not tell it");
        if !report.notes.contains(&note) {
            report.notes.push(note);
        }
    };
    let values = || ids.iter().copied();
    let mut binnings = Vec::new();
    match truth.known(Target::Redshift) {
        Some(_) => {
            let redshifts = galaxies.targets(&[Target::Redshift], Some(truth))?;
            let redshifts = values().zip(redshifts);
            binnings.extend(Binning::new(BinnedBy::Redshift, bins, redshifts));
        }
        None => note("redshift"),
    }
    match truth.magnitudes() {
        Some(_) => {
            let magnitudes = galaxies.magnitudes(truth)?;
            let of_r = magnitudes.column(1);
            let of_r = values().zip(of_r.iter().map(|&magnitude| f64::from(magnitude)));
            binnings.extend(Binning::new(BinnedBy::MagnitudeR, bins, of_r));
        }
        None => note("r magnitude"),
    }
    Ok(binnings)
}

/// Scores of the galaxies of each bin.
pub(super) fn in_bins(
    binnings: &[Binning],
    sample: &Sample,
    score: impl Fn(&Sample) -> Scores,
) -> Vec<BinScores> {
    let of_binning = |binning: &Binning| -> Vec<BinScores> {
        let ids = sample.object_id.iter();
        let bin_of: Vec<Option<usize>> = ids.map(|&id| binning.of(id)).collect();
        let bins = binning.edges.windows(2).enumerate();
        bins.map(|(bin, edges)| BinScores {
            by: binning.by,
            low: edges[0],
            high: edges[1],
            scores: score(&sample.only(|place| bin_of[place] == Some(bin))),
        })
        .collect()
    };
    binnings.iter().flat_map(of_binning).collect()
}
