//! From the numbers of an evaluation to a page, with the paper's beside them.

mod catalogue;
mod morphology;
mod posterior;
mod properties;
mod redshift;
mod search;

pub(super) use catalogue::catalogue_page;
use serde::Serialize;

use crate::app::workspace::Takings;
use crate::base::error::Result;
use crate::evaluation::eval::{
    MorphologyReport, PosteriorReport, RegressionReport, RegressionResult, RetrievalReport, Source,
    Uncertainty,
};
use crate::evaluation::report::{Block, Document, Figure, Retrieval, RowKind, Section, TextRow};

/// The inputs in the order of the paper's tables.
const SOURCES: [(Source, &str, &str); 3] = [
    (Source::Image, "image", "Images"),
    (Source::Spectrum, "spectrum", "Spectra"),
    (Source::Photometry, "photometry", "Photometry"),
];

/// All numbers.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    pub redshift: RegressionReport,
    pub properties: Option<RegressionReport>,
    pub morphology: Option<MorphologyReport>,
    pub retrieval: RetrievalReport,
    pub posterior: Option<PosteriorReport>,
    /// Parts that could not be done, and why.
    pub left_out: Vec<String>,
    /// What was taken although nobody named it.
    #[serde(flatten)]
    pub taken: Takings,
}

/// What drawings need beside the numbers.
pub(super) struct Drawings {
    pub search: Option<Retrieval>,
    /// Of the encoders, and maps of the embeddings.
    pub encoders: Vec<Figure>,
}

/// The page of all results.
pub(super) fn document(results: &Results, drawings: &Drawings) -> Result<Document> {
    let mut sections = Vec::new();
    sections.extend(search::search(results, drawings)?);
    sections.push(redshift::redshift(&results.redshift)?);
    let properties = results.properties.as_ref();
    sections.extend(properties.map(|report| properties::properties(&results.redshift, report)));
    sections.extend(posterior::posterior(results)?);
    sections.extend(results.morphology.as_ref().map(morphology::morphology));
    if !drawings.encoders.is_empty() {
        sections.push(Section {
            title: "The encoders".into(),
            text: Vec::new(),
            blocks: drawings
                .encoders
                .iter()
                .cloned()
                .map(Block::Figure)
                .collect(),
        });
    }
    if !results.left_out.is_empty() {
        sections.push(Section {
            title: "Left out".into(),
            text: results.left_out.clone(),
            blocks: Vec::new(),
        });
    }
    let test = results
        .redshift
        .results
        .iter()
        .map(|result| result.n_test)
        .max();
    Ok(Document {
        title: "AstroCLIP evaluation".into(),
        lead: format!(
            "Frozen embeddings, tested on up to {} held-out galaxies. Rows in italics are the paper's numbers, on its \
             own galaxies: they are there for scale, not for a race. ± is the standard deviation of bootstrap \
             resamples of the test galaxies.",
            test.unwrap_or(0)
        ),
        sections,
        ..Document::default()
    })
}

pub(super) fn figure(name: &str, caption: String, svg: String) -> Figure {
    Figure {
        name: name.to_owned(),
        caption,
        svg,
    }
}

fn row(kind: RowKind, cells: Vec<String>) -> TextRow {
    TextRow { kind, cells }
}

fn heading(name: &str) -> TextRow {
    row(RowKind::Heading, vec![name.to_owned()])
}

/// A value with its uncertainty.
fn with_error<T>(
    value: f64,
    uncertainty: Option<&Uncertainty<T>>,
    of: impl Fn(&T) -> f64,
) -> String {
    match uncertainty {
        Some(uncertainty) => format!("{value:.3} ± {:.3}", of(&uncertainty.deviation)),
        None => format!("{value:.3}"),
    }
}

fn method(result: &RegressionResult) -> String {
    format!("{}, {}", result.model, result.method)
}
