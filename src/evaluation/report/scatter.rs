//! Predicted against true values, with residuals below (of redshifts: paper Figs 3 and 4).

use std::ops::Range;

use maud::{Markup, html};
use plotters::prelude::*;

use super::{
    data::{ScatterGroup, ScatterPanel},
    figure::{drawing, even_columns, label, placed},
    plot::{Axes, Chart, Drawn, INK, chart, css, family_colour, number, px, quantile, span, svg},
};
use crate::base::error::Result;
use crate::survey::Target;

/// Galaxies drawn per panel; of more, every second, third, … is drawn.
const DRAWN: usize = 600;
/// Limits of the half-height of the residual panel, in Δz / (1 + z).
const RESIDUALS: Range<f64> = 0.02..0.5;

/// Axes that all panels of a group share.
struct Shared {
    target: Target,
    values: Range<f64>,
    residual: f64,
}

/// The panels of a group, side by side.
pub(super) fn figure(group: &ScatterGroup) -> Result<Markup> {
    let columns = if !group.panels.len().is_multiple_of(3) && group.panels.len().is_multiple_of(4) {
        4
    } else {
        3
    };
    let shared = shared(&group.panels, Target::Redshift);
    let thinned = group.panels.iter().any(|panel| stride(panel) > 1);
    let mut panels = Vec::with_capacity(group.panels.len());
    for panel in &group.panels {
        let plot = match &shared {
            Some(shared) => Some(draw(group, panel, shared)?),
            None => None,
        };
        panels.push((panel, plot));
    }
    Ok(html! {
        h3 { (group.title) }
        div.panels.level style=(format!("--columns:{columns}")) {
            @for (panel, plot) in panels {
                figure.card {
                    div.panel-head {
                        span.swatch.round style=(format!("background:{}", css(family_colour(panel.family)))) {}
                        strong { (panel.title) }
                        span.score { "R² " b { (number(panel.r2, 2)) } }
                    }
                    @if let Some(plot) = plot { (plot) } @else { p.empty { "No finite predictions." } }
                }
            }
        }
        @if thinned {
            p.note { "Of each panel at most " (DRAWN) " evenly chosen galaxies are drawn; R² counts them all." }
        }
    })
}

fn stride(panel: &ScatterPanel) -> usize {
    panel
        .truth
        .len()
        .min(panel.predicted.len())
        .div_ceil(DRAWN)
        .max(1)
}

/// `(true, predicted)` of the galaxies drawn.
fn points(panel: &ScatterPanel) -> impl Iterator<Item = (f64, f64)> {
    let pairs = panel
        .truth
        .iter()
        .copied()
        .zip(panel.predicted.iter().copied());
    pairs
        .step_by(stride(panel))
        .filter(|(truth, predicted)| truth.is_finite() && predicted.is_finite())
}

fn residual(target: Target, (truth, predicted): (f64, f64)) -> f64 {
    match target {
        Target::Redshift => (predicted - truth) / (1.0 + truth),
        _ => predicted - truth,
    }
}

/// Names of the axes: predicted value, residual, true value.
fn names(target: Target) -> [&'static str; 3] {
    match target {
        Target::Redshift => ["predicted z", "Δz / (1 + z)", "true z"],
        Target::StellarMass => ["predicted log M★", "Δ log M★", "true log M★"],
        Target::Metallicity => ["predicted log Z", "Δ log Z", "true log Z"],
        Target::Age => ["predicted age [Gyr]", "Δ age", "true age [Gyr]"],
        Target::SpecificStarFormationRate => ["predicted log sSFR", "Δ log sSFR", "true log sSFR"],
    }
}

fn shared(panels: &[ScatterPanel], target: Target) -> Option<Shared> {
    let all = || panels.iter().flat_map(points);
    let truths = || all().map(|point| point.0);
    // The true values rule: a few wild predictions must not shrink the plot.
    let typical = [0.005, 0.995].map(|fraction| quantile(all().map(|point| point.1), fraction));
    let values = span(truths().chain(typical.into_iter().flatten()), 0.04)?;
    let start = if values.start > 0.0 && values.start < 0.3 * values.end {
        0.0
    } else {
        values.start
    };
    let most = quantile(all().map(|point| residual(target, point).abs()), 0.98)? * 1.15;
    Some(Shared {
        target,
        values: start..values.end,
        residual: match target {
            Target::Redshift => most.clamp(RESIDUALS.start, RESIDUALS.end),
            _ => most.max(RESIDUALS.start),
        },
    })
}

