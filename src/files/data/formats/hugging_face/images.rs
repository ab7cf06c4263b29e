//! Images of a Parquet file: nested lists with axes x, y, band, or planes of bands with their names.

use super::schema::{Kind, Leaf};
use super::shard::Shard;
use crate::base::error::{Error, Result};
use crate::files::container::parquet_file::Value;
use crate::files::data::formats::multimodal::flags_not_applied;
use crate::survey::Survey;

/// What stands before a band's name in sets whose images are in nanomaggies: those of the Legacy Surveys.
const NANOMAGGIES: [&str; 6] = ["des", "decam", "bass", "mzls", "90prime", "ls"];

/// A column of images of one shape.
#[derive(Debug)]
pub(super) struct Images {
    pub flux: Leaf,
    axes: Axes,
    /// Lengths of the lists, from the outside in.
    shape: [usize; 3],
    /// Where the lists of an image of this shape begin.
    pattern: Vec<i16>,
    bands: usize,
}

#[derive(Debug)]
enum Axes {
    /// x, y, band, as in the joint file.
    Reversed,
    /// band, y, x.
    Planes(Planes),
}

/// Which plane is which band.
#[derive(Debug)]
struct Planes {
    /// The lists of names that there are.
    lists: Vec<BandList>,
    /// The list of every row.
    list_of: Vec<u16>,
}

/// Names of the planes of an image.
#[derive(Debug)]
struct BandList {
    names: Vec<String>,
    /// The plane of each of the survey's bands, or what is wrong with the names.
    places: Result<Vec<usize>, String>,
}

/// The first image of a column.
struct FirstImage {
    row: usize,
    /// Lengths of its lists, from the outside in.
    shape: [usize; 3],
    /// Where they begin.
    pattern: Vec<i16>,
}

/// What a user should know about a column of images.
#[derive(Debug, Default)]
pub(super) struct About {
    pub bands: Option<Vec<String>>,
    /// The least and the largest pixel scale, arcsec.
    pub pixel_scale: Option<[f64; 2]>,
    pub notes: Vec<String>,
}

impl Images {
    /// Images in `column`, which the file must have.
    ///
    /// # Errors
    /// Where they are encoded pictures, or not of the survey's bands.
    pub fn open(shard: &Shard, column: &str, survey: &Survey) -> Result<(Self, About)> {
        let refused = |message: String| shard.error(format!("column `{column}` {message}"));
        let bands = survey.bands.len();
        let (flux, is_struct) = match (
            shard.schema.leaf(&[column]),
            shard.schema.leaf(&[column, "flux"]),
        ) {
            (Some(leaf), _) => (leaf.clone(), false),
            (None, Some(leaf)) => (leaf.clone(), true),
            (None, None) => {
                return Err(match shard.pictures().next() {
                    Some(_) => shard.no_pictures(),
                    None => refused(format!(
                        "has the members {}; expected `band` and `flux`",
                        shard.schema.members_of(column)
                    )),
                });
            }
        };
        match flux.kind() {
            Kind::Real if flux.lists() == 3 => {}
            Kind::Byte | Kind::Bytes => return Err(shard.no_pictures()),
            kind => {
                return Err(refused(format!(
                    "holds {kind:?} values in {} nested lists (`{}`); expected floating point in three, an image \
                     for each galaxy",
                    flux.lists(),
                    flux.name()
                )));
            }
        }
        let Some(FirstImage {
            row,
            shape,
            pattern,
        }) = first_image(shard, &flux)?
        else {
            return Err(refused("has no image in any row".to_owned()));
        };
        let mut about = About::default();
        let axes = match is_struct {
            false if shape[2] == bands => Axes::Reversed,
            false => {
                return Err(refused(format!(
                    "has lists of shape {shape:?}; expected (S, S, {bands}), axes x, y, band"
                )));
            }
            true => {
                let planes = Planes::open(shard, column, survey, row)?;
                let BandList { names, places } = &planes.lists[usize::from(planes.list_of[row])];
                places
                    .as_ref()
                    .map_err(|message| refused(message.clone()))?;
                about.notes.extend(unit_note(names));
                about.pixel_scale = pixel_scales(shard, column)?;
                let scales = about.pixel_scale;
                about
                    .notes
                    .extend(scales.and_then(|[least, most]| survey.note_on_scales(least, most)));
                about.notes.extend(not_applied(shard, column));
                about.bands = Some(names.clone());
                Axes::Planes(planes)
            }
        };
        let images = Self {
            flux,
            axes,
            shape,
            pattern,
            bands,
        };
        Ok((images, about))
    }

