//! Runs the program in a folder of its own, with models small enough for a test.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use astroclip::app::cli::Cli;
use astroclip::files::data::{self, ReadOptions};
use astroclip::survey::{DESI_GRID, Labels, Modality, ObjectId, Survey};
use clap::CommandFactory;
use hdf5::File;
use hdf5::types::VarLenUnicode;
use ndarray::{Array2, Array4};
use serde_json::Value;
use tempfile::TempDir;

/// Opens a file to change it. A program that another test starts at this moment holds what is open here, and its lock, until it
/// has become that program.
pub fn writable(path: impl AsRef<Path>) -> File {
    let path = path.as_ref();
    let mut opened = File::open_rw(path);
    for _ in 0..100 {
        if opened.is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        opened = File::open_rw(path);
    }
    opened.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A label table as it is read from a file, to be called `name`.
pub fn labels_of(
    name: String,
    object_id: Vec<ObjectId>,
    columns: BTreeMap<String, Vec<f64>>,
) -> Labels {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("labels.h5");
    let file = File::create(&path).unwrap();
    let ids: Vec<VarLenUnicode> = object_id
        .iter()
        .map(|id| id.to_string().parse().unwrap())
        .collect();
    let build = || file.new_dataset_builder();
    build().with_data(&ids).create("object_id").unwrap();
    for (name, values) in &columns {
        build().with_data(values).create(name.as_str()).unwrap();
    }
    drop(file);
    let labels = data::read_labels(&[path], &Default::default()).unwrap();
    Labels { name, ..labels }
}

/// Settings that make `tiny-specformer` tinier.
pub const TINY_SPECTRUM: [&str; 7] = [
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "optimizer.warmup_steps=1",
    "model.width=16",
    "model.depth=1",
    "model.heads=2",
];
const TINY_IMAGE: [&str; 12] = [
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "optimizer.warmup_steps=1",
    "model.width=16",
    "model.depth=1",
    "model.heads=2",
    "model.image_size=48",
    "images.crops.global_size=48",
    "images.crops.local_size=24",
    "head.prototypes=32",
    "head.hidden=16",
];
const TINY_ALIGN: [&str; 8] = [
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "optimizer.warmup_steps=1",
    "align.image_head.embedding=64",
    "align.spectrum_head.embedding=64",
    "align.image_head.mlp_ratio=1.0",
    "align.spectrum_head.mlp_ratio=1.0",
];
const TINY_IMAGE_BASELINE: [&str; 7] = [
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "optimizer.warmup_steps=1",
    "validation.every=2",
    "model.width=2",
    "images.view.size=48",
];
const TINY_SPECTRUM_BASELINE: [&str; 7] = [
    "train.steps=4",
    "train.batch_size=4",
    "train.log_every=1",
    "optimizer.warmup_steps=1",
    "validation.every=2",
    "model.channels=[2, 4, 4, 4]",
    "model.dropout=0.1",
];

/// What the program said and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Asserts success.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Asserts an exit code and one message, without a panic, that holds all of `parts`.
    #[track_caller]
    pub fn fails_with(self, code: i32, parts: &[&str]) {
        let Self { stdout, stderr, .. } = &self;
        assert_eq!(self.code, Some(code), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert_eq!(stdout, "");
        assert_eq!(stderr.matches("error: ").count(), 1, "{stderr}");
        for part in parts {
            assert!(stderr.contains(part), "`{part}` is not in: {stderr}");
        }
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).expect("JSON on standard output")
    }
}

/// The program with arguments, in an environment that has nothing of the user's.
pub fn command(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_astroclip"));
    command
        .args(arguments)
        .env_remove("RUST_LOG")
        .env_remove("ASTROCLIP_DATA")
        .env_remove("CLICOLOR_FORCE")
        // The width of the help, whatever the terminal.
        .env("COLUMNS", "100")
        // A file that a test has just written may still be locked: by the child of another test, which inherited its
        // descriptor.
        .env("HDF5_USE_FILE_LOCKING", "FALSE")
        .stdin(Stdio::null());
    command
}

