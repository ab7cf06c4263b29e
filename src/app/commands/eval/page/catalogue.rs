//! The page of catalogues against truth.

use super::{figure, heading, row};
use crate::base::error::Result;
use crate::evaluation::eval::{
    CatalogueReport, CatalogueResult, DISTRIBUTION_NAMES, POINT_NAMES, Points, Scores, Target,
    distribution_cells, point_cells,
};
use crate::evaluation::report::{
    BinPanel, BinPoint, BinSeries, Block, Coverage, Document, Family, LinkedRow, Panel, RowKind,
    ScatterGroup, ScatterPanel, Section, TextTable, bins, count, pit, scatter,
};

/// A result, and what is drawn of its galaxies.
type Drawn<'a> = (&'a CatalogueResult, &'a Points);

/// Scores and drawings of all results.
pub(in crate::app::commands::eval) fn catalogue_page(report: &CatalogueReport) -> Result<Document> {
    let mut sections = Vec::new();
    for target in Target::ALL {
        let all = report.results.iter().zip(&report.points);
        let results: Vec<Drawn<'_>> = all.filter(|(result, _)| result.target == target).collect();
        if !results.is_empty() {
            sections.push(section(target, &results)?);
        }
    }
    let catalogues = report.catalogues.iter().map(|about| {
        let galaxies = count(about.rows);
        format!(
            "`{}`: {}, {galaxies} galaxies, joined to the truth {}.",
            about.name, about.file, about.joined_by
        )
    });
    sections.push(Section {
        title: "What was scored".into(),
        text: catalogues.chain(report.notes.iter().cloned()).collect(),
        blocks: Vec::new(),
    });
    let most = report
        .results
        .iter()
        .map(|result| result.counts.scored)
        .max();
    Ok(Document {
        title: "Catalogues against truth".into(),
        lead: format!(
            "Estimates of up to {} galaxies beside their true values. ± is the standard deviation of bootstrap resamples \
             of the galaxies; of shares it is binomial.",
            count(most.unwrap_or(0))
        ),
        sections,
        ..Document::default()
    })
}

