//! Galaxies found by similarity as a drawing that stands alone (paper Fig. 2).

use maud::html;

use super::data::{Direction, Retrieval};
use super::figure::{drawing, label};
use super::picture;
use super::plot::number;
use crate::base::error::Result;

/// Side of a picture, CSS pixels.
const SIDE: f64 = 52.0;
/// Space between pictures, and between directions.
const GAPS: [f64; 2] = [3.0, 18.0];
/// Height of the titles, and of the line below each picture.
const LINES: [f64; 2] = [30.0, 16.0];
/// Share of each picture's side that is shown.
const SHOWN: f64 = 2.0 / 3.0;

/// A drawing: a row per query, its nearest in each direction; the query itself, found in its other view, is
/// framed.
///
/// # Errors
/// [`crate::base::error::Error::input`] where a picture has not three channels.
pub fn search_grid(retrieval: &Retrieval) -> Result<String> {
    let mut sources = Vec::with_capacity(retrieval.galaxies.len());
    for galaxy in &retrieval.galaxies {
        let small = picture::thumbnail(galaxy.picture.view(), SHOWN, 2 * SIDE as usize);
        sources.push(picture::data_uri(&picture::png(small.view())?));
    }
    let found = retrieval.queries.iter().flat_map(|query| &query.neighbours);
    let most = found.map(Vec::len).max().unwrap_or(0) as f64;
    let [gap, wide] = GAPS;
    let [title, line] = LINES;
    let group = most * (SIDE + gap) + wide;
    let left = |direction: usize| wide + SIDE + wide + direction as f64 * group;
    let picture = |index: usize, x: f64, y: f64, itself: bool, text: String| {
        html! {
            image x=(x) y=(y) width=(SIDE) height=(SIDE) href=(sources[index]) {}
            @if itself {
                rect x=(x + 1.0) y=(y + 1.0) width=(SIDE - 2.0) height=(SIDE - 2.0) fill="none" stroke="#c23b8a"
                    stroke-width="2.5" {}
            }
            text x=(x + SIDE / 2.0) y=(y + SIDE + 11.0) font-size="9" text-anchor="middle" fill="#5b6875" { (text) }
        }
    };
    let redshift = |index: usize| {
        let redshift = retrieval.galaxies[index].redshift;
        redshift.map_or_else(String::new, |z| format!("z {}", number(z, 3)))
    };
    let content = html! {
        (label([wide, 20.0], 11.5, "query"))
        @for (column, direction) in Direction::ALL.iter().enumerate() {
            (label([left(column), 20.0], 11.5, direction.title()))
        }
        @for (row, query) in retrieval.queries.iter().enumerate() {
            @let y = title + row as f64 * (SIDE + line);
            (picture(query.galaxy, wide, y, false, redshift(query.galaxy)))
            @for (column, neighbours) in query.neighbours.iter().enumerate() {
                @for (rank, neighbour) in neighbours.iter().enumerate() {
                    @let x = left(column) + rank as f64 * (SIDE + gap);
                    (picture(neighbour.galaxy, x, y, neighbour.galaxy == query.galaxy, redshift(neighbour.galaxy)))
                }
            }
        }
    };
    let width = left(Direction::ALL.len());
    let height = title + retrieval.queries.len() as f64 * (SIDE + line) + 6.0;
    Ok(drawing(width, height, content))
}
