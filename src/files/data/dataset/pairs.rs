//! Galaxies whose images lie in some files and whose spectra in others.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::join::split_by_id;
use super::{Dataset, Labels, holds, plural};
use crate::base::error::{Error, Result};
use crate::files::catalog::Table;
use crate::files::data::options::ReadOptions;
use crate::survey::{Modality, ObjectId};

/// Columns that a table of pairs has where it leaves no doubt.
const PLAIN_NAMES: [&str; 2] = ["image_id", "spectrum_id"];

/// Redshifts of one galaxy from two files differ by less, times 1 + z, even where one is photometric.
const REDSHIFT_TOLERANCE: f32 = 0.05;

/// The galaxies, in the order of their images.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    /// Rows of the image and of the spectrum among those of all parts.
    rows: Vec<[usize; 2]>,
    /// Identifiers of the spectra; their redshifts, or else those of the images.
    labels: Labels,
    /// Right ascension and declination, degrees; read when they are first asked for.
    positions: Mutex<Option<Vec<[f64; 2]>>>,
    /// What a user should know about them.
    pub notes: Vec<String>,
}

impl Pairs {
    /// The row of a galaxy's image or spectrum among those of all parts.
    pub fn stored(&self, modality: Modality, galaxy: usize) -> usize {
        let [image, spectrum] = self.rows[galaxy];
        match modality {
            Modality::Image => image,
            Modality::Spectrum => spectrum,
        }
    }

    /// Identifiers and redshifts of some galaxies.
    pub fn labels(&self, galaxies: Range<usize>) -> Labels {
        Labels {
            object_id: self.labels.object_id[galaxies.clone()].to_vec(),
            redshift: self.labels.redshift[galaxies].to_vec(),
        }
    }

    /// Positions of some galaxies, those of their images where these are known; `stored` reads all of one kind.
    ///
    /// # Errors
    /// Those of `stored`.
    pub fn positions(
        &self,
        galaxies: Range<usize>,
        stored: impl Fn(Modality) -> Result<Vec<[f64; 2]>>,
    ) -> Result<Vec<[f64; 2]>> {
        let mut known = self
            .positions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = match &mut *known {
            Some(known) => known,
            unknown => {
                let images = stored(Modality::Image)?;
                let spectra = stored(Modality::Spectrum)?;
                let of = |&[image, spectrum]: &[usize; 2]| match images[image] {
                    of_image if of_image[0].is_finite() => of_image,
                    _ => spectra[spectrum],
                };
                unknown.insert(self.rows.iter().map(of).collect())
            }
        };
        Ok(known[galaxies].to_vec())
    }

    fn push(&mut self, image: &Entry, spectrum: &Entry) {
        self.rows.push([image.row, spectrum.row]);
        self.labels.object_id.push(spectrum.id);
        self.labels.redshift.push(match spectrum.redshift {
            known if known.is_finite() => known,
            _ => image.redshift,
        });
    }
}

impl Dataset {
    /// Makes pairs of the images of some parts and the spectra of others: those that have one identifier, or those that
    /// the table of the options pairs.
    ///
    /// # Errors
    /// Where a file or the table cannot be read, and where there is no pair.
    pub(super) fn pair(&mut self, options: &ReadOptions) -> Result<()> {
        let [images, spectra] = Modality::ALL.map(|modality| Side::read(self, modality));
        let (images, spectra) = (images?, spectra?);
        let links = options.pairs.as_deref().map(|path| {
            let id_key = options.keys.id.as_deref();
            Links::read(path, id_key, &images, &spectra)
        });
        let links = links.transpose()?;
        let mut pairs = Pairs::default();
        let mut redshifts = Comparison::default();
        for image in images.firsts() {
            let partner = match &links {
                Some(links) => links.partners.get(&image.id).copied(),
                None => Some(image.id),
            };
            if let Some(spectrum) = partner.and_then(|id| spectra.get(id)) {
                pairs.push(image, spectrum);
                redshifts.add(image, spectrum);
            }
        }
        if pairs.rows.is_empty() {
            return Err(Error::input(format!(
                "{} and {} have no identifier in common, by which images and spectra of different files are paired; where \
                 their identifiers are different ones, pair them by position: `astroclip match IMAGES SPECTRA --on sky \
                 --out pairs.csv`, and pass --pairs pairs.csv",
                images.example(),
                spectra.example()
            )));
        }
        pairs.notes.push(format!(
            "{} images and {} spectra; {} galaxies are in both, paired by {}",
            images.rows,
            spectra.rows,
            pairs.rows.len(),
            links.as_ref().map_or("identifier", |links| &links.by)
        ));
        tracing::info!("{}", pairs.notes[0]);
        let doubts = [images.doubts(), spectra.doubts()];
        let doubts = doubts.into_iter().flatten();
        let doubts = doubts.chain(links.and_then(|links| links.doubt));
        for doubt in doubts.chain(redshifts.doubt()) {
            tracing::warn!("{doubt}");
            pairs.notes.push(doubt);
        }
        self.len = pairs.rows.len();
        let ids = pairs.labels.object_id.iter().copied();
        split_by_id(&mut self.train, ids.enumerate());
        self.pairs = Some(pairs);
        Ok(())
    }
}

