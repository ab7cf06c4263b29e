//! `astroclip inspect`: what a file is, and what it holds.

mod estimator;
mod picture;
mod table;
mod weights;

use std::path::Path;

use serde::Serialize;

use super::output::{Originals, Output};
use super::{contents, index, print, print_json, read_options, welcome};
use crate::app::cli::Inspect;
use crate::base::error::{Error, Result};
use crate::base::input;
use crate::base::terminal::new_list;
use crate::evaluation::engine::{Head, is_index, read_head};
use crate::evaluation::estimator::is_estimator;
use crate::files::container::{Container, is_packed, split_table};
use crate::files::data::{self, expand};
use crate::files::embeddings::{
    EmbeddingFile, EmbeddingRows, EmbeddingSet, Keys, ModelEmbeddings, Observed, features_in,
    is_embedding_file,
};
use crate::files::hats::Catalog;
use crate::files::inputs::{InputFiles, Inputs};
use crate::survey::{Modality, NO_SIGNAL, STAR_LINES, Split};
use weights::Weights;

pub(super) fn run(args: &Inspect) -> Result<()> {
    let set = match &args.file[..] {
        [] => return welcome::inspect(args.json),
        [one] if one.exists() || split_table(one).1.is_some() => EmbeddingSet::of(one.clone()),
        named => EmbeddingSet::one(expand(named)?, args.shards.some_shards)?,
    };
    if let [_, _, ..] = set.files() {
        return several(&set, args);
    }
    let path = &set.files()[0];
    if let Some(picture) = &args.plot {
        Output::Picture.check(picture)?;
        let inputs = Originals::default().and([path]).and(&args.read.pairs);
        inputs.outlast(picture)?;
    }
    let contents = inspect(path, args)?;
    match args.json {
        true => print_json(&contents),
        false => print(&render(path, &contents)),
    }
}

/// Tells of several embedding files as one.
fn several(set: &EmbeddingSet, args: &Inspect) -> Result<()> {
    let other = set.files().iter().find(|path| !is_embedding_file(path));
    if let Some(other) = other {
        return Err(Error::input(
            "is no embedding file of ours, which alone are told of together; inspect one at a time",
        )
        .in_file(other));
    }
    if args.plot.is_some() {
        return Err(Error::input("--plot draws galaxies; give a survey file").in_file(set.path()));
    }
    let contents = ours(set)?;
    match args.json {
        true => print_json(&contents),
        false => print(&render(&set.path(), &contents)),
    }
}

/// What embedding files of ours hold, without reading the embeddings.
fn ours(set: &EmbeddingSet) -> Result<Contents> {
    let rows = EmbeddingRows::open(set.files(), &Keys::default())?;
    let file = rows.galaxies(0..rows.rows(), &set.path())?;
    let kinds = rows.modalities().into_iter();
    let widths = kinds.filter_map(|kind| Some((kind.to_string(), rows.dimension(kind)?)));
    let features = features_in(&set.files()[0]).into_iter();
    let features = features.map(|(kind, width)| (format!("{kind} features"), width));
    let has_spectra = rows.modalities().contains(&Modality::Spectrum);
    let shards = file.provenance.as_ref().and_then(|of| of.part.as_ref());
    let shards = shards.map(|part| match set.files() {
        [_] => format!("{} of an embedding", part.shard.label()),
        files => format!("{} of {}", files.len(), part.shard.of()),
    });
    Ok(embedding_contents(
        &file,
        widths.chain(features).collect(),
        has_spectra,
        shards,
    ))
}

/// What a file of ours, or one that we read, holds.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Contents {
    Survey(contents::Survey),
    Table(table::Contents),
    Embeddings {
        galaxies: usize,
        train: usize,
        test: usize,
        with_redshift: usize,
        /// Galaxies with a position on the sky.
        with_position: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        spectrum_filled: Option<SpectrumFilled>,
        /// None without spectra.
        #[serde(skip_serializing_if = "Option::is_none")]
        spectra: Option<Spectra>,
        #[serde(skip_serializing_if = "Option::is_none")]
        bands_missing: Option<BandsMissing>,
        widths: Vec<(String, usize)>,
        /// Which shard of an embedding it is, or how many of how many there are.
        #[serde(skip_serializing_if = "Option::is_none")]
        shards: Option<String>,
        /// What they were made from; files of other programs and older ones do not say.
        #[serde(skip_serializing_if = "Option::is_none")]
        inputs: Option<Box<Inputs>>,
    },
    Index(Head),
    Estimator(Box<estimator::Contents>),
    #[serde(untagged)]
    Weights(Weights),
}

/// How much of the spectra was not measured.
#[derive(Debug, Serialize)]
struct SpectrumFilled {
    /// Galaxies of which it is known.
    known: usize,
    /// Mean share of the model's wavelengths.
    mean: f64,
    /// The largest share.
    largest: f32,
}

