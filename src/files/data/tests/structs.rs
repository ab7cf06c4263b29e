//! Parquet files whose spectra are structs, as in the Multimodal Universe.

use std::fs;
use std::path::Path;

use super::parquet_writer::{Cell, Leaf, list, plain, write};
use crate::base::error::Result;
use crate::files::data::{Dataset, Keys, ReadOptions, expand, open};
use crate::survey::{ObjectId, Survey, WavelengthGrid};

/// One list of a member, as Arrow writes it.
pub(super) fn member(kind: &str, name: &str, annotation: &str) -> String {
    format!(
        "optional group {name} (LIST) {{ repeated group list {{ optional {kind} element{annotation}; }} }}"
    )
}

/// Wavelengths 4000, 4001, … 4007 Å and bands g, r, z.
fn survey() -> Survey {
    Survey {
        wavelengths: WavelengthGrid {
            start: 4000.0,
            step: 1.0,
            len: 8,
        },
        ..Survey::default()
    }
}

pub(super) fn read(path: &Path) -> Result<Dataset> {
    read_with(path, Keys::default())
}

fn read_with(path: &Path, keys: Keys) -> Result<Dataset> {
    let options = ReadOptions {
        keys,
        ..ReadOptions::default()
    };
    open(&[path.to_owned()], &survey(), &options)
}

pub(super) fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

const WAVES: [f64; 8] = [
    4000.0, 4001.0, 4002.0, 4003.0, 4004.0, 4005.0, 4006.0, 4007.0,
];

/// Four spectra that are 1, 2, … 8 where their pixels are good: one with a masked pixel, one without inverse variance in
/// another and a null in a third, one that begins two pixels earlier and is filled up at its end, one that is longer.
fn spectra() -> [Leaf; 4] {
    let mut waves = vec![list(&WAVES), list(&WAVES)];
    waves.push(list(
        &[&[3998.0, 3999.0], &WAVES[..], &[-1.0, -1.0]].concat(),
    ));
    waves.push(list(
        &[&WAVES[..], &[4008.0, 4009.0, 4010.0, 4011.0, 4012.0]].concat(),
    ));
    let flux = vec![
        list(&[1.0, 2.0, 5e4, 4.0, 5.0, 6.0, 7.0, 8.0]),
        Cell::List(vec![
            Cell::Value(1.0),
            Cell::Value(2.0),
            Cell::Value(3.0),
            Cell::Missing,
            Cell::Value(5.0),
            Cell::Value(-7e5),
            Cell::Value(7.0),
            Cell::Value(8.0),
        ]),
        list(&[9.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 8.0, 8.0]),
        list(&[
            1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 1.0, 1.0, 1.0, 1.0, 1.0_f32,
        ]),
    ];
    let lengths = [8, 8, 12, 13];
    let mask = lengths.iter().enumerate().map(|(row, &length)| {
        let bad: Vec<bool> = (0..length).map(|pixel| row == 0 && pixel == 2).collect();
        list(&bad)
    });
    let ivar = lengths.iter().enumerate().map(|(row, &length)| {
        let is_bad = |pixel: usize| (row == 1 && pixel == 5) || (row == 2 && pixel > 9);
        let ivar: Vec<f64> = (0..length)
            .map(|pixel| f64::from(u8::from(!is_bad(pixel))))
            .collect();
        list(&ivar)
    });
    [
        Leaf::Doubles(waves),
        Leaf::Floats(flux),
        Leaf::Logicals(mask.collect()),
        Leaf::Doubles(ivar.collect()),
    ]
}

fn halves(leaf: Leaf) -> Leaf {
    match leaf {
        // 5e4 and −7e5 become finite and infinite: bad pixels, whatever they hold.
        Leaf::Floats(rows) => Leaf::Halves(rows),
        other => other,
    }
}

