//! What the commands share that train on labels.

use std::path::{Path, PathBuf};

use comfy_table::CellAlignment;

use super::{label_table, quoted, shown};
use crate::app::cli::SupervisedLabels;
use crate::app::workspace::{Taken, Takings};
use crate::base::error::Result;
use crate::base::terminal::new_table;
use crate::evaluation::eval::Target;
use crate::files::catalog::LabelOptions;
use crate::files::data::{SurveyFiles, has_catalog};
use crate::survey::Labels;
use crate::training::stages::TargetScore;

/// Where labels come from.
pub(super) struct LabelTables<'a> {
    /// Tables that the command line names.
    pub named: &'a [PathBuf],
    /// Why those count that are there although it names none.
    pub why: &'a str,
    pub options: &'a LabelOptions,
}

impl LabelTables<'_> {
    /// The tables that are named, else `tables`, else the survey files where they hold a catalogue.
    pub fn read(
        &self,
        data: &SurveyFiles,
        tables: &mut Vec<PathBuf>,
        targets: &[Target],
        taken: &mut Takings,
    ) -> Result<Option<Labels>> {
        if !self.named.is_empty() {
            *tables = self.named.to_vec();
        } else if tables.is_empty() {
            let mut files = crate::files::data::expand(&data.paths)?;
            files.retain(|path| has_catalog(path));
            if !files.is_empty() {
                *tables = taken.note(Taken {
                    what: "labels",
                    paths: files,
                    why: "the catalogue of the survey".to_owned(),
                });
            }
        } else {
            taken.note(Taken {
                what: "labels",
                paths: tables.clone(),
                why: self.why.to_owned(),
            });
        }
        label_table(tables, self.options, targets, taken)
    }
}

/// What a command line says about the columns of labels.
fn flags(options: &LabelOptions) -> String {
    let named = |flag: &str, name: &Option<String>| {
        let name = name.as_ref()?;
        Some(format!("--{flag} {} ", quoted(name)))
    };
    let general = [
        named("id-column", &options.id_column),
        named("table", &options.table),
    ];
    let columns = options.columns.iter().map(|(target, name)| {
        let flag = format!("{}-column", target.name().replace('_', "-"));
        named(&flag, &Some(name.clone()))
    });
    general.into_iter().chain(columns).flatten().collect()
}

/// The command that sets the predictions from `source` beside embeddings.
pub(super) fn comparison(
    source: &str,
    results: &[TargetScore],
    labels: (&[PathBuf], &LabelOptions),
    predictions: &Path,
) -> String {
    let (labels, label_options) = labels;
    let has_redshift = results
        .iter()
        .any(|result| result.target == Target::Redshift);
    let task = match has_redshift {
        true => "redshift",
        false => "properties",
    };
    let labels = match labels.is_empty() {
        true => String::new(),
        false => format!("--labels {} {}", shown(labels), flags(label_options)),
    };
    format!(
        "astroclip eval {task} --embeddings emb.h5 {labels}--predictions {source}={}",
        shown(&[predictions.to_owned()])
    )
}

/// The settings of a command line, the targets among them.
pub(super) fn overrides(set: &[String], labels: &SupervisedLabels) -> Vec<String> {
    let mut set = set.to_vec();
    if !labels.targets.is_empty() {
        let names: Vec<&str> = labels.targets.iter().map(|target| target.name()).collect();
        // A list of strings in Rust is one in TOML.
        set.push(format!("targets={names:?}"));
    }
    set
}

/// How good the predictions are, as a table for people, then what was left out.
pub(super) fn render(results: &[TargetScore]) -> String {
    let mut table = new_table();
    table.set_header([
        "target", "R²", "scatter", "bias", "outliers", "train", "test",
    ]);
    for result in results {
        let metrics = &result.metrics;
        let outliers = metrics.outlier_fraction;
        table.add_row([
            result.target.to_string(),
            format!("{:.3}", metrics.r2),
            format!("{:.4}", metrics.scatter),
            format!("{:+.4}", metrics.bias),
            outliers.map_or("–".to_owned(), |fraction| {
                format!("{:.1} %", 100.0 * fraction)
            }),
            result.n_train.to_string(),
            result.n_test.to_string(),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    if results
        .iter()
        .any(|result| result.target == Target::Redshift)
    {
        text +=
            "z: scatter is σ_NMAD and bias the mean of Δz/(1+z), outliers have |Δz|/(1+z) > 0.15\n";
    }
    if results
        .iter()
        .any(|result| result.target != Target::Redshift)
    {
        text += "properties: scatter is the RMSE\n";
    }
    for result in results {
        let (train, test) = (result.unknown_train, result.unknown_test);
        if train + test > 0 {
            text += &format!(
                "left out: {} of {train} training and {test} test galaxies, not in the label table, cut, not finite, or beyond labels_limit\n",
                result.target
            );
        }
    }
    text
}
