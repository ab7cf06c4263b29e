//! Keeps the arrows between the top-level modules one way.
//!
//! Every `crate::…` path (and every `super::…` path that climbs to the root) in `src/` is an arrow from the module of
//! its file to the module that it names. [`MODULES`] says which arrows may be; a module may use only modules above it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A row of the table: the module, what it may use, and why.
type Row = (&'static str, &'static [&'static str], &'static str);

/// Bottom first. To let a module use another, add it to its row; if the other stands below, rethink the design first.
#[rustfmt::skip]
const MODULES: &[Row] = &[
    ("numeric", &[], "arithmetic on the host: products, functions on vectors, Adam"),
    ("error", &[], "the one error type, and how settings are refused; everything may fail"),
    ("output", &["error"], "files that appear whole or not at all"),
    ("random", &[], "seeds and streams of random numbers"),
    ("progress", &[], "bars and log lines, whatever the work"),
    ("device", &["error"], "which processor computes"),
    ("survey", &["numeric", "error", "random"], "what is observed: bands, wavelengths, cutouts, spectra, labels, splits"),

    ("container", &["error"], "file formats: recognised by content, opened, read as raw rows"),
    ("catalog", &["error", "output", "survey", "container"], "tables by column name, joined by id or position"),

    ("simulate", &["error", "output", "survey"], "galaxies as a survey sees them; writes files, reads none"),
    ("data", &["error", "random", "survey", "container"], "readers of files, pairs, labels and batches, all on the host"),
    ("inputs", &["error", "data"], "what a result was made from: files by place, size and content"),
    ("augment", &["error", "survey"], "pure functions on host arrays with an explicit generator"),
    ("batch", &["error", "random", "survey", "augment"], "host arrays to what models take: whole batches of a step"),

    ("ops", &["numeric"], "operations on tensors with kernels of their own, on every backend"),
    ("nn", &["error", "ops"], "layers, which know no survey and no file"),
    ("weights", &["error", "output", "nn"], "tensors by name, in and out of modules and files"),
    ("loss", &["nn"], "tensors to a number, without model or trainer"),
    ("model", &["error", "survey", "nn"], "layers put together for images and spectra"),
    ("train", &["error", "output", "random", "progress", "ops", "nn", "weights"], "the loop: knows its `Objective` trait, no model and no data"),
    ("objective", &["error", "random", "survey", "augment", "batch", "nn", "weights", "loss", "model", "train"], "batch -> model -> loss, one per training stage"),
    ("encoder", &["error", "survey", "augment", "batch", "nn", "weights", "model"], "trained models from files: galaxies to embeddings"),

    ("released", &["error", "output", "survey", "augment", "batch", "model", "weights", "encoder"], "weights of the released PyTorch models, in and out"),

    ("embeddings", &["error", "output", "survey", "container", "inputs"], "the file between models and all that is measured on them"),
    ("knn", &["numeric", "error"], "nearest neighbours of host arrays"),
    ("eval", &["numeric", "error", "random", "progress", "survey", "data", "embeddings", "knn"], "reads embeddings and labels, never models"),
    ("search", &["error", "survey", "embeddings", "knn"], "reads embeddings, never models"),
    ("report", &["error", "output", "survey"], "one page from results; computes none"),

    ("config", &["error", "survey", "simulate", "augment", "batch", "nn", "loss", "model", "train", "objective", "eval"], "gathers the components' settings; no component knows it"),
    ("stages", &["error", "output", "random", "progress", "device", "survey", "catalog", "data", "augment", "batch", "nn", "weights", "model", "train", "objective", "encoder", "embeddings", "eval", "inputs", "config"], "training, embedding and supervised baselines from a config, for commands to call"),
    ("workspace", &["error", "data", "inputs", "weights", "embeddings", "config", "stages"], "what lies in the current folder, for commands that name nothing"),
    ("cli", &["error", "device", "survey", "catalog", "data", "nn", "released", "knn", "eval"], "the command line's arguments, and nothing that acts on them; what may be chosen is named by the module that knows it"),
    ("commands", &["error", "output", "random", "progress", "device", "survey", "container", "catalog", "simulate", "data", "augment", "batch", "nn", "weights", "model", "train", "objective", "encoder", "released", "embeddings", "knn", "eval", "search", "report", "inputs", "config", "stages", "workspace", "cli"], "the only place that wires the layers"),
];

/// An arrow to the top-level item `target`, met at `line` of a file.
#[derive(Debug, PartialEq)]
struct Arrow {
    target: String,
    line: usize,
}

/// Appends the arrows of `tokens`, which stand `depth` modules below the crate's root.
fn find_arrows(tokens: TokenStream, depth: usize, arrows: &mut Vec<Arrow>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let word = |at: usize| match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => ident.to_string(),
        _ => String::new(),
    };
    let colons = |at: usize| {
        [at, at + 1].iter().all(
            |&at| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':'),
        )
    };
    let mut at = 0;
    while at < tokens.len() {
        if let TokenTree::Group(group) = &tokens[at] {
            // `mod name { … }` in a file is one module deeper.
            let module = at >= 2 && word(at - 2) == "mod" && group.delimiter() == Delimiter::Brace;
            find_arrows(group.stream(), depth + usize::from(module), arrows);
        }
        let mut end = at;
        let mut supers = 0;
        while word(end) == "super" && colons(end + 1) {
            supers += 1;
            end += 3;
        }
        if supers == 0 && word(end) == "crate" && colons(end + 1) {
            supers = depth;
            end += 3;
        }
        if end > at && supers == depth {
            match tokens.get(end) {
                Some(TokenTree::Group(group)) => arrows.extend(heads(group.stream())),
                Some(token) => arrows.extend(heads(token.clone().into())),
                None => {}
            }
        }
        at = end.max(at + 1);
    }
}

