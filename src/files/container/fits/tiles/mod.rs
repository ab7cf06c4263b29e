//! Images that are compressed tile by tile (FITS standard 4.0, section 10): by Rice, GZIP or not at all, integers and
//! floating point numbers, these rounded or not.

mod quantized;
mod rice;
#[cfg(test)]
mod tests;
mod unpack;

use std::ops::Range;

use super::image::MOST_PIXELS;
use super::table::TableLayout;
use super::{FieldType, FitsFile, Hdu, Scaling, Stored};
use crate::base::error::Result;
use quantized::{Dithering, Quantization};
use unpack::{Compression, unpack};

/// No way of compression makes more pixels of a byte: GZIP of bytes 1032, Rice fewer. An image that would be larger is
/// none.
const MOST_PIXELS_PER_BYTE: u64 = 1032;

/// A compressed image.
#[derive(Debug)]
pub(super) struct Tiles {
    /// Type of the pixels.
    field_type: FieldType,
    /// Pixels and tiles along each axis, the fastest first.
    axes: Vec<usize>,
    tile: Vec<usize>,
    layout: TableLayout,
    /// Columns of the tiles' bytes, the best first.
    columns: Vec<Column>,
    /// First byte of the heap, counted from the first of the data.
    heap: u64,
}

/// A column of tiles' bytes.
#[derive(Debug)]
struct Column {
    heap: Heap,
    compression: Compression,
    /// Whether floating point pixels may be rounded here. Tiles that could not be rounded well are stored as they are, in
    /// columns of their own.
    may_be_rounded: bool,
}

/// A column of places in the heap.
#[derive(Debug)]
struct Heap {
    offset: usize,
    /// Whether the places have 64 bits instead of 32.
    wide: bool,
    /// Bytes of an element.
    element: usize,
}

impl Heap {
    /// First byte in the heap, and number of bytes; `None` where these cannot be.
    fn place(&self, row: &[u8]) -> Option<(u64, u64)> {
        let bytes = &row[self.offset..];
        let (count, first) = match self.wide {
            true => (word(&bytes[..8]), word(&bytes[8..16])),
            false => (word(&bytes[..4]), word(&bytes[4..8])),
        };
        Some((first, count.checked_mul(self.element as u64)?))
    }
}

fn word(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |word, &byte| word << 8 | u64::from(byte))
}

impl FitsFile {
    /// The shape of a compressed image, the slowest axis first.
    fn tiled_shape(&self, hdu: &Hdu) -> Result<Vec<usize>> {
        let axes = hdu.size_of("ZNAXIS").unwrap_or(0);
        let mut shape = (1..=axes)
            .map(|axis| hdu.size_of(&format!("ZNAXIS{axis}")))
            .collect::<Option<Vec<usize>>>()
            .filter(|shape| !shape.is_empty())
            .ok_or_else(|| self.error(hdu, "is a compressed image without axes"))?;
        // An axis without pixels does not make the others small.
        let pixels = shape.iter().try_fold(1_u64, |product, &axis| {
            product.checked_mul(axis.max(1) as u64)
        });
        shape.reverse();
        let bytes = hdu.size.min(self.length.saturating_sub(hdu.offset));
        let most = bytes.saturating_mul(MOST_PIXELS_PER_BYTE);
        if pixels.is_none_or(|pixels| pixels > most) {
            return Err(self.error(
                hdu,
                format!("has {bytes} bytes for an image of {shape:?} pixels"),
            ));
        }
        Ok(shape)
    }

