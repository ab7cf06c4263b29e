//! `astroclip check`.

use std::path::{Path, PathBuf};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::training::WithTakings;
use super::{print, print_json, read_options, survey};
use crate::app::cli::Check;
use crate::app::workspace::{Takings, Wanted, find_data};
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::files::data::{self, Dataset, PixelCounts, ReadOptions};
use crate::survey::{Modality, ObjectId, Survey};

/// Rows that are read at once.
const BATCH: usize = 64;
/// Columns of a terminal that the table keeps to.
const TABLE_WIDTH: u16 = 120;

/// What the files hold that cannot be used.
#[derive(Debug, Serialize)]
struct Findings {
    files: usize,
    galaxies: usize,
    /// Files that cannot be opened.
    bad_files: Vec<String>,
    bad: Vec<Finding>,
    /// What became of the pixels of the spectra that can be used.
    pixels: PixelCounts,
}

/// A galaxy that cannot be used.
#[derive(Debug, Serialize)]
struct Finding {
    file: PathBuf,
    /// Row among the galaxies of the file, counted from 0.
    row: usize,
    object_id: Option<ObjectId>,
    /// Names the dataset and what is wrong.
    reason: String,
}

pub(super) fn run(args: &Check) -> Result<()> {
    let (survey, read) = (survey(&args.survey)?, read_options(&args.read));
    let mut taken = Takings::default();
    let sources = find_data(&Wanted {
        named: &args.files,
        needs: "galaxies",
        ..Wanted::default()
    })?;
    if let Some(found) = sources.taken {
        taken.note(found);
    }
    let files = data::expand(&sources.data.paths)?;
    let mut findings = Findings {
        files: files.len(),
        galaxies: 0,
        bad_files: Vec::new(),
        bad: Vec::new(),
        pixels: PixelCounts::default(),
    };
    for file in &files {
        match open(file, &survey, &read) {
            Ok(dataset) => check(file, &dataset, &mut findings)?,
            Err(error) => findings.bad_files.push(error.to_string()),
        }
    }
    match args.json {
        true => print_json(&WithTakings {
            summary: &findings,
            taken: &taken,
        })?,
        false => print(&render(&findings))?,
    }
    match findings.bad.len() + findings.bad_files.len() {
        0 => Ok(()),
        _ => Err(Error::input(format!(
            "{} of {} galaxies and {} of {} files cannot be used; mend them, or pass --skip-bad to leave \
             them out",
            findings.bad.len(),
            findings.galaxies,
            findings.bad_files.len(),
            findings.files
        ))),
    }
}

fn open(file: &Path, survey: &Survey, read: &ReadOptions) -> Result<Dataset> {
    data::open(&[file.to_owned()], survey, read)
}

/// Reads all galaxies of a file.
fn check(file: &Path, dataset: &Dataset, findings: &mut Findings) -> Result<()> {
    let modalities: Vec<Modality> = Modality::ALL
        .into_iter()
        .filter(|&modality| dataset.has(modality))
        .collect();
    let total = dataset.len();
    let mut progress = Progress::new(
        format!("check {}", file.display()),
        "galaxies",
        0,
        total as u64,
    );
    for start in (0..total).step_by(BATCH) {
        let rows: Vec<usize> = (start..(start + BATCH).min(total)).collect();
        if dataset.read(&rows, &modalities).is_err() {
            for &row in &rows {
                let reasons = modalities
                    .iter()
                    .filter_map(|&modality| dataset.read(&[row], &[modality]).err());
                findings.bad.extend(reasons.map(|reason| {
                    Finding {
                        file: file.to_owned(),
                        row,
                        object_id: dataset
                            .labels(row..row + 1)
                            .ok()
                            .and_then(|labels| labels.object_id.first().copied()),
                        reason: reason.message_in(file),
                    }
                }));
            }
        }
        progress.set((start + rows.len()) as u64, "");
    }
    progress.finish("");
    findings.galaxies += total;
    for file in dataset.describe().files {
        findings.pixels.add(&file.pixels);
    }
    Ok(())
}

fn render(findings: &Findings) -> String {
    let mut text = String::new();
    for reason in &findings.bad_files {
        text += &format!("{reason}\n");
    }
    if !findings.bad.is_empty() {
        let mut table = Table::new();
        table
            .load_preset(presets::UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(TABLE_WIDTH)
            .set_header(["file", "row", "object id", "reason"]);
        for Finding {
            file,
            row,
            object_id,
            reason,
        } in &findings.bad
        {
            table.add_row([
                file.display().to_string(),
                row.to_string(),
                object_id.map_or_else(|| "–".to_owned(), |id| id.to_string()),
                reason.clone(),
            ]);
        }
        text += &format!("{table}\n");
    }
    for note in findings.pixels.notes() {
        text += &format!("{note}\n");
    }
    let files = findings.files - findings.bad_files.len();
    if files == 0 {
        return text + "no file can be read\n";
    }
    format!(
        "{text}{} galaxies in {files} {}: {}\n",
        findings.galaxies,
        if files == 1 { "file" } else { "files" },
        match findings.bad.len() {
            0 => "all can be used".to_owned(),
            count => format!("{count} reasons not to use one"),
        }
    )
}