/// An image or a spectrum with an identifier.
#[derive(Debug)]
struct Entry {
    /// Its row among those of all parts.
    row: usize,
    id: ObjectId,
    /// NaN where unknown.
    redshift: f32,
}

/// The images of all files that hold images, or the spectra of all that hold spectra.
#[derive(Debug)]
struct Side {
    what: &'static str,
    /// The first file.
    path: PathBuf,
    /// Rows, with an identifier or without.
    rows: usize,
    entries: Vec<Entry>,
    /// Place of the first entry with each identifier.
    first: HashMap<ObjectId, usize>,
    /// What the first row with the identifier of an earlier one is.
    repeated: Option<String>,
}

impl Side {
    /// Reads all identifiers.
    ///
    /// # Errors
    /// Where a file cannot be read, and where there are none.
    fn read(dataset: &Dataset, modality: Modality) -> Result<Self> {
        let parts = dataset.parts.iter().zip(&dataset.starts);
        let mut parts = parts
            .filter(|(part, _)| holds(part.source.contents())[modality as usize])
            .peekable();
        let path = parts
            .peek()
            .map(|(part, _)| part.source.contents().path.clone());
        let mut side = Self {
            what: plural(modality),
            path: path.unwrap_or_default(),
            rows: 0,
            entries: Vec::new(),
            first: HashMap::new(),
            repeated: None,
        };
        for (part, &start) in parts {
            let contents = part.source.contents();
            let labels = part.source.labels(0..contents.rows())?;
            side.rows += contents.rows();
            let labels = labels.object_id.into_iter().zip(labels.redshift);
            for (row, (id, redshift)) in labels.enumerate() {
                let Some(id) = id else { continue };
                let place = side.entries.len();
                if *side.first.entry(id).or_insert(place) != place && side.repeated.is_none() {
                    let path = contents.path.display();
                    side.repeated = Some(format!("{id} in row {row} of {path}"));
                }
                let row = start + row;
                side.entries.push(Entry { row, id, redshift });
            }
        }
        match side.entries.is_empty() {
            false => Ok(side),
            true => Err(Error::input(format!(
                "its {} have no identifiers, by which images and spectra of different files are paired; say which \
                 dataset holds them: --id-key NAME",
                side.what
            ))
            .in_file(&side.path)),
        }
    }

    /// Of each identifier the first that has it.
    fn firsts(&self) -> impl Iterator<Item = &Entry> {
        let entries = self.entries.iter().enumerate();
        entries
            .filter(|(place, entry)| self.first[&entry.id] == *place)
            .map(|(_, entry)| entry)
    }

    fn get(&self, id: ObjectId) -> Option<&Entry> {
        self.first.get(&id).map(|&place| &self.entries[place])
    }

    /// The side in a message about identifiers.
    fn example(&self) -> String {
        format!(
            "{} {} ({}, the first is called {})",
            self.rows,
            self.what,
            self.path.display(),
            self.entries[0].id
        )
    }

    /// What of it has no partner for a reason of its own.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if let Some(repeated) = &self.repeated {
            doubts.push(format!(
                "{} with the identifier of an earlier one, not used: {}, the first is {repeated}",
                self.what,
                self.entries.len() - self.first.len()
            ));
        }
        match self.rows - self.entries.len() {
            0 => {}
            count => doubts.push(format!(
                "{} without an identifier, and so without a partner: {count}",
                self.what
            )),
        }
        doubts
    }
}

/// Which spectrum belongs to which image, as a table says.
struct Links {
    /// The spectrum of an image, by their identifiers: one to one, all of them known.
    partners: HashMap<ObjectId, ObjectId>,
    /// Where it says so.
    by: String,
    doubt: Option<String>,
}

