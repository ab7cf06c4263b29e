//! `scripts/fetch_data` against a server that breaks off, refuses, ignores ranges and sends something else.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

/// Paths of the files that the script fetches.
const JOINT: &str = "/~flanusse/astroclip_desi.1.1.5.h5";
const VOTES: &str = "/records/4573248/files/gz_decals_volunteers_5.csv";
const TREE: &str = "/api/models/polymathic-ai/specformer/tree/main";
const WEIGHTS: &str = "/polymathic-ai/specformer/resolve/main/specformer.ckpt";

/// How a file is served.
#[derive(Clone, Default)]
struct Served {
    bytes: Vec<u8>,
    /// Bytes after which the connection closes, once per number; the last stays.
    breaks: Vec<usize>,
    ignores_range: bool,
}

/// Path and range of a request.
type Asked = (String, Option<usize>);

#[derive(Clone, Default)]
struct Server {
    files: Arc<Mutex<HashMap<String, Served>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Serves until the test ends, and returns the address.
    fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let _ = server.answer(stream);
            }
        });
        address
    }

    fn serve(&self, path: &str, served: Served) {
        self.files.lock().unwrap().insert(path.into(), served);
    }

    fn ranges(&self, path: &str) -> Vec<Option<usize>> {
        let asked = self.asked.lock().unwrap();
        let of_path = asked.iter().filter(|(known, _)| known == path);
        of_path.map(|(_, range)| *range).collect()
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().unwrap_or(Ok(String::new()))?;
        let path = request.split([' ', '?']).nth(1).unwrap_or("").to_owned();
        let mut range = None;
        for line in lines {
            let line = line?;
            if line.is_empty() {
                break;
            }
            if let Some(start) = line.to_lowercase().strip_prefix("range: bytes=") {
                range = start.trim_end_matches('-').parse::<usize>().ok();
            }
        }
        self.asked.lock().unwrap().push((path.clone(), range));
        let mut files = self.files.lock().unwrap();
        let Some(file) = files.get_mut(&path) else {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        };
        let start = range.filter(|_| !file.ignores_range).unwrap_or(0);
        let status = if start > 0 {
            "206 Partial Content"
        } else {
            "200 OK"
        };
        let rest = &file.bytes[start.min(file.bytes.len())..];
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            rest.len()
        );
        stream.write_all(head.as_bytes())?;
        let sent = match file.breaks.is_empty() {
            true => rest.len(),
            false => file.breaks.remove(0).min(rest.len()),
        };
        stream.write_all(&rest[..sent])
    }
}

