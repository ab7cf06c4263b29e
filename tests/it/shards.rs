//! Embeddings in shards: made by jobs of their own, read as one.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use astroclip::evaluation::search::{Query, search, search_rows};
use astroclip::files::embeddings::{
    EmbeddingBatch, EmbeddingFile, EmbeddingRows, EmbeddingWriter, Features, Keys, Observed,
    Provenance,
};
use astroclip::survey::{Modality, ObjectId, Split};
use ndarray::{Array2, s};
use serde_json::Value;

use crate::support::{Finished, Workspace, command};

const EMBED: &str =
    "embed --weights astroclip.safetensors --data survey.h5 --batch-size 4 --device cpu";

fn run(workspace: &Workspace, line: &str) -> Finished {
    workspace.run(&line.split(' ').collect::<Vec<_>>())
}

/// A folder with a survey of 24 galaxies, its embeddings (`emb.h5`) and the same in three shards (`part-1-of-3.h5`, …).
fn with_shards() -> Workspace {
    let workspace = Workspace::with_embeddings();
    for number in 1..=3 {
        run(
            &workspace,
            &format!("{EMBED} --out part.h5 --shard {number}/3"),
        )
        .succeeds();
    }
    workspace
}

/// What a command says as JSON, without the names of embedding files.
fn said(workspace: &Workspace, line: &str) -> Value {
    fn without_files(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.remove("embeddings");
                fields.remove("taken");
                fields.values_mut().for_each(without_files);
            }
            Value::Array(values) => values.iter_mut().for_each(without_files),
            _ => {}
        }
    }
    let mut said = run(workspace, line).succeeds().json();
    without_files(&mut said);
    said
}

#[test]
fn shards_are_the_whole_galaxy_by_galaxy_and_to_every_command() {
    let workspace = with_shards();
    run(&workspace, &format!("{EMBED} --out emb.h5")).succeeds();
    let whole = EmbeddingFile::open(&workspace.path("emb.h5")).unwrap();
    let files: Vec<PathBuf> = (1..=3)
        .map(|number| workspace.path(&format!("part-{number}-of-3.h5")))
        .collect();
    let rows = EmbeddingRows::open(&files, &Keys::default()).unwrap();
    let shards = rows.whole(&whole.path).unwrap();
    assert_eq!(shards.object_id, whole.object_id);
    assert_eq!(shards.split, whole.split);
    assert_eq!(shards.redshift, whole.redshift);
    assert_eq!(
        format!("{:?}", shards.observed),
        format!("{:?}", whole.observed)
    );
    assert_eq!(shards.image, whole.image);
    assert_eq!(shards.spectrum, whole.spectrum);
    let order = [23, 0, 8, 7];
    assert_eq!(
        shards.continua(&order).unwrap(),
        whole.continua(&order).unwrap()
    );

    let id = whole.object_id[9];
    for asked in [
        &format!("search --id {id} -k 24 --to spectrum --json"),
        "eval retrieval --all --json --embeddings",
    ] {
        let expected = said(&workspace, &format!("{asked} emb.h5"));
        for named in ["part-*.h5", "part-3-of-3.h5 part-1-of-3.h5 part-2-of-3.h5"] {
            let name = |said: &Value| said.to_string().replace("\"part\"", "\"emb\"");
            let found = said(&workspace, &format!("{asked} {named}"));
            assert_eq!(name(&found), expected.to_string(), "{asked} {named}");
        }
    }
    let told = said(&workspace, "inspect part-*.h5 --json");
    assert_eq!(
        (&told["galaxies"], &told["shards"]),
        (&24.into(), &"3 of 3".into())
    );
    let map = run(&workspace, "plot map part-*.h5 --out map.svg --json").succeeds();
    assert_eq!(map.json()["galaxies"], 24);
    let index = run(&workspace, "index part-*.h5 --out galaxies.index --json").succeeds();
    assert_eq!(index.json()["galaxies"], 24);

    // By themselves shards are one candidate.
    fs::remove_file(workspace.path("emb.h5")).unwrap();
    for number in 1..=3 {
        workspace.set_age(&format!("part-{number}-of-3.h5"), 0);
    }
    let found = run(&workspace, &format!("search --id {id}")).succeeds();
    let taken = "part-1-of-3.h5 part-2-of-3.h5 part-3-of-3.h5, the only one in the current folder";
    assert!(found.stderr.contains(taken), "{}", found.stderr);
    let overview = workspace.run(&[]).succeeds().stdout;
    assert!(overview.contains("part-*-of-3.h5"), "{overview}");
    assert_eq!(overview.matches("part-").count(), 1, "{overview}");
}

