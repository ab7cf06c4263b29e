//! What the heads of the cross-attention look at (paper Fig. D1).

use maud::html;
use ndarray::{Array2, Array3};
use plotters::prelude::*;
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};

use super::figure::{drawing, label, placed};
use super::picture;
use super::plot::{Axes, INK, PALETTE, binned, chart, px, quantile, span, svg};
use crate::base::error::Result;

/// Width of the drawing, CSS pixels.
const WIDTH: f64 = 960.0;
/// Space at the edges and between parts.
const GAP: f64 = 14.0;
/// Height of a caption.
const CAPTION: f64 = 22.0;
/// Heights of a spectrum and of the attention below it.
const HEIGHTS: [f64; 2] = [110.0, 110.0];
/// Points drawn per spectrum.
const POINTS: usize = 800;
/// Pixels per patch in a map.
const PATCH: usize = 8;

/// A spectrum and the attention of each head.
#[derive(Debug, Clone)]
pub struct SpectrumAttention {
    /// Identifier, redshift.
    pub caption: String,
    /// Flux at each wavelength.
    pub flux: Vec<f32>,
    /// Wavelength of each token's middle, Å.
    pub middles: Vec<f64>,
    /// Shares `(heads, tokens)`.
    pub attention: Array2<f32>,
}

/// A picture and the attention of each head.
#[derive(Debug, Clone)]
pub struct ImageAttention {
    /// Identifier, redshift.
    pub caption: String,
    /// Red, green, blue in [0, 1], `(3, side, side)`.
    pub picture: Array3<f32>,
    /// Shares `(heads, rows, columns)` of patches.
    pub attention: Array3<f32>,
}

/// A drawing: each spectrum, and below it the attention of every head.
///
/// # Errors
/// [`crate::base::error::Error::run`] where a plot cannot be drawn.
pub fn spectrum_attention(spectra: &[SpectrumAttention], wavelengths: &[f64]) -> Result<String> {
    let [above, below] = HEIGHTS;
    let block = CAPTION + above + below + GAP;
    let width = WIDTH - 2.0 * GAP;
    let mut parts = Vec::new();
    for (index, spectrum) in spectra.iter().enumerate() {
        let top = GAP + index as f64 * block;
        parts.push(label([GAP, top + 14.0], 12.5, &spectrum.caption));
        let points: Vec<(f64, f64)> = wavelengths
            .iter()
            .copied()
            .zip(spectrum.flux.iter().map(|&flux| f64::from(flux)))
            .collect();
        let flux = [binned(&points, POINTS)];
        let plot = lines(&flux, &[INK], [width, above], wavelengths)?;
        parts.push(placed([GAP, top + CAPTION], [width, above], plot));
        let heads: Vec<Vec<(f64, f64)>> = spectrum
            .attention
            .outer_iter()
            .map(|head| {
                let weights = head.iter().map(|&weight| f64::from(weight));
                spectrum.middles.iter().copied().zip(weights).collect()
            })
            .collect();
        let plot = lines(&heads, &PALETTE, [width, below], wavelengths)?;
        parts.push(placed([GAP, top + CAPTION + above], [width, below], plot));
        for (head, colour) in (0..heads.len()).zip(PALETTE.iter().cycle()) {
            let at = [WIDTH - GAP - 70.0 * (heads.len() - head) as f64, top + 14.0];
            parts.push(html! {
                text x=(at[0]) y=(at[1]) font-size="11" fill=(super::plot::css(*colour)) { "head " (head + 1) }
            });
        }
    }
    let height = GAP + spectra.len() as f64 * block;
    Ok(drawing(
        WIDTH,
        height,
        html! { @for part in parts { (part) } },
    ))
}

/// Lines over wavelength.
fn lines(
    series: &[Vec<(f64, f64)>],
    colours: &[RGBColor],
    [width, height]: [f64; 2],
    wavelengths: &[f64],
) -> Result<maud::Markup> {
    svg("attention", width, height, |root| {
        let values = || series.iter().flatten().map(|point| point.1);
        let low = quantile(values(), 0.002).unwrap_or(0.0).min(0.0);
        let high = quantile(values(), 0.998).unwrap_or(1.0);
        let (Some(x), Some(y)) = (
            span(wavelengths.iter().copied(), 0.0),
            span([low, high], 0.05),
        ) else {
            return Ok(());
        };
        let axes = Axes {
            left: 44.0,
            right: 6.0,
            top: 4.0,
            bottom: 20.0,
            x_name: "",
            y_name: "",
            x_labels: 8,
            x_grid: true,
            y_labels: 4,
        };
        let inside = y.clone();
        let mut chart = chart(root, x, y, &axes)?;
        for (points, colour) in series.iter().zip(colours.iter().cycle()) {
            let points: Vec<(f64, f64)> = points
                .iter()
                .map(|&(x, y)| (x, y.clamp(inside.start, inside.end)))
                .collect();
            let style = colour.stroke_width(px(0.9) as u32);
            chart.draw_series([PathElement::new(points, style)])?;
        }
        Ok(())
    })
}

/// A drawing: each picture, and right of it a map of every head's attention over the patches.
///
/// # Errors
/// [`crate::base::error::Error::input`] where a picture has not three channels.
pub fn image_attention(images: &[ImageAttention]) -> Result<String> {
    let heads = images.first().map_or(0, |image| image.attention.dim().0);
    let cell = ((WIDTH - GAP) / (heads + 1) as f64 - GAP).min(180.0);
    let block = cell + CAPTION + GAP;
    let mut parts = Vec::new();
    for (index, image) in images.iter().enumerate() {
        let top = GAP + index as f64 * block;
        let mut tiles = vec![picture::png(image.picture.view())?];
        for head in image.attention.outer_iter() {
            tiles.push(picture::png(coloured(&head.to_owned()).view())?);
        }
        for (column, tile) in tiles.iter().enumerate() {
            let x = GAP + column as f64 * (cell + GAP);
            parts.push(html! {
                image x=(x) y=(top) width=(cell) height=(cell) href=(picture::data_uri(tile)) {}
            });
            let text = match column {
                0 => image.caption.clone(),
                head => format!("head {head}"),
            };
            parts.push(label([x, top + cell + 14.0], 11.0, &text));
        }
    }
    let height = GAP + images.len() as f64 * block;
    Ok(drawing(
        WIDTH,
        height,
        html! { @for part in parts { (part) } },
    ))
}

/// Shares of patches as a picture, from none to the largest.
fn coloured(weights: &Array2<f32>) -> Array3<f32> {
    let most = weights.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let (rows, columns) = weights.dim();
    Array3::from_shape_fn((3, rows * PATCH, columns * PATCH), |(channel, y, x)| {
        let RGBColor(red, green, blue) =
            ViridisRGB.get_color(weights[[y / PATCH, x / PATCH]] / most);
        f32::from([red, green, blue][channel]) / 255.0
    })
}
