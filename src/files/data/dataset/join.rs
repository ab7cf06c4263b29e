//! Files that are joined to one data set, and what they must have in common.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use super::spectra::Placing;
use super::{Dataset, Part, holds, plural};
use crate::base::error::{Error, Result};
use crate::files::data::options::ReadOptions;
use crate::files::data::rows::RowSet;
use crate::files::data::source::{Source, Splits};
use crate::survey::{Modality, ObjectId, Split, Survey};

impl Dataset {
    /// Joins files, at least one, in the order of their rows; or pairs those of images with those of spectra.
    ///
    /// # Errors
    /// Where one lacks images or spectra that another has and they cannot be paired, images differ in size, or spectra
    /// lie outside of the survey's wavelengths.
    pub(in crate::files::data) fn new(
        sources: Vec<Box<dyn Source>>,
        survey: &Survey,
        options: &ReadOptions,
    ) -> Result<Self> {
        let apart = are_apart(&sources)?;
        if let (false, Some(table)) = (apart, &options.pairs) {
            let contents = sources[0].contents();
            return Err(Error::input(format!(
                "pairs images with spectra of other files, but {} holds {}; give files of images and files of spectra, \
                 or leave --pairs out",
                contents.path.display(),
                held(holds(contents))
            ))
            .in_file(table));
        }
        let mut dataset = Self {
            survey: survey.clone(),
            image_size: image_size(&sources, survey)?,
            parts: Vec::with_capacity(sources.len()),
            starts: Vec::with_capacity(sources.len()),
            pairs: None,
            len: 0,
            train: RowSet::default(),
            told_of_missing_ids: AtomicBool::new(false),
            told_of_gaps: AtomicBool::new(false),
        };
        let mut told = HashSet::new();
        for source in sources {
            dataset.push(source, &mut told)?;
        }
        match apart {
            true => dataset.pair(options)?,
            false => dataset.split_rows()?,
        }
        Ok(dataset)
    }

    fn push(&mut self, source: Box<dyn Source>, told: &mut HashSet<String>) -> Result<()> {
        let contents = source.contents();
        let path = contents.path.as_path();
        // Sets have thousands of files that are alike: what is true of one is said once.
        let mut tell = |note: String| {
            if !told.contains(&note) {
                tracing::info!("{}: {note}", path.display());
                told.insert(note);
            }
        };
        let placing = Placing::new(contents, &self.survey.wavelengths).map_err(|message| {
            Error::input(format!("wavelength axis {message}")).in_file(&contents.path)
        })?;
        if let Some(placing) = &placing
            && let Some(coverage) = placing.coverage()
            && placing.resamples()
        {
            tell(format!(
                "spectra of {} pixels are resampled; they cover {:.1} % of the wavelengths",
                placing.pixels(),
                100.0 * coverage
            ));
        }
        for note in &contents.notes {
            tell(note.clone());
        }
        self.starts.push(self.len);
        self.len += contents.rows();
        self.parts.push(Part { source, placing });
        Ok(())
    }

    /// Splits the rows of each file as it says.
    fn split_rows(&mut self) -> Result<()> {
        for (Part { source, .. }, &start) in self.parts.iter().zip(&self.starts) {
            let contents = source.contents();
            let rows = contents.rows();
            match contents.splits {
                Splits::ByGroup => {
                    let mut row = start;
                    for group in &contents.groups {
                        self.train
                            .push(row..row + Split::train_rows(group.galaxies));
                        row += group.galaxies;
                    }
                }
                Splits::All(Split::Train) => self.train.push(start..start + rows),
                Splits::All(Split::Test) => {}
                Splits::ById => {
                    let ids = source.labels(0..rows)?.object_id;
                    let ids = (start..)
                        .zip(ids)
                        .map(|(row, id)| (row, id.unwrap_or_else(|| ObjectId::substitute(row))));
                    split_by_id(&mut self.train, ids);
                }
            }
        }
        Ok(())
    }
}

/// Adds those rows that train by their identifiers.
pub(super) fn split_by_id(train: &mut RowSet, ids: impl Iterator<Item = (usize, ObjectId)>) {
    for (row, id) in ids {
        if Split::of_id(id) == Split::Train {
            train.push(row..row + 1);
        }
    }
}

/// Whether some files hold images alone and the others spectra alone.
///
/// # Errors
/// Where files do not hold the same, and one holds both.
fn are_apart(sources: &[Box<dyn Source>]) -> Result<bool> {
    let first = sources[0].contents();
    let other = sources
        .iter()
        .map(|source| source.contents())
        .find(|contents| holds(contents) != holds(first));
    let Some(other) = other else {
        return Ok(false);
    };
    let mut all = sources.iter().map(|source| holds(source.contents()));
    match all.any(|held| held == [true; 2]) {
        false => Ok(true),
        true => Err(Error::input(format!(
            "{} holds {}, but {} holds {}; files given together must hold the same, or some images alone and the others \
             spectra alone",
            first.path.display(),
            held(holds(first)),
            other.path.display(),
            held(holds(other)),
        ))),
    }
}

fn held(holds: [bool; 2]) -> String {
    let names: Vec<&str> = Modality::ALL
        .into_iter()
        .zip(holds)
        .filter(|(_, has)| *has)
        .map(|(modality, _)| plural(modality))
        .collect();
    names.join(" and ")
}

/// The side to which all images are cut.
fn image_size(sources: &[Box<dyn Source>], survey: &Survey) -> Result<Option<usize>> {
    let mut common: Option<(usize, &Box<dyn Source>)> = None;
    for source in sources {
        let contents = source.contents();
        let Some([_, height, width]) = contents.image_shape else {
            continue;
        };
        let smaller = height.min(width);
        let size = survey.cutout_size.unwrap_or(smaller);
        if size > smaller {
            return Err(Error::input(format!(
                "images of {height} x {width} pixels; survey.cutout_size asks for {size}"
            ))
            .in_file(&contents.path));
        }
        match common {
            Some((known, first)) if known != size => {
                return Err(Error::input(format!(
                    "images of {known} pixels a side, but {} has {size}; set survey.cutout_size to \
                     cut them to one size",
                    contents.path.display()
                ))
                .in_file(&first.contents().path));
            }
            _ => common = Some((size, source)),
        }
    }
    Ok(common.map(|(size, _)| size))
}
