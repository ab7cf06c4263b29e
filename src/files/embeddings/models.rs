//! Embedding files of any program: which of their columns are embeddings, and of what.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::columns::{self, Column};
use super::observed::{BANDS_MISSING, DEC, OF_SPECTRA, RA};
use super::{
    EmbeddingFile, EmbeddingKey, Keys, OBJECT_ID, Observed, SPLIT, dataset_name, known_redshifts,
};
use crate::base::error::{Error, Result};
use crate::survey::{Choice, Columns, Modality, Split, Target, choose};

/// How the names of columns of embeddings end, as the released code and this program write them.
const SUFFIX: &str = "_embeddings";
/// What other programs call embeddings, the best first; upper or lower case does not matter.
const EMBEDDING_NAMES: [&str; 8] = [
    "embeddings",
    "embedding",
    "representations",
    "representation",
    "features",
    "latents",
    "latent",
    "data",
];
/// Vectors that are no embeddings.
const NO_EMBEDDINGS: [&str; 7] = [
    "image", "images", "spectrum", "spectra", "flux", "ivar", "lambda",
];
/// What identifiers are called, the best first.
const ID_NAMES: [&str; 10] = [
    OBJECT_ID,
    "targetid",
    "targetids",
    "target_id",
    "objid",
    "inds",
    "ids",
    "id",
    "source_id",
    "index",
];

/// Embeddings of one model.
#[derive(Debug, Clone)]
pub struct ModelEmbeddings {
    /// What to call the model.
    pub name: String,
    /// Its embeddings.
    pub file: EmbeddingFile,
}

impl ModelEmbeddings {
    /// Reads the embeddings of all models that `path` holds; a model that the file does not name is `name`.
    ///
    /// Recognised are this program's files and the released ones (`image_embeddings`,
    /// `spectrum_embeddings`, `object_id`), the tables of the released downstream tasks
    /// (`stein_embeddings`, `astroclip_image_embeddings`, … in a compound dataset), and any HDF5 file with a
    /// dataset (N, D) of floating point numbers and identifiers. Without `split`, the first 80 % train (with a
    /// warning).
    ///
    /// # Errors
    /// [`Error::input`] names the file and dataset, what it is and what was expected.
    pub fn open(path: &Path, name: &str, keys: &Keys) -> Result<Vec<Self>> {
        if let Some(wanted) = keys.own()
            && let Some(file) = EmbeddingFile::open_vectors(path, &wanted)?
        {
            let name = name.to_owned();
            return Ok(vec![Self { name, file }]);
        }
        let columns = columns::list(path)?;
        let found = match keys.embeddings.is_empty() {
            true => recognised(&columns),
            false => named(path, &columns, &keys.embeddings)?,
        };
        let own = |column: &Column| {
            let mut names = Modality::ALL.into_iter().map(dataset_name);
            column.name == OBJECT_ID || names.any(|name| name == column.name)
        };
        // Also where nothing is recognised: the message says what is missing.
        let is_ours = found.iter().all(|(column, _)| own(column))
            && columns.iter().any(own)
            && keys.id.is_none();
        if is_ours && keys.embeddings.is_empty() {
            let file = EmbeddingFile::open(path)?;
            let name = name.to_owned();
            return Ok(vec![Self { name, file }]);
        }
        let Some((first, _)) = found.first() else {
            return Err(Error::input(format!(
                "no embeddings recognised; name their dataset with --embedding-key; there are {}",
                described(&columns)
            ))
            .in_file(path));
        };
        let shared = shared_columns(path, &columns, first.rows, keys.id.as_deref())?;
        let mut models: Vec<Self> = Vec::new();
        for (column, key) in &found {
            if column.rows != shared.object_id.len() {
                return Err(Error::input(format!(
                    "{} has {} rows; expected {}, as {}",
                    column.name,
                    column.rows,
                    shared.object_id.len(),
                    first.name
                ))
                .in_file(path));
            }
            let (of_key, guessed) = model_and_modality(&column.name);
            let model = of_key.unwrap_or_else(|| name.to_owned());
            let modality = key.and_then(|key| key.modality).unwrap_or(guessed);
            let position = models.iter().position(|known| known.name == model);
            let position = position.unwrap_or_else(|| {
                models.push(Self {
                    name: model.clone(),
                    file: shared.clone(),
                });
                models.len() - 1
            });
            let file = &mut models[position].file;
            let place = match modality {
                Modality::Image => &mut file.image,
                Modality::Spectrum => &mut file.spectrum,
            };
            if place.is_some() {
                return Err(Error::input(format!(
                    "{} is a second {modality} embedding of the model `{model}`; name one with \
                     --embedding-key",
                    column.name
                ))
                .in_file(path));
            }
            *place = Some(column.matrix(path)?);
        }
        Ok(models)
    }
}