    /// How a compressed image is stored. What the header says of it is taken apart once.
    pub(super) fn tiles<'a>(&self, hdu: &'a Hdu) -> Result<&'a Tiles> {
        if let Some(tiles) = hdu.tiles.get() {
            return Ok(tiles);
        }
        let tiles = self.parsed_tiles(hdu)?;
        Ok(hdu.tiles.get_or_init(|| tiles))
    }

    fn parsed_tiles(&self, hdu: &Hdu) -> Result<Tiles> {
        let mut axes = self.tiled_shape(hdu)?;
        axes.reverse();
        let tile = (axes.iter().enumerate())
            .map(
                |(axis, &pixels)| match hdu.size_of(&format!("ZTILE{}", axis + 1)) {
                    Some(tile) => tile.clamp(1, pixels.max(1)),
                    None if axis == 0 => pixels.max(1),
                    None => 1,
                },
            )
            .collect();
        let value = |name: &str| {
            (1..)
                .map_while(|at| Some((hdu.text(&format!("ZNAME{at}"))?, at)))
                .find(|(known, _)| known.trim() == name)
                .and_then(|(_, at)| hdu.size_of(&format!("ZVAL{at}")))
        };
        let name = hdu.text("ZCMPTYPE").unwrap_or("").trim();
        let compression = match name {
            "RICE_1" | "RICE_ONE" => Compression::Rice {
                bytes: value("BYTEPIX").unwrap_or(4),
                block: value("BLOCKSIZE").unwrap_or(32),
            },
            "GZIP_1" => Compression::Gzip,
            "GZIP_2" => Compression::ShuffledGzip,
            "NOCOMPRESS" => Compression::None,
            _ => {
                return Err(self.error(
                    hdu,
                    format!(
                        "is an image compressed by '{name}'; RICE_1, GZIP_1 and GZIP_2 are read: unpack it \
                         first (funpack)"
                    ),
                ));
            }
        };
        let layout = self.layout(hdu)?;
        if layout.field("NULL_PIXEL_MASK").is_some() {
            return Err(self.error(
                hdu,
                "is a compressed image with a mask of pixels without a value; unpack it first (funpack)",
            ));
        }
        let columns = [
            ("COMPRESSED_DATA", compression, true),
            ("GZIP_COMPRESSED_DATA", Compression::Gzip, false),
            ("UNCOMPRESSED_DATA", Compression::None, false),
        ];
        let columns: Vec<Column> = columns
            .into_iter()
            .filter_map(|(name, compression, may_be_rounded)| {
                Some(Column {
                    heap: heap_column(hdu, &layout, name)?,
                    compression,
                    may_be_rounded,
                })
            })
            .collect();
        if columns.is_empty() {
            return Err(self.error(
                hdu,
                "is a compressed image without a column COMPRESSED_DATA",
            ));
        }
        Ok(Tiles {
            field_type: self.stored_type(hdu)?,
            axes,
            tile,
            columns,
            heap: match hdu.size_of("THEAP") {
                Some(heap) => heap as u64,
                None => (layout.row_bytes() as u64).saturating_mul(layout.rows as u64),
            },
            layout,
        })
    }

    /// Some rows of a compressed image, those of its slowest axis.
    pub(super) fn tiled_rows(
        &self,
        hdu: &Hdu,
        rows: Range<usize>,
        scaling: &Scaling,
    ) -> Result<Vec<f64>> {
        let tiles = self.tiles(hdu)?;
        let damaged = |tile: usize, what: &str| {
            self.error(
                hdu,
                format!("{what} in tile {tile}; the file is damaged or cut short"),
            )
        };
        let counts: Vec<usize> = (tiles.axes.iter().zip(&tiles.tile))
            .map(|(&axis, &tile)| axis.div_ceil(tile))
            .collect();
        let number: usize = counts.iter().product();
        if tiles.layout.rows != number {
            return Err(self.error(
                hdu,
                format!(
                    "has {} tiles where its axes need {number}",
                    tiles.layout.rows
                ),
            ));
        }
        let last = tiles.axes.len() - 1;
        let plane: usize = tiles.axes[..last].iter().product();
        // Tiles that differ in their place on the slowest axis alone are `plane_tiles` apart.
        let plane_tiles: usize = counts[..last].iter().product();
        let first = rows.start / tiles.tile[last] * plane_tiles;
        let end = rows.end.div_ceil(tiles.tile[last]) * plane_tiles;
        let mut table_rows = Vec::new();
        self.blocks(hdu, tiles.layout.row_bytes(), first, end - first, |row| {
            table_rows.push(row.to_vec());
        })?;
        let largest = (tiles.tile.iter()).try_fold(1usize, |all, &side| all.checked_mul(side));
        if largest.is_none_or(|pixels| pixels > MOST_PIXELS / 4) {
            return Err(self.error(
                hdu,
                format!(
                    "is compressed in tiles of {:?} pixels, which are too large",
                    tiles.tile
                ),
            ));
        }
        let mut out = vec![f64::NAN; plane * rows.len()];
        for (tile, row) in (first..end).zip(&table_rows) {
            let (origin, extent) = tiles.place(tile, &counts);
            let values = self.tile(hdu, tiles, tile, row, extent.iter().product());
            let values = values?.ok_or_else(|| damaged(tile, "cannot be unpacked"))?;
            let values: Vec<f64> = values
                .into_iter()
                .map(|value| scaling.number(Some(value)))
                .collect();
            tiles.put(&values, &origin, &extent, &rows, &mut out);
        }
        Ok(out)
    }

    /// The `pixels` values of a tile, whose row of the table is `row`, as they were before they were rounded and
    /// compressed; `None` where they are damaged.
    fn tile(
        &self,
        hdu: &Hdu,
        tiles: &Tiles,
        tile: usize,
        row: &[u8],
        pixels: usize,
    ) -> Result<Option<Vec<Stored>>> {
        let found = tiles.columns.iter().find_map(|column| {
            let (first, bytes) = column.heap.place(row)?;
            (bytes > 0).then_some((first, bytes, column))
        });
        let Some((first, bytes, column)) = found else {
            return Ok(None);
        };
        let first = tiles.heap.saturating_add(first);
        if first.saturating_add(bytes) > hdu.size {
            return Ok(None);
        }
        let data = self.bytes(hdu, first, bytes as usize)?;
        let is_real = matches!(tiles.field_type, FieldType::F32 | FieldType::F64);
        let (scale, zero) = match column.may_be_rounded && is_real {
            true => (
                tiles.value(hdu, row, "ZSCALE"),
                tiles.value(hdu, row, "ZZERO"),
            ),
            false => (None, None),
        };
        let Some(scale) = scale else {
            return Ok(unpack(&data, pixels, column.compression, tiles.field_type));
        };
        let dithering = match hdu.text("ZQUANTIZ").map(str::trim) {
            None | Some("NO_DITHER") => Dithering::None,
            Some("SUBTRACTIVE_DITHER_1") => Dithering::Subtractive,
            Some("SUBTRACTIVE_DITHER_2") => Dithering::SubtractiveButZeros,
            Some(other) => {
                return Err(self.error(
                    hdu,
                    format!("is rounded by ZQUANTIZ = '{other}'; unpack it first (funpack)"),
                ));
            }
        };
        let quantization = Quantization {
            dithering,
            first: hdu.size_of("ZDITHER0").unwrap_or(1),
            scale,
            zero: zero.unwrap_or(0.0),
            blank: tiles.value(hdu, row, "ZBLANK").map(|blank| blank as i64),
        };
        let numbers = unpack(&data, pixels, column.compression, FieldType::I32);
        Ok(numbers.map(|numbers| {
            let integer = |number: &Stored| match *number {
                Stored::Integer(value) => value,
                Stored::Real(value) => value as i64,
            };
            let integers: Vec<i64> = numbers.iter().map(integer).collect();
            let values = quantization.restore(tile, &integers).into_iter();
            let value = |value: f64| match tiles.field_type {
                FieldType::F32 => Stored::Real(f64::from(value as f32)),
                _ => Stored::Real(value),
            };
            values.map(value).collect()
        }))
    }
}

