//! Survey files as one table of galaxies with random access to its rows.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use ndarray::{Array2, Array4, ArrayView2, ArrayView3, ArrayView4, Axis, s};

use super::describe::{Description, FileDescription};
use super::rows::RowSet;
use super::source::{Source, SourceLabels, Splits, by_part};
use crate::base::error::{Error, Result};
use crate::survey::{Modality, ObjectId, Resampler, Split, Survey, centre_margin};

/// Galaxies with images, spectra or both, read row by row from files: as the survey says, whatever the
/// format. Memory does not grow with the number of galaxies, except for 80 % splits by identifier, which
/// take some bytes for each.
///
/// All methods may be called from several threads.
#[derive(Debug)]
pub struct Dataset {
    survey: Survey,
    parts: Vec<Part>,
    /// First row of each part.
    starts: Vec<usize>,
    len: usize,
    /// Side of the images, after they were cut.
    image_size: Option<usize>,
    train: RowSet,
    /// Whether it was said that there are galaxies without identifiers.
    told_of_missing_ids: AtomicBool,
}

/// A band with a larger share of its pixels in runs of exact zeros was not observed: files have them where
/// there are no data.
const MOST_ZEROS: f64 = 0.5;

/// Zeros of rounded noise do not follow one another for so many pixels.
const RUN: usize = 16;

/// One file.
#[derive(Debug)]
struct Part {
    source: Box<dyn Source>,
    /// To the survey's wavelengths, where the file's are others.
    resampler: Option<Resampler>,
}

/// Identifiers and redshifts of some galaxies.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Labels {
    /// A galaxy without one has `-(row + 1)`.
    pub object_id: Vec<ObjectId>,
    /// NaN where unknown.
    pub redshift: Vec<f32>,
}

/// Images and spectra of some galaxies.
#[derive(Debug, Clone)]
pub struct Galaxies {
    /// Their rows in the data set.
    pub rows: Vec<usize>,
    /// Images, `(n, bands, S, S)`, where they were asked for.
    pub images: Option<Array4<f32>>,
    /// Spectra, `(n, pixels)`, where they were asked for.
    pub spectra: Option<Array2<f32>>,
}

impl Galaxies {
    /// The images, which must have been asked for.
    pub fn asked_images(&self) -> ArrayView4<'_, f32> {
        self.images.as_ref().expect("images were asked for").view()
    }

    /// The spectra, which must have been asked for.
    pub fn asked_spectra(&self) -> ArrayView2<'_, f32> {
        let spectra = self.spectra.as_ref();
        spectra.expect("spectra were asked for").view()
    }
}

