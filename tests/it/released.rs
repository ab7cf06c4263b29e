//! Weights of the released code: what goes in comes out again, and bad files are refused.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use astroclip::base::error::Error;
use astroclip::network::released::{AttentionHeads, ExportFormat, ReleasedWeights, export};
use astroclip::network::weights::{ModelFile, NamedTensor, TensorMap, write_safetensors};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const FILES: [&str; 3] = ["astrodino.pth", "specformer.ckpt", "astroclip.ckpt"];

fn reference(name: &str) -> PathBuf {
    let folder = std::env::var_os("ASTROCLIP_REFERENCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        PathBuf::from,
    );
    folder.join(name)
}

fn import(path: &Path) -> Result<(ModelFile, TensorMap), Error> {
    let weights = ReleasedWeights::open(path, AttentionHeads::default())?;
    let header = weights.header.clone();
    Ok((header, weights.read()?))
}

fn bits(tensors: &TensorMap) -> BTreeMap<&str, (&[usize], Vec<u32>)> {
    let bits = |tensor: &NamedTensor| tensor.values.iter().map(|value| value.to_bits()).collect();
    let tensors = tensors.iter();
    tensors
        .map(|(name, tensor)| (name.as_str(), (tensor.shape.as_slice(), bits(tensor))))
        .collect()
}

#[test]
fn what_is_imported_and_exported_is_imported_with_the_same_bits() {
    let workspace = TempDir::new().expect("a temporary folder");
    let (model, exported) = (workspace.path().join("model"), workspace.path().join("out"));
    for name in FILES {
        let (header, tensors) = import(&reference(name)).expect(name);
        header.write(&model, &tensors).expect("a disk with space");
        for format in [ExportFormat::Released, ExportFormat::Safetensors] {
            export(&model, &exported, format).expect(name);
            let (again, same) = import(&exported).expect(name);
            assert_eq!(bits(&same), bits(&tensors), "{name}");
            assert_eq!(
                (again.kind, again.step, &again.architecture),
                (header.kind, header.step, &header.architecture),
                "{name}"
            );
        }
    }
}

/// The tensors of an export, under released names.
fn released_tensors(name: &str, workspace: &TempDir) -> TensorMap {
    let (model, exported) = (workspace.path().join("model"), workspace.path().join("out"));
    let (header, tensors) = import(&reference(name)).expect(name);
    header.write(&model, &tensors).expect("a disk with space");
    export(&model, &exported, ExportFormat::Safetensors).expect(name);
    let mut file = astroclip::network::weights::TensorFile::open(&exported).expect(name);
    file.read_all().expect(name)
}

#[test]
fn compiled_and_wrapped_models_import_as_the_plain_one() {
    let workspace = TempDir::new().expect("a temporary folder");
    let path = workspace.path().join("wrapped.safetensors");
    let plain = released_tensors("astroclip.ckpt", &workspace);
    let write = |rename: &dyn Fn(&str) -> String| {
        let renamed = plain
            .iter()
            .map(|(name, tensor)| (rename(name), tensor.clone()));
        let renamed: TensorMap = renamed.collect();
        write_safetensors(&path, &renamed, "format", "pt".into()).expect("a disk with space");
        import(&path)
    };
    let (_, expected) = write(&str::to_owned).expect("the plain model");
    for rename in [
        (|name| format!("_orig_mod.{name}")) as fn(&str) -> String,
        |name| format!("state_dict.model.module._orig_mod._orig_mod.{name}"),
        |name| format!("module.module.{name}"),
        |name| name.replace("_encoder.", "_encoder._orig_mod."),
        |name| name.replace("_encoder.backbone.", "_encoder.module.backbone._orig_mod."),
    ] {
        let (_, tensors) = write(&rename).expect("a wrapped model");
        assert_eq!(bits(&tensors), bits(&expected));
    }

    // What is not known is said beside what is missing.
    let hidden =
        |name: &str| name.replace("image_encoder.backbone.", "image_encoder.backbone.net.");
    let message = write(&hidden).expect_err("other names").to_string();
    for part in [
        "blocks.0.…` and all other blocks are missing",
        "`image_encoder.backbone.net.blocks.0.",
    ] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    let many = |name: &str| name.replace(".attn.", ".attention.");
    let message = write(&many).expect_err("other names").to_string();
    for part in [
        ".attn.qkv.weight` [72, 24] is missing",
        ".attention.qkv.weight` is not expected",
    ] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn missing_misshapen_and_unknown_tensors_are_named() {
    let workspace = TempDir::new().expect("a temporary folder");
    let path = workspace.path().join("broken.safetensors");
    let mut tensors = released_tensors("astroclip.ckpt", &workspace);
    tensors.remove("image_encoder.backbone.norm.bias");
    tensors.remove("spectrum_encoder.backbone.blocks.0.mlp.encoder.weight");
    let query = "spectrum_encoder.cross_attention.layernorm.weight";
    tensors.get_mut(query).expect("a head").shape.insert(0, 1);
    let extra = NamedTensor {
        shape: vec![1],
        values: vec![0.0],
    };
    tensors.insert("image_encoder.backbone.register_tokens".into(), extra);
    write_safetensors(&path, &tensors, "format", "pt".into()).expect("a disk with space");
    let message = import(&path).expect_err("a broken file").to_string();
    for part in [
        "broken.safetensors",
        "`image_encoder.backbone.norm.bias` [24] is missing",
        "`spectrum_encoder.backbone.blocks.0.mlp.encoder.weight`",
        "`spectrum_encoder.cross_attention.layernorm.weight` has shape [1, ",
        "`image_encoder.backbone.register_tokens` is not expected",
    ] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }

    let unknown = TensorMap::from([(
        "encoder.conv1.weight".to_owned(),
        NamedTensor {
            shape: vec![2],
            values: vec![0.0; 2],
        },
    )]);
    write_safetensors(&path, &unknown, "format", "pt".into()).expect("a disk with space");
    let message = import(&path).expect_err("another model").to_string();
    assert!(
        message.contains("`encoder.conv1.weight`") && message.contains("astrodino"),
        "{message}"
    );
}

