//! Released weights from people who mean harm, or from a broken disk: an error, and neither a crash, nor a
//! hang, nor memory, nor an action.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use astroclip::network::released::{AttentionHeads, ReleasedWeights};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Address space for a hostile file, KiB; enough for every pickle within the reader's limits.
const MEMORY_KIB: usize = 512 << 10;
/// Time for a hostile file.
const PATIENCE: Duration = Duration::from_secs(20);
/// What `MOST_VALUES` of the reader is below.
const TOO_MANY: usize = 2 << 20;

/// Entries of a zip archive by name.
type Entries = Vec<(String, Vec<u8>)>;

fn golden(name: &str) -> PathBuf {
    let folder = std::env::var_os("ASTROCLIP_REFERENCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        PathBuf::from,
    );
    folder.join(name)
}

fn entries(name: &str) -> Entries {
    let bytes = fs::read(golden(name)).expect("a golden file");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("a zip archive");
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).expect("an entry");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its bytes");
            (entry.name().expect("a name").into_owned(), bytes)
        })
        .collect()
}

fn archive(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in entries {
        archive.start_file(name.as_str(), stored).expect("an entry");
        archive.write_all(bytes).expect("its bytes");
    }
    archive.finish().expect("an archive").into_inner()
}

/// A file of PyTorch around a pickle, with one storage of four numbers.
fn torch_file(pickle: &[u8]) -> Vec<u8> {
    archive(&[
        ("archive/data.pkl".into(), pickle.to_vec()),
        ("archive/data/0".into(), vec![0; 16]),
    ])
}

/// The pickle of a text.
fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [b"X", &length[..], text.as_bytes()].concat()
}

/// The pickle of a tensor of f32 in storage `0`, as `torch.save` writes it.
fn tensor(offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let int = |value: &i64| [&[0x8a, 8], &value.to_le_bytes()[..]].concat();
    let tuple = |values: &[i64]| {
        let values: Vec<u8> = values.iter().flat_map(int).collect();
        [b"(", &values[..], b"t"].concat()
    };
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        b"ctorch\nFloatStorage\n".to_vec(),
        text("0"),
        text("cpu"),
        b"K\x04tQ".to_vec(),
        int(&offset),
        tuple(shape),
        tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

/// The pickle of an image transformer's checkpoint with these tensors.
fn teacher(tensors: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut pickle = [b"\x80\x02}", &text("teacher")[..], b"}("].concat();
    for (name, tensor) in tensors {
        pickle.extend(text(name));
        pickle.extend(tensor);
    }
    pickle.extend(b"us.");
    pickle
}

/// Runs `import` on a file, or `inspect`, in little memory.
#[track_caller]
fn run(command: &str, file: &[u8], workspace: &TempDir) -> Output {
    let path = workspace.path().join("weights.ckpt");
    fs::write(&path, file).expect("a file");
    let mut arguments = vec![command.to_owned(), path.display().to_string()];
    let out = workspace.path().join("model.safetensors");
    if command == "import" {
        arguments.extend(["--out".to_owned(), out.display().to_string()]);
    }
    let start = Instant::now();
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\""))
        .arg(env!("CARGO_BIN_EXE_astroclip"))
        .args(arguments)
        .env_remove("RUST_LOG")
        .output()
        .expect("the program starts");
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    output
}

/// Asserts that both commands which read released files refuse this one in plain words.
#[track_caller]
fn refused(file: &[u8], part: &str) {
    for command in ["import", "inspect"] {
        let workspace = TempDir::new().expect("a temporary folder");
        let output = run(command, file, &workspace);
        let said = String::from_utf8_lossy(&output.stderr);
        let start = &said[..said.floor_char_boundary(1000)];
        assert_eq!(output.status.code(), Some(2), "{command}: {start}");
        assert!(start.contains("error: "), "{command}: {start}");
        assert!(start.contains(part), "{command}: {part:?}: {start}");
        assert!(said.len() < 4000, "{command}: {} bytes", said.len());
        assert!(!workspace.path().join("model.safetensors").exists());
    }
}

