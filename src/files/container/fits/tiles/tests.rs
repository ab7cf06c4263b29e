//! Compressed images as other programs write them, and damaged ones.

use std::io::Write;
use std::path::Path;

use flate2::write::GzEncoder;

use super::*;

/// A file with an image of 3 pixels of 32 bits, floating point numbers or integers, in one tile: its row of the table has
/// these columns, and the heap behind holds these bytes. What more cards say stands.
fn write(
    path: &Path,
    bitpix: i32,
    (columns, more): (&[(&str, &str)], &[&str]),
    row: &[u8],
    heap: &[u8],
) {
    let mut cards = vec![
        "XTENSION= 'BINTABLE'".to_owned(),
        "BITPIX  = 8".into(),
        "NAXIS   = 2".into(),
        format!("NAXIS1  = {}", row.len()),
        "NAXIS2  = 1".into(),
        format!("PCOUNT  = {}", heap.len()),
        "GCOUNT  = 1".into(),
        format!("TFIELDS = {}", columns.len()),
        "ZIMAGE  = T".into(),
        "ZCMPTYPE= 'GZIP_1'".into(),
        format!("ZBITPIX = {bitpix}"),
        "ZNAXIS  = 1".into(),
        "ZNAXIS1 = 3".into(),
    ];
    for (number, (name, form)) in (1..).zip(columns) {
        cards.push(format!("TTYPE{number}  = '{name}'"));
        cards.push(format!("TFORM{number}  = '{form}'"));
    }
    cards.extend(more.iter().map(|card| (*card).to_owned()));
    cards.push("END".into());
    let primary = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0", "END"];
    let mut file = Vec::new();
    for cards in [&primary.map(str::to_owned)[..], &cards] {
        let text: String = cards.iter().map(|card| format!("{card:<80}")).collect();
        file.extend(text.bytes());
        file.resize(file.len().next_multiple_of(2880), b' ');
    }
    file.extend(row);
    file.extend(heap);
    std::fs::write(path, file).unwrap();
}

fn gzip(numbers: impl IntoIterator<Item = [u8; 4]>) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer
        .write_all(&numbers.into_iter().flatten().collect::<Vec<u8>>())
        .unwrap();
    packer.finish().unwrap()
}

/// What a column says of its part of the heap: bytes and first byte.
fn descriptor(bytes: usize) -> Vec<u8> {
    [(bytes as u32).to_be_bytes(), 0_u32.to_be_bytes()].concat()
}

#[test]
fn tiles_that_were_not_rounded_stay_as_they_are() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let pixels = [0.1_f32, -2.5, 1e9];
    let heap = gzip(pixels.map(f32::to_be_bytes));
    let columns = [
        ("COMPRESSED_DATA", "1PB"),
        ("GZIP_COMPRESSED_DATA", "1PB"),
        ("ZSCALE", "1D"),
        ("ZZERO", "1D"),
    ];
    let scales = [0.0_f64.to_be_bytes(), 0.0_f64.to_be_bytes()].concat();
    let row = [descriptor(0), descriptor(heap.len()), scales].concat();
    write(&path, -32, (&columns, &[]), &row, &heap);
    let file = FitsFile::open(&path).unwrap();
    let image = file.image(&file.hdus()[1]).unwrap();
    assert_eq!(image.into_raw_vec_and_offset().0, pixels.map(f64::from));
}

#[test]
fn columns_without_elements_hold_no_tiles() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let heap = gzip([7_i32, 8, 9].map(i32::to_be_bytes));
    let columns = [("UNCOMPRESSED_DATA", "1PB"), ("COMPRESSED_DATA", "0PB")];
    write(&path, 32, (&columns, &[]), &descriptor(0), &heap);
    let file = FitsFile::open(&path).unwrap();
    let message = file.image(&file.hdus()[1]).unwrap_err().to_string();
    assert!(
        message.contains("cannot be unpacked in tile 0"),
        "{message}"
    );
    write(&path, 32, (&columns[1..], &[]), &[], &heap);
    let file = FitsFile::open(&path).unwrap();
    let message = file.image(&file.hdus()[1]).unwrap_err().to_string();
    assert!(
        message.contains("without a column COMPRESSED_DATA"),
        "{message}"
    );
}

#[test]
fn sizes_that_the_file_cannot_have_are_refused_before_room_is_made() {
    let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
    let heap = gzip([7_i32, 8, 9].map(i32::to_be_bytes));
    let columns = [("COMPRESSED_DATA", "1PB")];
    let row = descriptor(heap.len());
    let message = |cards: &[&str]| {
        write(&path, 32, (&columns, cards), &row, &heap);
        let file = FitsFile::open(&path).unwrap();
        file.image(&file.hdus()[1]).unwrap_err().to_string()
    };
    let more_pixels = message(&["PCOUNT  = 900000000000", "ZNAXIS1 = 90000000000000"]);
    assert!(more_pixels.contains("for an image of"), "{more_pixels}");
    let more_bytes = message(&["PCOUNT  = 900000000000", "THEAP   = 800000000000"]);
    assert!(more_bytes.contains("is cut short"), "{more_bytes}");
}

/// `tests/golden/compressed_images.py` writes the file: images, and their pixels as astropy unpacks them. It is
/// compressed by gzip as a whole.
#[test]
fn every_pixel_is_what_astropy_reads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/compressed_images.fits.gz");
    let file = FitsFile::open(&path).unwrap();
    let compressed = file.hdus()[1..]
        .iter()
        .filter(|hdu| !hdu.name.ends_with("-PIXELS"));
    let mut images = 0;
    for hdu in compressed {
        let image = file.image(hdu).unwrap();
        let pixels = file.hdu(&format!("{}-PIXELS", hdu.name)).unwrap();
        let expected = file.image(pixels).unwrap();
        assert_eq!(image.shape(), expected.shape(), "{}", hdu.name);
        let same = |(read, expected): (&f64, &f64)| {
            read == expected || (read.is_nan() && expected.is_nan())
        };
        assert!(image.iter().zip(&expected).all(same), "{}", hdu.name);
        let part = file.image_rows(hdu, 1..2).unwrap();
        let (start, end) = (part.len(), 2 * part.len());
        let whole = &image.as_slice().unwrap()[start..end];
        assert!(part.iter().zip(whole).all(same), "{} row 1", hdu.name);
        images += 1;
    }
    assert_eq!(images, 12);
}
