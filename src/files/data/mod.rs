//! Survey files as one table of galaxies with random access to its rows, and the order in which training
//! visits the rows.
//!
//! A file's format is recognised by its content. A new format gets a file of its own in [`formats`] that
//! implements [`source::Source`], and a line in `formats::open`.

mod dataset;
mod describe;
mod feed;
mod formats;
pub(crate) mod loader;
mod options;
mod paths;
mod rows;
pub(crate) mod sampler;
mod skip;
mod source;
mod tables;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use dataset::{Dataset, Galaxies, Labels};
pub use describe::{Description, FileDescription, PixelCounts};
pub use feed::{BatchReader, SurveyFiles, TrainingData};
pub use formats::{has_catalog, holds_arrays, holds_galaxies};
pub use options::{Format, Keys, ReadOptions};
pub use paths::{expand, survey_files_in};
pub use rows::RowSet;
pub use skip::Skipped;
pub use tables::{open_table, read_catalogues, read_labels};

use crate::base::error::{Error, Result};
use crate::survey::Survey;

/// Opens survey files of any known format as `survey` says; several are concatenated in the order given.
/// A folder stands for all survey files within, a pattern (`*`, `?`, `[…]`) for those that it matches. Where some hold
/// images alone and the others spectra alone, the galaxies are those that have both.
///
/// # Errors
/// Where a file is missing, damaged or of no known format, and where the files do not go together: images of different
/// sizes, files with both images and spectra beside others, or images and spectra of which none are of one galaxy.
pub fn open(paths: &[PathBuf], survey: &Survey, options: &ReadOptions) -> Result<Dataset> {
    let files = expand(paths)?;
    let mut sources = Vec::with_capacity(files.len());
    let mut first_error = None;
    for file in &files {
        match formats::open(file, survey, options) {
            Ok(source) => sources.push(source),
            Err(error) if options.skip_bad => {
                tracing::warn!("left out: {error}");
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    if sources.is_empty() {
        return Err(
            first_error.unwrap_or_else(|| Error::input("no survey file given; name at least one"))
        );
    }
    Dataset::new(sources, survey, options)
}
