//! Keeps the arrows one way: between the wings of `src/`, and between the modules within them.
//!
//! Every `crate::…` path (and every `super::…` path that climbs out of its module) in `src/` is an arrow from the module of
//! its file to the module that it names. [`MODULES`] says which arrows may be; a module may use only modules above it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A row of the table: the wing, the module (a wing without modules is one), what it may use, and why.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

/// Bottom first. To let a module use another, add it to its row; if the other stands below, rethink the design first.
#[rustfmt::skip]
const MODULES: &[Row] = &[
    ("base", "numeric", &[], "arithmetic on the host: products, functions on vectors, Adam"),
    ("base", "clock", &[], "the time of day"),
    ("base", "shell", &[], "words as a shell takes them"),
    ("base", "error", &[], "the one error type, and how settings are refused; everything may fail"),
    ("base", "input", &["error"], "files that are opened where they are files"),
    ("base", "memory", &["error"], "how much there is, and what can never fit"),
    ("base", "output", &["error"], "files that appear whole or not at all"),
    ("base", "interrupt", &["error"], "signals that ask for an end"),
    ("base", "lock", &["error", "input"], "folders with one writer"),
    ("base", "ranks", &["error", "interrupt", "lock"], "processes that train together, and what they tell each other"),
    ("base", "log", &["ranks"], "log lines on stderr, which never stop the work"),
    ("base", "reading", &[], "which files are being read, for a run that waits"),
    ("base", "shard", &["error"], "parts of a survey that jobs of their own work at"),
    ("base", "random", &[], "seeds and streams of random numbers"),
    ("base", "progress", &[], "bars and log lines, whatever the work"),
    ("base", "terminal", &[], "tables as wide as the terminal"),
    ("base", "device", &["error", "lock", "ranks"], "which processor computes"),

    ("survey", "survey", &["numeric", "error", "random"], "what is observed: bands, wavelengths, cutouts, spectra, labels, splits"),

    ("files", "container", &["error", "input"], "file formats: recognised by content, opened, read as raw rows"),
    ("files", "identifiers", &["error", "survey", "container"], "identifiers in HDF5 datasets of any type, for galaxies and embeddings"),
    ("files", "hats", &["error", "input"], "folders of HEALPix pixels: which files a catalogue has"),
    ("files", "catalog", &["error", "output", "survey", "container", "hats", "input"], "tables by column name, joined by id or position"),
    ("files", "data", &["error", "interrupt", "reading", "random", "ranks", "survey", "container", "identifiers", "hats", "catalog", "input"], "readers of files, pairs (by a table of them), labels and batches, all on the host"),
    ("files", "inputs", &["error", "container", "catalog", "data", "input"], "what a result was made from: files by place, size and content"),
    ("files", "embeddings", &["error", "shard", "shell", "output", "survey", "container", "identifiers", "inputs"], "the file between models and all that is measured on them"),

    ("simulate", "simulate", &["error", "output", "survey"], "galaxies as a survey sees them; writes files, reads none"),

    ("views", "augment", &["error", "numeric", "survey"], "pure functions on host arrays with an explicit generator"),
    ("views", "batch", &["error", "random", "ranks", "survey", "augment", "numeric"], "host arrays to what models take: whole batches of a step"),

    ("network", "ops", &["numeric", "error", "device", "ranks"], "operations on tensors with kernels of their own, on every backend, and across ranks by what their devices have"),
    ("network", "nn", &["error", "ops"], "layers, which know no survey and no file"),
    ("network", "weights", &["error", "input", "output", "nn"], "tensors by name, in and out of modules and files"),
    ("network", "loss", &["ops", "nn"], "tensors to a number, without model or trainer"),
    ("network", "model", &["error", "survey", "nn"], "layers put together for images and spectra"),
    ("network", "encoder", &["numeric", "error", "survey", "augment", "batch", "nn", "weights", "model"], "trained models from files: galaxies to embeddings"),
    ("network", "released", &["numeric", "error", "input", "output", "survey", "container", "augment", "batch", "nn", "model", "weights", "encoder"], "weights of the released PyTorch models, in and out, and of public ones to begin with"),

    ("evaluation", "knn", &["numeric", "error", "random"], "nearest neighbours of host arrays"),
    ("evaluation", "engine", &["numeric", "error", "input", "output", "random", "progress", "survey", "inputs", "embeddings", "knn"], "what searches are asked of: embeddings in memory, or an index over files of them"),
    ("evaluation", "eval", &["numeric", "error", "memory", "random", "progress", "terminal", "survey", "data", "embeddings", "knn"], "reads embeddings and labels, never models"),
    ("evaluation", "estimator", &["numeric", "error", "shard", "interrupt", "random", "progress", "terminal", "survey", "catalog", "inputs", "embeddings", "weights", "knn", "eval"], "what is fitted once and estimates galaxies later; reads embeddings, writes catalogues"),
    ("evaluation", "search", &["error", "terminal", "survey", "embeddings", "knn", "engine"], "reads embeddings, never models"),
    ("evaluation", "spectral", &["numeric", "error", "random", "survey", "knn"], "what spectra tell without a network: components, templates"),
    ("evaluation", "report", &["error", "output", "survey"], "one page from results; computes none"),

    ("training", "train", &["clock", "shell", "error", "input", "output", "interrupt", "lock", "reading", "random", "progress", "ranks", "ops", "nn", "weights"], "the loop: knows its `Objective` trait, no model and no data"),
    ("training", "objective", &["error", "random", "ranks", "survey", "augment", "batch", "ops", "nn", "weights", "loss", "model", "train"], "batch -> model -> loss, one per training stage"),
    ("training", "config", &["error", "survey", "simulate", "augment", "batch", "nn", "loss", "model", "train", "objective", "eval", "input", "catalog", "spectral"], "gathers the components' settings; no component knows it"),
    ("training", "run_folder", &["input", "clock", "error", "output", "lock", "data", "inputs", "train", "config"], "a run's folder: who writes it, what it is made from, how far it is"),
    ("training", "stages", &["shell", "error", "shard", "memory", "output", "interrupt", "random", "progress", "device", "ranks", "survey", "catalog", "data", "augment", "batch", "nn", "weights", "model", "train", "objective", "encoder", "released", "embeddings", "eval", "inputs", "config", "run_folder", "numeric", "knn", "spectral"], "training, embedding, supervised baselines and fine-tuning from a config, for commands to call"),

    ("service", "archive", &["error", "survey", "container", "catalog", "data", "embeddings", "augment", "weights", "encoder", "knn", "engine", "eval", "search", "report"], "galaxies ready to be asked for; knows no HTTP"),
    ("service", "web", &["error", "interrupt", "survey", "catalog", "archive"], "the page, and requests to what the archive answers"),

    ("app", "workspace", &["shell", "error", "survey", "catalog", "data", "inputs", "weights", "embeddings", "estimator", "config", "run_folder", "stages"], "what lies in the current folder, for commands that name nothing"),
    ("app", "cli", &["error", "shard", "device", "ranks", "survey", "simulate", "catalog", "data", "embeddings", "nn", "released", "knn", "eval", "estimator", "log"], "the command line's arguments, and nothing that acts on them; what may be chosen is named by the module that knows it"),
    ("app", "commands", &["shell", "error", "shard", "memory", "output", "interrupt", "lock", "random", "progress", "terminal", "device", "ranks", "survey", "container", "hats", "catalog", "simulate", "data", "augment", "batch", "ops", "nn", "weights", "model", "train", "objective", "encoder", "released", "embeddings", "knn", "engine", "eval", "estimator", "search", "report", "inputs", "config", "run_folder", "stages", "archive", "web", "workspace", "cli", "input", "spectral"], "the only place that wires the layers"),
];

