//! Embedding files: round trip, files of other programs, refusals.

use std::path::Path;

use astroclip::evaluation::search::{self, Query};
use astroclip::files::embeddings::{
    EmbeddingBatch, EmbeddingFile, EmbeddingRows, EmbeddingSet, EmbeddingWriter, Features, Keys,
    ModelEmbeddings, Observed, Provenance,
};
use astroclip::files::inputs::{InputFiles, Inputs};
use astroclip::survey::{CONTINUUM_BANDS, Modality, ObjectId, Split};
use ndarray::{Array2, Array3, Axis, array, s};

fn provenance() -> Provenance {
    Provenance {
        model_sha256: "ab12".into(),
        model_config: r#"{"width":3,"name":"Å"}"#.into(),
        program_version: "0.1.0".into(),
        normalized: true,
        inputs: Some(Inputs {
            data: vec![InputFiles {
                path: "/surveys/south/*.h5".into(),
                relative: "../south/*.h5".into(),
                files: 3,
                bytes: 1 << 40,
                sample_sha256: "cd34".into(),
            }],
            ..Inputs::default()
        }),
        part: None,
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn batches_come_back_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emb.h5");
    let rows = 150; // more than two chunks
    let image = Array2::from_shape_fn((rows, 3), |(row, column)| (row * 3 + column) as f32);
    let spectrum = -&image;
    let object_id: Vec<ObjectId> = (0..rows as i64)
        .map(|row| (39_627_000_000_000_000 + row).into())
        .collect();
    let split: Vec<Split> = Split::of_group(rows).collect();
    let redshift: Vec<f32> = (0..rows)
        .map(|row| {
            if row == 7 {
                f32::NAN
            } else {
                row as f32 / 100.0
            }
        })
        .collect();

    // Nothing is known of the first batches: their columns come later.
    let observed: Vec<Observed> = (0..rows)
        .map(|row| match row {
            0..100 => Observed::UNKNOWN,
            _ => Observed {
                position: [row as f64, -0.1 * row as f64],
                spectrum_filled: row as f32 / 1e3,
                signal_to_noise: 0.5 * row as f32,
                star_lines: -0.1,
                bands_missing: (row != 120).then_some((row % 3) as u8),
            },
        })
        .collect();

    let continua = Array3::from_shape_fn((rows, 2, CONTINUUM_BANDS), |(row, kind, band)| {
        row as f32 + 0.5 * kind as f32 - band as f32
    });

    let features = Array2::from_shape_fn((rows, 5), |(row, column)| (row + 7 * column) as f32);

    let mut writer = EmbeddingWriter::create(&path, &Modality::ALL, 3, &provenance()).unwrap();
    for (start, end) in [(0, 1), (1, 1), (1, 100), (100, rows)] {
        writer
            .append(&EmbeddingBatch {
                image: Some(image.slice(s![start..end, ..])),
                spectrum: Some(spectrum.slice(s![start..end, ..])),
                features: Features {
                    image: None,
                    spectrum: Some(features.slice(s![start..end, ..])),
                },
                object_id: &object_id[start..end],
                split: &split[start..end],
                redshift: &redshift[start..end],
                observed: &observed[start..end],
                // Nor are the continua of the first.
                continua: (start >= 100).then(|| continua.slice(s![start..end, .., ..])),
            })
            .unwrap();
    }
    assert!(!path.exists(), "a file appears only when it is whole");
    assert_eq!(writer.finish().unwrap(), rows);
    assert_eq!(names_in(folder.path()), ["emb.h5"]);

    let file = EmbeddingFile::open(&path).unwrap();
    assert_eq!(file.image.as_ref(), Some(&image));
    assert_eq!(file.spectrum.as_ref(), Some(&spectrum));
    assert_eq!(file.object_id, object_id);
    assert_eq!(file.split, split);
    assert_eq!(file.rows_of(Split::Test), (120..150).collect::<Vec<_>>());
    assert!(file.redshift[7].is_nan());
    assert_eq!(file.redshift[8..], redshift[8..]);
    assert_eq!(format!("{:?}", file.observed), format!("{observed:?}"));
    assert_eq!(file.provenance, Some(provenance()));
    let read = file.continua(&[149, 3, 100]).unwrap().unwrap();
    for (place, row) in [(0, 149), (2, 100)] {
        let stored = read.index_axis(Axis(0), place);
        assert_eq!(stored, continua.index_axis(Axis(0), row));
    }
    assert!(
        read.index_axis(Axis(0), 1)
            .iter()
            .all(|value| value.is_nan())
    );

    let set = EmbeddingSet::of(path.clone());
    let part = ModelEmbeddings::one(&set, &Keys::default(), None, &[Modality::Spectrum]).unwrap();
    assert_eq!(part.image, None);
    assert_eq!(part.spectrum, Some(spectrum));

    // What is from before the heads is read by its name, and with all else that is known.
    let keys = |names: &[&str]| Keys {
        embeddings: names.iter().map(|name| name.parse().unwrap()).collect(),
        id: None,
    };
    let named = keys(&["image_embeddings", "spectrum_features"]);
    let models = ModelEmbeddings::open(&path, "mine", &named).unwrap();
    assert_eq!((models.len(), models[0].name.as_str()), (1, "mine"));
    let named_file = &models[0].file;
    assert_eq!(named_file.image, Some(image));
    assert_eq!(named_file.spectrum.as_ref(), Some(&features));
    assert_eq!(named_file.features, [Modality::Spectrum]);
    assert_eq!(named_file.provenance, Some(provenance()));
    assert!(file.features.is_empty());
    let alone = keys(&["spectrum_features"]);
    let rows = EmbeddingRows::open(std::slice::from_ref(&path), &alone).unwrap();
    assert_eq!(rows.modalities(), [Modality::Spectrum]);
    assert_eq!(rows.features(), [Modality::Spectrum]);
    let block = rows.read(99..102).unwrap();
    assert_eq!(block.spectrum.unwrap(), features.slice(s![99..102, ..]));
    assert!(block.continua[[1, 0, 0]] == 100.0);
    let message = ModelEmbeddings::open(&path, "mine", &keys(&["image_features"]))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("no dataset `image_features`")
            && message.contains("spectrum_features (150, 5)"),
        "{message}"
    );
}