fn draw(group: &ScatterGroup, panel: &ScatterPanel, shared: &Shared) -> Result<Markup> {
    let Shared {
        target,
        values,
        residual: reach,
    } = shared;
    let [of_predicted, of_residual, of_truth] = names(*target);
    let (upper, lower) = (286.0, 122.0);
    let label = format!(
        "{}, {}: {of_predicted} against {of_truth}",
        group.title, panel.title
    );
    let dot = family_colour(panel.family).mix(0.5).filled();
    let edge = family_colour(panel.family).stroke_width(px(1.2) as u32);
    svg(&label, 320.0, upper + lower, |root| {
        let (above, below) = root.split_vertically(px(upper));
        let axes = |y_name, bottom, x_name, y_labels| Axes {
            left: 50.0,
            right: 10.0,
            top: 8.0,
            bottom,
            x_name,
            y_name,
            x_labels: 6,
            x_grid: true,
            y_labels,
        };
        let guide = INK.mix(0.55).stroke_width(px(1.0) as u32);
        let clamp = |value: f64, range: &Range<f64>| value.clamp(range.start, range.end);

        let mut main = chart(
            &above,
            values.clone(),
            values.clone(),
            &axes(of_predicted, 18.0, "", 6),
        )?;
        main.draw_series([PathElement::new(
            [values.start, values.end].map(|value| (value, value)),
            guide,
        )])?;
        for point in points(panel) {
            let shown = (clamp(point.0, values), clamp(point.1, values));
            mark(&mut main, shown, shown == point, dot, edge)?;
        }

        let residuals = -reach..*reach;
        let mut rest = chart(
            &below,
            values.clone(),
            residuals.clone(),
            &axes(of_residual, 36.0, of_truth, 3),
        )?;
        rest.draw_series([PathElement::new(
            [values.start, values.end].map(|value| (value, 0.0)),
            guide,
        )])?;
        for point in points(panel) {
            let exact = (point.0, residual(*target, point));
            let shown = (clamp(exact.0, values), clamp(exact.1, &residuals));
            mark(&mut rest, shown, shown == exact, dot, edge)?;
        }
        Ok(())
    })
}

/// A filled point, or an open one on the frame where the value lies outside.
fn mark(
    chart: &mut Chart<'_, '_>,
    point: (f64, f64),
    inside: bool,
    dot: ShapeStyle,
    edge: ShapeStyle,
) -> Drawn {
    let (radius, style) = if inside {
        (px(2.0), dot)
    } else {
        (px(2.5), edge)
    };
    chart.draw_series([Circle::new(point, radius, style)])?;
    Ok(())
}

/// Width of a panel of a drawing, and its height with its title, CSS pixels.
const CELL: [f64; 2] = [320.0, 440.0];
/// Height of a panel's title.
const TITLE: f64 = 28.0;
/// Most panels in a row of a drawing.
const COLUMNS: usize = 4;

/// The panels of a group as a drawing that stands alone.
///
/// # Errors
/// [`crate::base::error::Error::run`] where it cannot be drawn.
pub fn redshift_scatter(group: &ScatterGroup) -> Result<String> {
    scatter(group, Target::Redshift)
}

/// The same of any quantity.
///
/// # Errors
/// [`crate::base::error::Error::run`] where it cannot be drawn.
pub fn scatter(group: &ScatterGroup, target: Target) -> Result<String> {
    let [width, height] = CELL;
    let columns = even_columns(group.panels.len(), COLUMNS);
    let mut parts = Vec::new();
    if let Some(shared) = shared(&group.panels, target) {
        for (index, panel) in group.panels.iter().enumerate() {
            let x = (index % columns) as f64 * width;
            let y = (index / columns) as f64 * height;
            let title = format!("{}   R² = {}", panel.title, number(panel.r2, 2));
            parts.push(label([x + 50.0, y + 18.0], 12.5, &title));
            let plot = draw(group, panel, &shared)?;
            let size = [width, height - TITLE - 4.0];
            parts.push(placed([x, y + TITLE], size, plot));
        }
    }
    let rows = group.panels.len().div_ceil(columns);
    let size = [columns as f64 * width, rows as f64 * height];
    Ok(drawing(
        size[0],
        size[1],
        html! { @for part in parts { (part) } },
    ))
}
