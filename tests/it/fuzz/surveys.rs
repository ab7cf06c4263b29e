//! Galaxies and embeddings: HDF5, FITS, Parquet and HATS folders.

use std::fs;
use std::path::Path;

use astroclip::files::data::{self, ReadOptions};
use astroclip::files::embeddings::EmbeddingFile;
use astroclip::survey::{DESI_GRID, Modality, Survey};
use hdf5::File;
use ndarray::{Array2, Array4};

use super::{check, fuzz, written};

/// Reads all that a survey has.
fn read_survey(path: &Path) {
    let options = ReadOptions {
        skip_bad: true,
        ..ReadOptions::default()
    };
    let Some(survey) = check(data::open(&[path.to_owned()], &Survey::default(), &options)) else {
        return;
    };
    check(survey.labels(0..survey.len().min(100)));
    let rows: Vec<usize> = (0..survey.len().min(4)).collect();
    for modality in Modality::ALL {
        if survey.has(modality) {
            check(survey.read(&rows, &[modality]));
        }
    }
}

/// The joint layout, its images behind a filter or not.
fn joint(path: &Path, packed: bool) {
    let file = File::create(path).expect("a file");
    let group = file.create_group("0").expect("a group");
    let images = Array4::from_shape_fn((3, 16, 16, 3), |(n, y, x, band)| {
        1.0 + (n + 2 * y + 3 * x + band) as f32
    });
    let spectra = Array2::from_shape_fn((3, DESI_GRID.len), |(n, pixel)| {
        1.0 + n as f32 + (pixel % 9) as f32
    });
    let builder = match packed {
        true => group.new_dataset_builder().deflate(1).chunk((1, 16, 16, 3)),
        false => group.new_dataset_builder(),
    };
    builder.with_data(&images).create("images").expect("images");
    let build = || group.new_dataset_builder();
    build()
        .with_data(&spectra)
        .create("spectra")
        .expect("spectra");
    build()
        .with_data(&[7_i64, 8, 9])
        .create("targetids")
        .expect("identifiers");
    build()
        .with_data(&[0.1_f32, 0.2, 0.3])
        .create("redshifts")
        .expect("redshifts");
}

#[test]
fn surveys_in_hdf5() {
    let seeds = [false, true].map(|packed| written(|path| joint(path, packed)));
    fuzz("survey.h5", &seeds, read_survey);
}

#[test]
fn embedding_files() {
    let seed = written(|path| {
        let file = File::create(path).expect("a file");
        let build = || file.new_dataset_builder();
        let embeddings = Array2::from_shape_fn((5, 3), |(row, column)| (row * 3 + column) as f32);
        build()
            .with_data(&[1_i64, 2, 3, 4, 5])
            .create("object_id")
            .expect("identifiers");
        build()
            .with_data(&[0_u8, 0, 0, 1, 1])
            .create("split")
            .expect("splits");
        build()
            .with_data(&[0.1_f32; 5])
            .create("redshift")
            .expect("redshifts");
        build()
            .with_data(&embeddings)
            .create("image_embeddings")
            .expect("embeddings");
    });
    fuzz("embeddings.h5", &[seed], |path| {
        check(EmbeddingFile::open(path));
    });
}

/// Cards of a header, filled up to a block.
pub(super) fn header(cards: &[&str]) -> Vec<u8> {
    let cards: String = cards.iter().map(|card| format!("{card:<80}")).collect();
    block(cards.into_bytes(), b' ')
}

/// The header of a file whose content is in extensions.
pub(super) fn primary() -> Vec<u8> {
    header(&[
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        "END",
    ])
}

pub(super) fn block(mut bytes: Vec<u8>, with: u8) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(2880), with);
    bytes
}

/// A cutout of three bands, of 4 by 4 pixels.
fn cutout() -> Vec<u8> {
    let mut bytes = header(&[
        "SIMPLE  =                    T",
        "BITPIX  =                  -32",
        "NAXIS   =                    3",
        "NAXIS1  =                    4",
        "NAXIS2  =                    4",
        "NAXIS3  =                    3",
        "BANDS   = 'grz     '",
        "OBJID   =               123456",
        "END",
    ]);
    bytes.extend(block(
        (0..48_u8)
            .flat_map(|pixel| f32::from(pixel).to_be_bytes())
            .collect(),
        0,
    ));
    bytes
}

