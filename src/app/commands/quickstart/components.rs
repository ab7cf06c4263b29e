//! Principal components of the survey's spectra, in the place of embeddings.

use std::path::Path;

use ndarray::{Array2, s};

use crate::base::error::{Error, Result};
use crate::evaluation::spectral::Components;
use crate::files::data::{self, ReadOptions};
use crate::files::embeddings::EmbeddingFile;
use crate::survey::{Modality, Split, Survey};
use crate::training::config::{self, ComponentsRun};

/// Spectra that are read at once.
const BATCH: usize = 256;

/// What `embedded` would be if spectra were embedded as the principal components of those that train.
pub(super) fn components(survey: &Path, embedded: &EmbeddingFile) -> Result<EmbeddingFile> {
    let settings: ComponentsRun = config::load(None, &[])?;
    let files = [survey.to_owned()];
    let dataset = data::open(&files, &Survey::default(), &ReadOptions::default())?;
    if dataset.labels(0..dataset.len())?.object_id != embedded.object_id {
        return Err(Error::input(format!(
            "has other galaxies than {}; remove the folder and begin anew",
            embedded.path.display()
        ))
        .in_file(survey));
    }
    let read = |rows: &[usize]| dataset.read(rows, &[Modality::Spectrum]);
    let mut train = embedded.rows_of(Split::Train);
    train.truncate(settings.spectra);
    let spectra = read(&train)?;
    let found = Components::fit(spectra.asked_spectra(), &settings.pca, settings.seed);
    let mut coordinates = Array2::zeros((embedded.len(), found.principal.axes.nrows()));
    let all: Vec<usize> = (0..embedded.len()).collect();
    for rows in all.chunks(BATCH) {
        let of_rows = found.project(read(rows)?.asked_spectra());
        let end = rows[0] + rows.len();
        coordinates.slice_mut(s![rows[0]..end, ..]).assign(&of_rows);
    }
    Ok(EmbeddingFile {
        image: None,
        spectrum: Some(coordinates),
        ..embedded.clone()
    })
}
