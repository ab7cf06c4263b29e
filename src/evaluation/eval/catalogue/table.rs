//! Scores of catalogues as tables for people.

use super::results::{CatalogueReport, CatalogueResult, Mean, Pit, Scores, Share};
use crate::base::terminal::new_table;
use crate::evaluation::eval::metrics::Metrics;
use crate::evaluation::eval::table::{align_right, with_error};
use crate::survey::Target;

/// Figures of point estimates: names of the cells of [`point_cells`].
pub const POINT_NAMES: [&str; 6] = ["R²", "σ_NMAD", "bias", "RMSE", "> 0.15", "> 0.05"];

/// Figures of distributions: names of the cells of [`distribution_cells`].
pub const DISTRIBUTION_NAMES: [&str; 4] = ["in 68 %", "in 95 %", "CRPS", "PIT p"];

/// The results as tables for people, then what they are of.
pub fn render_catalogue_table(report: &CatalogueReport) -> String {
    let mut text = whole(report);
    text += &bins(report);
    text += &flags(report);
    for result in &report.results {
        text += &outliers(result);
    }
    for about in &report.catalogues {
        text += &format!(
            "{}: {} ({} galaxies), joined {}\n",
            about.name, about.file, about.rows, about.joined_by
        );
    }
    if report.bootstrap.resamples > 0 {
        text += &format!(
            "± standard deviation of {} bootstrap resamples of the galaxies; 95 % intervals in the JSON\n",
            report.bootstrap.resamples
        );
    }
    if report.results.iter().any(|r| r.target == Target::Redshift) {
        text += "bias, σ_NMAD and outliers of Δz/(1+z)\n";
    }
    if report.results.iter().any(|r| r.scores.crps.is_some()) {
        text += "CRPS and PIT of the density `pz` where a catalogue has it, else of distributions that are Gaussian between \
                 its percentiles; PIT p: Kolmogorov–Smirnov\n";
    }
    let notes = report.notes.iter().map(|note| format!("note: {note}\n"));
    text + &notes.collect::<String>()
}

/// What a table shows of scores: names of its cells, the cells, and of how many galaxies they are.
type Shown = (
    &'static [&'static str],
    fn(&Scores) -> Vec<String>,
    fn(&Scores) -> usize,
);

const OF_POINTS: Shown = (&POINT_NAMES, point_cells, |scores| scores.galaxies);
const OF_DISTRIBUTIONS: Shown = (&DISTRIBUTION_NAMES, distribution_cells, |scores| {
    scores.with_distribution
});

fn whole(report: &CatalogueReport) -> String {
    let rows = |result: &CatalogueResult| -> Vec<(String, Scores)> {
        let samples = result.samples();
        samples
            .map(|(name, scores)| (name.to_owned(), scores.clone()))
            .collect()
    };
    both(report, "galaxies", rows)
}

fn bins(report: &CatalogueReport) -> String {
    let rows = |result: &CatalogueResult| -> Vec<(String, Scores)> {
        let bins = result.bins.iter();
        bins.map(|bin| {
            let range = format!("{} {:.3}–{:.3}", bin.by, bin.low, bin.high);
            (range, bin.scores.clone())
        })
        .collect()
    };
    both(report, "bin", rows)
}

/// A table of point estimates and one of distributions, each of what it has.
fn both(
    report: &CatalogueReport,
    of: &str,
    rows: impl Fn(&CatalogueResult) -> Vec<(String, Scores)>,
) -> String {
    let mut text = String::new();
    for (names, cells, number) in [OF_POINTS, OF_DISTRIBUTIONS] {
        let mut table = new_table();
        let mut header = vec!["target", "catalogue", of];
        header.extend(names);
        header.push("number");
        let columns = header.len();
        table.set_header(header);
        for result in &report.results {
            for (name, scores) in rows(result) {
                if number(&scores) == 0 {
                    continue;
                }
                let mut row = vec![result.target.to_string(), result.name(), name];
                row.extend(cells(&scores));
                row.push(number(&scores).to_string());
                table.add_row(row);
            }
        }
        if table.row_count() > 0 {
            align_right(&mut table, 3..columns);
            text += &format!("{table}\n");
        }
    }
    text
}

