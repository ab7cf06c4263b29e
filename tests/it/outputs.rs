//! What the program writes: files, where they may lie, and a log that may be lost.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::support::{Workspace, command};

/// Standard error or output that takes nothing: a full disk, or a pipe whose reader has gone.
fn unwritable() -> [Stdio; 2] {
    let full = OpenOptions::new().write(true).open("/dev/full");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    [full.expect("a full device").into(), writer.into()]
}

#[test]
fn a_log_that_cannot_be_written_ends_no_work() {
    let workspace = Workspace::new();
    let out = workspace.path("survey.h5");
    for log in unwritable() {
        let mut simulate = command(["simulate", "-vv", "--galaxies", "10", "--out"]);
        let ended = simulate
            .arg(&out)
            .stdout(Stdio::null())
            .stderr(log)
            .status();
        assert_eq!(ended.expect("an end").code(), Some(0));
        fs::remove_file(&out).expect("the survey");
    }
    // The exit code still says who has to act, and a result that cannot be written is an error.
    let code = |arguments: &[&str], stdout: Stdio, stderr: Stdio| {
        let ended = command(arguments).stdout(stdout).stderr(stderr).status();
        ended.expect("an end").code()
    };
    for arguments in [&["inspect", "/no/such"][..], &["inspekt"]] {
        for log in unwritable() {
            assert_eq!(code(arguments, Stdio::null(), log), Some(2));
        }
    }
    for arguments in [&["--help"][..], &["config", "list"]] {
        let [full, closed] = unwritable();
        assert_eq!(code(arguments, full, Stdio::null()), Some(1));
        assert_eq!(code(arguments, closed, Stdio::null()), Some(0));
    }
}

/// Every command that writes one file, as it is typed before the name of that file, and an ending of the name.
const WRITING: [(&str, &str); 14] = [
    ("simulate --galaxies 10 --out", "h5"),
    ("embed --weights model --data survey.h5 --out", "h5"),
    ("import released --out", "safetensors"),
    ("export model --to released --out", "ckpt"),
    ("match left.csv right.csv --on id --out", "h5"),
    (
        "eval redshift --embeddings emb.h5 --labels survey.h5 --out",
        "h5",
    ),
    (
        "eval properties --embeddings emb.h5 --labels survey.h5 --out",
        "h5",
    ),
    (
        "eval morphology --embeddings emb.h5 --labels survey.h5 --out",
        "h5",
    ),
    ("eval retrieval --embeddings emb.h5 --out", "h5"),
    (
        "eval posterior --embeddings emb.h5 --labels survey.h5 --out",
        "h5",
    ),
    (
        "eval all --embeddings emb.h5 --labels survey.h5 --report",
        "html",
    ),
    ("plot map emb.h5 --out", "png"),
    (
        "plot attention --weights model --data survey.h5 --out",
        "svg",
    ),
    ("inspect survey.h5 --plot", "png"),
];

