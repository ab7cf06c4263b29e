use super::{print, print_json};
use crate::cli::EvalArg;
use crate::data::labels::LabelTable;
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
    let labels = args.labels.as_deref().map(labels).transpose()?;
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

/// The label table of a file, as the evaluation takes it.
pub(super) fn labels(path: &std::path::Path) -> Result<Labels> {
    let table = LabelTable::open(path)?;
    Ok(Labels {
        name: path.display().to_string(),
        object_id: table.ids,
        columns: table.columns,
    })
}
