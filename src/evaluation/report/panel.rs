//! Parts of a page that stand in it alone, without files beside it: drawings as wide as the page, tables with colours.

use maud::{Markup, html};

use super::{
    curves,
    data::{LossCurve, Retrieval, RetrievalScores, ScatterGroup, ScoreTable, Timing},
    plot::{PALETTE, css, number},
    retrieval, scatter, table,
};
use crate::base::error::Result;

/// A row of a table of things that are elsewhere.
#[derive(Debug, Clone)]
pub struct LinkedRow {
    /// As many cells as columns but the last.
    pub cells: Vec<String>,
    /// Name and address of the pages that the last column leads to.
    pub links: Vec<(String, String)>,
}

/// A part of a page. Values that are not finite are left out of plots and shown as a dash in tables.
#[derive(Debug, Clone)]
pub struct Panel(pub(super) Markup);

impl Panel {
    /// Pictures found by similarity (paper Fig. 2).
    ///
    /// # Errors
    /// Where a search refers to a galaxy that is not there, a spectrum does not fit the wavelengths, or a picture has
    /// not three channels.
    pub fn pictures(found: &Retrieval) -> Result<Self> {
        retrieval::check(found)?;
        match found.queries.is_empty() {
            true => Ok(Self(html! {})),
            false => Ok(Self(retrieval::pictures(found)?)),
        }
    }

    /// Spectra of the queries that ask for them, and of what was found.
    ///
    /// # Errors
    /// As [`pictures`](Self::pictures).
    pub fn spectra(found: &Retrieval) -> Result<Self> {
        retrieval::check(found)?;
        Ok(Self(retrieval::spectra(found)?))
    }

    /// How often a galaxy finds its own other view.
    pub fn retrieval(scores: &RetrievalScores) -> Self {
        Self(retrieval::scores(scores))
    }

    /// Predicted against true redshift (paper Figs 3 and 4).
    ///
    /// # Errors
    /// Where a drawing fails.
    pub fn redshifts(group: &ScatterGroup) -> Result<Self> {
        Ok(Self(scatter::figure(group)?))
    }

    /// Scores of methods, the best of each group in bold, and what they mean.
    pub fn scores(scores: &ScoreTable) -> Self {
        Self(html! {
            (table::scores(scores))
            p.note { (scores.note) }
        })
    }

    /// Loss against step, three stages in a row.
    ///
    /// # Errors
    /// Where a drawing fails.
    pub fn losses(losses: &[LossCurve]) -> Result<Self> {
        let figures: Vec<Markup> = losses.iter().map(curves::figure).collect::<Result<_>>()?;
        Ok(Self(html! {
            div.panels style="--columns:3" { @for figure in figures { (figure) } }
        }))
    }

    /// Wall-clock time of each stage, and facts by name.
    pub fn run(stages: &[Timing], facts: &[(String, String)]) -> Self {
        Self(html! {
            div.run {
                @if !stages.is_empty() { (timings(stages)) }
                table.facts {
                    tbody { @for (name, value) in facts { tr { th scope="row" { (name) } td { (value) } } } }
                }
            }
        })
    }

    /// A table whose rows end in addresses, each with the name to show for it.
    pub fn linked(title: &str, columns: &[&str], rows: &[LinkedRow]) -> Self {
        Self(html! {
            h3 { (title) }
            div.table { table.scores {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody {
                    @for LinkedRow { cells, links } in rows {
                        tr {
                            @for (index, cell) in cells.iter().enumerate() {
                                @if index == 0 { th scope="row" { (cell) } } @else { td { (cell) } }
                            }
                            td { @for (name, address) in links { a href=(address) { (name) } " " } }
                        }
                    }
                }
            } }
        })
    }

    /// What is seen above.
    pub fn note(text: &str) -> Self {
        Self(html! { p.note { (text) } })
    }
}

/// Wall-clock time per stage, as bars.
fn timings(timings: &[Timing]) -> Markup {
    let known = |timing: &Timing| {
        if timing.seconds.is_finite() {
            timing.seconds.max(0.0)
        } else {
            0.0
        }
    };
    let longest = timings.iter().map(known).fold(f64::MIN_POSITIVE, f64::max);
    html! {
        table.timings {
            tbody {
                @for timing in timings {
                    tr {
                        th scope="row" { (timing.stage) }
                        td.bar { span style=(format!("width:{:.1}%;background:{}", 100.0 * known(timing) / longest, css(PALETTE[0]))) {} }
                        td { (duration(timing.seconds)) }
                    }
                }
                tr.total {
                    th scope="row" { "total" }
                    td {}
                    td { (duration(timings.iter().map(known).sum())) }
                }
            }
        }
    }
}

/// Seconds as people say them.
fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "–".to_owned(),
        s if s < 9.95 => format!("{} s", number(s, 1)),
        s if s < 119.5 => format!("{} s", number(s, 0)),
        s if s < 7170.0 => format!("{} min", number(s / 60.0, if s < 570.0 { 1 } else { 0 })),
        s => format!("{} h", number(s / 3600.0, 1)),
    }
}
