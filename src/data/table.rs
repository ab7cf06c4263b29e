use std::path::{Path, PathBuf};

use ndarray::{Array2, Array4, Axis};

use super::hdf5_file::Column;
use super::{Dataset, Description, FileDescription, GroupDescription, Split};
use crate::error::{Error, Result};
use crate::survey::{BANDS, DESI_GRID, ObjectId};

/// What files hold in place of an identifier where there is none.
const NO_OBJECT_ID: ObjectId = -1;

/// Redshifts below this are placeholders such as −99; the blueshift of a nearby star is not.
const LEAST_REDSHIFT: f64 = -0.1;

/// Rows stored together: one group of the joint layout, or a whole file without groups.
#[derive(Debug)]
pub(super) struct Group {
    name: String,
    rows: usize,
    images: Option<ImageColumn>,
    spectra: Option<Column>,
    object_ids: Vec<ObjectId>,
    redshifts: Vec<f32>,
}

#[derive(Debug)]
struct ImageColumn {
    column: Column,
    /// Whether the axes of a row are x, y, band rather than band, y, x.
    transposed: bool,
    size: usize,
}

impl Group {
    /// A group of `rows` rows that holds nothing yet; `name` is its name in the file.
    pub fn new(name: impl Into<String>, rows: usize) -> Self {
        Self {
            name: name.into(),
            rows,
            images: None,
            spectra: None,
            object_ids: vec![NO_OBJECT_ID; rows],
            redshifts: vec![f32::NAN; rows],
        }
    }

    /// Adds images of `(n, S, S, 3)` or `(n, 3, S, S)`.
    pub fn with_images(mut self, column: Column) -> Result<Self> {
        self.check_rows(&column)?;
        let bands = BANDS.len();
        let (size, transposed) = match *column.shape() {
            [_, first, height, width] if first == bands && height == width => (height, false),
            [_, height, width, last] if last == bands && height == width => (height, true),
            ref other => {
                return Err(column.error(format!(
                    "has shape {other:?}; expected square images in {bands} bands (g, r, z): \
                     (n, {bands}, S, S) or (n, S, S, {bands})"
                )));
            }
        };
        self.images = Some(ImageColumn {
            column,
            transposed,
            size,
        });
        Ok(self)
    }

    /// Adds spectra of `(n, 7781)` or `(n, 7781, 1)`.
    pub fn with_spectra(mut self, column: Column) -> Result<Self> {
        self.check_rows(&column)?;
        match *column.shape() {
            [_, pixels] | [_, pixels, 1] if pixels == DESI_GRID.len => {}
            ref other => {
                return Err(column.error(format!(
                    "has shape {other:?}; expected (n, {len}) or (n, {len}, 1): {len} pixels from \
                     {} Å in steps of {} Å",
                    DESI_GRID.start,
                    DESI_GRID.step,
                    len = DESI_GRID.len,
                )));
            }
        }
        self.spectra = Some(column);
        Ok(self)
    }

    /// Adds identifiers, where there are any.
    pub fn with_object_ids(mut self, column: Option<Column>) -> Result<Self> {
        if let Some(column) = column {
            self.check_scalar(&column)?;
            self.object_ids = column.read_all()?;
        }
        Ok(self)
    }

    /// Adds redshifts, where there are any; placeholders become NaN.
    pub fn with_redshifts(mut self, column: Option<Column>) -> Result<Self> {
        if let Some(column) = column {
            self.check_scalar(&column)?;
            self.redshifts = column
                .read_all::<f64>()?
                .into_iter()
                .map(
                    |redshift| match redshift.is_finite() && redshift > LEAST_REDSHIFT {
                        true => redshift as f32,
                        false => f32::NAN,
                    },
                )
                .collect();
        }
        Ok(self)
    }

    fn check_rows(&self, column: &Column) -> Result<()> {
        match column.shape()[0] {
            rows if rows == self.rows => Ok(()),
            rows => Err(column.error(format!(
                "has {rows} rows where the group's other datasets have {}",
                self.rows
            ))),
        }
    }

