//! HDF5 files that claim more than they store.

use hdf5::Dataset;
use ndarray::s;

use super::hdf5_storage::{PIXELS, ROWS, assert_flux, assert_refused, flux, write};
use super::open_one;

#[test]
fn what_is_claimed_and_not_stored_is_refused_before_room_is_made_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("claims.h5");
    let chunked = |shape: (usize, usize), chunk: (usize, usize), fill: f32, rows: usize| {
        write(&path, |file| {
            let builder = file.new_dataset::<f32>().shape(shape).chunk(chunk);
            let dataset = builder.fill_value(fill).create("flux").unwrap();
            let values = flux().slice(s![..rows, ..]).to_owned();
            dataset.write_slice(&values, (..rows, ..)).unwrap();
        })
    };
    assert_flux(&chunked((ROWS, PIXELS), (1, PIXELS), 0.0, ROWS));
    let part = chunked((ROWS, PIXELS), (1, PIXELS), 0.0, 3);
    assert_refused(&part, &["`flux`", "3 of its 4 chunks", "fill value 0"]);
    let part = chunked((ROWS, PIXELS), (1, PIXELS), f32::NAN, 3);
    assert_eq!(open_one(&part).spectra(&[2]).unwrap().row(0), flux().row(2));
    let claims = chunked((1 << 40, PIXELS), (1, PIXELS), f32::NAN, 3);
    assert_refused(&claims, &["`flux`", "3 of its 1099511627776 chunks"]);
    let claim = |shape: (usize, usize), chunk: (usize, usize)| {
        write(&path, |file| {
            let builder = file.new_dataset::<f32>().shape(shape).chunk(chunk);
            builder.create("flux").unwrap();
        })
    };
    assert_refused(
        &claim((2, 1 << 40), (1, 1000)),
        &["`flux`", "[2, 1099511627776]"],
    );
    assert_refused(
        &claim((1 << 33, 1 << 33), (1, 1000)),
        &["`flux`", "claims the shape"],
    );
    assert_refused(
        &claim((2, 1 << 28), (1, (1 << 28) - 1)),
        &["`flux`", "0 of its 4 chunks"],
    );
    assert_refused(
        &claim((8, 1 << 27), (4, 1 << 27)),
        &["`flux`", "in chunks of [4, 134217728]"],
    );
}

/// A chunk of zeros that says more of them than it may.
#[test]
fn a_chunk_that_would_become_far_larger_than_its_values_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder.path().join("bomb.h5"), |file| {
        let builder = file.new_dataset::<f32>().shape((ROWS, PIXELS));
        let dataset = builder.chunk((1, 100)).deflate(1).create("flux").unwrap();
        dataset.write(&flux()).unwrap();
    });
    assert_flux(&path);
    let path = write(&path, |file| {
        let builder = file.new_dataset::<f32>().shape((ROWS, PIXELS));
        let dataset = builder
            .chunk((ROWS, PIXELS))
            .deflate(1)
            .create("flux")
            .unwrap();
        let packed = vec![0_u8; 4 * 4 * ROWS * PIXELS + 5000];
        write_chunk(&dataset, &packed);
    });
    assert_refused(&path, &["`flux`", "takes 502984 bytes", "holds 124496"]);
}

/// Writes the first chunk of a dataset as it will lie in the file.
#[allow(unsafe_code)]
fn write_chunk(dataset: &Dataset, packed: &[u8]) {
    let offset = [0_u64; 2];
    // SAFETY: the lock is held, the dataset is open, and both arrays are as long as is said.
    let status = hdf5::sync::sync(|| unsafe {
        hdf5_sys::h5d::H5Dwrite_chunk(
            dataset.id(),
            hdf5_sys::h5p::H5P_DEFAULT,
            0,
            offset.as_ptr(),
            packed.len(),
            packed.as_ptr().cast(),
        )
    });
    assert!(status >= 0);
}
