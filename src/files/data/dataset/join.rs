//! Files that are joined to one data set, and what they must have in common.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::spectra::{Placing, Resamplers};
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
            looked_at_images: AtomicBool::new(false),
            told_of_gaps: AtomicBool::new(false),
        };
        let mut joining = Joining::default();
        for source in sources {
            dataset.push(source, &mut joining)?;
        }
        dataset.tell_repeated(&joining.owners);
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
        let Joining {
            told,
            owners,
            resamplers,
        } = joining;
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
                let part = self.parts.len();
                for (offset, id) in ids.into_iter().enumerate() {
                    if let Some(id) = id {
                        let owner = owners.entry(id).or_insert(Owners {
                            first: part,
                            another: None,
                        });
                        if owner.first != part {
                            owner.another.get_or_insert(part);
                        }
                    }
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

/// What files that are joined share.
#[derive(Default)]
struct Joining {
    /// What was said already.
    told: HashSet<String>,
    /// Those of each identifier, in formats of many files.
    owners: HashMap<ObjectId, Owners>,
    resamplers: Arc<Resamplers>,
}

/// Files that have a galaxy.
struct Owners {
    first: usize,
    another: Option<usize>,
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
