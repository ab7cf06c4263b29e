//! Images in some files, spectra in others.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array4};
use tempfile::TempDir;

use crate::files::data::{Dataset, Keys, ReadOptions, open};
use crate::survey::{DESI_GRID, Modality, Split, Survey};

const NAN: f32 = f32::NAN;

/// A folder of files of galaxies whose pixels all are a number of their own.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, ids: Option<&[i64]>, redshifts: &[f32]) -> hdf5::File {
        let file = hdf5::File::create(self.path(name)).unwrap();
        let build = || file.new_dataset_builder();
        if let Some(ids) = ids {
            build().with_data(ids).create("targetid").unwrap();
        }
        build().with_data(redshifts).create("redshift").unwrap();
        file
    }

    fn images(&self, name: &str, ids: Option<&[i64]>, values: &[f32], redshifts: &[f32]) {
        let images = Array4::from_shape_fn((values.len(), 3, 4, 4), |(row, ..)| values[row]);
        let file = self.file(name, ids, redshifts);
        let build = file.new_dataset_builder();
        build.with_data(&images).create("images").unwrap();
    }

    /// Spectra on every `step`th of the survey's wavelengths.
    fn spectra(&self, name: &str, ids: Option<&[i64]>, values: &[f32], step: usize) {
        let redshifts: Vec<f32> = values.iter().map(|value| value / 100.0).collect();
        let wave: Vec<f64> = DESI_GRID.wavelengths().into_iter().step_by(step).collect();
        let flux = Array2::from_shape_fn((values.len(), wave.len()), |(row, _)| values[row]);
        let file = self.file(name, ids, &redshifts);
        let build = || file.new_dataset_builder();
        build().with_data(&flux).create("flux").unwrap();
        build().with_data(&wave).create("wave").unwrap();
    }

    fn open(&self, names: &[&str], pairs: Option<&str>) -> crate::base::error::Result<Dataset> {
        let options = ReadOptions {
            pairs: pairs.map(|name| self.path(name)),
            ..ReadOptions::default()
        };
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        open(&paths, &Survey::default(), &options)
    }

    #[track_caller]
    fn refuses(&self, names: &[&str], pairs: Option<&str>, parts: &[&str]) {
        let error = self.open(names, pairs).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let message = error.to_string();
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in: {message}");
        }
    }
}

/// The one number in the image and in the spectrum of each galaxy.
fn values(data: &Dataset, rows: &[usize]) -> Vec<[f32; 2]> {
    let (images, spectra) = (data.images(rows).unwrap(), data.spectra(rows).unwrap());
    let pairs = images.outer_iter().zip(spectra.outer_iter());
    pairs
        .map(|(image, spectrum)| {
            let value = spectrum[2000];
            assert!(image.iter().all(|pixel| *pixel == image[[0, 0, 0]]));
            assert!(spectrum.iter().all(|flux| (flux - value).abs() < 1e-4));
            [image[[0, 0, 0]], value.round()]
        })
        .collect()
}

