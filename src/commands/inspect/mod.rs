mod weights;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::{print, print_json};
use crate::cli::Inspect;
use crate::data::{self, Description};
use crate::embeddings::EmbeddingFile;
use crate::error::{Error, Result};
use crate::survey::Split;
use weights::Weights;

/// Columns of a terminal that the table keeps to.
const TABLE_WIDTH: u16 = 100;
/// First bytes of an HDF5 file.
const HDF5_SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

pub(super) fn run(args: &Inspect) -> Result<()> {
    let contents = inspect(&args.file)?;
    match args.json {
        true => print_json(&contents),
        false => print(&render(&args.file, &contents)),
    }
}

/// What a file of ours, or one that we read, holds.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Contents {
    Survey(Description),
    Embeddings {
        galaxies: usize,
        train: usize,
        test: usize,
        with_redshift: usize,
        widths: Vec<(&'static str, usize)>,
    },
    #[serde(untagged)]
    Weights(Weights),
}

fn inspect(path: &Path) -> Result<Contents> {
    let mut start = [0; 8];
    let mut file = File::open(path).map_err(|source| Error::reading(path, &source))?;
    let is_hdf5 = file.read_exact(&mut start).is_ok() && &start == HDF5_SIGNATURE;
    if !is_hdf5 {
        return Weights::inspect(path).map(Contents::Weights);
    }
    // An embedding file is recognised by its datasets; whatever else is HDF5 is taken for a survey,
    // whose reader says what it found.
    match EmbeddingFile::open(path) {
        Ok(embeddings) => Ok(embedding_contents(&embeddings)),
        Err(_) => Ok(Contents::Survey(data::open(&[path.to_owned()])?.describe())),
    }
}

fn embedding_contents(file: &EmbeddingFile) -> Contents {
    Contents::Embeddings {
        galaxies: file.len(),
        train: file.rows_of(Split::Train).len(),
        test: file.rows_of(Split::Test).len(),
        with_redshift: file.redshift.iter().filter(|z| z.is_finite()).count(),
        widths: file
            .modalities()
            .into_iter()
            .filter_map(|kind| Some((kind.name(), file.embeddings(kind).ok()?.ncols())))
            .collect(),
    }
}

fn render(path: &Path, contents: &Contents) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(TABLE_WIDTH);
    let mut row = |key: &str, value: String| {
        table.add_row([key.to_owned(), value]);
    };
    row("file", path.display().to_string());
    match contents {
        Contents::Survey(survey) => survey_rows(survey, &mut row),
        Contents::Embeddings {
            galaxies,
            train,
            test,
            with_redshift,
            widths,
        } => {
            row("holds", "embeddings".to_owned());
            row(
                "galaxies",
                format!("{galaxies} ({train} train, {test} test)"),
            );
            row("with redshift", with_redshift.to_string());
            for (kind, width) in widths {
                row(kind, format!("{width} wide"));
            }
        }
        Contents::Weights(weights) => weights.rows(&mut row),
    }
    format!("{table}\n")
}

fn survey_rows(survey: &Description, row: &mut impl FnMut(&str, String)) {
    for file in &survey.files {
        row("holds", format!("survey, {}", file.format));
        row(
            "galaxies",
            format!(
                "{} ({} train, {} test)",
                survey.galaxies, survey.train, survey.test
            ),
        );
        row("with id", file.with_object_id.to_string());
        row("with redshift", survey.with_redshift.to_string());
        if let Some([bands, height, width]) = file.image_shape {
            row(
                "images",
                format!("{bands} bands, {height} x {width} pixels"),
            );
        }
        if let Some(pixels) = file.spectrum_pixels {
            row("spectra", format!("{pixels} pixels"));
        }
        let groups: Vec<String> = file
            .groups
            .iter()
            .map(|group| format!("{} ({})", group.name, group.galaxies))
            .collect();
        row("groups", groups.join(", "));
        if !file.catalog_columns.is_empty() {
            row("catalog", file.catalog_columns.join(", "));
        }
    }
}
