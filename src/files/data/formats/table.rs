//! Groups of HDF5 columns as the galaxies of a file.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::files::catalog::{Column as TableColumn, Table, position_columns};
use crate::files::container::hdf5_file::{self, member_names};
use crate::files::data::describe::GroupDescription;
use crate::files::data::source::{
    Contents, NOWHERE, Source, SourceLabels, Splits, Stated, StoredSpectra, by_part, known_redshift,
};
use crate::files::identifiers;
use crate::survey::{Modality, ObjectId, Survey};

use super::column::Column;
use super::cutout::{EIGHT_BITS, INTEGERS};
use super::joint::CATALOG;
use super::planes::{gather, transpose};
use super::spectra::SpectrumColumns;

/// Rows stored together: one group of the joint layout, or a whole file without groups.
#[derive(Debug)]
pub(super) struct Group {
    name: String,
    rows: usize,
    images: Option<ImageColumn>,
    spectra: Option<SpectrumColumns>,
    object_ids: Option<Ids>,
    redshifts: Option<Column>,
    /// Right ascension and declination, degrees.
    positions: Option<[Column; 2]>,
    /// What is odd about its values.
    warning: Option<String>,
}

#[derive(Debug)]
struct ImageColumn {
    column: Column,
    axes: Axes,
    /// Place of each of the survey's bands among those stored.
    places: Vec<usize>,
    /// Bands stored.
    stored: usize,
    height: usize,
    width: usize,
}

/// Order of the axes of a stored image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axes {
    /// band, y, x.
    BandFirst,
    /// y, x, band.
    BandLast,
    /// x, y, band, as the released data set has them.
    Reversed,
}

#[derive(Debug)]
struct Ids {
    dataset: hdf5::Dataset,
    path: PathBuf,
}

/// The bands of stored images.
pub(super) struct Bands<'a> {
    pub survey: &'a Survey,
    /// As the file names them; else they are the survey's.
    pub names: Option<&'a [String]>,
    /// Axes where the bands come last.
    pub last: Axes,
}

impl Group {
    /// A group of `rows` rows that holds nothing yet; `name` is its name in the file.
    pub fn new(name: impl Into<String>, rows: usize) -> Self {
        Self {
            name: name.into(),
            rows,
            images: None,
            spectra: None,
            object_ids: None,
            redshifts: None,
            positions: None,
            warning: None,
        }
    }

    /// Adds images of `(n, bands, height, width)` or `(n, height, width, bands)`.
    pub fn with_images(mut self, column: Column, bands: &Bands<'_>) -> Result<Self> {
        self.check_rows(&column)?;
        match column.integer_bytes() {
            None => {}
            Some(1) => return Err(column.error(EIGHT_BITS)),
            Some(_) => self.warning = Some(format!("dataset `{}`: {INTEGERS}", column.name())),
        }
        let Bands {
            survey,
            names,
            last,
        } = *bands;
        let stored = names.map_or(survey.bands.len(), <[String]>::len);
        let places = match names {
            Some(names) => survey
                .places_of_bands(names)
                .map_err(|message| column.error(message))?,
            None => (0..stored).collect(),
        };
        let (height, width, axes) = match *column.shape() {
            [_, first, height, width] if first == stored => (height, width, Axes::BandFirst),
            [_, first, second, end] if end == stored => match last {
                Axes::Reversed => (second, first, last),
                _ => (first, second, last),
            },
            ref other => {
                return Err(column.error(format!(
                    "has shape {other:?}; expected images in {stored} bands ({}): (n, {stored}, S, S) or \
                     (n, S, S, {stored})",
                    names.unwrap_or(&survey.bands).join(", ")
                )));
            }
        };
        self.images = Some(ImageColumn {
            column,
            axes,
            places,
            stored,
            height,
            width,
        });
        Ok(self)
    }

    /// Adds spectra.
    pub fn with_spectra(mut self, spectra: SpectrumColumns) -> Result<Self> {
        self.check_rows(&spectra.flux)?;
        spectra.check()?;
        self.spectra = Some(spectra);
        Ok(self)
    }