/// An arrow to the module that a path from the crate's root names, met at `line` of a file.
#[derive(Debug, PartialEq)]
struct Arrow {
    /// Names from the root on, at least as far as a module.
    path: Vec<String>,
    line: usize,
}

/// The module of [`MODULES`] that a path names.
fn module_of(path: &[String]) -> Option<&'static Row> {
    let [first, rest @ ..] = path else {
        return None;
    };
    MODULES.iter().find(|(wing, module, ..)| {
        wing == first && (wing == module || rest.first().is_some_and(|name| name == module))
    })
}

/// Appends the arrows of `tokens`, which stand in the module `here`.
fn find_arrows(tokens: TokenStream, here: &[String], arrows: &mut Vec<Arrow>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let word = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    let mut at = 0;
    while at < tokens.len() {
        if let TokenTree::Group(group) = &tokens[at] {
            // `pub(in crate::wing)` uses nothing.
            if at >= 1 && word(at - 1) == "pub" {
                at += 1;
                continue;
            }
            // `mod name { … }` in a file is one module deeper.
            let is_module =
                at >= 2 && word(at - 2) == "mod" && group.delimiter() == Delimiter::Brace;
            let mut inner = here.to_vec();
            inner.extend(is_module.then(|| word(at - 1)));
            find_arrows(group.stream(), &inner, arrows);
        }
        let mut end = at;
        let mut root = None;
        let mut supers = 0;
        while word(end) == "super" && is_path(&tokens, end + 1) {
            supers += 1;
            end += 3;
        }
        if supers > 0 {
            root = here
                .len()
                .checked_sub(supers)
                .map(|kept| here[..kept].to_vec());
        } else if word(end) == "crate" && is_path(&tokens, end + 1) {
            root = Some(Vec::new());
            end += 3;
        }
        if let Some(root) = root {
            trees(&tokens[end..], &root, arrows);
        }
        at = end.max(at + 1);
    }
}