#[test]
fn spectra_in_structs_of_lists_and_in_lists_of_structs_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let members = [
        member("double", "lambda", ""),
        member("float", "flux", ""),
        member("boolean", "mask", ""),
        member("double", "ivar", ""),
    ];
    let half = member("fixed_len_byte_array(2)", "flux", " (FLOAT16)");
    let of_lists = format!("optional group spectrum {{ {} }}", members.join(" "));
    let of_halves = of_lists.replace(&members[1], &half);
    let of_structs = "optional group spectrum (LIST) { repeated group list { optional group element {
        optional double lambda; optional float flux; optional boolean mask; optional double ivar; } } }";
    for (name, schema) in [
        ("lists", of_lists.as_str()),
        ("halves", of_halves.as_str()),
        ("structs", of_structs),
    ] {
        let path = folder.path().join(format!("train-{name}.parquet"));
        let schema = format!("{schema} optional float Z; optional binary object_id (UTF8);");
        let [waves, flux, mask, ivar] = spectra();
        let flux = if name == "halves" { halves(flux) } else { flux };
        let redshift = Leaf::Floats(plain(&[0.1, -99.0, 0.3, 0.4]));
        let ids = Leaf::Texts(plain(&["b'   7'", "8", "9", "10"]));
        write(&path, &schema, &[waves, flux, mask, ivar, redshift, ids]);
        let data = read(&path).unwrap();
        let rows = [3, 1, 0, 2, 1];
        let spectra = data.spectra(&rows).unwrap();
        for (spectrum, row) in spectra.outer_iter().zip(rows) {
            let expected = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
            assert_eq!(spectrum.to_vec(), expected, "{name}, row {row}");
        }
        let labels = data.labels(0..4).unwrap();
        assert_eq!(labels.object_id, [7, 8, 9, 10], "{name}");
        assert!(labels.redshift[1].is_nan() && labels.redshift[2] == 0.3);
        let file = &data.describe().files[0];
        assert_eq!(file.format, "Multimodal Universe Parquet");
        assert_eq!((file.pixels.spectra, file.pixels.interpolated), (5, 5));
    }
}

#[test]
fn spectra_that_cannot_be_trusted_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let flux = member("float", "flux", "");
    let lambda = member("double", "lambda", "");
    let schema = format!("optional group spectrum {{ {flux} {lambda} }}");
    let ones = [1.0_f32; 8];
    let fluxes = vec![list(&ones), Cell::Missing, list(&ones[..7]), list(&ones)];
    let waves = vec![list(&WAVES), Cell::Missing, list(&WAVES), list(&[3.0; 8])];
    write(
        &path,
        &schema,
        &[Leaf::Floats(fluxes), Leaf::Doubles(waves)],
    );
    let data = read(&path).unwrap();
    assert_eq!(data.spectra(&[0]).unwrap()[[0, 7]], 1.0);
    for (row, message) in [
        (1, "column `spectrum.flux` row 1: there is no spectrum"),
        (
            2,
            "column `spectrum.lambda` row 2: 8 values where `spectrum.flux` has 7",
        ),
        (
            3,
            "column `spectrum.flux` row 3: its wavelength axis must rise",
        ),
    ] {
        let said = refusal(data.spectra(&[row]));
        assert!(said.contains(message), "{said}");
    }

    let schema = format!(
        "optional group spectrum {{ {flux} {} }}",
        member("double", "energy", "")
    );
    let leaves = [
        Leaf::Floats(vec![list(&ones)]),
        Leaf::Doubles(vec![list(&WAVES)]),
    ];
    write(&path, &schema, &leaves);
    let said = refusal(read(&path));
    assert!(
        said.contains("column `spectrum` has the members flux, energy; expected"),
        "{said}"
    );
}

#[test]
fn columns_of_joined_sets_are_found_by_the_name_of_their_set() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let spectrum = |set: &str| {
        format!(
            "optional group spectrum{set} {{ {} {} }}",
            member("float", "flux", ""),
            member("double", "lambda", "")
        )
    };
    let schema = format!(
        "{} optional int64 object_id_images; optional int64 object_id_desi; optional float Z_desi;",
        spectrum("_desi")
    );
    let of = |flux: f32| {
        [
            Leaf::Floats(vec![list(&[flux; 8])]),
            Leaf::Doubles(vec![list(&WAVES)]),
        ]
    };
    let ids = [
        Leaf::Int64s(plain(&[1])),
        Leaf::Int64s(plain(&[2])),
        Leaf::Floats(plain(&[0.5])),
    ];
    write(
        &path,
        &schema,
        &of(3.0).into_iter().chain(ids).collect::<Vec<_>>(),
    );
    let labels = read(&path).unwrap().labels(0..1).unwrap();
    assert_eq!(labels.object_id, [2]);
    assert_eq!(labels.redshift, [0.5]);

    let schema = format!("{} {}", spectrum("_desi"), spectrum("_sdss"));
    write(
        &path,
        &schema,
        &of(3.0).into_iter().chain(of(4.0)).collect::<Vec<_>>(),
    );
    let said = refusal(read(&path));
    assert!(
        said.contains("several columns of spectrums") || said.contains("several columns"),
        "{said}"
    );
    let keys = Keys {
        spectrum: Some("spectrum_sdss".into()),
        ..Keys::default()
    };
    let data = read_with(&path, keys).unwrap();
    assert_eq!(data.spectra(&[0]).unwrap()[[0, 0]], 4.0);
}

