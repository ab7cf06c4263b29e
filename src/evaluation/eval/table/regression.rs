//! Redshift and properties as tables.

use std::collections::BTreeSet;

use super::{align_right, remarks, with_error};
use crate::base::terminal::new_table;
use crate::evaluation::eval::{
    metrics::Metrics,
    results::{Bin, NotMade, RegressionReport, RegressionResult},
};
use crate::survey::Target;

/// The results as tables for people, then what was left out.
pub fn render_regression_table(report: &RegressionReport) -> String {
    let targets: BTreeSet<Target> = report.results.iter().map(|result| result.target).collect();
    let mut text = String::new();
    if targets.len() > 1 {
        text += &by_property(report, &targets);
    }
    text += &details(report);
    text += &bins(report);
    text += &settings(report);
    text + &remarks(&report.left_out, &report.notes)
}

/// R² in the layout of the paper's Table 2: a row per model and method, a column per property.
fn by_property(report: &RegressionReport, targets: &BTreeSet<Target>) -> String {
    let mut table = new_table();
    let mut header: Vec<String> = ["from", "model", "method"].map(String::from).into();
    header.extend(targets.iter().map(|target| format!("R² {target}")));
    let columns = header.len();
    table.set_header(header);
    let key = |result: &RegressionResult| (result.source, result.model.clone(), result.method);
    let mut rows = Vec::new();
    for result in &report.results {
        if !rows.contains(&key(result)) {
            rows.push(key(result));
        }
    }
    rows.sort_by_key(|row| row.0);
    for row in rows {
        let mut cells = vec![row.0.to_string(), row.1.clone(), row.2.to_string()];
        cells.extend(targets.iter().map(|&target| {
            let mut results = report.results.iter();
            let result = results.find(|result| result.target == target && key(result) == row);
            result.map_or("–".to_owned(), r2)
        }));
        table.add_row(cells);
    }
    align_right(&mut table, 3..columns);
    format!("{table}\n")
}

fn r2(result: &RegressionResult) -> String {
    let deviation = result.uncertainty.map(|u| u.deviation.r2);
    with_error(result.metrics.r2, deviation, 3)
}

fn details(report: &RegressionReport) -> String {
    let redshift = report.results.iter().any(|r| r.target == Target::Redshift);
    let several_seeds = report.options.seeds > 1;
    let gains = report.results.iter().any(|r| r.over_photometry.is_some());
    let mut table = new_table();
    let mut header = vec!["target", "from", "model", "method", "R²"];
    if several_seeds {
        header.push("± seeds");
    }
    if gains {
        header.push("R² over magnitudes");
    }
    header.extend(figure_names(redshift));
    header.extend(["train", "test"]);
    let columns = header.len();
    table.set_header(header);
    for result in &report.results {
        let mut row = named(result);
        row.push(r2(result));
        if several_seeds {
            let spread = result.over_seeds.map(|spread| format!("{:.3}", spread.r2));
            row.push(spread.unwrap_or_else(none));
        }
        if gains {
            let gain = result.over_photometry.map(|gain| {
                let deviation = gain.uncertainty.map(|u| u.deviation);
                format!(
                    "{}{}",
                    if gain.r2 < 0.0 { "" } else { "+" },
                    with_error(gain.r2, deviation, 3)
                )
            });
            row.push(gain.unwrap_or_else(none));
        }
        let deviation = result.uncertainty.map(|u| u.deviation);
        row.extend(figures(&result.metrics, deviation.as_ref(), redshift));
        row.push(match result.n_train {
            0 => none(),
            n_train => n_train.to_string(),
        });
        row.push(result.n_test.to_string());
        table.add_row(row);
    }
    for NotMade {
        target,
        source,
        model,
        reason,
    } in &report.not_made
    {
        let what = [target.to_string(), source.to_string(), model.clone()];
        let mut row = what.to_vec();
        row.push(format!("not made: {reason}"));
        row.resize(columns, none());
        table.add_row(row);
    }
    align_right(&mut table, 4..columns);
    format!("{table}\n")
}

fn bins(report: &RegressionReport) -> String {
    if report.results.iter().all(|result| result.bins.is_empty()) {
        return String::new();
    }
    let redshift = report.results.iter().any(|r| r.target == Target::Redshift);
    let mut table = new_table();
    let mut header = vec!["target", "from", "model", "method", "bin", "R²"];
    header.extend(figure_names(redshift));
    header.push("test");
    let columns = header.len();
    table.set_header(header);
    for result in &report.results {
        for bin in &result.bins {
            let Bin { by, low, high, .. } = bin;
            let mut row = named(result);
            row.push(format!("{by} {low:.3}–{high:.3}"));
            match &bin.metrics {
                Some(metrics) => {
                    let deviation = bin.uncertainty.map(|u| u.deviation);
                    row.push(with_error(metrics.r2, deviation.map(|d| d.r2), 3));
                    row.extend(figures(metrics, deviation.as_ref(), redshift));
                }
                None => row.extend((5..columns - 1).map(|_| none())),
            }
            row.push(bin.n_test.to_string());
            table.add_row(row);
        }
    }
    align_right(&mut table, 5..columns);
    format!("{table}\n")
}

fn named(result: &RegressionResult) -> Vec<String> {
    vec![
        result.target.to_string(),
        result.source.to_string(),
        result.model.clone(),
        result.method.to_string(),
    ]
}

fn figure_names(redshift: bool) -> &'static [&'static str] {
    match redshift {
        true => &["σ_NMAD", "bias", "RMSE", "> 0.15", "> 0.05"],
        false => &["RMSE", "bias", "σ_NMAD"],
    }
}

fn figures(metrics: &Metrics, deviation: Option<&Metrics>, redshift: bool) -> Vec<String> {
    let shown = |figure: fn(&Metrics) -> f64| with_error(figure(metrics), deviation.map(figure), 4);
    let fraction = |figure: fn(&Metrics) -> Option<f64>| {
        let deviation = deviation.and_then(figure).map(|fraction| 100.0 * fraction);
        figure(metrics).map_or_else(none, |fraction| {
            format!("{} %", with_error(100.0 * fraction, deviation, 1))
        })
    };
    let (rmse, sigma) = (shown(|m| m.rmse), shown(|m| m.sigma_nmad));
    let bias = shown(|m| m.bias);
    match redshift {
        true => vec![
            sigma,
            bias,
            rmse,
            fraction(|m| m.outlier_fraction),
            fraction(|m| m.outlier_fraction_005),
        ],
        false => vec![rmse, bias, sigma],
    }
}

fn settings(report: &RegressionReport) -> String {
    let options = &report.options;
    let mut seeds = format!("seed {}", options.mlp.seed);
    if options.seeds > 1 {
        seeds = format!(
            "mean and ± of {} seeds from {}",
            options.seeds, options.mlp.seed
        );
    }
    let mut text = format!(
        "zero-shot: {} nearest neighbours; few-shot: MLP of {:?}, {seeds}\n",
        options.k, options.mlp.hidden
    );
    if options.bootstrap.resamples > 0 {
        text += &format!(
            "± standard deviation of {} bootstrap resamples of the test galaxies; 95 % intervals in the JSON\n",
            options.bootstrap.resamples
        );
    }
    if report.results.iter().any(|r| r.target == Target::Redshift) {
        text += "bias, σ_NMAD and outliers of Δz/(1+z)\n";
    }
    text
}

fn none() -> String {
    "–".to_owned()
}
