//! Images: whole, or some rows of them.

use std::ops::Range;

use ndarray::{ArrayD, IxDyn};

use super::{FieldType, FitsFile, Hdu, HduKind, Scaling};
use crate::base::error::Result;

/// Pixels that are read at once: a few bytes of compressed zeros claim any number.
pub(super) const MOST_PIXELS: usize = 1 << 26;

impl FitsFile {
    /// The shape of an image, the slowest axis first (the reverse of `NAXISn`, as NumPy has it).
    ///
    /// # Errors
    /// Where the HDU is no image or holds none, is compressed in a way that is not read, or the file is cut short.
    pub fn image_shape(&self, hdu: &Hdu) -> Result<Vec<usize>> {
        if hdu.kind == HduKind::CompressedImage {
            return Ok(self.tiles(hdu)?.shape());
        }
        let axes = hdu.size_of("NAXIS").unwrap_or(0);
        if hdu.kind != HduKind::Image || axes == 0 {
            return Err(self.error(hdu, "holds no image"));
        }
        let mut shape = (1..=axes)
            .map(|axis| hdu.size_of(&format!("NAXIS{axis}")))
            .collect::<Option<Vec<usize>>>()
            .ok_or_else(|| self.error(hdu, "has an axis without a length"))?;
        shape.reverse();
        let bytes = self.stored_type(hdu)?.bytes() as u64;
        let needed = (shape.iter()).fold(bytes, |size, &axis| size.saturating_mul(axis as u64));
        self.check_present(hdu, 0, needed)?;
        Ok(shape)
    }

    /// Reads an image of the shape of [`FitsFile::image_shape`]: scaled by `BSCALE` and `BZERO`, NaN where
    /// an integer is `BLANK`.
    ///
    /// # Errors
    /// Where the HDU is no image or holds none, is compressed in a way that is not read, or the file is cut short.
    pub fn image(&self, hdu: &Hdu) -> Result<ArrayD<f64>> {
        let shape = self.image_shape(hdu)?;
        let values = self.image_rows(hdu, 0..shape[0])?;
        ArrayD::from_shape_vec(IxDyn(&shape), values)
            .map_err(|_| self.error(hdu, format!("has axes {shape:?} that cannot be")))
    }

    /// Reads some rows of an image, those of its slowest axis, one after the other.
    ///
    /// # Errors
    /// As [`FitsFile::image`], and where there are no such rows.
    pub fn image_rows(&self, hdu: &Hdu, rows: Range<usize>) -> Result<Vec<f64>> {
        let shape = self.image_shape(hdu)?;
        if rows.end > shape[0] || rows.start > rows.end {
            return Err(self.error(
                hdu,
                format!("has {} rows, not {} to {}", shape[0], rows.start, rows.end),
            ));
        }
        let is_compressed = hdu.kind == HduKind::CompressedImage;
        let pixels = (shape[1..].iter()).try_fold(rows.len(), |all, &axis| all.checked_mul(axis));
        if pixels.is_none_or(|pixels| pixels > MOST_PIXELS) {
            return Err(self.error(
                hdu,
                format!("is an image of {shape:?} pixels; at most {MOST_PIXELS} are read at once"),
            ));
        }
        let blank = is_compressed.then(|| hdu.integer("ZBLANK")).flatten();
        let scaling = Scaling::new(
            hdu.number("BSCALE").unwrap_or(1.0),
            hdu.number("BZERO").unwrap_or(0.0),
            blank.or_else(|| hdu.integer("BLANK")),
        );
        if is_compressed {
            return self.tiled_rows(hdu, rows, &scaling);
        }
        let field_type = self.stored_type(hdu)?;
        // All of them are in the file, as the shape is.
        let row = shape[1..]
            .iter()
            .try_fold(1usize, |product, &axis| product.checked_mul(axis));
        let (first, count) = row
            .and_then(|row| Some((row.checked_mul(rows.start)?, row.checked_mul(rows.len())?)))
            .ok_or_else(|| self.error(hdu, "is too large"))?;
        let mut values = Vec::with_capacity(count);
        self.blocks(hdu, field_type.bytes(), first, count, |bytes| {
            values.push(scaling.number(field_type.decode(bytes)));
        })?;
        Ok(values)
    }

    /// How the pixels of an image are stored, before they are scaled and compressed.
    ///
    /// # Errors
    /// Where `BITPIX` is none that there is.
    pub fn stored_type(&self, hdu: &Hdu) -> Result<FieldType> {
        let key = match hdu.kind {
            HduKind::CompressedImage => "ZBITPIX",
            _ => "BITPIX",
        };
        Ok(match hdu.integer(key) {
            Some(8) => FieldType::U8,
            Some(16) => FieldType::I16,
            Some(32) => FieldType::I32,
            Some(64) => FieldType::I64,
            Some(-32) => FieldType::F32,
            Some(-64) => FieldType::F64,
            other => return Err(self.error(hdu, format!("has {key} = {other:?}"))),
        })
    }
}