/// Figures of point estimates with their bootstrap errors, for people: those of [`POINT_NAMES`].
pub fn point_cells(scores: &Scores) -> Vec<String> {
    let deviation = scores.uncertainty.map(|uncertainty| uncertainty.deviation);
    let metric = |figure: fn(&Metrics) -> f64, decimals| {
        let error = deviation.as_ref().map(figure);
        let shown = |metrics| with_error(figure(metrics), error, decimals);
        scores.metrics.as_ref().map_or_else(none, shown)
    };
    let outliers = |figure: fn(&Metrics) -> Option<f64>| {
        let fraction = scores.metrics.as_ref().and_then(figure);
        let error = deviation.as_ref().and_then(figure);
        fraction.map_or_else(none, |fraction| percent(fraction, error))
    };
    vec![
        metric(|metrics| metrics.r2, 3),
        metric(|metrics| metrics.sigma_nmad, 4),
        metric(|metrics| metrics.bias, 4),
        metric(|metrics| metrics.rmse, 4),
        outliers(|metrics| metrics.outlier_fraction),
        outliers(|metrics| metrics.outlier_fraction_005),
    ]
}

/// Figures of distributions with their errors, for people: those of [`DISTRIBUTION_NAMES`].
pub fn distribution_cells(scores: &Scores) -> Vec<String> {
    let share = |share: Option<Share>| {
        share.map_or_else(none, |Share { share, error }| percent(share, Some(error)))
    };
    let crps = |Mean { mean, error }| with_error(mean, Some(error), 4);
    let pit = |pit: &Pit| format!("{:.3}", pit.kolmogorov_smirnov_p);
    vec![
        share(scores.coverage68),
        share(scores.coverage95),
        scores.crps.map_or_else(none, crps),
        scores.pit.as_ref().map_or_else(none, pit),
    ]
}

fn percent(share: f64, error: Option<f64>) -> String {
    let error = error.map(|error| 100.0 * error);
    format!("{} %", with_error(100.0 * share, error, 1))
}

/// How many galaxies have which flag.
fn flags(report: &CatalogueReport) -> String {
    let lines = report.results.iter().filter_map(|result| {
        let flagged = result.flagged.as_ref()?;
        let counts = result.flags.iter().filter(|count| count.galaxies > 0);
        let counts: Vec<String> = counts
            .map(|count| format!("{} {}", count.flag, count.galaxies))
            .collect();
        Some(format!(
            "{} of {}: {} of {} galaxies are flagged ({})\n",
            result.target,
            result.name(),
            flagged.galaxies,
            result.scores.galaxies,
            counts.join(", ")
        ))
    });
    lines.collect()
}

fn outliers(result: &CatalogueResult) -> String {
    if result.outliers.is_empty() {
        return String::new();
    }
    let mut table = new_table();
    table.set_header([
        "object_id",
        "ra",
        "dec",
        "truth",
        "estimate",
        "68 %",
        "residual",
        "flags",
        "look at",
    ]);
    for outlier in &result.outliers {
        let [ra, dec] = match outlier.position {
            Some(position) => position.map(|degrees| format!("{degrees:.5}")),
            None => [none(), none()],
        };
        let interval = outlier
            .interval
            .map_or_else(none, |[low, high]| format!("{low:.4}–{high:.4}"));
        let flags = match outlier.flags[..] {
            [] => none(),
            _ => outlier.flags.join(" "),
        };
        let link = outlier.links.first();
        table.add_row([
            outlier.object_id.to_string(),
            ra,
            dec,
            format!("{:.4}", outlier.truth),
            format!("{:.4}", outlier.estimate),
            interval,
            format!("{:.4}", outlier.residual),
            flags,
            link.map_or_else(none, |(_, address)| address.clone()),
        ]);
    }
    align_right(&mut table, 1..7);
    format!(
        "farthest from the truth: {} of {}\n{table}\n",
        result.target,
        result.name()
    )
}

fn none() -> String {
    "–".to_owned()
}