#[test]
fn code_in_a_pickle_is_skipped_never_run() {
    let workspace = TempDir::new().expect("a temporary folder");
    let marker = workspace.path().join("executed");
    let call = [
        b"cos\nsystem\n".to_vec(),
        text(&format!("touch {}", marker.display())),
        b"\x85R".to_vec(),
    ]
    .concat();

    // Alone it is no checkpoint; beside weights it is left alone.
    refused(
        &torch_file(&[&call[..], b"."].concat()),
        "it holds no tensors",
    );
    let mut entries = entries("specformer.ckpt");
    for (name, bytes) in &mut entries {
        if name.ends_with("data.pkl") {
            assert_eq!(bytes.pop(), Some(b'.'));
            // One more key of the dictionary that the pickle holds.
            bytes.extend([text("evil"), call.clone(), b"s.".to_vec()].concat());
        }
    }
    let output = run("import", &archive(&entries), &workspace);
    let (said, shown) = (
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(shown.contains("evil"), "{shown}");
    assert!(!marker.exists());
}

#[test]
fn nesting_and_sharing_cost_neither_stack_nor_memory() {
    let nested = |depth: usize| [vec![b']'; depth], vec![b'a'; depth - 1], b".".to_vec()].concat();
    refused(&torch_file(&nested(500_000)), "it holds no tensors");
    refused(&torch_file(&nested(TOO_MANY)), "more than");

    // Each list holds the one before twice: 2^1000 elements if they were copied.
    let mut shared = b"]q\x00".to_vec();
    for _ in 0..1000 {
        shared.extend(b"](h\x00h\x00eq\x00");
    }
    shared.push(b'.');
    refused(&torch_file(&shared), "it holds no tensors");
    // A list and a state dictionary that hold themselves.
    refused(&torch_file(b"]q\x00h\x00a."), "it holds no tensors");
    let itself = [b"}q\x00", &text("teacher")[..], b"h\x00s."].concat();
    refused(&torch_file(&itself), "it holds no tensors");
}

#[test]
fn bytes_that_grow_the_machine_are_counted() {
    let many = |start: &[u8], instruction: &[u8]| [start, &instruction.repeat(TOO_MANY)].concat();
    for pickle in [
        many(b"", b"N"),
        many(b"N", b"2"),
        many(b"", b"("),
        many(b"N", b"\x94"),
        many(b"Nq\x00", b"h\x00"),
        many(b"", b"}"),
        many(b"", b"cx\ny\n"),
    ] {
        refused(&torch_file(&pickle), "more than");
    }
    // Python's memo keys may have gaps, which must not be filled.
    refused(&torch_file(b"Nr\xff\xff\xff\xff."), "it holds no tensors");
    refused(&torch_file(&[b' '; 20 << 20]), "data.pkl has more than");
}

#[test]
fn claimed_lengths_are_checked_before_memory_is_taken() {
    let claim = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    for instruction in [0x8d, 0x8e, 0x96, b'X', b'T', b'B', 0x8b] {
        let pickle = [&[instruction], &claim[..], b"."].concat();
        refused(&torch_file(&pickle), "it ends too early");
    }
    for (pickle, part) in [
        (&b""[..], "it ends too early"),
        (b".", "its stack is empty"),
        (b"I123", "a line does not end"),
        (b"t.", "a mark is missing"),
        (b"h\x07.", "a memo key that was never set"),
        (b"\xff.", "instruction 0xff is not known"),
        (b"Na.", "its stack is empty"),
        (b"(o.", "an object without a class"),
        (b"(N0(R.", "its stack is empty"),
    ] {
        refused(&torch_file(pickle), part);
    }
}

#[test]
fn tensors_beyond_their_storage_are_refused() {
    let projection = "backbone.patch_embed.proj.weight";
    let (huge, most) = (1_i64 << 40, i64::MAX);
    for (tensor, part) in [
        (tensor(0, &[huge], &[1]), "claim more numbers"),
        (tensor(0, &[huge, huge], &[huge, 1]), "claim more numbers"),
        (tensor(0, &[2, 2, 2], &[most; 3]), "claim more numbers"),
        (tensor(0, &[huge, 8, 12, 12], &[0; 4]), "claim more numbers"),
        (tensor(0, &[-1], &[1]), "no list of counts"),
        (tensor(0, &[2], &[-1]), "no list of counts"),
        (tensor(-1, &[1], &[1]), "without an offset"),
        (tensor(0, &[2, 2], &[1]), "number of strides"),
    ] {
        refused(&torch_file(&teacher(&[(projection, tensor)])), part);
    }

    // Without elements a tensor takes no room, whatever its other extents are: here a prime, of which the
    // number of heads would be sought for ages.
    let empty = tensor(0, &[(1 << 61) - 1, 0, 12, 12], &[1; 4]);
    let block = ("backbone.blocks.0.0.norm1.weight", tensor(0, &[4], &[1]));
    let last = format!("student.backbone.blocks.0.{}.norm1.weight", u64::MAX);
    let pickle = teacher(&[(projection, empty), block, (&last, tensor(0, &[4], &[1]))]);
    refused(&torch_file(&pickle), "is missing");
    let beyond = format!("backbone.blocks.0.{}.norm1.weight", u64::MAX);
    let pickle = teacher(&[
        (projection, tensor(0, &[1, 1, 1, 1], &[1; 4])),
        (&beyond, tensor(0, &[4], &[1])),
    ]);
    refused(&torch_file(&pickle), "only 1 tensors of blocks");
}

#[test]
fn a_storage_that_is_too_short_or_gone_is_named() {
    for (storage, part) in [
        (Some(2), "too few for a tensor of shape"),
        (None, "not found"),
    ] {
        let mut entries = entries("specformer.ckpt");
        let last = |(name, _): &(String, Vec<u8>)| name.ends_with("/data/0");
        let index = entries.iter().position(last).expect("a storage");
        match storage {
            Some(length) => entries[index].1.truncate(length),
            None => _ = entries.remove(index),
        }
        let workspace = TempDir::new().expect("a temporary folder");
        let output = run("import", &archive(&entries), &workspace);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("data/0") && said.contains(part), "{said}");
        assert!(!workspace.path().join("model.safetensors").exists());
    }
}

