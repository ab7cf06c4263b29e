//! Where galaxies are on the sky, and tables that are matched to them.

use std::fs;

use ndarray::{Array2, Array4};

use super::fits::{ARMS, Fits, floats, image_cards};
use super::open_one;
use crate::files::catalog::{
    Key, LabelOptions, MatchOptions, Table, TableHead, match_tables, write_table,
};
use crate::files::data::{ReadOptions, open, open_table, read_labels};
use crate::survey::{DESI_GRID, Survey};

/// A cutout of 5 by 4 pixels with these cards.
fn cutout(cards: &[&str]) -> Fits {
    let mut all = image_cards(-32, &[5, 4, 3]);
    all.extend(cards.iter().map(|card| (*card).to_owned()));
    Fits::default().hdu(&all, &floats((0..60).map(|i| 0.1 + i as f32)))
}

#[test]
fn the_centre_of_a_cutout_is_where_astropy_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fits");
    let tan = [
        "CTYPE1 = 'RA---TAN'",
        "CTYPE2 = 'DEC--TAN'",
        "CRVAL1 = 359.99",
        "CRVAL2 = 85.0",
        "CRPIX1 = 300.0",
        "CRPIX2 = -200.0",
        "CD1_1 = -7E-5",
        "CD1_2 = 2E-5",
        "CD2_1 = 2E-5",
        "CD2_2 = 7E-5",
    ];
    let swapped = [
        "CTYPE1 = 'DEC--SIN'",
        "CTYPE2 = 'RA---SIN'",
        "CRVAL1 = -30.0",
        "CRVAL2 = 10.0",
        "CRPIX1 = 1.0",
        "CRPIX2 = 2.0",
        "CDELT1 = 1E-4",
        "CDELT2 = -1E-4",
        "CROTA2 = 30.0",
    ];
    let turned = [
        "CTYPE1 = 'RA---SIN'",
        "CTYPE2 = 'DEC--SIN'",
        "CRVAL1 = 10.0",
        "CRVAL2 = -30.0",
        "CRPIX1 = 1.0",
        "CRPIX2 = 2.0",
        "CDELT1 = -1E-4",
        "CDELT2 = 1E-4",
        "CROTA2 = 30.0",
    ];
    let far = [
        "CTYPE1 = 'RA---ZEA'",
        "CTYPE2 = 'DEC--ZEA'",
        "CRVAL1 = 150.0",
        "CRVAL2 = 2.0",
        "CRPIX1 = 4000.0",
        "CRPIX2 = 4000.0",
        "CDELT1 = -1E-3",
        "CDELT2 = 1E-3",
        "PC1_1 = 0.8",
        "PC1_2 = -0.6",
        "PC2_1 = 0.6",
        "PC2_2 = 0.8",
    ];
    let position = |cards: &[&str]| {
        cutout(cards).write(&path);
        let table = open_table(&path, None, Table::has_positions, &Survey::default()).unwrap();
        let column = |name: &str| table.numbers(name).map(|values| values[0]).ok();
        column("ra").zip(column("dec"))
    };
    for (cards, [ra, dec]) in [
        (&tan[..], [0.275_473_659_580_029_56, 85.008_173_352_433_03]),
        (&swapped, [9.999_942_265_089_434, -29.999_799_999_987_39]),
        (&turned, [9.999_771_132_355_775, -30.000_056_698_531_86]),
        (&far, [150.799_729_739_873_5, -3.598_485_285_367_343_7]),
    ] {
        let found = position(cards).unwrap();
        assert!(
            (found.0 - ra).abs() < 1e-9 && (found.1 - dec).abs() < 1e-9,
            "{found:?}"
        );
    }
    let source = |cards: &[&str]| {
        cutout(cards).write(&path);
        let file = open_one(&path).describe().files.swap_remove(0);
        (file.positions, file.notes)
    };
    assert_eq!(source(&tan).0.as_deref(), Some("the image's centre (WCS)"));
    assert_eq!(source(&["BANDS = 'grz'"]).0, None);
    let galactic = [
        "CTYPE1 = 'GLON-TAN'",
        "CTYPE2 = 'GLAT-TAN'",
        "CRVAL1 = 1.0",
        "CRVAL2 = 2.0",
    ];
    let (positions, notes) = source(&galactic);
    assert_eq!((positions, notes.len()), (None, 1));
    assert!(
        notes[0].contains("position unknown: its axes are `GLON-TAN` and `GLAT-TAN`"),
        "{notes:?}"
    );
}