/// A file as `torch.save` writes it, with this pickle and one storage of four zeros.
fn torch_file(path: &Path, pickle: &[u8]) {
    let mut archive = ZipWriter::new(File::create(path).expect("a file"));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("a/data.pkl", pickle), ("a/data/0", &[0; 16])] {
        archive.start_file(name, options).expect("an entry");
        archive.write_all(bytes).expect("an entry");
    }
    archive.finish().expect("an archive");
}

/// `{"state_dict": {"data_embed.weight": TENSOR}}`, with these pickled arguments of the tensor.
fn pickled_tensor(arguments: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}X\x0a\0\0\0state_dict}X\x11\0\0\0data_embed.weight".to_vec();
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n");
    pickle.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuK\x04tQ");
    pickle.extend(arguments);
    pickle.extend(b"tRss.");
    pickle
}

#[test]
fn hostile_files_are_refused_at_once_and_nothing_in_them_runs() {
    let workspace = TempDir::new().expect("a temporary folder");
    let path = workspace.path().join("hostile.ckpt");
    let witness = workspace.path().join("witness");
    let nested = |start: &[u8], repeated: &[u8], count: usize| {
        [start, &repeated.repeat(count), b"."].concat()
    };
    let code = format!("cos\nsystem\n(S'touch {}'\ntR.", witness.display());
    // Twenty lists, each of which holds the one before a thousand times.
    let laughs: Vec<u8> = (0..20_u8)
        .flat_map(|level| {
            let before = [b'h', level.saturating_sub(1)].repeat(1000);
            [b"](".as_slice(), &before, b"eq", &[level]].concat()
        })
        .collect();
    let huge = b"\x8a\x08\0\0\0\0\0\0\0\x40".repeat(2);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("code", code.into_bytes(), "no tensors"),
        (
            "nested tuples",
            nested(b")", b"\x85", 500_000),
            "no tensors",
        ),
        (
            "too many values",
            nested(b")", b"\x85", 2_000_000),
            "values",
        ),
        ("nested marks", nested(b"", b"(", 500_000), "stack is empty"),
        ("shared lists", nested(b"]q\0", &laughs, 1), "no tensors"),
        (
            "a long text",
            b"X\xff\xff\xff\xffabc.".to_vec(),
            "too early",
        ),
        (
            "a longer text",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.".to_vec(),
            "too early",
        ),
        (
            "a long number",
            b"\x8b\xff\xff\xff\x7f\x01.".to_vec(),
            "too early",
        ),
        ("an unknown memo key", b"h\x07.".to_vec(), "memo"),
        ("an extension", b"\x82\x01.".to_vec(), "0x82"),
        ("no end", b"}".to_vec(), "too early"),
        (
            "a tensor larger than its storage",
            pickled_tensor(b"K\0(K\x08K\x08t(K\x08K\x01t\x89}"),
            "missing",
        ),
        (
            "a tensor beyond all memory",
            pickled_tensor(&[b"K\0(", huge.as_slice(), b"t(K\x01K\x01t\x89}"].concat()),
            "claim more",
        ),
        (
            "a tensor of one value repeated",
            pickled_tensor(b"K\0(J\0\0\x40\0K\x01t(K\0K\0t\x89}"),
            "claim more",
        ),
        (
            "an offset behind the storage",
            pickled_tensor(b"J\xff\xff\xff\x7f(K\x02K\x02t(K\x02K\x01t\x89}"),
            "missing",
        ),
    ];
    for (what, pickle, expected) in cases {
        torch_file(&path, &pickle);
        let error = import(&path).expect_err(what);
        assert!(error.is_input(), "{what}: {error}");
        assert!(error.to_string().contains(expected), "{what}: {error}");
    }
    assert!(!witness.exists());
}

#[test]
fn no_damage_to_a_file_panics() {
    let workspace = TempDir::new().expect("a temporary folder");
    let path = workspace.path().join("damaged.ckpt");
    let file = File::open(reference("astrodino.pth")).expect("the reference");
    let mut archive = ZipArchive::new(file).expect("a zip file");
    let mut pickle = Vec::new();
    archive
        .by_name("astrodino/data.pkl")
        .expect("a pickle")
        .read_to_end(&mut pickle)
        .expect("a pickle");
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for _ in 0..200 {
        let mut damaged = pickle.clone();
        for _ in 0..rng.random_range(1..4) {
            let place = rng.random_range(0..damaged.len());
            damaged[place] = rng.random();
        }
        damaged.truncate(rng.random_range(damaged.len() / 2..=damaged.len()));
        torch_file(&path, &damaged);
        // The one storage holds four numbers: there is no way to read the model.
        import(&path).expect_err("a damaged file");
    }
    let whole = fs::read(reference("astrodino.pth")).expect("the reference");
    for length in [0, 1, 3, 4, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..length]).expect("a disk with space");
        import(&path).expect_err("a file that was cut off");
    }
}