impl Links {
    /// Reads a table with the identifiers of images and of spectra: columns `image_id` and `spectrum_id`, or those of any
    /// two columns of identifiers that are in the files, as `match` writes them.
    ///
    /// # Errors
    /// Where it cannot be read, has no such columns, or several that would pair differently.
    fn read(path: &Path, id_key: Option<&str>, images: &Side, spectra: &Side) -> Result<Self> {
        let table = Table::open(path)?;
        let also: Vec<&str> = PLAIN_NAMES.into_iter().chain(id_key).collect();
        let mut columns = table.id_columns(&also);
        let plain = PLAIN_NAMES.map(|name| {
            let mut names = columns.iter().map(|column| column.0);
            names.position(|known| known.eq_ignore_ascii_case(name))
        });
        let pairs_of = |image: &[Option<ObjectId>], spectrum: &[Option<ObjectId>]| {
            let ids = image.iter().zip(spectrum);
            let known = ids.filter_map(|(&image, &spectrum)| image.zip(spectrum));
            known
                .filter(|&(image, spectrum)| {
                    images.get(image).is_some() && spectra.get(spectrum).is_some()
                })
                .collect::<Vec<_>>()
        };
        let mut found = Vec::new();
        if let [Some(image), Some(spectrum)] = plain {
            found.push((
                image,
                spectrum,
                pairs_of(&columns[image].1, &columns[spectrum].1),
            ));
        } else {
            // A join by identifier leaves the same identifiers in one column or in two.
            let mut kept: Vec<(&str, Vec<Option<ObjectId>>)> = Vec::new();
            for column in columns {
                if kept.iter().all(|known| known.1 != column.1) {
                    kept.push(column);
                }
            }
            columns = kept;
            for image in 0..columns.len() {
                for spectrum in 0..columns.len() {
                    if image != spectrum || columns.len() == 1 {
                        let pairs = pairs_of(&columns[image].1, &columns[spectrum].1);
                        found.push((image, spectrum, pairs));
                    }
                }
            }
            found.sort_by_key(|(_, _, pairs)| std::cmp::Reverse(pairs.len()));
        }
        let names: Vec<&str> = columns.iter().map(|column| column.0).collect();
        let wrong = |message: String| {
            Err(Error::input(format!(
                "{message}; call the columns {} and {}",
                PLAIN_NAMES[0], PLAIN_NAMES[1]
            ))
            .in_file(path))
        };
        let best = found.iter().find(|(_, _, pairs)| !pairs.is_empty());
        let Some((image, spectrum, known)) = best else {
            return wrong(format!(
                "none of its {} rows names one of {} and one of {} (columns of identifiers: {})",
                table.rows(),
                images.example(),
                spectra.example(),
                names.join(", ")
            ));
        };
        if let Some((other_image, other_spectrum, others)) = found.get(1)
            && 2 * others.len() > known.len()
        {
            return wrong(format!(
                "both `{}` and `{}` may name the images and the spectra ({} pairs are in the files), and so may `{}` and \
                 `{}` ({})",
                names[*image],
                names[*spectrum],
                known.len(),
                names[*other_image],
                names[*other_spectrum],
                others.len()
            ));
        }
        let mut partners = HashMap::with_capacity(known.len());
        let mut taken = HashSet::with_capacity(known.len());
        for &(image, spectrum) in known {
            if !partners.contains_key(&image) && taken.insert(spectrum) {
                partners.insert(image, spectrum);
            }
        }
        let repeated = known.len() - partners.len();
        Ok(Self {
            by: format!(
                "`{}` and `{}` of {}; they are called as their spectra are",
                names[*image],
                names[*spectrum],
                path.display()
            ),
            doubt: (repeated > 0).then(|| {
                format!(
                    "{}: rows with an image or a spectrum of an earlier row, not used: {repeated}",
                    path.display()
                )
            }),
            partners,
        })
    }
}

/// The redshifts that image and spectrum of the same galaxies have, each from its own file.
#[derive(Debug, Default)]
struct Comparison {
    compared: usize,
    different: usize,
    first: Option<String>,
}

impl Comparison {
    fn add(&mut self, image: &Entry, spectrum: &Entry) {
        let [of_image, of_spectrum] = [image.redshift, spectrum.redshift];
        if !of_image.is_finite() || !of_spectrum.is_finite() {
            return;
        }
        self.compared += 1;
        if (of_image - of_spectrum).abs() > REDSHIFT_TOLERANCE * (1.0 + of_spectrum) {
            self.different += 1;
            self.first.get_or_insert_with(|| {
                format!(
                    "{} with {of_image} beside its image and {of_spectrum} beside its spectrum",
                    spectrum.id
                )
            });
        }
    }

    /// Where most redshifts differ, equal identifiers are hardly the same galaxy's.
    fn doubt(self) -> Option<String> {
        let first = self.first.filter(|_| 2 * self.different > self.compared)?;
        Some(format!(
            "of {} galaxies with a redshift in both files {} have two that differ by more than {REDSHIFT_TOLERANCE} \
             (1 + z), the first is {first}; see whether images and spectra are of the same galaxies",
            self.compared, self.different
        ))
    }
}