/// What spectra say of themselves.
#[derive(Debug, Serialize)]
struct Spectra {
    /// Galaxies of which it is known: none in files of other programs and in older ones.
    known: usize,
    /// Median of the signal-to-noise ratios of their pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal_to_noise: Option<f32>,
    /// Spectra without signal.
    without_signal: usize,
    /// Spectra with the absorption lines of stars.
    stars: usize,
}

impl Spectra {
    fn of(observed: &[Observed]) -> Self {
        let mut signal: Vec<f32> = observed
            .iter()
            .map(|of| of.signal_to_noise)
            .filter(|signal| signal.is_finite())
            .collect();
        signal.sort_unstable_by(f32::total_cmp);
        Self {
            known: signal.len(),
            signal_to_noise: signal.get(signal.len() / 2).copied(),
            without_signal: signal.partition_point(|&signal| signal < NO_SIGNAL),
            stars: observed
                .iter()
                .filter(|of| of.star_lines > STAR_LINES)
                .count(),
        }
    }

    fn in_words(&self) -> String {
        match self.signal_to_noise {
            Some(median) => format!(
                "signal to noise {median:.1} per pixel; {} without signal, {} like stars",
                self.without_signal, self.stars
            ),
            None => "signal to noise not known; embed again".to_owned(),
        }
    }
}

/// How many images lack bands.
#[derive(Debug, Serialize)]
struct BandsMissing {
    /// Galaxies of which it is known.
    known: usize,
    /// Galaxies that lack one band or more.
    some: usize,
}

fn inspect(path: &Path, args: &Inspect) -> Result<Contents> {
    let is_folder = path.is_dir();
    if !is_folder && path.exists() {
        input::metadata(path)?;
    }
    // Weights are of none of these formats.
    let container = match is_folder {
        true => None,
        // What is compressed as a whole is nothing that is read: its error says by what.
        false if is_packed(path) => Some(Container::of(path)?),
        false => Container::of(&split_table(path).0).ok(),
    };
    if !is_folder && container.is_none() {
        if args.plot.is_some() {
            return Err(Error::input("--plot draws galaxies; give a survey file").in_file(path));
        }
        if is_index(path) {
            return read_head(path).map(Contents::Index);
        }
        return match is_estimator(path) {
            true => Ok(Contents::Estimator(Box::new(estimator::Contents::inspect(
                path,
            )?))),
            false => Weights::inspect(path).map(Contents::Weights),
        };
    }
    // An embedding file is recognised by its datasets; whatever else there is is taken for a survey, whose
    // reader says what it found.
    if container == Some(Container::Hdf5) && is_embedding_file(path) {
        return ours(&EmbeddingSet::of(path.to_owned()));
    }
    if split_table(path).1.is_some() {
        return table::Contents::inspect(path).map(Contents::Table);
    }
    let survey = super::survey(&args.survey)?;
    let dataset = match data::open(&[path.to_owned()], &survey, &read_options(&args.read)) {
        Ok(dataset) => dataset,
        Err(error) if args.plot.is_none() => return other_than_survey(path, container, error),
        Err(error) => return Err(error),
    };
    if let Some(picture) = &args.plot {
        picture::plot(&dataset, picture)?;
    }
    contents::Survey::inspect(&dataset).map(Contents::Survey)
}

/// What a file is that does not open as a survey for this reason.
fn other_than_survey(path: &Path, container: Option<Container>, error: Error) -> Result<Contents> {
    if container == Some(Container::Hdf5) {
        if !data::holds_galaxies(path)
            && let Ok(models) = ModelEmbeddings::open(path, "", &Keys::default())
        {
            let widths = models.iter().flat_map(|model| {
                model.file.modalities().into_iter().filter_map(|kind| {
                    let what = format!("{} {kind}", model.name).trim_start().to_owned();
                    Some((what, model.file.embeddings(kind).ok()?.ncols()))
                })
            });
            let first = &models[0].file;
            let has_spectra = first.modalities().contains(&Modality::Spectrum);
            return Ok(embedding_contents(
                first,
                widths.collect(),
                has_spectra,
                None,
            ));
        }
        if is_survey(path) {
            return Err(error);
        }
    }
    // What holds no galaxies may hold a table of them.
    match table::Contents::inspect(path) {
        Ok(table) => {
            if data::holds_galaxies(path) {
                tracing::warn!("{error}; only its table is shown");
            }
            Ok(Contents::Table(table))
        }
        Err(_) if container == Some(Container::Text) => {
            Weights::inspect(path).map(Contents::Weights)
        }
        Err(of_table) if container == Some(Container::Hdf5) => Err(of_table),
        Err(_) => Err(error),
    }
}

/// Whether a file that does not open as a survey is meant to be one.
fn is_survey(path: &Path) -> bool {
    data::holds_galaxies(path) || data::holds_arrays(path)
}

