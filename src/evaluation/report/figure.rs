//! What drawings that stand alone share.

use maud::{Markup, PreEscaped, html};

/// An SVG file of `width` by `height` CSS pixels around its content.
pub(super) fn drawing(width: f64, height: f64, content: Markup) -> String {
    let drawing = html! {
        (PreEscaped(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif">"#
        )))
        rect width="100%" height="100%" fill="#ffffff" {}
        (content)
        (PreEscaped("</svg>\n"))
    };
    drawing.into_string()
}

/// A part of a drawing at its place.
pub(super) fn placed([x, y]: [f64; 2], [width, height]: [f64; 2], part: Markup) -> Markup {
    html! { svg x=(x) y=(y) width=(width) height=(height) { (part) } }
}

/// A line of text; `size` in CSS pixels.
pub(super) fn label([x, y]: [f64; 2], size: f64, text: &str) -> Markup {
    html! { text x=(x) y=(y) font-size=(size) fill="#1b2733" { (text) } }
}

/// Panels in a row, at most `most`, that fill as few rows as evenly as can be.
pub(super) fn even_columns(panels: usize, most: usize) -> usize {
    let rows = panels.div_ceil(most).max(1);
    panels.div_ceil(rows).max(1)
}