/// A column of embeddings, and what the user said of it.
type Found<'a> = (&'a Column, Option<&'a EmbeddingKey>);

fn recognised(columns: &[Column]) -> Vec<Found<'_>> {
    let is_vector = |column: &&Column| column.is_float() && column.width > 1;
    let vectors: Vec<&Column> = columns.iter().filter(is_vector).collect();
    let mut found: Vec<&Column> = vectors
        .iter()
        .copied()
        .filter(|column| column.name.ends_with(SUFFIX))
        .collect();
    if found.is_empty() {
        found.extend(by_name(&vectors, &EMBEDDING_NAMES));
    }
    if found.is_empty() {
        let rest = vectors.iter().filter(|column| {
            let mut names = NO_EMBEDDINGS.iter();
            !names.any(|name| base(&column.name).eq_ignore_ascii_case(name))
        });
        let rest: Vec<&Column> = rest.copied().collect();
        if let [only] = rest[..] {
            found.push(only);
        }
    }
    found.into_iter().map(|column| (column, None)).collect()
}

fn named<'a>(
    path: &Path,
    columns: &'a [Column],
    keys: &'a [EmbeddingKey],
) -> Result<Vec<Found<'a>>> {
    keys.iter()
        .map(
            |key| match columns.iter().find(|column| column.name == key.key) {
                Some(column) if column.width > 1 && !column.is_text() => Ok((column, Some(key))),
                Some(column) => Err(Error::input(format!(
                    "{} holds no vectors; expected floating point numbers of shape (N, D)",
                    column.described()
                ))
                .in_file(path)),
                None => Err(Error::input(format!(
                    "no dataset `{}`; there are {}",
                    key.key,
                    described(columns)
                ))
                .in_file(path)),
            },
        )
        .collect()
}

/// Identifiers, splits and redshifts of `rows` galaxies, without embeddings.
fn shared_columns(
    path: &Path,
    columns: &[Column],
    rows: usize,
    id: Option<&str>,
) -> Result<EmbeddingFile> {
    let per_galaxy: Vec<&Column> = columns
        .iter()
        .filter(|column| column.rows == rows && column.width == 1)
        .collect();
    let id_column = match id {
        Some(id) => per_galaxy.iter().copied().find(|column| column.name == id),
        None => by_name(&per_galaxy, &ID_NAMES),
    };
    let Some(id_column) = id_column else {
        let wanted = id.map_or_else(|| ID_NAMES.join(", "), |id| format!("`{id}`"));
        return Err(Error::input(format!(
            "no identifiers ({wanted}) of the {rows} galaxies; name them \
             with --embedding-id-key; there are {}",
            described(columns)
        ))
        .in_file(path));
    };
    let redshift = redshifts(path, &per_galaxy)?.unwrap_or_else(|| vec![f32::NAN; rows]);
    Ok(EmbeddingFile {
        path: path.to_owned(),
        files: vec![path.to_owned()],
        image: None,
        spectrum: None,
        object_id: id_column.ids(path)?,
        split: split(path, by_name(&per_galaxy, &[SPLIT]), rows)?,
        redshift,
        observed: observed(path, &per_galaxy, rows)?,
        features: Vec::new(),
        provenance: None,
    })
}

/// What columns of this program's names say of the galaxies' positions and of how much of them was measured.
fn observed(path: &Path, columns: &[&Column], rows: usize) -> Result<Vec<Observed>> {
    let numbers = |name: &str| -> Result<Option<Vec<f64>>> {
        let column = by_name(columns, &[name]).filter(|column| !column.is_text());
        column.map(|column| column.numbers(path)).transpose()
    };
    let mut observed = vec![Observed::UNKNOWN; rows];
    if let Some((ra, dec)) = numbers(RA)?.zip(numbers(DEC)?) {
        for (of, position) in observed.iter_mut().zip(ra.into_iter().zip(dec)) {
            of.position = position.into();
        }
    }
    for (name, put) in OF_SPECTRA {
        let values = numbers(name)?.into_iter().flatten();
        for (of, value) in observed.iter_mut().zip(values) {
            put(of, value as f32);
        }
    }
    for (of, bands) in observed
        .iter_mut()
        .zip(numbers(BANDS_MISSING)?.into_iter().flatten())
    {
        of.bands_missing = (0.0..255.0).contains(&bands).then_some(bands as u8);
    }
    Ok(observed)
}

