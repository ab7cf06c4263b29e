//! HDF5 files whose values lie elsewhere, behind filters, or in types of other widths.

use std::fs;
use std::path::{Path, PathBuf};

use hdf5::types::{FloatSize, TypeDescriptor};
use hdf5::{Dataset, File, Hyperslab};
use ndarray::{Array1, Array2, ArrayViewD, Axis, s};
use tempfile::TempDir;

use super::{open_one, refusal};
use crate::survey::DESI_GRID;

pub(super) const PIXELS: usize = DESI_GRID.len;
pub(super) const ROWS: usize = 4;

pub(super) fn flux() -> Array2<f32> {
    Array2::from_shape_fn((ROWS, PIXELS), |(row, pixel)| {
        1.0 + row as f32 + (pixel % 97) as f32 / 64.0
    })
}

/// A file of the spectra layout but for `flux`, which `add` makes.
pub(super) fn write(path: &Path, add: impl FnOnce(&File)) -> PathBuf {
    // The oldest headers, which have no checksum.
    let mut options = File::with_options();
    options.with_fapl(|plist| plist.libver_earliest());
    let file = options.create(path).unwrap();
    let build = || file.new_dataset_builder();
    build()
        .with_data(&DESI_GRID.wavelengths())
        .create("wave")
        .unwrap();
    build()
        .with_data(&[7_i64, 8, 9, 10])
        .create("targetid")
        .unwrap();
    add(&file);
    path.to_owned()
}

fn with_flux(path: &Path) -> PathBuf {
    write(path, |file| {
        file.new_dataset_builder()
            .with_data(&flux())
            .create("flux")
            .unwrap();
    })
}

pub(super) fn assert_flux(path: &Path) {
    let survey = open_one(path);
    let read = survey.spectra(&[3, 0]).unwrap();
    assert_eq!(read.row(0), flux().row(3), "{}", path.display());
    assert_eq!(read.row(1), flux().row(0), "{}", path.display());
}

/// Asserts that a file is refused and that the message says these things.
pub(super) fn assert_refused(path: &Path, parts: &[&str]) {
    let message = refusal(path);
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

/// A folder with one within, and a file of spectra in each: `part.h5`, `survey/part.h5` and `survey/sub/part.h5`.
fn folders() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let survey = root.path().join("survey");
    fs::create_dir_all(survey.join("sub")).unwrap();
    with_flux(&root.path().join("part.h5"));
    with_flux(&survey.join("part.h5"));
    with_flux(&survey.join("sub/part.h5"));
    (root, survey)
}

fn link(path: &Path, target: &str, object: &str) -> PathBuf {
    write(path, |file| {
        // Something that lies where the linked values lie in their file.
        let other = Array2::<f32>::from_elem((ROWS, PIXELS), 99.0);
        file.new_dataset_builder()
            .with_data(&other)
            .create("other")
            .unwrap();
        file.link_external(target, object, "flux").unwrap();
    })
}

#[test]
fn external_links_are_read_within_the_folder_of_the_file() {
    let (root, folder) = folders();
    let absolute = folder.join("part.h5");
    for (name, target) in [
        ("beside", "part.h5"),
        ("below", "sub/part.h5"),
        ("up_and_down", "sub/../part.h5"),
        ("absolute", absolute.to_str().unwrap()),
        ("moved", "/a/folder/that/is/gone/part.h5"),
    ] {
        assert_flux(&link(&folder.join(name), target, "/flux"));
    }
    link(&folder.join("sub/middle.h5"), "../part.h5", "/flux");
    assert_flux(&link(&folder.join("chain"), "sub/middle.h5", "/flux"));

    let outside = root.path().join("part.h5");
    std::os::unix::fs::symlink(&outside, folder.join("elsewhere.h5")).unwrap();
    link(&folder.join("sub/escape.h5"), "../../part.h5", "/flux");
    let shown = outside.canonicalize().unwrap();
    let refused = [
        "`flux`",
        shown.to_str().unwrap(),
        "outside",
        "--follow-links",
    ];
    for target in [
        "../part.h5",
        outside.to_str().unwrap(),
        "elsewhere.h5",
        "sub/escape.h5",
    ] {
        assert_refused(&link(&folder.join("refused"), target, "/flux"), &refused);
    }
    // The file that is named may itself be a link.
    std::os::unix::fs::symlink(folder.join("chain"), root.path().join("named")).unwrap();
    assert_flux(&root.path().join("named"));

    let gone = folder.canonicalize().unwrap().join("gone.h5");
    let gone = [gone.to_str().unwrap(), "not there"];
    assert_refused(&link(&folder.join("refused"), "gone.h5", "/flux"), &gone);
    assert_refused(
        &link(&folder.join("refused"), "part.h5", "/nothing"),
        &["`/nothing`", "part.h5", "no such object"],
    );
    link(&folder.join("there"), "back", "/flux");
    link(&folder.join("back"), "there", "/flux");
    assert_refused(&folder.join("there"), &["link to one another"]);
}

