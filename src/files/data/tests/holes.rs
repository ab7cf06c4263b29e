//! Spectra with pixels that were not measured, and with wavelengths of their own.

use std::path::Path;

use ndarray::{Array1, Array2, s};

use super::fits::{ARMS, Fits, floats, image_cards};
use super::{open_one, refusal};
use crate::files::data::{Dataset, Keys, ReadOptions, open};
use crate::survey::{DESI_GRID, Modality, Survey};

/// Flux of the spectra, which rises with wavelength.
fn flux(row: usize, pixel: usize) -> f32 {
    (row + 1) as f32 + 1e-3 * pixel as f32
}

/// Bad pixels: a gap of 10, one of 200 (160 Å), the last 3.
fn is_bad(pixel: usize) -> bool {
    (1000..1010).contains(&pixel) || (3000..3200).contains(&pixel) || pixel >= DESI_GRID.len - 3
}

/// Two spectra; what is wrong at bad pixels, and how the file says that they are.
fn write(path: &Path, wrong: f32, ivar: Option<f32>, mask: bool) {
    let file = hdf5::File::create(path).unwrap();
    let pixels = (2, DESI_GRID.len);
    let values = Array2::from_shape_fn(pixels, |(row, pixel)| match is_bad(pixel) {
        true => wrong,
        false => flux(row, pixel),
    });
    let build = || file.new_dataset_builder();
    build().with_data(&values).create("flux").unwrap();
    build()
        .with_data(&DESI_GRID.wavelengths())
        .create("wave")
        .unwrap();
    build().with_data(&[7_i64, 8]).create("targetid").unwrap();
    if let Some(bad) = ivar {
        let ivar =
            Array2::from_shape_fn(pixels, |(_, pixel)| if is_bad(pixel) { bad } else { 4.0 });
        build().with_data(&ivar).create("ivar").unwrap();
    }
    if mask {
        let mask = Array2::from_shape_fn(pixels, |(_, pixel)| u8::from(is_bad(pixel)));
        build().with_data(&mask).create("mask").unwrap();
    }
}

/// What is said of the first file, and of the pixels of its spectra.
fn notes(data: &Dataset) -> Vec<String> {
    let file = &data.describe().files[0];
    let mut notes = file.notes.clone();
    notes.extend(file.pixels.notes());
    notes
}

#[test]
fn bad_pixels_are_the_same_by_inverse_variance_and_by_mask() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.h5");
    let mut read = Vec::new();
    let told = [
        "of the 2 spectra read, 0.13 % of the pixels are bad and interpolated (gaps up to 100 Å)",
        "of the 2 spectra read, 2.61 % of the survey's pixels lie in longer gaps of bad pixels, or at an end, and are \
         filled with the median of the spectrum",
    ];
    for (wrong, ivar, mask) in [
        (3e4, Some(0.0), false),
        (3e4, Some(-1.0), false),
        (f32::NAN, Some(f32::NAN), false),
        (f32::INFINITY, Some(f32::INFINITY), false),
        (f32::NAN, None, true),
        (-50.0, Some(2.0), true),
    ] {
        write(&path, wrong, ivar, mask);
        let data = open_one(&path);
        let galaxies = data.read(&[1, 0], &[Modality::Spectrum]).unwrap();
        let share = 213.0 / DESI_GRID.len as f32;
        for filled in galaxies.spectrum_filled.unwrap() {
            assert!((filled - share).abs() < 1e-6, "{filled}");
        }
        let spectra = galaxies.spectra.unwrap();
        assert_eq!(notes(&data), told);
        read.push(spectra);
    }
    let first = &read[0];
    assert!(read.iter().all(|spectra| spectra == first));
    for (place, row) in [(0, 1), (1, 0)] {
        let spectrum = first.row(place);
        assert!(
            (spectrum[1004] - flux(row, 1004)).abs() < 1e-3,
            "on the line"
        );
        // The median, not what is beside the gap, and not the last good pixel.
        let median = spectrum[3100];
        assert!((median - flux(row, 3990)).abs() < 0.3, "{median}");
        assert!(
            spectrum
                .slice(s![3000..3200])
                .iter()
                .all(|&value| value == median)
        );
        assert!(
            spectrum
                .slice(s![DESI_GRID.len - 3..])
                .iter()
                .all(|&value| value == median)
        );
        assert_eq!(spectrum[2999], flux(row, 2999));
        assert_eq!(spectrum[3200], flux(row, 3200));
    }
    // Without a flag the numbers are taken as they are.
    write(&path, 3e4, None, false);
    assert_eq!(open_one(&path).spectra(&[0]).unwrap()[[0, 3100]], 3e4);
    write(&path, f32::NAN, None, false);
    let message = open_one(&path).spectra(&[0]).unwrap_err().to_string();
    assert!(
        message.contains("`flux` row 0: 213 of 7781 values are NaN"),
        "{message}"
    );
}