/// An embedding file of `rows` galaxies called from `first` on, of these kinds.
fn write(path: &Path, modalities: &[Modality], dimension: usize, first: i64, rows: usize) {
    let values = Array2::from_shape_fn((rows, dimension), |(row, column)| {
        first as f32 + row as f32 + column as f32 / 10.0
    });
    let of = |modality| modalities.contains(&modality).then(|| values.view());
    let ids: Vec<ObjectId> = (first..).take(rows).map(ObjectId::from).collect();
    let mut writer = EmbeddingWriter::create(path, modalities, dimension, &provenance()).unwrap();
    writer
        .append(&EmbeddingBatch {
            image: of(Modality::Image),
            spectrum: of(Modality::Spectrum),
            features: Features::default(),
            object_id: &ids,
            split: &Split::of_group(rows).collect::<Vec<_>>(),
            redshift: &vec![0.5; rows],
            observed: &vec![
                Observed {
                    position: [1.0, 2.0],
                    spectrum_filled: 0.25,
                    signal_to_noise: 2.5,
                    star_lines: 7.5,
                    bands_missing: Some(1)
                };
                rows
            ],
            continua: None,
        })
        .unwrap();
    writer.finish().unwrap();
}

#[test]
fn rows_of_several_files_are_read_block_by_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    write(&path("a.h5"), &Modality::ALL, 3, 0, 150);
    write(&path("b.h5"), &[Modality::Spectrum], 3, 1000, 5);
    // Of another program: identifiers and embeddings, one of them unknown.
    let file = hdf5::File::create(path("other.h5")).unwrap();
    let mut values = Array2::from_elem((10, 3), 7.0_f32);
    values[[4, 1]] = f32::NAN;
    let build = || file.new_dataset_builder();
    build()
        .with_data(&values)
        .create("spec_features_embeddings")
        .unwrap();
    let ids: Vec<i64> = (2000..2010).collect();
    build().with_data(&ids).create("targetid").unwrap();
    build().with_data(&[30.0; 10]).create("RA").unwrap();
    build().with_data(&[-3.0; 10]).create("dec").unwrap();
    drop(file);
    let open = |names: &[&str]| {
        let paths: Vec<_> = names.iter().map(|name| path(name)).collect();
        EmbeddingRows::open(&paths, &Keys::default())
    };

    let rows = open(&["a.h5", "b.h5", "other.h5"]).unwrap();
    assert_eq!(
        (rows.rows(), rows.modalities()),
        (165, vec![Modality::Spectrum])
    );
    assert_eq!(rows.dimension(Modality::Spectrum), Some(3));
    assert_eq!(rows.dimension(Modality::Image), None);
    let known: Vec<bool> = rows.provenance().iter().map(Option::is_some).collect();
    assert_eq!(known, [true, true, false]);
    let block = rows.read(148..160).unwrap();
    assert!(block.image.is_none());
    let spectrum = block.spectrum.unwrap();
    assert_eq!(spectrum.dim(), (12, 3));
    assert_eq!(spectrum.row(1).to_vec(), [149.0, 149.1, 149.2]);
    assert_eq!(spectrum.row(2).to_vec(), [1000.0, 1000.1, 1000.2]);
    assert!(spectrum[[11, 1]].is_nan() && spectrum[[11, 0]] == 7.0);
    assert_eq!(block.object_id[1..4], [149, 1000, 1001]);
    assert_eq!(block.object_id[11], 2004);
    // Each file by its own split.
    assert_eq!(block.split[1..3], [Split::Test, Split::Train]);
    assert_eq!(block.redshift[0], 0.5);
    assert_eq!(block.position[6..8], [[1.0, 2.0], [30.0, -3.0]]);
    assert_eq!(block.bands_missing[6..8], [Some(1), None]);
    assert!(block.spectrum_filled[6] == 0.25 && block.spectrum_filled[7].is_nan());
    assert!(block.signal_to_noise[6] == 2.5 && block.star_lines[6] == 7.5);
    assert!(block.signal_to_noise[7].is_nan() && block.star_lines[7].is_nan());
    // Files without continua are read; nothing is known of them.
    assert_eq!(block.continua.dim(), (12, 2, CONTINUUM_BANDS));
    assert!(block.continua.iter().all(|value| value.is_nan()));
    assert_eq!(rows.read(165..165).unwrap().object_id.len(), 0);
    let alone = open(&["a.h5"]).unwrap();
    assert_eq!(alone.modalities(), Modality::ALL);
    let whole = EmbeddingFile::open(&path("a.h5")).unwrap();
    let block = alone.read(0..150).unwrap();
    assert_eq!(
        (block.image, block.object_id),
        (whole.image, whole.object_id)
    );

    write(&path("image.h5"), &[Modality::Image], 3, 0, 2);
    write(&path("wide.h5"), &[Modality::Spectrum], 4, 0, 2);
    for (names, message) in [
        (["b.h5", "image.h5"], "has image embeddings"),
        (["b.h5", "wide.h5"], "are 4 wide, those of"),
    ] {
        let error = open(&names).err().expect("a refusal").to_string();
        assert!(
            error.contains(message) && error.contains(names[1]),
            "{error}"
        );
    }
}

