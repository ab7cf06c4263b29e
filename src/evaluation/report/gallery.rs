//! Some galaxies of a survey at a glance: their pictures and their spectra.

use maud::{Markup, html};
use ndarray::Array3;
use plotters::prelude::PathElement;

use super::figure::drawing;
use super::picture;
use super::plot::{Axes, PALETTE, binned, chart, px, quantile, span, svg};
use crate::base::error::Result;

/// Width of the drawing, CSS pixels.
const WIDTH: f64 = 960.0;
/// Side of a picture.
const SIDE: f64 = 112.0;
/// Height of a caption.
const CAPTION: f64 = 18.0;
/// Space between cells.
const GAP: f64 = 12.0;
/// Points drawn per spectrum.
const POINTS: usize = 600;

/// What is shown of a galaxy.
#[derive(Debug, Clone)]
pub struct Exhibit {
    /// A line below: identifier, redshift.
    pub caption: String,
    /// Red, green, blue in [0, 1], `(3, height, width)`.
    pub picture: Option<Array3<f32>>,
    /// Flux at the wavelengths of the gallery.
    pub spectrum: Option<Vec<f32>>,
}

/// A drawing of galaxies in cells, pictures left of spectra, as an SVG file that needs no other.
///
/// # Errors
/// [`crate::base::error::Error::input`] where a picture has not three channels.
pub fn gallery(exhibits: &[Exhibit], wavelengths: &[f64]) -> Result<String> {
    let has = |what: fn(&Exhibit) -> bool| exhibits.iter().any(what);
    let pictures = has(|exhibit| exhibit.picture.is_some());
    let spectra = has(|exhibit| exhibit.spectrum.is_some());
    let columns = if spectra { 2 } else { 8 };
    let columns = columns.min(exhibits.len().max(1));
    let cell = (WIDTH - GAP * (columns as f64 + 1.0)) / columns as f64;
    let side = if spectra { SIDE } else { cell.min(SIDE) };
    let rows = exhibits.len().div_ceil(columns);
    let height = GAP + rows as f64 * (side + CAPTION + GAP);
    let plot = match pictures {
        true => (side + 4.0, cell - side - 4.0),
        false => (0.0, cell),
    };
    let mut cells = Vec::with_capacity(exhibits.len());
    for (index, exhibit) in exhibits.iter().enumerate() {
        let x = GAP + (index % columns) as f64 * (cell + GAP);
        let y = GAP + (index / columns) as f64 * (side + CAPTION + GAP);
        let source = match &exhibit.picture {
            Some(picture) => Some(picture::data_uri(&picture::png(picture.view())?)),
            None => None,
        };
        let track = match &exhibit.spectrum {
            Some(spectrum) => Some(track(wavelengths, spectrum, plot.1, side)?),
            None => None,
        };
        cells.push(html! {
            g transform=(format!("translate({x} {y})")) {
                @if let Some(source) = source {
                    image width=(side) height=(side) href=(source) preserveAspectRatio="xMidYMid slice" {}
                }
                @if let Some(track) = track {
                    svg x=(plot.0) width=(plot.1) height=(side) { (track) }
                }
                text x="1" y=(side + CAPTION - 5.0) font-size="11" fill="#1b2733" { (exhibit.caption) }
            }
        });
    }
    Ok(drawing(
        WIDTH,
        height,
        html! { @for cell in cells { (cell) } },
    ))
}

/// A spectrum over its wavelengths, scaled to the plot.
fn track(wavelengths: &[f64], spectrum: &[f32], width: f64, height: f64) -> Result<Markup> {
    svg("spectrum", width, height, |root| {
        let points: Vec<(f64, f64)> = wavelengths
            .iter()
            .copied()
            .zip(spectrum.iter().map(|&flux| f64::from(flux)))
            .collect();
        let points = binned(&points, POINTS);
        let flux = || points.iter().map(|point| point.1);
        let low = quantile(flux(), 0.002).unwrap_or(0.0).min(0.0);
        let high = quantile(flux(), 0.998).unwrap_or(1.0);
        let (Some(x), Some(y)) = (
            span(points.iter().map(|point| point.0), 0.0),
            span([low, high], 0.06),
        ) else {
            return Ok(());
        };
        let axes = Axes {
            left: 34.0,
            right: 6.0,
            top: 4.0,
            bottom: 18.0,
            x_name: "",
            y_name: "",
            x_labels: 6,
            x_grid: true,
            y_labels: 4,
        };
        let inside = y.clone();
        let mut chart = chart(root, x, y, &axes)?;
        let line = points
            .iter()
            .map(|&(wavelength, flux)| (wavelength, flux.clamp(inside.start, inside.end)));
        let line: Vec<(f64, f64)> = line.collect();
        chart.draw_series([PathElement::new(
            line,
            plotters::style::Color::stroke_width(&PALETTE[0], px(0.9) as u32),
        )])?;
        Ok(())
    })
}
