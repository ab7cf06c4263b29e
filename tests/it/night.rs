//! Runs that are signalled, killed, started twice and resumed: nothing is lost, and all is said.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::support::{Workspace, astroclip};

/// Time in which anything that is waited for happens on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until a run has noted some steps.
fn wait_for_lines(run: &Path, lines: usize) {
    let started = Instant::now();
    let noted = || fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    while noted().lines().count() < lines {
        assert!(started.elapsed() < PATIENCE, "no progress");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Signals a run twice, as `timeout` and job managers do, which signal the process and its group. One shell sends both, so
/// that no start of a program comes between them on a busy machine.
fn signal_twice(child: &Child, name: &str) {
    let twice = r#"kill -s "$0" "$1" && kill -s "$0" "$1""#;
    let sent = Command::new("sh")
        .args(["-c", twice, name, &child.id().to_string()])
        .status();
    assert!(sent.expect("a shell").success());
}

#[test]
fn a_signal_ends_a_run_with_a_checkpoint_and_code_75() {
    const ENDLESS: [&str; 2] = ["--set", "train.steps=1000000"];
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    for (stage, name, number) in [
        ("image", "TERM", "SIGTERM"),
        ("spectrum", "USR1", "SIGUSR1"),
    ] {
        let run = format!("runs/{stage}");
        let mut child = workspace.start_training(stage, &survey, &ENDLESS);
        wait_for_lines(&workspace.path(&run), 5);
        workspace
            .train(stage, &survey, &[&ENDLESS[..], &["--resume"]].concat())
            .fails_with(2, &[&format!("process {}", child.id()), &run]);
        let status = workspace.run(&["status", &run, "--json"]).succeeds().json();
        assert_eq!(status[0]["state"], "running");
        let asked = Instant::now();
        signal_twice(&child, name);
        assert_eq!(child.wait().expect("an end").code(), Some(75));
        assert!(asked.elapsed() < Duration::from_secs(30));

        let status = workspace.run(&["status", &run, "--json"]).succeeds().json();
        let status = &status[0];
        assert_eq!(
            (&status["state"], &status["by"]),
            (&"stopped".into(), &number.into())
        );
        assert_eq!(status["step"], status["checkpoint_step"]);
        let done = status["step"].as_u64().expect("a number");
        assert!(done >= 5, "{status}");

        // Shorter or longer, along the same schedules: what an unbroken run of so many steps would have been.
        let steps = format!("train.steps={}", done + 3);
        let command = match stage {
            "image" => "pretrain-image",
            _ => "pretrain-spectrum",
        };
        let resume = [command, "--resume", "--out", &run, "--device", "cpu"];
        let too_few = [&resume[..], &["--set", "train.steps=2"]].concat();
        workspace
            .run(&too_few)
            .fails_with(2, &["`train.steps` is 2", &format!("has done {done}")]);
        // What is refused leaves the run as it was.
        let refused = workspace.run(&["status", &run, "--json"]).succeeds().json();
        assert_eq!(
            (&refused[0]["steps"], &refused[0]["by"]),
            (&1_000_000.into(), &number.into())
        );
        workspace
            .run(&[&resume[..], &["--set", &steps]].concat())
            .succeeds();
        let whole = format!("runs/{stage}-whole");
        let more = [
            "--out",
            &whole,
            "--set",
            &steps,
            "--set",
            "train.schedule_steps=1000000",
        ];
        workspace.train(stage, &survey, &more).succeeds();
        for file in [
            "model.safetensors".to_owned(),
            format!("checkpoints/step-{:08}.safetensors", done + 3),
        ] {
            let bytes = |run: &str| fs::read(workspace.path(run).join(&file)).expect("a file");
            assert!(bytes(&run) == bytes(&whole), "{stage}: {file} differs");
        }
        assert_eq!(workspace.metrics(&run), workspace.metrics(&whole));
        let finished = workspace.run(&["status", &run]).succeeds().stdout;
        assert!(
            finished.contains("finished") && finished.contains("session     2, since"),
            "{finished}"
        );
    }
}

#[test]
fn kills_at_random_moments_lose_nothing() {
    const SEED: u64 = 18;
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    let settings = [
        "--set",
        "train.steps=60",
        "--set",
        "train.checkpoint_every=2",
    ];
    for stage in ["image", "spectrum", "align", "baseline-image"] {
        workspace.train(stage, &survey, &settings).succeeds();
        let run = format!("runs/{stage}-killed");
        let killed = [&settings[..], &["--out", &run]].concat();
        let mut is_begun = false;
        let mut kills = 0;
        loop {
            let resume: &[&str] = if is_begun { &["--resume"] } else { &[] };
            let mut child = workspace.start_training(stage, &survey, &[&killed, resume].concat());
            // Four kills at most, wherever they hit: opening, stepping, writing.
            if kills < 4 {
                thread::sleep(Duration::from_millis(rng.random_range(20..400)));
                child.kill().expect("a process");
            }
            let ended = child.wait().expect("an end");
            kills += 1;
            is_begun = workspace.path(&run).join("config.toml").exists();
            match ended.code() {
                Some(0) => break,
                Some(code) => panic!("{stage}: exit code {code} after {kills} kills"),
                None => {}
            }
        }
        for file in ["model.safetensors", "checkpoints/step-00000060.safetensors"] {
            let bytes = |run: &str| fs::read(workspace.path(run).join(file)).expect("a file");
            assert!(
                bytes(&run) == bytes(&format!("runs/{stage}")),
                "{stage}: {file} differs after {kills} kills of seed {SEED}"
            );
        }
        let whole = workspace.metrics(&format!("runs/{stage}"));
        assert_eq!(workspace.metrics(&run), whole);
        let left = fs::read_dir(workspace.path(&run).join("checkpoints")).expect("a folder");
        let left: Vec<_> = left
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert!(
            left.iter()
                .all(|name| name.to_string_lossy().starts_with("step-")),
            "{left:?}"
        );
    }
}

#[test]
fn a_run_without_a_readable_checkpoint_does_not_begin_anew_in_silence() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    let state = || {
        let status = workspace.run(&["status", "runs/spectrum", "--json"]);
        status.succeeds().json()[0]["state"].clone()
    };
    workspace
        .train("spectrum", &survey, &["--stop-after", "2"])
        .succeeds();
    let checkpoint = "runs/spectrum/checkpoints/step-00000002.safetensors";
    fs::write(workspace.path(checkpoint), "half").expect("a file");
    let resume = ["pretrain-spectrum", "--resume", "--out", "runs/spectrum"];
    workspace
        .run(&resume)
        .fails_with(2, &["none of the 1 checkpoints can be read", "up to 2"]);
    assert_eq!(state(), "stopped", "what never began has not failed");
    fs::remove_dir_all(workspace.path("runs/spectrum/checkpoints")).expect("a folder less");
    // A record that cannot be written ends no run.
    let sessions = workspace.path("runs/spectrum/sessions.jsonl");
    fs::remove_file(&sessions).expect("a record");
    fs::create_dir(&sessions).expect("a folder");
    let unrecorded = workspace.run(&resume).succeeds();
    assert!(
        unrecorded
            .stderr
            .contains("sessions.jsonl: cannot be written"),
        "{}",
        unrecorded.stderr
    );
    assert_eq!(state(), "finished");
}

#[test]
fn a_quickstart_goes_on_where_it_was_broken_off() {
    let workspace = Workspace::new();
    let command = |out: &str| {
        let out = workspace.path(out).display().to_string();
        [
            "quickstart",
            "--preset",
            "smoke",
            "--device",
            "cpu",
            "--out",
            &out,
        ]
        .map(str::to_owned)
    };
    let mut child = Command::new(env!("CARGO_BIN_EXE_astroclip"))
        .args(command("broken"))
        .spawn()
        .expect("the program starts");
    let run = workspace.path("broken/runs/spectrum");
    wait_for_lines(&run, 2);
    child.kill().expect("a process");
    child.wait().expect("an end");
    let other = [
        &command("broken")[..],
        &["--set".to_owned(), "galaxies=300".to_owned()],
    ]
    .concat();
    astroclip(other).fails_with(2, &["`galaxies` was 200 and is 300"]);
    let goes_on = astroclip(command("broken")).succeeds();
    assert!(
        goes_on.stderr.contains("going on with it"),
        "{}",
        goes_on.stderr
    );
    astroclip(command("whole")).succeeds();
    let results = |out: &str| {
        let text = fs::read_to_string(workspace.path(out).join("results.json"));
        let results: Value = serde_json::from_str(&text.expect("results")).expect("JSON");
        results
    };
    let (broken, whole) = (results("broken"), results("whole"));
    for part in ["after_alignment", "before_alignment", "retrieval"] {
        assert_eq!(broken[part], whole[part], "{part}");
    }
    let seconds = |stage: usize| broken["times"][stage]["seconds"].as_f64();
    assert!((0..6).all(|stage| seconds(stage).is_some_and(|seconds| seconds > 0.0)));
    astroclip(command("broken")).fails_with(2, &["that is finished", "--out"]);
}

#[test]
fn signals_before_the_first_step_end_with_code_75_too() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    for run in ["runs/a", "runs/b", "runs/c"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_astroclip"))
            .args(["pretrain-image", "--device", "cpu", "--data", &survey])
            .args(["--out", &workspace.path(run).display().to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        // The first line is said while files are opened, long before the model is made.
        let mut log = BufReader::new(child.stderr.take().expect("a log"));
        log.read_line(&mut String::new()).expect("a line");
        signal_twice(&child, "TERM");
        let mut said = String::new();
        log.read_to_string(&mut said).expect("text");
        assert_eq!(child.wait().expect("an end").code(), Some(75), "{said}");
        assert!(said.contains("stopped: SIGTERM"), "{said}");
    }
}

#[test]
fn pipes_and_rubbish_in_a_run_folder_are_named_and_never_waited_for() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    let begin = |more: &[&str]| {
        let more = [&["--stop-after", "2"], more].concat();
        workspace.train("spectrum", &survey, &more)
    };
    begin(&[]).succeeds();
    let path = |name: &str| workspace.path("runs/spectrum").join(name);
    let resume = ["pretrain-spectrum", "--resume", "--out", "runs/spectrum"];
    for name in ["config.toml", "inputs.json", "metrics.jsonl", ".lock"] {
        let kept = fs::read(path(name)).expect("a file");
        fs::remove_file(path(name)).expect("a file less");
        let made = Command::new("mkfifo").arg(path(name)).status();
        assert!(made.expect("mkfifo").success());
        workspace
            .run(&resume)
            .fails_with(2, &[name, "is a pipe, not a file"]);
        workspace.run(&["status", "runs/spectrum"]);
        fs::remove_file(path(name)).expect("a pipe less");
        fs::write(path(name), kept).expect("a file");
    }
    let config = fs::read(path("config.toml")).expect("a file");
    fs::write(path("config.toml"), "stage = [").expect("a file");
    workspace
        .run(&resume)
        .fails_with(2, &["config.toml", "line 1"]);
    fs::write(path("config.toml"), config).expect("a file");
    // What a power failure leaves at the end of a log.
    let mut metrics = fs::read(path("metrics.jsonl")).expect("a file");
    metrics.extend(b"{\"step\":\xff\0\0\0");
    fs::write(path("metrics.jsonl"), metrics).expect("a file");
    workspace.run(&resume).succeeds();
    assert_eq!(workspace.metrics("runs/spectrum").len(), 4);
}

#[test]
fn a_run_whose_folder_is_moved_away_ends_at_its_next_checkpoint() {
    let workspace = Workspace::new();
    let survey = workspace.simulate(40);
    let more = [
        "--set",
        "train.steps=1000000",
        "--set",
        "train.checkpoint_every=200",
    ];
    let mut child = workspace.start_training("spectrum", &survey, &more);
    wait_for_lines(&workspace.path("runs/spectrum"), 5);
    fs::rename(workspace.path("runs/spectrum"), workspace.path("away")).expect("another name");
    assert_eq!(child.wait().expect("an end").code(), Some(1));
    assert!(
        !workspace.path("runs/spectrum").exists(),
        "it is not made again"
    );
    let away = workspace.path("away");
    fs::remove_dir_all(away.join("checkpoints")).expect("a folder less");
    let resumed = workspace.run(&[
        "pretrain-spectrum",
        "--resume",
        "--out",
        "away",
        "--stop-after",
        "3",
    ]);
    let log = resumed.succeeds().stderr;
    assert!(log.contains("holds no checkpoint"), "{log}");
}