#[test]
fn cutouts_are_paired_with_a_coadd_by_position_and_found_by_labels() {
    let folder = tempfile::tempdir().unwrap();
    let cutouts = folder.path().join("cutouts");
    fs::create_dir(&cutouts).unwrap();
    for (name, ra, dec) in [
        ("north", "10.0", "20.0"),
        ("south", "10.1", "-20.0"),
        ("lone", "77.0", "0.0"),
    ] {
        let cards = [
            "CTYPE1 = 'RA---TAN'".to_owned(),
            "CTYPE2 = 'DEC--TAN'".to_owned(),
            format!("CRVAL1 = {ra}"),
            format!("CRVAL2 = {dec}"),
            "CRPIX1 = 3.0".to_owned(),
            "CRPIX2 = 2.5".to_owned(),
            "CDELT1 = -7.2777E-5".to_owned(),
            "CDELT2 = 7.2777E-5".to_owned(),
        ];
        let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
        cutout(&cards).write(&cutouts.join(name).with_extension("fits"));
    }
    let mut fibres = Vec::new();
    for (id, ra, dec) in [(501_i64, 10.1_f64, -20.00002_f64), (502, 10.0, 20.0)] {
        fibres.extend(id.to_be_bytes());
        fibres.extend([ra, dec].into_iter().flat_map(f64::to_be_bytes));
    }
    let fields = [("TARGETID", "K"), ("TARGET_RA", "D"), ("TARGET_DEC", "D")];
    let mut file = Fits::default()
        .hdu(&image_cards(8, &[]), &[])
        .table("FIBERMAP", &fields, 24, &fibres);
    for (arm, start, end) in ARMS {
        let pixels = end - start;
        let waves = (start..end).flat_map(|pixel| DESI_GRID.wavelength(pixel).to_be_bytes());
        let name = |what: &str| format!("{arm}_{what}");
        let ones = floats(vec![1.0; 2 * pixels]);
        file = file
            .image(
                &name("WAVELENGTH"),
                -64,
                &[pixels],
                &waves.collect::<Vec<u8>>(),
            )
            .image(&name("FLUX"), -32, &[pixels, 2], &ones)
            .image(&name("IVAR"), -32, &[pixels, 2], &ones);
    }
    let coadd = folder.path().join("coadd-1.fits");
    file.write(&coadd);
    let source = open_one(&coadd).describe().files.swap_remove(0).positions;
    assert_eq!(
        source.as_deref(),
        Some("`TARGET_RA` and `TARGET_DEC` of FIBERMAP")
    );

    let open_side =
        |path| open_table(path, None, Table::has_positions, &Survey::default()).unwrap();
    let options = MatchOptions {
        key: Key::Sky,
        radius: 0.5,
        id_columns: [None, None],
        position_columns: None,
    };
    let joined = match_tables(&open_side(&cutouts), &open_side(&coadd), &options).unwrap();
    assert_eq!((joined.left.matched, joined.left.unmatched), (2, 1));
    let pairs = folder.path().join("pairs.csv");
    write_table(
        &joined.table,
        TableHead::new("pairs", "", Vec::new()),
        &pairs,
    )
    .unwrap();
    let read = ReadOptions {
        pairs: Some(pairs),
        ..ReadOptions::default()
    };
    let paired = open(&[cutouts.clone(), coadd], &Survey::default(), &read).unwrap();
    assert_eq!(paired.labels(0..2).unwrap().object_id, [502, 501]);
    // The cutouts', where astropy has them; the fibre of the second is beside it.
    let [[ra, dec], [_, south]] = paired.positions(0..2).unwrap()[..] else {
        panic!("two galaxies");
    };
    assert!((ra - 10.0).abs() < 1e-3 && (dec - 20.0).abs() < 1e-3);
    assert!((south + 20.0).abs() < 1e-3);
    let north = paired.positions(0..1).unwrap();
    assert_eq!(north, [[ra, dec]]);

    let votes = folder.path().join("votes.csv");
    fs::write(
        &votes,
        "ra,dec,smooth\n10.1,-20.0,0.7\n77,0.0001,0.2\n5,5,0.1\n",
    )
    .unwrap();
    let labels = read_labels(&[votes, cutouts], &LabelOptions::default()).unwrap();
    let ids: Vec<String> = labels.object_id.iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["lone", "north", "south"]);
    assert_eq!(format!("{:?}", labels.columns["smooth"]), "[0.2, NaN, 0.7]");
}