#[test]
fn shards_that_are_no_set_are_refused_and_said() {
    let workspace = with_shards();
    let refuse = |named: &str, parts: &[&str]| {
        run(&workspace, &format!("search --id 3000000000000000 {named}")).fails_with(2, parts);
    };
    let missing = [
        "part.h5 is 3 shards; 2-of-3 and 3-of-3 are there but not named",
        "--some-shards",
    ];
    refuse("part-1-of-3.h5", &missing);
    run(
        &workspace,
        "search --id 3000000000000000 part-1-of-3.h5 --some-shards",
    )
    .succeeds();

    fs::copy(
        workspace.path("part-1-of-3.h5"),
        workspace.path("part-copy.h5"),
    )
    .unwrap();
    refuse(
        "part-*.h5",
        &["part-copy.h5: shard 1-of-3 is given twice, here and as part-1-of-3.h5"],
    );
    fs::remove_file(workspace.path("part-copy.h5")).unwrap();

    run(&workspace, "simulate --galaxies 24 --seed 5 --out other.h5").succeeds();
    for (other, shard, why) in [
        (
            "--data other.h5",
            "2/3",
            "part-b-2-of-3.h5: is a shard of another survey than part-1-of-3.h5",
        ),
        (
            "--data survey.h5 --raw",
            "2/3",
            "part-b-2-of-3.h5: was made by other options than part-1-of-3.h5",
        ),
        (
            "--data survey.h5",
            "1/2",
            "part-b-1-of-2.h5: is one of 2 shards, and part-1-of-3.h5 one of 3",
        ),
    ] {
        let embed = "embed --weights astroclip.safetensors --device cpu --out part-b.h5";
        run(&workspace, &format!("{embed} {other} --shard {shard}")).succeeds();
        refuse("part-*.h5", &[why]);
        let file = format!("part-b-{}.h5", shard.replace('/', "-of-"));
        fs::remove_file(workspace.path(&file)).unwrap();
    }
    run(&workspace, &format!("{EMBED} --out part.h5 --shard 1/25")).fails_with(
        2,
        &["shard 1/25 of 24 galaxies is empty; choose fewer shards"],
    );

    // In a folder of which nothing is named, and for every command.
    fs::remove_file(workspace.path("emb.h5")).unwrap();
    fs::remove_file(workspace.path("part-2-of-3.h5")).unwrap();
    for line in [
        "search --id 3000000000000000",
        "eval retrieval",
        "eval redshift --embeddings part-*.h5",
        "inspect part-*.h5",
        "fit --embeddings part-*.h5",
        "index --out galaxies.index",
        "plot map --out map.svg",
        "serve part-*.h5 --bind 127.0.0.1:0",
    ] {
        run(&workspace, line).fails_with(
            2,
            &["part.h5 is 3 shards; 2-of-3 is missing in the current folder"],
        );
    }
}