#[test]
fn a_dropped_writer_or_bad_batch_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emb.h5");
    let mut writer = EmbeddingWriter::create(&path, &[Modality::Image], 2, &provenance()).unwrap();
    let image = array![[1.0, 0.0], [f32::NAN, 1.0]];
    let batch = EmbeddingBatch {
        image: Some(image.view()),
        spectrum: None,
        features: Features::default(),
        object_id: &[11_i64.into(), 12_i64.into()],
        split: &[Split::Train, Split::Test],
        redshift: &[0.1, 0.2],
        observed: &[Observed::UNKNOWN; 2],
        continua: None,
    };
    let error = writer.append(&batch).unwrap_err();
    assert!(
        error.to_string().contains("galaxy 12: its image embedding"),
        "{error}"
    );
    let wide = Array2::zeros((2, 5));
    let error = writer
        .append(&EmbeddingBatch {
            image: Some(wide.view()),
            ..batch
        })
        .unwrap_err();
    assert!(error.to_string().contains("(2, 5) where (2, 2)"), "{error}");
    let error = writer
        .append(&EmbeddingBatch {
            image: None,
            ..batch
        })
        .unwrap_err();
    assert!(error.to_string().contains("a batch lacks image"), "{error}");
    drop(writer);
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn files_of_other_programs_need_embeddings_and_ids_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.h5");
    let image = Array2::from_shape_fn((10, 4), |(row, column)| (row + column) as f64);
    let file = hdf5::File::create(&path).unwrap();
    let write_image = |rows: usize| {
        file.new_dataset_builder()
            .with_data(image.slice(s![..rows, ..]).as_standard_layout().view())
            .create("image_embeddings")
            .unwrap();
    };
    write_image(10);
    let refused = |expected: &str| {
        file.flush().unwrap();
        let error = EmbeddingFile::open(&path).unwrap_err();
        assert!(error.is_input());
        let message = error.to_string();
        assert!(
            message.contains("other.h5") && message.contains(expected),
            "{message}"
        );
    };
    refused("has no object_id (integers or text, one per galaxy); it has: image_embeddings");

    let ids: Vec<i32> = (0..10).collect();
    file.new_dataset_builder()
        .with_data(&ids)
        .create("object_id")
        .unwrap();
    file.flush().unwrap();
    let read = EmbeddingFile::open(&path).unwrap();
    assert_eq!(read.image, Some(image.mapv(|value| value as f32)));
    assert_eq!(read.object_id[9], 9);
    assert_eq!(read.rows_of(Split::Test), [8, 9]);
    assert!(read.redshift.iter().all(|redshift| redshift.is_nan()));
    assert_eq!(read.provenance, None);
    let error = read.embeddings(Modality::Spectrum).unwrap_err().to_string();
    assert!(
        error.contains("has no spectrum_embeddings; it has image_embeddings"),
        "{error}"
    );

    let split = file
        .new_dataset_builder()
        .with_data(&[0_u8, 0, 0, 0, 0, 0, 1, 1, 5, 1])
        .create("split")
        .unwrap();
    refused("split is 5 in row 8; expected 0 (train) or 1 (test)");
    split.write(&[0_u8, 1, 0, 1, 0, 1, 0, 1, 0, 1]).unwrap();
    file.unlink("image_embeddings").unwrap();
    refused("has neither image_embeddings nor spectrum_embeddings");
    write_image(7);
    refused("image_embeddings has shape [7, 4]; expected (10, D), one row per object_id");
}

