//! The questions of Galaxy Zoo.

/// One question of Galaxy Zoo's decision tree, with its answers, named as in the GZD-5 catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// Name of the question.
    pub name: &'static str,
    /// Names of its answers.
    pub answers: &'static [&'static str],
}

/// The ten questions of Galaxy Zoo DECaLS campaign GZD-5 (Walmsley et al. 2022, fig. 4). The first is asked of
/// every volunteer, the others as the answers lead to them.
pub const QUESTIONS: [Question; 10] = [
    Question {
        name: "smooth-or-featured",
        answers: &["smooth", "featured-or-disk", "artifact"],
    },
    Question {
        name: "disk-edge-on",
        answers: &["yes", "no"],
    },
    Question {
        name: "has-spiral-arms",
        answers: &["yes", "no"],
    },
    Question {
        name: "bar",
        answers: &["strong", "weak", "no"],
    },
    Question {
        name: "bulge-size",
        answers: &["dominant", "large", "moderate", "small", "none"],
    },
    Question {
        name: "how-rounded",
        answers: &["round", "in-between", "cigar-shaped"],
    },
    Question {
        name: "edge-on-bulge",
        answers: &["boxy", "none", "rounded"],
    },
    Question {
        name: "spiral-winding",
        answers: &["tight", "medium", "loose"],
    },
    Question {
        name: "spiral-arm-count",
        answers: &["1", "2", "3", "4", "more-than-4", "cant-tell"],
    },
    Question {
        name: "merging",
        answers: &["none", "minor-disturbance", "major-disturbance", "merger"],
    },
];
