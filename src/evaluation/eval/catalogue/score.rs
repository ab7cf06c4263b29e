//! Scores of catalogues, each on its own galaxies and on those that all have.

use std::collections::HashSet;

use super::bins::{binnings, in_bins};
use super::columns::{EstimateColumn, EstimateColumns, check_named};
use super::outliers::{FlagBit, flag_names, flags_of, outliers};
use super::quantiles::Assessed;
use super::results::{
    About, CatalogueReport, CatalogueResult, Counts, FlagCount, Mean, Pit, Points, Scores, Share,
};
use super::sample::{Catalogue, Sample, ScoredSplit};
use crate::base::error::{Error, Result};
use crate::evaluation::eval::bootstrap::{BootstrapConfig, Uncertainty, deviation, mean};
use crate::evaluation::eval::calibration::{RankHistogram, Tarp};
use crate::evaluation::eval::metrics::Scored;
use crate::survey::{Labels, ObjectId, Target};

/// Galaxies of which all estimates are the truth itself, from so many on, are no estimates.
const SUSPICIOUS: usize = 10;

/// What is scored, and how.
#[derive(Debug, Clone, Default)]
pub struct CatalogueOptions {
    /// What is scored; what catalogues and truth have in common where it is empty.
    pub targets: Vec<Target>,
    /// Columns that the user names.
    pub columns: Vec<EstimateColumn>,
    /// Also the estimates that a catalogue has from other sources or by other methods.
    pub all_estimates: bool,
    /// Which galaxies.
    pub split: ScoredSplit,
    /// Bins of redshift and of magnitude; 0 for none.
    pub bins: usize,
    /// What the bits of the column `flag` are called.
    pub flags: Vec<FlagBit>,
    /// How many outliers of each result are listed.
    pub outliers: usize,
    /// Resampling behind errors.
    pub bootstrap: BootstrapConfig,
}

/// An estimate of a catalogue with its galaxies.
struct Estimated<'a> {
    catalogue: &'a Catalogue,
    columns: EstimateColumns,
    sample: Sample,
    counts: Counts,
}

/// Scores catalogues against `truth`.
///
/// # Errors
/// [`Error::input`] where a column that is named is in no catalogue, and where no estimate has a galaxy in common with
/// the truth.
pub fn score_catalogues(
    catalogues: &[Catalogue],
    truth: &Labels,
    options: &CatalogueOptions,
) -> Result<CatalogueReport> {
    let tables = catalogues.iter().map(|catalogue| &catalogue.table);
    check_named(&options.columns, tables)?;
    let mut report = CatalogueReport {
        split: options.split,
        bootstrap: options.bootstrap,
        catalogues: catalogues.iter().map(about).collect(),
        results: Vec::new(),
        notes: Vec::new(),
        points: Vec::new(),
    };
    for target in Target::ALL {
        let is_asked_for = options.targets.contains(&target);
        if !(is_asked_for || options.targets.is_empty()) {
            continue;
        }
        let estimates = estimates(catalogues, target, options);
        if estimates.is_empty() && !is_asked_for {
            continue;
        }
        if let Some(catalogue) = catalogues.first().filter(|_| estimates.is_empty()) {
            return Err(Error::input(format!(
                "no column `{}`; name the estimates of {target} with --column {}=COLUMN; there are {}",
                target.name(),
                target.name(),
                catalogue.table.column_names()
            ))
            .in_file(&catalogue.table.name));
        }
        if truth.known(target).is_none() && !is_asked_for {
            report.notes.push(format!(
                "{target} is not scored: no column of {} tells its truth",
                truth.name
            ));
            continue;
        }
        let estimated: Vec<Estimated<'_>> = estimates
            .into_iter()
            .map(|(catalogue, columns)| {
                let (sample, counts) = Sample::of(catalogue, &columns, truth, options.split)?;
                Ok(Estimated {
                    catalogue,
                    columns,
                    sample,
                    counts,
                })
            })
            .collect::<Result<_>>()?;
        score_target(&estimated, truth, options, &mut report)?;
    }
    match report
        .results
        .iter()
        .all(|result| result.counts.scored == 0)
    {
        true => Err(nothing_scored(catalogues, truth, &report)),
        false => Ok(report),
    }
}

fn about(catalogue: &Catalogue) -> About {
    About {
        name: catalogue.name.clone(),
        file: catalogue.table.name.clone(),
        rows: catalogue.table.object_id.len(),
        joined_by: catalogue.joined_by.clone(),
    }
}

