//! What survey files hold, and how their values are distributed: for `inspect` and `check`.

mod files;
mod placeholders;

use std::collections::{BTreeMap, HashSet};

use ndarray::Axis;
use serde::Serialize;

pub(super) use placeholders::{Placeholders, in_words};

use crate::base::error::Result;
use crate::files::data::{Dataset, Description, FileDescription, Galaxies, Skipped};
use crate::survey::{Modality, ObjectId};

/// Galaxies whose values are looked at, spread evenly over the file.
const SAMPLE: usize = 512;
/// Bars of the histogram of redshifts.
const BARS: usize = 12;
/// Identifiers that are read at once.
const LABEL_ROWS: usize = 1 << 16;

/// What a survey file holds.
#[derive(Debug, Serialize)]
pub(super) struct Survey {
    #[serde(flatten)]
    description: Description,
    with_object_id: usize,
    /// Galaxies whose identifier an earlier one has.
    repeated_ids: usize,
    redshifts: Redshifts,
    /// Numbers that stand for unknown in other catalogues, by column of the files' own, and how often they are here;
    /// [`Survey::look_for_placeholders`] finds them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    placeholders: BTreeMap<String, BTreeMap<String, usize>>,
    /// Galaxies whose values were looked at, spread evenly over the files.
    sampled: usize,
    /// Of these, galaxies that cannot be used.
    unusable: usize,
    /// Values of each band, of those that can be used, in the unit of the file.
    bands: Vec<Distribution>,
    /// Flux of the spectra.
    flux: Option<Distribution>,
}

#[derive(Debug, Serialize)]
struct Redshifts {
    known: usize,
    /// Quantiles 0, 0.5 and 1.
    least: Option<f32>,
    median: Option<f32>,
    largest: Option<f32>,
    /// Galaxies in bins of one width from the least to the largest.
    histogram: Vec<usize>,
}

/// Pixels of some galaxies.
#[derive(Debug, Default)]
pub(super) struct Values {
    galaxies: usize,
    bands: Vec<Vec<f32>>,
    flux: Vec<f32>,
}

impl Values {
    /// Adds every `stride`-th pixel of galaxies that can be used.
    pub fn add(&mut self, galaxies: &Galaxies, stride: usize) {
        self.galaxies += galaxies.rows.len();
        if let Some(images) = &galaxies.images {
            self.bands.resize_with(images.dim().1, Vec::new);
            for (band, plane) in self.bands.iter_mut().zip(images.axis_iter(Axis(1))) {
                band.extend(plane.iter().step_by(stride));
            }
        }
        if let Some(spectra) = &galaxies.spectra {
            self.flux.extend(spectra.iter().step_by(stride));
        }
    }
}

/// How values are distributed.
#[derive(Debug, Serialize)]
pub(super) struct Distribution {
    pub name: String,
    least: f32,
    pub median: f32,
    largest: f32,
    /// For `images.pixels.mean` and `std` of z-scored images.
    mean: f64,
    pub std: f64,
}

