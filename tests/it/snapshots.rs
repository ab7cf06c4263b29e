//! What every command says: its help, a typical error and, where it takes less than a second, a success.
//!
//! One file per command in `tests/it/snapshots/`; to write them anew: `SNAPSHOTS=overwrite cargo test snapshots`.

use std::collections::BTreeSet;
use std::fs;
use std::iter;
use std::path::Path;

use snapbox::data::DataFormat;
use snapbox::{Assert, Data};

use crate::support::{Finished, Workspace, commands};

/// What a newcomer types after `astroclip` in an empty folder.
const IN_AN_EMPTY_FOLDER: &[&str] = &[
    "",
    "serch",
    "quickstart --preset tiny",
    "simulate --galaxies 0 --out survey.h5",
    "pretrain-image",
    "pretrain-spectrum --config tiny-vit",
    "align --device cpu",
    "embed --out emb.h5",
    "eval redshift",
    "eval all --report page.pdf",
    "fit --out estimator.safetensors",
    "predict --out catalogue.fits",
    "eval catalogue catalogue.fits",
    "baseline image",
    "baseline spectrum --targets colour",
    "finetune --source image",
    "import astroclip.ckpt --out astroclip.safetensors",
    "export --to released --out astroclip.ckpt",
    "match left.csv right.csv --on id --out joined.txt",
    "inspect survey.h5",
    "check survey.h5",
    "status",
    "replay runs/tiny-vit",
    "plot reconstruction --out reconstruction.svg",
    "bench data survey.h5",
    "bench train-image --precision f16",
    "bench train-spectrum --config tiny-vit",
    "bench embed --steps 0",
    "bench operations --of spectrum --config tiny-vit",
    "config list tiny-vit",
    "config show vitx",
    "completions tcsh",
    "man eval colour",
];

/// What is typed after `astroclip` where there are a survey (`survey.h5`), the weights of a released model
/// (`astroclip.ckpt`), that model imported (`astroclip.safetensors`), its embeddings of the survey (`emb.h5`) and three
/// catalogues, one of estimates.
const AMONG_FILES: &[&str] = &[
    "",
    "simulate --galaxies 24 --out mock.h5",
    "embed --weights astroclip.safetensors --data survey.h5 --out new.h5 --device cpu",
    "eval properties --embeddings emb.h5 --labels survey.h5 -k 500",
    "eval morphology --embeddings emb.h5 --labels left.csv",
    "eval retrieval --embeddings emb.h5 --at 0",
    "eval retrieval --embeddings emb.h5 --at 1,5",
    "eval posterior --embeddings emb.h5 --targets redshift --source image",
    "fit --embeddings emb.h5 --labels survey.h5 --method knn --out few.safetensors",
    "predict --estimator astroclip.safetensors --embeddings emb.h5 --out catalogue.fits",
    "eval catalogue right.csv --labels survey.h5",
    "eval catalogue estimates.csv --labels survey.h5 --outliers 1",
    "baseline photometry --data survey.h5 --labels left.csv",
    "import astroclip.ckpt --out imported.safetensors",
    "export astroclip.safetensors --to released --out exported.ckpt",
    "search emb.h5 --id 17",
    "serve emb.h5 --bind 0.0.0.0:8686",
    "search emb.h5 --id 3000000000000000 --from image --to spectrum -k 3",
    "match left.csv right.csv --on sky --radius 0.5 --out joined.csv",
    "inspect survey.h5",
    "inspect emb.h5",
    "check survey.h5",
    "plot attention --weights astroclip.safetensors --data left.csv --out attention.svg --device cpu",
    "plot map emb.h5 --labels left.csv --colour mass --out map.svg",
    "config list",
    "config show tiny-align",
];

