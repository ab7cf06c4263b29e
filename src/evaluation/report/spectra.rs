//! The spectra of a query galaxy and of the galaxies found, above each other (paper Fig. 2, lower part).

use maud::{Markup, html};
use plotters::{prelude::*, style::text_anchor::HPos};

use super::{
    data::{Direction, Galaxy, Neighbour, Query, Retrieval},
    plot::{
        Area, Axes, Drawn, INK, ITSELF, MUTED, PALETTE, binned, chart, number, px, quantile, span,
        svg, text,
    },
};
use crate::base::error::Result;

/// Points drawn per spectrum: DESI's 7781 pixels become means of ten, 8 Å wide.
const POINTS: usize = 800;

/// Main lines of galaxies at rest, Å in vacuum, the most telling first (Vanden Berk et al. 2001, table 2, and
/// NIST); blends by their mean.
const LINES: [(&str, f64); 10] = [
    ("Hα", 6564.6),
    ("[O III]", 5008.2),
    ("[O II]", 3728.5),
    ("Ca K", 3934.8),
    ("Ca H", 3969.6),
    ("Hβ", 4862.7),
    ("Mg b", 5176.0),
    ("Na D", 5895.6),
    ("[S II]", 6725.5),
    ("[S III]", 9533.2),
];

/// Four panels, one per direction.
pub(super) fn figure(retrieval: &Retrieval, query: &Query) -> Result<Markup> {
    let mut panels = Vec::with_capacity(Direction::ALL.len());
    for (direction, neighbours) in Direction::ALL.into_iter().zip(&query.neighbours) {
        panels.push((direction, panel(retrieval, query, direction, neighbours)?));
    }
    Ok(html! {
        div.panels style="--columns:2" {
            @for (direction, plot) in panels {
                figure.card {
                    div.panel-head { strong { (direction.title()) } }
                    (plot)
                }
            }
        }
    })
}

fn panel(
    retrieval: &Retrieval,
    query: &Query,
    direction: Direction,
    neighbours: &[Neighbour],
) -> Result<Markup> {
    let galaxy = &retrieval.galaxies[query.galaxy];
    let tracks = neighbours.len() + 1;
    let height = 52.0 * tracks as f64 + 78.0;
    let label = format!(
        "Spectra of galaxy {} and of its neighbours, {}",
        galaxy.id,
        direction.title()
    );
    svg(&label, 560.0, height, |root| {
        let Some(wavelengths) = span(retrieval.wavelengths.iter().copied(), 0.0) else {
            return Ok(());
        };
        let axes = Axes {
            left: 8.0,
            right: 84.0,
            top: 26.0,
            bottom: 36.0,
            x_name: "observed wavelength (Å)",
            y_name: "",
            x_labels: 7,
            x_grid: false,
            y_labels: 0,
        };
        let (bottom, top) = (-(tracks as f64) + 0.8, 1.5);
        let mut chart = chart(root, wavelengths.clone(), bottom..top, &axes)?;
        if let Some(redshift) = galaxy.redshift {
            let guide = MUTED.mix(0.4).stroke_width(px(0.75) as u32);
            let mut taken: Vec<(i32, i32)> = Vec::new();
            for (name, rest) in LINES {
                let observed = rest * (1.0 + redshift);
                if !wavelengths.contains(&observed) {
                    continue;
                }
                let path = [(observed, bottom), (observed, top)];
                chart.draw_series([PathElement::new(path, guide)])?;
                let (x, y) = chart.backend_coord(&(observed, top));
                let half = px(3.3 * name.chars().count() as f64 + 3.0);
                if taken
                    .iter()
                    .all(|&(start, end)| x + half < start || x - half > end)
                {
                    taken.push((x - half, x + half));
                    root.draw_text(name, &text(10.5, MUTED, HPos::Center), (x, y - px(9.0)))?;
                }
            }
        }
        let found = neighbours.iter().map(|found| {
            let itself = found.galaxy == query.galaxy;
            let colour = if itself { ITSELF } else { PALETTE[0] };
            (
                &retrieval.galaxies[found.galaxy],
                colour,
                Some(found.similarity),
            )
        });
        for (index, (galaxy, colour, similarity)) in std::iter::once((galaxy, INK, None))
            .chain(found)
            .enumerate()
        {
            let base = -(index as f64);
            let line = track(&retrieval.wavelengths, galaxy, base);
            chart.draw_series([PathElement::new(line, colour.stroke_width(px(0.9) as u32))])?;
            let at = chart.backend_coord(&(wavelengths.end, base + 0.4));
            caption(root, at, colour, galaxy, similarity)?;
        }
        Ok(())
    })
}

/// What stands right of a spectrum: its redshift, and how similar it is.
fn caption(
    root: &Area<'_>,
    (x, y): (i32, i32),
    colour: RGBColor,
    galaxy: &Galaxy,
    similarity: Option<f64>,
) -> Drawn {
    let redshift = galaxy
        .redshift
        .map_or("z unknown".to_owned(), |z| format!("z = {}", number(z, 3)));
    let below = similarity.map_or("query".to_owned(), |cosine| {
        format!("cos {}", number(cosine, 2))
    });
    let x = x + px(8.0);
    root.draw_text(&redshift, &text(11.0, colour, HPos::Left), (x, y - px(7.0)))?;
    root.draw_text(&below, &text(10.5, MUTED, HPos::Left), (x, y + px(7.0)))?;
    Ok(())
}

/// A spectrum scaled to a track of height one above `base`. Strong lines reach up to half a track higher.
fn track(wavelengths: &[f64], galaxy: &Galaxy, base: f64) -> Vec<(f64, f64)> {
    let flux = galaxy.spectrum.iter().map(|&flux| f64::from(flux));
    let points: Vec<(f64, f64)> = wavelengths.iter().copied().zip(flux).collect();
    let points = binned(&points, POINTS);
    let at = |fraction| quantile(points.iter().map(|point| point.1), fraction).unwrap_or(0.0);
    let (low, high, peak) = (at(0.02), at(0.98), at(0.999));
    let scale = (high - low).max((peak - low) / 1.8) / 0.8;
    points
        .iter()
        .map(|&(wavelength, flux)| {
            let height = if scale > 0.0 {
                (flux - low) / scale
            } else {
                0.4
            };
            (wavelength, base + height.clamp(-0.2, 1.45))
        })
        .collect()
}
