//! Galaxies and what a search finds for them, for the pages of quickstart and evaluation.

use std::collections::{BTreeMap, HashMap};

use ndarray::Axis;

use crate::base::error::{Error, Result};
use crate::evaluation::report::{Direction, Galaxy, Neighbour, Query, Retrieval};
use crate::evaluation::search::{Query as SearchQuery, search};
use crate::files::data::Dataset;
use crate::files::embeddings::EmbeddingFile;
use crate::survey::{Labels, Modality, ObjectId, RgbScaling, arcsinh_rgb};
use crate::views::augment::centre_crop;

/// Galaxies found per query and direction.
const NEIGHBOURS: usize = 4;
/// Queries shown.
const QUERIES: usize = 6;
/// Side of the pictures, pixels; the galaxies fill the middle of a cutout.
const PICTURE_SIZE: usize = 96;
/// Rows whose identifiers are read at once.
const LABEL_ROWS: usize = 1 << 16;

/// Searches among `galaxies` in all four directions, with the pictures and spectra of what was found, which
/// `dataset` holds. The queries are a red quiescent and a blue star-forming galaxy as in the paper's Fig. 2,
/// where `labels` tell them, and others.
///
/// # Errors
/// Where the data set lacks a galaxy, or cannot be read.
pub(super) fn search_examples(
    galaxies: &EmbeddingFile,
    labels: Option<&Labels>,
    dataset: &Dataset,
) -> Result<Retrieval> {
    let ids = &galaxies.object_id;
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    let mut shown = Vec::new();
    let mut shown_index = |row: usize| {
        *rows.entry(row).or_insert_with(|| {
            shown.push(row);
            shown.len() - 1
        })
    };
    let mut queries = Vec::new();
    for chosen in choose(ids, labels) {
        let galaxy = shown_index(chosen.row);
        let mut neighbours = Vec::new();
        for direction in Direction::ALL {
            let (from, to) = views(direction);
            let query = SearchQuery {
                object_id: ids[chosen.row],
                from,
                to,
                k: NEIGHBOURS + 1,
            };
            let found = search(galaxies, &query)?
                .into_iter()
                .filter(|found| from != to || found.row != chosen.row)
                .take(NEIGHBOURS)
                .map(|found| Neighbour {
                    galaxy: shown_index(found.row),
                    similarity: found.similarity,
                })
                .collect();
            neighbours.push(found);
        }
        queries.push(Query {
            galaxy,
            label: chosen.label,
            show_spectra: chosen.show_spectra,
            neighbours: neighbours.try_into().unwrap_or_default(),
        });
    }
    let shown: Vec<ObjectId> = shown.into_iter().map(|row| ids[row]).collect();
    Ok(Retrieval {
        galaxies: read(dataset, &shown)?,
        queries,
        wavelengths: dataset.survey().wavelengths.wavelengths(),
        pixel_scale: dataset.survey().pixel_scale,
    })
}

/// The two views that a direction of search joins.
fn views(direction: Direction) -> (Modality, Modality) {
    use Modality::{Image, Spectrum};
    match direction {
        Direction::SpectrumToSpectrum => (Spectrum, Spectrum),
        Direction::ImageToImage => (Image, Image),
        Direction::SpectrumToImage => (Spectrum, Image),
        Direction::ImageToSpectrum => (Image, Spectrum),
    }
}

struct Chosen {
    /// Row among the galaxies.
    row: usize,
    label: String,
    show_spectra: bool,
}

/// The queries: by specific star-formation rate, then spread evenly.
fn choose(ids: &[ObjectId], labels: Option<&Labels>) -> Vec<Chosen> {
    let rates = specific_rates(ids, labels);
    let mut by_rate: Vec<usize> = (0..ids.len())
        .filter(|&row| rates[row].is_finite())
        .collect();
    by_rate.sort_by(|&a, &b| rates[a].total_cmp(&rates[b]));
    let at = |fraction: f64| {
        let index = (fraction * by_rate.len() as f64) as usize;
        by_rate.get(index).copied()
    };
    let labelled = [
        (at(0.05), "red, quiescent"),
        (at(0.95), "blue, star-forming"),
    ];
    let mut chosen: Vec<Chosen> = labelled
        .into_iter()
        .filter_map(|(row, label)| {
            Some(Chosen {
                row: row?,
                label: label.into(),
                show_spectra: true,
            })
        })
        .collect();
    let step = (ids.len() / QUERIES).max(1);
    for row in (0..ids.len()).step_by(step) {
        if chosen.len() < QUERIES && chosen.iter().all(|other| other.row != row) {
            chosen.push(Chosen {
                row,
                label: String::new(),
                show_spectra: false,
            });
        }
    }
    chosen
}

/// log10 of the specific star-formation rate of each galaxy, NaN where unknown.
fn specific_rates(ids: &[ObjectId], labels: Option<&Labels>) -> Vec<f64> {
    let column = |name: &str| labels.and_then(|labels| labels.columns.get(name));
    let known: HashMap<ObjectId, f64> = match (labels, column("AVG_SFR"), column("LOG_MSTAR")) {
        (Some(labels), Some(rate), Some(mass)) => labels
            .object_id
            .iter()
            .zip(rate.iter().zip(mass))
            .map(|(&id, (rate, mass))| (id, rate.log10() - mass))
            .collect(),
        _ => HashMap::new(),
    };
    ids.iter()
        .map(|id| known.get(id).copied().unwrap_or(f64::NAN))
        .collect()
}

/// Pictures and spectra of these galaxies.
fn read(dataset: &Dataset, ids: &[ObjectId]) -> Result<Vec<Galaxy>> {
    let mut rows: HashMap<ObjectId, usize> = HashMap::new();
    for start in (0..dataset.len()).step_by(LABEL_ROWS) {
        let range = start..(start + LABEL_ROWS).min(dataset.len());
        let labels = dataset.labels(range.clone())?;
        for (row, id) in range.zip(labels.object_id) {
            if ids.contains(&id) {
                rows.entry(id).or_insert(row);
            }
        }
    }
    let row = |id: &ObjectId| {
        rows.get(id).copied().ok_or_else(|| {
            Error::input(format!(
                "galaxy {id} is in the embeddings, not in the survey files; give the files that were embedded"
            ))
        })
    };
    let rows: Vec<usize> = ids.iter().map(row).collect::<Result<_>>()?;
    let images = dataset.images(&rows)?;
    let spectra = match dataset.has(Modality::Spectrum) {
        true => Some(dataset.spectra(&rows)?),
        false => None,
    };
    let pixels = dataset.survey().wavelengths.len;
    let galaxies = rows.iter().enumerate().map(|(index, &row)| {
        let labels = dataset.labels(row..row + 1)?;
        let redshift = f64::from(labels.redshift[0]);
        let image = images.index_axis(Axis(0), index);
        let (bands, side, _) = image.dim();
        let three = centre_crop(image, PICTURE_SIZE.min(side))
            .select(Axis(0), &[0, (bands - 1) / 2, bands - 1]);
        Ok(Galaxy {
            id: labels.object_id[0],
            redshift: redshift.is_finite().then_some(redshift),
            picture: arcsinh_rgb(three.view(), &RgbScaling::default()),
            spectrum: match &spectra {
                Some(spectra) => spectra.row(index).to_vec(),
                None => vec![f32::NAN; pixels],
            },
        })
    });
    galaxies.collect()
}
