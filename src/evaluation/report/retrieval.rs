//! Galaxies found by similarity search: the grid of pictures, the spectra, and how often the own other
//! view is found (paper section 6.1, Fig. 2).

use maud::{Markup, html};

use super::{
    data::{Direction, Query, Retrieval, RetrievalScores},
    picture,
    plot::{count, number},
    spectra,
};
use crate::base::error::{Error, Result};

/// Share of each picture's side that is shown: galaxies are small in their cutouts.
const SHOWN: f64 = 2.0 / 3.0;
/// Side of an embedded picture, pixels: sharp at the size shown, yet a hundred stay small.
const SIDE: usize = 64;

/// Every index must point at a galaxy, every spectrum fit the wavelengths.
///
/// # Errors
/// [`Error::run`] naming the first that does not.
pub(super) fn check(retrieval: &Retrieval) -> Result<()> {
    let galaxies = retrieval.galaxies.len();
    for (number, query) in retrieval.queries.iter().enumerate() {
        let mut shown = query.neighbours.iter().flatten().map(|found| found.galaxy);
        if let Some(index) = std::iter::once(query.galaxy)
            .chain(&mut shown)
            .find(|&index| index >= galaxies)
        {
            return Err(Error::run(format!(
                "report: query {number} refers to galaxy {index}; there are {galaxies}"
            )));
        }
    }
    let pixels = retrieval.wavelengths.len();
    match retrieval
        .galaxies
        .iter()
        .find(|galaxy| galaxy.spectrum.len() != pixels)
    {
        Some(galaxy) => Err(Error::run(format!(
            "report: the spectrum of galaxy {} has {} pixels; expected {pixels}, one per wavelength",
            galaxy.id,
            galaxy.spectrum.len()
        ))),
        None => Ok(()),
    }
}

/// The pictures: a row per query, its four nearest in each direction.
pub(super) fn pictures(retrieval: &Retrieval) -> Result<Markup> {
    let mut sources = Vec::with_capacity(retrieval.galaxies.len());
    for galaxy in &retrieval.galaxies {
        let small = picture::thumbnail(galaxy.picture.view(), SHOWN, SIDE);
        sources.push(picture::data_uri(&picture::png(small.view())?));
    }
    let tile = |index: usize, similarity: Option<f64>, itself: bool| {
        let galaxy = &retrieval.galaxies[index];
        let redshift = galaxy.redshift.map(|z| number(z, 3));
        let what = format!(
            "Galaxy {}, redshift {}{}",
            galaxy.id,
            redshift.as_deref().unwrap_or("unknown"),
            similarity.map_or(String::new(), |cosine| format!(
                ", cosine similarity {}",
                number(cosine, 3)
            ))
        );
        html! {
            div.tile.itself[itself] {
                img src=(sources[index]) alt=(what) title=(what);
                span { (redshift.as_deref().unwrap_or("–")) }
            }
        }
    };
    let side = retrieval
        .galaxies
        .iter()
        .map(|galaxy| galaxy.picture.dim().2)
        .max()
        .unwrap_or(0);
    let across = side as f64 * SHOWN * retrieval.pixel_scale;
    Ok(html! {
        figure.card.retrieval {
            div.search.head aria-hidden="true" {
                div { "query" }
                @for direction in Direction::ALL { div { (direction.title()) } }
            }
            @for query in &retrieval.queries {
                div.search {
                    div.query {
                        (tile(query.galaxy, None, false))
                        @if !query.label.is_empty() { p { (query.label) } }
                    }
                    @for (direction, neighbours) in Direction::ALL.into_iter().zip(&query.neighbours) {
                        div.found {
                            p.direction { (direction.title()) }
                            @for found in neighbours {
                                (tile(found.galaxy, Some(found.similarity), found.galaxy == query.galaxy))
                            }
                        }
                    }
                }
            }
            figcaption {
                "Held-out galaxies and, in each direction, those whose embeddings are nearest by cosine "
                "similarity, the nearest first (compare Fig. 2 of the paper). Pictures are g, r, z composites, "
                (number(across, 0)) "″ across; the number below is the redshift, which the search never saw. "
                "A " span.itself-word { "magenta frame" }
                " marks the query galaxy itself, found through its other view."
            }
        }
    })
}

/// Spectra of the queries that ask for them.
pub(super) fn spectra(retrieval: &Retrieval) -> Result<Markup> {
    let shown: Vec<&Query> = retrieval
        .queries
        .iter()
        .filter(|query| query.show_spectra)
        .collect();
    if shown.is_empty() {
        return Ok(html! {});
    }
    let mut figures = Vec::with_capacity(shown.len());
    for query in shown {
        figures.push((query, spectra::figure(retrieval, query)?));
    }
    Ok(html! {
        @for (query, figure) in figures {
            h3 {
                "Spectra around galaxy " (retrieval.galaxies[query.galaxy].id)
                @if !query.label.is_empty() { " (" (query.label) ")" }
            }
            (figure)
        }
        p.note {
            "Black: the query galaxy’s spectrum. Below it those of the galaxies found, the nearest first, with "
            "their redshift and cosine similarity; magenta where it is the query galaxy itself. Each spectrum is "
            "averaged over neighbouring pixels and scaled on its own. Vertical lines mark where the query’s own lines lie at its "
            "redshift: where a neighbour’s features fall on them, the search has found a galaxy of like distance and kind."
        }
    })
}

/// How often a galaxy's own other view is among the nearest, beside chance.
pub(super) fn scores(scores: &RetrievalScores) -> Markup {
    let ranks: Vec<usize> = scores
        .rows
        .first()
        .map(|row| row.recall.iter().map(|hit| hit.0).collect())
        .unwrap_or_default();
    let chance = |k: usize| (k as f64 / scores.pool as f64).min(1.0);
    let percent = |fraction: f64| {
        let decimals = if fraction > 0.0 && fraction < 0.01 {
            2
        } else {
            1
        };
        format!("{} %", number(fraction * 100.0, decimals))
    };
    html! {
        div.table { table.scores {
            thead { tr {
                th scope="col" { "Search" }
                @for k in &ranks { th scope="col" { "among the " (k) " nearest" } }
                th scope="col" { "median rank" }
            } }
            tbody {
                @for row in &scores.rows {
                    tr {
                        th scope="row" { (row.direction.title()) }
                        @for &(k, hit) in &row.recall {
                            td { (percent(hit)) " " small { "×" (number(hit / chance(k), 1)) } }
                        }
                        td { (number(row.median_rank, 0)) }
                    }
                }
                tr.chance {
                    th scope="row" { "chance" }
                    @for &k in &ranks { td { (percent(chance(k))) } }
                    td { (number((scores.pool as f64 + 1.0) / 2.0, 0)) }
                }
            }
        } }
        p.note {
            "How often a galaxy’s own other view is among the nearest of " (count(scores.pool)) " held-out galaxies; "
            "× is the ratio to chance, which is k\u{a0}/\u{a0}" (count(scores.pool)) ". Many galaxies look alike, so the "
            "exact partner is a strict measure; the redshifts of the neighbours tell more."
        }
    }
}
