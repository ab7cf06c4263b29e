//! Parquet shards of the joint data set, as Hugging Face's `datasets` writes them: nested lists `image`
//! (axes x, y, band, as in the joint file) and `spectrum`, with `redshift` and `targetid`.

mod column;

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use parquet::basic::Type;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::base::error::{Error, Result};
use crate::files::data::describe::GroupDescription;
use crate::files::data::source::{
    Contents, Source, SourceLabels, Splits, StoredSpectra, Wavelengths, known_id, known_redshift,
};
use crate::survey::{DESI_GRID, Modality, ObjectId, Split, Survey};
use column::{Cursor, Nested, Numbers};

/// One shard. Rows are fast in their order; a row anywhere costs a look at those before it in its row
/// group.
pub(super) struct ParquetShard {
    contents: Contents,
    reader: Mutex<SerializedFileReader<File>>,
    /// First row of each row group.
    starts: Vec<usize>,
    images: Option<Nested>,
    spectra: Option<Nested>,
    object_ids: Vec<Option<ObjectId>>,
    redshifts: Vec<f32>,
}

impl std::fmt::Debug for ParquetShard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ParquetShard")
            .field("contents", &self.contents)
            .finish_non_exhaustive()
    }
}

/// Whether the file has a column of images or spectra.
pub(super) fn recognises(path: &Path) -> bool {
    let reader = File::open(path)
        .ok()
        .and_then(|file| SerializedFileReader::new(file).ok());
    reader.is_some_and(|reader| {
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let mut leaves = schema.columns().iter();
        leaves.any(|leaf| {
            let name = leaf.path().parts().first().map(String::as_str);
            leaf.max_rep_level() > 0 && matches!(name, Some("image" | "spectrum"))
        })
    })
}

impl ParquetShard {
    /// Opens a shard; identifiers and redshifts are read at once.
    ///
    /// # Errors
    /// Where the file is damaged, holds neither images nor spectra, or not of the survey's shape.
    pub fn open(path: &Path, survey: &Survey) -> Result<Self> {
        let failed = |source| unreadable(path, source);
        let file = File::open(path).map_err(|source| Error::reading(path, source))?;
        let reader = SerializedFileReader::new(file).map_err(failed)?;
        let rows: Vec<usize> = reader
            .metadata()
            .row_groups()
            .iter()
            .map(|group| usize::try_from(group.num_rows()).unwrap_or(0))
            .collect();
        let mut starts = Vec::with_capacity(rows.len());
        let mut total = 0;
        for group in &rows {
            starts.push(total);
            total += group;
        }
        let mut shard = Self {
            contents: Contents {
                path: path.to_owned(),
                format: "Hugging Face Parquet",
                groups: vec![GroupDescription {
                    name: "/".into(),
                    galaxies: total,
                    compressed: true,
                }],
                image_shape: None,
                band_names: None,
                wavelengths: None,
                bad_pixels: false,
                splits: split_in_name(path),
                catalog_columns: Vec::new(),
                notes: Vec::new(),
                warnings: Vec::new(),
            },
            reader: Mutex::new(reader),
            starts,
            images: None,
            spectra: None,
            object_ids: vec![None; total],
            redshifts: vec![f32::NAN; total],
        };
        let error = |message: String| Error::input(message).in_file(path);
        let names = shard.leaf_names();
        let nested = |name: &str| shard.nested(&names, name);
        let (images, spectra) = (nested("image")?, nested("spectrum")?);
        if images.is_none() && spectra.is_none() {
            return Err(error(format!(
                "holds no galaxies: columns {}; expected nested lists `image` or `spectrum` (a table of \
                 labels goes to --labels)",
                names.join(", ")
            )));
        }
        if let Some(images) = &images {
            let bands = survey.bands.len();
            let [width, height] = match images.shape[..] {
                [width, height, last] if last == bands => [width, height],
                ref other => {
                    return Err(error(format!(
                        "column `image` has lists of shape {other:?}; expected (S, S, {bands}), axes x, y, \
                         band"
                    )));
                }
            };
            shard.contents.image_shape = Some([bands, height, width]);
        }
        if let Some(spectra) = &spectra {
            let pixels: usize = spectra.shape.iter().product();
            if pixels != DESI_GRID.len {
                return Err(error(format!(
                    "column `spectrum` has {pixels} pixels; expected DESI's {}",
                    DESI_GRID.len
                )));
            }
            shard.contents.wavelengths = Some(Wavelengths::Shared(DESI_GRID.wavelengths()));
        }
        (shard.images, shard.spectra) = (images, spectra);
        let ids = shard.numbers(&names, &["targetid", "TARGETID", "object_id"])?;
        if let Some(Numbers::Integers(ids)) = ids {
            shard.object_ids = ids.into_iter().map(known_id).collect();
        }
        let redshifts = shard.numbers(&names, &["redshift", "Z", "z_spec"])?;
        if let Some(redshifts) = redshifts {
            shard.redshifts = redshifts.floats().map(known_redshift).collect();
        }
        Ok(shard)
    }