/// A row of the tables of the released downstream tasks, as astropy writes them.
#[derive(hdf5::H5Type, Clone, Copy)]
#[repr(C)]
struct Row {
    #[hdf5(rename = "TARGETID")]
    id: i64,
    #[hdf5(rename = "Z_HP")]
    redshift: f64,
    stein_embeddings: [f32; 3],
    astroclip_image_embeddings: [f32; 4],
    astroclip_spectrum_embeddings: [f64; 4],
}

#[test]
fn embeddings_of_other_programs_are_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let open = |name: &str, keys: &Keys| ModelEmbeddings::open(&path(name), "mine", keys);
    let keys = Keys::default();

    // One compound dataset with the embeddings of several models.
    let row = |row: u8| {
        let x = f32::from(row);
        Row {
            id: 39_627_000_000_000_001 + i64::from(row),
            redshift: 0.1 * f64::from(row),
            stein_embeddings: [x, 0.5, -x],
            astroclip_image_embeddings: [x; 4],
            astroclip_spectrum_embeddings: [0.25, 0.0, f64::from(row), 1.0],
        }
    };
    let rows: Vec<Row> = (0..10).map(row).collect();
    let file = hdf5::File::create(path("table.h5")).unwrap();
    let builder = file.new_dataset_builder();
    builder
        .with_data(&rows)
        .create("__astropy_table__")
        .unwrap();
    drop(file);
    let models = open("table.h5", &keys).unwrap();
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["stein", "astroclip"]);
    let (stein, astroclip) = (&models[0].file, &models[1].file);
    assert_eq!(
        stein.image.as_ref().unwrap().row(7).to_vec(),
        [7.0, 0.5, -7.0]
    );
    assert!(stein.spectrum.is_none());
    assert_eq!(stein.object_id[9], 39_627_000_000_000_010);
    assert_eq!(
        astroclip.spectrum.as_ref().unwrap().row(3).to_vec(),
        [0.25, 0.0, 3.0, 1.0]
    );
    assert_eq!(astroclip.image.as_ref().unwrap().dim(), (10, 4));
    assert_eq!(astroclip.redshift[5], 0.5);
    let only = Keys {
        embeddings: vec!["spectrum=stein_embeddings".parse().unwrap()],
        ..Keys::default()
    };
    let models = open("table.h5", &only).unwrap();
    assert_eq!(
        (models.len(), models[0].file.modalities()),
        (1, vec![Modality::Spectrum])
    );

    // Plain datasets: text identifiers, a name of its own, splits in words, pixels beside them.
    let file = hdf5::File::create(path("plain.h5")).unwrap();
    let values = Array2::from_shape_fn((10, 6), |(row, column)| (10 * row + column) as f32);
    let add = |name: &str, rows: usize| {
        let part = values.slice(s![..rows, ..]).to_owned();
        file.new_dataset_builder()
            .with_data(&part)
            .create(name)
            .unwrap()
    };
    add("representations", 10);
    add("spectrum", 10);
    let text = |text: String| text.parse::<hdf5::types::VarLenUnicode>().unwrap();
    let ids: Vec<_> = (0..10).map(|id| text(format!("{}", 900 + id))).collect();
    file.new_dataset_builder()
        .with_data(&ids)
        .create("objid")
        .unwrap();
    let splits: Vec<_> = (0..10)
        .map(|row| text(if row < 3 { "test" } else { "train" }.into()))
        .collect();
    file.new_dataset_builder()
        .with_data(&splits)
        .create("split")
        .unwrap();
    file.flush().unwrap();
    let models = open("plain.h5", &keys).unwrap();
    assert_eq!((models.len(), models[0].name.as_str()), (1, "mine"));
    assert_eq!(models[0].file.image, Some(values.clone()));
    assert_eq!(models[0].file.object_id[4], 904);
    assert_eq!(models[0].file.rows_of(Split::Test), [0, 1, 2]);

    // What cannot be told is asked for, with all there is.
    file.unlink("representations").unwrap();
    add("one", 10);
    add("two", 7);
    file.flush().unwrap();
    let message = |keys: &Keys| open("plain.h5", keys).unwrap_err().to_string();
    let asked = message(&keys);
    assert!(
        asked.contains("--embedding-key") && asked.contains("one (10, 6)"),
        "{asked}"
    );
    let named = |embedding: &str, id: Option<&str>| Keys {
        embeddings: vec![embedding.parse().unwrap()],
        id: id.map(str::to_owned),
    };
    assert_eq!(
        open("plain.h5", &named("one", None)).unwrap()[0].file.len(),
        10
    );
    let refused = message(&named("two", None));
    assert!(
        refused.contains("no identifiers") && refused.contains("--embedding-id-key"),
        "{refused}"
    );
    let by_name = open("plain.h5", &named("one", Some("split"))).unwrap();
    assert_eq!(by_name[0].file.object_id[0].to_string(), "test");
    assert!(message(&named("objid", None)).contains("objid (10) holds no vectors"));
}

