//! Survey files as one table of galaxies with random access to its rows.

mod check;
mod join;
mod pairs;
mod read;
mod spectra;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub use read::Galaxies;

use super::describe::{Description, FileDescription, known_of};
use super::rows::RowSet;
use super::source::{Contents, NOWHERE, Source, SourceLabels, Wavelengths};
use crate::base::error::Result;
use crate::files::catalog::{Column, Position};
use crate::survey::{Modality, ObjectId, Split, Survey};
use pairs::Pairs;
use spectra::Placing;

/// Galaxies with images, spectra or both, read row by row from files: as the survey says, whatever the
/// format. Memory does not grow with the number of galaxies, except for 80 % splits by identifier, which
/// take some bytes for each, and for images and spectra in different files, which take 48, and 16 more once positions
/// are asked for.
///
/// All methods may be called from several threads.
#[derive(Debug)]
pub struct Dataset {
    survey: Survey,
    parts: Vec<Part>,
    /// First row of each part.
    starts: Vec<usize>,
    /// The galaxies, where their images and their spectra lie in different parts; else they are the rows of the parts.
    pairs: Option<Pairs>,
    len: usize,
    /// Whether images with bands that were not observed are taken.
    missing_bands: bool,
    /// Side of the images, after they were cut.
    image_size: Option<usize>,
    train: RowSet,
    /// Whether it was said that there are galaxies without identifiers.
    told_of_missing_ids: AtomicBool,
    /// Whether a first image was looked at for what its values are.
    looked_at_images: AtomicBool,
    /// Whether it was said that there are spectra with gaps.
    told_of_gaps: AtomicBool,
}

/// One file.
#[derive(Debug)]
struct Part {
    source: Box<dyn Source>,
    /// To the survey's wavelengths, where the file's are others or pixels are flagged as bad.
    placing: Option<Placing>,
}

/// Identifiers and redshifts of some galaxies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    /// A galaxy without one has `-(row + 1)`.
    pub object_id: Vec<ObjectId>,
    /// NaN where unknown.
    pub redshift: Vec<f32>,
}

impl Dataset {
    /// Number of galaxies.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no galaxies.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What images and spectra look like once read.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Whether there are images, or spectra.
    pub fn has(&self, modality: Modality) -> bool {
        match modality {
            Modality::Image => self.image_size.is_some(),
            Modality::Spectrum => {
                let mut parts = self.parts.iter();
                parts.any(|part| part.source.contents().wavelengths.is_some())
            }
        }
    }

    /// Side of the images in pixels; `None` without images.
    pub fn image_size(&self) -> Option<usize> {
        self.image_size
    }

    /// The rows that train.
    pub fn train_rows(&self) -> &RowSet {
        &self.train
    }

    /// Training or test.
    pub fn split(&self, row: usize) -> Split {
        match self.train.contains(row) {
            true => Split::Train,
            false => Split::Test,
        }
    }

    /// The file in which a galaxy's image or spectrum is, and its row there.
    pub fn place(&self, modality: Modality, row: usize) -> (&Path, usize) {
        let (part, row) = self.find(modality, row);
        (&part.source.contents().path, row)
    }

    fn find(&self, modality: Modality, row: usize) -> (&Part, usize) {
        let row = self.stored(modality, row);
        let part = self.starts.partition_point(|&start| start <= row) - 1;
        (&self.parts[part], row - self.starts[part])
    }

    /// The row of a galaxy's image or spectrum among those of all parts.
    fn stored(&self, modality: Modality, row: usize) -> usize {
        let pairs = self.pairs.as_ref();
        pairs.map_or(row, |pairs| pairs.stored(modality, row))
    }