/// The redshifts that a column tells, NaN where unknown.
fn redshifts(path: &Path, columns: &[&Column]) -> Result<Option<Vec<f32>>> {
    let numbers: Vec<&Column> = columns
        .iter()
        .copied()
        .filter(|column| column.is_float())
        .collect();
    let values = RefCell::new(Ok(()));
    let read = |at: usize| match numbers[at].numbers(path) {
        Ok(numbers) => Ok(Cow::Owned(numbers)),
        Err(error) => {
            *values.borrow_mut() = Err(error);
            Err("what cannot be read".to_owned())
        }
    };
    let seen = Columns {
        names: numbers.iter().map(|column| base(&column.name)).collect(),
        numbers: &read,
    };
    let choice = choose(Target::Redshift, &seen, &BTreeMap::new());
    values.into_inner()?;
    Ok(match choice {
        Choice::Chosen(chosen) => Some(known_redshifts(
            chosen.recorded.into_iter().map(|z| z as f32),
        )),
        Choice::Refused(why) => {
            tracing::warn!(
                "{}: redshifts are taken for unknown: {why}; --labels FILE gives better ones",
                path.display()
            );
            None
        }
        Choice::Absent => None,
    })
}

/// Splits from 0 and 1, or from `train` and `test`.
fn split(path: &Path, column: Option<&Column>, rows: usize) -> Result<Vec<Split>> {
    let Some(column) = column else {
        tracing::warn!(
            "{}: has no {SPLIT}; taking the first 80 % of its {rows} rows as train and the rest as test, \
             unless --split or --test says otherwise",
            path.display()
        );
        return Ok(Split::of_group(rows).collect());
    };
    let texts = match column.is_text() {
        true => column.texts(path)?,
        false => {
            let numbers = column.numbers(path)?;
            numbers.iter().map(f64::to_string).collect()
        }
    };
    let known = texts
        .iter()
        .enumerate()
        .map(|(row, text)| match text.as_str() {
            "0" | "train" => Ok(Split::Train),
            "1" | "test" => Ok(Split::Test),
            _ => Err(Error::input(format!(
                "{SPLIT} is {text} in row {row}; expected 0 (train) or 1 (test)"
            ))
            .in_file(path)),
        });
    known.collect()
}

/// The column of the first of `names` that exists, in whatever case.
fn by_name<'a>(columns: &[&'a Column], names: &[&str]) -> Option<&'a Column> {
    names.iter().find_map(|name| {
        let mut columns = columns.iter().copied();
        columns.find(|column| base(&column.name).eq_ignore_ascii_case(name))
    })
}

/// A name without its group.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// `astroclip_image_embeddings` is of images by `astroclip`, `stein_embeddings` of images by `stein`,
/// `specformer_embeddings` of spectra; `image_embeddings` and `features` do not say by what.
fn model_and_modality(name: &str) -> (Option<String>, Modality) {
    let name = base(name).to_ascii_lowercase();
    let modality = match name.contains("spec") {
        true => Modality::Spectrum,
        false => Modality::Image,
    };
    let model = name.strip_suffix(SUFFIX).and_then(|model| {
        let model = match model.strip_suffix(modality.name()) {
            Some(model) => model.trim_end_matches('_'),
            None => model,
        };
        (!model.is_empty()).then(|| model.to_owned())
    });
    (model, modality)
}

fn described(columns: &[Column]) -> String {
    const SHOWN: usize = 40;
    let names: Vec<String> = columns.iter().take(SHOWN).map(Column::described).collect();
    match columns.len() {
        0 => "no datasets of one or two dimensions".to_owned(),
        1..=SHOWN => names.join(", "),
        all => format!("{} and {} more", names.join(", "), all - SHOWN),
    }
}