    /// Adds identifiers: the first of these datasets of `group` that there is, of integers or text.
    pub fn with_object_ids(
        mut self,
        path: &Path,
        group: &hdf5::Group,
        names: &[&str],
    ) -> Result<Self> {
        let mut datasets = names
            .iter()
            .filter_map(|name| hdf5_file::dataset(path, group, name).transpose());
        if let Some(dataset) = datasets.next().transpose()? {
            let shape = dataset.shape();
            if shape.first() != Some(&self.rows) || shape.iter().product::<usize>() != self.rows {
                return Err(Error::input(format!(
                    "dataset `{}` has shape {shape:?}; expected one identifier for each of the {} galaxies",
                    dataset.name().trim_start_matches('/'),
                    self.rows
                ))
                .in_file(path));
            }
            // A type that holds none is refused before any work.
            identifiers::read(path, &dataset, None, 0..self.rows.min(1))?;
            self.object_ids = Some(Ids {
                dataset,
                path: path.to_owned(),
            });
        }
        Ok(self)
    }

    /// Adds redshifts, where there are any; placeholders become NaN.
    pub fn with_redshifts(mut self, column: Option<Column>) -> Result<Self> {
        if let Some(column) = column {
            self.check_scalar(&column)?;
            self.redshifts = Some(column);
        }
        Ok(self)
    }

    /// Adds positions, where `group` has datasets with the usual names of them and a number for each galaxy.
    pub fn with_positions(mut self, path: &Path, group: &hdf5::Group) -> Self {
        let names = member_names(group);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let open = |at: usize| {
            let column = Column::open(path, group, names[at]).ok()??;
            self.check_scalar(&column).ok().map(|()| column)
        };
        self.positions =
            position_columns(&names).and_then(|[ra, dec]| Some([open(ra)?, open(dec)?]));
        self
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

    fn image_shape(&self) -> Option<[usize; 3]> {
        let images = self.images.as_ref()?;
        Some([images.places.len(), images.height, images.width])
    }

    fn is_compressed(&self) -> bool {
        let images = self.images.as_ref().map(|images| &images.column);
        let spectra = self.spectra.as_ref().map(|spectra| &spectra.flux);
        images.into_iter().chain(spectra).any(Column::is_compressed)
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        Ok(SourceLabels {
            object_id: match &self.object_ids {
                None => vec![None; rows.len()],
                Some(Ids { dataset, path }) => {
                    let ids = identifiers::read(path, dataset, None, rows.clone())?;
                    ids.into_iter()
                        .map(|id| id.and_then(ObjectId::known))
                        .collect()
                }
            },
            redshift: match &self.redshifts {
                None => vec![f32::NAN; rows.len()],
                Some(column) => {
                    let redshifts: Vec<f64> = column.read_range(rows)?;
                    redshifts.into_iter().map(known_redshift).collect()
                }
            },
        })
    }
}

impl ImageColumn {
    fn read(&self, wanted: &[(usize, usize)], out: &mut [f32]) -> Result<()> {
        let in_order = self.places.iter().copied().eq(0..self.stored);
        if self.axes == Axes::BandFirst && in_order {
            return self.column.read_into(wanted, out);
        }
        let area = self.height * self.width;
        let pixels = self.places.len() * area;
        self.column.for_rows(wanted, |position, values| {
            let image = &mut out[position * pixels..][..pixels];
            for (plane, &band) in image.chunks_exact_mut(area).zip(&self.places) {
                match self.axes {
                    Axes::BandFirst => plane.copy_from_slice(&values[band * area..][..area]),
                    Axes::BandLast => gather(plane, &values[band..], self.stored),
                    Axes::Reversed => {
                        transpose(plane, &values[band..], self.stored, self.height, self.width);
                    }
                }
            }
        })
    }
}

/// The galaxies of one HDF5 file, whatever its layout.
#[derive(Debug)]
pub(super) struct Hdf5Table {
    contents: Contents,
    groups: Vec<Group>,
    /// First row of each group.
    starts: Vec<usize>,
}

impl Hdf5Table {
    /// Joins the groups of a file, at least one, in the order of their rows.
    ///
    /// # Errors
    /// Where one group lacks images or spectra that another has, or its images differ in size.
    pub fn new(path: &Path, format: &'static str, groups: Vec<Group>) -> Result<Self> {
        let first = &groups[0];
        for group in &groups[1..] {
            if group.image_shape() != first.image_shape()
                || group.spectra.is_some() != first.spectra.is_some()
            {
                return Err(Error::input(format!(
                    "groups `{}` and `{}` do not hold the same: images of one size, spectra",
                    first.name, group.name
                ))
                .in_file(path));
            }
        }
        let mut starts = Vec::with_capacity(groups.len());
        let mut rows = 0;
        for group in &groups {
            starts.push(rows);
            rows += group.rows;
        }
        let described = groups.iter().map(|group| GroupDescription {
            name: group.name.clone(),
            galaxies: group.rows,
            compressed: group.is_compressed(),
        });
        let spectra = first.spectra.as_ref();
        let wavelengths = spectra.map(|spectra| spectra.wavelengths.described());
        let contents = Contents {
            path: path.to_owned(),
            format,
            groups: described.collect(),
            image_shape: first.image_shape(),
            band_names: None,
            wavelengths: wavelengths.transpose()?,
            bad_pixels: groups.iter().any(|group| {
                let spectra = group.spectra.as_ref();
                spectra.is_some_and(SpectrumColumns::flag_pixels)
            }),
            splits: Splits::ByGroup,
            catalog_columns: Vec::new(),
            stated: Stated {
                image_unit: first
                    .images
                    .as_ref()
                    .and_then(|images| images.column.unit()),
                flux_unit: spectra.and_then(|spectra| spectra.flux.unit()),
                wavelengths: true,
                ..Stated::default()
            },
            positions: first.positions.as_ref().map(|columns| {
                let [ra, dec] = columns.each_ref().map(Column::last_name);
                format!("`{ra}` and `{dec}`")
            }),
            notes: Vec::new(),
            warnings: groups
                .iter()
                .find_map(|group| group.warning.clone())
                .into_iter()
                .collect(),
        };
        Ok(Self {
            contents,
            groups,
            starts,
        })
    }

