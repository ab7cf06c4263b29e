//! Files and folders that a command is to write, looked at before any work: whether they can lie where they are asked
//! for, and what they would replace.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tracing::subscriber::{NoSubscriber, with_default};

use crate::base::error::{Error, Result};
use crate::base::output::check_file;
use crate::evaluation::engine::is_index;
use crate::evaluation::estimator::is_estimator;
use crate::evaluation::report::{check_picture_name, is_drawing, is_page};
use crate::files::catalog::OutputFormat;
use crate::files::container::split_table;
use crate::files::data::{SurveyFiles, expand};
use crate::files::embeddings::read_provenance;
use crate::network::released;
use crate::network::weights::{ModelFile, TensorFile};
use crate::simulate::is_simulated;
use crate::training::run_folder::MODEL_FILE;
use crate::training::stages::PREDICTIONS_FILE;

/// What a command writes into one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// A simulated survey.
    Survey,
    /// Embeddings.
    Embeddings,
    /// An index.
    Index,
    /// A model.
    Model,
    /// A model for the released code.
    Export,
    /// An estimator.
    Estimator,
    /// A table, as its name ends.
    Table,
    /// A picture, as its name ends.
    Picture,
    /// A page.
    Page,
    /// Numbers for programs.
    Json,
}

impl Output {
    /// Finds out whether the command may write to `path`: an earlier output of the same kind is replaced, and nothing
    /// else is.
    ///
    /// # Errors
    /// [`Error::input`] where no file can be written there, where its name ends otherwise, and where there is a file of
    /// another kind.
    pub(super) fn check(self, path: &Path) -> Result<()> {
        match self {
            Self::Table => OutputFormat::of(path).map(drop)?,
            Self::Picture => check_picture_name(path)?,
            _ => {}
        }
        check_file(path)?;
        let is_something = fs::metadata(path).is_ok_and(|known| known.len() > 0);
        match is_something && !self.is_in(path) {
            true => Err(Error::input(format!(
                "is there already and no {}, so it is not replaced; choose another name, or remove it first",
                self.name()
            ))
            .in_file(path)),
            false => Ok(()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Survey => "simulated survey",
            Self::Embeddings => "embedding file of ours",
            Self::Index => "index",
            Self::Model => "model of ours",
            Self::Export => "exported model of ours",
            Self::Estimator => "estimator of ours",
            Self::Table => "table of this kind",
            Self::Picture => "picture of this kind",
            Self::Page => "page of ours",
            Self::Json => "JSON",
        }
    }

    /// Whether a file is what this command may have written earlier.
    fn is_in(self, path: &Path) -> bool {
        match self {
            Self::Survey => is_simulated(path),
            Self::Embeddings => read_provenance(path).is_some(),
            Self::Index => is_index(path),
            Self::Model => TensorFile::open(path)
                .and_then(|file| file.header::<ModelFile>())
                .is_ok(),
            Self::Export => released::is_export(path),
            Self::Estimator => is_estimator(path),
            Self::Table => OutputFormat::of(path).is_ok_and(|format| format.is_of(path)),
            Self::Picture => is_drawing(path),
            Self::Page => is_page(path),
            Self::Json => {
                let mut first = [0];
                let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
                read.is_ok() && first == *b"{"
            }
        }
    }
}

/// What a command reads, which none of its outputs may replace.
#[derive(Debug, Clone, Default)]
pub(super) struct Originals(Vec<PathBuf>);

impl Originals {
    /// Survey files with their table of pairs.
    pub(super) fn of(data: &SurveyFiles) -> Self {
        Self(data.paths.clone()).and(&data.read.pairs)
    }

    /// These and more: files, folders, patterns, tables of files.
    pub(super) fn and<'a>(mut self, more: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        self.0.extend(more.into_iter().cloned());
        self
    }

    /// Finds out whether writing to `path` would replace one of them, however either is called.
    ///
    /// # Errors
    /// [`Error::input`] where it would.
    pub(super) fn outlast(&self, path: &Path) -> Result<()> {
        let Ok(out) = fs::metadata(path) else {
            return Ok(());
        };
        let is_out = |file: &PathBuf| {
            let same = |known: fs::Metadata| (known.dev(), known.ino()) == (out.dev(), out.ino());
            fs::metadata(file).is_ok_and(same)
        };
        for input in &self.0 {
            // What cannot be read is told by its reader, once, as is what a folder holds besides.
            let files = with_default(NoSubscriber::new(), || expand(&[split_table(input).0]));
            if let Some(file) = files.unwrap_or_default().iter().find(|file| is_out(file)) {
                let what = match file == path {
                    true => String::new(),
                    false => format!(" ({})", file.display()),
                };
                return Err(Error::input(format!(
                    "is what this command reads{what}, and would be replaced; choose another name for the output"
                ))
                .in_file(path));
            }
        }
        Ok(())
    }

    /// The same for the files of a run folder.
    pub(super) fn outlast_run(&self, folder: &Path) -> Result<()> {
        [MODEL_FILE, PREDICTIONS_FILE]
            .iter()
            .try_for_each(|name| self.outlast(&folder.join(name)))
    }
}