    fn reader(&self) -> std::sync::MutexGuard<'_, SerializedFileReader<File>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// First part of the path of every leaf: the column that it belongs to.
    fn leaf_names(&self) -> Vec<String> {
        let reader = self.reader();
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let first = |path: &[String]| path.first().cloned().unwrap_or_default();
        let leaves = schema.columns().iter();
        leaves.map(|leaf| first(leaf.path().parts())).collect()
    }

    /// The column of nested lists of this name, and the shape of its first row.
    fn nested(&self, names: &[String], name: &str) -> Result<Option<Nested>> {
        let Some(leaf) = names.iter().position(|known| known == name) else {
            return Ok(None);
        };
        let path = &self.contents.path;
        let failed = |source| unreadable(path, source);
        let levels = {
            let reader = self.reader();
            let schema = reader.metadata().file_metadata().schema_descr_ptr();
            let column = schema.column(leaf);
            let is_real = matches!(column.physical_type(), Type::FLOAT | Type::DOUBLE);
            if !is_real || column.max_rep_level() == 0 {
                return Err(Error::input(format!(
                    "column `{name}` must hold nested lists of floating point numbers; save images \
                     and spectra as arrays, not as encoded pictures"
                ))
                .in_file(path));
            }
            column.max_rep_level()
        };
        let mut nested = Nested {
            leaf,
            name: name.to_owned(),
            shape: Vec::new(),
            cursors: Mutex::default(),
        };
        let Some(group) = self.first_group() else {
            return Ok(Some(nested));
        };
        let mut cursor = self.cursor(leaf, group)?;
        let mut repetition = Vec::new();
        cursor.read(Some(&mut repetition)).map_err(failed)?;
        // A value begins a new list at each level deeper than its repetition level.
        let mut outer = 1;
        for level in 1..=levels {
            let begun = repetition.iter().filter(|&&at| at <= level).count();
            nested.shape.push(begun / outer);
            outer = begun.max(1);
        }
        while nested.shape.len() > 1 && nested.shape.last() == Some(&1) && name == "spectrum" {
            nested.shape.pop();
        }
        Ok(Some(nested))
    }

    /// The first row group that is not empty.
    fn first_group(&self) -> Option<usize> {
        let total = self.contents.rows();
        (total > 0).then(|| self.starts.partition_point(|&start| start == 0) - 1)
    }

    fn cursor(&self, leaf: usize, group: usize) -> Result<Cursor> {
        let reader = self
            .reader()
            .get_row_group(group)
            .and_then(|group| group.get_column_reader(leaf))
            .map_err(|source| unreadable(&self.contents.path, source))?;
        Ok(Cursor {
            group,
            next: self.starts[group],
            reader,
        })
    }