#[test]
fn redshifts_and_identifiers_are_told_by_their_values_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let schema = format!(
        "optional group spectrum {{ {} {} }} optional float z; optional float object_id;",
        member("float", "flux", ""),
        member("double", "lambda", "")
    );
    let file = |z: [f32; 2], id: f32| {
        let leaves = [
            Leaf::Floats(vec![list(&[2.0; 8]); 2]),
            Leaf::Doubles(vec![list(&WAVES); 2]),
            Leaf::Floats(plain(&z)),
            Leaf::Floats(plain(&[7.0, id])),
        ];
        write(&path, &schema, &leaves);
    };
    let redshifts = |keys: Keys| {
        let data = read_with(&path, keys).unwrap();
        data.labels(0..2).unwrap().redshift
    };
    file([0.5, 99.0], 8.0);
    let known = redshifts(Keys::default());
    assert!(known[0] == 0.5 && known[1].is_nan(), "{known:?}");
    // Magnitudes.
    file([17.5, 18.5], 8.0);
    assert!(redshifts(Keys::default())[0].is_nan());
    let keys = Keys {
        redshift: Some("z".into()),
        ..Keys::default()
    };
    assert_eq!(redshifts(keys), [17.5, 18.5]);
    file([0.5, 0.5], 16_777_218.0);
    assert!(refusal(read(&path)).contains("row 1 is 16777218, which is no identifier"));
}

#[test]
fn a_hats_folder_is_a_survey_of_its_partitions_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("set");
    let schema = format!(
        "optional group spectrum {{ {} {} }} optional double ra; optional double dec; optional binary object_id (UTF8);",
        member("float", "flux", ""),
        member("double", "lambda", "")
    );
    let rows = |names: &[&'static str]| {
        let count = names.len();
        [
            Leaf::Floats(vec![list(&[2.0; 8]); count]),
            Leaf::Doubles(vec![list(&WAVES); count]),
            Leaf::Doubles(vec![Cell::Value(10.0); count]),
            Leaf::Doubles(vec![Cell::Value(-5.0); count]),
            Leaf::Texts(plain(names)),
        ]
    };
    for (place, names) in [
        (
            "set/dataset/Norder=1/Dir=0/Npix=44.parquet",
            &["11", "12"][..],
        ),
        ("set/dataset/Norder=0/Dir=0/Npix=4.parquet", &["10"]),
        ("set/dataset/data_thumbnail.parquet", &["11"]),
        ("set_10arcs/dataset/Norder=1/Dir=0/Npix=45.parquet", &["12"]),
    ] {
        let path = root.join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, &schema, &rows(names));
    }
    fs::write(
        root.join("collection.properties"),
        "hats_primary_table_url=set\n",
    )
    .unwrap();
    fs::write(
        root.join("set/hats.properties"),
        "dataproduct_type=object\nhats_nrows=3\n",
    )
    .unwrap();
    let margin = "dataproduct_type=margin\nhats_nrows=1\n";
    fs::write(root.join("set_10arcs/hats.properties"), margin).unwrap();
    fs::write(root.join("set/skymap.fits"), "").unwrap();
    for given in [
        folder.path(),
        &root,
        &root.join("set"),
        &root.join("set/dataset"),
    ] {
        let data = read(given).unwrap();
        assert_eq!(data.labels(0..data.len()).unwrap().object_id, [10, 11, 12]);
    }
    assert!(refusal(expand(&[root.join("set_10arcs")])).contains("margin"));
}

#[test]
fn plain_lists_are_read_by_the_names_that_options_give() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let schema = [
        member("float", "model", ""),
        member("float", "flux", ""),
        member("float", "wave", ""),
        member("float", "weight", ""),
        "optional int64 number (UINT_64);".to_owned(),
    ];
    let waves = WAVES.map(|wave| wave as f32);
    let leaves = [
        Leaf::Floats(vec![list(&[9.0; 8])]),
        Leaf::Floats(vec![list(&[1.0, 1.0, 77.0, 1.0, 1.0, 1.0, 1.0, 1.0])]),
        Leaf::Floats(vec![list(&waves)]),
        Leaf::Floats(vec![list(&[1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0])]),
        Leaf::Int64s(plain(&[-1])),
    ];
    write(&path, &schema.join(" "), &leaves);
    let said = refusal(read(&path));
    assert!(
        said.contains("holds no galaxies: columns `model`, `flux`, `wave`"),
        "{said}"
    );
    let key = |name: &str| Some(name.to_owned());
    let keys = Keys {
        spectrum: key("flux"),
        wavelength: key("wave"),
        ivar: key("weight"),
        id: key("number"),
        ..Keys::default()
    };
    let data = read_with(&path, keys.clone()).unwrap();
    assert_eq!(data.spectra(&[0]).unwrap().as_slice(), Some(&[1.0; 8][..]));
    assert_eq!(
        data.labels(0..1).unwrap().object_id,
        [ObjectId::from(u64::MAX)]
    );
    let wrong = Keys {
        ivar: key("ivar"),
        ..keys
    };
    let said = refusal(read_with(&path, wrong));
    assert!(
        said.contains("no column `ivar`, which --ivar-key names"),
        "{said}"
    );
}