#[test]
fn a_spectrum_of_few_good_pixels_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.h5");
    let file = hdf5::File::create(&path).unwrap();
    let values = Array2::<f32>::ones((3, DESI_GRID.len));
    let mut ivar = values.clone();
    ivar.slice_mut(s![1, 3000..]).fill(0.0);
    ivar.row_mut(2).fill(0.0);
    let build = || file.new_dataset_builder();
    build().with_data(&values).create("data").unwrap();
    build().with_data(&ivar).create("weight").unwrap();
    drop(file);
    let options = ReadOptions {
        keys: Keys {
            spectrum: Some("data".into()),
            ivar: Some("weight".into()),
            ..Keys::default()
        },
        ..ReadOptions::default()
    };
    let data = open(&[path], &Survey::default(), &options).unwrap();
    assert!(data.spectra(&[0]).is_ok());
    let message = |row: usize| data.spectra(&[row]).unwrap_err().to_string();
    assert!(
        message(1).contains("`data` row 1: only 38.6 % of its pixels are good"),
        "{}",
        message(1)
    );
    assert!(
        message(2).contains("`data` row 2: every pixel is bad"),
        "{}",
        message(2)
    );
}

/// Spectra on wavelengths of their own, padded at either end in three ways.
#[test]
fn every_row_is_read_at_its_own_wavelengths() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("001-of-001.hdf5");
    let (pixels, starts) = (4000, [3.5810, 3.5806, 3.5900, 3.5810]);
    let truth = |wavelength: f64| (5.0 + (wavelength / 300.0).sin()) as f32;
    let mut lambda = Array2::<f64>::zeros((4, pixels));
    let mut flux = Array2::<f32>::zeros((4, pixels));
    let mut mask = Array2::from_elem((4, pixels), false);
    for (row, &start) in starts.iter().enumerate() {
        for pixel in 0..pixels {
            let wavelength = 10_f64.powf(start + 1e-4 * pixel as f64);
            lambda[[row, pixel]] = wavelength;
            flux[[row, pixel]] = truth(wavelength);
        }
    }
    let end = pixels - 30;
    lambda.slice_mut(s![1, end..]).fill(-1.0);
    lambda.slice_mut(s![2, ..30]).fill(f64::NAN);
    let last = lambda[[3, end - 1]];
    lambda.slice_mut(s![3, end..]).fill(last);
    for (row, padded) in [(1, end..pixels), (2, 0..30), (3, end..pixels)] {
        flux.slice_mut(s![row, padded.clone()]).fill(1e6);
        mask.slice_mut(s![row, padded]).fill(row == 3);
    }
    let file = hdf5::File::create(&path).unwrap();
    let build = || file.new_dataset_builder();
    build()
        .with_data(&lambda)
        .create("spectrum_lambda")
        .unwrap();
    build().with_data(&flux).create("spectrum_flux").unwrap();
    build().with_data(&mask).create("spectrum_mask").unwrap();
    build()
        .with_data(&[1_i64, 2, 3, 4])
        .create("object_id")
        .unwrap();
    drop(file);
    let data = open_one(&path);
    let rows = [3, 0, 2, 1];
    let galaxies = data.read(&rows, &[Modality::Spectrum]).unwrap();
    let filled = galaxies.spectrum_filled.unwrap();
    let spectra = galaxies.spectra.unwrap();
    for ((spectrum, &row), filled) in spectra.outer_iter().zip(&rows).zip(filled) {
        let first = lambda[[row, if row == 2 { 30 } else { 0 }]];
        let last = lambda[[
            row,
            if row == 1 || row == 3 {
                end - 1
            } else {
                pixels - 1
            },
        ]];
        let [low, high] = [0, DESI_GRID.len - 1].map(|pixel| DESI_GRID.wavelength(pixel));
        let outside = (first - low).max(0.0) + (high - last).max(0.0);
        let share = (outside / (high - low)) as f32;
        assert!(
            (filled - share).abs() < 5e-4,
            "row {row}: {filled}, {share}"
        );
        for (pixel, &value) in spectrum.iter().enumerate() {
            let wavelength = DESI_GRID.wavelength(pixel);
            if wavelength > first + 1.0 && wavelength < last - 1.0 {
                assert!(
                    (value - truth(wavelength)).abs() < 5e-3,
                    "row {row}, {wavelength} Å: {value}"
                );
            } else {
                assert!(
                    (3.9..6.1).contains(&value),
                    "row {row}, {wavelength} Å: {value}"
                );
            }
        }
    }
    drop(data);
    let file = hdf5::File::append(&path).unwrap();
    lambda[[2, 1000]] = 0.0;
    file.dataset("spectrum_lambda")
        .unwrap()
        .write(&lambda)
        .unwrap();
    drop(file);
    let message = open_one(&path).spectra(&[2]).unwrap_err().to_string();
    assert!(
        message
            .contains("`spectrum_flux` row 2: its wavelength axis must rise from pixel to pixel"),
        "{message}"
    );
}

