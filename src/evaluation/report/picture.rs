//! Pictures as PNG: whole or as thumbnails.

use std::io;

use base64::{Engine, engine::general_purpose::STANDARD};
use ndarray::{Array3, ArrayView3, s};

use crate::base::error::{Error, Result};

/// Encodes `(3, height, width)` red, green, blue in [0, 1] as an 8-bit PNG. Values outside are clipped,
/// NaN is black.
///
/// # Errors
/// [`Error::input`] if the picture has no pixels or not three channels.
pub fn png(image: ArrayView3<'_, f32>) -> Result<Vec<u8>> {
    let (channels, height, width) = image.dim();
    if channels != 3 || height == 0 || width == 0 {
        return Err(Error::input(format!(
            "a picture has the shape {:?}; expected (3, height, width) with at least one pixel",
            image.dim()
        )));
    }
    let bytes: Vec<u8> = image
        .permuted_axes([1, 2, 0])
        .iter()
        // The cast takes NaN to 0.
        .map(|&value| (value.clamp(0.0, 1.0) * 255.0).round() as u8)
        .collect();
    let side = |length: usize| {
        u32::try_from(length)
            .map_err(|_| Error::input(format!("{length} pixels are too many for a PNG")))
    };
    let mut encoded = Vec::new();
    let mut encoder = png::Encoder::new(&mut encoded, side(width)?, side(height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    encoder.set_filter(png::Filter::Adaptive);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(&bytes))
        .map_err(io::Error::from)?;
    Ok(encoded)
}

/// The central `fraction` of a picture `(3, height, width)`, averaged down so that no side is longer
/// than `side`; never enlarged.
pub fn thumbnail(image: ArrayView3<'_, f32>, fraction: f64, side: usize) -> Array3<f32> {
    let (_, height, width) = image.dim();
    let kept = |length: usize| {
        let kept = ((length as f64 * fraction).round() as usize).clamp(length.min(1), length);
        let start = (length - kept) / 2;
        start..start + kept
    };
    let (rows, columns) = (kept(height), kept(width));
    let image = image.slice(s![.., rows, columns]);
    let (channels, height, width) = image.dim();
    let ratio = (height.max(width) as f64 / side.max(1) as f64).max(1.0);
    let shrunk = |length: usize| ((length as f64 / ratio).round() as usize).max(length.min(1));
    let (rows, columns) = (
        box_weights(height, shrunk(height)),
        box_weights(width, shrunk(width)),
    );
    Array3::from_shape_fn((channels, rows.len(), columns.len()), |(channel, y, x)| {
        let mut sum = 0.0;
        for &(row, row_weight) in &rows[y] {
            for &(column, column_weight) in &columns[x] {
                sum += row_weight * column_weight * image[[channel, row, column]];
            }
        }
        sum
    })
}

/// For each of `to` output pixels, the input pixels (of `from`) that it covers and their weights.
fn box_weights(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let ratio = from as f64 / to.max(1) as f64;
    (0..to)
        .map(|index| {
            let (start, end) = (index as f64 * ratio, (index + 1) as f64 * ratio);
            (start as usize..(end.ceil() as usize).min(from))
                .map(|pixel| {
                    let covered = end.min(pixel as f64 + 1.0) - start.max(pixel as f64);
                    (pixel, (covered / ratio) as f32)
                })
                .collect()
        })
        .collect()
}

/// A PNG as the `src` of an HTML picture.
pub(super) fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}