#[test]
fn images_and_spectra_of_one_identifier_are_a_galaxy_whatever_their_files_and_order() {
    let folder = Folder::new();
    folder.images("a.h5", Some(&[5, 3]), &[50.0, 30.0], &[0.05, 0.031]);
    let (ids, values_of_b) = ([8, 3, -1, 6], [80.0, 31.0, 10.0, 60.0]);
    folder.images("b.h5", Some(&ids), &values_of_b, &[NAN; 4]);
    folder.spectra("c.h5", Some(&[9, 8]), &[9.0, 8.0], 1);
    folder.spectra("d.h5", Some(&[5, 7, 3, -1]), &[5.0, 7.0, -200.0, 1.0], 2);
    let data = folder
        .open(&["c.h5", "a.h5", "d.h5", "b.h5"], None)
        .unwrap();

    assert_eq!(data.len(), 3);
    assert!(Modality::ALL.into_iter().all(|modality| data.has(modality)));
    assert_eq!(
        values(&data, &[2, 0, 1, 0]),
        [[80.0, 8.0], [50.0, 5.0], [30.0, -200.0], [50.0, 5.0]]
    );
    let labels = data.labels(0..3).unwrap();
    assert_eq!(labels.object_id, [5, 3, 8]);
    // -2 is none: the image's redshift stands in.
    assert_eq!(labels.redshift, [0.05, 0.031, 0.08]);
    assert_eq!(data.labels(2..3).unwrap().object_id, [8]);
    for (row, id) in labels.object_id.into_iter().enumerate() {
        assert_eq!(data.split(row), Split::of_id(id));
    }
    assert_eq!(
        data.place(Modality::Spectrum, 1),
        (folder.path("d.h5").as_path(), 2)
    );
    assert_eq!(
        data.place(Modality::Image, 2),
        (folder.path("b.h5").as_path(), 0)
    );

    let description = data.describe();
    let galaxies: Vec<usize> = description.files.iter().map(|file| file.galaxies).collect();
    assert_eq!((description.galaxies, galaxies), (3, vec![2, 2, 4, 4]));
    let notes = &description.notes;
    assert_eq!(
        notes[0],
        "6 images and 6 spectra; 3 galaxies are in both, paired by identifier"
    );
    assert!(notes[1].starts_with(
        "images with the identifier of an earlier one, not used: 1, the first is 3 in row 1 of"
    ));
    assert_eq!(
        notes[2],
        "images without an identifier, and so without a partner: 1"
    );
    assert_eq!(
        notes[3],
        "spectra without an identifier, and so without a partner: 1"
    );
    assert_eq!(notes.len(), 4, "{notes:?}");
}

#[test]
fn a_bad_spectrum_is_named_by_its_own_file_and_row() {
    let folder = Folder::new();
    folder.images("images.h5", Some(&[1, 2]), &[1.0, 2.0], &[NAN; 2]);
    for step in [1, 2] {
        folder.spectra("spectra.h5", Some(&[7, 2, 1]), &[7.0, NAN, 1.0], step);
        let data = folder.open(&["images.h5", "spectra.h5"], None).unwrap();
        let message = data.spectra(&[0, 1]).unwrap_err().to_string();
        let named = format!(
            "{}: dataset `flux` row 1",
            folder.path("spectra.h5").display()
        );
        assert!(message.starts_with(&named), "{message}");
    }
}

#[test]
fn a_table_pairs_what_has_different_identifiers() {
    let folder = Folder::new();
    folder.images(
        "images.h5",
        Some(&[11, 12, 13]),
        &[1.0, 2.0, 3.0],
        &[NAN; 3],
    );
    folder.spectra("spectra.h5", Some(&[901, 902, 903]), &[1.0, 2.0, 3.0], 1);
    let both = ["images.h5", "spectra.h5"];
    folder.refuses(
        &both,
        None,
        &[
            "3 images (",
            "the first is called 11",
            "the first is called 901",
            "match IMAGES SPECTRA --on sky",
            "--pairs pairs.csv",
        ],
    );
    let tables = [
        // As `match` writes them, the images left or right.
        "object_id_left,ra_left,object_id_right\n13,1.5,901\n11,1.6,903\n77,1.7,902\n11,1.8,902\n",
        "TARGETID,object_id\n901,13\n903,11\n902,77\n902,11\n",
        "spectrum_id,image_id\n901,13\n903,11\n",
    ];
    for (index, table) in tables.into_iter().enumerate() {
        fs::write(folder.path("pairs.csv"), table).unwrap();
        let data = folder.open(&both, Some("pairs.csv")).unwrap();
        assert_eq!(values(&data, &[0, 1]), [[1.0, 3.0], [3.0, 1.0]], "{table}");
        let labels = data.labels(0..data.len()).unwrap();
        assert_eq!(labels.object_id, [903, 901]);
        let notes = data.describe().notes;
        assert!(
            notes[0].contains("they are called as their spectra are"),
            "{notes:?}"
        );
        assert_eq!(notes.len(), if index == 2 { 1 } else { 2 }, "{notes:?}");
    }
    fs::write(folder.path("pairs.csv"), "object_id,targetid\n901,902\n").unwrap();
    folder.refuses(
        &both,
        Some("pairs.csv"),
        &[
            "none of its 1 rows names one of 3 images",
            "object_id, targetid",
        ],
    );
}