/// A folder with what those commands read.
fn with_inputs() -> Workspace {
    let workspace = Workspace::new();
    let released = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/astroclip.ckpt");
    fs::copy(released, workspace.path("released")).expect("released weights");
    fs::write(workspace.path("left.csv"), "id,x\n7,1\n").expect("a table");
    fs::write(workspace.path("right.csv"), "id,y\n7,2\n").expect("a table");
    for line in [
        "simulate --galaxies 12 --out survey.h5",
        "import released --out model",
        "embed --weights model --data survey.h5 --out emb.h5",
    ] {
        workspace.run(&words(line)).succeeds();
    }
    workspace
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

#[test]
fn an_output_that_cannot_be_is_refused_before_the_work() {
    let workspace = with_inputs();
    fs::create_dir(workspace.path("folder")).expect("a folder");
    let fifo = Command::new("mkfifo").arg(workspace.path("fifo")).status();
    assert!(fifo.expect("mkfifo").success());
    let long = "x".repeat(300);
    for (line, ending) in WRITING {
        // What is no survey would be refused too, but later.
        let line = line
            .replace("survey.h5", "no-such.h5")
            .replace("emb.h5", "no-such.h5");
        for (name, link, why) in [
            ("folder", true, "is a folder; name a file in it"),
            ("fifo", true, "is a device or a pipe"),
            ("new/", false, "names a folder"),
            ("left.csv/x", false, "a file"),
            (long.as_str(), false, "too long"),
            ("/proc/x", false, "takes no files"),
        ] {
            let out = format!(
                "{name}{}{ending}",
                if name.ends_with('/') { "" } else { "." }
            );
            let out = match link {
                true => {
                    let _ = symlink(name, workspace.path(&out));
                    out
                }
                false if name.ends_with('/') => name.to_owned(),
                false => out,
            };
            // An ending is asked for first.
            let ended = workspace.run(&[words(&line), vec![&out]].concat());
            let why = match name {
                "new/" if ["h5", "png", "svg", "html"].contains(&ending) => "new/",
                _ => why,
            };
            ended.fails_with(2, &[why]);
        }
        let file = workspace.path("precious.").with_extension(ending);
        fs::write(&file, "precious").expect("a file");
        let name = format!("precious.{ending}");
        let ended = workspace.run(&[words(&line), vec![&name]].concat());
        ended.fails_with(2, &[&name, "so it is not replaced; choose another name"]);
        assert_eq!(fs::read(&file).expect("the file"), b"precious");
    }
    for run in [
        "pretrain-image",
        "align",
        "baseline photometry",
        "quickstart",
    ] {
        let ended = workspace.run(&[words(run), vec!["--out", "left.csv"]].concat());
        ended.fails_with(2, &["left.csv: is a file; name a folder"]);
    }
}

#[test]
fn no_output_replaces_what_its_command_reads() {
    let workspace = with_inputs();
    let path = |name: &str| workspace.path(name);
    let table: String = (0..12).map(|row| format!("{row},0.{row}\n")).collect();
    fs::write(path("labels.csv"), format!("id,z\n{table}")).expect("a table");
    fs::hard_link(path("labels.csv"), path("hard.csv")).expect("a link");
    symlink("labels.csv", path("soft.csv")).expect("a link");
    fs::create_dir(path("many")).expect("a folder");
    fs::copy(path("emb.h5"), path("many/emb.h5")).expect("a copy");
    let eval = "eval redshift --embeddings emb.h5 --labels labels.csv --out";
    for (line, out) in [
        (eval, "labels.csv"),
        (eval, "many/../labels.csv"),
        (eval, "hard.csv"),
        (eval, "soft.csv"),
        ("match left.csv right.csv --on id --out", "./right.csv"),
        ("import model --out", "model"),
        ("embed --weights model --data many --out", "many/emb.h5"),
    ] {
        let before = fs::read(path(out)).expect("the input");
        let ended = workspace.run(&[words(line), vec![out]].concat());
        ended.fails_with(
            2,
            &[out, "is what this command reads", "choose another name"],
        );
        assert_eq!(fs::read(path(out)).expect("the input"), before);
    }
    // An earlier output of the same kind is replaced, and a link is followed.
    symlink("new.csv", path("link.csv")).expect("a link");
    for _ in 0..2 {
        let line = "match left.csv right.csv --on id --out link.csv";
        workspace.run(&words(line)).succeeds();
        assert!(path("new.csv").is_file() && path("link.csv").is_symlink());
    }
}

#[test]
fn an_embedding_that_is_killed_goes_on_to_the_same_bytes() {
    let workspace = with_inputs();
    let path = |name: &str| workspace.path(name);
    workspace
        .run(&words("simulate --galaxies 100 --seed 3 --out many.h5"))
        .succeeds();
    let line = "embed -q --weights model --data many.h5 --batch-size 1 --device cpu --out";
    let embed = |more: &str| -> Vec<String> {
        let all = words(line).into_iter().chain(more.split(' '));
        all.map(str::to_owned).collect()
    };
    let run = |more: &str| {
        let arguments = embed(more);
        workspace.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    run("whole.h5").succeeds();
    fs::write(path("own.h5.part"), "precious").expect("a file");
    run("own.h5").fails_with(2, &["own.h5.part: is in the way and none of ours"]);
    assert_eq!(
        fs::read(path("own.h5.part")).expect("the file"),
        b"precious"
    );
    fs::remove_file(path("own.h5.part")).expect("the file");
    // A plan that does not say how it is kept is of an earlier version.
    let plan = br#"{"program_version":"0.1.0","galaxies":100}"#;
    let mut part = b"unfinished embeddings of astroclip\n".to_vec();
    part.extend((plan.len() as u64).to_le_bytes());
    part.extend(Sha256::digest(plan));
    part.extend(plan);
    fs::write(path("old.h5.part"), part).expect("a file");
    run("old.h5 --resume").fails_with(2, &["old.h5.part: is of another version of astroclip"]);
    fs::remove_file(path("old.h5.part")).expect("the file");
    let length = || fs::metadata(path("emb.h5.part")).map_or(0, |part| part.len());
    fs::remove_file(path("emb.h5")).expect("the earlier embeddings");
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut killed = 0;
    while killed < 4 && !path("emb.h5").exists() {
        let begun = length();
        let mut child = command(embed("emb.h5 --resume"))
            .current_dir(path(""))
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        // After some batches more.
        let enough = begun + random.random_range(500..4000);
        while length() < enough && child.try_wait().expect("a child").is_none() {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().expect("a kill");
        child.wait().expect("an end");
        killed += usize::from(length() > begun);
    }
    assert!(
        killed == 4,
        "it was done before it was killed a fourth time"
    );
    // Half a batch, as a power failure leaves it.
    let part = fs::read(path("emb.h5.part")).expect("what is kept");
    fs::write(path("emb.h5.part"), &part[..part.len() - 100]).expect("less");

    run("emb.h5").fails_with(
        2,
        &[
            "emb.h5.part: holds an unfinished embedding of",
            "by --resume",
        ],
    );
    let other = |more: &str, why: &str| {
        let ended = run(&format!("emb.h5 --resume {more}"));
        ended.fails_with(
            2,
            &["emb.h5.part: was begun with other", why, "to begin anew"],
        );
    };
    other("--raw", "scaling: go on with the command without --raw");
    other("--precision bf16", "--precision f32");
    let line = "embed --weights model --data survey.h5 --batch-size 1 --out emb.h5 --resume";
    let ended = workspace.run(&words(line));
    ended.fails_with(
        2,
        &["was begun with other data: go on with --data", "many.h5"],
    );
    let line = "embed --weights model --data many.h5 --batch-size 3 --out emb.h5 --resume";
    workspace
        .run(&words(line))
        .fails_with(2, &["--batch-size 1"]);

    run("emb.h5 --resume").succeeds();
    let bytes = |name: &str| fs::read(path(name)).expect("embeddings");
    assert!(bytes("emb.h5") == bytes("whole.h5"));
    let names = fs::read_dir(path("")).expect("the folder");
    let names = names.map(|entry| entry.expect("a file").file_name().into_string());
    let left: Vec<String> = names
        .map(|name| name.expect("UTF-8"))
        .filter(|name| name.starts_with('.') || name.ends_with(".part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
