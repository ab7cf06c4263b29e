//! The page: sections in the order in which a reader wants them, with captions that say what is seen.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    curves,
    data::{Evaluation, ReportData, Timing},
    plot::{PALETTE, count, css, number},
    retrieval, scatter, table,
};
use crate::error::Result;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(super) fn render(data: &ReportData) -> Result<String> {
    let search = search(data)?;
    let redshift = redshift(data)?;
    let training = training(data)?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (data.title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (data.title) }
                    @if !data.subtitle.is_empty() { p.lead { (data.subtitle) } }
                    @if !data.command.is_empty() { p.command { code { (data.command) } } }
                    (highlights(data))
                }
                main {
                    (search)
                    (redshift)
                    (properties(data))
                    (training)
                    (run(data))
                }
                footer {
                    p {
                        "Made by astroclip " (env!("CARGO_PKG_VERSION")) ". Method: Parker et al. 2024, "
                        "“AstroCLIP: a cross-modal foundation model for galaxies”, MNRAS 531, 4990."
                    }
                }
            }
        }
    };
    Ok(page.into_string())
}

fn highlights(data: &ReportData) -> Markup {
    html! {
        @if !data.highlights.is_empty() {
            dl.highlights {
                @for highlight in &data.highlights {
                    div {
                        dt { (highlight.label) }
                        dd.value { (highlight.value) }
                        dd { (highlight.note) }
                    }
                }
            }
        }
    }
}

fn search(data: &ReportData) -> Result<Markup> {
    let retrieval = data
        .retrieval
        .as_ref()
        .filter(|retrieval| !retrieval.queries.is_empty());
    if let Some(retrieval) = retrieval {
        retrieval::check(retrieval)?;
    }
    let pictures = retrieval.map(retrieval::pictures).transpose()?;
    let spectra = retrieval.map(retrieval::spectra).transpose()?;
    Ok(html! {
        @if pictures.is_some() || data.retrieval_scores.is_some() {
            section {
                h2 { "Search by similarity" }
                @if let Some(pictures) = pictures { (pictures) }
                @if let Some(scores) = &data.retrieval_scores { (retrieval::scores(scores)) }
                @if let Some(spectra) = spectra { (spectra) }
            }
        }
    })
}

fn redshift(data: &ReportData) -> Result<Markup> {
    let groups: Vec<_> = data
        .redshift
        .iter()
        .filter(|group| !group.panels.is_empty())
        .collect();
    let mut figures = Vec::with_capacity(groups.len());
    for group in groups {
        figures.push(scatter::figure(group)?);
    }
    Ok(html! {
        @if !figures.is_empty() || data.redshift_table.is_some() {
            section {
                h2 { "Redshift" }
                @if !figures.is_empty() {
                    p {
                        "Redshifts of held-out galaxies predicted from frozen embeddings. "
                        (methods(&data.evaluation)) " The photometry panels get the g, r, z magnitudes only: "
                        "what a method reaches above them, it has seen in the picture."
                    }
                    @for figure in figures { (figure) }
                    p.note {
                        "Above: predicted against true redshift; the line is a perfect prediction. Below: the "
                        "residual Δz / (1 + z), Δz = predicted − true. Open circles on the frame lie "
                        "outside it. R² is the fraction of the variance of redshift that is explained: 1 is "
                        "perfect, 0 is no better than the mean (compare Figs 3 and 4 of the paper)."
                    }
                }
                @if let Some(scores) = &data.redshift_table {
                    (table::scores(scores))
                    p.note { (scores.note) " Bold: the best of each input." }
                }
            }
        }
    })
}

fn properties(data: &ReportData) -> Markup {
    html! {
        @if let Some(scores) = &data.property_table {
            section {
                h2 { "Physical properties" }
                p {
                    "R² of physical properties predicted from the same frozen embeddings (compare Table 2 of the "
                    "paper). " (methods(&data.evaluation))
                }
                (table::scores(scores))
                p.note { (scores.note) " Bold: the best of each input. The photometry rows are the baseline." }
            }
        }
    }
}

/// What zero-shot and few-shot mean here.
fn methods(evaluation: &Evaluation) -> Markup {
    let Evaluation {
        train,
        test,
        neighbours,
        hidden,
    } = *evaluation;
    html! {
        "Zero-shot: the mean of the " (count(neighbours)) " nearest of " (count(train)) " training galaxies (k-NN). "
        "Few-shot: a small network with one hidden layer of " (count(hidden)) ", trained on the same galaxies (MLP). "
        "Tested on " (count(test)) " held-out galaxies."
    }
}

fn training(data: &ReportData) -> Result<Markup> {
    let mut figures = Vec::with_capacity(data.curves.len());
    for curve in &data.curves {
        figures.push(curves::figure(curve)?);
    }
    Ok(html! {
        @if !figures.is_empty() {
            section {
                h2 { "Training" }
                p {
                    "Both encoders are first trained on their own, without labels: the image encoder by "
                    "self-distillation between views of one galaxy, the spectrum encoder by filling in masked "
                    "segments. Then both are aligned so that a galaxy’s two views lie close together."
                }
                div.panels style="--columns:3" { @for figure in figures { (figure) } }
                p.note {
                    "Loss against step. Faint: as recorded; strong: running mean. First and last are means over "
                    "a twentieth of the run at either end."
                }
            }
        }
    })
}

fn run(data: &ReportData) -> Markup {
    html! {
        @if !data.timings.is_empty() || !data.summary.is_empty() {
            section {
                h2 { "Run" }
                div.run {
                    @if !data.timings.is_empty() { (timings(&data.timings)) }
                    @if !data.summary.is_empty() {
                        table.facts {
                            tbody {
                                @for (name, value) in &data.summary { tr { th scope="row" { (name) } td { (value) } } }
                            }
                        }
                    }
                }
            }
        }
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
