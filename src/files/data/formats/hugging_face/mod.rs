//! Parquet files of galaxies. The joint data set as Hugging Face's `datasets` writes it: nested lists `image` (axes x, y,
//! band, as in the joint file) and `spectrum`, with `redshift` and `targetid`. The Multimodal Universe: structs `image`
//! (`band`, `flux`, …) and `spectrum` (`flux`, `lambda`, `ivar`, `mask`), with `object_id` as text.

mod column;
mod images;
mod labels;
mod schema;
mod shard;
mod spectra;

use std::ops::Range;
use std::path::Path;
use std::sync::OnceLock;

use super::planes::transpose;
use crate::base::error::Result;
use crate::files::catalog::Column;
use crate::files::data::describe::GroupDescription;
use crate::files::data::options::{Keys, ReadOptions};
use crate::files::data::source::{
    Contents, NOWHERE, Source, SourceLabels, Splits, Stated, StoredSpectra,
};
use crate::survey::{Modality, ObjectId, Split, Survey};
use images::Images;
use labels::data_column;
use schema::Leaf;
use shard::Shard;
use spectra::Spectra;

/// The galaxies of one file.
pub(super) struct ParquetShard {
    contents: Contents,
    shard: Shard,
    images: Option<Images>,
    spectra: Option<Spectra>,
    object_ids: Vec<Option<ObjectId>>,
    redshifts: Vec<f32>,
    /// Columns of right ascension and declination.
    positions: Option<[Leaf; 2]>,
    /// What these columns hold; read when it is first asked for.
    known_positions: OnceLock<Vec<[f64; 2]>>,
}

impl std::fmt::Debug for ParquetShard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ParquetShard")
            .field("contents", &self.contents)
            .finish_non_exhaustive()
    }
}

/// Whether the file has a column of images or spectra.
pub(super) fn recognises(path: &Path) -> bool {
    Shard::open(path).is_ok_and(|shard| {
        let has_lists = |column: &str| shard.schema.below(column).any(|leaf| leaf.lists() > 0);
        ["image", "spectrum"].into_iter().any(|name| {
            let column = data_column(&shard, name, ("", None));
            column.map_or(true, |column| column.is_some_and(has_lists))
        })
    })
}

/// The columns of images and of spectra.
///
/// # Errors
/// Where there are neither, or the options name one that is not there.
fn data_columns<'a>(shard: &'a Shard, keys: &Keys) -> Result<[Option<&'a str>; 2]> {
    let image = ("--image-key", keys.image.as_ref());
    let spectrum = ("--spectrum-key", keys.spectrum.as_ref());
    // What the user names is all that is read.
    let wants = |key: &Option<String>| key.is_some() || !keys.name_data();
    let columns = [
        match wants(&keys.image) {
            true => data_column(shard, "image", image)?,
            false => None,
        },
        match wants(&keys.spectrum) {
            true => data_column(shard, "spectrum", spectrum)?,
            false => None,
        },
    ];
    match columns {
        [None, None] if shard.pictures().next().is_some() => Err(shard.no_pictures()),
        [None, None] => Err(shard.error(format!(
            "holds no galaxies: columns {}; expected `image` or `spectrum`, nested lists or structs with `flux` (a table \
             of labels goes to --labels)",
            shard.schema.listed()
        ))),
        columns => Ok(columns),
    }
}