fn section(target: Target, results: &[Drawn<'_>]) -> Result<Section> {
    let mut blocks: Vec<Block> = tables(target, results).collect();
    let panels: Vec<ScatterPanel> = results
        .iter()
        .map(|(result, points)| ScatterPanel {
            title: result.name(),
            family: Family::Aligned,
            r2: result.scores.metrics.map_or(f64::NAN, |metrics| metrics.r2),
            truth: points.truth.clone(),
            predicted: points.estimate.clone(),
        })
        .collect();
    let group = ScatterGroup {
        title: target.to_string(),
        panels,
    };
    let name = target.name();
    blocks.push(Block::Figure(figure(
        &format!("{name}-estimates"),
        "Estimates against true values, residuals below; open points lie outside of the frame."
            .into(),
        scatter(&group, target)?,
    )));
    let calibration: Vec<Coverage> = results
        .iter()
        .filter_map(|(result, _)| coverage(result))
        .collect();
    if !calibration.is_empty() {
        blocks.push(Block::Figure(figure(
            &format!("{name}-calibration"),
            "Share of the truth in central intervals against their credibility, and where the truth lies in the \
             distributions (PIT). Calibrated distributions follow the diagonal, with an even PIT; a valley is of too narrow \
             ones, a hill of too wide ones, a slope of biased ones."
                .into(),
            pit(&calibration)?,
        )));
    }
    let panels = bin_panels(target, results);
    if !panels.is_empty() {
        blocks.push(Block::Figure(figure(
            &format!("{name}-bins"),
            "Scores by bin of true redshift and of r magnitude, with their standard deviations."
                .into(),
            bins(&panels)?,
        )));
    }
    blocks.extend(results.iter().filter_map(|(result, _)| outliers(result)));
    Ok(Section {
        title: target.to_string(),
        text: Vec::new(),
        blocks,
    })
}

/// A table of point estimates, or of distributions.
fn table(
    title: &str,
    names: &[&str],
    note: String,
    results: &[Drawn<'_>],
    cells: impl Fn(&Scores) -> Option<(Vec<String>, usize)>,
) -> Option<Block> {
    let columns = ["galaxies"].into_iter().chain(names.iter().copied());
    let columns = columns.chain(["number"]);
    let mut table = TextTable {
        title: title.into(),
        columns: columns.map(str::to_owned).collect(),
        note,
        ..TextTable::default()
    };
    for (result, _) in results {
        let rows: Vec<_> = result
            .samples()
            .filter_map(|(sample, scores)| {
                let (cells, number) = cells(scores)?;
                let own = [sample.to_owned()].into_iter().chain(cells);
                Some(row(RowKind::Measured, own.chain([count(number)]).collect()))
            })
            .collect();
        if !rows.is_empty() {
            table.rows.push(heading(&result.name()));
            table.rows.extend(rows);
        }
    }
    (!table.rows.is_empty()).then_some(Block::Table(table))
}

fn tables(target: Target, results: &[Drawn<'_>]) -> impl Iterator<Item = Block> {
    let note = match target {
        Target::Redshift => {
            "σ_NMAD and bias of Δz / (1 + z), and the shares of galaxies beyond 0.15 and 0.05."
        }
        _ => "In the unit of the quantity.",
    };
    let points = table(
        "Estimates",
        &POINT_NAMES,
        note.to_owned(),
        results,
        |scores| Some((point_cells(scores), scores.galaxies)),
    );
    let note = "Shares of the truth in 68 % and 95 % intervals; CRPS in the unit of the quantity, lower is better. CRPS and \
                PIT are of the density `pz` where a catalogue has it, else of distributions that are Gaussian between its \
                percentiles. PIT p: \
                Kolmogorov–Smirnov probability of such a PIT if they are calibrated.";
    let distributions = table(
        "Distributions",
        &DISTRIBUTION_NAMES,
        note.to_owned(),
        results,
        |scores| {
            let number = scores.with_distribution;
            (number > 0).then(|| (distribution_cells(scores), number))
        },
    );
    points.into_iter().chain(distributions)
}

fn coverage(result: &CatalogueResult) -> Option<Coverage> {
    let pit = result.scores.pit.as_ref()?;
    Some(Coverage {
        title: result.name(),
        credibility: pit.credibility.clone(),
        expected: pit.coverage.clone(),
        p_value: pit.kolmogorov_smirnov_p,
        ranks: pit.counts.iter().map(|&count| count as f64).collect(),
    })
}

/// A score with its standard deviation, where there is one.
type Score = fn(&Scores) -> Option<[f64; 2]>;

/// Scores by bin: name, ideal, and how to get it.
fn bin_scores(target: Target) -> [(&'static str, Option<f64>, Score); 3] {
    let bias: Score = |scores| {
        let deviation = scores.uncertainty.map_or(0.0, |of| of.deviation.bias);
        Some([scores.metrics?.bias, deviation])
    };
    let scatter: Score = |scores| {
        let deviation = scores.uncertainty.map_or(0.0, |of| of.deviation.scatter);
        Some([scores.metrics?.scatter, deviation])
    };
    let coverage: Score = |scores| scores.coverage68.map(|of| [of.share, of.error]);
    let name = match target {
        Target::Redshift => "σ_NMAD",
        _ => "RMSE",
    };
    [
        (name, None, scatter),
        ("bias", Some(0.0), bias),
        ("share of the truth in 68 % intervals", Some(0.68), coverage),
    ]
}

fn bin_panels(target: Target, results: &[Drawn<'_>]) -> Vec<BinPanel> {
    let mut binned = Vec::new();
    for bin in results.iter().flat_map(|(result, _)| &result.bins) {
        if !binned.contains(&bin.by) {
            binned.push(bin.by);
        }
    }
    let mut panels = Vec::new();
    for by in binned {
        for (title, ideal, score) in bin_scores(target) {
            let series: Vec<BinSeries> = results
                .iter()
                .map(|(result, _)| BinSeries {
                    name: result.name(),
                    points: result
                        .bins
                        .iter()
                        .filter(|bin| bin.by == by)
                        .filter_map(|bin| {
                            let [value, error] = score(&bin.scores)?;
                            Some(BinPoint {
                                edges: [bin.low, bin.high],
                                value,
                                error,
                            })
                        })
                        .collect(),
                })
                .collect();
            if series.iter().any(|series| !series.points.is_empty()) {
                panels.push(BinPanel {
                    title: title.to_owned(),
                    by: by.axis(),
                    series,
                    ideal,
                });
            }
        }
    }
    panels
}

fn outliers(result: &CatalogueResult) -> Option<Block> {
    let rows: Vec<LinkedRow> = result
        .outliers
        .iter()
        .map(|outlier| {
            let number = |value: f64| format!("{value:.4}");
            let none = || "–".to_owned();
            let position = outlier
                .position
                .map_or_else(none, |[ra, dec]| format!("{ra:.5} {dec:+.5}"));
            let interval = outlier
                .interval
                .map_or_else(none, |[low, high]| format!("{low:.4} to {high:.4}"));
            LinkedRow {
                cells: vec![
                    outlier.object_id.to_string(),
                    position,
                    number(outlier.truth),
                    number(outlier.estimate),
                    interval,
                    number(outlier.residual),
                    outlier.flags.join(" "),
                ],
                links: outlier.links.clone(),
            }
        })
        .collect();
    let columns = [
        "galaxy", "ra, dec", "truth", "estimate", "68 %", "residual", "flags", "look at",
    ];
    let title = format!("Farthest from the truth: {}", result.name());
    (!rows.is_empty()).then(|| Block::Panel(Panel::linked(&title, &columns, &rows)))
}