#[test]
fn groups_of_the_joint_layout_may_be_links() {
    let (_root, folder) = folders();
    let spectra = flux().insert_axis(Axis(2));
    for (name, first) in [("0.h5", 0), ("1.h5", 2)] {
        let file = File::create(folder.join(name)).unwrap();
        let build = || file.new_dataset_builder();
        let part = spectra.slice(s![first..first + 2, .., ..]);
        build().with_data(part).create("spectra").unwrap();
        build()
            .with_data(&[first as i64, 1 + first as i64])
            .create("targetids")
            .unwrap();
    }
    let master = folder.join("master.h5");
    let file = File::create(&master).unwrap();
    file.link_external("0.h5", "/", "0").unwrap();
    file.link_external("1.h5", "/", "1").unwrap();
    drop(file);
    assert_flux(&master);
    let labels = open_one(&master).labels(0..4).unwrap();
    assert_eq!(labels.object_id, [0, 1, 2, 3]);
    fs::remove_file(folder.join("1.h5")).unwrap();
    assert_refused(&master, &["`1`", "1.h5", "not there"]);
}

/// A virtual dataset of two rows each of two files.
fn write_virtual(path: &Path, sources: [&str; 2], fill: f32) -> PathBuf {
    write(path, |file| {
        let rows = |first: usize| Hyperslab::from((first..first + 2, ..));
        let mut builder = file
            .new_dataset::<f32>()
            .fill_value(fill)
            .shape((ROWS, PIXELS));
        for (source, first) in sources.into_iter().zip([0, 2]) {
            if !source.is_empty() {
                builder = builder.virtual_map(
                    source,
                    "flux",
                    (ROWS, PIXELS),
                    rows(first),
                    (ROWS, PIXELS),
                    rows(first),
                );
            }
        }
        builder.create("flux").unwrap();
    })
}

#[test]
fn virtual_datasets_are_read_where_all_their_sources_are_there() {
    let (root, folder) = folders();
    let path = folder.join("virtual.h5");
    assert_flux(&write_virtual(&path, ["part.h5", "sub/part.h5"], 0.0));
    let path = write_virtual(&path, ["part.h5", "gone.h5"], f32::NAN);
    let gone = folder.canonicalize().unwrap().join("gone.h5");
    assert_refused(&path, &["virtual", gone.to_str().unwrap(), "not there"]);
    let path = write_virtual(&path, ["part.h5", "../part.h5"], 0.0);
    let outside = root.path().canonicalize().unwrap().join("part.h5");
    assert_refused(
        &path,
        &["virtual", outside.to_str().unwrap(), "--follow-links"],
    );

    // Rows without a source are no data, unless they are marked as unknown.
    let path = write_virtual(&path, ["part.h5", ""], 0.0);
    assert_refused(&path, &["cover 15562 of its 31124 values", "fill value 0"]);
    let path = write_virtual(&path, ["part.h5", ""], f32::NAN);
    let survey = open_one(&path);
    let read = survey.spectra(&[1]).unwrap();
    assert_eq!(read.row(0), flux().row(1));
    assert!(survey.spectra(&[2]).is_err());
    drop(survey);

    let short = File::create(folder.join("short.h5")).unwrap();
    let rows = flux().slice(s![..3, ..]).to_owned();
    short
        .new_dataset_builder()
        .with_data(&rows)
        .create("flux")
        .unwrap();
    drop(short);
    let path = write_virtual(&path, ["part.h5", "short.h5"], 0.0);
    assert_refused(&path, &["short.h5", "[3, 7781]", "[4, 7781]"]);
    let path = write_virtual(&path, ["virtual.h5", "part.h5"], 0.0);
    assert_refused(&path, &["virtual.h5", "its own source"]);
    let nested = write_virtual(&path, ["part.h5", "gone.h5"], 0.0);
    let around = write_virtual(&folder.join("around.h5"), ["virtual.h5", "part.h5"], 0.0);
    assert_refused(
        &around,
        &[nested.file_name().unwrap().to_str().unwrap(), "gone.h5"],
    );
}