fn is_path(tokens: &[TokenTree], at: usize) -> bool {
    [at, at + 1].iter().all(
        |&at| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':'),
    )
}

/// The paths of a tree such as `a::{b, c::d}`, each below `root`.
fn trees(tokens: &[TokenTree], root: &[String], arrows: &mut Vec<Arrow>) {
    let mut path = root.to_vec();
    let mut line;
    let mut at = 0;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => {
                line = ident.span().start().line;
                if ident != "self" {
                    path.push(ident.to_string());
                }
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                let comma =
                    |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                for tree in inner.split(comma).filter(|tree| !tree.is_empty()) {
                    trees(tree, &path, arrows);
                }
                return;
            }
            _ => return,
        }
        if !is_path(tokens, at + 1) {
            arrows.push(Arrow { path, line });
            return;
        }
        at += 3;
    }
}

/// All Rust files below `folder`, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The module path of a file, from its path in `src/`: `files/data/labels.rs` is `["files", "data", "labels"]`.
fn module_path(file: &Path) -> Vec<String> {
    let mut path: Vec<String> = file
        .with_extension("")
        .iter()
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    if matches!(
        path.last().map(String::as_str),
        Some("mod" | "lib" | "main")
    ) {
        path.pop();
    }
    path
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

#[test]
fn the_table_points_up_only_and_a_wing_stands_together() {
    for (index, (_, module, allowed, _)) in MODULES.iter().enumerate() {
        for target in *allowed {
            assert!(
                MODULES[..index]
                    .iter()
                    .any(|(_, above, ..)| above == target),
                "the row of `{module}` names `{target}`, which no row above it defines",
            );
        }
    }
    let mut wings: Vec<&str> = MODULES.iter().map(|(wing, ..)| *wing).collect();
    wings.dedup();
    let count = wings.len();
    wings.sort_unstable();
    wings.dedup();
    assert_eq!(wings.len(), count, "the rows of a wing stand together");
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let source = source();
    let mut faults = Vec::new();
    for file in rust_files(&source) {
        let name = file.strip_prefix(&source).unwrap();
        let path = module_path(name);
        // lib.rs, main.rs and a wing's mod.rs declare modules and are none.
        let is_wing = path.len() == 1
            && MODULES
                .iter()
                .any(|(wing, module, ..)| *wing == path[0] && wing != module);
        if path.is_empty() || is_wing {
            continue;
        }
        let Some((_, module, allowed, _)) = module_of(&path) else {
            faults.push(format!(
                "src/{}: its module is not in the table",
                name.display()
            ));
            continue;
        };
        let tokens: TokenStream = fs::read_to_string(&file).unwrap().parse().unwrap();
        let mut arrows = Vec::new();
        find_arrows(tokens, &path, &mut arrows);
        for Arrow { path, line } in arrows {
            let Some((_, target, ..)) = module_of(&path) else {
                faults.push(format!(
                    "src/{}:{line}: `{}` names no module of the table",
                    name.display(),
                    path.join("::")
                ));
                continue;
            };
            if target != module && !allowed.contains(target) {
                faults.push(format!(
                    "src/{}:{line}: `{module}` may not use `{target}`",
                    name.display()
                ));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "arrows that the table in tests/it/architecture.rs does not allow:\n{}",
        faults.join("\n")
    );
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let begins = |file: &PathBuf| fs::read_to_string(file).unwrap().starts_with("//! ");
    let silent: Vec<PathBuf> = rust_files(&source())
        .into_iter()
        .filter(|file| !begins(file))
        .collect();
    assert!(silent.is_empty(), "without a line of purpose: {silent:?}");
}

#[test]
fn arrows_are_found_however_they_are_written() {
    let source = r#"
        //! crate::comment
        use crate::files::{
            data::{Labels, table::Table}, catalog,
            self,
        };
        pub(crate) fn f() -> crate::base::error::Result<()> { println!("{} crate::text", crate::survey::K) }
        use super::nn::Linear;
        use super::super::views::batch;
        mod tests { use super::*; use super::local; use super::super::model::Vit; }
    "#;
    let here = ["network".to_owned(), "encoder".to_owned()];
    let mut arrows = Vec::new();
    find_arrows(source.parse().unwrap(), &here, &mut arrows);
    let arrows: Vec<(Option<&str>, usize)> = arrows
        .iter()
        .map(|arrow| (module_of(&arrow.path).map(|row| row.1), arrow.line))
        .collect();
    let expected = [
        (Some("data"), 4),
        (Some("data"), 4),
        (Some("catalog"), 4),
        (None, 5),
        (Some("error"), 7),
        (Some("survey"), 7),
        (Some("nn"), 8),
        (Some("batch"), 9),
        (Some("encoder"), 10),
        (Some("model"), 10),
    ];
    assert_eq!(arrows, expected);
}