fn fetch(address: &str, folder: &Path, arguments: &[&str]) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/fetch_data");
    Command::new("python3")
        .arg(script)
        .args(arguments)
        .arg("--to")
        .arg(folder)
        .env("FETCH_DATA_MIRROR", address)
        .env("FETCH_DATA_WAIT", "0.01")
        .output()
        .expect("python3 starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn contents() -> Vec<u8> {
    (0..300_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

#[test]
fn a_broken_download_goes_on_and_appears_only_whole() {
    let (server, folder) = (Server::default(), tempfile::tempdir().unwrap());
    let address = server.start();
    let bytes = contents();
    let (first, second) = (400_000, 300_000);
    // Breaks off twice; then in the second call it is whole.
    server.serve(
        JOINT,
        Served {
            bytes: bytes.clone(),
            breaks: vec![first, second],
            ..Served::default()
        },
    );
    let done = fetch(&address, folder.path(), &["get", "joint"]);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(
        server.ranges(JOINT),
        [None, Some(first), Some(first + second)]
    );
    let target = folder.path().join("astroclip_desi.1.1.5.h5");
    assert_eq!(fs::read(&target).unwrap(), bytes);
    assert!(!folder.path().join("astroclip_desi.1.1.5.h5.part").exists());

    // What is there is not fetched again, and its checksum is kept.
    let again = fetch(&address, folder.path(), &["get", "joint"]);
    assert!(again.status.success() && said(&again).contains("is there"));
    assert_eq!(server.ranges(JOINT).len(), 3);
    assert!(fetch(&address, folder.path(), &["verify"]).status.success());
    fs::write(&target, b"something else").unwrap();
    let verified = fetch(&address, folder.path(), &["verify"]);
    assert_eq!(verified.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&verified.stdout).contains("changed"));
    fs::remove_file(&target).unwrap();

    // Gives up, keeps what it has, and goes on at the next call, though the server starts anew.
    let short = Served {
        bytes: bytes.clone(),
        breaks: vec![1000; 5],
        ..Served::default()
    };
    server.serve(JOINT, short);
    let gave_up = fetch(&address, folder.path(), &["get", "joint"]);
    assert_eq!(gave_up.status.code(), Some(1), "{}", said(&gave_up));
    assert!(said(&gave_up).contains("gave up after 5 tries"));
    assert!(!target.exists());
    server.serve(
        JOINT,
        Served {
            bytes: bytes.clone(),
            ignores_range: true,
            ..Served::default()
        },
    );
    let done = fetch(&address, folder.path(), &["get", "joint"]);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(fs::read(&target).unwrap(), bytes);
}

#[test]
fn refusals_and_wrong_checksums_leave_no_file() {
    let (server, folder) = (Server::default(), tempfile::tempdir().unwrap());
    let address = server.start();
    let missing = fetch(&address, folder.path(), &["get", "provabgs"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(said(&missing).contains("404"), "{}", said(&missing));

    // The publisher states a checksum, and this is another file.
    let wrong = Served {
        bytes: b"iauname,ra,dec\n".to_vec(),
        ..Served::default()
    };
    server.serve(VOTES, wrong);
    let refused = fetch(&address, folder.path(), &["get", "gz-decals"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("expected b12e3767b3968f9767d4f4115cc69d4d"));

    // A repository tells its files with their sizes and checksums.
    let bytes = contents();
    let sum: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let tree = |sum: &str| {
        Served {
        bytes: format!(
            r#"[{{"type": "file", "path": "README.md", "size": 3}},
                {{"type": "file", "path": "specformer.ckpt", "size": {}, "lfs": {{"oid": "{sum}"}}}}]"#,
            bytes.len()
        )
        .into_bytes(),
        ..Served::default()
    }
    };
    let weights = Served {
        bytes: bytes.clone(),
        ..Served::default()
    };
    server.serve(WEIGHTS, weights);
    server.serve(TREE, tree(&"0".repeat(64)));
    let refused = fetch(&address, folder.path(), &["get", "weights-specformer"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    server.serve(TREE, tree(&sum));
    let done = fetch(&address, folder.path(), &["get", "weights-specformer"]);
    assert!(done.status.success(), "{}", said(&done));
    assert_eq!(
        fs::read(folder.path().join("specformer.ckpt")).unwrap(),
        bytes
    );

    let unknown = fetch(&address, folder.path(), &["get", "sloan"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown).contains("there are joint, joint-parquet"));
    let by_hand = fetch(&address, folder.path(), &["get", "images"]);
    assert_eq!(by_hand.status.code(), Some(1));
    assert!(said(&by_hand).contains("app.globus.org"));
}

#[test]
fn of_a_hats_collection_the_catalogue_comes_without_its_margin() {
    let (server, folder) = (Server::default(), tempfile::tempdir().unwrap());
    let address = server.start();
    let files = [
        "collection.properties",
        "mmu_gz10/hats.properties",
        "mmu_gz10/dataset/Norder=4/Dir=0/Npix=7.parquet",
        "mmu_gz10_10arcs/dataset/Norder=4/Dir=0/Npix=7.parquet",
    ];
    let tree = files.map(|path| format!(r#"{{"type": "file", "path": "{path}", "size": 4}}"#));
    let serve = |path: String, bytes: &[u8]| {
        let served = Served {
            bytes: bytes.to_vec(),
            ..Served::default()
        };
        server.serve(&path, served);
    };
    serve(
        "/api/datasets/UniverseTBD/mmu_gz10/tree/main".into(),
        format!("[{}]", tree.join(",")).as_bytes(),
    );
    for path in files {
        let quoted = path.replace('=', "%3D");
        serve(
            format!("/datasets/UniverseTBD/mmu_gz10/resolve/main/{quoted}"),
            b"PAR1",
        );
    }
    let done = fetch(&address, folder.path(), &["get", "mmu-gz10"]);
    assert!(done.status.success(), "{}", said(&done));
    let there = |path: &str| folder.path().join("mmu-gz10").join(path).exists();
    assert_eq!(files.map(there), [false, true, true, false]);
}
