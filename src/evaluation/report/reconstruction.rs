//! Spectra with parts hidden from the model, and what it predicts there (paper Fig. D2).

use std::ops::Range;

use maud::html;
use plotters::prelude::*;

use super::figure::{drawing, label, placed};
use super::plot::{Axes, INK, MUTED, PALETTE, binned, chart, px, quantile, span, svg};
use crate::base::error::Result;

/// Width of the drawing, CSS pixels.
const WIDTH: f64 = 960.0;
/// Heights of a caption, of a spectrum, and of the close-ups below it.
const HEIGHTS: [f64; 3] = [22.0, 150.0, 110.0];
/// Space at the edges and between spectra.
const GAP: f64 = 14.0;
/// Pixels of which the mean is drawn (paper appendix D).
const SMOOTHING: usize = 20;
/// Share of a hidden part that a close-up shows on either side of it.
const AROUND: f64 = 0.35;

/// A spectrum and what the model makes of its hidden parts.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    /// Identifier, redshift.
    pub caption: String,
    /// Flux at each wavelength.
    pub flux: Vec<f32>,
    /// What the model predicts; NaN where nothing was hidden.
    pub predicted: Vec<f32>,
}

/// A drawing: each spectrum with its hidden parts shaded, and a close-up of each part.
///
/// # Errors
/// [`crate::base::error::Error::run`] where a plot cannot be drawn.
pub fn reconstruction(spectra: &[Reconstruction], wavelengths: &[f64]) -> Result<String> {
    let [caption, whole, close] = HEIGHTS;
    let block = caption + whole + close + GAP;
    let mut parts = Vec::new();
    for (index, spectrum) in spectra.iter().enumerate() {
        let top = GAP + index as f64 * block;
        parts.push(label([GAP, top + 14.0], 12.5, &spectrum.caption));
        let width = WIDTH - 2.0 * GAP;
        let hidden = hidden_parts(&spectrum.predicted);
        let all = 0..spectrum.flux.len();
        let plot = panel(spectrum, wavelengths, all, &hidden, [width, whole], 8)?;
        parts.push(placed([GAP, top + caption], [width, whole], plot));
        let cell = width / hidden.len().max(1) as f64;
        for (number, part) in hidden.iter().enumerate() {
            let around = (part.len() as f64 * AROUND) as usize;
            let shown =
                part.start.saturating_sub(around)..(part.end + around).min(spectrum.flux.len());
            let plot = panel(spectrum, wavelengths, shown, &hidden, [cell, close], 2)?;
            let at = [GAP + number as f64 * cell, top + caption + whole];
            parts.push(placed(at, [cell, close], plot));
        }
    }
    let height = GAP + spectra.len() as f64 * block;
    Ok(drawing(
        WIDTH,
        height,
        html! { @for part in parts { (part) } },
    ))
}

/// Runs of pixels that were hidden.
fn hidden_parts(predicted: &[f32]) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (pixel, _) in predicted.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
        match parts.last_mut() {
            Some(part) if part.end == pixel => part.end += 1,
            _ => parts.push(pixel..pixel + 1),
        }
    }
    parts
}

/// Truth and belief in some pixels.
fn panel(
    spectrum: &Reconstruction,
    wavelengths: &[f64],
    pixels: Range<usize>,
    hidden: &[Range<usize>],
    [width, height]: [f64; 2],
    x_labels: usize,
) -> Result<maud::Markup> {
    let smoothed = |values: &[f32], pixels: &Range<usize>| {
        let points: Vec<(f64, f64)> = pixels
            .clone()
            .map(|pixel| (wavelengths[pixel], f64::from(values[pixel])))
            .collect();
        binned(&points, (points.len() / SMOOTHING).max(1))
    };
    svg("reconstruction", width, height, |root| {
        let truth = smoothed(&spectrum.flux, &pixels);
        let flux = || truth.iter().map(|point| point.1);
        let (Some(low), Some(high)) = (quantile(flux(), 0.002), quantile(flux(), 0.998)) else {
            return Ok(());
        };
        let predicted: Vec<Vec<(f64, f64)>> = hidden
            .iter()
            .map(|part| part.start.max(pixels.start)..part.end.min(pixels.end))
            .filter(|part| !part.is_empty())
            .map(|part| smoothed(&spectrum.predicted, &part))
            .collect();
        let (Some(x), Some(y)) = (
            span(truth.iter().map(|point| point.0), 0.0),
            span([low, high], 0.15),
        ) else {
            return Ok(());
        };
        let axes = Axes {
            left: 34.0,
            right: 6.0,
            top: 4.0,
            bottom: 20.0,
            x_name: "",
            y_name: "",
            x_labels,
            x_grid: false,
            y_labels: 4,
        };
        let inside = y.clone();
        let mut chart = chart(root, x, y, &axes)?;
        for part in &predicted {
            let (Some(first), Some(last)) = (part.first(), part.last()) else {
                continue;
            };
            let corners = [(first.0, inside.start), (last.0, inside.end)];
            chart.draw_series([Rectangle::new(corners, MUTED.mix(0.15).filled())])?;
        }
        let clamped = |points: &[(f64, f64)]| -> Vec<(f64, f64)> {
            let points = points.iter();
            points
                .map(|&(x, y)| (x, y.clamp(inside.start, inside.end)))
                .collect()
        };
        let line = |colour: &RGBColor, width: f64| colour.stroke_width(px(width) as u32);
        chart.draw_series([PathElement::new(clamped(&truth), line(&INK, 0.8))])?;
        for part in &predicted {
            chart.draw_series([PathElement::new(clamped(part), line(&PALETTE[1], 1.6))])?;
        }
        Ok(())
    })
}