/// An image of two rows that are compressed one by one, by no way of compression.
fn tiles() -> Vec<u8> {
    let mut bytes = primary();
    bytes.extend(header(&[
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                    8",
        "NAXIS2  =                   12",
        "PCOUNT  =                  192",
        "GCOUNT  =                    1",
        "TFIELDS =                    1",
        "TTYPE1  = 'COMPRESSED_DATA'",
        "TFORM1  = '1PB(16)'",
        "ZIMAGE  =                    T",
        "ZCMPTYPE= 'NOCOMPRESS'",
        "ZBITPIX =                  -32",
        "ZNAXIS  =                    3",
        "ZNAXIS1 =                    4",
        "ZNAXIS2 =                    4",
        "ZNAXIS3 =                    3",
        "BANDS   = 'grz     '",
        "END",
    ]));
    let places =
        (0..12_u32).flat_map(|row| [16_u32.to_be_bytes(), (16 * row).to_be_bytes()].concat());
    let pixels = (0..48_u8).flat_map(|pixel| f32::from(pixel).to_be_bytes());
    bytes.extend(block(places.chain(pixels).collect(), 0));
    bytes
}

#[test]
fn images_in_fits() {
    fuzz("cutout.fits", &[cutout(), tiles()], read_survey);
}

/// A coadd of one arm of five pixels, and two targets.
fn coadd() -> Vec<u8> {
    let mut bytes = primary();
    bytes.extend(header(&[
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                   11",
        "NAXIS2  =                    2",
        "PCOUNT  =                    0",
        "GCOUNT  =                    1",
        "TFIELDS =                    2",
        "TTYPE1  = 'TARGETID'",
        "TFORM1  = 'K       '",
        "TTYPE2  = 'OBJTYPE '",
        "TFORM2  = '3A      '",
        "EXTNAME = 'FIBERMAP'",
        "END",
    ]));
    let row = |id: i64| [&id.to_be_bytes()[..], b"TGT"].concat();
    bytes.extend(block([row(5), row(6)].concat(), 0));
    for (name, bits, rows) in [
        ("WAVELENGTH", -64, 1),
        ("FLUX", -32, 2),
        ("IVAR", -32, 2),
        ("MASK", 32, 2),
    ] {
        bytes.extend(header(&[
            "XTENSION= 'IMAGE   '",
            &format!("BITPIX  = {bits:>20}"),
            &format!("NAXIS   = {rows:>20}"),
            "NAXIS1  =                    5",
            &format!("NAXIS2  = {rows:>20}"),
            "PCOUNT  =                    0",
            "GCOUNT  =                    1",
            &format!("EXTNAME = 'B_{name}'"),
            "END",
        ]));
        let pixels = (0..5 * rows).flat_map(|pixel| match bits {
            -64 => (3600.0 + 0.8 * f64::from(pixel)).to_be_bytes().to_vec(),
            32 => 0_i32.to_be_bytes().to_vec(),
            _ => (1.0 + pixel as f32).to_be_bytes().to_vec(),
        });
        bytes.extend(block(pixels.collect(), 0));
    }
    bytes
}

#[test]
fn coadds_in_fits() {
    fuzz("coadd.fits", &[coadd()], read_survey);
}

/// A catalogue of one pixel in a folder of its own, whose text files are the input.
#[test]
fn folders_of_the_sky() {
    let properties =
        b"obs_collection=a\ndataproduct_type=object\nhats_nrows=12\nhats_order=1\n".to_vec();
    let partitions = b"Norder,Npix\n1,3\n2,17\n".to_vec();
    fuzz("properties", &[properties, partitions], |path| {
        let folder = path.parent().expect("a folder").join("catalog");
        let pixels = folder.join("dataset/Norder=1/Dir=0");
        fs::create_dir_all(&pixels).expect("folders");
        fs::write(pixels.join("Npix=3.parquet"), b"PAR1").expect("a file");
        for name in ["hats.properties", "partition_info.csv"] {
            fs::copy(path, folder.join(name)).expect("a copy");
        }
        check(data::expand(&[folder]));
    });
}
