//! What becomes of weights that are damaged or of no use.

use std::fs;

use tempfile::TempDir;

use super::{NamedTensor, TensorFile, TensorMap, read_tensors, write_tensors};

fn tensors() -> TensorMap {
    let tensor = |shape: &[usize], start: f32| NamedTensor {
        shape: shape.to_vec(),
        values: (0..shape.iter().product())
            .map(|index| start + index as f32)
            .collect(),
    };
    TensorMap::from([
        ("a.weight".into(), tensor(&[2, 3], 0.5)),
        ("b \"quoted\"".into(), tensor(&[5], -7.25)),
        ("empty".into(), tensor(&[0], 0.0)),
    ])
}

/// A bit of each byte of a file is missed where it is turned, of header and values; and the file is the same each time.
#[test]
fn a_turned_bit_is_noticed_wherever_it_is() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    let header =
        serde_json::json!({ "text": "with \"astroclip_header_crc32\":\"00000000\" in it" });
    write_tensors(&path, &tensors(), &header).expect("a disk with space");
    let sound = fs::read(&path).expect("the file");
    write_tensors(&path, &tensors(), &header).expect("a disk with space");
    assert_eq!(fs::read(&path).expect("the file"), sound);
    let read = || read_tensors::<serde_json::Value>(&path);
    assert_eq!(read().expect("a sound file"), (tensors(), header));
    for place in 0..sound.len() {
        let mut damaged = sound.clone();
        damaged[place] ^= 1 << (place % 8);
        fs::write(&path, damaged).expect("a disk with space");
        let error = read()
            .err()
            .unwrap_or_else(|| panic!("byte {place} is not missed"));
        assert!(error.is_input() && error.to_string().contains("weights.safetensors"));
    }
}

/// A tensor is refused by itself: the others can still be read.
#[test]
fn damage_and_files_without_checksums() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    write_tensors(&path, &tensors(), &"header").expect("a disk with space");
    let mut bytes = fs::read(&path).expect("the file");
    *bytes.last_mut().expect("values") ^= 4;
    fs::write(&path, &bytes).expect("a disk with space");
    let mut file = TensorFile::open(&path).expect("a sound header");
    assert_eq!(file.read("a.weight").expect("sound"), tensors()["a.weight"]);
    let error = file.read("b \"quoted\"").expect_err("damaged").to_string();
    assert!(
        error.contains("tensor `b \"quoted\"` has not its checksum"),
        "{error}"
    );

    // As files were before there were checksums, and as those of other programs are.
    let old = br#"{"__metadata__":{"astroclip":"\"header\""},"w":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#;
    let old = [&(old.len() as u64).to_le_bytes()[..], old, &[0, 0x3c]].concat();
    fs::write(&path, old).expect("a disk with space");
    let (read, header) = read_tensors::<String>(&path).expect("an old file");
    assert_eq!(
        (read["w"].values.as_slice(), header.as_str()),
        (&[1.0][..], "header")
    );
}

#[test]
fn values_that_are_not_finite_are_neither_written_nor_taken() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("weights.safetensors");
    let mut bad = tensors();
    let values = &mut bad.get_mut("a.weight").expect("a tensor").values;
    (values[1], values[5]) = (f32::NAN, f32::NEG_INFINITY);
    let fault = "tensor `a.weight`: 2 of 6 values are NaN or infinite";
    let error = write_tensors(&path, &bad, &"header").expect_err("of no use");
    assert!(
        !error.is_input() && error.to_string().contains(fault),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);

    // Of a file as they were before: no checksum is in the way.
    let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    let values = [1.0_f32, f32::INFINITY].map(f32::to_le_bytes).concat();
    let old = [&(header.len() as u64).to_le_bytes()[..], header, &values].concat();
    fs::write(&path, old).expect("a disk with space");
    let mut file = TensorFile::open(&path).expect("a sound header");
    let error = file.read("w").expect_err("of no use");
    assert!(
        error.is_input() && error.to_string().contains("`w`: 1 of 2 values"),
        "{error}"
    );
    assert_eq!(file.read_any("w").expect("values").values[0], 1.0);
}