    /// Identifiers and redshifts of these rows.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn labels(&self, rows: Range<usize>) -> Result<Labels> {
        if let Some(pairs) = &self.pairs {
            return Ok(pairs.labels(rows));
        }
        let mut labels = Labels::default();
        for (part, &start) in self.parts.iter().zip(&self.starts) {
            let end = start + part.source.contents().rows();
            let (from, to) = (rows.start.max(start), rows.end.min(end));
            if from >= to {
                continue;
            }
            let SourceLabels {
                object_id,
                redshift,
            } = part.source.labels(from - start..to - start)?;
            let missing = object_id.iter().filter(|id| id.is_none()).count();
            if missing > 0 && !self.told_of_missing_ids.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "{}: galaxies have no object id; they get minus their row number, counted from 1",
                    part.source.contents().path.display()
                );
            }
            let ids = object_id.into_iter().enumerate();
            labels.object_id.extend(
                ids.map(|(row, id)| id.unwrap_or_else(|| ObjectId::substitute(from + row))),
            );
            labels.redshift.extend(redshift);
        }
        Ok(labels)
    }

    /// Right ascension and declination of these rows, degrees, as the files have them; NaN where unknown. Of a galaxy whose
    /// image and spectrum lie in different files it is the image's, or else the spectrum's.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn positions(&self, rows: Range<usize>) -> Result<Vec<[f64; 2]>> {
        match &self.pairs {
            Some(pairs) => pairs.positions(rows, |modality| self.all_positions(modality)),
            None => self.stored_positions(rows),
        }
    }

    /// Those of the parts that hold images, or spectra; unknown for all others.
    fn all_positions(&self, modality: Modality) -> Result<Vec<[f64; 2]>> {
        let mut positions = Vec::with_capacity(self.len);
        for part in &self.parts {
            let contents = part.source.contents();
            match holds(contents)[modality as usize] {
                true => {
                    let stored = part.source.positions(0..contents.rows())?;
                    positions.extend(stored.into_iter().map(known_position));
                }
                false => positions.resize(positions.len() + contents.rows(), NOWHERE),
            }
        }
        Ok(positions)
    }

    /// Those of rows of all parts.
    fn stored_positions(&self, rows: Range<usize>) -> Result<Vec<[f64; 2]>> {
        let mut positions = Vec::with_capacity(rows.len());
        for (part, &start) in self.parts.iter().zip(&self.starts) {
            let end = start + part.source.contents().rows();
            let (from, to) = (rows.start.max(start), rows.end.min(end));
            if from < to {
                positions.extend(part.source.positions(from - start..to - start)?);
            }
        }
        for position in &mut positions {
            *position = known_position(*position);
        }
        Ok(positions)
    }

    /// The columns of one value for each galaxy that the files have, file by file: their own catalogues.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn columns(&self) -> impl Iterator<Item = Result<Vec<Column>>> {
        self.parts.iter().map(|part| part.source.columns())
    }

    /// What the files hold, for people.
    pub fn describe(&self) -> Description {
        let files = self.parts.iter().map(|part| {
            let contents = part.source.contents();
            let wavelengths = contents.wavelengths.as_ref();
            let placing = part.placing.as_ref();
            let [stated, assumed] = known_of(contents, &self.survey);
            let mut notes = [contents.warnings.as_slice(), &contents.notes].concat();
            notes.extend(placing.and_then(Placing::note));
            FileDescription {
                path: contents.path.clone(),
                format: contents.format,
                galaxies: contents.rows(),
                bands: contents.band_names.clone().unwrap_or_default(),
                image_shape: contents.image_shape,
                spectrum_pixels: wavelengths.map(Wavelengths::pixels),
                wavelength_range: wavelengths.map(Wavelengths::ends),
                wavelength_coverage: wavelengths.map(|_| placing.map_or(1.0, Placing::coverage)),
                catalog_columns: contents.catalog_columns.clone(),
                stated,
                assumed,
                positions: contents.positions.clone(),
                groups: contents.groups.clone(),
                pixels: placing.map(Placing::pixel_counts).unwrap_or_default(),
                notes,
            }
        });
        Description {
            galaxies: self.len,
            train: self.train.len(),
            test: self.len - self.train.len(),
            files: files.collect(),
            notes: self
                .pairs
                .as_ref()
                .map_or_else(Vec::new, |pairs| pairs.notes.clone()),
        }
    }
}

/// A position with a right ascension from 0 to 360 degrees; [`NOWHERE`] where it is none on the sphere.
fn known_position([ra, dec]: [f64; 2]) -> [f64; 2] {
    Position::new(ra, dec).map_or(NOWHERE, |_| [ra.rem_euclid(360.0), dec])
}

/// Whether a file has images, and whether it has spectra: in the order of [`Modality::ALL`].
fn holds(contents: &Contents) -> [bool; 2] {
    [
        contents.image_shape.is_some(),
        contents.wavelengths.is_some(),
    ]
}

fn plural(modality: Modality) -> &'static str {
    match modality {
        Modality::Image => "images",
        Modality::Spectrum => "spectra",
    }
}