/// The estimates of a target in all catalogues.
fn estimates<'a>(
    catalogues: &'a [Catalogue],
    target: Target,
    options: &CatalogueOptions,
) -> Vec<(&'a Catalogue, EstimateColumns)> {
    let of = |catalogue: &'a Catalogue| {
        let table = &catalogue.table;
        let plain = EstimateColumns::plain(target, table, &options.columns);
        let further = match options.all_estimates {
            true => EstimateColumns::further(target, table),
            false => Vec::new(),
        };
        let all = plain.into_iter().chain(further);
        all.map(move |columns| (catalogue, columns))
    };
    catalogues.iter().flat_map(of).collect()
}

/// Why there is nothing to score.
fn nothing_scored(catalogues: &[Catalogue], truth: &Labels, report: &CatalogueReport) -> Error {
    let first = &catalogues[0].table;
    let example = |labels: &Labels| {
        let id = labels.object_id.first();
        id.map_or_else(String::new, |id| format!(", the first is called {id}"))
    };
    let why = match report.results.iter().map(|result| result.counts).next() {
        None => format!(
            "has no estimate of what {} tells; name columns with --column redshift=COLUMN; there are {}",
            truth.name,
            first.column_names()
        ),
        Some(counts) if counts.in_truth == 0 => format!(
            "has no galaxy in common with {}, neither by identifier{} ({} in {}{}) nor by position",
            truth.name,
            example(first),
            truth.object_id.len(),
            truth.name,
            example(truth)
        ),
        Some(counts) => format!(
            "of {} galaxies {} have a true value; of these {} have no estimate, and {} are not of the split `{}` (--split \
             all scores every galaxy)",
            counts.rows,
            counts.with_truth,
            counts.without_estimate,
            counts.of_other_split,
            report.split.name()
        ),
    };
    Error::input(why).in_file(&first.name)
}