#[test]
fn values_in_raw_files_are_read_within_the_folder_of_the_file() {
    let (root, folder) = folders();
    let bytes: Vec<u8> = flux()
        .iter()
        .flat_map(|value| value.to_ne_bytes())
        .collect();
    let part = bytes.len() / 2;
    fs::write(folder.join("a.bin"), [&[0; 16], &bytes[..part]].concat()).unwrap();
    fs::write(folder.join("b.bin"), &bytes[part..]).unwrap();
    fs::write(root.path().join("b.bin"), &bytes[part..]).unwrap();
    let external = |last: &str| {
        write(&folder.join("external.h5"), |file| {
            let builder = file.new_dataset::<f32>().shape((ROWS, PIXELS));
            let builder = builder.external("a.bin", 16, part);
            builder.external(last, 0, part).create("flux").unwrap();
        })
    };
    assert_flux(&external("b.bin"));
    assert_refused(
        &external("../b.bin"),
        &["b.bin", "outside", "--follow-links"],
    );
    assert_refused(&external("c.bin"), &["c.bin", "not there"]);
    // libhdf5 would take zeros for what is cut off.
    fs::write(folder.join("b.bin"), &bytes[part + 4..]).unwrap();
    assert_refused(&external("b.bin"), &["b.bin", "62244 bytes where 62248"]);
}

#[test]
fn what_was_never_written_is_not_read_from_a_place_that_it_does_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.h5");
    let mut options = File::with_options();
    let file = options
        .with_fcpl(|plist| plist.userblock(512))
        .create(&path)
        .unwrap();
    let build = || file.new_dataset_builder();
    build()
        .with_data(&DESI_GRID.wavelengths())
        .create("wave")
        .unwrap();
    let late = file.new_dataset::<f32>().shape((ROWS, PIXELS));
    late.create("flux").unwrap();
    build().with_data(&flux()).create("other").unwrap();
    drop(file);
    assert_refused(&path, &["`flux`", "0 of its 31124 values", "fill value 0"]);
}

#[test]
fn a_file_whose_writer_was_killed_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (open, killed) = (
        folder.path().join("open.h5"),
        folder.path().join("killed.h5"),
    );
    let mut options = File::with_options();
    let file = options
        .with_fapl(|plist| plist.libver_latest())
        .create(&open)
        .unwrap();
    file.new_dataset_builder()
        .with_data(&flux())
        .create("flux")
        .unwrap();
    file.flush().unwrap();
    // What a writer leaves that does not come to close its file.
    fs::copy(&open, &killed).unwrap();
    assert_refused(&killed, &["did not close it", "h5clear -s"]);
    assert!(!refusal(&killed).contains("fetch"));
}

fn write_as(path: &Path, create: impl FnOnce(&File) -> hdf5::Result<Dataset>) -> PathBuf {
    write(path, |file| {
        create(file).unwrap();
    })
}

