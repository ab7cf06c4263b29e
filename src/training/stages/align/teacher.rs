//! Embeddings by another model, for one that shall make the like of them.

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array2, Axis};

use crate::base::error::{Error, Result};
use crate::files::data::TrainingData;
use crate::files::embeddings::{EmbeddingFile, EmbeddingRows, Keys};
use crate::survey::{Modality, RowsById};
use crate::training::config::AlignRun;
use crate::views::batch::{OfTeacher, rows_of};

/// No row.
const NONE: u32 = u32::MAX;

/// Embeddings by another model of the galaxies that train.
#[derive(Debug, Clone)]
pub(super) struct Teacher {
    /// Rows of `embeddings` by row of the survey.
    rows: Arc<Vec<u32>>,
    embeddings: Arc<[Array2<f32>; 2]>,
}

impl Teacher {
    /// Reads those of `path` that belong to galaxies of `data`, by their identifiers.
    ///
    /// # Errors
    /// Where the file lacks images or spectra, is of no training galaxy, or is as wide as no head of the configuration.
    pub(super) fn open(path: &Path, config: &AlignRun, data: &TrainingData) -> Result<Self> {
        let rows = EmbeddingRows::open(&[path.to_owned()], &Keys::default())?;
        let file = rows.whole_of(&Modality::ALL, path)?;
        let heads = [
            ("image_head", config.align.image_head.embedding),
            ("spectrum_head", config.align.spectrum_head.embedding),
        ];
        for (modality, (head, width)) in Modality::ALL.into_iter().zip(heads) {
            let taught = file.embeddings(modality)?.ncols();
            if taught != width {
                return Err(Error::input(format!(
                    "its {modality} embeddings have {taught} numbers, align.{head}.embedding is {width}; \
                     --set align.image_head.embedding={taught} --set align.spectrum_head.embedding={taught} makes the like"
                ))
                .in_file(path));
            }
        }
        let by_id = RowsById::new(&file.object_id);
        let ids = data.dataset.labels(0..data.dataset.len())?.object_id;
        let row_of = |id| match by_id.find(&file.object_id, id) {
            Some(row) if is_whole(&file, row) => row as u32,
            _ => NONE,
        };
        let rows: Vec<u32> = ids.into_iter().map(row_of).collect();
        let known = data.rows().iter().filter(|&row| rows[row] != NONE).count();
        if known == 0 {
            return Err(Error::input(format!(
                "has image and spectrum embeddings of none of the {} training galaxies, by their object_id; embed the same \
                 survey with the model to learn from",
                data.galaxies()
            ))
            .in_file(path));
        }
        tracing::info!(
            "{}: embeddings of {known} of {} training galaxies to learn from",
            path.display(),
            data.galaxies()
        );
        let EmbeddingFile {
            image, spectrum, ..
        } = file;
        let embeddings = [image, spectrum].map(|of| of.expect("both were asked for"));
        Ok(Self {
            rows: rows.into(),
            embeddings: embeddings.into(),
        })
    }

    /// The galaxies of `data` that it knows.
    pub(super) fn known(&self, data: TrainingData) -> TrainingData {
        data.among(|row| self.rows[row] != NONE)
    }

    /// Its embeddings of galaxies that it knows, by their rows in the survey.
    pub(super) fn of(&self, rows: &[usize]) -> OfTeacher {
        let rows: Vec<usize> = rows.iter().map(|&row| self.rows[row] as usize).collect();
        let [images, spectra] = self.embeddings.each_ref();
        OfTeacher {
            images: rows_of(images.select(Axis(0), &rows)),
            spectra: rows_of(spectra.select(Axis(0), &rows)),
        }
    }
}

/// Whether both embeddings of a row are numbers: a file may have images without spectra.
fn is_whole(file: &EmbeddingFile, row: usize) -> bool {
    let of = [&file.image, &file.spectrum].into_iter().flatten();
    of.flat_map(|embeddings| embeddings.row(row))
        .all(|value| value.is_finite())
}
