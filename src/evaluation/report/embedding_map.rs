//! Galaxies on a map of their embeddings, coloured by what is known of them.

use maud::{PreEscaped, html};
use plotters::prelude::*;
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};

use super::figure::{drawing, label, placed};
use super::plot::{Axes, MUTED, chart, css, number, px, quantile, span, svg};
use crate::base::error::Result;

/// Sides of the map and width of the scale beside it, CSS pixels.
const SIDE: f64 = 640.0;
const SCALE: f64 = 90.0;
const GAP: f64 = 16.0;
/// Height of the title.
const TITLE: f64 = 26.0;
/// Steps of the scale.
const STEPS: usize = 64;

/// A galaxy on the map.
#[derive(Debug, Clone, Copy)]
pub struct MapPoint {
    /// Its position.
    pub at: [f64; 2],
    /// What its colour shows; NaN where unknown.
    pub value: f64,
}

/// A drawing of a map; colours run from the first to the last of 50 parts of the values.
///
/// # Errors
/// [`crate::base::error::Error::run`] where it cannot be drawn.
pub fn embedding_map(points: &[MapPoint], title: &str, quantity: &str) -> Result<String> {
    let values = || points.iter().map(|point| point.value);
    let low = quantile(values(), 0.02).unwrap_or(0.0);
    let high = quantile(values(), 0.98).unwrap_or(1.0);
    let fraction = |value: f64| ((value - low) / (high - low).max(1e-300)).clamp(0.0, 1.0);
    let colour = |value: f64| match value.is_finite() {
        true => ViridisRGB.get_color(fraction(value) as f32),
        false => MUTED,
    };
    let map = svg(title, SIDE, SIDE, |root| {
        let axis = |axis: usize| span(points.iter().map(|point| point.at[axis]), 0.03);
        let (Some(x), Some(y)) = (axis(0), axis(1)) else {
            return Ok(());
        };
        let axes = Axes {
            left: 4.0,
            right: 4.0,
            top: 4.0,
            bottom: 4.0,
            x_name: "",
            y_name: "",
            x_labels: 0,
            x_grid: false,
            y_labels: 0,
        };
        let mut chart = chart(root, x, y, &axes)?;
        let radius = px(if points.len() > 5000 { 1.2 } else { 2.2 });
        // Galaxies without a value below the others.
        let (known, unknown): (Vec<&MapPoint>, Vec<&MapPoint>) =
            points.iter().partition(|point| point.value.is_finite());
        chart.draw_series(unknown.into_iter().chain(known).map(|point| {
            let [x, y] = point.at;
            Circle::new((x, y), radius, colour(point.value).mix(0.8).filled())
        }))?;
        Ok(())
    })?;
    let x = GAP + SIDE + GAP;
    let step = SIDE / STEPS as f64;
    let content = html! {
        (label([GAP, TITLE - 6.0], 13.0, title))
        (placed([GAP, TITLE], [SIDE, SIDE], map))
        @for number in 0..STEPS {
            @let fraction = 1.0 - (number as f64 + 0.5) / STEPS as f64;
            rect x=(x) y=(TITLE + number as f64 * step) width="16" height=(step + 0.5)
                fill=(css(ViridisRGB.get_color(fraction as f32))) {}
        }
        @for (fraction, value) in [(0.0, high), (0.5, 0.5 * (low + high)), (1.0, low)] {
            (label([x + 22.0, TITLE + fraction * (SIDE - 10.0) + 10.0], 11.0, &number(value, 2)))
        }
        (PreEscaped(format!(
            r##"<text x="{}" y="{}" font-size="11.5" fill="#1b2733" transform="rotate(-90 {0} {1})" text-anchor="middle">{quantity}</text>"##,
            x + 66.0,
            TITLE + SIDE / 2.0
        )))
    };
    let width = x + SCALE;
    Ok(drawing(width, TITLE + SIDE + GAP, content))
}
