//! Spectra in the columns of an HDF5 file: flux, which of its pixels are good, their wavelengths.

use super::column::Column;
use crate::base::error::Result;
use crate::files::data::source::{StoredSpectra, Wavelengths};

/// The columns of some spectra, of one shape.
#[derive(Debug)]
pub(super) struct SpectrumColumns {
    pub flux: Column,
    /// Inverse variance: a pixel with none, or one that is not finite, is bad.
    pub ivar: Option<Column>,
    /// Other than zero where a pixel is bad.
    pub mask: Option<Column>,
    pub wavelengths: StoredWavelengths,
}

/// Where the wavelengths of stored spectra are.
#[derive(Debug)]
pub(super) enum StoredWavelengths {
    /// The same for all spectra, Å.
    Known(Vec<f64>),
    /// A row for each spectrum.
    Rows(Column),
}

impl StoredWavelengths {
    /// The wavelengths of a dataset of `(pixels)` or `(n, pixels)`.
    ///
    /// # Errors
    /// Where it has another shape, or cannot be read.
    pub fn of(column: Column) -> Result<Self> {
        match *column.shape() {
            [pixels] if pixels > 0 => Ok(Self::Known(column.read_range(0..pixels)?)),
            [rows, pixels] | [rows, pixels, 1] if rows > 0 && pixels > 0 => Ok(Self::Rows(column)),
            ref other => Err(column.error(format!(
                "has shape {other:?}; expected one wavelength per pixel, (pixels) or (n, pixels)"
            ))),
        }
    }

    fn pixels(&self) -> usize {
        match self {
            Self::Known(values) => values.len(),
            Self::Rows(column) => column.shape()[1],
        }
    }

    /// As the data set takes them.
    ///
    /// # Errors
    /// Where those of the first spectrum cannot be read.
    pub fn described(&self) -> Result<Wavelengths> {
        Ok(match self {
            Self::Known(values) => Wavelengths::Shared(values.clone()),
            Self::Rows(column) => {
                let first: Vec<f64> = column.read_range(0..1)?;
                Wavelengths::per_row(&first)
            }
        })
    }
}

impl SpectrumColumns {
    /// Spectra of flux alone.
    pub fn new(flux: Column, wavelengths: StoredWavelengths) -> Self {
        Self {
            flux,
            ivar: None,
            mask: None,
            wavelengths,
        }
    }

    /// Checks that all columns go together: flux of `(n, pixels)` or `(n, pixels, 1)`, and the others as it is.
    ///
    /// # Errors
    /// Names the column that does not.
    pub fn check(&self) -> Result<()> {
        let pixels = self.wavelengths.pixels();
        match *self.flux.shape() {
            [_, stored] | [_, stored, 1] if stored == pixels => {}
            ref other => {
                return Err(self.flux.error(format!(
                    "has shape {other:?}; expected (n, {pixels}) or (n, {pixels}, 1), one pixel per \
                     wavelength"
                )));
            }
        }
        let expected = &self.flux.shape()[..2];
        let rows = match &self.wavelengths {
            StoredWavelengths::Rows(column) => Some(column),
            StoredWavelengths::Known(_) => None,
        };
        for column in [&self.ivar, &self.mask].into_iter().flatten().chain(rows) {
            match *column.shape() {
                [rows, pixels] | [rows, pixels, 1] if [rows, pixels] == *expected => {}
                ref other => {
                    return Err(column.error(format!(
                        "has shape {other:?}; expected that of the flux, {:?}",
                        self.flux.shape()
                    )));
                }
            }
        }
        Ok(())
    }

    /// Whether the file can say which pixels are bad.
    pub fn flag_pixels(&self) -> bool {
        self.ivar.is_some() || self.mask.is_some()
    }

    /// Reads spectra, as [`Source::read_spectra`](crate::files::data::source::Source::read_spectra) does.
    pub fn read(&self, wanted: &[(usize, usize)], out: &mut StoredSpectra<'_>) -> Result<()> {
        self.flux.read_into(wanted, out.flux)?;
        let pixels = self.flux.shape()[1];
        if let Some(ivar) = &self.ivar {
            ivar.for_rows(wanted, |position, ivar| {
                let bad = &mut out.bad[position * pixels..][..pixels];
                for (bad, &ivar) in bad.iter_mut().zip(ivar) {
                    // Without a branch, so that it runs on whole vectors.
                    *bad = !((ivar > 0.0) & (ivar < f32::INFINITY));
                }
            })?;
        }
        if let Some(mask) = &self.mask {
            mask.for_rows(wanted, |position, mask| {
                let bad = &mut out.bad[position * pixels..][..pixels];
                for (bad, &mask) in bad.iter_mut().zip(mask) {
                    *bad |= mask != 0.0;
                }
            })?;
        }
        if let StoredWavelengths::Rows(column) = &self.wavelengths {
            column.for_rows_exact(wanted, |position, values| {
                out.wavelengths[position * pixels..][..pixels].copy_from_slice(values);
            })?;
        }
        Ok(())
    }
}
