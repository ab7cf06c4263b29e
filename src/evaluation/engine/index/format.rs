//! The file of an index: a safetensors file, whose header says what it was made from, and whose tensors are the lists of an
//! inverted file. The embeddings themselves stay where they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::base::error::{Error, Result};
use crate::base::input;
use crate::files::inputs::InputFiles;
use crate::survey::Modality;

/// Version of the layout. Raised when older readers would misread.
pub(super) const VERSION: u32 = 1;
/// Where [`Head`] stands among the metadata.
const KEY: &str = "astroclip_index";
/// The tensors begin at a multiple of this.
const ALIGNMENT: usize = 64;
/// Parts of a gallery, and the one that says of which rows it is.
const PARTS: usize = 7;
const ROWS: usize = 3;
/// The longest header that is read; it grows with the number of embedding files.
const LONGEST: u64 = 64 << 20;

/// What an index is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Version of the layout.
    pub version: u32,
    /// Version of the program that wrote it.
    pub program_version: String,
    /// Number of galaxies.
    pub galaxies: usize,
    /// The embedding files, one behind the other.
    pub embeddings: Vec<InputFiles>,
    /// The collection of a Qdrant server that is asked, where one is, instead of lists in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Kinds of embeddings.
    pub galleries: Vec<GalleryHead>,
}

/// The embeddings of one kind in an index.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GalleryHead {
    /// Of what.
    pub of: Modality,
    /// Numbers per vector.
    pub width: usize,
    /// Vectors that have a direction.
    pub vectors: usize,
    /// Lists.
    pub lists: usize,
    /// How far searches go.
    pub searches: Vec<Measured>,
}

/// How far searches by one kind of embedding go, and what they find.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What is searched by.
    pub from: Modality,
    /// Vectors that are looked at.
    pub vectors: usize,
    /// Share of the ten nearest that is found so, as measured with galaxies of the files.
    pub recall: f64,
}

/// Bytes of the file in which a gallery's parts lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub starts: Range<usize>,
    pub centres: Range<usize>,
    pub bias: Range<usize>,
    pub rows: Range<usize>,
    pub step: Range<usize>,
    pub error: Range<usize>,
    pub codes: Range<usize>,
}

/// Places of all galleries relative to the first, the header's tensors, and the bytes of all.
struct Layout {
    places: Vec<Places>,
    tensors: BTreeMap<String, serde_json::Value>,
    bytes: usize,
}

impl Head {
    /// The bytes that the file begins with, where the parts lie, and how long the file is.
    pub(super) fn laid_out(&self) -> (Vec<u8>, Vec<Places>, usize) {
        let Layout {
            mut places,
            tensors,
            bytes,
        } = self.layout().expect("sizes of vectors that were read");
        let own = serde_json::to_string(self).expect("heads are plain JSON");
        let mut header = BTreeMap::from([("__metadata__".to_owned(), json!({ KEY: own }))]);
        header.extend(tensors);
        let mut header = serde_json::to_vec(&header).expect("headers are plain JSON");
        // Spaces may follow the JSON.
        let length = (size_of::<u64>() + header.len()).next_multiple_of(ALIGNMENT);
        header.resize(length - size_of::<u64>(), b' ');
        let mut start = (header.len() as u64).to_le_bytes().to_vec();
        start.append(&mut header);
        for places in &mut places {
            places.move_by(length);
        }
        (start, places, length + bytes)
    }

    /// Where everything lies; none where it is more than any file has.
    fn layout(&self) -> Option<Layout> {
        let mut places = vec![Places::default(); self.galleries.len()];
        let mut tensors = BTreeMap::new();
        let mut at = 0_usize;
        // The widest types first: all are aligned.
        for part in 0..PARTS {
            for (gallery, places) in self.galleries.iter().zip(&mut places) {
                let (lists, vectors, width) = (gallery.lists, gallery.vectors, gallery.width);
                if part != ROWS && self.collection.is_some() {
                    continue;
                }
                let (name, dtype, size, shape, place) = match part {
                    0 => (
                        "starts",
                        "U64",
                        8,
                        vec![lists.checked_add(1)?],
                        &mut places.starts,
                    ),
                    1 => ("centres", "F32", 4, vec![lists, width], &mut places.centres),
                    2 => ("bias", "F32", 4, vec![lists], &mut places.bias),
                    ROWS => ("rows", "U32", 4, vec![vectors], &mut places.rows),
                    4 => ("step", "F32", 4, vec![vectors], &mut places.step),
                    5 => ("error", "F32", 4, vec![vectors], &mut places.error),
                    _ => ("codes", "I8", 1, vec![vectors, width], &mut places.codes),
                };
                let bytes =
                    (shape.iter()).try_fold(size, |all: usize, &axis| all.checked_mul(axis))?;
                *place = at..at.checked_add(bytes)?;
                at = place.end;
                let tensor = json!({"dtype": dtype, "shape": shape, "data_offsets": [place.start, place.end]});
                tensors.insert(format!("{}.{name}", gallery.of), tensor);
            }
        }
        Some(Layout {
            places,
            tensors,
            bytes: at,
        })
    }

