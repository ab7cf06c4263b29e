//! What all plots share: the SVG canvas, colours, axes, number formats, thinning.

use std::{error::Error as StdError, ops::Range};

use maud::{Markup, PreEscaped, html};
use plotters::{
    chart::ChartContext,
    coord::{Shift, types::RangedCoordf64},
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use super::data::Family;
use crate::base::error::{Error, Result};

/// Text and main lines.
pub(super) const INK: RGBColor = RGBColor(0x1b, 0x27, 0x33);
/// Axis labels.
pub(super) const MUTED: RGBColor = RGBColor(0x5b, 0x68, 0x75);
/// Axis lines.
const AXIS: RGBColor = RGBColor(0xa9, 0xb4, 0xbe);
/// Grid lines.
const GRID: RGBColor = RGBColor(0xe9, 0xed, 0xf1);
/// Marks the query galaxy itself among the galaxies found.
pub(super) const ITSELF: RGBColor = RGBColor(0xc2, 0x3b, 0x8a);
/// Blue, orange, green, purple, sky, grey: apart for all common kinds of colour vision (after Okabe & Ito 2008).
pub(super) const PALETTE: [RGBColor; 6] = [
    RGBColor(0x0b, 0x66, 0xa8),
    RGBColor(0xd1, 0x7a, 0x00),
    RGBColor(0x00, 0x8c, 0x68),
    RGBColor(0xa8, 0x5a, 0x93),
    RGBColor(0x4a, 0xa8, 0xdc),
    RGBColor(0x6b, 0x78, 0x85),
];

/// Canvas units per CSS pixel: plotters draws on whole units, which would show at one per pixel.
const UNITS: f64 = 4.0;

/// Colour of a family's points and rows.
pub(super) fn family_colour(family: Family) -> RGBColor {
    match family {
        Family::Aligned => PALETTE[0],
        Family::Unaligned => PALETTE[1],
        Family::Baseline => PALETTE[5],
    }
}

/// A colour as CSS writes it.
pub(super) fn css(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// CSS pixels in canvas units.
pub(super) fn px(pixels: f64) -> i32 {
    (pixels * UNITS).round() as i32
}

/// A part of the canvas.
pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A chart with two linear axes.
pub(super) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
/// What drawing returns.
pub(super) type Drawn<T = ()> = std::result::Result<T, Box<dyn StdError>>;

/// Draws an inline SVG of `width` x `height` CSS pixels that scales with its column; `label` is read out
/// in place of the plot.
pub(super) fn svg(
    label: &str,
    width: f64,
    height: f64,
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<Markup> {
    let (width, height) = (px(width), px(height));
    let mut drawing = String::new();
    {
        let root = SVGBackend::with_string(&mut drawing, (width as u32, height as u32))
            .into_drawing_area();
        draw(&root)
            .and_then(|()| root.present().map_err(Into::into))
            .map_err(|source| Error::run(format!("plot “{label}” cannot be drawn: {source}")))?;
    }
    // The page's own opening tag: no fixed size, no namespace (HTML knows it).
    let inner = drawing
        .split_once('>')
        .and_then(|(_, rest)| rest.rsplit_once("</svg>"))
        .map_or("", |(inner, _)| inner)
        // Filled circles need no stroke; plots of points halve in size.
        .replace(r#" stroke="none" stroke-width="1"/>"#, "/>");
    Ok(html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(label) { (PreEscaped(inner)) }
    })
}

/// Text of `size` CSS pixels. The page's style sheet sets the typeface, so none is looked up here.
pub(super) fn text(size: f64, colour: RGBColor, horizontal: HPos) -> TextStyle<'static> {
    // plotters divides a font's size by 1.24 on its way to SVG.
    ("sans-serif", size * UNITS * 1.24)
        .into_font()
        .color(&colour)
        .pos(Pos::new(horizontal, VPos::Center))
}

/// Margins of a chart in CSS pixels and the names of its axes.
pub(super) struct Axes {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x_name: &'static str,
    pub y_name: &'static str,
    pub x_labels: usize,
    pub x_grid: bool,
    pub y_labels: usize,
}

/// A chart with light axes. Ranges must be finite and not empty: see [`span`].
pub(super) fn chart<'a, 'b>(
    area: &'a Area<'b>,
    x: Range<f64>,
    y: Range<f64>,
    axes: &Axes,
) -> Drawn<Chart<'a, 'b>> {
    let decimals = |range: &Range<f64>, labels| {
        // plotters counts labels generously: its steps may be a fifth smaller.
        decimals(0.8 * (range.end - range.start) / f64::max(labels as f64, 1.0))
    };
    let (x_decimals, y_decimals) = (decimals(&x, axes.x_labels), decimals(&y, axes.y_labels));
    let mut chart = ChartBuilder::on(area)
        .margin_top(px(axes.top))
        .margin_right(px(axes.right))
        .set_label_area_size(LabelAreaPosition::Left, px(axes.left))
        .set_label_area_size(LabelAreaPosition::Bottom, px(axes.bottom))
        .build_cartesian_2d(x, y)?;
    let (x_format, y_format) = (
        move |value: &f64| number(*value, x_decimals),
        move |value: &f64| number(*value, y_decimals),
    );
    let style = |size| {
        ("sans-serif", size * UNITS * 1.24)
            .into_font()
            .color(&MUTED)
    };
    let mut mesh = chart.configure_mesh();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(px(1.0) as u32))
        .axis_style(AXIS.stroke_width(px(1.0) as u32))
        .set_all_tick_mark_size(px(4.0))
        .label_style(style(11.0))
        .axis_desc_style(style(11.5))
        .x_labels(axes.x_labels)
        .y_labels(axes.y_labels)
        .x_label_formatter(&x_format)
        .y_label_formatter(&y_format)
        .x_desc(axes.x_name)
        .y_desc(axes.y_name);
    if !axes.x_grid {
        mesh.disable_x_mesh();
    }
    if axes.x_labels == 0 {
        mesh.disable_x_mesh().disable_x_axis();
    }
    if axes.y_labels == 0 {
        mesh.disable_y_mesh().disable_y_axis();
    }
    mesh.draw()?;
    drop(mesh);
    Ok(chart)
}

/// Decimals of axis labels: plotters takes the next of 1, 2, 5, 10, … times a power of ten from `step` up.
fn decimals(step: f64) -> usize {
    let power = step.log10().floor();
    let whole = step > 5.0 * 10_f64.powf(power);
    (-power - if whole { 1.0 } else { 0.0 }).clamp(0.0, 8.0) as usize
}

/// A number with a true minus sign; a dash where it is not finite.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let written = format!("{value:.decimals$}");
    match written.strip_prefix('-') {
        // Rounds to zero: no sign.
        Some(digits) if digits.bytes().all(|byte| matches!(byte, b'0' | b'.')) => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => written,
    }
}

