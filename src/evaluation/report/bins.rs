//! Scores by bin, with errors.

use maud::html;
use plotters::prelude::*;

use super::figure::{drawing, even_columns, label, placed};
use super::plot::{Axes, INK, PALETTE, chart, css, px, span, svg};
use crate::base::error::Result;

/// Width and height of a panel, CSS pixels.
const CELL: [f64; 2] = [300.0, 220.0];
/// Space around panels.
const GAP: f64 = 14.0;
/// Height of a panel's title, and of a line of the legend.
const LINE: f64 = 20.0;
/// Most panels in a row.
const COLUMNS: usize = 3;

/// A score by bin.
#[derive(Debug, Clone)]
pub struct BinPanel {
    /// The score.
    pub title: String,
    /// What is binned.
    pub by: &'static str,
    /// One for each method.
    pub series: Vec<BinSeries>,
    /// What a perfect method has.
    pub ideal: Option<f64>,
}

/// A method's score by bin; all panels have them in one order, which gives the colours.
#[derive(Debug, Clone)]
pub struct BinSeries {
    /// The method.
    pub name: String,
    /// Its scores.
    pub points: Vec<BinPoint>,
}

/// A score in a bin.
#[derive(Debug, Clone, Copy)]
pub struct BinPoint {
    /// Edges of the bin.
    pub edges: [f64; 2],
    /// The score.
    pub value: f64,
    /// Its standard deviation; 0 where unknown.
    pub error: f64,
}

/// Panels side by side, below a legend.
///
/// # Errors
/// [`crate::base::error::Error::run`] where it cannot be drawn.
pub fn bins(panels: &[BinPanel]) -> Result<String> {
    let columns = even_columns(panels.len(), COLUMNS);
    let names: Vec<&str> = panels
        .first()
        .map(|panel| {
            panel
                .series
                .iter()
                .map(|series| series.name.as_str())
                .collect()
        })
        .unwrap_or_default();
    let top = GAP + LINE * names.len() as f64;
    let block = LINE + CELL[1] + GAP;
    let mut parts = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let y = GAP + LINE * index as f64;
        let colour = css(colour(index));
        parts.push(html! { rect x=(GAP) y=(y) width="12" height="12" fill=(colour) {} });
        parts.push(label([GAP + 18.0, y + 11.0], 12.0, name));
    }
    for (index, panel) in panels.iter().enumerate() {
        let x = GAP + (index % columns) as f64 * (CELL[0] + GAP);
        let y = top + (index / columns) as f64 * block;
        parts.push(label([x + 6.0, y + 14.0], 12.0, &panel.title));
        parts.push(placed([x, y + LINE], CELL, draw(panel)?));
    }
    let rows = panels.len().div_ceil(columns);
    let width = GAP + columns as f64 * (CELL[0] + GAP);
    let content = html! { @for part in parts { (part) } };
    Ok(drawing(width, top + rows as f64 * block, content))
}

fn colour(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

fn draw(panel: &BinPanel) -> Result<maud::Markup> {
    let known = || {
        let points = panel.series.iter().flat_map(|series| &series.points);
        points.filter(|point| point.value.is_finite() && point.error.is_finite())
    };
    let x = span(known().flat_map(|point| point.edges), 0.02).unwrap_or(0.0..1.0);
    let ends = known().flat_map(|point| [point.value - point.error, point.value + point.error]);
    let y = span(ends.chain(panel.ideal), 0.08).unwrap_or(0.0..1.0);
    svg(&panel.title, CELL[0], CELL[1], |root| {
        let axes = Axes {
            left: 50.0,
            right: 10.0,
            top: 8.0,
            bottom: 36.0,
            x_name: panel.by,
            y_name: "",
            x_labels: 5,
            x_grid: true,
            y_labels: 5,
        };
        let mut chart = chart(root, x.clone(), y.clone(), &axes)?;
        if let Some(ideal) = panel.ideal {
            let guide = INK.mix(0.5).stroke_width(px(1.0) as u32);
            chart.draw_series([PathElement::new([(x.start, ideal), (x.end, ideal)], guide)])?;
        }
        for (index, series) in panel.series.iter().enumerate() {
            let line = colour(index).stroke_width(px(1.5) as u32);
            // Methods stand beside each other within a bin.
            let place = (index as f64 + 1.0) / (panel.series.len() as f64 + 1.0);
            let points = series.points.iter();
            for point in points.filter(|of| of.value.is_finite() && of.error.is_finite()) {
                let BinPoint {
                    edges: [low, high],
                    value,
                    error,
                } = *point;
                let at = low + place * (high - low);
                chart.draw_series([
                    PathElement::new([(low, value), (high, value)], line),
                    PathElement::new([(at, value - error), (at, value + error)], line),
                ])?;
                chart.draw_series([Circle::new((at, value), px(2.5), colour(index).filled())])?;
            }
        }
        Ok(())
    })
}