    fn check_scalar(&self, column: &Column) -> Result<()> {
        self.check_rows(column)?;
        match column.shape().iter().product::<usize>() {
            values if values == self.rows => Ok(()),
            _ => Err(column.error(format!(
                "has shape {:?}; expected one number per galaxy",
                column.shape()
            ))),
        }
    }
}

/// The galaxies of one HDF5 file, whatever its layout.
#[derive(Debug)]
pub(super) struct SurveyTable {
    path: PathBuf,
    format: &'static str,
    groups: Vec<Group>,
    /// First row of each group, and the number of rows at the end.
    starts: Vec<usize>,
    image_size: Option<usize>,
    has_spectra: bool,
    object_ids: Vec<ObjectId>,
    with_object_id: usize,
    redshifts: Vec<f32>,
    splits: Vec<Split>,
    catalog_columns: Vec<String>,
}

impl SurveyTable {
    /// Joins the groups of a file, at least one, in the order of their rows.
    ///
    /// # Errors
    /// Where one group lacks images or spectra that another has, or its images differ in size.
    pub fn new(
        path: &Path,
        format: &'static str,
        groups: Vec<Group>,
        catalog_columns: Vec<String>,
    ) -> Result<Self> {
        let image_size = |group: &Group| group.images.as_ref().map(|images| images.size);
        let first = &groups[0];
        let (size, has_spectra) = (image_size(first), first.spectra.is_some());
        for group in &groups[1..] {
            if image_size(group) != size || group.spectra.is_some() != has_spectra {
                return Err(Error::input(format!(
                    "{}: groups `{}` and `{}` do not hold the same: images of one size, spectra",
                    path.display(),
                    first.name,
                    group.name
                )));
            }
        }
        let mut starts = vec![0];
        let mut splits = Vec::new();
        let mut redshifts = Vec::new();
        let mut object_ids = Vec::new();
        for group in &groups {
            starts.push(starts[starts.len() - 1] + group.rows);
            splits.extend(Split::of_group(group.rows));
            redshifts.extend_from_slice(&group.redshifts);
            object_ids.extend_from_slice(&group.object_ids);
        }
        let mut without_id = 0;
        for (row, id) in object_ids.iter_mut().enumerate() {
            if *id == NO_OBJECT_ID {
                *id = substitute_id(row);
                without_id += 1;
            }
        }
        if without_id > 0 {
            tracing::warn!(
                "{}: {without_id} of {} rows have no object id; they get minus their row number, \
                 counted from 1",
                path.display(),
                object_ids.len()
            );
        }
        Ok(Self {
            path: path.to_owned(),
            format,
            starts,
            image_size: size,
            has_spectra,
            with_object_id: object_ids.len() - without_id,
            object_ids,
            redshifts,
            splits,
            groups,
            catalog_columns,
        })
    }

    /// The wanted rows by group: `(position in rows, row within the group)`.
    fn by_group(&self, rows: &[usize]) -> Vec<Vec<(usize, usize)>> {
        let mut wanted = vec![Vec::new(); self.groups.len()];
        for (position, &row) in rows.iter().enumerate() {
            assert!(row < self.len(), "row {row} of {}", self.len());
            let group = self.starts.partition_point(|&start| start <= row) - 1;
            wanted[group].push((position, row - self.starts[group]));
        }
        wanted
    }

    fn lacks(&self, what: &str) -> Error {
        Error::input(format!(
            "{}: holds no {what} (layout: {}); give a file with {what}",
            self.path.display(),
            self.format
        ))
    }
}

/// Identifier of a row whose file has none.
pub(super) fn substitute_id(row: usize) -> ObjectId {
    -(row as ObjectId) - 1
}

impl Dataset for SurveyTable {
    fn image_size(&self) -> Option<usize> {
        self.image_size
    }

    fn has_spectra(&self) -> bool {
        self.has_spectra
    }

    fn object_ids(&self) -> &[ObjectId] {
        &self.object_ids
    }

    fn redshifts(&self) -> &[f32] {
        &self.redshifts
    }

    fn splits(&self) -> &[Split] {
        &self.splits
    }