#[test]
fn a_shard_is_resumed_and_what_is_whole_is_not_made_again() {
    let workspace = Workspace::with_embeddings();
    let path = |name: &str| workspace.path(name);
    run(
        &workspace,
        "simulate --galaxies 150 --seed 3 --out survey.h5",
    )
    .succeeds();
    let embed = EMBED.replace("--batch-size 4", "--batch-size 1");
    for number in 1..=3 {
        run(
            &workspace,
            &format!("{embed} --out many.h5 --shard {number}/3"),
        )
        .succeeds();
    }
    let made = fs::read(path("many-2-of-3.h5")).unwrap();
    fs::remove_file(path("many-2-of-3.h5")).unwrap();
    // As a task of an array, which is killed on the way.
    let array = ["ID", "COUNT", "MIN", "MAX"].map(|what| format!("SLURM_ARRAY_TASK_{what}"));
    let array = array.iter().zip(["2", "3", "1", "3"]);
    let part = path("many-2-of-3.h5.part");
    let length = || fs::metadata(&part).map_or(0, |part| part.len());
    let mut task = command(format!("{embed} -q --out many.h5").split(' '));
    let mut task = (task.envs(array).current_dir(path("")))
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    while length() < 20_000 && task.try_wait().expect("a child").is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    task.kill().expect("a kill");
    task.wait().expect("an end");
    assert!(
        length() > 0 && !path("many-2-of-3.h5").exists(),
        "it was done before it was killed"
    );

    let half = [
        "many.h5 is 3 shards; 2-of-3 is missing in the current folder",
        "2-of-3 is half done",
        "astroclip embed --weights astroclip.safetensors --data survey.h5 --out many.h5 --shard 2/3 --resume",
    ];
    run(&workspace, "search --id 3000000000000000 many-*.h5").fails_with(2, &half);
    run(&workspace, &format!("{embed} --out many.h5 --shard 2/3")).fails_with(
        2,
        &[
            "many-2-of-3.h5.part: holds an unfinished embedding of",
            "of 50 galaxies",
        ],
    );
    run(
        &workspace,
        &format!("{embed} --out many.h5 --shard 2/3 --resume"),
    )
    .succeeds();
    assert!(fs::read(path("many-2-of-3.h5")).unwrap() == made);
    assert!(!part.exists());

    workspace.set_age("many-2-of-3.h5", 0);
    let age = || {
        fs::metadata(path("many-2-of-3.h5"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = age();
    let again = format!("{embed} --out many.h5 --shard 2/3 --json");
    let kept = run(&workspace, &format!("{again} --resume")).succeeds();
    assert!(
        kept.stderr
            .contains("many-2-of-3.h5: is whole, and is not made again")
    );
    assert_eq!((age(), &kept.json()["galaxies"]), (before, &50.into()));
    run(&workspace, &again).succeeds();
    assert!(age() > before);
}

#[test]
fn a_search_block_by_block_finds_what_one_in_memory_does_to_the_last_bit() {
    const WIDTH: usize = 5;
    const ROWS: usize = 40_000;
    let folder = tempfile::tempdir().unwrap();
    // Few directions, so that many rows are equal; some have none.
    let mut vectors = Array2::from_shape_fn((ROWS, WIDTH), |(row, column)| {
        ((row * row + 31 * column * row) % 97) as f32 - 40.0
    });
    vectors.row_mut(17).fill(0.0);
    vectors.row_mut(20_000).fill(0.0);
    let provenance = Provenance {
        model_sha256: "ab".to_owned(),
        model_config: "{}".to_owned(),
        program_version: "0".to_owned(),
        normalized: false,
        inputs: None,
        part: None,
    };
    let ids: Vec<ObjectId> = (0..ROWS as i64).map(ObjectId::from).collect();
    let write = |name: &str, rows: std::ops::Range<usize>| {
        let path = folder.path().join(name);
        let kinds = [Modality::Image];
        let mut writer = EmbeddingWriter::create(&path, &kinds, WIDTH, &provenance).unwrap();
        let of_rows = vectors.slice(s![rows.clone(), ..]);
        let batch = EmbeddingBatch {
            image: Some(of_rows),
            spectrum: None,
            features: Features::default(),
            object_id: &ids[rows.clone()],
            split: &vec![Split::Train; rows.len()],
            redshift: &vec![0.5; rows.len()],
            observed: &vec![Observed::UNKNOWN; rows.len()],
            continua: None,
        };
        writer.append(&batch).unwrap();
        writer.finish().unwrap();
        path
    };
    let whole = EmbeddingFile::open(&write("whole.h5", 0..ROWS)).unwrap();
    let files = [
        write("a.h5", 0..7),
        write("b.h5", 7..25_000),
        write("c.h5", 25_000..ROWS),
    ];
    let rows = EmbeddingRows::open(&files, &Keys::default()).unwrap();
    for (row, k) in [(3, 1), (30_000, 500), (39_999, ROWS)] {
        let query = Query {
            object_id: ids[row],
            from: Modality::Image,
            to: Modality::Image,
            k,
        };
        let found = search_rows(&rows, &whole.path, &query).unwrap();
        assert_eq!(found.len(), k.min(ROWS - 2));
        assert_eq!(found, search(&whole, &query).unwrap());
    }
}