#[test]
fn names_are_not_shown_to_the_terminal_as_they_are() {
    let long = "x".repeat(1 << 20);
    for name in ["\x1b[2J\x1b]0;owned\x07", long.as_str()] {
        let pickle = teacher(&[(name, tensor(0, &[4], &[1]))]);
        refused(&torch_file(&pickle), "no name of a tensor");
    }
}

#[test]
fn archives_that_lie_are_refused() {
    // A directory of millions of entries in a file that is nearly empty.
    let mut claims = torch_file(b"N.");
    let end = claims.len() - 22;
    assert_eq!(&claims[end..end + 4], b"PK\x05\x06");
    claims[end + 8..end + 12].fill(0xfe);
    refused(&claims, "torch.save");
    // A pickle whose entry claims to be compressed.
    let mut packed = torch_file(b"N.");
    let directory = packed.windows(4).position(|four| four == b"PK\x01\x02");
    packed[directory.expect("a directory") + 10] = 8;
    refused(&packed, "error: ");
    refused(
        &archive(&[("archive/other".into(), Vec::new())]),
        "no data.pkl",
    );
    refused(b"PK\x03\x04", "torch.save");
    // A safetensors header longer than its file, and one nested deep.
    refused(&[u64::MAX.to_le_bytes(), *b"{}      "].concat(), "error: ");
    let nested = [b"{\"a\":".repeat(100_000), Vec::new()].concat();
    refused(
        &[&(nested.len() as u64).to_le_bytes()[..], &nested].concat(),
        "recursion limit",
    );
}

/// Each storage of a checkpoint with one bit turned; and a checkpoint whose writer computed no checksums.
#[test]
fn a_turned_bit_is_noticed_and_missing_checksums_are_none() {
    const IN_THE_DIRECTORY: &[u8] = b"PK\x01\x02";
    let workspace = TempDir::new().expect("a temporary folder");
    let path = workspace.path().join("weights.ckpt");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("a file");
        let opened = ReleasedWeights::open(&path, AttentionHeads::default());
        opened.and_then(ReleasedWeights::read)
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for name in ["astrodino.pth", "specformer.ckpt", "astroclip.ckpt"] {
        let entries = entries(name);
        let sound = archive(&entries);
        let weights = read(&sound).expect("sound weights");
        let storages = entries
            .iter()
            .filter(|(name, _)| name.contains("/data/") || name.ends_with("data.pkl"));
        for (name, values) in storages {
            let place = sound
                .windows(values.len())
                .position(|bytes| bytes == values);
            let mut damaged = sound.clone();
            let place = place.expect("the entry") + rng.random_range(0..values.len());
            damaged[place] ^= 1 << rng.random_range(0..8);
            // Storages of what is not taken, such as a student, are not read.
            match read(&damaged) {
                Ok(same) => assert_eq!(same, weights, "{name}"),
                Err(error) => assert!(
                    error.to_string().contains("it has not its CRC-32"),
                    "{error}"
                ),
            }
        }
        let mut unsummed = sound;
        for place in 0..unsummed.len() - IN_THE_DIRECTORY.len() {
            if unsummed[place..].starts_with(IN_THE_DIRECTORY) {
                unsummed[place + 16..place + 20].fill(0);
            }
        }
        assert_eq!(read(&unsummed).expect("weights without checksums"), weights);
    }
}

/// No damaged byte and no missing end makes the reader panic.
#[test]
fn damage_never_panics() {
    let workspace = TempDir::new().expect("a temporary folder");
    let path = workspace.path().join("weights.ckpt");
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("a file");
        let opened = ReleasedWeights::open(&path, AttentionHeads::default());
        opened.and_then(ReleasedWeights::read).is_ok()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for name in ["astrodino.pth", "specformer.ckpt", "astroclip.ckpt"] {
        let whole = entries(name);
        assert!(read(&archive(&whole)), "{name}");
        for _ in 0..150 {
            let mut damaged = whole.clone();
            let is_pickle = |(name, _): &&mut (String, Vec<u8>)| name.ends_with("data.pkl");
            let (_, pickle) = damaged.iter_mut().find(is_pickle).expect("a pickle");
            for _ in 0..rng.random_range(1..4) {
                let place = rng.random_range(0..pickle.len());
                pickle[place] = rng.random();
            }
            read(&archive(&damaged));
        }
        let bytes = archive(&whole);
        for _ in 0..50 {
            let end = rng.random_range(0..bytes.len());
            assert!(!read(&bytes[..end]), "{name} cut at {end}");
        }
    }
}
