use std::path::PathBuf;

use ndarray::{Array, Array2, Array3, Array4, Axis, s};

use super::{Dataset, Split, open};
use crate::survey::DESI_GRID;

const SIZE: usize = 8;

fn images(rows: usize, first: f32) -> Array4<f32> {
    Array::from_shape_fn((rows, SIZE, SIZE, 3), |(row, x, y, band)| {
        first + row as f32 + 0.1 * x as f32 + 0.01 * y as f32 + 100.0 * band as f32
    })
}

fn spectra(rows: usize, first: f32) -> Array3<f32> {
    Array::from_shape_fn((rows, DESI_GRID.len, 1), |(row, pixel, _)| {
        first + row as f32 + 1e-4 * pixel as f32
    })
}

/// Two groups of the joint layout, named so that their order by number is not that by name, the
/// second compressed in chunks of several rows and without identifiers, and a catalogue.
fn write_joint(path: &std::path::Path, images_of_2: &Array4<f32>) {
    let file = hdf5::File::create(path).unwrap();
    let group = file.create_group("2").unwrap();
    let plain = |group: &hdf5::Group| group.new_dataset_builder();
    plain(&group)
        .with_data(images_of_2)
        .create("images")
        .unwrap();
    plain(&group)
        .with_data(&spectra(5, 0.0))
        .create("spectra")
        .unwrap();
    plain(&group)
        .with_data(&[0.1_f64, 0.2, -99.0, 0.4, f64::NAN])
        .create("redshifts")
        .unwrap();
    plain(&group)
        .with_data(&[11_i64, 12, 13, -1, 15])
        .create("targetids")
        .unwrap();
    let group = file.create_group("10").unwrap();
    let packed = |chunk: &[usize]| group.new_dataset_builder().deflate(4).chunk(chunk);
    packed(&[2, 4, SIZE, 1])
        .with_data(&images(4, 50.0))
        .create("images")
        .unwrap();
    packed(&[3, 1000, 1])
        .with_data(&spectra(4, 50.0))
        .create("spectra")
        .unwrap();
    let catalog = file.create_group("catalog").unwrap();
    plain(&catalog)
        .with_data(&[13_i64, 11])
        .create("TARGETID")
        .unwrap();
    plain(&catalog)
        .with_data(&[10.5_f32, 9.5])
        .create("LOG_MSTAR")
        .unwrap();
}

fn open_one(path: PathBuf) -> Box<dyn Dataset> {
    open(&[path]).unwrap()
}

#[test]
fn the_joint_layout_reads_any_rows_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("survey.h5");
    write_joint(&path, &images(5, 0.0));
    let data = open_one(path.clone());
    assert_eq!(data.object_ids(), [11, 12, 13, -4, 15, -6, -7, -8, -9]);
    let known: Vec<_> = data.redshifts().iter().map(|z| !z.is_nan()).collect();
    assert_eq!(known[..5], [true, true, false, true, false]);
    let trains: Vec<_> = data
        .splits()
        .iter()
        .map(|&split| split == Split::Train)
        .collect();
    assert_eq!(
        trains,
        [true, true, true, true, false, true, true, true, false]
    );

    let rows = [8, 0, 1, 5, 4, 0, 7];
    let (read_images, read_spectra) = (data.images(&rows).unwrap(), data.spectra(&rows).unwrap());
    let (low, high) = (images(5, 0.0), images(4, 50.0));
    let (low_spectra, high_spectra) = (spectra(5, 0.0), spectra(4, 50.0));
    for (position, &row) in rows.iter().enumerate() {
        let (pixels, fluxes, row) = match row {
            0..5 => (&low, &low_spectra, row),
            _ => (&high, &high_spectra, row - 5),
        };
        let band_first = pixels.index_axis(Axis(0), row).reversed_axes();
        assert_eq!(read_images.index_axis(Axis(0), position), band_first);
        assert_eq!(read_spectra.row(position), fluxes.slice(s![row, .., 0]));
    }

    let description = data.describe();
    assert_eq!(
        (
            description.galaxies,
            description.train,
            description.with_redshift
        ),
        (9, 7, 3)
    );
    let groups: Vec<_> = description.files[0]
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group.galaxies, group.compressed))
        .collect();
    assert_eq!(groups, [("2", 5, false), ("10", 4, true)]);

    let twice = open(&[path.clone(), path]).unwrap();
    assert_eq!(
        twice.object_ids()[9..],
        [11, 12, 13, -13, 15, -15, -16, -17, -18]
    );
    assert_eq!(
        twice.images(&[17, 1]).unwrap(),
        data.images(&[8, 1]).unwrap()
    );
    assert_eq!(
        twice.spectra(&[10, 3]).unwrap(),
        data.spectra(&[1, 3]).unwrap()
    );
}

#[test]
fn values_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.h5");
    let mut bad = images(5, 0.0);
    bad[[3, 1, 0, 2]] = f32::NAN;
    bad[[3, 2, 0, 2]] = f32::INFINITY;
    write_joint(&path, &bad);
    let data = open_one(path);
    assert!(data.images(&[0, 1, 2, 4]).is_ok());
    let error = data.images(&[0, 3]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(
        message.contains("bad.h5: dataset `2/images` row 3: 2 of 192 values"),
        "{message}"
    );

    let path = folder.path().join("zero.h5");
    let file = hdf5::File::create(&path).unwrap();
    let mut flux = Array2::<f32>::ones((2, DESI_GRID.len));
    flux.row_mut(1).fill(0.0);
    file.new_dataset_builder()
        .with_data(&flux)
        .create("flux")
        .unwrap();
    let wave = file
        .new_dataset_builder()
        .with_data(&DESI_GRID.wavelengths())
        .create("wave")
        .unwrap();
    let data = open_one(path.clone());
    assert!(data.has_spectra() && !data.has_images());
    assert!(data.spectra(&[0]).is_ok());
    let message = data.spectra(&[1]).unwrap_err().to_string();
    assert!(
        message.contains("`flux` row 1: spectrum is zero everywhere"),
        "{message}"
    );
    assert!(
        data.images(&[0])
            .unwrap_err()
            .to_string()
            .contains("holds no images")
    );

    let shifted: Vec<_> = DESI_GRID
        .wavelengths()
        .iter()
        .map(|wave| wave + 0.1)
        .collect();
    wave.write(&shifted).unwrap();
    let message = open(&[path]).err().unwrap().to_string();
    assert!(
        message.contains("expected 7781 values from 3600 to 9824 Å"),
        "{message}"
    );
}

#[test]
fn files_that_are_no_survey_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str| {
        let error = open(&[folder.path().join(name)]).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        error.to_string()
    };
    assert!(refused("absent.h5").contains("absent.h5: no such file"));
    std::fs::write(folder.path().join("text.h5"), "g, r, z").unwrap();
    assert!(refused("text.h5").contains("is not an HDF5 file"));

    let whole = folder.path().join("whole.h5");
    write_joint(&whole, &images(5, 0.0));
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(folder.path().join("cut.h5"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused("cut.h5").contains("damaged or cut short"));

    let file = hdf5::File::create(folder.path().join("other.h5")).unwrap();
    let group = file.create_group("photos").unwrap();
    group
        .new_dataset_builder()
        .with_data(&[1.0, 2.0])
        .create("pictures")
        .unwrap();
    drop((file, group));
    let message = refused("other.h5");
    assert!(
        message.contains("it holds `photos/pictures` [2]. Known layouts"),
        "{message}"
    );
}
