//! Readers of HDF5 files.

use ndarray::{Array, Array2, Array3, Array4, Axis, s};

use super::{open_one, refusal};
use crate::files::data::{Dataset, Keys, Labels, ReadOptions, open};
use crate::survey::{DESI_GRID, Modality, Split, Survey, WavelengthGrid};

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
        .with_data(&[0.1_f64, 9999.0, -99.0, 0.4, f64::NAN])
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

fn labels(data: &Dataset) -> Labels {
    data.labels(0..data.len()).unwrap()
}

#[test]
fn the_joint_layout_reads_any_rows_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("survey.h5");
    write_joint(&path, &images(5, 0.0));
    let data = open_one(&path);
    let Labels {
        object_id,
        redshift,
    } = labels(&data);
    assert_eq!(object_id, [11, 12, 13, -4, 15, -6, -7, -8, -9]);
    let known: Vec<_> = redshift.iter().map(|z| !z.is_nan()).collect();
    assert_eq!(known[..5], [true, false, false, true, false]);
    assert_eq!(data.labels(3..6).unwrap().object_id, [-4, 15, -6]);
    let trains: Vec<_> = (0..data.len())
        .map(|row| data.split(row) == Split::Train)
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
    assert_eq!((description.galaxies, description.train), (9, 7));
    let groups: Vec<_> = description.files[0]
        .groups
        .iter()
        .map(|group| (group.name.as_str(), group.galaxies, group.compressed))
        .collect();
    assert_eq!(groups, [("2", 5, false), ("10", 4, true)]);

    // A folder stands for the files within.
    std::fs::copy(&path, folder.path().join("twice.h5")).unwrap();
    let folder = [folder.path().to_owned()];
    let twice = open(&folder, &Survey::default(), &ReadOptions::default()).unwrap();
    assert_eq!(
        labels(&twice).object_id[9..],
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
    let data = open_one(&path);
    assert!(data.images(&[0, 1, 2, 4]).is_ok());
    let error = data.images(&[0, 3]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let message = error.to_string();
    assert!(
        message.contains("bad.h5: dataset `2/images` row 3: 2 of 64 values of band z"),
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
    let data = open_one(&path);
    assert!(data.has(Modality::Spectrum) && !data.has(Modality::Image));
    assert!(data.spectra(&[0]).is_ok());
    let message = data.spectra(&[1]).unwrap_err().to_string();
    assert!(
        message.contains("`flux` row 1: the spectrum is zero everywhere"),
        "{message}"
    );
    assert!(
        data.images(&[0])
            .unwrap_err()
            .to_string()
            .contains("holds no images")
    );

    let shifted: Vec<_> = (DESI_GRID.wavelengths().iter())
        .map(|wave| wave + 1e4)
        .collect();
    wave.write(&shifted).unwrap();
    let message = refusal(&path);
    assert!(
        message.contains("runs from 13600 to 19824 Å, outside of survey.wavelengths"),
        "{message}"
    );
}

#[test]
fn files_that_are_no_survey_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str| refusal(&folder.path().join(name));
    assert!(refused("absent.h5").contains("absent.h5: no such file"));
    std::fs::write(folder.path().join("text.h5"), "g, r, z").unwrap();
    assert!(refused("text.h5").contains("is text; galaxies are read from HDF5"));

    let whole = folder.path().join("whole.h5");
    write_joint(&whole, &images(5, 0.0));
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(folder.path().join("cut.h5"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused("cut.h5").contains("cut short"));

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

/// Five bands in an order of their own, on another wavelength grid, under names of their own.
#[test]
fn any_layout_is_read_by_the_names_of_its_datasets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.h5");
    let pictures = Array::from_shape_fn((6, 10, 12, 5), |(row, y, x, band)| {
        1.0 + row as f32 + 0.1 * y as f32 + 0.01 * x as f32 + 100.0 * band as f32
    });
    let wave: Vec<f64> = (0..400)
        .map(|pixel| 4000.0 + 2.0 * f64::from(pixel))
        .collect();
    let flux = Array2::from_shape_fn((6, 400), |(row, pixel)| (row + 1) as f32 * pixel as f32);
    let file = hdf5::File::create(&path).unwrap();
    let group = file.create_group("data").unwrap();
    let build = || group.new_dataset_builder();
    build().with_data(&pictures).create("cutouts").unwrap();
    build().with_data(&flux).create("spec").unwrap();
    build().with_data(&wave).create("lambda").unwrap();
    build()
        .with_data(&[7_i64, 8, 9, 10, 11, 12])
        .create("name")
        .unwrap();
    drop((group, file));
    let survey = Survey {
        bands: ["u", "g", "r", "i", "z"].map(str::to_owned).to_vec(),
        cutout_size: Some(8),
        wavelengths: WavelengthGrid {
            start: 4100.0,
            step: 4.0,
            len: 100,
        },
        ..Survey::default()
    };
    let name = |name: &str| Some(format!("data/{name}"));
    let options = ReadOptions {
        keys: Keys {
            image: name("cutouts"),
            spectrum: name("spec"),
            wavelength: name("lambda"),
            id: name("name"),
            ..Keys::default()
        },
        ..ReadOptions::default()
    };
    let data = open(std::slice::from_ref(&path), &survey, &options).unwrap();
    assert_eq!(labels(&data).object_id, [7, 8, 9, 10, 11, 12]);
    let read = data.images(&[5, 2]).unwrap();
    assert_eq!(read.dim(), (2, 5, 8, 8));
    for ((place, band, y, x), value) in read.indexed_iter() {
        let row = [5, 2][place];
        assert_eq!(*value, pictures[[row, y + 1, x + 2, band]]);
    }
    // Pixels of 4 Å hold the mean of two of 2 Å: half of those beside and all of the middle one.
    let read = data.spectra(&[1]).unwrap();
    for (pixel, value) in read.row(0).iter().enumerate() {
        let exact = 2.0 * (50.0 + 2.0 * pixel as f32);
        assert!(
            (value - exact).abs() < 1e-3 * exact,
            "{pixel}: {value} {exact}"
        );
    }

    let wrong = ReadOptions {
        keys: Keys {
            image: name("pictures"),
            ..Keys::default()
        },
        ..ReadOptions::default()
    };
    let message = open(&[path], &survey, &wrong).unwrap_err().to_string();
    assert!(
        message.contains(
            "no dataset `data/pictures`, which --image-key names; it holds `data/cutouts`"
        ),
        "{message}"
    );
}

/// Names of bands with a prefix, among more bands than the survey's; identifiers as text; masked pixels.
#[test]
fn multimodal_universe_files_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("001-of-001.hdf5");
    let file = hdf5::File::create(&path).unwrap();
    let build = || file.new_dataset_builder();
    let pictures = Array4::from_shape_fn((3, 4, SIZE, SIZE), |(row, band, y, x)| {
        1.0 + row as f32 + 10.0 * band as f32 + 0.1 * y as f32 + 0.01 * x as f32
    });
    build().with_data(&pictures).create("image_array").unwrap();
    let flags = Array4::from_elem(pictures.dim(), true);
    build().with_data(&flags).create("image_mask").unwrap();
    let text = |text: &str| hdf5::types::FixedAscii::<12>::from_ascii(text).unwrap();
    let bands = ["DES-G", "DES-R", "DES-I", "DES-Z"].map(text);
    let bands = Array2::from_shape_fn((3, 4), |(_, band)| bands[band]);
    build().with_data(&bands).create("image_band").unwrap();
    let ids = ["101", "-1", "103"].map(text);
    build().with_data(&ids).create("object_id").unwrap();
    build()
        .with_data(&[0.1_f32, 0.2, -99.0])
        .create("Z")
        .unwrap();
    let mut flux = Array2::<f32>::ones((3, DESI_GRID.len));
    flux[[1, 100]] = f32::NAN;
    flux[[1, 101]] = 5.0;
    let mut mask = Array2::from_elem((3, DESI_GRID.len), false);
    mask[[1, 100]] = true;
    build().with_data(&flux).create("spectrum_flux").unwrap();
    build().with_data(&mask).create("spectrum_mask").unwrap();
    let ends = [
        ("spectrum_lambda_min", 3600.0_f32),
        ("spectrum_lambda_max", 9824.0),
    ];
    for (name, value) in ends {
        build().with_data(&[value; 3]).create(name).unwrap();
    }
    drop(file);
    let data = open_one(&path);
    let Labels {
        object_id,
        redshift,
    } = labels(&data);
    assert_eq!(object_id, [101, -2, 103]);
    assert!(redshift[2].is_nan() && redshift[0] == 0.1);
    let notes = &data.describe().files[0].notes;
    assert!(
        notes[0].starts_with("images are read without `image_mask`: "),
        "{notes:?}"
    );
    let read = data.images(&[2]).unwrap();
    for (band, stored) in [(0, 0), (1, 1), (2, 3)] {
        assert_eq!(
            read.slice(s![0, band, .., ..]),
            pictures.slice(s![2, stored, .., ..])
        );
    }
    let read = data.spectra(&[1, 0]).unwrap();
    assert_eq!(
        read.slice(s![0, 98..103]).to_vec(),
        [1.0, 1.0, 3.0, 5.0, 1.0]
    );

    let path = folder.path().join("empty.h5");
    let file = hdf5::File::create(&path).unwrap();
    let build = || file.new_dataset_builder();
    let empty = Array2::<f32>::zeros((3, 0));
    build().with_data(&flux).create("spectrum_flux").unwrap();
    build()
        .with_data(&empty)
        .create("spectrum_lambda_min")
        .unwrap();
    file.flush().unwrap();
    assert!(refusal(&path).contains("has no wavelengths"));
    file.unlink("spectrum_flux").unwrap();
    build().with_data(&empty).create("spectrum_flux").unwrap();
    build().with_data(&empty).create("spectrum_lambda").unwrap();
    drop(file);
    let said = refusal(&path);
    assert!(
        said.contains("`spectrum_lambda` has shape [3, 0]"),
        "{said}"
    );
}

#[test]
fn identifiers_are_integers_of_any_kind_or_text() {
    use hdf5::types::{FixedAscii, VarLenUnicode};
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, ids: &dyn Fn(hdf5::DatasetBuilder) -> hdf5::Result<hdf5::Dataset>| {
        let path = folder.path().join(name);
        let file = hdf5::File::create(&path).unwrap();
        let pixels = Array4::<f32>::ones((2, 3, SIZE, SIZE));
        let plain = || file.new_dataset_builder();
        plain().with_data(&pixels).create("images").unwrap();
        ids(plain()).unwrap();
        path
    };
    let large = 10_546_399_390_430_396_416_u64;
    let unsigned = write("u64.h5", &|d| d.with_data(&[large, 7]).create("targetid"));
    let bytes: Vec<FixedAscii<24>> = ["b'  123 '", "J0001-01"]
        .map(|text| FixedAscii::from_ascii(text).unwrap())
        .to_vec();
    let fixed = write("fixed.h5", &|d| d.with_data(&bytes).create("targetid"));
    let texts: Vec<VarLenUnicode> = ["10546399390430396416", " "]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let texts = write("texts.h5", &|d| d.with_data(&texts).create("targetid"));
    let ids = |path: &std::path::Path| {
        let ids = labels(&open_one(path)).object_id;
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(ids(&unsigned), ["10546399390430396416", "7"]);
    assert_eq!(ids(&fixed), ["123", "J0001-01"]);
    assert_eq!(ids(&texts), ["10546399390430396416", "-2"]);
    let rounded = write("rounded.h5", &|d| {
        d.with_data(&[1.0_f64, 3.96e16]).create("targetid")
    });
    let error = open_one(&rounded).labels(0..2).unwrap_err().to_string();
    assert!(
        error.contains("`targetid` is 39600000000000000 in row 1"),
        "{error}"
    );
}

#[test]
fn bands_are_found_by_names_of_variable_length_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("001-of-001.hdf5");
    let write = |bands: [&str; 3]| {
        let file = hdf5::File::create(&path).unwrap();
        let build = || file.new_dataset_builder();
        let pictures = Array4::from_shape_fn((2, 3, SIZE, SIZE), |(_, band, ..)| 1.0 + band as f32);
        build().with_data(&pictures).create("image_array").unwrap();
        let bands = bands.map(|band| band.parse::<hdf5::types::VarLenUnicode>().unwrap());
        let bands = Array2::from_shape_fn((2, 3), |(_, band)| bands[band].clone());
        build().with_data(&bands).create("image_band").unwrap();
    };
    write(["z", "g", "r"]);
    let images = open_one(&path).images(&[1]).unwrap();
    assert_eq!(
        [0, 1, 2].map(|band| images[[0, band, 0, 0]]),
        [2.0, 3.0, 1.0]
    );
    write(["u", "g", "r"]);
    assert!(refusal(&path).contains("has the bands u, g, r, not `z`"));
}
