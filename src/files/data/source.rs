//! What a reader of one file format provides.

use std::fmt::Debug;
use std::ops::Range;
use std::path::PathBuf;

use super::describe::GroupDescription;
use crate::base::error::Result;
use crate::files::catalog::Column;
use crate::survey::{Modality, ObjectId, Split, Target};

/// The galaxies of one file. Of a kind of data that a file does not hold, nothing is read.
///
/// All methods may be called from several threads.
pub(super) trait Source: Debug + Send + Sync {
    /// What the file holds.
    fn contents(&self) -> &Contents;

    /// Identifiers and redshifts of these rows.
    ///
    /// # Errors
    /// Where the file cannot be read.
    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels>;

    /// Right ascension and declination of these rows, degrees: [`NOWHERE`] where unknown. They are read when they are
    /// asked for.
    ///
    /// # Errors
    /// Where the file cannot be read.
    fn positions(&self, rows: Range<usize>) -> Result<Vec<[f64; 2]>> {
        Ok(vec![NOWHERE; rows.len()])
    }

    /// Columns of one value for each galaxy, as the file has them. They are read when they are asked for.
    ///
    /// # Errors
    /// Where the file cannot be read.
    fn columns(&self) -> Result<Vec<Column>> {
        Ok(Vec::new())
    }

    /// Reads images of `contents().image_shape`, bands in the order of the survey: of each
    /// `(position, row)` into place `position` of `out`.
    ///
    /// # Errors
    /// Where the file cannot be read; the message names the row.
    fn read_images(&self, _wanted: &[(usize, usize)], _out: &mut [f32]) -> Result<()> {
        Ok(())
    }

    /// Reads spectra as they are stored: of each `(position, row)` into place `position` of `out`. What becomes of bad
    /// pixels and other wavelengths is the data set's matter.
    ///
    /// # Errors
    /// Where the file cannot be read; the message names the row.
    fn read_spectra(&self, _wanted: &[(usize, usize)], _out: &mut StoredSpectra<'_>) -> Result<()> {
        Ok(())
    }

    /// Where in the file a galaxy's image or spectrum is, for messages: "dataset `3/images` row 17".
    fn place(&self, what: Modality, row: usize) -> String;
}

/// The position of a galaxy of which none is known.
pub(super) const NOWHERE: [f64; 2] = [f64::NAN; 2];

/// What one file holds.
#[derive(Debug, Clone)]
pub(super) struct Contents {
    /// The file.
    pub path: PathBuf,
    /// Name of its format.
    pub format: &'static str,
    /// Groups in the order of their rows; one named `/` for a file without.
    pub groups: Vec<GroupDescription>,
    /// Bands, height and width of an image; the bands are those of the survey.
    pub image_shape: Option<[usize; 3]>,
    /// Bands as the file names them.
    pub band_names: Option<Vec<String>>,
    /// Wavelengths of the spectra's pixels, where there are spectra.
    pub wavelengths: Option<Wavelengths>,
    /// Whether spectra may have bad pixels, which [`Source::read_spectra`] flags.
    pub bad_pixels: bool,
    /// How galaxies are split.
    pub splits: Splits,
    /// Columns of the file's catalogue.
    pub catalog_columns: Vec<String>,
    /// What the file says of its images and spectra; what it does not is taken for granted.
    pub stated: Stated,
    /// What the positions of the galaxies on the sky are from; `None` where the file has none.
    pub positions: Option<String>,
    /// What a user should know about how the file was read, such as rows left out.
    pub notes: Vec<String>,
    /// What a user should look at: the numbers may not be what they seem.
    pub warnings: Vec<String>,
}

/// What a file itself says of its images and spectra.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Stated {
    /// The least and the largest pixel scale, arcsec.
    pub pixel_scale: Option<[f64; 2]>,
    /// Unit of the images.
    pub image_unit: Option<String>,
    /// Unit of the spectra.
    pub flux_unit: Option<String>,
    /// Whether the wavelengths are from the file.
    pub wavelengths: bool,
}

impl Contents {
    /// Number of galaxies.
    pub fn rows(&self) -> usize {
        self.groups.iter().map(|group| group.galaxies).sum()
    }
}

/// Wavelengths of the pixels of a file's spectra, Å.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wavelengths {
    /// The same for every spectrum.
    Shared(Vec<f64>),
    /// Every spectrum comes with its own, which [`Source::read_spectra`] hands out. Those that are no positive number
    /// belong to pixels that are none, at the ends.
    PerRow {
        /// How many.
        pixels: usize,
        /// The least and the largest of the first spectrum.
        ends: [f64; 2],
    },
}

impl Wavelengths {
    /// [`Wavelengths::PerRow`], by those of the first spectrum.
    pub fn per_row(first: &[f64]) -> Self {
        let real = first
            .iter()
            .copied()
            .filter(|wave| *wave > 0.0 && wave.is_finite());
        Self::PerRow {
            pixels: first.len(),
            ends: real.fold([f64::INFINITY, 0.0], |[least, most], wave| {
                [wave.min(least), wave.max(most)]
            }),
        }
    }

    /// Pixels of a spectrum.
    pub fn pixels(&self) -> usize {
        match self {
            Self::Shared(values) => values.len(),
            Self::PerRow { pixels, .. } => *pixels,
        }
    }

    /// The least and the largest, of the first spectrum.
    pub fn ends(&self) -> [f64; 2] {
        match self {
            Self::Shared(values) => [values[0], values[values.len() - 1]],
            Self::PerRow { ends, .. } => *ends,
        }
    }
}

/// Spectra as a file has them, one behind the other, each of as many pixels as `contents().wavelengths` has.
pub(super) struct StoredSpectra<'a> {
    /// Flux density.
    pub flux: &'a mut [f32],
    /// Whether a pixel is bad, whatever its flux; empty without [`Contents::bad_pixels`], false elsewhere until it is
    /// flagged.
    pub bad: &'a mut [bool],
    /// Wavelengths, Å; empty where all spectra share theirs.
    pub wavelengths: &'a mut [f64],
}

/// How a file's galaxies are split into training and test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Splits {
    /// The first 80 % of each group train, as in the released data set.
    ByGroup,
    /// 80 % train, chosen by their identifier: for formats of many small files, whose order means nothing.
    ById,
    /// The file says that all of its galaxies are of one split.
    All(Split),
}

/// Identifiers and redshifts of some rows.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceLabels {
    /// `None` for a row without one.
    pub object_id: Vec<Option<ObjectId>>,
    /// NaN where unknown.
    pub redshift: Vec<f32>,
}

/// A redshift as files have it; NaN for those that no galaxy can have, such as −99 and 9999.
pub(super) fn known_redshift(redshift: f64) -> f32 {
    Target::Redshift.known(redshift) as f32
}

/// The wanted rows by part, where part `i` has the rows from `starts[i]` on: `(position, row in the part)`.
pub(super) fn by_part(
    starts: &[usize],
    wanted: impl IntoIterator<Item = (usize, usize)>,
) -> Vec<(usize, Vec<(usize, usize)>)> {
    let mut parts: Vec<(usize, Vec<(usize, usize)>)> = Vec::new();
    for (position, row) in wanted {
        let part = starts.partition_point(|&start| start <= row) - 1;
        let place = (position, row - starts[part]);
        match parts.iter_mut().find(|(known, _)| *known == part) {
            Some((_, rows)) => rows.push(place),
            None => parts.push((part, vec![place])),
        }
    }
    parts.sort_unstable_by_key(|(part, _)| *part);
    parts
}
