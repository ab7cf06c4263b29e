//! Whether posteriors are as wide as they should be: expected coverage against credibility (TARP, paper Figs
//! E1 and E2), and the ranks of the truth.

use maud::html;
use plotters::prelude::*;

use super::figure::{drawing, even_columns, label, placed};
use super::plot::{Axes, INK, MUTED, PALETTE, chart, number, px, svg};
use crate::base::error::Result;

/// Width of a panel and heights of its two plots, CSS pixels.
const WIDTH: f64 = 230.0;
const CURVE: f64 = 215.0;
const RANKS: f64 = 96.0;
/// Space between panels, and above each for its title.
const GAP: f64 = 14.0;
const TITLE: f64 = 40.0;
/// Most panels in a row.
const COLUMNS: usize = 4;

/// The posteriors of one quantity from one input.
#[derive(Debug, Clone)]
pub struct Coverage {
    /// Method and quantity.
    pub title: String,
    /// Credibility levels, 0 to 1.
    pub credibility: Vec<f64>,
    /// Share of galaxies whose truth lies within.
    pub expected: Vec<f64>,
    /// Probability of such a curve if the posteriors are calibrated.
    pub p_value: f64,
    /// Galaxies by the rank of the truth among the samples; empty without.
    pub ranks: Vec<f64>,
}

/// A drawing of panels: the curve beside the diagonal, the histogram of ranks below it.
///
/// # Errors
/// [`crate::base::error::Error::run`] where it cannot be drawn.
pub fn coverage(panels: &[Coverage]) -> Result<String> {
    drawn(panels, "TARP p", "rank of the truth")
}

/// The same of distributions by themselves: coverage of their central intervals, and below it, in place of ranks, where
/// the truth lies in them.
///
/// # Errors
/// [`crate::base::error::Error::run`] where it cannot be drawn.
pub fn pit(panels: &[Coverage]) -> Result<String> {
    drawn(panels, "PIT p", "PIT")
}

fn drawn(panels: &[Coverage], test: &str, rank: &'static str) -> Result<String> {
    let columns = even_columns(panels.len(), COLUMNS);
    let block = TITLE + CURVE + RANKS + GAP;
    let mut parts = Vec::new();
    for (index, panel) in panels.iter().enumerate() {
        let x = GAP + (index % columns) as f64 * (WIDTH + GAP);
        let y = GAP + (index / columns) as f64 * block;
        parts.push(label([x + 6.0, y + 14.0], 12.0, &panel.title));
        let p = format!("{test} = {}", number(panel.p_value, 3));
        parts.push(html! { text x=(x + 6.0) y=(y + 31.0) font-size="11" fill="#5b6875" { (p) } });
        let curve = curve(panel)?;
        parts.push(placed([x, y + TITLE], [WIDTH, CURVE], curve));
        if !panel.ranks.is_empty() {
            let ranks = ranks(panel, rank)?;
            parts.push(placed([x, y + TITLE + CURVE], [WIDTH, RANKS], ranks));
        }
    }
    let rows = panels.len().div_ceil(columns);
    let width = GAP + columns as f64 * (WIDTH + GAP);
    let content = html! { @for part in parts { (part) } };
    Ok(drawing(width, GAP + rows as f64 * block, content))
}

fn axes(x_name: &'static str, y_name: &'static str, bottom: f64, y_labels: usize) -> Axes {
    Axes {
        left: 48.0,
        right: 8.0,
        top: 9.0,
        bottom,
        x_name,
        y_name,
        x_labels: 5,
        x_grid: true,
        y_labels,
    }
}

fn curve(panel: &Coverage) -> Result<maud::Markup> {
    svg(&panel.title, WIDTH, CURVE, |root| {
        let axes = axes("credibility", "expected coverage", 36.0, 5);
        let mut chart = chart(root, 0.0..1.0, 0.0..1.0, &axes)?;
        let guide = INK.mix(0.5).stroke_width(px(1.0) as u32);
        chart.draw_series([PathElement::new([(0.0, 0.0), (1.0, 1.0)], guide)])?;
        let points = panel
            .credibility
            .iter()
            .copied()
            .zip(panel.expected.iter().copied());
        let points: Vec<(f64, f64)> = points.collect();
        let line = PALETTE[0].stroke_width(px(1.8) as u32);
        chart.draw_series([PathElement::new(points, line)])?;
        Ok(())
    })
}

fn ranks(panel: &Coverage, rank: &'static str) -> Result<maud::Markup> {
    svg(rank, WIDTH, RANKS, |root| {
        let most = panel.ranks.iter().copied().fold(1.0, f64::max);
        let bars = panel.ranks.len() as f64;
        let axes = axes(rank, "", 34.0, 0);
        let mut chart = chart(root, 0.0..1.0, 0.0..1.1 * most, &axes)?;
        chart.draw_series(panel.ranks.iter().enumerate().map(|(bar, &count)| {
            let left = bar as f64 / bars;
            let corners = [(left, 0.0), (left + 1.0 / bars, count)];
            Rectangle::new(corners, PALETTE[0].mix(0.5).filled())
        }))?;
        let even = panel.ranks.iter().sum::<f64>() / bars;
        let line = MUTED.stroke_width(px(1.0) as u32);
        chart.draw_series([PathElement::new([(0.0, even), (1.0, even)], line)])?;
        Ok(())
    })
}
