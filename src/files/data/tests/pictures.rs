//! Images of HDF5 files whose values are no fluxes, or whose bands are in an order of their own.

use std::str::FromStr;

use hdf5::types::{FixedAscii, VarLenUnicode};
use ndarray::{Array4, arr0, s};

use super::{open_one, refusal};

const SIZE: usize = 8;

/// Two images, bands last.
fn images() -> Array4<f32> {
    Array4::from_shape_fn((2, SIZE, SIZE, 3), |(row, y, x, band)| {
        0.5 + row as f32 + 0.1 * y as f32 + 0.01 * x as f32 + 100.0 * band as f32
    })
}

#[test]
fn pictures_are_refused_and_bands_taken_from_an_attribute() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Galaxy10_DECals.h5");
    let file = hdf5::File::create(&path).unwrap();
    let pictures = Array4::from_shape_fn((2, SIZE, SIZE, 3), |(_, y, x, _)| (10 * y + x) as u8);
    file.new_dataset_builder()
        .with_data(&pictures)
        .create("images")
        .unwrap();
    drop(file);
    let message = refusal(&path);
    assert!(
        message.contains("`images` holds 8-bit pictures"),
        "{message}"
    );

    let path = folder.path().join("zrg.h5");
    let file = hdf5::File::create(&path).unwrap();
    let images = images();
    let dataset = file
        .new_dataset_builder()
        .with_data(&images)
        .create("images")
        .unwrap();
    // As h5py writes a text, and a numpy array of bytes.
    let one = VarLenUnicode::from_str("zrg").unwrap();
    let letters = ["z", "r", "g"].map(|band| FixedAscii::<1>::from_ascii(band).unwrap());
    let attribute = || dataset.new_attr_builder();
    for list in [false, true] {
        match list {
            false => attribute().with_data(&arr0(one.clone())).create("bands"),
            true => attribute().with_data(&letters).create("bands"),
        }
        .unwrap();
        file.flush().unwrap();
        let data = open_one(&path);
        assert_eq!(data.describe().files[0].bands, ["z", "r", "g"]);
        let read = data.images(&[1]).unwrap();
        assert_eq!(read.slice(s![0, 0, .., ..]), images.slice(s![1, .., .., 2]));
        dataset.delete_attr("bands").unwrap();
    }
    drop((dataset, file));

    let counts = images.mapv(|value| (100.0 * value) as i32);
    let path = folder.path().join("counts.h5");
    let file = hdf5::File::create(&path).unwrap();
    file.new_dataset_builder()
        .with_data(&counts)
        .create("images")
        .unwrap();
    drop(file);
    let notes = open_one(&path).describe().files[0].notes.clone();
    assert!(
        notes[0].contains("`images`: pixels are integers"),
        "{notes:?}"
    );
}