    fn images(&self, rows: &[usize]) -> Result<Array4<f32>> {
        let size = self.image_size.ok_or_else(|| self.lacks("images"))?;
        let mut out = Array4::zeros((rows.len(), BANDS.len(), size, size));
        for (group, wanted) in self.groups.iter().zip(self.by_group(rows)) {
            let Some(ImageColumn {
                column, transposed, ..
            }) = &group.images
            else {
                continue;
            };
            column.read_rows(&wanted, |position, row, values| {
                check_finite(column, row, values)?;
                let mut image = out.index_axis_mut(Axis(0), position);
                let image = image
                    .as_slice_mut()
                    .expect("a row of a standard-layout array");
                match transposed {
                    true => reverse_axes(values, size, image),
                    false => image.copy_from_slice(values),
                }
                Ok(())
            })?;
        }
        Ok(out)
    }

    fn spectra(&self, rows: &[usize]) -> Result<Array2<f32>> {
        if !self.has_spectra {
            return Err(self.lacks("spectra"));
        }
        let mut out = Array2::zeros((rows.len(), DESI_GRID.len));
        for (group, wanted) in self.groups.iter().zip(self.by_group(rows)) {
            let Some(column) = &group.spectra else {
                continue;
            };
            column.read_rows(&wanted, |position, row, values| {
                check_finite(column, row, values)?;
                if values.iter().all(|&flux| flux == 0.0) {
                    return Err(column.error(format!(
                        "row {row}: spectrum is zero everywhere; remove the row"
                    )));
                }
                out.row_mut(position)
                    .as_slice_mut()
                    .expect("a row of a standard-layout array")
                    .copy_from_slice(values);
                Ok(())
            })?;
        }
        Ok(out)
    }

    fn describe(&self) -> Description {
        let train = self
            .splits
            .iter()
            .filter(|&&split| split == Split::Train)
            .count();
        let compressed = |group: &Group| {
            let images = group.images.as_ref().map(|images| &images.column);
            images
                .into_iter()
                .chain(&group.spectra)
                .any(Column::is_compressed)
        };
        Description {
            galaxies: self.len(),
            train,
            test: self.len() - train,
            with_redshift: self
                .redshifts
                .iter()
                .filter(|redshift| !redshift.is_nan())
                .count(),
            files: vec![FileDescription {
                path: self.path.clone(),
                format: self.format,
                galaxies: self.len(),
                image_shape: self.image_size.map(|size| [BANDS.len(), size, size]),
                spectrum_pixels: self.has_spectra.then_some(DESI_GRID.len),
                with_object_id: self.with_object_id,
                catalog_columns: self.catalog_columns.clone(),
                groups: self
                    .groups
                    .iter()
                    .map(|group| GroupDescription {
                        name: group.name.clone(),
                        galaxies: group.rows,
                        compressed: compressed(group),
                    })
                    .collect(),
            }],
        }
    }
}

/// Copies an image from axes x, y, band to band, y, x.
fn reverse_axes(from: &[f32], size: usize, to: &mut [f32]) {
    // Squares whose lines stay in the cache on both sides.
    const TILE: usize = 16;
    let bands = BANDS.len();
    for (first_x, first_y) in (0..size)
        .step_by(TILE)
        .flat_map(|x| (0..size).step_by(TILE).map(move |y| (x, y)))
    {
        let columns = first_x..(first_x + TILE).min(size);
        for y in first_y..(first_y + TILE).min(size) {
            for band in 0..bands {
                let line = &mut to[(band * size + y) * size..][..size];
                for (x, value) in columns.clone().zip(&mut line[columns.clone()]) {
                    *value = from[(x * size + y) * bands + band];
                }
            }
        }
    }
}

fn check_finite(column: &Column, row: usize, values: &[f32]) -> Result<()> {
    // Without an early exit the loop runs on whole vectors.
    if values
        .iter()
        .fold(true, |finite, value| finite & value.is_finite())
    {
        return Ok(());
    }
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    let first = values
        .iter()
        .position(|value| !value.is_finite())
        .expect("a value is not finite");
    Err(column.error(format!(
        "row {row}: {bad} of {} values are NaN or infinite, the first ({}) at place {first}; \
         remove the row or fill these values",
        values.len(),
        values[first]
    )))
}
