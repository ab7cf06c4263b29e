use std::path::PathBuf;

use super::{print, print_json};
use crate::catalog::read_labels;
use crate::cli::EvalArg;
use crate::embeddings::EmbeddingFile;
use crate::error::Result;
use crate::eval::{EvalOptions, EvalReport, Evaluation, Labels, render_table};

pub(super) fn redshift(args: &EvalArg) -> Result<()> {
    run(args, |evaluation| evaluation.redshift())
}

pub(super) fn properties(args: &EvalArg) -> Result<()> {
    run(args, |evaluation| evaluation.properties())
}

fn run(args: &EvalArg, evaluate: impl FnOnce(&Evaluation<'_>) -> Result<EvalReport>) -> Result<()> {
    let embeddings = EmbeddingFile::open(&args.embeddings)?;
    let test = args.test.as_deref().map(EmbeddingFile::open).transpose()?;
    let labels = match args.labels.is_empty() {
        true => None,
        false => Some(labels(&args.labels, args.id_column.as_deref())?),
    };
    let report = evaluate(&Evaluation {
        embeddings: &embeddings,
        test: test.as_ref(),
        labels: labels.as_ref(),
        options: EvalOptions {
            k: args.k as usize,
            ..EvalOptions::default()
        },
    })?;
    match args.json {
        true => print_json(&report),
        false => print(&render_table(&report)),
    }
}

/// The label tables of files, as the evaluation takes them.
pub(super) fn labels(paths: &[PathBuf], id_column: Option<&str>) -> Result<Labels> {
    let table = read_labels(paths, id_column)?;
    Ok(Labels {
        name: table.name,
        object_id: table.ids,
        columns: table.columns,
    })
}