/// What embeddings of these widths, of some models of the same galaxies, are; the model that a file does not name has no
/// name.
fn embedding_contents(
    first: &EmbeddingFile,
    widths: Vec<(String, usize)>,
    has_spectra: bool,
    shards: Option<String>,
) -> Contents {
    let observed = || first.observed.iter();
    let filled: Vec<f32> = observed()
        .map(|of| of.spectrum_filled)
        .filter(|share| share.is_finite())
        .collect();
    let missing: Vec<u8> = observed().filter_map(|of| of.bands_missing).collect();
    Contents::Embeddings {
        galaxies: first.len(),
        train: first.rows_of(Split::Train).len(),
        test: first.rows_of(Split::Test).len(),
        with_redshift: first.redshift.iter().filter(|z| z.is_finite()).count(),
        with_position: observed().filter(|of| of.position[0].is_finite()).count(),
        spectrum_filled: (!filled.is_empty()).then(|| SpectrumFilled {
            known: filled.len(),
            mean: filled.iter().copied().map(f64::from).sum::<f64>() / filled.len() as f64,
            largest: filled.iter().copied().fold(0.0, f32::max),
        }),
        spectra: has_spectra.then(|| Spectra::of(&first.observed)),
        bands_missing: (!missing.is_empty()).then(|| BandsMissing {
            known: missing.len(),
            some: missing.iter().filter(|&&bands| bands > 0).count(),
        }),
        widths,
        shards,
        inputs: first
            .provenance
            .as_ref()
            .and_then(|from| from.inputs.clone().map(Box::new)),
    }
}

fn render(path: &Path, contents: &Contents) -> String {
    let mut table = new_list();
    let mut row = |key: &str, value: String| {
        table.add_row([key.to_owned(), value]);
    };
    row("file", path.display().to_string());
    if let Ok(Some(catalog)) = Catalog::find(path) {
        row("set", catalog.to_string());
    }
    match contents {
        Contents::Survey(survey) => survey.rows(&mut row),
        Contents::Estimator(estimator) => estimator.rows(path, &mut row),
        Contents::Table(table) => table.rows(&mut row),
        Contents::Embeddings {
            galaxies,
            train,
            test,
            with_redshift,
            with_position,
            spectrum_filled,
            spectra,
            bands_missing,
            widths,
            shards,
            inputs,
        } => {
            row("holds", "embeddings".to_owned());
            if let Some(shards) = shards {
                row("shards", shards.clone());
            }
            row(
                "galaxies",
                format!("{galaxies} ({train} train, {test} test)"),
            );
            row("with redshift", with_redshift.to_string());
            row("with position", with_position.to_string());
            if let Some(SpectrumFilled { mean, largest, .. }) = spectrum_filled {
                let [mean, largest] = [*mean, f64::from(*largest)].map(|share| 100.0 * share);
                row(
                    "spectra not measured",
                    format!("{mean:.1} % of the wavelengths, {largest:.1} % at most"),
                );
            }
            if let Some(spectra) = spectra {
                row("spectra", spectra.in_words());
            }
            if let Some(BandsMissing { known, some }) = bands_missing {
                row("images lack bands", format!("{some} of {known}"));
            }
            for (kind, width) in widths {
                row(kind, format!("{width} wide"));
            }
            if let Some(inputs) = inputs {
                made_from(inputs, path, &mut row);
            }
        }
        Contents::Index(head) => {
            row("holds", "index".to_owned());
            row("galaxies", head.galaxies.to_string());
            for gallery in &head.galleries {
                let size = format!("{} wide, {} lists", gallery.width, gallery.lists);
                row(gallery.of.name(), size);
                for words in index::in_words(gallery) {
                    row("", words);
                }
            }
            recorded("made from", &head.embeddings, path, &mut row);
        }
        Contents::Weights(weights) => weights.rows(&mut row),
    }
    match contents {
        Contents::Estimator(estimator) => format!("{table}\n\n{}", estimator.scores()),
        _ => format!("{table}\n"),
    }
}

/// Rows of what the file at `path` was made from.
fn made_from(inputs: &Inputs, path: &Path, row: &mut impl FnMut(&str, String)) {
    recorded("made with", &inputs.models, path, row);
    recorded("made from", &inputs.data, path, row);
    recorded("paired by", inputs.pairs.as_slice(), path, row);
    recorded("labels", &inputs.labels, path, row);
}

/// Rows of files that the file at `path` was made from.
fn recorded(what: &str, files: &[InputFiles], path: &Path, row: &mut impl FnMut(&str, String)) {
    let home = path.parent().unwrap_or(Path::new(""));
    for files in files {
        let place = files.place(home);
        let state = match files.check(&place) {
            Ok(()) => "",
            Err(_) if files.find(home).is_none() => " (gone)",
            Err(_) => " (has changed since)",
        };
        row(what, format!("{}{state}", place.display()));
    }
}