impl Dataset {
    /// Joins files, at least one, in the order of their rows.
    ///
    /// # Errors
    /// Where one lacks images or spectra that another has, images differ in size, or spectra lie outside
    /// of the survey's wavelengths.
    pub(super) fn new(sources: Vec<Box<dyn Source>>, survey: &Survey) -> Result<Self> {
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
        };
        for source in sources {
            dataset.push(source)?;
        }
        Ok(dataset)
    }

    fn push(&mut self, source: Box<dyn Source>) -> Result<()> {
        let contents = source.contents();
        let path = contents.path.display();
        let resampler = match &contents.wavelengths {
            Some(wavelengths) if !self.survey.wavelengths.matches(wavelengths) => {
                let resampler =
                    Resampler::new(wavelengths, &self.survey.wavelengths).map_err(|message| {
                        Error::input(format!("wavelength axis {message}")).in_file(&contents.path)
                    })?;
                tracing::info!(
                    "{path}: spectra of {} pixels are resampled; they cover {:.1} % of the wavelengths",
                    wavelengths.len(),
                    100.0 * resampler.coverage()
                );
                Some(resampler)
            }
            _ => None,
        };
        for note in &contents.notes {
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
                for (offset, id) in ids.into_iter().enumerate() {
                    let id = id.unwrap_or_else(|| substitute_id(start + offset));
                    if Split::of_id(id) == Split::Train {
                        self.train.push(start + offset..start + offset + 1);
                    }
                }
            }
        }
        self.starts.push(start);
        self.len += contents.rows();
        self.parts.push(Part { source, resampler });
        Ok(())
    }

    /// Number of galaxies.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no galaxies.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What images and spectra look like once read.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Whether there are images, or spectra.
    pub fn has(&self, modality: Modality) -> bool {
        match modality {
            Modality::Image => self.image_size.is_some(),
            Modality::Spectrum => self.parts[0].source.contents().wavelengths.is_some(),
        }
    }

    /// Side of the images in pixels; `None` without images.
    pub fn image_size(&self) -> Option<usize> {
        self.image_size
    }

    /// The rows that train.
    pub fn train_rows(&self) -> &RowSet {
        &self.train
    }

    /// Training or test.
    pub fn split(&self, row: usize) -> Split {
        match self.train.contains(row) {
            true => Split::Train,
            false => Split::Test,
        }
    }

    /// Identifiers and redshifts of these rows.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn labels(&self, rows: Range<usize>) -> Result<Labels> {
        let mut labels = Labels::default();
        for (part, &start) in self.parts.iter().zip(&self.starts) {
            let end = start + part.source.contents().rows();
            let (from, to) = (rows.start.max(start), rows.end.min(end));
            if from >= to {
                continue;
            }
            let SourceLabels {
                object_id,
                redshift,
            } = part.source.labels(from - start..to - start)?;
            let missing = object_id.iter().filter(|id| id.is_none()).count();
            if missing > 0 && !self.told_of_missing_ids.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "{}: galaxies have no object id; they get minus their row number, counted from 1",
                    part.source.contents().path.display()
                );
            }
            let ids = object_id.into_iter().enumerate();
            labels
                .object_id
                .extend(ids.map(|(row, id)| id.unwrap_or_else(|| substitute_id(from + row))));
            labels.redshift.extend(redshift);
        }
        Ok(labels)
    }

    /// An error about a galaxy's image or spectrum: names file, dataset and row.
    fn error(&self, modality: Modality, row: usize, message: impl std::fmt::Display) -> Error {
        let part = self.starts.partition_point(|&start| start <= row) - 1;
        let source = &self.parts[part].source;
        Error::input(message)
            .about(source.place(modality, row - self.starts[part]))
            .in_file(&source.contents().path)
    }

    /// Images of these rows, in this order: `(n, bands, S, S)`, bands of the survey, in the units of the
    /// file (nanomaggies).
    ///
    /// # Errors
    /// Without images, where a file cannot be read, and where an image holds a NaN or an infinity or one of
    /// its bands is mostly missing: exactly zero in more than half of the pixels, many in a row.
    pub fn images(&self, rows: &[usize]) -> Result<Array4<f32>> {
        let size = self.image_size.ok_or_else(|| self.lacks(Modality::Image))?;
        let bands = self.survey.bands.len();
        let mut images = Array4::zeros((rows.len(), bands, size, size));
        for (part, wanted) in self.by_part(rows) {
            let source = &self.parts[part].source;
            let shape = source
                .contents()
                .image_shape
                .expect("all files have images");
            if shape == [bands, size, size] {
                let out = images.as_slice_mut().expect("standard layout");
                source.read_images(&wanted, out)?;
                continue;
            }
            let mut whole = vec![0.0; wanted.len() * shape.iter().product::<usize>()];
            source.read_images(&packed(&wanted), &mut whole)?;
            let pixels = shape.iter().product();
            for (values, &(position, _)) in whole.chunks_exact(pixels).zip(&wanted) {
                let image = ArrayView3::from_shape(shape, values).expect("as many pixels");
                let [top, left] = [shape[1], shape[2]].map(|side| centre_margin(side, size));
                let centre = image.slice(s![.., top..top + size, left..left + size]);
                images.index_axis_mut(Axis(0), position).assign(&centre);
            }
        }
        let pixels = images.as_slice().expect("standard layout");
        let per_image = (bands * size * size).max(1);
        for (image, &row) in pixels.chunks_exact(per_image).zip(rows) {
            self.check_image(image, row)?;
        }
        Ok(images)
    }

    fn check_image(&self, image: &[f32], row: usize) -> Result<()> {
        let wrong = |message: String| Err(self.error(Modality::Image, row, message));
        let bands = &self.survey.bands;
        let mut missing = Vec::new();
        for (plane, band) in image.chunks_exact(image.len() / bands.len()).zip(bands) {
            // Without an early exit the loop runs on whole vectors.
            let (finite, zeros) = plane.iter().fold((true, 0_u32), |(finite, zeros), &value| {
                (finite & value.is_finite(), zeros + u32::from(value == 0.0))
            });
            if !finite {
                return wrong(not_finite(&format!(" of band {band}"), plane));
            }
            let most = MOST_ZEROS * plane.len() as f64;
            let width = self.image_size.expect("there are images");
            // Few images have so many zeros: only theirs are looked at in turn.
            if f64::from(zeros) > most && zeros_in_runs(plane, width) as f64 > most {
                let share = f64::from(zeros) / plane.len() as f64;
                missing.push(format!("{band} ({:.0} % of its pixels)", 100.0 * share));
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => wrong(format!(
                "nothing but zeros in band {}: it was not observed there; remove the galaxy, or pass \
                 --skip-bad",
                missing.join(" and ")
            )),
        }
    }

    /// Spectra of these rows, in this order: `(n, pixels)` at the survey's wavelengths, in the units of the
    /// file (1e-17 erg/s/cm²/Å).
    ///
    /// # Errors
    /// Without spectra, where a file cannot be read, and where a spectrum holds a NaN or an infinity or is
    /// zero everywhere.
    pub fn spectra(&self, rows: &[usize]) -> Result<Array2<f32>> {
        if !self.has(Modality::Spectrum) {
            return Err(self.lacks(Modality::Spectrum));
        }
        let mut spectra = Array2::zeros((rows.len(), self.survey.wavelengths.len));
        for (part, wanted) in self.by_part(rows) {
            let Part { source, resampler } = &self.parts[part];
            let Some(resampler) = resampler else {
                let out = spectra.as_slice_mut().expect("standard layout");
                source.read_spectra(&wanted, out)?;
                continue;
            };
            let mut whole = vec![0.0; wanted.len() * resampler.pixels()];
            source.read_spectra(&packed(&wanted), &mut whole)?;
            let values = whole.chunks_exact(resampler.pixels());
            for (spectrum, &(position, row)) in values.zip(&wanted) {
                self.check_spectrum(spectrum, self.starts[part] + row)?;
                let mut out = spectra.row_mut(position);
                resampler.apply(spectrum, out.as_slice_mut().expect("standard layout"));
            }
        }
        for (spectrum, &row) in spectra.outer_iter().zip(rows) {
            self.check_spectrum(spectrum.to_slice().expect("standard layout"), row)?;
        }
        Ok(spectra)
    }

    fn check_spectrum(&self, spectrum: &[f32], row: usize) -> Result<()> {
        let (finite, any) = spectrum.iter().fold((true, false), |(finite, any), &flux| {
            (finite & flux.is_finite(), any | (flux != 0.0))
        });
        let message = match (finite, any) {
            (true, true) => return Ok(()),
            (false, _) => not_finite("", spectrum),
            (true, false) => {
                "the spectrum is zero everywhere; remove the row, or pass --skip-bad".to_owned()
            }
        };
        Err(self.error(Modality::Spectrum, row, message))
    }

    /// Images and spectra, those that are asked for, of these rows.
    ///
    /// # Errors
    /// As [`Dataset::images`] and [`Dataset::spectra`].
    pub fn read(&self, rows: &[usize], modalities: &[Modality]) -> Result<Galaxies> {
        let wants = |modality| modalities.contains(&modality);
        Ok(Galaxies {
            rows: rows.to_vec(),
            images: wants(Modality::Image)
                .then(|| self.images(rows))
                .transpose()?,
            spectra: wants(Modality::Spectrum)
                .then(|| self.spectra(rows))
                .transpose()?,
        })
    }

    /// What the files hold, for people.
    pub fn describe(&self) -> Description {
        let files = self.parts.iter().map(|part| {
            let contents = part.source.contents();
            let ends = |waves: &Vec<f64>| [waves[0], waves[waves.len() - 1]];
            let coverage =
                |resampler: &Option<Resampler>| resampler.as_ref().map_or(1.0, Resampler::coverage);
            FileDescription {
                path: contents.path.clone(),
                format: contents.format,
                galaxies: contents.rows(),
                bands: contents.band_names.clone().unwrap_or_default(),
                image_shape: contents.image_shape,
                spectrum_pixels: contents.wavelengths.as_ref().map(Vec::len),
                wavelength_range: contents.wavelengths.as_ref().map(ends),
                wavelength_coverage: contents
                    .wavelengths
                    .as_ref()
                    .map(|_| coverage(&part.resampler)),
                catalog_columns: contents.catalog_columns.clone(),
                groups: contents.groups.clone(),
                notes: contents.notes.clone(),
            }
        });
        Description {
            galaxies: self.len,
            train: self.train.len(),
            test: self.len - self.train.len(),
            files: files.collect(),
        }
    }

    fn by_part(&self, rows: &[usize]) -> Vec<(usize, Vec<(usize, usize)>)> {
        let wanted = rows.iter().copied().enumerate().inspect(|&(_, row)| {
            assert!(row < self.len, "row {row} of {}", self.len);
        });
        by_part(&self.starts, wanted)
    }

    fn lacks(&self, modality: Modality) -> Error {
        let contents = self.parts[0].source.contents();
        let what = plural(modality);
        Error::input(format!(
            "holds no {what} (format: {}); give a file with {what}",
            contents.format
        ))
        .in_file(&contents.path)
    }
}

