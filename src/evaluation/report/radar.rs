//! Scores of several methods on several questions, around a circle (paper Fig. 5).

use std::f64::consts::TAU;

use maud::{Markup, html};

use super::figure::{drawing, label};
use super::plot::{PALETTE, css, number};

/// Radius of the circle of a perfect score, CSS pixels.
const RADIUS: f64 = 190.0;
/// Space around it, for the questions' names.
const MARGIN: f64 = 120.0;
/// Scores at which a circle is drawn.
const CIRCLES: [f64; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];

/// One method.
#[derive(Debug, Clone)]
pub struct RadarSeries {
    /// Its name.
    pub name: String,
    /// A score from 0 to 1 for each question; NaN where there is none.
    pub scores: Vec<f64>,
    /// Drawn dashed: from the paper, to compare with.
    pub dashed: bool,
}

/// A drawing of circles side by side, each with its title.
pub fn radar(questions: &[String], charts: &[(String, Vec<RadarSeries>)]) -> String {
    let side = 2.0 * (RADIUS + MARGIN);
    let names: Vec<&RadarSeries> = charts
        .first()
        .map_or(Vec::new(), |chart| chart.1.iter().collect());
    let legend = 24.0 * names.len() as f64 + 10.0;
    let content = html! {
        @for (index, (title, series)) in charts.iter().enumerate() {
            g transform=(format!("translate({} {})", index as f64 * side + side / 2.0, side / 2.0)) {
                (chart(questions, title, series))
            }
        }
        @for (row, series) in names.iter().enumerate() {
            @let y = side + 12.0 + 24.0 * row as f64;
            path d=(format!("M 24 {y} h 40")) stroke=(css(PALETTE[row % PALETTE.len()])) stroke-width="2.5"
                stroke-dasharray=[series.dashed.then_some("6 4")] fill="none" {}
            (label([74.0, y + 4.0], 12.5, &series.name))
        }
    };
    drawing(charts.len() as f64 * side, side + legend, content)
}

fn chart(questions: &[String], title: &str, series: &[RadarSeries]) -> Markup {
    let at = |question: usize, score: f64| {
        let angle = TAU * question as f64 / questions.len() as f64;
        let radius = RADIUS * score.clamp(0.0, 1.0);
        (radius * angle.sin(), -radius * angle.cos())
    };
    let outline = |series: &RadarSeries| {
        let known = series
            .scores
            .iter()
            .enumerate()
            .filter(|(_, score)| score.is_finite());
        let corners: Vec<String> = known
            .map(|(question, &score)| {
                let (x, y) = at(question, score);
                format!("{x:.2},{y:.2}")
            })
            .collect();
        corners.join(" ")
    };
    html! {
        (label([-RADIUS - MARGIN + 16.0, -RADIUS - MARGIN + 26.0], 15.0, title))
        @for score in CIRCLES {
            circle r=(RADIUS * score) fill="none" stroke="#d6dde3" stroke-width="1" {}
            (label([3.0, -RADIUS * score - 2.0], 9.5, &number(score, 1)))
        }
        @for (question, name) in questions.iter().enumerate() {
            @let (x, y) = at(question, 1.0);
            @let anchor = if x.abs() < 1.0 { "middle" } else if x > 0.0 { "start" } else { "end" };
            path d=(format!("M 0 0 L {x:.2} {y:.2}")) stroke="#d6dde3" stroke-width="1" {}
            text x=(1.07 * x) y=(1.07 * y + 4.0) text-anchor=(anchor) font-size="11.5" fill="#1b2733" { (name) }
        }
        @for (index, series) in series.iter().enumerate() {
            @let colour = css(PALETTE[index % PALETTE.len()]);
            polygon points=(outline(series)) fill=(colour) fill-opacity=(if series.dashed { "0" } else { "0.04" })
                stroke=(colour) stroke-width="2" stroke-dasharray=[series.dashed.then_some("6 4")] {}
        }
    }
}