    /// Changes what is said about the file.
    pub fn describe(mut self, change: impl FnOnce(&mut Contents)) -> Self {
        change(&mut self.contents);
        self
    }

    /// The group of a row, and the row within.
    fn find(&self, row: usize) -> (&Group, usize) {
        let group = self.starts.partition_point(|&start| start <= row) - 1;
        (&self.groups[group], row - self.starts[group])
    }
}

impl Source for Hdf5Table {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        let mut labels = SourceLabels::default();
        for (group, &start) in self.groups.iter().zip(&self.starts) {
            let (from, to) = (rows.start.max(start), rows.end.min(start + group.rows));
            if from < to {
                let part = group.labels(from - start..to - start)?;
                labels.object_id.extend(part.object_id);
                labels.redshift.extend(part.redshift);
            }
        }
        Ok(labels)
    }

    fn positions(&self, rows: Range<usize>) -> Result<Vec<[f64; 2]>> {
        let mut positions = Vec::with_capacity(rows.len());
        for (group, &start) in self.groups.iter().zip(&self.starts) {
            let (from, to) = (rows.start.max(start), rows.end.min(start + group.rows));
            if from >= to {
                continue;
            }
            match &group.positions {
                None => positions.resize(positions.len() + to - from, NOWHERE),
                Some([ra, dec]) => {
                    let rows = from - start..to - start;
                    let ra: Vec<f64> = ra.read_range(rows.clone())?;
                    let dec: Vec<f64> = dec.read_range(rows)?;
                    positions.extend(ra.into_iter().zip(dec).map(|(ra, dec)| [ra, dec]));
                }
            }
        }
        Ok(positions)
    }

    fn columns(&self) -> Result<Vec<TableColumn>> {
        let catalog = (!self.contents.catalog_columns.is_empty()).then_some(CATALOG);
        let groups = self.groups.iter().map(|group| group.name.as_str());
        let mut columns = Vec::new();
        for name in groups.chain(catalog) {
            // A group of images and spectra alone is no table.
            let table = Table::open_one(&self.contents.path, (name != "/").then_some(name));
            columns.extend(table.map(Table::into_columns).unwrap_or_default());
        }
        Ok(columns)
    }

    fn read_images(&self, wanted: &[(usize, usize)], out: &mut [f32]) -> Result<()> {
        for (group, rows) in by_part(&self.starts, wanted.iter().copied()) {
            if let Some(images) = &self.groups[group].images {
                images.read(&rows, out)?;
            }
        }
        Ok(())
    }

    fn read_spectra(&self, wanted: &[(usize, usize)], out: &mut StoredSpectra<'_>) -> Result<()> {
        for (group, rows) in by_part(&self.starts, wanted.iter().copied()) {
            if let Some(spectra) = &self.groups[group].spectra {
                spectra.read(&rows, out)?;
            }
        }
        Ok(())
    }

    fn place(&self, what: Modality, row: usize) -> String {
        let (group, row) = self.find(row);
        let column = match what {
            Modality::Image => group.images.as_ref().map(|images| &images.column),
            Modality::Spectrum => group.spectra.as_ref().map(|spectra| &spectra.flux),
        };
        let name = column.map_or("", Column::name);
        format!("dataset `{name}` row {row}")
    }
}
