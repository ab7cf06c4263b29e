//! The galaxies that are served: embeddings ready for searches, what is known of the galaxies, their images and spectra,
//! the model that embeds those of others. Nothing here knows HTTP.

mod background;
mod columns;
mod estimate;
mod observations;
mod search;
mod sky;
mod table;
mod upload;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use crate::base::error::{Error, Result};
use crate::evaluation::engine::{Index, Searchable};
use crate::evaluation::knn::Gallery;
use crate::evaluation::search::unknown;
use crate::files::embeddings::EmbeddingFile;
use crate::survey::{Labels, Modality, ObjectId, RowsById};

pub use background::Progress;
pub use columns::{ColumnSummary, Columns, Filter};
pub use estimate::{Estimate, estimated};
pub use observations::{Observations, Spectrum, Stretch, picture};
pub use search::{Answer, Page, Query, Vector};
pub use table::found_table;
pub use upload::Embedder;

use background::Background;
use sky::Sky;

/// What there is to serve.
pub struct Archive {
    /// The embedding file, of which the vectors lie in `galleries`.
    file: EmbeddingFile,
    /// In the order of [`Modality::ALL`].
    galleries: [Option<Box<dyn Searchable>>; 2],
    rows: OnceLock<RowsById>,
    columns: Columns,
    sky: OnceLock<Sky>,
    observations: Option<Observations>,
    embedder: Option<Embedder>,
    background: Background,
}

/// The parts of an archive that not every embedding file has.
#[derive(Default)]
pub struct Parts {
    /// Label tables.
    pub labels: Option<Labels>,
    /// Images and spectra.
    pub observations: Option<Observations>,
    /// The model.
    pub embedder: Option<Embedder>,
}

impl Archive {
    /// Prepares an embedding file for searches.
    ///
    /// # Errors
    /// Where it holds no galaxies or no embeddings.
    pub fn new(mut file: EmbeddingFile, parts: Parts) -> Result<Arc<Self>> {
        let galleries = [file.image.take(), file.spectrum.take()].map(|vectors| {
            vectors.map(|vectors| Box::new(Gallery::new(vectors)) as Box<dyn Searchable>)
        });
        Self::with_galleries(file, galleries, parts)
    }

    /// Makes an archive of an index.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_index(index: Index, parts: Parts) -> Result<Arc<Self>> {
        let (file, indexed) = index.into_parts();
        let mut galleries = [None, None];
        for (of, gallery) in indexed {
            galleries[of as usize] = Some(gallery);
        }
        Self::with_galleries(file, galleries, parts)
    }

    fn with_galleries(
        file: EmbeddingFile,
        galleries: [Option<Box<dyn Searchable>>; 2],
        parts: Parts,
    ) -> Result<Arc<Self>> {
        if file.is_empty() || galleries.iter().all(Option::is_none) {
            return Err(Error::input("holds no embeddings").in_file(&file.path));
        }
        Ok(Arc::new(Self {
            columns: Columns::new(&file, parts.labels.as_ref()),
            rows: OnceLock::new(),
            sky: OnceLock::new(),
            observations: parts.observations,
            embedder: parts.embedder,
            background: Background::default(),
            file,
            galleries,
        }))
    }

    /// Prepares what the first question would wait for, which others need not.
    pub fn prepare(&self) {
        self.rows();
        self.sky();
    }

    fn rows(&self) -> &RowsById {
        self.rows.get_or_init(|| {
            let rows = RowsById::new(&self.file.object_id);
            let repeated = rows.repeated();
            if repeated > 0 {
                tracing::warn!(
                    "{}: {repeated} rows repeat an id; asking for it gives the first",
                    self.file.path.display()
                );
            }
            rows
        })
    }

    /// Number of galaxies.
    pub fn len(&self) -> usize {
        self.file.len()
    }

    /// What the embedding file is called, without its folder.
    pub fn name(&self) -> String {
        let name = self.file.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// Where the embedding file lies.
    pub fn path(&self) -> &PathBuf {
        &self.file.path
    }

    /// The kinds of embeddings that there are.
    pub fn modalities(&self) -> Vec<Modality> {
        Modality::ALL
            .into_iter()
            .filter(|&modality| self.galleries[modality as usize].is_some())
            .collect()
    }

    /// Whether some of the nearest may be missing from an answer.
    pub fn is_approximate(&self) -> bool {
        let mut galleries = self.galleries.iter().flatten();
        galleries.any(|gallery| gallery.is_approximate())
    }

    /// The embeddings of a kind.
    ///
    /// # Errors
    /// Where there are none.
    pub fn gallery(&self, modality: Modality) -> Result<&dyn Searchable> {
        self.galleries[modality as usize].as_deref().ok_or_else(|| {
            let present: Vec<&str> = self.modalities().iter().map(|kind| kind.name()).collect();
            Error::input(format!(
                "has no {modality} embeddings; it has those of {}",
                present.join(" and ")
            ))
            .in_file(&self.file.path)
        })
    }

    /// The row of the galaxy with the identifier that a text writes.
    ///
    /// # Errors
    /// Where there is none; says how identifiers look.
    pub fn row(&self, id: &str) -> Result<usize> {
        let known = ObjectId::of_known_text(id);
        let row = known.and_then(|id| self.rows().find(&self.file.object_id, id));
        row.ok_or_else(|| unknown(&self.file, shortened(id)))
    }

    /// The identifier of a row.
    pub fn id(&self, row: usize) -> ObjectId {
        self.file.object_id[row]
    }

    /// The embedding file without its vectors.
    pub fn file(&self) -> &EmbeddingFile {
        &self.file
    }

    /// What is known of the galaxies.
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Where the galaxies are.
    pub fn sky(&self) -> &Sky {
        self.sky.get_or_init(|| {
            let observed = self.file.observed.par_iter();
            Sky::new(observed.map(|observed| observed.position))
        })
    }

    /// Images and spectra, where survey files are at hand.
    pub fn observations(&self) -> Option<&Observations> {
        self.observations.as_ref()
    }

    /// What embeds images and spectra of others, where a model is at hand.
    pub fn embedder(&self) -> Option<&Embedder> {
        self.embedder.as_ref()
    }
}

/// A text that somebody sent, as long as a message may quote it.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let shown = text.chars().filter(|letter| !letter.is_control());
    let start: String = shown.take(LONGEST).collect();
    match text.chars().count() > LONGEST {
        true => format!("{start}…"),
        false => start,
    }
}