fn finish(mut command: Command) -> Finished {
    let output = command.output().expect("the program starts");
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs the program to its end.
pub fn astroclip(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Finished {
    finish(command(arguments))
}

/// The same with variables in its environment.
pub fn astroclip_with(variables: &[(&str, &str)], arguments: &[&str]) -> Finished {
    let mut command = command(arguments);
    command.envs(variables.iter().copied());
    finish(command)
}

/// The commands that do something, such as "embed" and "eval redshift", in the order of the help.
pub fn commands() -> Vec<String> {
    fn walk(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            match sub.has_subcommands() {
                true => walk(sub, &path, found),
                false => found.push(path.trim_start().to_owned()),
            }
        }
    }
    let mut found = Vec::new();
    walk(&Cli::command(), "", &mut found);
    found
}

/// Runs the program with a standard output that nobody reads; it must end quietly.
pub fn closes_the_pipe_at_once(arguments: &[&str]) {
    let mut child = command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// A folder that is removed at the end.
pub struct Workspace {
    folder: TempDir,
}

impl Workspace {
    /// An empty folder.
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    /// A folder with a survey (`survey.h5`), the weights of a released model (`astroclip.ckpt`), that model imported
    /// (`astroclip.safetensors`) and its embeddings of the survey (`emb.h5`).
    pub fn with_embeddings() -> Self {
        let workspace = Self::new();
        let released = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/astroclip.ckpt");
        fs::copy(released, workspace.path("astroclip.ckpt")).expect("released weights");
        for line in [
            "simulate --galaxies 24 --out survey.h5",
            "import astroclip.ckpt --out astroclip.safetensors",
            "embed --weights astroclip.safetensors --data survey.h5 --out emb.h5 --device cpu",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            workspace.run(&words).succeeds();
        }
        workspace
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the program in a folder within, with `ASTROCLIP_DATA` where it is given.
    pub fn run_in(&self, folder: &str, arguments: &[&str], data: Option<&str>) -> Finished {
        let mut command = command(arguments);
        command.current_dir(self.path(folder));
        if let Some(data) = data {
            command.env("ASTROCLIP_DATA", data);
        }
        finish(command)
    }

    /// Runs the program in the folder.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.run_in("", arguments, None)
    }

    /// Gives a file a time of last change so many seconds before a moment in the past.
    pub fn set_age(&self, name: &str, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - seconds);
        let file = fs::OpenOptions::new().append(true).open(self.path(name));
        file.and_then(|file| file.set_modified(time)).expect(name);
    }

    /// Simulates a survey and returns its path.
    pub fn simulate(&self, galaxies: usize) -> String {
        let survey = self.path("survey.h5").display().to_string();
        astroclip([
            "simulate",
            "--galaxies",
            &galaxies.to_string(),
            "--out",
            &survey,
        ])
        .succeeds();
        survey
    }

    /// Runs a training stage with a tiny model in `runs/STAGE`, or where `more` says.
    pub fn train(&self, stage: &str, survey: &str, more: &[&str]) -> Finished {
        let mut finished = finish(self.training(stage, survey, more));
        // Paths in the output are relative to the folder.
        let model = format!("runs/{stage}/model.safetensors");
        let absolute = self.path(&model).display().to_string();
        finished.stdout = finished.stdout.replace(&model, &absolute);
        finished
    }

    /// Starts a training stage and leaves it running.
    pub fn start_training(&self, stage: &str, survey: &str, more: &[&str]) -> Child {
        self.training(stage, survey, more)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts")
    }

    fn training(&self, stage: &str, survey: &str, more: &[&str]) -> Command {
        let (name, settings): (&[&str], &[&str]) = match stage {
            "image" => (&["pretrain-image"], &TINY_IMAGE),
            "spectrum" => (&["pretrain-spectrum"], &TINY_SPECTRUM),
            "baseline-image" => (
                &["baseline", "image", "--labels", survey],
                &TINY_IMAGE_BASELINE,
            ),
            "baseline-spectrum" => (
                &["baseline", "spectrum", "--labels", survey],
                &TINY_SPECTRUM_BASELINE,
            ),
            _ => (&["align"], &TINY_ALIGN),
        };
        let out = format!("runs/{stage}");
        let mut arguments = name.to_vec();
        arguments.extend(["--device", "cpu", "--data", survey]);
        if !more.contains(&"--out") {
            arguments.extend(["--out", &out]);
        }
        arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
        arguments.extend(more);
        let mut command = command(arguments);
        command.current_dir(self.folder.path());
        command
    }

    /// Metrics of a run without the rate, which differs from run to run.
    pub fn metrics(&self, run: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(run).join("metrics.jsonl")).expect("metrics");
        text.lines()
            .map(|line| {
                let mut record: Value = serde_json::from_str(line).expect("a record");
                let fields = record.as_object_mut().expect("an object");
                assert!(fields.remove("samples_per_second").is_some());
                record
            })
            .collect()
    }

    /// A survey of spectra whose row 3 has a NaN.
    pub fn write_survey_with_nan(&self, name: &str) {
        let mut flux = Array2::<f32>::ones((5, DESI_GRID.len));
        flux[[3, 17]] = f32::NAN;
        write_spectra(&self.path(name), &flux);
    }

    /// An HDF5 file that is no survey.
    pub fn write_hdf5_without_layout(&self, name: &str) {
        let file = File::create(self.path(name)).expect("a file");
        let dataset = file.new_dataset_builder();
        dataset
            .with_data(&[1.0, 2.0])
            .create("numbers")
            .expect("a dataset");
    }

    /// An embedding file of another program: identifiers, split (1 for test) and image embeddings that know nothing.
    pub fn write_embeddings(&self, name: &str, object_id: &[i64], split: &[u8]) -> String {
        let path = self.path(name);
        let file = File::create(&path).expect("a file");
        let noise = |(row, column)| ((row * 7919 + column * 104_729) % 1009) as f32;
        let embeddings = Array2::from_shape_fn((object_id.len(), 2), noise);
        let written = [
            (file.new_dataset_builder().with_data(object_id)).create("object_id"),
            file.new_dataset_builder().with_data(split).create("split"),
            (file.new_dataset_builder().with_data(&embeddings)).create("image_embeddings"),
        ];
        assert!(written.iter().all(Result::is_ok), "{written:?}");
        path.display().to_string()
    }

    /// A file with only the images, or only the spectra, of a survey.
    pub fn write_one_kind(&self, name: &str, survey: &str, kind: Modality) {
        let dataset = data::open(
            &[survey.into()],
            &Survey::default(),
            &ReadOptions::default(),
        )
        .expect("a survey");
        let rows: Vec<usize> = (0..dataset.len()).collect();
        let path = self.path(name);
        match kind {
            Modality::Image => {
                let images: Array4<f32> = dataset.images(&rows).expect("images");
                let file = File::create(path).expect("a file");
                let builder = file.new_dataset_builder();
                builder
                    .with_data(&images)
                    .create("images")
                    .expect("a dataset");
            }
            Modality::Spectrum => write_spectra(&path, &dataset.spectra(&rows).expect("spectra")),
        }
    }
}

fn write_spectra(path: &Path, flux: &Array2<f32>) {
    let file = File::create(path).expect("a file");
    let wave = DESI_GRID.wavelengths();
    file.new_dataset_builder()
        .with_data(flux)
        .create("flux")
        .expect("a dataset");
    file.new_dataset_builder()
        .with_data(&wave)
        .create("wave")
        .expect("a dataset");
}