#[test]
fn every_command_speaks_as_in_its_snapshot() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let (empty, files) = (Workspace::new(), with_files());
    let commands = commands();
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for command in iter::once("").chain(commands.iter().map(String::as_str)) {
        let help = format!("{command} --help");
        let of_command = |line: &&&str| command_of(line, &commands) == command;
        let alone = IN_AN_EMPTY_FOLDER.iter().filter(of_command);
        let among = AMONG_FILES.iter().filter(of_command);
        let typed = iter::once((&empty, help.trim_start()))
            .chain(alone.map(|line| (&empty, *line)))
            .chain(among.map(|line| (&files, *line)));

        let finished: Vec<(&str, Finished)> = typed
            .map(|(workspace, line)| {
                let words: Vec<&str> = line.split_whitespace().collect();
                (line, workspace.run(&words))
            })
            .collect();
        if finished
            .iter()
            .all(|(_, finished)| finished.code != Some(2))
        {
            wrong.push(format!(
                "astroclip {command}: no line shows a typical error (exit code 2)"
            ));
        }
        let said: Vec<String> = finished.iter().map(transcript).collect();
        let name = if command.is_empty() {
            "astroclip"
        } else {
            command
        };
        let file = format!("{}.txt", name.replace(' ', "-"));
        let expected = Data::read_from(&folder.join(&file), Some(DataFormat::Text)).raw();
        let assert = Assert::new().action_env("SNAPSHOTS");
        if let Err(difference) = assert.try_eq(Some(&name), Data::text(said.join("\n")), expected) {
            wrong.push(difference.to_string());
        }
        known.insert(file);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let found: BTreeSet<String> = fs::read_dir(&folder)
        .expect("the snapshots")
        .map(|entry| {
            entry
                .expect("a file")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect();
    assert_eq!(found, known, "a snapshot of no command");
}

/// The command of a line; none where the program is alone, or with a word that is no command.
fn command_of<'a>(line: &str, commands: &'a [String]) -> &'a str {
    let is_of = |command: &&String| format!("{line} ").starts_with(&format!("{command} "));
    commands.iter().find(is_of).map_or("", String::as_str)
}

/// A folder with what the lines of `AMONG_FILES` name.
fn with_files() -> Workspace {
    let workspace = Workspace::with_embeddings();
    let write = |name: &str, text: &str| fs::write(workspace.path(name), text).expect("a file");
    write("left.csv", "id,ra,dec\n7,10,20\n8,30,-40\n");
    write("right.csv", "id,ra,dec,z\n8,10,20.0001,0.5\n");
    let estimates = "object_id,split,redshift,redshift_p160,redshift_p840,flag\n\
                     3000000000000000,train,0.2,0.1,0.3,0\n3000000000000001,test,0.2,0.1,0.3,4\n\
                     3000000000000002,test,0.3,0.25,0.35,0\n3000000000000003,test,0.1,0.05,0.3,0\n";
    write("estimates.csv", estimates);
    workspace
}

/// A line as it is typed, and all that it leads to.
fn transcript((line, finished): &(&str, Finished)) -> String {
    let code = finished.code.expect("an end of its own");
    let typed = format!("$ astroclip {line}");
    let mut text = format!("{}\nexit code {code}\n", typed.trim_end());
    for (stream, said) in [
        ("stdout", finished.stdout.clone()),
        ("stderr", redacted(&finished.stderr)),
    ] {
        if !said.is_empty() {
            text += &format!("{stream}:\n{said}");
        }
    }
    text
}

/// Without the numbers that differ from run to run and from machine to machine: seconds and threads.
fn redacted(said: &str) -> String {
    said.split_inclusive('\n')
        .map(|line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            for place in 1..words.len() {
                let is_number = words[place - 1].parse::<f64>().is_ok();
                match words[place].trim_end() {
                    "s" if is_number => words[place - 1] = "[SECONDS]",
                    "threads" if is_number => words[place - 1] = "[COUNT]",
                    _ => {}
                }
            }
            words.join(" ")
        })
        .collect()
}
