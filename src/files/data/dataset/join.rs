//! Files that are joined to one data set, and what they must have in common.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

use super::spectra::Placing;
use super::{Dataset, Part, plural};
use crate::base::error::{Error, Result};
use crate::files::data::rows::RowSet;
use crate::files::data::source::{Source, Splits};
use crate::survey::{Modality, ObjectId, Split, Survey};

impl Dataset {
    /// Joins files, at least one, in the order of their rows.
    ///
    /// # Errors
    /// Where one lacks images or spectra that another has, images differ in size, or spectra lie outside
    /// of the survey's wavelengths.
    pub(in crate::files::data) fn new(
        sources: Vec<Box<dyn Source>>,
        survey: &Survey,
    ) -> Result<Self> {
        let first = sources[0].contents();
        for source in &sources[1..] {
            let other = source.contents();
            if (first.image_shape.is_some(), first.wavelengths.is_some())
                != (other.image_shape.is_some(), other.wavelengths.is_some())
            {
                return Err(Error::input(format!(
                    "{} holds {}, but {} holds {}; files given together must hold the same",
                    first.path.display(),
                    held(source_holds(sources[0].as_ref())),
                    other.path.display(),
                    held(source_holds(source.as_ref())),
                )));
            }
        }
        let image_size = image_size(&sources, survey)?;
        let mut dataset = Self {
            survey: survey.clone(),
            parts: Vec::with_capacity(sources.len()),
            starts: Vec::with_capacity(sources.len()),
            len: 0,
            image_size,
            train: RowSet::default(),
            told_of_missing_ids: AtomicBool::new(false),
            told_of_gaps: AtomicBool::new(false),
        };
        let mut told = HashSet::new();
        for source in sources {
            dataset.push(source, &mut told)?;
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
        let start = self.len;
        let mut row = start;
        match contents.splits {
            Splits::ByGroup => {
                for group in &contents.groups {
                    self.train
                        .push(row..row + Split::train_rows(group.galaxies));
                    row += group.galaxies;
                }
            }
            Splits::All(Split::Train) => self.train.push(row..row + contents.rows()),
            Splits::All(Split::Test) => {}
            Splits::ById => {
                let rows = contents.rows();
                let ids = source.labels(0..rows)?.object_id;
                for (offset, id) in ids.into_iter().enumerate() {
                    let id = id.unwrap_or_else(|| ObjectId::substitute(start + offset));
                    if Split::of_id(id) == Split::Train {
                        self.train.push(start + offset..start + offset + 1);
                    }
                }
            }
        }
        self.starts.push(start);
        self.len += contents.rows();
        self.parts.push(Part { source, placing });
        Ok(())
    }
}

fn source_holds(source: &dyn Source) -> [bool; 2] {
    let contents = source.contents();
    [
        contents.image_shape.is_some(),
        contents.wavelengths.is_some(),
    ]
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
            return Ok(None);
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