#[test]
fn a_table_that_can_be_read_either_way_must_say_which_way() {
    let folder = Folder::new();
    folder.images("images.h5", Some(&[1, 2, 3]), &[1.0, 2.0, 3.0], &[NAN; 3]);
    folder.spectra("spectra.h5", Some(&[1, 2, 3]), &[1.0, 2.0, 3.0], 1);
    let both = ["images.h5", "spectra.h5"];
    let write = |names: &str| {
        fs::write(
            folder.path("pairs.csv"),
            format!("{names}\n1,2\n2,3\n3,1\n"),
        )
        .unwrap();
    };
    write("id_left,id_right");
    folder.refuses(
        &both,
        Some("pairs.csv"),
        &[
            "may name the images",
            "call the columns image_id and spectrum_id",
        ],
    );
    write("spectrum_id,image_id");
    let data = folder.open(&both, Some("pairs.csv")).unwrap();
    assert_eq!(
        values(&data, &[0, 1, 2]),
        [[1.0, 3.0], [2.0, 1.0], [3.0, 2.0]]
    );
}

#[test]
fn what_cannot_be_paired_is_refused_and_what_hardly_is_one_galaxy_is_told() {
    let folder = Folder::new();
    let ids = [1, 2, 3];
    folder.images("images.h5", Some(&ids), &[1.0; 3], &[0.9, 0.8, NAN]);
    folder.images("nameless.h5", None, &[1.0; 3], &[NAN; 3]);
    folder.spectra("spectra.h5", Some(&ids), &[1.0, 2.0, 3.0], 1);
    let joint = folder.path("joint.h5");
    write_joint(&joint);

    folder.refuses(
        &["nameless.h5", "spectra.h5"],
        None,
        &["nameless.h5: its images have no identifiers", "--id-key"],
    );
    folder.refuses(
        &["images.h5", "spectra.h5", "joint.h5"],
        None,
        &[
            "holds images, but",
            "some images alone and the others spectra alone",
        ],
    );
    fs::write(folder.path("pairs.csv"), "image_id,spectrum_id\n1,1\n").unwrap();
    folder.refuses(
        &["joint.h5"],
        Some("pairs.csv"),
        &[
            "pairs.csv: pairs images with spectra of other files, but",
            "images and spectra",
        ],
    );
    let data = folder.open(&["images.h5", "spectra.h5"], None).unwrap();
    let notes = data.describe().notes;
    assert!(
        notes[1]
            .starts_with("of 2 galaxies with a redshift in both files 2 have two that differ by"),
        "{notes:?}"
    );
}

fn write_joint(path: &Path) {
    let file = hdf5::File::create(path).unwrap();
    let group = file.create_group("0").unwrap();
    let build = || group.new_dataset_builder();
    let images = Array4::<f32>::ones((2, 4, 4, 3));
    let spectra = Array2::<f32>::ones((2, DESI_GRID.len)).insert_axis(ndarray::Axis(2));
    build().with_data(&images).create("images").unwrap();
    build().with_data(&spectra).create("spectra").unwrap();
}

#[test]
fn names_of_datasets_may_be_those_of_two_files() {
    let folder = Folder::new();
    folder.images("plain.h5", Some(&[5, 3]), &[50.0, 30.0], &[NAN; 2]);
    folder.spectra("spectra.h5", Some(&[3, 5]), &[3.0, 5.0], 1);
    let file = hdf5::File::open_rw(folder.path("plain.h5")).unwrap();
    file.relink("images", "stamps").unwrap();
    file.relink("targetid", "galaxy").unwrap();
    drop(file);
    let paths = ["plain.h5", "spectra.h5"].map(|name| folder.path(name));
    let read = |id: &str| {
        let some = |name: &str| Some(name.to_owned());
        let keys = Keys {
            image: some("stamps"),
            spectrum: some("flux"),
            wavelength: some("wave"),
            id: some(id),
            redshift: some("redshift"),
            ..Keys::default()
        };
        let options = ReadOptions {
            keys,
            ..ReadOptions::default()
        };
        open(&paths, &Survey::default(), &options)
    };
    let data = read("galaxy").unwrap();
    assert_eq!(values(&data, &[0, 1]), [[50.0, 5.0], [30.0, 3.0]]);
    // Neither the name that is given nor a usual one.
    let message = read("targetid").unwrap_err().to_string();
    assert!(
        message.contains("no dataset `targetid`, which --id-key names"),
        "{message}"
    );
}