/// A file of DESI's arms: for each row of FIBERMAP its target, its status, and flux and inverse variance by arm.
fn write_arms(
    path: &Path,
    arms: &[&str],
    rows: &[(i64, i32, f32)],
    ivar: impl Fn(usize, &str) -> f32,
) {
    let mut fibers = Vec::new();
    for (target, status, _) in rows {
        fibers.extend(target.to_be_bytes());
        fibers.extend(status.to_be_bytes());
    }
    let fields = [("TARGETID", "K"), ("FIBERSTATUS", "J")];
    let mut fits = Fits::default()
        .hdu(&image_cards(8, &[]), &[])
        .table("FIBERMAP", &fields, 12, &fibers);
    for (arm, start, end) in ARMS.into_iter().filter(|(arm, ..)| arms.contains(arm)) {
        let waves = (start..end).map(|pixel| DESI_GRID.wavelength(pixel));
        let waves: Vec<u8> = waves.flat_map(f64::to_be_bytes).collect();
        let pixels = end - start;
        let flux = rows.iter().flat_map(|row| vec![row.2; pixels]);
        let weights = (0..rows.len()).flat_map(|row| vec![ivar(row, arm); pixels]);
        let axes = [pixels, rows.len()];
        fits = fits
            .image(&format!("{arm}_WAVELENGTH"), -64, &[pixels], &waves)
            .image(&format!("{arm}_FLUX"), -32, &axes, &floats(flux))
            .image(&format!("{arm}_IVAR"), -32, &axes, &floats(weights));
    }
    fits.write(path);
}

#[test]
fn exposures_are_coadded_by_target_without_the_faulty() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [
        (11, 0, 1.0),
        (11, 1 << 10, 90.0),
        (12, 0, 2.0),
        (11, 0, 5.0),
        (13, 1, 7.0),
    ];
    let path = folder.path().join("spectra-4-1.fits");
    write_arms(&path, &["B", "R", "Z"], &rows, |row, _| {
        if row == 0 { 3.0 } else { 1.0 }
    });
    let fields = [("TARGETID", "K"), ("Z", "D"), ("ZWARN", "K")];
    let mut redshifts = Vec::new();
    for (target, redshift) in [(12_i64, 0.35), (11, 0.25)] {
        redshifts.extend(target.to_be_bytes());
        redshifts.extend(f64::to_be_bytes(redshift));
        redshifts.extend(0_i64.to_be_bytes());
    }
    Fits::default()
        .hdu(&image_cards(8, &[]), &[])
        .table("REDSHIFTS", &fields, 24, &redshifts)
        .write(&folder.path().join("redrock-4-1.fits"));
    let data = open_one(folder.path());
    let labels = data.labels(0..2).unwrap();
    assert_eq!(
        (labels.object_id, labels.redshift),
        (vec![11_i64.into(), 12_i64.into()], vec![0.25, 0.35])
    );
    let told = [
        "left out 2 exposures with faulty fibres (FIBERSTATUS) of 5 rows",
        "single exposures: 3 rows of 2 targets are coadded by inverse variance",
    ];
    assert_eq!(notes(&data), told);
    let spectra = data.spectra(&[0, 1]).unwrap();
    // (3 · 1 + 1 · 5) / (3 + 1), also where arms overlap.
    assert!(spectra.row(0).iter().all(|&value| value == 2.0));
    assert!(spectra.row(1).iter().all(|&value| value == 2.0));
}