    /// Bands of the survey, height and width.
    pub fn image_shape(&self) -> [usize; 3] {
        let [first, second, third] = self.shape;
        match self.axes {
            Axes::Reversed => [self.bands, second, first],
            Axes::Planes(_) => [self.bands, second, third],
        }
    }

    pub fn read(&self, shard: &Shard, wanted: &[(usize, usize)], out: &mut [f32]) -> Result<()> {
        let [bands, height, width] = self.image_shape();
        let area = height * width;
        shard.for_rows(&self.flux, wanted, |position, row, levels, values| {
            if values.is_empty() {
                return Err("there is no image".to_owned());
            }
            if levels.repetition != self.pattern || values.len() != self.pattern.len() {
                return Err(format!(
                    "{} values in lists of another shape than {:?}, which the first image has",
                    values.len(),
                    self.shape
                ));
            }
            let planes = out[position * bands * area..][..bands * area].chunks_exact_mut(area);
            match &self.axes {
                Axes::Reversed => {
                    for (band, plane) in planes.enumerate() {
                        super::transpose(plane, &values[band..], bands, height, width);
                    }
                }
                Axes::Planes(known) => {
                    for (plane, &place) in planes.zip(known.places(row, self.shape[0])?) {
                        plane.copy_from_slice(&values[place * area..][..area]);
                    }
                }
            }
            Ok(())
        })
    }
}

impl Planes {
    fn open(shard: &Shard, column: &str, survey: &Survey, row: usize) -> Result<Self> {
        let leaf = shard.schema.leaf(&[column, "band"]);
        let leaf = leaf.filter(|leaf| leaf.kind() == Kind::Text && leaf.lists() == 1);
        let Some(leaf) = leaf else {
            return Err(shard.error(format!(
                "column `{column}` does not name its bands: it has the members {}; expected a list of names `band`",
                shard.schema.members_of(column)
            )));
        };
        let mut lists: Vec<Vec<String>> = vec![Vec::new()];
        let mut list_of: Vec<u16> = Vec::with_capacity(shard.groups.rows());
        let mut current: Vec<String> = Vec::new();
        let mut settle = |current: &mut Vec<String>| {
            let known = lists.iter().position(|list| list == current);
            let index = known.unwrap_or_else(|| {
                lists.push(current.clone());
                lists.len() - 1
            });
            list_of.push(u16::try_from(index).unwrap_or(0));
            current.clear();
        };
        let mut any = false;
        shard.scan(leaf, |starts, value| {
            if starts && any {
                settle(&mut current);
            }
            any = true;
            if let Some(Value::Text(name)) = value {
                current.push(String::from_utf8_lossy(name).trim().to_owned());
            }
        })?;
        settle(&mut current);
        list_of.resize(shard.groups.rows().max(row + 1), 0);
        let lists = lists.into_iter().map(|names| {
            let places = survey.places_of_bands(&names);
            BandList { names, places }
        });
        Ok(Self {
            lists: lists.collect(),
            list_of,
        })
    }

    /// The plane of each of the survey's bands in a row of so many planes.
    fn places(&self, row: usize, planes: usize) -> Result<&[usize], String> {
        let BandList { names, places } = &self.lists[usize::from(self.list_of[row])];
        if names.len() != planes {
            return Err(format!(
                "{planes} images with {} names of bands ({})",
                names.len(),
                names.join(", ")
            ));
        }
        places.as_deref().map_err(String::clone)
    }
}

