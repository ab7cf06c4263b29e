//! `astroclip` alone, and `astroclip inspect` without a file: what the current folder holds and what to type next.

use std::path::Path;

use super::{print, print_json};
use crate::app::workspace::Overview;
use crate::base::error::Result;

/// What is said in a folder with nothing to go on with.
const TWO_WAYS: &str = "\
Nothing to go on with is in this folder: no survey, no run, no embedding file. Two ways on:

  astroclip quickstart            the whole method on a simulated survey, with a report

  astroclip pretrain-image    --data survey.h5      a survey of your own, step by step;
  astroclip pretrain-spectrum --data survey.h5      in the folder of the survey without --data
  astroclip align
  astroclip embed --out emb.h5
  astroclip eval redshift
";

/// Prints what there is for people.
pub(super) fn run() -> Result<()> {
    let overview = Overview::of(Path::new("."));
    print(&format!(
        "{}\nastroclip --help lists all commands.\n",
        render(&overview)
    ))
}

/// Prints what there is, for people or for programs.
pub(super) fn inspect(json: bool) -> Result<()> {
    let overview = Overview::of(Path::new("."));
    match json {
        true => print_json(&overview),
        false => print(&render(&overview)),
    }
}

fn render(overview: &Overview) -> String {
    if overview.is_empty() {
        return TWO_WAYS.to_owned();
    }
    let mut text = String::new();
    let mut line = |what: &str, path: &Path| {
        text += &format!("{:<26} {}\n", what, path.display());
    };
    for path in &overview.surveys {
        line("survey", path);
    }
    for run in &overview.unfinished {
        line(&format!("unfinished {}", run.what), &run.path);
    }
    for model in &overview.models {
        line(&model.what, &model.path);
    }
    for path in &overview.embeddings {
        line("embeddings", path);
    }
    for path in &overview.estimators {
        line("estimator", path);
    }
    for (index, command) in overview.next.iter().enumerate() {
        let head = match index {
            0 => "\nnext: ",
            _ => "      ",
        };
        text += &format!("{head}{command}\n");
    }
    text
}
