//! Survey files as tables of galaxies with random access to their rows, and the order in which training
//! visits the rows.
//!
//! A file's format is recognised by its content. A new layout of HDF5 files gets a file of its own
//! beside [`joint`] and a line in [`hdf5_file::LAYOUTS`]; a new container gets an arm in
//! `open_file`.

mod concatenated;
mod hdf5_file;
mod image_file;
mod joint;
pub mod loader;
pub mod sampler;
mod spectrum_file;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array4};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::survey::{ObjectId, Split};
use concatenated::Concatenated;

/// Galaxies with images, spectra or both, read row by row from files.
///
/// All methods may be called from several threads; reads of HDF5 files take turns.
pub trait Dataset: Send + Sync {
    /// Number of galaxies.
    fn len(&self) -> usize {
        self.object_ids().len()
    }

    /// Whether there are no galaxies.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`Dataset::images`] has something to read.
    fn has_images(&self) -> bool {
        self.image_size().is_some()
    }

    /// Whether [`Dataset::spectra`] has something to read.
    fn has_spectra(&self) -> bool;

    /// Side of the images in pixels; `None` without images.
    fn image_size(&self) -> Option<usize>;

    /// Identifier of every galaxy. A row without one has `-(row + 1)`.
    fn object_ids(&self) -> &[ObjectId];

    /// Redshift of every galaxy, NaN where unknown.
    fn redshifts(&self) -> &[f32];

    /// Training or test, for every galaxy: the first 80 % of each group of a file train; a file
    /// without groups is one group.
    fn splits(&self) -> &[Split];

    /// Images of these rows, in this order: `(n, 3, S, S)`, bands g, r, z, nanomaggies.
    ///
    /// # Errors
    /// Without images, where the file cannot be read, and where an image holds a NaN or an infinity.
    fn images(&self, rows: &[usize]) -> Result<Array4<f32>>;

    /// Spectra of these rows, in this order: `(n, 7781)` on [`DESI_GRID`](crate::survey::DESI_GRID),
    /// 1e-17 erg/s/cm²/Å.
    ///
    /// # Errors
    /// Without spectra, where the file cannot be read, and where a spectrum holds a NaN or an
    /// infinity or is zero everywhere.
    fn spectra(&self, rows: &[usize]) -> Result<Array2<f32>>;

    /// What the files hold, for people.
    fn describe(&self) -> Description;
}

/// What a [`Dataset`] holds, for `astroclip inspect`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// Galaxies in all files.
    pub galaxies: usize,
    /// Galaxies of the training split.
    pub train: usize,
    /// Galaxies of the test split.
    pub test: usize,
    /// Galaxies whose redshift is known.
    pub with_redshift: usize,
    /// One entry per file, in the order given.
    pub files: Vec<FileDescription>,
}

/// What one survey file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FileDescription {
    /// The file.
    pub path: PathBuf,
    /// Name of its layout.
    pub format: &'static str,
    /// Galaxies in the file.
    pub galaxies: usize,
    /// Shape of one image, `[band, y, x]`; `None` without images.
    pub image_shape: Option<[usize; 3]>,
    /// Pixels of one spectrum; `None` without spectra.
    pub spectrum_pixels: Option<usize>,
    /// Galaxies with an identifier of their own in the file.
    pub with_object_id: usize,
    /// Columns of the file's `catalog` group; empty without one.
    pub catalog_columns: Vec<String>,
    /// The groups in the order of their rows; one named `/` for a file without groups.
    pub groups: Vec<GroupDescription>,
}

/// What one group of a survey file holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupDescription {
    /// Name of the group.
    pub name: String,
    /// Galaxies in the group.
    pub galaxies: usize,
    /// Whether its images or spectra are compressed.
    pub compressed: bool,
}

/// Opens survey files of any known format; several are concatenated in the order given.
///
/// # Errors
/// Where a file is missing, damaged or of no known layout, and where the files do not go together:
/// one without images or spectra that another has, or another size of image.
pub fn open(paths: &[PathBuf]) -> Result<Box<dyn Dataset>> {
    let mut files = paths
        .iter()
        .map(|path| Ok((path.as_path(), open_file(path)?)))
        .collect::<Result<Vec<_>>>()?;
    match files.len() {
        0 => Err(Error::input("no survey file given; name at least one")),
        1 => Ok(files.remove(0).1),
        _ => Ok(Box::new(Concatenated::new(files)?)),
    }
}

fn open_file(path: &Path) -> Result<Box<dyn Dataset>> {
    let file = hdf5_file::open(path)?;
    for layout in hdf5_file::LAYOUTS {
        if (layout.recognises)(&file) {
            return Ok(Box::new((layout.open)(path, &file)?));
        }
    }
    Err(hdf5_file::unknown_layout(path, &file))
}