/// The first names of a `use` list: `a` and `b` of `{a::{x, y}, b}`.
fn heads(list: TokenStream) -> Vec<Arrow> {
    let mut found = Vec::new();
    let mut first = true;
    for token in list {
        if let TokenTree::Ident(ident) = &token
            && first
            && ident != "self"
        {
            found.push(Arrow {
                target: ident.to_string(),
                line: ident.span().start().line,
            });
        }
        first = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',');
    }
    found
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

/// The module path of a file, from its path in `src/`: `data/labels.rs` is `["data", "labels"]`.
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

#[test]
fn the_table_points_up_only() {
    for (index, (module, allowed, _)) in MODULES.iter().enumerate() {
        for target in *allowed {
            assert!(
                MODULES[..index].iter().any(|(above, _, _)| above == target),
                "the row of `{module}` names `{target}`, which no row above it defines",
            );
        }
    }
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut faults = Vec::new();
    for file in rust_files(&source) {
        let name = file.strip_prefix(&source).unwrap();
        let path = module_path(name);
        // lib.rs declares the modules and main.rs calls `commands`: neither is one.
        let Some(module) = path.first() else { continue };
        let Some((_, allowed, _)) = MODULES.iter().find(|(row, _, _)| row == module) else {
            faults.push(format!(
                "src/{}: `{module}` is not in the table",
                name.display()
            ));
            continue;
        };
        let tokens: TokenStream = fs::read_to_string(&file).unwrap().parse().unwrap();
        let mut arrows = Vec::new();
        find_arrows(tokens, path.len(), &mut arrows);
        for Arrow { target, line } in arrows {
            if target != *module && !allowed.contains(&target.as_str()) {
                faults.push(format!(
                    "src/{}:{line}: `{module}` may not use `{target}`",
                    name.display()
                ));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "arrows that the table in tests/architecture.rs does not allow:\n{}",
        faults.join("\n")
    );
}

#[test]
fn arrows_are_found_however_they_are_written() {
    let source = r#"
        //! crate::comment
        use crate::{
            data::{Labels, table::Table}, survey,
            self,
        };
        pub(crate) fn f() -> crate::error::Result<()> { println!("{} crate::text", crate::knn::K) }
        use super::nn::Linear;
        use super::super::super::beyond;
        mod tests { use super::*; use super::local; use super::super::model::Vit; }
    "#;
    let mut arrows = Vec::new();
    find_arrows(source.parse().unwrap(), 1, &mut arrows);
    let arrows: Vec<(&str, usize)> = arrows
        .iter()
        .map(|arrow| (arrow.target.as_str(), arrow.line))
        .collect();
    let expected = [
        ("data", 4),
        ("survey", 4),
        ("error", 7),
        ("knn", 7),
        ("nn", 8),
        ("model", 10),
    ];
    assert_eq!(arrows, expected);
}
