//! What the files of a survey hold, those that are alike together: sets have thousands.

use std::collections::HashSet;

use crate::files::data::{FileDescription, PixelCounts};

/// Notes, and other texts, that are shown of files that are alike.
const SHOWN: usize = 6;

/// Lines of a table.
pub(super) fn rows(files: &[FileDescription], row: &mut impl FnMut(&str, String)) {
    let mut kinds: Vec<Vec<&FileDescription>> = Vec::new();
    for file in files {
        match kinds.iter_mut().find(|kind| are_alike(kind[0], file)) {
            Some(kind) => kind.push(file),
            None => kinds.push(vec![file]),
        }
    }
    for kind in kinds {
        kind_rows(&kind, row);
    }
}

fn are_alike(one: &FileDescription, other: &FileDescription) -> bool {
    (
        one.format,
        &one.bands,
        one.image_shape,
        &one.catalog_columns,
    ) == (
        other.format,
        &other.bands,
        other.image_shape,
        &other.catalog_columns,
    ) && one.spectrum_pixels.is_some() == other.spectrum_pixels.is_some()
}

fn kind_rows(files: &[&FileDescription], row: &mut impl FnMut(&str, String)) {
    let first = files[0];
    if let Some([bands, height, width]) = first.image_shape {
        let names = match first.bands.len() {
            0 => String::new(),
            named if named == bands => format!(" ({})", first.bands.join(", ")),
            _ => format!(" of {}", first.bands.join(", ")),
        };
        row(
            "images",
            format!("{bands} bands{names}, {height} x {width} pixels"),
        );
    }
    let pixels = files.iter().filter_map(|file| file.spectrum_pixels);
    let ranges = files.iter().filter_map(|file| file.wavelength_range);
    let (starts, ends): (Vec<f64>, Vec<f64>) = ranges.map(|[start, end]| (start, end)).unzip();
    if let (Some([fewest, most]), Some([start, _]), Some([_, end])) = (
        extremes(pixels.map(|pixels| pixels as f64)),
        extremes(starts.into_iter()),
        extremes(ends.into_iter()),
    ) {
        let shares = files.iter().filter_map(|file| file.wavelength_coverage);
        let coverage = match extremes(shares.map(|share| 100.0 * share)) {
            Some([least, most]) if least < 100.0 => {
                format!(", {} % of the survey's wavelengths", range(least, most, 1))
            }
            _ => String::new(),
        };
        row(
            "spectra",
            format!(
                "{} pixels, {start:.1} to {end:.1} Å{coverage}",
                range(fewest, most, 0)
            ),
        );
    }
    match files {
        [only] => {
            let groups = only.groups.iter().map(|group| {
                let packed = if group.compressed { ", compressed" } else { "" };
                format!("{} ({}{packed})", group.name, group.galaxies)
            });
            row("groups", groups.collect::<Vec<_>>().join(", "));
        }
        _ => {
            let galaxies = files.iter().map(|file| file.galaxies as f64);
            let [least, most] = extremes(galaxies).expect("there are files");
            row(
                "files",
                format!(
                    "{}, of {} galaxies each",
                    files.len(),
                    range(least, most, 0)
                ),
            );
        }
    }
    if !first.catalog_columns.is_empty() {
        row("catalog", first.catalog_columns.join(", "));
    }
    for (key, lists) in [
        (
            "stated",
            files.iter().map(|file| &file.stated).collect::<Vec<_>>(),
        ),
        ("assumed", files.iter().map(|file| &file.assumed).collect()),
    ] {
        let all = distinct(lists.into_iter().flatten());
        if !all.is_empty() {
            row(key, all.join(", "));
        }
    }
    row("positions", positions(files));
    let mut counts = PixelCounts::default();
    files.iter().for_each(|file| counts.add(&file.pixels));
    for note in distinct(files.iter().flat_map(|file| &file.notes)) {
        row("note", note);
    }
    for note in counts.notes() {
        row("note", note);
    }
}

/// Each text once; of more than are shown how many.
fn distinct<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut known = HashSet::new();
    let mut texts: Vec<String> = texts.filter(|text| known.insert(*text)).cloned().collect();
    if texts.len() > SHOWN {
        let more = texts.len() - SHOWN;
        texts.truncate(SHOWN);
        texts.push(format!("and {more} more, see --json"));
    }
    texts
}

/// What positions on the sky are from, and in how many files there are none.
fn positions(files: &[&FileDescription]) -> String {
    let sources = distinct(files.iter().filter_map(|file| file.positions.as_ref()));
    let without = files.iter().filter(|file| file.positions.is_none()).count();
    match (sources.is_empty(), without) {
        (true, _) => "none".to_owned(),
        (false, 0) => sources.join("; "),
        (false, _) => format!(
            "{}; none in {without} of {} files",
            sources.join("; "),
            files.len()
        ),
    }
}

/// The least and the largest.
fn extremes(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    values.fold(None, |found, value| match found {
        None => Some([value; 2]),
        Some([least, most]) => Some([least.min(value), most.max(value)]),
    })
}

/// One number, or from one to another.
fn range(least: f64, most: f64, digits: usize) -> String {
    let [least, most] = [least, most].map(|value| format!("{value:.digits$}"));
    match least == most {
        true => least,
        false => format!("{least} to {most}"),
    }
}
