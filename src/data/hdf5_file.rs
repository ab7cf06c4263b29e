//! What all HDF5 layouts share: listing, and reading rows of a dataset.

use std::path::{Path, PathBuf};

use hdf5::{Hyperslab, SliceOrIndex};

use super::table::SurveyTable;
use super::{image_file, joint, spectrum_file};
use crate::container::hdf5_file::is_numeric;
pub(super) use crate::container::hdf5_file::{has_dataset, member_names, open};
use crate::error::{Error, Result};

/// A way to arrange a survey in an HDF5 file.
pub(super) struct Layout {
    /// Shown by `inspect`.
    pub name: &'static str,
    /// What makes up the layout, for the message about a file that has none of them.
    pub holds: &'static str,
    /// Whether the file is meant to have this layout; [`Layout::open`] checks the details.
    pub recognises: fn(&hdf5::File) -> bool,
    /// Opens a recognised file.
    pub open: fn(&Path, &hdf5::File) -> Result<SurveyTable>,
}

/// Every known layout; the first that recognises a file opens it.
pub(super) const LAYOUTS: &[&Layout] =
    &[&joint::LAYOUT, &spectrum_file::LAYOUT, &image_file::LAYOUT];

/// Rows of a chunked dataset that share chunks are read together up to this many bytes.
const READ_BYTES: usize = 64 << 20;

/// The error for a file that no layout recognises.
pub(super) fn unknown_layout(path: &Path, file: &hdf5::File) -> Error {
    let found = list_datasets(file);
    let found = match found.len() {
        0 => "no dataset at all".to_owned(),
        _ => found.join(", "),
    };
    let known: Vec<_> = LAYOUTS
        .iter()
        .map(|layout| format!("  {}: {}", layout.name, layout.holds))
        .collect();
    Error::input(format!(
        "{}: layout not recognised; it holds {found}. Known layouts:\n{}",
        path.display(),
        known.join("\n")
    ))
}

/// The first datasets at the root and in its groups, with their shapes.
fn list_datasets(file: &hdf5::File) -> Vec<String> {
    const SHOWN: usize = 20;
    let mut found = Vec::new();
    for name in member_names(file) {
        if let Ok(dataset) = file.dataset(&name) {
            found.push(format!("`{name}` {:?}", dataset.shape()));
        } else if let Ok(group) = file.group(&name) {
            for member in member_names(&group) {
                if let Ok(dataset) = group.dataset(&member) {
                    found.push(format!("`{name}/{member}` {:?}", dataset.shape()));
                }
            }
        }
    }
    if found.len() > SHOWN {
        let more = found.len() - SHOWN;
        found.truncate(SHOWN);
        found.push(format!("and {more} more"));
    }
    found
}

/// A numeric dataset whose first axis runs over galaxies, with what its messages need.
#[derive(Debug)]
pub(super) struct Column {
    dataset: hdf5::Dataset,
    path: PathBuf,
    /// Full name within the file, such as `3/images`.
    name: String,
    shape: Vec<usize>,
    /// Rows that share a chunk; 1 for contiguous storage.
    chunk_rows: usize,
}

impl Column {
    /// Opens `name` in `group`; `None` where there is no such dataset.
    ///
    /// # Errors
    /// Where the dataset does not hold numbers or has no axis.
    pub fn open(path: &Path, group: &hdf5::Group, name: &str) -> Result<Option<Self>> {
        if !group.link_exists(name) {
            return Ok(None);
        }
        let full_name = match group.name().trim_matches('/') {
            "" => name.to_owned(),
            group => format!("{group}/{name}"),
        };
        let dataset = group.dataset(name).map_err(|source| {
            Error::input(format!(
                "{}: `{full_name}` cannot be opened as a dataset ({source})",
                path.display()
            ))
        })?;
        let shape = dataset.shape();
        if shape.is_empty() || !is_numeric(&dataset) {
            return Err(Error::input(format!(
                "{}: dataset `{full_name}` must be an array of numbers with one row per galaxy",
                path.display()
            )));
        }
        let chunk_rows = dataset.chunk().map_or(1, |chunk| chunk[0].max(1));
        Ok(Some(Self {
            dataset,
            path: path.to_owned(),
            name: full_name,
            shape,
            chunk_rows,
        }))
    }

    /// Shape, the first axis over galaxies.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether a filter such as gzip is applied.
    pub fn is_compressed(&self) -> bool {
        !self.dataset.filters().is_empty()
    }

    /// An error about this dataset.
    pub fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::input(format!(
            "{}: dataset `{}` {message}",
            self.path.display(),
            self.name
        ))
    }

    /// All values in the order of the file.
    pub fn read_all<T: hdf5::H5Type>(&self) -> Result<Vec<T>> {
        self.dataset
            .read_raw()
            .map_err(|source| self.error(format!("cannot be read: {source}")))
    }

    /// Hands `take(position, row, values)` every wanted `(position, row)`, in the order of rows.
    ///
    /// Neighbouring rows are read at once, and so are rows that share compressed chunks.
    pub fn read_rows(
        &self,
        wanted: &[(usize, usize)],
        mut take: impl FnMut(usize, usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable_by_key(|&(position, row)| (row, position));
        let row_len: usize = self.shape[1..].iter().product();
        let most_rows = (READ_BYTES / (row_len * size_of::<f32>()).max(1)).max(1);
        let mut rest = wanted.as_slice();
        while let Some(&(_, first)) = rest.first() {
            let together = |previous: usize, next: usize| {
                next - first < most_rows
                    && (next <= previous + 1
                        || next / self.chunk_rows == previous / self.chunk_rows)
            };
            let run_len = 1 + rest
                .windows(2)
                .take_while(|pair| together(pair[0].1, pair[1].1))
                .count();
            let (run, later) = rest.split_at(run_len);
            let last = run[run_len - 1].1;
            let values = self.read_range(first, last + 1)?;
            for &(position, row) in run {
                let start = (row - first) * row_len;
                take(position, row, &values[start..start + row_len])?;
            }
            rest = later;
        }
        Ok(())
    }

    fn read_range(&self, start: usize, end: usize) -> Result<Vec<f32>> {
        let mut slices = vec![SliceOrIndex::from(start..end)];
        slices.extend(self.shape[1..].iter().map(|_| SliceOrIndex::from(..)));
        self.dataset
            .read_slice::<f32, _, ndarray::IxDyn>(Hyperslab::from(slices))
            .map(|values| values.into_raw_vec_and_offset().0)
            .map_err(|source| {
                self.error(format!(
                    "cannot be read in rows {start} to {}: {source}; the file may be damaged",
                    end - 1
                ))
            })
    }
}