/// Pixels in horizontal runs of at least [`RUN`] exact zeros, or whole rows of them.
fn zeros_in_runs(plane: &[f32], width: usize) -> usize {
    let least = RUN.min(width);
    let rows = plane.chunks_exact(width);
    rows.map(|row| {
        let runs = row.chunk_by(|a, b| (*a == 0.0) == (*b == 0.0));
        let zeros = runs.filter(|run| run[0] == 0.0 && run.len() >= least);
        zeros.map(<[f32]>::len).sum::<usize>()
    })
    .sum()
}

/// The same rows, to be read one behind the other.
fn packed(wanted: &[(usize, usize)]) -> Vec<(usize, usize)> {
    wanted.iter().map(|&(_, row)| row).enumerate().collect()
}

/// Identifier of a row whose file has none.
fn substitute_id(row: usize) -> ObjectId {
    -(row as ObjectId) - 1
}

fn plural(modality: Modality) -> &'static str {
    match modality {
        Modality::Image => "images",
        Modality::Spectrum => "spectra",
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

fn not_finite(part: &str, values: &[f32]) -> String {
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    let first = values.iter().position(|value| !value.is_finite());
    let first = first.expect("a value is not finite");
    format!(
        "{bad} of {} values{part} are NaN or infinite, the first ({}) at place {first}; fill \
         them, remove the row, or pass --skip-bad",
        values.len(),
        values[first]
    )
}