#[test]
fn lzf_is_built_in_and_a_missing_filter_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("survey.h5");
    let packed = |file: &File| {
        let builder = file.new_dataset_builder().shuffle().lzf().chunk((2, 1000));
        builder.with_data(&flux()).create("flux")
    };
    assert_flux(&write_as(&path, packed));
    let path = write_as(&path, |file| {
        // With times of changes, the header of a dataset stays old.
        let builder = file
            .new_dataset_builder()
            .lzf()
            .chunk((2, 1000))
            .obj_track_times(true);
        builder.with_data(&flux()).create("flux")
    });
    rename_filter(&path, 32015);
    let message = refusal(&path);
    for part in [
        "`flux`",
        "zstd (32015)",
        "ASTROCLIP_HDF5_PLUGINS",
        "h5repack -f GZIP=4",
    ] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert!(!message.contains("damaged") && !message.contains("/lib/plugin"));
}

/// Gives the only filter lzf of a file another number; its name comes behind the lengths and flags.
fn rename_filter(path: &Path, number: u16) {
    let mut bytes = fs::read(path).unwrap();
    let is_lzf = |at: &usize| {
        bytes[*at..].starts_with(&32000_u16.to_le_bytes()) && bytes[at + 8..].starts_with(b"lzf")
    };
    let found: Vec<usize> = (0..bytes.len() - 8).filter(is_lzf).collect();
    assert_eq!(found.len(), 1);
    bytes[found[0]..][..2].copy_from_slice(&number.to_le_bytes());
    fs::write(path, bytes).unwrap();
}

#[test]
fn numbers_of_every_width_are_read_and_others_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("survey.h5");
    // Numbers that half precision holds exactly.
    let half = || flux().mapv(half::f16::from_f32);
    assert_flux(&write_as(&path, |file| {
        file.new_dataset_builder().with_data(&half()).create("flux")
    }));
    let wide = flux().mapv(f64::from);
    assert_flux(&write_as(&path, |file| {
        file.new_dataset_builder().with_data(&wide).create("flux")
    }));
    let bytes = Array2::from_shape_fn((ROWS, PIXELS), |(row, pixel)| (row + pixel % 9) as i8 + 1);
    let path = write_as(&path, |file| {
        file.new_dataset_builder().with_data(&bytes).create("flux")
    });
    let read = open_one(&path).spectra(&[2]).unwrap();
    assert_eq!(read.row(0), bytes.row(2).mapv(f32::from));

    let path = write_as(&path, |file| {
        let descriptor = TypeDescriptor::Compound(hdf5::types::CompoundType {
            fields: [("r", 0), ("i", 1)]
                .map(|(name, index)| {
                    let ty = TypeDescriptor::Float(FloatSize::U4);
                    hdf5::types::CompoundField::new(name, ty, 4 * index, index)
                })
                .to_vec(),
            size: 8,
        });
        let builder = file.new_dataset_builder().empty_as(&descriptor);
        builder.shape((ROWS, PIXELS)).create("flux")
    });
    assert_refused(&path, &["`flux`", "complex numbers", "float32"]);
}

/// Rounded to 32 bits, wavelengths would move a thousandth of a pixel's flux to its neighbour.
#[test]
fn wavelengths_of_rows_are_as_exact_as_those_that_all_share() {
    let folder = tempfile::tempdir().unwrap();
    let pixels = 3000;
    let wave = Array1::from_shape_fn(pixels, |pixel| 3700.3 + 1.3 * pixel as f64);
    let flux = Array2::from_shape_fn((2, pixels), |(_, pixel)| (pixel % 7) as f32 + 1.0);
    let read = |name: &str, wave: ArrayViewD<'_, f64>| {
        let path = folder.path().join(name);
        let file = File::create(&path).unwrap();
        file.new_dataset_builder()
            .with_data(&flux)
            .create("flux")
            .unwrap();
        file.new_dataset_builder()
            .with_data(&wave)
            .create("wave")
            .unwrap();
        drop(file);
        open_one(&path).spectra(&[1]).unwrap()
    };
    let rows = ndarray::stack![Axis(0), wave, wave];
    assert_eq!(
        read("a.h5", wave.view().into_dyn()),
        read("b.h5", rows.view().into_dyn())
    );
}