#[test]
fn an_arm_that_is_missing_is_filled_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("coadd-1.fits");
    write_arms(
        &path,
        &["B", "R"],
        &[(11, 0, 2.0), (12, 1 << 16, 2.0)],
        |_, _| 1.0,
    );
    let data = open_one(&path);
    assert_eq!(data.len(), 1);
    let spectra = data.spectra(&[0]).unwrap();
    assert_eq!(spectra.row(0), Array1::from_elem(DESI_GRID.len, 2.0));
    let told = notes(&data);
    assert!(told[0].starts_with("lacks the arm Z: "), "{told:?}");
    assert_eq!(told[1], "left out 1 faulty fibres (FIBERSTATUS) of 2 rows");
    assert!(
        told[2].contains("35.41 % of the survey's pixels"),
        "{told:?}"
    );

    // One target without B, one without B and R, one without light.
    let rows = [(11, 0, 2.0), (12, 0, 2.0), (13, 0, 2.0), (14, 0, 0.0)];
    write_arms(&path, &["B", "R", "Z"], &rows, |row, arm| {
        match (row, arm) {
            (1 | 2, "B") | (2, "R") => 0.0,
            _ => 1.0,
        }
    });
    let data = open_one(&path);
    assert_eq!(data.labels(0..2).unwrap().object_id, [11, 12]);
    let told = notes(&data);
    assert_eq!(
        told[..2],
        [
            "left out 1 spectra without any signal, 1 spectra with less than 50 % good pixels of 4 rows",
            "masked pixels: 50.00 % in B, 0.00 % in R, 0.00 % in Z",
        ]
    );
    // A survey that sees the red alone uses the third.
    let mut survey = Survey::default();
    (survey.wavelengths.start, survey.wavelengths.len) = (8000.0, 2000);
    let red = open(&[path], &survey, &ReadOptions::default()).unwrap();
    assert_eq!(red.labels(0..3).unwrap().object_id, [11, 12, 13]);
    assert!(red.spectra(&[2]).unwrap().iter().all(|&value| value == 2.0));
}

/// SDSS's files: the table of the spectrum, and that of its labels.
#[test]
fn sdss_spectra_are_read_from_a_folder_of_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, start, id, warning) in [
        (
            "spec-0266-51602-0001.fits",
            3.5810,
            "   299489676975171584",
            0,
        ),
        (
            "spec-0266-51602-0002.fits",
            3.5806,
            "   299489951853078528",
            4,
        ),
    ] {
        let mut spectrum = Vec::new();
        for pixel in 0..3800 {
            let bad = (100..104).contains(&pixel);
            spectrum.extend(floats([
                if bad { 1e4 } else { 3.0 },
                (start + 1e-4 * f64::from(pixel)) as f32,
            ]));
            spectrum.extend(floats([if bad && pixel != 102 { 0.0 } else { 2.0 }]));
            // BRIGHTSKY in one, NEARBADPIXEL in all.
            spectrum.extend((1_i32 << 16 | i32::from(pixel == 102) << 23).to_be_bytes());
        }
        let mut labels = format!("{id:>22}").into_bytes();
        labels.extend(floats([0.125]));
        labels.extend(i32::to_be_bytes(warning));
        let fields = [
            ("flux", "E"),
            ("loglam", "E"),
            ("ivar", "E"),
            ("and_mask", "J"),
        ];
        Fits::default()
            .hdu(&image_cards(8, &[]), &[])
            .table("COADD", &fields, 16, &spectrum)
            .table(
                "SPALL",
                &[("SPECOBJID", "22A"), ("Z", "E"), ("ZWARNING", "J")],
                30,
                &labels,
            )
            .write(&folder.path().join(name));
    }
    let data = open_one(folder.path());
    let labels = data.labels(0..2).unwrap();
    assert_eq!(
        labels.object_id,
        [299_489_676_975_171_584, 299_489_951_853_078_528]
    );
    assert!(labels.redshift[0] == 0.125 && labels.redshift[1].is_nan());
    assert!(
        data.spectra(&[1, 0])
            .unwrap()
            .iter()
            .all(|&value| (value - 3.0).abs() < 1e-5)
    );
    let described = &data.describe().files[0];
    assert_eq!(
        (described.format, described.spectrum_pixels),
        ("SDSS spectrum", Some(3800))
    );
    assert!((described.wavelength_coverage.unwrap() - 0.86).abs() < 0.01);
    std::fs::write(folder.path().join("spec-0266-51602-0003.fits"), "SIMPLE  =").unwrap();
    assert!(refusal(folder.path()).contains("0003.fits"));
}