#[test]
fn what_is_no_embedding_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emb.h5");
    let message = |path: &Path| EmbeddingFile::open(path).unwrap_err().to_string();
    assert!(message(&path).contains("no such file"));
    std::fs::write(&path, "not HDF5").unwrap();
    assert!(message(&path).contains("is not an HDF5 file"));
    let inside = folder.path().join("missing/emb.h5");
    let error = EmbeddingWriter::create(&inside, &Modality::ALL, 2, &provenance()).unwrap_err();
    assert!(error.to_string().contains("missing does not exist"));
}

fn three_galaxies() -> EmbeddingFile {
    EmbeddingFile {
        path: "emb.h5".into(),
        files: vec!["emb.h5".into()],
        image: Some(array![[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]]),
        spectrum: Some(array![[0.0, 3.0], [5.0, 0.0], [f32::NAN, 0.0]]),
        object_id: [10_i64, 20, 30].map(ObjectId::from).to_vec(),
        split: vec![Split::Train, Split::Train, Split::Test],
        redshift: vec![0.1, f32::NAN, 0.3],
        observed: vec![Observed::UNKNOWN; 3],
        features: Vec::new(),
        provenance: None,
    }
}

#[test]
fn search_finds_by_cosine_within_and_across_modalities() {
    let file = three_galaxies();
    let query = Query {
        object_id: 10_i64.into(),
        from: Modality::Image,
        to: Modality::Image,
        k: 2,
    };
    let found = search::search(&file, &query).unwrap();
    assert_eq!(
        (found[0].object_id, found[0].rank, found[0].similarity),
        (10_i64.into(), 1, 1.0)
    );
    assert_eq!(
        (found[1].object_id, found[1].split),
        (30_i64.into(), Split::Test)
    );
    assert!((found[1].similarity - 0.5_f64.sqrt()).abs() < 1e-12);
    assert_eq!(found[1].redshift, Some(0.3));

    // More wanted than there are, and a galaxy without spectrum: two are left.
    let to = Modality::Spectrum;
    let found = search::search(&file, &Query { to, k: 9, ..query }).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|found| found.object_id)
            .collect::<Vec<_>>(),
        [20, 10]
    );
    assert_eq!(found[0].redshift, None);
    assert!(search::render_table(&found).contains("20"));

    let error = |query| search::search(&file, &query).unwrap_err().to_string();
    let message = error(Query {
        object_id: 7_i64.into(),
        ..query
    });
    assert!(message.contains("no galaxy has the id 7; the file holds 3 ids, for example 10"));
    let message = error(Query {
        object_id: 30_i64.into(),
        from: to,
        ..query
    });
    assert!(message.contains("the spectrum embedding of galaxy 30 (row 2) is not finite"));
}

