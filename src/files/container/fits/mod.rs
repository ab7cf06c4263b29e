//! FITS files (FITS standard 4.0): headers, images, and the rows of tables, binary or in text.
//!
//! `fitsrs` reads the cards of the headers. (Its own walk from HDU to HDU refuses tables with columns of
//! bits.) The data are fixed-width big-endian numbers, read here in blocks of rows, or images compressed in tiles.
//! Columns of variable length are refused by name. A file may be compressed by gzip as a whole.

mod header;
mod image;
mod number;
mod table;
mod text_table;
mod tiles;

use std::path::{Path, PathBuf};

pub use header::{Hdu, HduKind};
pub use number::FieldType;
pub(crate) use number::Scaling;
use number::Stored;
pub use table::Field;

use crate::base::error::{Error, Result};
use crate::files::container::bytes::Bytes;
use crate::files::container::gzip;
use header::Headers;

/// Bytes of rows in memory at once.
const BLOCK_BYTES: usize = 16 << 20;

/// An open FITS file.
#[derive(Debug)]
pub struct FitsFile {
    path: PathBuf,
    is_gzip: bool,
    bytes: Bytes,
    /// Bytes of the file.
    length: u64,
    hdus: Vec<Hdu>,
}

impl FitsFile {
    /// Opens a file and reads its headers.
    ///
    /// # Errors
    /// Where the file cannot be read, or a header breaks the standard.
    pub fn open(path: &Path) -> Result<Self> {
        let reading = |source| Error::reading(path, source);
        let is_gzip = gzip::is_compressed(path);
        let bytes = match is_gzip {
            true => gzip::unpack(path)?,
            false => Bytes::open(path)?,
        };
        let length = bytes.length().map_err(reading)?;
        let hdus = Headers {
            path,
            length,
            reader: bytes.reader().map_err(reading)?,
        }
        .read()?;
        Ok(Self {
            path: path.to_owned(),
            is_gzip,
            bytes,
            length,
            hdus,
        })
    }

    /// The file, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is compressed by gzip as a whole.
    pub fn is_gzip(&self) -> bool {
        self.is_gzip
    }

    /// The HDUs in the order of the file.
    pub fn hdus(&self) -> &[Hdu] {
        &self.hdus
    }

    /// The first HDU of this name, in whatever case.
    pub fn hdu(&self, name: &str) -> Option<&Hdu> {
        self.hdus
            .iter()
            .find(|hdu| hdu.name.eq_ignore_ascii_case(name))
    }

    /// An error about an HDU.
    pub fn error(&self, hdu: &Hdu, message: impl std::fmt::Display) -> Error {
        Error::input(format!("HDU `{}` {message}", hdu.name)).in_file(&self.path)
    }

    /// Hands `take` `count` items of `bytes` bytes of an HDU's data, from the item `first` on.
    fn blocks(
        &self,
        hdu: &Hdu,
        bytes: usize,
        first: usize,
        count: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Result<()> {
        if bytes == 0 || count == 0 {
            return Ok(());
        }
        let skipped = (bytes as u64).saturating_mul(first as u64);
        let needed = (bytes as u64).saturating_mul(count as u64);
        self.check_present(hdu, skipped, needed)?;
        let together = (BLOCK_BYTES / bytes).clamp(1, count);
        let mut block = vec![0; together * bytes];
        let mut place = hdu.offset + skipped;
        let mut done = 0;
        while done < count {
            let items = together.min(count - done);
            let part = &mut block[..items * bytes];
            let read = self.bytes.read_at(place, part);
            read.map_err(|_| self.cut_short(hdu))?;
            part.chunks_exact(bytes).for_each(&mut take);
            place += part.len() as u64;
            done += items;
        }
        Ok(())
    }

    /// `count` bytes of an HDU's data from byte `first` on.
    fn bytes(&self, hdu: &Hdu, first: u64, count: usize) -> Result<Vec<u8>> {
        self.check_present(hdu, first, count as u64)?;
        let mut found = vec![0; count];
        let read = self.bytes.read_at(hdu.offset + first, &mut found);
        read.map_err(|_| self.cut_short(hdu))?;
        Ok(found)
    }

    /// Checks that the file has `count` bytes of an HDU's data from byte `first` on, before room is made for them.
    fn check_present(&self, hdu: &Hdu, first: u64, count: u64) -> Result<()> {
        let end = first.saturating_add(count);
        match end <= hdu.size && hdu.offset.saturating_add(end) <= self.length {
            true => Ok(()),
            false => Err(self.cut_short(hdu)),
        }
    }

    fn cut_short(&self, hdu: &Hdu) -> Error {
        self.error(hdu, "is cut short; fetch the file again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(mut bytes: Vec<u8>, with: u8) -> Vec<u8> {
        bytes.resize(bytes.len().next_multiple_of(2880), with);
        bytes
    }

    fn header(cards: &[&str]) -> Vec<u8> {
        let cards: String = cards.iter().map(|card| format!("{card:<80}")).collect();
        block(cards.into_bytes(), b' ')
    }

    #[test]
    fn images_are_scaled_with_the_slowest_axis_first() {
        let mut bytes = header(&[
            "SIMPLE  =                    T",
            "BITPIX  =                   16",
            "NAXIS   =                    2",
            "NAXIS1  =                    3",
            "NAXIS2  =                    2",
            "BSCALE  =                  0.5",
            "BZERO   =                 10.0",
            "BLANK   =                   -1",
            // Breaks the standard, and the library that reads cards.
            "COMMENTS= '",
            "OBJECT  = 'a long &'",
            "CONTINUE  'name'",
            "END",
        ]);
        let pixels = [0i16, 2, 4, -1, 8, 10];
        bytes.extend(block(
            pixels
                .iter()
                .flat_map(|pixel| pixel.to_be_bytes())
                .collect(),
            0,
        ));
        bytes.extend(header(&[
            "XTENSION= 'IMAGE   '",
            "BITPIX  =                  -64",
            "NAXIS   =                    1",
            "NAXIS1  =                    2",
            "PCOUNT  =                    0",
            "GCOUNT  =                    1",
            "EXTNAME = 'B_WAVELENGTH'",
            "END",
        ]));
        bytes.extend(3600.0f64.to_be_bytes());
        bytes.extend(3600.8f64.to_be_bytes());
        // Not padded to a whole block, as some programs leave it.
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, &bytes).unwrap();

        let file = FitsFile::open(&path).unwrap();
        assert_eq!(file.hdus().len(), 2);
        let primary = &file.hdus()[0];
        assert_eq!(primary.text("OBJECT"), Some("a long name"));
        let image = file.image(primary).unwrap();
        assert_eq!(image.shape(), [2, 3]);
        assert_eq!((image[[0, 2]], image[[1, 1]]), (12.0, 14.0));
        assert!(image[[1, 0]].is_nan());
        let wavelengths = file.hdu("b_wavelength").unwrap();
        assert_eq!(
            file.image(wavelengths).unwrap().as_slice(),
            Some([3600.0, 3600.8].as_slice())
        );
        assert!(file.table(wavelengths).is_err());

        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let file = FitsFile::open(&path).unwrap();
        let message = file.image(&file.hdus()[1]).unwrap_err().to_string();
        assert!(
            message.contains("HDU `B_WAVELENGTH` is cut short"),
            "{message}"
        );
    }
}
