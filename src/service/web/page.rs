//! The page: HTML, CSS and modules of JavaScript within the program. No file is read when it is asked for.

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::refusal::{Named, Refusal};

/// A part of the page.
struct Part {
    name: &'static str,
    content: &'static str,
}

macro_rules! parts {
    ($($name:literal),* $(,)?) => {
        &[$(Part {
            name: $name,
            content: include_str!(concat!("../page/", $name)),
        }),*]
    };
}

const PARTS: &[Part] = parts![
    "index.html",
    "style.css",
    "main.js",
    "api.js",
    "dom.js",
    "filters.js",
    "galaxy.js",
    "lists.js",
    "map.js",
    "query.js",
    "results.js",
    "spectrum.js",
];

/// The page itself.
pub async fn page() -> Response {
    answer(&PARTS[0])
}

/// What the page asks for.
pub async fn part(Named(name): Named) -> Result<Response, Refusal> {
    let part = PARTS.iter().find(|part| part.name == name);
    part.map(answer)
        .ok_or_else(|| Refusal::missing("there is nothing here; / is the page"))
}

fn answer(part: &Part) -> Response {
    let kind = match part.name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    };
    // Another version of the program has other parts.
    (
        [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        part.content,
    )
        .into_response()
}