#[test]
fn identifiers_are_what_they_were_in_whatever_type_they_need() {
    let folder = tempfile::tempdir().unwrap();
    let signed = [-7_i64, 39_627_788_403_084_375].map(ObjectId::from);
    let large = [ObjectId::from(10_546_399_390_430_396_416_u64), 5_i64.into()];
    let names = ["J112953.88-000427.4", "b'  0123 '"].map(|name| name.parse::<ObjectId>().unwrap());
    let cases = [
        ("i64", vec![signed]),
        (
            "u64",
            vec![
                [signed[1], 5_i64.into()],
                large,
                [6_i64.into(), 7_i64.into()],
            ],
        ),
        ("text", vec![signed, large, names]),
    ];
    for (name, batches) in cases {
        let path = folder.path().join(format!("{name}.h5"));
        let mut writer =
            EmbeddingWriter::create(&path, &[Modality::Image], 2, &provenance()).unwrap();
        for ids in &batches {
            writer
                .append(&EmbeddingBatch {
                    image: Some(array![[1.0, 0.0], [0.0, 1.0]].view()),
                    spectrum: None,
                    features: Features::default(),
                    object_id: ids,
                    split: &[Split::Train, Split::Test],
                    redshift: &[0.1, 0.2],
                    observed: &[Observed::UNKNOWN; 2],
                    continua: None,
                })
                .unwrap();
        }
        writer.finish().unwrap();
        let file = EmbeddingFile::open(&path).unwrap();
        assert_eq!(file.object_id, batches.concat(), "{name}");
        let query = Query {
            object_id: *file.object_id.last().unwrap(),
            from: Modality::Image,
            to: Modality::Image,
            k: 1,
        };
        let found = search::search(&file, &query).unwrap();
        assert_eq!(found[0].similarity, 1.0);
    }
    let text = hdf5::File::open(folder.path().join("text.h5")).unwrap();
    let stored = text.dataset("object_id").unwrap();
    let stored = stored.read_raw::<hdf5::types::VarLenUnicode>().unwrap();
    assert_eq!(stored[5].as_str(), "0123");
}
