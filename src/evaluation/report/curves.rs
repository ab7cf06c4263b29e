//! Loss against training step.

use std::ops::Range;

use maud::{Markup, html};
use plotters::prelude::*;

use super::{
    data::{LossCurve, Series},
    plot::{Axes, PALETTE, binned, chart, css, number, px, span, svg},
};
use crate::base::error::Result;

/// Points drawn per curve.
const POINTS: usize = 400;
/// Curves with more points than this are drawn faint, with their running mean on top.
const NOISY: usize = 60;
/// Curves share a panel if its range is at most this many times that of each: none is drawn flat.
const SHARED: f64 = 8.0;

/// A stage's loss terms: panels above each other that share the step axis, and a legend with numbers.
pub(super) fn figure(curve: &LossCurve) -> Result<Markup> {
    let panels = panels(&curve.terms);
    let steps = span(
        curve
            .terms
            .iter()
            .flat_map(|term| term.points.iter().map(|point| point.0)),
        0.0,
    );
    let plot = match steps {
        Some(steps) if !panels.is_empty() => Some(draw(curve, &panels, &steps)?),
        _ => None,
    };
    Ok(html! {
        figure.card {
            h3 { (curve.stage) }
            @if let Some(plot) = plot { (plot) } @else { p.empty { "No finite losses were recorded." } }
            table.legend {
                thead { tr { th scope="col" { "loss term" } th scope="col" { "first" } th scope="col" { "last" } } }
                tbody {
                    @for (index, term) in curve.terms.iter().enumerate() {
                        @let ends = ends(term);
                        tr {
                            th scope="row" {
                                span.swatch style=(format!("background:{}", css(colour(index)))) {}
                                (term.name)
                            }
                            td { (ends.map_or("–".to_owned(), |(first, _)| significant(first))) }
                            td { (ends.map_or("–".to_owned(), |(_, last)| significant(last))) }
                        }
                    }
                }
            }
            @if !curve.note.is_empty() { figcaption { (curve.note) } }
        }
    })
}

fn colour(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// The mean of the first and of the last twentieth of the finite values.
fn ends(term: &Series) -> Option<(f64, f64)> {
    let values: Vec<f64> = finite(term).map(|point| point.1).collect();
    let width = values.len().div_ceil(20);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    (!values.is_empty()).then(|| {
        (
            mean(&values[..width]),
            mean(&values[values.len() - width..]),
        )
    })
}

fn finite(term: &Series) -> impl Iterator<Item = (f64, f64)> {
    term.points
        .iter()
        .copied()
        .filter(|(step, value)| step.is_finite() && value.is_finite())
}

/// Three significant digits.
fn significant(value: f64) -> String {
    let magnitude = value.abs().max(1e-6).log10().floor();
    number(value, (2.0 - magnitude).clamp(0.0, 8.0) as usize)
}

/// Which terms share a panel, and its range of values. Terms without finite values have none.
fn panels(terms: &[Series]) -> Vec<(Vec<usize>, Range<f64>)> {
    let width = |range: &Range<f64>| range.end - range.start;
    let ranges: Vec<_> = terms.iter().map(range).collect();
    let mut panels: Vec<(Vec<usize>, Range<f64>)> = Vec::new();
    for (index, own) in ranges.iter().enumerate() {
        let Some(own) = own else { continue };
        let fitting = panels.iter_mut().find_map(|(members, range)| {
            let union = range.start.min(own.start)..range.end.max(own.end);
            let narrowest = members
                .iter()
                .filter_map(|&member| ranges[member].as_ref())
                .map(width)
                .fold(width(own), f64::min);
            (width(&union) <= SHARED * narrowest).then_some((members, range, union))
        });
        match fitting {
            Some((members, range, union)) => {
                members.push(index);
                *range = union;
            }
            None => panels.push((vec![index], own.clone())),
        }
    }
    panels
}

/// The range of a term's values. A spike in the first steps that would flatten all that follows is left
/// outside.
fn range(term: &Series) -> Option<Range<f64>> {
    let values: Vec<f64> = binned(&term.points, POINTS)
        .iter()
        .map(|point| point.1)
        .collect();
    let all = span(values.iter().copied(), 0.06)?;
    let settled = span(values.iter().skip(values.len() / 20).copied(), 0.06)?;
    let flattened = all.end - all.start > 4.0 * (settled.end - settled.start);
    Some(if flattened && values.len() > NOISY {
        settled
    } else {
        all
    })
}

fn draw(
    curve: &LossCurve,
    panels: &[(Vec<usize>, Range<f64>)],
    steps: &Range<f64>,
) -> Result<Markup> {
    let (axis, inner) = (34.0, if panels.len() == 1 { 190.0 } else { 120.0 });
    let height = inner * panels.len() as f64 + axis;
    svg(
        &format!("Loss against step: {}", curve.stage),
        380.0,
        height,
        |root| {
            let mut rest = root.clone();
            for (panel, (members, range)) in panels.iter().enumerate() {
                let last = panel + 1 == panels.len();
                let (area, below) =
                    rest.split_vertically(px(inner + if last { axis } else { 0.0 }));
                rest = below;
                let axes = Axes {
                    left: 46.0,
                    right: 12.0,
                    top: 10.0,
                    bottom: if last { axis } else { 6.0 },
                    x_name: if last { "step" } else { "" },
                    y_name: "",
                    x_labels: if last { 5 } else { 0 },
                    x_grid: last,
                    y_labels: if panels.len() == 1 { 5 } else { 3 },
                };
                let mut chart = chart(&area, steps.clone(), range.clone(), &axes)?;
                for &index in members {
                    let points = binned(&curve.terms[index].points, POINTS);
                    let inside = |points: Vec<(f64, f64)>| {
                        points
                            .into_iter()
                            .filter(|point| range.contains(&point.1))
                            .collect::<Vec<_>>()
                    };
                    let line = colour(index).stroke_width(px(1.75) as u32);
                    if let [point] = points[..] {
                        chart.draw_series([Circle::new(point, px(2.5), colour(index).filled())])?;
                    } else if points.len() > NOISY {
                        let smooth = running_mean(&points, points.len() / 30);
                        let faint = colour(index).mix(0.25).stroke_width(px(1.0) as u32);
                        chart.draw_series([PathElement::new(inside(points), faint)])?;
                        chart.draw_series([PathElement::new(inside(smooth), line)])?;
                    } else {
                        chart.draw_series([PathElement::new(inside(points), line)])?;
                    }
                }
            }
            Ok(())
        },
    )
}

/// The mean over `half` points to either side. At the steep start over as many to the left as to the right;
/// at the end over those that are there.
fn running_mean(points: &[(f64, f64)], half: usize) -> Vec<(f64, f64)> {
    (0..points.len())
        .map(|index| {
            let reach = half.min(index);
            let window = &points[index - reach..=(index + reach).min(points.len() - 1)];
            let mean = window.iter().map(|point| point.1).sum::<f64>() / window.len() as f64;
            (points[index].0, mean)
        })
        .collect()
}