impl Survey {
    /// Reads all identifiers and redshifts, and the values of some galaxies.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn inspect(dataset: &Dataset) -> Result<Self> {
        let skipped = Skipped::default();
        let rows = spread(dataset.len(), SAMPLE);
        let galaxies = skipped.read(dataset, &rows, &held(dataset))?;
        let mut values = Values::default();
        values.add(&galaxies, 1);
        Self::of(dataset, rows.len(), values)
    }

    /// Reads all identifiers and redshifts; `values` are those of the galaxies that can be used among some that were
    /// `looked_at`.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of(dataset: &Dataset, looked_at: usize, values: Values) -> Result<Self> {
        let mut seen = HashSet::new();
        let (mut with_object_id, mut repeated_ids) = (0, 0);
        let mut redshifts = Vec::new();
        for start in (0..dataset.len()).step_by(LABEL_ROWS) {
            let rows = start..(start + LABEL_ROWS).min(dataset.len());
            let labels = dataset.labels(rows.clone())?;
            for (row, id) in rows.zip(labels.object_id) {
                with_object_id += usize::from(id != ObjectId::substitute(row));
                repeated_ids += usize::from(!seen.insert(id));
            }
            redshifts.extend(labels.redshift.into_iter().filter(|z| z.is_finite()));
        }
        let bands = values.bands.into_iter().zip(&dataset.survey().bands);
        Ok(Self {
            description: dataset.describe(),
            with_object_id,
            repeated_ids,
            redshifts: Redshifts::of(redshifts),
            placeholders: BTreeMap::new(),
            sampled: looked_at,
            unusable: looked_at - values.galaxies,
            bands: bands
                .filter_map(|(values, band)| Distribution::of(band, values))
                .collect(),
            flux: Distribution::of("flux", values.flux),
        })
    }

    /// Reads the columns that the files have beside images and spectra.
    pub fn look_for_placeholders(&mut self, dataset: &Dataset) {
        self.placeholders = placeholders::of_survey(dataset);
    }

    /// What each file holds.
    pub fn files(&self) -> &[FileDescription] {
        &self.description.files
    }

    /// Values of each band that can be used, in the unit of the file.
    pub fn bands(&self) -> &[Distribution] {
        &self.bands
    }

    /// Flux of the spectra.
    pub fn flux(&self) -> Option<&Distribution> {
        self.flux.as_ref()
    }

    /// Lines of a table.
    pub fn rows(&self, row: &mut impl FnMut(&str, String)) {
        let Self {
            description,
            redshifts,
            ..
        } = self;
        let formats: HashSet<&str> = description.files.iter().map(|file| file.format).collect();
        let formats: Vec<&str> = formats.into_iter().collect();
        row("holds", format!("survey, {}", formats.join(" and ")));
        row(
            "galaxies",
            format!(
                "{} ({} train, {} test)",
                description.galaxies, description.train, description.test
            ),
        );
        row(
            "identifiers",
            format!(
                "{} known, {}",
                self.with_object_id,
                match self.repeated_ids {
                    0 => "all different".to_owned(),
                    count => format!("{count} repeat an earlier one"),
                }
            ),
        );
        files::rows(&description.files, row);
        for note in &description.notes {
            row("note", note.clone());
        }
        row("redshifts", redshifts.summary());
        if !redshifts.histogram.is_empty() {
            row("", redshifts.bars());
        }
        for (column, counts) in &self.placeholders {
            if let Some(words) = in_words(counts) {
                row("column", format!("`{column}`: {words}"));
            }
        }
        for values in self.bands.iter().chain(&self.flux) {
            let unit = match values.name.as_str() {
                "flux" => "1e-17 erg/s/cm²/Å",
                _ => "nanomaggies",
            };
            row(
                &values.name,
                format!(
                    "{:.3} … {:.3} … {:.3}, mean {:.4}, deviation {:.4} ({unit})",
                    values.least, values.median, values.largest, values.mean, values.std
                ),
            );
        }
        row(
            "looked at",
            match self.unusable {
                0 => format!("{} galaxies, all can be used", self.sampled),
                count => format!(
                    "{} galaxies, {count} cannot be used; `astroclip check` lists all",
                    self.sampled
                ),
            },
        );
    }
}

impl Redshifts {
    fn of(mut values: Vec<f32>) -> Self {
        values.sort_unstable_by(f32::total_cmp);
        let (least, largest) = (values.first().copied(), values.last().copied());
        let mut histogram = Vec::new();
        if let (Some(least), Some(largest)) = (least, largest)
            && largest > least
        {
            histogram = vec![0; BARS];
            for value in &values {
                let bin = (value - least) / (largest - least) * BARS as f32;
                histogram[(bin as usize).min(BARS - 1)] += 1;
            }
        }
        Self {
            known: values.len(),
            least,
            median: values.get(values.len() / 2).copied(),
            largest,
            histogram,
        }
    }

    fn summary(&self) -> String {
        match (self.least, self.median, self.largest) {
            (Some(least), Some(median), Some(largest)) => format!(
                "{} known, {least:.4} … {median:.4} … {largest:.4}",
                self.known
            ),
            _ => "none known".to_owned(),
        }
    }

    /// The histogram in one line.
    fn bars(&self) -> String {
        const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let most = self.histogram.iter().copied().max().unwrap_or(0).max(1);
        let level = |&count: &usize| match count {
            0 => ' ',
            _ => LEVELS[(count * (LEVELS.len() - 1)).div_ceil(most)],
        };
        self.histogram.iter().map(level).collect()
    }
}

impl Distribution {
    fn of(name: &str, mut values: Vec<f32>) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let squares = values
            .iter()
            .map(|&value| (f64::from(value) - mean).powi(2));
        let std = (squares.sum::<f64>() / count).sqrt();
        let least = values.iter().copied().min_by(f32::total_cmp)?;
        let largest = values.iter().copied().max_by(f32::total_cmp)?;
        let middle = values.len() / 2;
        let (_, &mut median, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
        Some(Self {
            name: name.to_owned(),
            least,
            median,
            largest,
            mean,
            std,
        })
    }
}

/// What the files hold.
pub(super) fn held(dataset: &Dataset) -> Vec<Modality> {
    Modality::ALL
        .into_iter()
        .filter(|&modality| dataset.has(modality))
        .collect()
}

/// At most `count` of `rows` rows, spread evenly.
pub(super) fn spread(rows: usize, count: usize) -> Vec<usize> {
    let count = count.min(rows);
    (0..count).map(|index| index * rows / count).collect()
}