/// The column of places in the heap of this name.
fn heap_column(hdu: &Hdu, layout: &TableLayout, name: &str) -> Option<Heap> {
    let at = layout
        .fields
        .iter()
        .position(|field| field.name.eq_ignore_ascii_case(name))?;
    let form = hdu.text(&format!("TFORM{}", at + 1))?.trim();
    let digits = form.len() - form.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if form[..digits].parse() == Ok(0) {
        return None;
    }
    let mut letters = form[digits..].chars();
    let wide = match letters.next()? {
        'P' => false,
        'Q' => true,
        _ => return None,
    };
    let element = match letters.next()? {
        'B' | 'A' | 'L' => 1,
        'I' => 2,
        'J' | 'E' => 4,
        'K' | 'D' => 8,
        _ => return None,
    };
    Some(Heap {
        offset: layout.fields[at].offset,
        wide,
        element,
    })
}

impl Tiles {
    /// The shape of the image, the slowest axis first.
    pub(super) fn shape(&self) -> Vec<usize> {
        self.axes.iter().rev().copied().collect()
    }

    /// A number of a tile: of the table's column, or of the whole image.
    fn value(&self, hdu: &Hdu, row: &[u8], name: &str) -> Option<f64> {
        let field = self.layout.field(name).filter(|field| field.count > 0);
        match field.map(|field| field.field_type.decode(field.element(row, 0))) {
            Some(Some(Stored::Integer(value))) => Some(value as f64),
            Some(Some(Stored::Real(value))) => Some(value),
            Some(None) => None,
            None => hdu.number(name),
        }
    }

    /// First pixel along each axis of a tile, and its pixels along each.
    fn place(&self, mut tile: usize, counts: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let axes = self.axes.iter().zip(&self.tile).zip(counts);
        axes.map(|((&axis, &side), &count)| {
            let first = tile % count * side;
            tile /= count;
            (first, side.min(axis - first))
        })
        .unzip()
    }

    /// Puts a tile's values where they belong in `rows` of the image.
    fn put(
        &self,
        values: &[f64],
        origin: &[usize],
        extent: &[usize],
        rows: &Range<usize>,
        out: &mut [f64],
    ) {
        let last = self.axes.len() - 1;
        for (line, values) in values.chunks_exact(extent[0]).enumerate() {
            // The line's place along all axes but the fastest.
            let mut rest = line;
            let mut place = 0;
            let mut stride = 1;
            let mut inside = true;
            for axis in 0..=last {
                let mut at = origin[axis];
                if axis > 0 {
                    at += rest % extent[axis];
                    rest /= extent[axis];
                }
                if axis == last && last > 0 {
                    inside = rows.contains(&at);
                    at = at.wrapping_sub(rows.start);
                }
                if inside {
                    place += at * stride;
                }
                stride *= self.axes[axis];
            }
            match last {
                // The fastest axis is the slowest too: some of its pixels are wanted.
                0 => {
                    for (at, &value) in (origin[0]..).zip(values) {
                        if rows.contains(&at) {
                            out[at - rows.start] = value;
                        }
                    }
                }
                _ if inside => out[place..place + values.len()].copy_from_slice(values),
                _ => {}
            }
        }
    }
}
