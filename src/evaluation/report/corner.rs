//! The posterior of one galaxy: every quantity, and every pair of them (paper Fig. D3).

use maud::{Markup, html};
use plotters::prelude::*;

use super::figure::{drawing, label, placed};
use super::plot::{Axes, INK, PALETTE, chart, px, quantile, span, svg};
use crate::base::error::Result;

/// Side of a panel, CSS pixels.
const PANEL: f64 = 164.0;
/// Space at the edges.
const GAP: f64 = 16.0;
/// Height of the title.
const TITLE: f64 = 26.0;
/// Bars of a histogram.
const BARS: usize = 30;
/// Samples drawn of each pair.
const DRAWN: usize = 600;

/// Samples of one quantity.
#[derive(Debug, Clone)]
pub struct CornerAxis {
    /// Its name.
    pub name: String,
    /// The true value.
    pub truth: f64,
    /// Samples, those of all quantities in one order.
    pub samples: Vec<f64>,
}

/// A drawing: histograms on the diagonal, pairs below it, the truth in orange.
///
/// # Errors
/// [`crate::base::error::Error::run`] where it cannot be drawn.
pub fn corner(title: &str, axes: &[CornerAxis]) -> Result<String> {
    let mut parts = vec![label([GAP, TITLE - 8.0], 13.0, title)];
    for (row, below) in axes.iter().enumerate() {
        for (column, beside) in axes.iter().enumerate().take(row + 1) {
            let at = [GAP + column as f64 * PANEL, TITLE + row as f64 * PANEL];
            let plot = match row == column {
                true => histogram(below)?,
                false => pairs(beside, below)?,
            };
            parts.push(placed(at, [PANEL, PANEL], plot));
        }
        let x = GAP + row as f64 * PANEL + 42.0;
        let bottom = TITLE + axes.len() as f64 * PANEL + 12.0;
        parts.push(label([x, bottom], 11.5, &below.name));
        let y = TITLE + (row as f64 + 0.5) * PANEL;
        let right = GAP + (row + 1) as f64 * PANEL + 6.0;
        parts.push(label([right, y], 11.5, &below.name));
    }
    let side = axes.len() as f64 * PANEL;
    let content = html! { @for part in parts { (part) } };
    Ok(drawing(
        2.0 * GAP + side + 90.0,
        TITLE + side + GAP + 8.0,
        content,
    ))
}

fn range(axis: &CornerAxis) -> Option<std::ops::Range<f64>> {
    let ends = [0.005, 0.995].map(|level| quantile(axis.samples.iter().copied(), level));
    span(ends.into_iter().flatten().chain([axis.truth]), 0.05)
}

fn axes(y_labels: usize) -> Axes {
    Axes {
        left: 38.0,
        right: 12.0,
        top: 8.0,
        bottom: 20.0,
        x_name: "",
        y_name: "",
        x_labels: 3,
        x_grid: false,
        y_labels,
    }
}

fn histogram(axis: &CornerAxis) -> Result<Markup> {
    svg(&axis.name, PANEL, PANEL, |root| {
        let Some(x) = range(axis) else {
            return Ok(());
        };
        let width = (x.end - x.start) / BARS as f64;
        let mut counts = [0_u32; BARS];
        for sample in axis.samples.iter().filter(|&&sample| x.contains(&sample)) {
            let bar = ((sample - x.start) / width) as usize;
            counts[bar.min(BARS - 1)] += 1;
        }
        let most = f64::from(counts.into_iter().max().unwrap_or(1).max(1));
        let start = x.start;
        let mut chart = chart(root, x, 0.0..1.08 * most, &axes(0))?;
        chart.draw_series(counts.iter().enumerate().map(|(bar, &count)| {
            let left = start + bar as f64 * width;
            let corners = [(left, 0.0), (left + width, f64::from(count))];
            Rectangle::new(corners, PALETTE[0].mix(0.6).filled())
        }))?;
        let line = PALETTE[1].stroke_width(px(1.8) as u32);
        chart.draw_series([PathElement::new(
            [(axis.truth, 0.0), (axis.truth, 1.08 * most)],
            line,
        )])?;
        Ok(())
    })
}

fn pairs(beside: &CornerAxis, below: &CornerAxis) -> Result<Markup> {
    let name = format!("{} and {}", below.name, beside.name);
    svg(&name, PANEL, PANEL, |root| {
        let (Some(x), Some(y)) = (range(beside), range(below)) else {
            return Ok(());
        };
        let inside = (x.clone(), y.clone());
        let mut chart = chart(root, x, y, &axes(3))?;
        let stride = beside.samples.len().div_ceil(DRAWN).max(1);
        let samples = beside
            .samples
            .iter()
            .copied()
            .zip(below.samples.iter().copied());
        let shown = samples
            .step_by(stride)
            .filter(|(a, b)| inside.0.contains(a) && inside.1.contains(b));
        chart.draw_series(shown.map(|at| Circle::new(at, px(0.9), INK.mix(0.35).filled())))?;
        let line = PALETTE[1].stroke_width(px(1.4) as u32);
        let (x, y) = inside;
        chart.draw_series([
            PathElement::new([(beside.truth, y.start), (beside.truth, y.end)], line),
            PathElement::new([(x.start, below.truth), (x.end, below.truth)], line),
        ])?;
        Ok(())
    })
}