fn score_target(
    estimated: &[Estimated<'_>],
    truth: &Labels,
    options: &CatalogueOptions,
    report: &mut CatalogueReport,
) -> Result<()> {
    let common = common(estimated);
    let samples = estimated.iter().map(|of| &of.sample);
    let binnings = binnings(samples, truth, options.bins, report)?;
    for Estimated {
        catalogue,
        columns,
        sample,
        counts,
    } in estimated
    {
        let score = |sample: &Sample| scores(columns, sample, options.bootstrap);
        let flags = flags_of(&catalogue.table);
        let has_flag = |place: usize| flags.is_some_and(|flags| flags[sample.rows[place]] != 0.0);
        let some_flagged = (0..sample.rows.len()).any(has_flag);
        let part = |flagged: bool| {
            let part = || score(&sample.only(|place| has_flag(place) == flagged));
            some_flagged.then(part)
        };
        let result = CatalogueResult {
            target: columns.target,
            catalogue: catalogue.name.clone(),
            estimate: columns.label.clone(),
            column: columns.point.clone(),
            quantiles: columns.points.clone(),
            distribution: match (columns.density_of(catalogue), columns.levels()) {
                (Some(_), _) => Some("pz".to_owned()),
                (None, Some(_)) => Some("percentiles".to_owned()),
                (None, None) => None,
            },
            counts: *counts,
            scores: score(sample),
            common: common
                .as_ref()
                .map(|ids| score(&sample.only(|place| ids.contains(&sample.object_id[place])))),
            unflagged: part(false),
            flagged: part(true),
            flags: flags.map_or_else(Vec::new, |flags| flag_counts(flags, &options.flags, sample)),
            bins: in_bins(&binnings, sample, score),
            outliers: outliers(catalogue, columns, sample, &options.flags, options.outliers),
        };
        report.notes.extend(remarks(&result, sample, options.split));
        report.results.push(result);
        report.points.push(Points {
            truth: sample.truth.clone(),
            estimate: sample.estimate.clone(),
        });
    }
    Ok(())
}

/// The galaxies that all estimates are of, where there are several.
fn common(estimated: &[Estimated<'_>]) -> Option<HashSet<ObjectId>> {
    let ids =
        |of: &Estimated<'_>| -> HashSet<ObjectId> { of.sample.object_id.iter().copied().collect() };
    let [first, others @ ..] = estimated else {
        return None;
    };
    let all = others.iter().fold(ids(first), |common, other| {
        let other = ids(other);
        common.into_iter().filter(|id| other.contains(id)).collect()
    });
    (!others.is_empty()).then_some(all)
}

/// Figures of merit of a sample.
fn scores(columns: &EstimateColumns, sample: &Sample, bootstrap: BootstrapConfig) -> Scores {
    let galaxies = sample.rows.len();
    let scored = (galaxies > 1).then(|| {
        let is_redshift = columns.target == Target::Redshift;
        Scored::new(&sample.truth, &sample.estimate, is_redshift)
    });
    let metrics = scored
        .as_ref()
        .map(|scored| scored.metrics(&vec![1; galaxies]));
    let uncertainty = scored.and_then(|scored| {
        Uncertainty::of(&bootstrap.map(galaxies, |counts| scored.metrics(counts)))
    });
    let of_points = || {
        let pairs = sample.points.iter().zip(&sample.truth);
        pairs.filter(|(points, _)| !points.is_empty())
    };
    let with_points = of_points().count();
    let level = |wanted: f64| {
        columns
            .points
            .iter()
            .position(|(level, _)| *level == wanted)
    };
    let coverage = |low: f64, high: f64| {
        let (low, high) = level(low).zip(level(high))?;
        let is_in =
            |(points, truth): &(&Vec<f64>, &f64)| (points[low]..=points[high]).contains(*truth);
        (with_points > 0).then(|| Share::of(of_points().filter(is_in).count(), with_points))
    };
    let assessed: Vec<Assessed> = sample.assessed.iter().copied().flatten().collect();
    let with_distribution = assessed.len();
    let assessed = (with_distribution > 0).then_some(assessed);
    Scores {
        galaxies,
        metrics,
        uncertainty,
        with_distribution,
        coverage68: coverage(0.16, 0.84),
        coverage95: coverage(0.025, 0.975),
        crps: assessed.as_ref().map(|assessed| {
            let crps: Vec<f64> = assessed.iter().map(|of| of.crps).collect();
            Mean {
                mean: mean(&crps),
                error: deviation(&crps) / (crps.len() as f64).sqrt(),
            }
        }),
        pit: assessed.map(|assessed| {
            let pit: Vec<f64> = assessed.iter().map(|of| of.pit).collect();
            Pit::of(&pit)
        }),
    }
}

impl Share {
    fn of(count: usize, all: usize) -> Self {
        let (count, all) = (count as f64, all as f64);
        let p = (count + 1.0) / (all + 2.0);
        Self {
            share: count / all,
            error: (p * (1.0 - p) / all).sqrt(),
        }
    }
}

impl Pit {
    fn of(pit: &[f64]) -> Self {
        let histogram = RankHistogram::new(pit);
        // The central interval that just holds the truth.
        let central: Vec<f64> = pit.iter().map(|pit| (2.0 * pit - 1.0).abs()).collect();
        let coverage = Tarp::new(&central);
        Self {
            counts: histogram.counts,
            chi_square_p: histogram.p_value,
            kolmogorov_smirnov_p: Tarp::new(pit).p_value,
            credibility: coverage.credibility,
            coverage: coverage.expected_coverage,
        }
    }
}

/// How many galaxies of a sample have which flag.
fn flag_counts(flags: &[f64], bits: &[FlagBit], sample: &Sample) -> Vec<FlagCount> {
    let known = bits.iter().map(|(_, name)| FlagCount {
        flag: (*name).to_owned(),
        galaxies: 0,
    });
    let mut counts: Vec<FlagCount> = known.collect();
    for &row in &sample.rows {
        for name in flag_names(bits, flags[row] as i32) {
            match counts.iter_mut().find(|count| count.flag == name) {
                Some(count) => count.galaxies += 1,
                None => counts.push(FlagCount {
                    flag: name,
                    galaxies: 1,
                }),
            }
        }
    }
    counts
}

/// What the reader must know of a result.
fn remarks(result: &CatalogueResult, sample: &Sample, split: ScoredSplit) -> Vec<String> {
    let (name, target) = (result.name(), result.target);
    let mut remarks = Vec::new();
    let counts = result.counts;
    if counts.of_other_split > 0 {
        let what = match split {
            ScoredSplit::Test => "that the estimator was fitted to or chosen by",
            _ => "of another split",
        };
        remarks.push(format!(
            "{target} of {name}: {} galaxies {what} are not scored, as the column `split` says",
            counts.of_other_split
        ));
    }
    if counts.without_estimate > 0 {
        remarks.push(format!(
            "{target} of {name}: {} galaxies with a true value have no estimate",
            counts.without_estimate
        ));
    }
    if counts.crossing > 0 {
        remarks.push(format!(
            "{target} of {name}: the quantiles of {} galaxies were not in order, and are sorted",
            counts.crossing
        ));
    }
    if sample.truth.len() >= SUSPICIOUS && sample.truth == sample.estimate {
        remarks.push(format!(
            "{target} of {name}: every estimate is the true value to the last digit; see whether `{}` is an estimate",
            result.column
        ));
    }
    remarks
}
