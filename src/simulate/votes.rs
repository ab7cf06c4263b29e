//! What volunteers would say: the ten questions of Galaxy Zoo DECaLS.

use rand::{Rng, RngExt};

use super::morphology::Morphology;
use crate::survey::QUESTIONS;

const SMOOTH_OR_FEATURED: usize = 0;
const EDGE_ON: usize = 1;
const SPIRAL: usize = 2;
const BAR: usize = 3;
const BULGE_SIZE: usize = 4;
const ROUNDED: usize = 5;
const EDGE_ON_BULGE: usize = 6;
const WINDING: usize = 7;
const ARM_COUNT: usize = 8;
const MERGING: usize = 9;

/// Most answers of any question.
const MOST_ANSWERS: usize = 6;

/// Votes for every answer of every question in [`QUESTIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Votes {
    counts: [[u16; MOST_ANSWERS]; QUESTIONS.len()],
}

impl Votes {
    /// Number of people who were asked question `question`.
    pub fn total(&self, question: usize) -> u32 {
        self.counts[question]
            .iter()
            .map(|&count| u32::from(count))
            .sum()
    }

    /// Share of the votes for an answer; NaN where nobody was asked, as the catalogue leaves it empty.
    pub fn fraction(&self, question: usize, answer: usize) -> f32 {
        f32::from(self.counts[question][answer]) / self.total(question) as f32
    }

    fn count(&self, question: usize, answer: usize) -> u32 {
        u32::from(self.counts[question][answer])
    }

    /// Lets `people` vote with these odds.
    fn cast(&mut self, question: usize, people: u32, odds: &[f64], rng: &mut impl Rng) {
        let total: f64 = odds.iter().sum();
        for _ in 0..people {
            let mut place = rng.random::<f64>() * total;
            let answer = odds.iter().position(|&odd| {
                place -= odd;
                place < 0.0
            });
            self.counts[question][answer.unwrap_or(odds.len() - 1)] += 1;
        }
    }
}

/// What can be seen of a galaxy.
pub(super) struct View<'a> {
    pub(super) morphology: &'a Morphology,
    /// Share of the r-band light in the bulge.
    pub(super) bulge_fraction: f64,
    /// Half-light radius of the whole galaxy over the dispersion of the point spread function.
    pub(super) resolution: f64,
    /// Axis ratio of the whole galaxy as seen.
    pub(super) axis_ratio: f64,
}

fn logistic(value: f64) -> f64 {
    1.0 / (1.0 + (-value).exp())
}

/// A preference of a crowd: highest where `value` is at `centre`.
fn near(value: f64, centre: f64, width: f64) -> f64 {
    (-0.5 * ((value - centre) / width).powi(2)).exp() + 0.02
}

/// Casts the votes, question by question down the decision tree.
pub(super) fn cast(view: &View<'_>, rng: &mut impl Rng) -> Votes {
    let mut votes = Votes {
        counts: [[0; MOST_ANSWERS]; QUESTIONS.len()],
    };
    let shape = view.morphology;
    // Details fade below about two dispersions of the point spread function.
    let visible = logistic(2.2 * (view.resolution - 2.0));
    let arms = shape.arms.map_or(0.0, |arms| arms.strength);
    let bar = shape.bar.map_or(0.0, |bar| bar.strength);
    let disc = 1.0 - view.bulge_fraction;
    let edge_on = logistic(22.0 * (0.33 - shape.disc_axis_ratio));
    let featured = 0.04
        + 0.92
            * visible
            * logistic(7.0 * (0.6 * arms + 1.2 * bar + 0.5 * disc * edge_on + 0.35 * disc - 0.55));
    let people = rng.random_range(34..=44);
    votes.cast(
        SMOOTH_OR_FEATURED,
        people,
        &[1.0 - featured, featured, 0.02],
        rng,
    );
    let smooth_people = votes.count(SMOOTH_OR_FEATURED, 0);
    let featured_people = votes.count(SMOOTH_OR_FEATURED, 1);

    let round = view.axis_ratio;
    votes.cast(
        ROUNDED,
        smooth_people,
        &[
            near(round, 0.95, 0.17),
            near(round, 0.62, 0.16),
            near(round, 0.28, 0.12),
        ],
        rng,
    );
    votes.cast(
        EDGE_ON,
        featured_people,
        &[edge_on + 0.01, 1.0 - edge_on + 0.01],
        rng,
    );
    let (seen_edge_on, seen_face_on) = (votes.count(EDGE_ON, 0), votes.count(EDGE_ON, 1));
    let bulge = view.bulge_fraction;
    votes.cast(
        EDGE_ON_BULGE,
        seen_edge_on,
        &[0.06, near(bulge, 0.0, 0.10), near(bulge, 0.5, 0.28)],
        rng,
    );
    let spiral = logistic(9.0 * (arms * (0.4 + 0.6 * visible) - 0.22));
    votes.cast(SPIRAL, seen_face_on, &[spiral, 1.0 - spiral + 0.01], rng);
    votes.cast(
        BAR,
        seen_face_on,
        &[
            visible * logistic(60.0 * (bar - 0.17)),
            0.9 * visible * near(bar, 0.12, 0.05),
            0.15 + logistic(60.0 * (0.08 - bar)),
        ],
        rng,
    );
    votes.cast(
        BULGE_SIZE,
        seen_face_on,
        &[
            near(bulge, 0.85, 0.15),
            near(bulge, 0.55, 0.14),
            near(bulge, 0.28, 0.12),
            near(bulge, 0.10, 0.08),
            near(bulge, 0.0, 0.03),
        ],
        rng,
    );
    let seen_arms = votes.count(SPIRAL, 0);
    let pitch = shape.arms.map_or(20.0, |arms| arms.pitch.to_degrees());
    votes.cast(
        WINDING,
        seen_arms,
        &[
            near(pitch, 10.0, 4.5),
            near(pitch, 20.0, 5.0),
            near(pitch, 31.0, 6.0),
        ],
        rng,
    );
    let number = shape.arms.map_or(0, |arms| arms.count);
    let clear = 0.3 + 0.7 * visible;
    let odds: Vec<f64> = (1..=5)
        .map(|answer| if answer == number { clear } else { 0.04 })
        .chain([0.35 * (1.2 - clear)])
        .collect();
    votes.cast(ARM_COUNT, seen_arms, &odds, rng);
    let disturbance = shape.disturbance;
    votes.cast(
        MERGING,
        smooth_people + featured_people,
        &[
            0.9 * (1.0 - disturbance).powi(2) + 0.03,
            near(disturbance, 0.4, 0.15),
            near(disturbance, 0.7, 0.13),
            near(disturbance, 0.95, 0.15),
        ],
        rng,
    );
    votes
}
