//! Parquet files whose images are planes of bands in structs, and pictures that are no images.

use std::path::Path;

use super::parquet_writer::{Cell, Leaf, cube, list, plain, write};
use super::structs::{member, read, refusal};

/// Three lists around each value.
fn nested(kind: &str, name: &str, annotation: &str) -> String {
    let inner = member(kind, "element", annotation);
    let middle = format!("optional group element (LIST) {{ repeated group list {{ {inner} }} }}");
    format!("optional group {name} (LIST) {{ repeated group list {{ {middle} }} }}")
}

/// A file of images in these bands and shapes (band, y, x), and what else is in the struct.
fn images(path: &Path, bands: &[&[&'static str]], shapes: &[[usize; 3]]) {
    let struct_of = [
        member("binary", "band", " (UTF8)"),
        nested("float", "flux", ""),
        nested("boolean", "mask", ""),
        member("float", "scale", ""),
    ];
    let schema = format!(
        "optional group image {{ {} }} optional int64 object_id;",
        struct_of.join(" ")
    );
    let value = |row: usize| {
        move |[band, y, x]: [usize; 3]| (1000 * row + 100 * band + 10 * y + x + 1) as f32
    };
    let rows = shapes.iter().enumerate();
    let flux = rows.map(|(row, &shape)| match shape {
        [0, ..] => Cell::Missing,
        shape => cube(shape, value(row)),
    });
    let leaves = [
        Leaf::Texts(bands.iter().map(|names| list(names)).collect()),
        Leaf::Floats(flux.collect()),
        Leaf::Logicals(shapes.iter().map(|&shape| cube(shape, |_| true)).collect()),
        Leaf::Floats(shapes.iter().map(|_| list(&[0.168; 4])).collect()),
        Leaf::Int64s(
            (0..shapes.len())
                .map(|row| Cell::Value(row as i64 + 5))
                .collect(),
        ),
    ];
    write(path, &schema, &leaves);
}

#[test]
fn bands_of_images_are_picked_by_name_in_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let usual = ["des-g", "des-r", "des-i", "des-z"];
    let whole = [4, 2, 2];
    images(
        &path,
        &[
            &usual,
            &["z", "g", "i", "r"],
            &usual,
            &usual[..3],
            &usual,
            &usual,
        ],
        &[whole, whole, [4, 2, 1], whole, [0; 3], [2, 2, 4]],
    );
    let data = read(&path).unwrap();
    let pixels = data.images(&[1, 0]).unwrap();
    let first_of = |place: usize| [0, 1, 2].map(|band| pixels[[place, band, 0, 0]]);
    assert_eq!(first_of(1), [1.0, 101.0, 301.0]);
    assert_eq!(first_of(0), [1101.0, 1301.0, 1001.0]);
    assert_eq!(pixels[[1, 2, 1, 0]], 311.0, "lines are y");
    for (row, message) in [
        (
            2,
            "row 2: 8 values in lists of another shape than [4, 2, 2]",
        ),
        (
            3,
            "row 3: 4 images with 3 names of bands (des-g, des-r, des-i)",
        ),
        (4, "row 4: there is no image"),
        (5, "row 5: 16 values in lists of another shape"),
    ] {
        let said = refusal(data.images(&[row]));
        assert!(said.contains(message), "{said}");
    }
    let file = &data.describe().files[0];
    assert_eq!(file.bands, usual);
    let said = file.notes.join("; ");
    assert!(
        said.contains("pixels of 0.168 arcsec; survey.pixel_scale is 0.262"),
        "{said}"
    );
    assert!(said.contains("without `image.mask`"), "{said}");

    let of_hsc = ["hsc-g", "hsc-r", "hsc-y", "hsc-z"];
    images(&path, &[&of_hsc], &[whole]);
    let notes = read(&path).unwrap().describe().files[0].notes.join("; ");
    assert!(notes.contains("in the unit of their survey"), "{notes}");
    images(&path, &[&["f090w", "f200w", "f444w", "f115w"]], &[whole]);
    let said = refusal(read(&path));
    assert!(
        said.contains("column `image` has the bands f090w") && said.contains("not `g`"),
        "{said}"
    );
}

#[test]
fn pictures_for_the_eye_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let picture =
        "optional group rgb_image { optional binary bytes; optional binary path (UTF8); }";
    let schema = format!("{picture} optional int32 gz10_label;");
    let leaves = |names: [&'static str; 2]| {
        [
            Leaf::Texts(plain(&names[..1])),
            Leaf::Texts(plain(&names[1..])),
            Leaf::Int32s(plain(&[7])),
        ]
    };
    write(&path, &schema, &leaves(["\u{89}PNG", ""]));
    let said = refusal(read(&path));
    assert!(
        said.contains("`rgb_image` (encoded, as PNG or JPEG)"),
        "{said}"
    );
    assert!(said.contains("--labels"), "{said}");

    write(
        &path,
        &schema.replace("rgb_image", "image"),
        &leaves(["\u{89}PNG", ""]),
    );
    assert!(refusal(read(&path)).contains("`image` (encoded"));

    let bytes = nested("int32", "image", " (UINT_8)");
    write(
        &path,
        &bytes,
        &[Leaf::Int32s(vec![cube([4, 4, 3], |_| 200)])],
    );
    assert!(refusal(read(&path)).contains("`image` (8-bit numbers)"));
}
