//! One HDF5 dataset as a column of rows that are read from any thread.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hdf5::types::TypeDescriptor;
use hdf5::{Hyperslab, SliceOrIndex};

use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, Numbers, member_names};
use crate::survey::{Choice, Columns, Target, choose};

/// Rows of a chunked dataset that share chunks are read together up to this many bytes.
const READ_BYTES: usize = 64 << 20;

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
    /// Whether the values are true and false, which libhdf5 does not take for numbers.
    logical: bool,
    /// The values in the file, where they lie there as they do in memory.
    plain: Option<Plain>,
}

/// 32-bit numbers of this machine's byte order, one row behind the other.
#[derive(Debug)]
struct Plain {
    file: Arc<File>,
    offset: u64,
}

impl Column {
    /// Opens `name` in `group`; `None` where there is no such dataset.
    ///
    /// # Errors
    /// Where the dataset does not hold numbers or has no axis, or not all its values are at hand.
    pub fn open(path: &Path, group: &hdf5::Group, name: &str) -> Result<Option<Self>> {
        let Some(dataset) = hdf5_file::dataset(path, group, name)? else {
            return Ok(None);
        };
        let full_name = hdf5_file::full_name(group, name);
        let refused = |what: String| {
            Err(Error::input(format!(
                "dataset `{full_name}` holds {what}; expected an array of numbers of up to 64 bits, such as float32, \
                 with one row per galaxy"
            ))
            .in_file(path))
        };
        let shape = dataset.shape();
        let dtype = dataset.dtype().map_err(|source| {
            Error::input(format!("dataset `{full_name}` cannot be read: {source}"))
                .caused_by(source)
                .in_file(path)
        })?;
        let logical = match hdf5_file::numbers(&dtype) {
            Ok(numbers) => matches!(numbers, Numbers::Logical),
            Err(what) => return refused(what),
        };
        if shape.is_empty() {
            return refused("a single number".to_owned());
        }
        let chunk_rows = dataset.chunk().map_or(1, |chunk| chunk[0].max(1));
        let plain = Plain::of(&dataset, &shape);
        Ok(Some(Self {
            dataset,
            path: path.to_owned(),
            name: full_name,
            shape,
            chunk_rows,
            logical,
            plain,
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

    /// Full name within the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name within its group.
    pub fn last_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// Bytes of the integers that it stores; `None` for other numbers.
    pub fn integer_bytes(&self) -> Option<usize> {
        match self.dataset.dtype().ok()?.to_descriptor().ok()? {
            TypeDescriptor::Integer(size) | TypeDescriptor::Unsigned(size) => Some(size as usize),
            _ => None,
        }
    }

    /// The words of an attribute of text, be they one text or several; `None` where there is none.
    pub fn words_of(&self, attribute: &str) -> Option<Vec<String>> {
        hdf5_file::attribute_texts(&self.dataset, attribute)
    }

    /// The unit that an attribute states.
    pub fn unit(&self) -> Option<String> {
        let mut names = ["units", "unit", "UNIT", "UNITS"].into_iter();
        names
            .find_map(|name| self.words_of(name))
            .map(|words| words.join(" "))
    }

    /// An error about this dataset.
    pub fn error(&self, message: impl std::fmt::Display) -> Error {
        Error::input(format!("dataset `{}` {message}", self.name)).in_file(&self.path)
    }

    /// Values of a row.
    fn row_len(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// The values of some rows as another type, one row behind the other.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn read_range<T: hdf5::H5Type>(&self, rows: Range<usize>) -> Result<Vec<T>> {
        let mut slices = vec![SliceOrIndex::from(rows.clone())];
        slices.extend(self.shape[1..].iter().map(|_| SliceOrIndex::from(..)));
        self.dataset
            .read_slice::<T, _, ndarray::IxDyn>(Hyperslab::from(slices))
            .map(|values| values.into_raw_vec_and_offset().0)
            .map_err(|source| self.unreadable(rows, source))
    }

    fn unreadable(
        &self,
        rows: Range<usize>,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        self.error(format!(
            "cannot be read in rows {} to {}: {source}; the file may be damaged",
            rows.start,
            rows.end.saturating_sub(1)
        ))
        .caused_by(source)
    }

    /// Reads the row of each `(position, row)` into place `position` of `out`.
    ///
    /// # Errors
    /// Where a row cannot be read.
    pub fn read_into(&self, wanted: &[(usize, usize)], out: &mut [f32]) -> Result<()> {
        let len = self.row_len();
        let Some(plain) = &self.plain else {
            return self.for_rows(wanted, |position, values| {
                out[position * len..][..len].copy_from_slice(values);
            });
        };
        let together = |a: &(usize, usize), b: &(usize, usize)| b.0 == a.0 + 1 && b.1 == a.1 + 1;
        for run in wanted.chunk_by(together) {
            let (position, row) = run[0];
            let out = &mut out[position * len..][..run.len() * len];
            plain
                .read(row * len, out)
                .map_err(|source| self.unreadable(row..row + run.len(), source))?;
        }
        Ok(())
    }

    /// Hands `take(position, values)` the row of each `(position, row)`, in the order of rows.
    ///
    /// Neighbouring rows are read at once, and so are rows that share compressed chunks.
    ///
    /// # Errors
    /// Where a row cannot be read.
    pub fn for_rows(
        &self,
        wanted: &[(usize, usize)],
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<()> {
        let len = self.row_len();
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable_by_key(|&(position, row)| (row, position));
        if let Some(plain) = &self.plain {
            let mut values = vec![0.0; len];
            for (position, row) in wanted {
                plain
                    .read(row * len, &mut values)
                    .map_err(|source| self.unreadable(row..row + 1, source))?;
                take(position, &values);
            }
            return Ok(());
        }
        self.for_runs(
            &wanted,
            |rows| match self.logical {
                true => {
                    let values: Vec<bool> = self.read_range(rows)?;
                    let values = values.into_iter().map(|value| f32::from(u8::from(value)));
                    Ok(values.collect())
                }
                false => self.read_range(rows),
            },
            take,
        )
    }

    /// As [`for_rows`](Self::for_rows), in 64 bits.
    ///
    /// # Errors
    /// Where a row cannot be read.
    pub fn for_rows_exact(
        &self,
        wanted: &[(usize, usize)],
        mut take: impl FnMut(usize, &[f64]),
    ) -> Result<()> {
        if self.plain.is_some() {
            let mut exact = Vec::new();
            return self.for_rows(wanted, |position, values| {
                exact.clear();
                exact.extend(values.iter().map(|&value| f64::from(value)));
                take(position, &exact);
            });
        }
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable_by_key(|&(position, row)| (row, position));
        self.for_runs(&wanted, |rows| self.read_range(rows), take)
    }

    /// Reads rows that are in order by runs of those that lie together.
    fn for_runs<T>(
        &self,
        wanted: &[(usize, usize)],
        read: impl Fn(Range<usize>) -> Result<Vec<T>>,
        mut take: impl FnMut(usize, &[T]),
    ) -> Result<()> {
        let len = self.row_len();
        let most_rows = (READ_BYTES / (len * size_of::<T>()).max(1)).max(1);
        let mut rest = wanted;
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
            let values = read(first..run[run_len - 1].1 + 1)?;
            for &(position, row) in run {
                take(position, &values[(row - first) * len..][..len]);
            }
            rest = later;
        }
        Ok(())
    }
}

impl Plain {
    /// `None` where libhdf5 has to take part: chunks, filters, other types, values of other files, files cut short.
    fn of(dataset: &hdf5::Dataset, shape: &[usize]) -> Option<Self> {
        if !dataset.dtype().ok()?.is::<f32>() {
            return None;
        }
        let (place, offset) = hdf5_file::plain_values(dataset)?;
        let bytes = shape
            .iter()
            .try_fold(size_of::<f32>(), |bytes, &axis| bytes.checked_mul(axis))?;
        let file = File::open(place).ok()?;
        let length = file.metadata().ok()?.len();
        (offset.checked_add(bytes as u64)? <= length).then(|| Self {
            file: Arc::new(file),
            offset,
        })
    }

    /// Values from place `first` on. Several threads may read at once, which libhdf5 does not allow.
    fn read(&self, first: usize, out: &mut [f32]) -> std::io::Result<()> {
        let place = self.offset + (first * size_of::<f32>()) as u64;
        self.file
            .read_exact_at(bytemuck::cast_slice_mut(out), place)
    }
}

/// Rows of a dataset whose values say whether it is of redshifts.
const LOOKED_AT: usize = 4096;

/// The dataset of a group that is of redshifts, by its name and values; `None` where there is none.
///
/// # Errors
/// As [`Column::open`].
pub(super) fn redshift_column(path: &Path, group: &hdf5::Group) -> Result<Option<Column>> {
    let names = member_names(group);
    let numbers = |at: usize| {
        let column = Column::open(path, group, &names[at]);
        let column = column.ok().flatten().filter(|column| column.row_len() == 1);
        let values = column.and_then(|column| {
            let rows = column.shape[0].min(LOOKED_AT);
            column.read_range::<f64>(0..rows).ok()
        });
        values
            .map(Cow::Owned)
            .ok_or_else(|| "what is no number per galaxy".to_owned())
    };
    let columns = Columns {
        names: names.iter().map(String::as_str).collect(),
        numbers: &numbers,
    };
    match choose(Target::Redshift, &columns, &BTreeMap::new()) {
        Choice::Chosen(chosen) => Column::open(path, group, &chosen.column),
        Choice::Refused(why) => {
            tracing::warn!(
                "{}: redshifts are taken for unknown: {why}; --redshift-key NAME says which dataset they are",
                path.display()
            );
            Ok(None)
        }
        Choice::Absent => Ok(None),
    }
}
