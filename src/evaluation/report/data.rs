//! What the report shows, as plain numbers: nothing here knows of models, files or training.

use ndarray::Array3;

use crate::survey::ObjectId;

/// A number shown large at the top.
#[derive(Debug, Clone)]
pub struct Highlight {
    /// What the number is.
    pub label: String,
    /// The number, as it shall be read.
    pub value: String,
    /// What to compare it with, such as the photometry baseline or chance.
    pub note: String,
}

/// The input and treatment behind a score; fixes the colour of its points and rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Embeddings after contrastive alignment.
    Aligned,
    /// The pretrained encoder before alignment.
    Unaligned,
    /// Magnitudes or principal components alone: what embeddings have to beat.
    Baseline,
}

/// Losses of one training stage.
#[derive(Debug, Clone)]
pub struct LossCurve {
    /// Name of the stage.
    pub stage: String,
    /// What the loss terms are, one sentence; may be empty.
    pub note: String,
    /// The total first, then its terms. Terms of very different size get panels of their own.
    pub terms: Vec<Series>,
}

/// A named curve.
#[derive(Debug, Clone)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// `(step, value)` in the order of the steps. Non-finite values are left out.
    pub points: Vec<(f64, f64)>,
}

/// Query and target view of a similarity search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Spectra near a spectrum.
    SpectrumToSpectrum,
    /// Images near an image.
    ImageToImage,
    /// Images near a spectrum.
    SpectrumToImage,
    /// Spectra near an image.
    ImageToSpectrum,
}

impl Direction {
    /// The four directions in the order of the paper's Fig. 2.
    pub const ALL: [Self; 4] = [
        Self::SpectrumToSpectrum,
        Self::ImageToImage,
        Self::SpectrumToImage,
        Self::ImageToSpectrum,
    ];

    /// `spectrum → image` and so on.
    pub fn title(self) -> &'static str {
        match self {
            Self::SpectrumToSpectrum => "spectrum → spectrum",
            Self::ImageToImage => "image → image",
            Self::SpectrumToImage => "spectrum → image",
            Self::ImageToSpectrum => "image → spectrum",
        }
    }
}

/// Galaxies found by similarity search.
#[derive(Debug, Clone, Default)]
pub struct Retrieval {
    /// Every galaxy shown, once.
    pub galaxies: Vec<Galaxy>,
    /// The searches.
    pub queries: Vec<Query>,
    /// Wavelength of each spectrum pixel, Å in vacuum, the same for all galaxies.
    pub wavelengths: Vec<f64>,
    /// Pixel scale of the pictures, arcsec per pixel.
    pub pixel_scale: f64,
}

/// A galaxy to show.
#[derive(Debug, Clone)]
pub struct Galaxy {
    /// Its identifier.
    pub id: ObjectId,
    /// Its redshift where known.
    pub redshift: Option<f64>,
    /// Red, green, blue in [0, 1], shape `(3, height, width)`.
    pub picture: Array3<f32>,
    /// Flux in any unit, one value per wavelength; shown scaled.
    pub spectrum: Vec<f32>,
}

/// One query galaxy and its neighbours.
#[derive(Debug, Clone)]
pub struct Query {
    /// Index of the query in [`Retrieval::galaxies`].
    pub galaxy: usize,
    /// What kind of galaxy it is, such as "red, quiescent"; may be empty.
    pub label: String,
    /// Whether its spectra are drawn too.
    pub show_spectra: bool,
    /// The nearest first, in the order of [`Direction::ALL`]. Searches within one view leave out the query
    /// itself (paper Fig. 2); searches across views keep it, and it is marked where it is found.
    pub neighbours: [Vec<Neighbour>; 4],
}

/// A galaxy found.
#[derive(Debug, Clone, Copy)]
pub struct Neighbour {
    /// Index in [`Retrieval::galaxies`].
    pub galaxy: usize,
    /// Cosine similarity of the embeddings.
    pub similarity: f64,
}

/// How often the galaxy's own other view is among the nearest.
#[derive(Debug, Clone, Default)]
pub struct RetrievalScores {
    /// Galaxies searched among. Chance of a hit among the k nearest is k / pool.
    pub pool: usize,
    /// One row per direction.
    pub rows: Vec<RetrievalRow>,
}

/// Hits of one search direction.
#[derive(Debug, Clone)]
pub struct RetrievalRow {
    /// Which view searches among which.
    pub direction: Direction,
    /// `(k, fraction of queries whose own other view is among the k nearest)`; the same k in every row.
    pub recall: Vec<(usize, f64)>,
    /// Median rank of the own other view; 1 is best.
    pub median_rank: f64,
}

/// Scatter plots that share their axes.
#[derive(Debug, Clone)]
pub struct ScatterGroup {
    /// What the predictions are made from, such as "From images".
    pub title: String,
    /// The panels, in rows of three, or of four when there are four.
    pub panels: Vec<ScatterPanel>,
}

/// Predicted against true redshift of one method.
#[derive(Debug, Clone)]
pub struct ScatterPanel {
    /// Name of the method.
    pub title: String,
    /// What it is made from; gives the colour.
    pub family: Family,
    /// Coefficient of determination over all galaxies, those that are not drawn included.
    pub r2: f64,
    /// True redshifts.
    pub truth: Vec<f64>,
    /// Predicted redshifts, in the same order.
    pub predicted: Vec<f64>,
}

/// Scores of methods (rows) on quantities or by measures (columns).
#[derive(Debug, Clone, Default)]
pub struct ScoreTable {
    /// Columns after the method's name.
    pub columns: Vec<ScoreColumn>,
    /// Rows by input: images, spectra, photometry. The best of each group is set in bold.
    pub groups: Vec<ScoreGroup>,
    /// What the columns mean, below the table; may be empty.
    pub note: String,
}

/// A column of scores.
#[derive(Debug, Clone)]
pub struct ScoreColumn {
    /// Its heading; a word `a_bc` is set as a with the index bc.
    pub name: String,
    /// Which way is better.
    pub better: Better,
    /// Decimals shown.
    pub decimals: usize,
}

/// Which way a score improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// R².
    Higher,
    /// Scatter, outlier fraction.
    Lower,
    /// Bias.
    NearZero,
}

/// Rows with the same input.
#[derive(Debug, Clone)]
pub struct ScoreGroup {
    /// The input.
    pub source: String,
    /// The methods.
    pub rows: Vec<ScoreRow>,
}

/// Scores of one method.
#[derive(Debug, Clone)]
pub struct ScoreRow {
    /// Its name.
    pub method: String,
    /// What it is made from; gives the colour.
    pub family: Family,
    /// One per column; none where it was not measured.
    pub values: Vec<Option<f64>>,
}

/// How long a stage took.
#[derive(Debug, Clone)]
pub struct Timing {
    /// Name of the stage.
    pub stage: String,
    /// Wall-clock seconds.
    pub seconds: f64,
}