#[test]
fn surveys_in_hdf5_have_the_positions_of_their_datasets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.h5");
    let file = hdf5::File::create(&path).unwrap();
    // Groups as the joint set has them, in which `Table::open` sees no table.
    for (name, ra) in [("0", [1.0, 2.0]), ("1", [3.0, f64::NAN])] {
        let group = file.create_group(name).unwrap();
        let build = || group.new_dataset_builder();
        let images = Array4::<f32>::from_elem((2, 4, 4, 3), 0.5);
        build().with_data(&images).create("images").unwrap();
        let spectra = Array2::<f32>::from_elem((2, DESI_GRID.len), 1.0);
        build().with_data(&spectra).create("spectra").unwrap();
        let first = 10 * name.parse::<i64>().unwrap();
        build()
            .with_data(&[first, first + 1])
            .create("targetids")
            .unwrap();
        build().with_data(&ra).create("TARGET_RA").unwrap();
        build()
            .with_data(&[-5.0_f32, 5.0])
            .create("TARGET_DEC")
            .unwrap();
    }
    drop(file);
    let data = open_one(&path);
    let source = data.describe().files.swap_remove(0).positions;
    assert_eq!(source.as_deref(), Some("`TARGET_RA` and `TARGET_DEC`"));
    // Across the groups; where one number is none, there is no position.
    assert_eq!(
        format!("{:?}", data.positions(1..4).unwrap()),
        "[[2.0, 5.0], [3.0, -5.0], [NaN, NaN]]"
    );
    let table = open_table(&path, None, Table::has_positions, &Survey::default()).unwrap();
    assert_eq!(
        table.numbers("object_id").unwrap().to_vec(),
        [0.0, 1.0, 10.0, 11.0]
    );
    let known: Vec<bool> = table
        .positions(None)
        .unwrap()
        .iter()
        .map(Option::is_some)
        .collect();
    assert_eq!(known, [true, true, true, false]);
    assert_eq!(
        table.numbers("dec").unwrap().to_vec(),
        [-5.0, 5.0, -5.0, 5.0]
    );
}

#[test]
fn what_a_file_states_is_told_apart_from_what_is_taken_for_granted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fits");
    let known = |cards: &[&str]| {
        cutout(cards).write(&path);
        let file = open_one(&path).describe().files.swap_remove(0);
        [file.stated, file.assumed]
    };
    let none: [&str; 0] = [];
    let [stated, assumed] = known(&["BANDS = 'grz'", "CD2_2 = 7.2777E-5", "BUNIT = 'nanomaggy'"]);
    assert_eq!(
        stated,
        [
            "bands g, r, z",
            "pixels of 0.262 arcsec",
            "images in nanomaggy"
        ]
    );
    assert_eq!(assumed, none);
    let [stated, assumed] = known(&[]);
    assert_eq!(stated, none);
    let all = [
        "bands g, r, z in this order",
        "pixels of 0.262 arcsec",
        "images in nanomaggies",
    ];
    assert_eq!(assumed, all);
}
