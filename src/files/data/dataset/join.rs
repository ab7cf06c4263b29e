//! Files that are joined to one data set, and what they must have in common.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::spectra::{Placing, Resamplers};
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
            missing_bands: options.missing_bands,
            image_size: image_size(&sources, survey)?,
            parts: Vec::with_capacity(sources.len()),
            starts: Vec::with_capacity(sources.len()),
            pairs: None,
            len: 0,
            train: RowSet::default(),
            told_of_missing_ids: AtomicBool::new(false),
            looked_at_images: AtomicBool::new(false),
            told_of_gaps: AtomicBool::new(false),
        };
        let mut joining = Joining::default();
        for source in sources {
            dataset.push(source, &mut joining)?;
        }
        match apart {
            true => dataset.pair(options)?,
            false => dataset.split_rows()?,
        }
        Ok(dataset)
    }

    /// Says which identifier more than one file has.
    fn tell_repeated(&self, owners: &HashMap<ObjectId, Owners>) {
        let mut shared: Vec<(usize, usize, ObjectId)> = owners
            .iter()
            .filter_map(|(&id, owners)| Some((owners.first, owners.another?, id)))
            .collect();
        shared.sort_unstable();
        let Some(&(first, another, id)) = shared.first() else {
            return;
        };
        let name = |part: usize| self.parts[part].source.contents().path.display();
        let more = match shared.len() - 1 {
            0 => String::new(),
            count => format!("; so it is with {count} more"),
        };
        tracing::warn!(
            "galaxy {id} is in {} and in {}{more}",
            name(first),
            name(another)
        );
    }

    fn push(&mut self, source: Box<dyn Source>, joining: &mut Joining) -> Result<()> {
        let contents = source.contents();
        let path = contents.path.display();
        let Joining { told, resamplers } = joining;
        // Sets have thousands of files that are alike: what is true of one is said once.
        let mut is_new = |note: &String| told.insert(note.clone());
        let placing =
            Placing::new(contents, &self.survey.wavelengths, resamplers).map_err(|message| {
                Error::input(format!("wavelength axis {message}")).in_file(&contents.path)
            })?;
        if let Some(placing) = placing.as_ref().filter(|placing| placing.resamples()) {
            let axis = match placing.per_row() {
                true => "each at wavelengths of its own; the first cover",
                false => "are resampled; they cover",
            };
            let note = format!(
                "spectra of {} pixels {axis} {:.1} % of the wavelengths",
                placing.pixels(),
                100.0 * placing.coverage()
            );
            // One spectrum to a file is nothing to say for each.
            if !(placing.per_row() && contents.rows() == 1) && is_new(&note) {
                tracing::info!("{path}: {note}");
            }
        }
        for warning in contents.warnings.iter().filter(|note| is_new(note)) {
            tracing::warn!("{path}: {warning}");
        }
        for note in contents.notes.iter().filter(|note| is_new(note)) {
            tracing::info!("{path}: {note}");
        }
        self.starts.push(self.len);
        self.len += contents.rows();
        self.parts.push(Part { source, placing });
        Ok(())
    }

    /// Splits the rows of each file as it says.
    fn split_rows(&mut self) -> Result<()> {
        // Files of each identifier, in formats of many files.
        let mut owners: HashMap<ObjectId, Owners> = HashMap::new();
        let parts = self.parts.iter().zip(&self.starts);
        for (part, (Part { source, .. }, &start)) in parts.enumerate() {
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
                    for &id in ids.iter().flatten() {
                        let owner = owners.entry(id).or_insert(Owners {
                            first: part,
                            another: None,
                        });
                        if owner.first != part {
                            owner.another.get_or_insert(part);
                        }
                    }
                    let ids = (start..)
                        .zip(ids)
                        .map(|(row, id)| (row, id.unwrap_or_else(|| ObjectId::substitute(row))));
                    split_by_id(&mut self.train, ids);
                }
            }
        }
        self.tell_repeated(&owners);
        Ok(())
    }
}

/// What files that are joined share.
#[derive(Default)]
struct Joining {
    /// What was said already.
    told: HashSet<String>,
    resamplers: Arc<Resamplers>,
}

/// Files that have a galaxy.
struct Owners {
    first: usize,
    another: Option<usize>,
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
        if smaller == 0 {
            return Err(Error::input(format!(
                "images of {height} x {width} pixels, which are none; the file was written without its images"
            ))
            .in_file(&contents.path));
        }
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