/// A count with thin spaces between thousands.
pub fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut written = String::new();
    for (index, digit) in digits.chars().enumerate() {
        // Four digits read well without.
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            written.push('\u{202f}');
        }
        written.push(digit);
    }
    written
}

/// The range of the finite values, widened by `margin` of itself on both sides and never empty; none
/// without finite values.
pub(super) fn span(values: impl IntoIterator<Item = f64>, margin: f64) -> Option<Range<f64>> {
    let (low, high) = values
        .into_iter()
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
    if low > high {
        return None;
    }
    let pad = if high - low > 1e-12 * high.abs().max(low.abs()).max(1e-30) {
        (high - low) * margin
    } else {
        (low.abs() * 0.05).max(1e-3)
    };
    Some(low - pad..high + pad)
}

/// The value below which `fraction` of the finite values lie; none without finite values.
pub(super) fn quantile(values: impl IntoIterator<Item = f64>, fraction: f64) -> Option<f64> {
    let mut finite: Vec<f64> = values
        .into_iter()
        .filter(|value| value.is_finite())
        .collect();
    if finite.is_empty() {
        return None;
    }
    let index = (fraction.clamp(0.0, 1.0) * (finite.len() - 1) as f64).round() as usize;
    let (_, value, _) = finite.select_nth_unstable_by(index, f64::total_cmp);
    Some(*value)
}

/// At most `bins` points, each the mean of a run of neighbouring finite points.
pub(super) fn binned(points: &[(f64, f64)], bins: usize) -> Vec<(f64, f64)> {
    let finite: Vec<(f64, f64)> = points
        .iter()
        .copied()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let size = finite.len().div_ceil(bins.max(1)).max(1);
    finite
        .chunks(size)
        .map(|chunk| {
            let (x, y) = chunk
                .iter()
                .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
            (x / chunk.len() as f64, y / chunk.len() as f64)
        })
        .collect()
}