impl ParquetShard {
    /// Opens a file; identifiers and redshifts are read at once.
    ///
    /// # Errors
    /// Where the file is damaged, holds neither images nor spectra, or not of the survey's bands.
    pub fn open(path: &Path, survey: &Survey, options: &ReadOptions) -> Result<Self> {
        let shard = Shard::open(path)?;
        let [image, spectrum] = data_columns(&shard, &options.keys)?;
        let mut contents = Contents {
            path: path.to_owned(),
            format: "Hugging Face Parquet",
            groups: vec![GroupDescription {
                name: "/".into(),
                galaxies: shard.groups.rows(),
                compressed: true,
            }],
            image_shape: None,
            band_names: None,
            wavelengths: None,
            bad_pixels: false,
            splits: Splits::ById,
            catalog_columns: Vec::new(),
            stated: Stated {
                wavelengths: true,
                ..Stated::default()
            },
            positions: None,
            notes: Vec::new(),
            warnings: Vec::new(),
        };
        let images = image.map(|column| Images::open(&shard, column, survey));
        let images = images.transpose()?.map(|(images, about)| {
            contents.image_shape = Some(images.image_shape());
            contents.band_names = about.bands;
            contents.stated.pixel_scale = about.pixel_scale;
            contents.notes.extend(about.notes);
            images
        });
        let spectra = spectrum.map(|column| Spectra::open(&shard, column, survey, &options.keys));
        let spectra = spectra.transpose()?.map(|(spectra, wavelengths)| {
            contents.wavelengths = Some(wavelengths);
            contents.bad_pixels = spectra.has_flags();
            spectra
        });
        let has_structs = [image, spectrum]
            .into_iter()
            .flatten()
            .any(|column| shard.schema.leaf(&[column]).is_none());
        if has_structs {
            contents.format = "Multimodal Universe Parquet";
        }
        contents.splits = split_in_name(path, has_structs);
        let suffixes: Vec<&str> = [(spectrum, "spectrum"), (image, "image")]
            .into_iter()
            .filter_map(|(column, name)| column?.strip_prefix(name))
            .collect();
        let object_ids = labels::object_ids(&shard, &options.keys, &suffixes)?;
        let redshifts = labels::redshifts(&shard, &options.keys, &suffixes)?;
        let positions = labels::position_leaves(&shard, &suffixes);
        contents.positions = positions.as_ref().map(|leaves| {
            let [ra, dec] = leaves.each_ref().map(Leaf::name);
            format!("`{ra}` and `{dec}`")
        });
        Ok(Self {
            contents,
            images,
            spectra,
            object_ids,
            redshifts,
            positions,
            known_positions: OnceLock::new(),
            shard,
        })
    }
}

/// The split that shards have in their names, as in `test-00003-of-00026.parquet`; those of a validation split
/// are there to train. The sets of the Multimodal Universe call all of their shards `train`, which says nothing.
fn split_in_name(path: &Path, train_is_all: bool) -> Splits {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let starts = |start: &str| name.starts_with(start);
    if starts("test") {
        Splits::All(Split::Test)
    } else if starts("val") || (starts("train") && !train_is_all) {
        Splits::All(Split::Train)
    } else {
        Splits::ById
    }
}

impl Source for ParquetShard {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn labels(&self, rows: Range<usize>) -> Result<SourceLabels> {
        Ok(SourceLabels {
            object_id: self.object_ids[rows.clone()].to_vec(),
            redshift: self.redshifts[rows].to_vec(),
        })
    }

    fn positions(&self, rows: Range<usize>) -> Result<Vec<[f64; 2]>> {
        let Some(leaves) = &self.positions else {
            return Ok(vec![NOWHERE; rows.len()]);
        };
        if let Some(known) = self.known_positions.get() {
            return Ok(known[rows].to_vec());
        }
        let [ra, dec] = leaves
            .each_ref()
            .map(|leaf| labels::numbers(&self.shard, leaf));
        let all = ra?.into_iter().zip(dec?).map(|(ra, dec)| [ra, dec]);
        let all = all.collect();
        Ok(self.known_positions.get_or_init(|| all)[rows].to_vec())
    }

    fn columns(&self) -> Result<Vec<Column>> {
        labels::columns(&self.shard)
    }

    fn read_images(&self, wanted: &[(usize, usize)], out: &mut [f32]) -> Result<()> {
        match &self.images {
            Some(images) => images.read(&self.shard, wanted, out),
            None => Ok(()),
        }
    }

    fn read_spectra(&self, wanted: &[(usize, usize)], out: &mut StoredSpectra<'_>) -> Result<()> {
        match &self.spectra {
            Some(spectra) => spectra.read(&self.shard, wanted, out),
            None => Ok(()),
        }
    }

    fn place(&self, what: Modality, row: usize) -> String {
        let column = match what {
            Modality::Image => self.images.as_ref().map(|images| images.flux.name()),
            Modality::Spectrum => self.spectra.as_ref().map(|spectra| spectra.flux.name()),
        };
        format!("column `{}` row {row}", column.unwrap_or_default())
    }
}
