//! `astroclip check`.

mod doubts;

use std::path::PathBuf;

use serde::Serialize;

use super::contents::{Survey as Contents, Values, held, spread};
use super::training::WithTakings;
use super::{print, print_json, read_options, survey};
use crate::app::cli::Check;
use crate::app::workspace::{Takings, Wanted, find_data};
use crate::base::error::{Error, Result};
use crate::base::progress::Progress;
use crate::base::terminal::{new_list, new_table};
use crate::files::data::{self, Dataset, PixelCounts, ReadOptions};
use crate::survey::{Modality, ObjectId};

/// Rows that are read at once.
const BATCH: usize = 64;
/// Galaxies whose values are looked at, spread evenly over the files.
const SAMPLE: usize = 64;
/// Of their pixels one in so many is.
const STRIDE: usize = 7;

/// What the files hold, and what of it cannot be used or trusted.
#[derive(Debug, Default, Serialize)]
struct Findings {
    files: usize,
    galaxies: usize,
    /// Files that cannot be opened.
    bad_files: Vec<String>,
    bad: Vec<Finding>,
    /// Galaxies that cannot be used, each for one reason or more.
    unusable: usize,
    /// Why the files cannot be used together, though each of them can.
    apart: Option<String>,
    /// What is hardly what it is taken for.
    doubts: Vec<String>,
    /// What became of the pixels of the spectra that can be used.
    pixels: PixelCounts,
    /// What the files hold: all together, or each where they cannot be opened together.
    holds: Vec<Contents>,
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
        ..Findings::default()
    };
    match data::open(&files, &survey, &read) {
        Ok(dataset) => check(&dataset, &mut findings)?,
        Err(error) => {
            let alone = ReadOptions {
                pairs: None,
                ..read
            };
            for file in &files {
                match data::open(std::slice::from_ref(file), &survey, &alone) {
                    Ok(dataset) => check(&dataset, &mut findings)?,
                    Err(error) => findings.bad_files.push(error.to_string()),
                }
            }
            if findings.bad_files.is_empty() {
                findings.apart = Some(error.to_string());
            }
        }
    }
    match args.json {
        true => print_json(&WithTakings {
            summary: &findings,
            taken: &taken,
        })?,
        false => print(&render(&findings))?,
    }
    verdict(&findings)
}

fn verdict(findings: &Findings) -> Result<()> {
    if findings.unusable + findings.bad_files.len() > 0 {
        return Err(Error::input(format!(
            "{} of {} galaxies and {} of {} files cannot be used; mend them, or pass --skip-bad to leave \
             them out",
            findings.unusable,
            findings.galaxies,
            findings.bad_files.len(),
            findings.files
        )));
    }
    if let Some(reason) = &findings.apart {
        return Err(Error::input(format!(
            "the files cannot be used together: {reason}"
        )));
    }
    match findings.doubts.as_slice() {
        [] => Ok(()),
        doubts => Err(Error::input(format!(
            "what the files hold is hardly what it is taken for: {}",
            doubts.join("; ")
        ))),
    }
}

/// Reads all galaxies of some files.
fn check(dataset: &Dataset, findings: &mut Findings) -> Result<()> {
    let modalities = held(dataset);
    let total = dataset.len();
    let description = dataset.describe();
    let label = match &description.files[..] {
        [one] => format!("check {}", one.path.display()),
        files => format!("check {} files", files.len()),
    };
    let mut progress = Progress::new(label, "galaxies", 0, total as u64);
    let looked_at = spread(total, SAMPLE);
    let mut unseen = looked_at.iter().copied().peekable();
    let mut values = Values::default();
    for start in (0..total).step_by(BATCH) {
        let end = (start + BATCH).min(total);
        let rows: Vec<usize> = (start..end).collect();
        let sampled: Vec<usize> = std::iter::from_fn(|| unseen.next_if(|&row| row < end)).collect();
        match dataset.read(&rows, &modalities) {
            Ok(galaxies) => {
                let places: Vec<usize> = sampled.iter().map(|row| row - start).collect();
                values.add(&galaxies.at(&places), STRIDE);
            }
            Err(_) => {
                for &row in &rows {
                    let read = |&modality: &Modality| {
                        let reason = dataset.read(&[row], &[modality]).err()?;
                        Some((reason, dataset.place(modality, row)))
                    };
                    let reasons = modalities.iter().filter_map(read);
                    let before = findings.bad.len();
                    findings.bad.extend(reasons.map(|(reason, (file, place))| {
                        Finding {
                            file: file.to_owned(),
                            row: place,
                            object_id: dataset
                                .labels(row..row + 1)
                                .ok()
                                .and_then(|labels| labels.object_id.first().copied()),
                            reason: reason.message_in(file),
                        }
                    }));
                    let is_bad = findings.bad.len() > before;
                    findings.unusable += usize::from(is_bad);
                    if !is_bad && sampled.contains(&row) {
                        values.add(&dataset.read(&[row], &modalities)?, STRIDE);
                    }
                }
            }
        }
        progress.set(end as u64, "");
    }
    progress.finish("");
    findings.galaxies += total;
    let mut contents = Contents::of(dataset, looked_at.len(), values)?;
    contents.look_for_placeholders(dataset);
    findings
        .doubts
        .extend(doubts::of(&contents, dataset.survey()));
    for file in contents.files() {
        findings.pixels.add(&file.pixels);
    }
    findings.holds.push(contents);
    Ok(())
}

fn render(findings: &Findings) -> String {
    let mut text = String::new();
    for contents in &findings.holds {
        let mut table = new_list();
        if let ([file], true) = (contents.files(), findings.holds.len() > 1) {
            table.add_row(["file".to_owned(), file.path.display().to_string()]);
        }
        contents.rows(&mut |key, value| {
            table.add_row([key.to_owned(), value]);
        });
        text += &format!("{}\n\n", table.trim_fmt());
    }
    for reason in &findings.bad_files {
        text += &format!("{reason}\n");
    }
    if !findings.bad.is_empty() {
        let mut table = new_table();
        table.set_header(["file", "row", "object id", "reason"]);
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
            count => format!("{count} reasons not to use {}", findings.unusable),
        }
    )
}