    /// Reads the header of an index, and where its parts lie.
    ///
    /// # Errors
    /// [`Error::input`] where the file is none, of a newer version, or damaged.
    pub(super) fn read(path: &Path) -> Result<(Self, Vec<Places>)> {
        let damaged = |what: &str| {
            Error::input(format!(
                "is a damaged index: {what}; make it again with `astroclip index`"
            ))
            .in_file(path)
        };
        let length = input::metadata(path)?.len();
        let (head, start) = begins(path)?.ok_or_else(|| {
            Error::input("is no index; `astroclip index emb.h5 --out galaxies.index` makes one")
                .in_file(path)
        })?;
        let head = head
            .get("__metadata__")
            .and_then(|own| own.get(KEY)?.as_str());
        let head: serde_json::Value = (head.and_then(|head| serde_json::from_str(head).ok()))
            .ok_or_else(|| damaged("its header cannot be read"))?;
        match head.get("version").and_then(serde_json::Value::as_u64) {
            Some(version) if version > u64::from(VERSION) => {
                return Err(Error::input(format!(
                    "index of format version {version}; this program reads up to {VERSION}: use a newer one"
                ))
                .in_file(path));
            }
            _ => {}
        }
        let head: Self =
            serde_json::from_value(head).map_err(|source| damaged(&source.to_string()))?;
        let sound = |gallery: &GalleryHead| {
            let has_lists = gallery.lists > 0 || head.collection.is_some();
            gallery.width > 0 && has_lists && gallery.vectors <= head.galaxies
        };
        let layout = head.layout().filter(|_| head.galleries.iter().all(sound));
        let Some(Layout {
            mut places, bytes, ..
        }) = layout.filter(|_| !head.galleries.is_empty())
        else {
            return Err(damaged("its sizes are impossible"));
        };
        let expected = start.checked_add(bytes);
        if expected.map(|bytes| bytes as u64) != Some(length) || start % ALIGNMENT != 0 {
            return Err(damaged(&format!(
                "it has {length} bytes where {} were written",
                start.saturating_add(bytes)
            )));
        }
        for places in &mut places {
            places.move_by(start);
        }
        Ok((head, places))
    }
}

impl Places {
    fn move_by(&mut self, bytes: usize) {
        for place in [
            &mut self.starts,
            &mut self.centres,
            &mut self.bias,
            &mut self.rows,
            &mut self.step,
            &mut self.error,
            &mut self.codes,
        ] {
            *place = place.start + bytes..place.end + bytes;
        }
    }
}

/// The header of a safetensors file that says to be an index, and where its tensors begin.
fn begins(path: &Path) -> Result<Option<(serde_json::Value, usize)>> {
    let failed = |source| Error::reading(path, source);
    let mut file = input::open(path)?;
    let Some(bytes) = header_bytes(&mut file).map_err(failed)? else {
        return Ok(None);
    };
    let start = size_of::<u64>() + bytes.len();
    let is_own = bytes
        .windows(KEY.len())
        .take(256)
        .any(|word| word == KEY.as_bytes());
    let header = is_own.then(|| serde_json::from_slice(&bytes).unwrap_or_default());
    Ok(header.map(|header| (header, start)))
}

fn header_bytes(file: &mut File) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; size_of::<u64>()];
    let total = file.metadata()?.len();
    if total < length.len() as u64 {
        return Ok(None);
    }
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST.min(total - size_of::<u64>() as u64) {
        return Ok(None);
    }
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes.starts_with(b"{").then_some(bytes))
}

/// Whether a file is an index, whole or not.
pub fn is_index(path: &Path) -> bool {
    begins(path).is_ok_and(|header| header.is_some())
}

/// What an index is, without its lists and the embedding files.
///
/// # Errors
/// [`Error::input`] where the file is none, of a newer version, or damaged.
pub fn read_head(path: &Path) -> Result<Head> {
    Ok(Head::read(path)?.0)
}