    /// Hands `take` the values of each wanted row.
    fn read_rows(
        &self,
        nested: &Nested,
        wanted: &[(usize, usize)],
        mut take: impl FnMut(usize, &[f32]),
    ) -> Result<()> {
        let failed = |source| unreadable(&self.contents.path, source);
        let values: usize = nested.shape.iter().product();
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable_by_key(|&(_, row)| row);
        let mut last: Option<(usize, Vec<f32>)> = None;
        for (position, row) in wanted {
            if let Some((known, values)) = &last
                && *known == row
            {
                take(position, values);
                continue;
            }
            let group = self.starts.partition_point(|&start| start <= row) - 1;
            let mut cursor = match nested.take_cursor(group, row) {
                Some(cursor) => cursor,
                None => self.cursor(nested.leaf, group)?,
            };
            cursor.skip(row).map_err(failed)?;
            let found = cursor.read(None).map_err(failed)?;
            if found.len() != values {
                return Err(Error::input(format!(
                    "column `{}` row {row}: {} values where row 0 has {values}",
                    nested.name,
                    found.len()
                ))
                .in_file(&self.contents.path));
            }
            take(position, &found);
            last = Some((row, found));
            nested.keep_cursor(cursor);
        }
        Ok(())
    }

    /// All values of the first of these columns that there is.
    fn numbers(&self, names: &[String], wanted: &[&str]) -> Result<Option<Numbers>> {
        let leaf = wanted
            .iter()
            .find_map(|name| names.iter().position(|known| known == name));
        let Some(leaf) = leaf else {
            return Ok(None);
        };
        let mut numbers: Option<Numbers> = None;
        for group in 0..self.starts.len() {
            let mut cursor = self.cursor(leaf, group)?;
            let rows = self.starts.get(group + 1).copied();
            let rows = rows.unwrap_or_else(|| self.contents.rows()) - self.starts[group];
            let part = cursor
                .numbers(rows)
                .map_err(|source| unreadable(&self.contents.path, source))?;
            match (&mut numbers, part) {
                (Some(Numbers::Integers(all)), Numbers::Integers(part)) => all.extend(part),
                (Some(Numbers::Floats(all)), Numbers::Floats(part)) => all.extend(part),
                (all, part) => *all = Some(part),
            }
        }
        Ok(numbers.filter(|numbers| numbers.len() == self.contents.rows()))
    }
}

/// The split that shards have in their names, as in `test-00003-of-00026.parquet`; those of a validation split
/// are there to train.
fn split_in_name(path: &Path) -> Splits {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let starts = |start: &str| name.starts_with(start);
    if starts("test") {
        Splits::All(Split::Test)
    } else if starts("train") || starts("val") {
        Splits::All(Split::Train)
    } else {
        Splits::ById
    }
}

fn unreadable(path: &Path, source: ParquetError) -> Error {
    Error::input(format!(
        "Parquet file cannot be read: {source}; it may be damaged or cut short"
    ))
    .caused_by(source)
    .in_file(path)
}

impl Source for ParquetShard {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        Ok(SourceLabels {
            object_id: self.object_ids[rows.clone()].to_vec(),
            redshift: self.redshifts[rows].to_vec(),
        })
    }

    fn read_images(&self, wanted: &[(usize, usize)], out: &mut [f32]) -> Result<()> {
        let (Some(images), Some([bands, height, width])) =
            (&self.images, self.contents.image_shape)
        else {
            return Ok(());
        };
        let pixels = bands * height * width;
        self.read_rows(images, wanted, |position, values| {
            let image = &mut out[position * pixels..][..pixels];
            let planes = image.chunks_exact_mut(height * width);
            for (band, plane) in planes.enumerate() {
                super::table::transpose(plane, &values[band..], bands, height, width);
            }
        })
    }

    fn read_spectra(&self, wanted: &[(usize, usize)], out: &mut StoredSpectra<'_>) -> Result<()> {
        let Some(spectra) = &self.spectra else {
            return Ok(());
        };
        self.read_rows(spectra, wanted, |position, values| {
            out.flux[position * DESI_GRID.len..][..DESI_GRID.len].copy_from_slice(values);
        })
    }

    fn place(&self, what: Modality, row: usize) -> String {
        let column = match what {
            Modality::Image => "image",
            Modality::Spectrum => "spectrum",
        };
        format!("column `{column}` row {row}")
    }
}