/// The first image of a column; `None` where every row is without one.
fn first_image(shard: &Shard, flux: &Leaf) -> Result<Option<FirstImage>> {
    for row in 0..shard.groups.rows() {
        let mut found = None;
        shard.for_rows(flux, &[(0, row)], |_, row, levels, values| {
            if values.is_empty() {
                return Ok(());
            }
            let begun = |most| {
                levels
                    .repetition
                    .iter()
                    .filter(|&&level| level <= most)
                    .count()
            };
            let (outer, middle, inner) = (begun(1), begun(2), begun(3));
            let shape = [outer, middle / outer, inner / middle];
            let pattern = pattern(shape);
            if levels.repetition != pattern || values.len() != pattern.len() {
                return Err(
                    "its lists differ in length; an image has lines of one length".to_owned(),
                );
            }
            found = Some(FirstImage {
                row,
                shape,
                pattern,
            });
            Ok(())
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Repetition levels of lists of this shape.
fn pattern([outer, middle, inner]: [usize; 3]) -> Vec<i16> {
    let mut pattern = vec![3; outer * middle * inner];
    for list in 0..outer * middle {
        pattern[list * inner] = if list % middle == 0 { 1 } else { 2 };
    }
    if let Some(first) = pattern.first_mut() {
        *first = 0;
    }
    pattern
}

/// Says where the unit of the pixels is not known.
fn unit_note(names: &[String]) -> Option<String> {
    let is_known = |name: &String| {
        let prefix = name.to_lowercase();
        let prefix = prefix.rsplit_once(['-', '_', '.', ' ']);
        prefix.is_none_or(|(prefix, _)| NANOMAGGIES.contains(&prefix))
    };
    (!names.iter().all(is_known)).then(|| {
        format!(
            "images in {} come in the unit of their survey, which the file does not state; the defaults are for \
             nanomaggies: set images.pixels for others",
            names.join(", ")
        )
    })
}

/// The least and the largest pixel scale that the file states.
fn pixel_scales(shard: &Shard, column: &str) -> Result<Option<[f64; 2]>> {
    let Some(leaf) = shard.schema.leaf(&[column, "scale"]) else {
        return Ok(None);
    };
    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
    shard.scan(leaf, |_, value| {
        if let Some(Value::Real(scale)) = value
            && scale > 0.0
        {
            (least, most) = (least.min(scale), most.max(scale));
        }
    })?;
    Ok((least <= most).then_some([least, most]))
}

/// Names the members that say which pixels to trust.
fn not_applied(shard: &Shard, column: &str) -> Option<String> {
    let there = ["mask", "ivar"].into_iter();
    let there: Vec<String> = there
        .filter(|member| shard.schema.leaf(&[column, member]).is_some())
        .map(|member| format!("`{column}.{member}`"))
        .collect();
    flags_not_applied(&there)
}

impl Shard {
    /// Columns of pictures for the eye: encoded, or of 8-bit numbers.
    pub fn pictures(&self) -> impl Iterator<Item = &Leaf> {
        self.schema.leaves().iter().filter(|leaf| {
            let is_encoded = leaf.kind() == Kind::Bytes
                && leaf.members.last().is_some_and(|name| name == "bytes");
            is_encoded || (leaf.kind() == Kind::Byte && leaf.lists() >= 2)
        })
    }

    /// The refusal of pictures for the eye.
    pub fn no_pictures(&self) -> Error {
        let names: Vec<String> = self
            .pictures()
            .map(|leaf| match leaf.kind() {
                Kind::Bytes => format!("`{}` (encoded, as PNG or JPEG)", leaf.members[0]),
                _ => format!("`{}` (8-bit numbers)", leaf.members[0]),
            })
            .collect();
        self.error(format!(
            "holds pictures for the eye, not calibrated images: {}; their brightness is stretched and cut off, and the \
             flux cannot be had back. Take floating-point cutouts of the same galaxies (by position: `astroclip match`; \
             sources: ./scripts/fetch_data list), give the file's other columns to --labels, or, where it has spectra, \
             read these alone: --spectrum-key spectrum",
            names.join(", ")
        ))
    }
}
