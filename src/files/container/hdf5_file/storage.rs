//! Where the values of a dataset lie: behind filters, in other files, or nowhere.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hdf5::plist::dataset_create::Layout;
use hdf5::{Dataset, Dataspace};
use hdf5_sys::h5i::hid_t;
use hdf5_sys::h5s::{H5S_sel_type, H5S_seloper_t};

use super::links::{self, Target};
use super::{extent, filters, opened};

/// Virtual datasets whose sources are virtual, one in the next.
const DEEPEST: usize = 8;

/// Refuses a dataset of which not all values are at hand.
///
/// # Errors
/// What is missing, as a predicate of the dataset.
pub(super) fn check(dataset: &Dataset) -> Result<(), String> {
    check_within(dataset, &[])
}

/// Goes wherever a dataset takes values from. What is wrong with it, its reader says.
pub(super) fn follow(dataset: &Dataset) {
    let leads_out = dataset.dcpl().is_ok_and(|properties| {
        properties.layout() == Layout::Virtual
            || properties
                .get_external()
                .is_ok_and(|files| !files.is_empty())
    });
    if leads_out {
        drop(check(dataset));
    }
}

/// A virtual dataset by its file and its name there.
type Place = (PathBuf, String);

/// Checks a dataset that the virtual ones of `around` take values from, one from the next.
fn check_within(dataset: &Dataset, around: &[Place]) -> Result<(), String> {
    let unreadable = |source: hdf5::Error| format!("cannot be read: {source}");
    let properties = dataset.dcpl().map_err(unreadable)?;
    filters::check(properties.id())?;
    extent::claimed(dataset)?;
    if properties.layout() == Layout::Virtual {
        let dataset = Virtual::new(dataset, properties.id())?;
        let here = (dataset.file.clone(), dataset.dataset.name());
        if around.contains(&here) {
            return Err("is its own source".to_owned());
        }
        let around = [around, &[here]].concat();
        return match around.len() <= DEEPEST {
            true => dataset.check(&around),
            false => Err(format!("is virtual within {DEEPEST} others")),
        };
    }
    let external = properties.get_external().map_err(unreadable)?;
    if external.is_empty() {
        return extent::check_written(dataset, &properties);
    }
    if !around.is_empty() {
        // libhdf5 would look for them in the current folder.
        return Err(
            "keeps its values in other files, which is not read within a virtual dataset"
                .to_owned(),
        );
    }
    let file = opened::file_name(dataset.id()).unwrap_or_default();
    let size = dataset.dtype().map_err(unreadable)?.size();
    let mut rest = (dataset.size() as u64).saturating_mul(size as u64);
    for segment in external {
        let place = links::resolve(&file, &segment.name, Target::Raw)
            .map_err(|what| format!("keeps its values in {what}"))?;
        // 0 stands for the rest.
        let part = match segment.size {
            0 => rest,
            size => rest.min(size as u64),
        };
        let length = place.metadata().map_or(0, |metadata| metadata.len());
        let needed = (segment.offset as u64).saturating_add(part);
        if length < needed {
            return Err(format!(
                "keeps its values in {}, which has {length} bytes where {needed} are needed",
                place.display()
            ));
        }
        rest -= part;
    }
    match rest {
        0 => Ok(()),
        rest => Err(format!(
            "lacks its last {rest} bytes: its files of values are too short"
        )),
    }
}

/// A dataset that is put together from others.
struct Virtual<'a> {
    dataset: &'a Dataset,
    properties: hid_t,
    file: PathBuf,
}

/// Sources by file.
type Sources = BTreeMap<PathBuf, hdf5::File>;

impl<'a> Virtual<'a> {
    fn new(dataset: &'a Dataset, properties: hid_t) -> Result<Self, String> {
        let file = opened::file_name(dataset.id())
            .and_then(|name| name.canonicalize().ok())
            .ok_or("is virtual, and its file is gone")?;
        Ok(Self {
            dataset,
            properties,
            file,
        })
    }

    /// Refuses one whose sources are not all there, or which they do not cover.
    #[allow(unsafe_code)]
    fn check(&self, around: &[Place]) -> Result<(), String> {
        use hdf5_sys::h5p;
        let mut count = 0;
        hdf5::sync::sync(|| {
            // SAFETY: the library's lock is held, and the list is open.
            unsafe { h5p::H5Pget_virtual_count(self.properties, &mut count) }
        });
        let mut sources = Sources::new();
        let mut covered = Covered::default();
        for index in 0..count {
            let name = |get: unsafe extern "C" fn(hid_t, usize, *mut _, usize) -> isize| {
                // SAFETY: `text` hands over a buffer of the size that it says, and holds the lock.
                let name = opened::text(|buffer, size| unsafe {
                    get(self.properties, index, buffer, size)
                });
                String::from_utf8_lossy(&name.unwrap_or_default()).into_owned()
            };
            let file = name(h5p::H5Pget_virtual_filename);
            let source = name(h5p::H5Pget_virtual_dsetname);
            let space = |get: unsafe extern "C" fn(hid_t, usize) -> hid_t| {
                // SAFETY: the lock is held, and the identifier is new.
                hdf5::sync::sync(|| unsafe {
                    hdf5::from_id::<Dataspace>(get(self.properties, index))
                })
                .map_err(|source| format!("cannot be read: {source}"))
            };
            let part = space(h5p::H5Pget_virtual_vspace)?;
            let selected = space(h5p::H5Pget_virtual_srcspace)?;
            // A selection of all tells no extents.
            let values = match bounds(&part) {
                Bounds::All => Some(self.dataset.size()),
                _ => selected_count(&part),
            };
            let Some(values) =
                values.filter(|_| ![&file, &source].iter().any(|name| name.contains("%b")))
            else {
                return Err(format!(
                    "is virtual and as long as its sources happen to be (`{source}` of {file}), which is not read; \
                     write it with its full shape, or as a plain dataset"
                ));
            };
            // A per cent sign is written twice.
            let (file, source) = (file.replace("%%", "%"), source.replace("%%", "%"));
            self.check_source((&file, &source), (&selected, values), &mut sources, around)
                .map_err(|what| format!("is virtual and takes values from `{source}` of {what}"))?;
            match bounds(&part) {
                Bounds::All => covered.whole = values,
                _ => covered.add(part)?,
            }
        }
        self.check_covered(covered.count())
    }

    fn check_source(
        &self,
        (name, source): (&str, &str),
        (selected, values): (&Dataspace, usize),
        sources: &mut Sources,
        around: &[Place],
    ) -> Result<(), String> {
        let place = match name {
            "." => self.file.clone(),
            _ => links::resolve(&self.file, name, Target::Hdf5)?,
        };
        let shown = place.display();
        if !sources.contains_key(&place) {
            let file = opened::open(&place)
                .map_err(|source| format!("{shown}: {}", opened::reason(&source)))?;
            sources.insert(place.clone(), file);
        }
        links::forget_refusal();
        let dataset = sources[&place]
            .dataset(source)
            .map_err(|_| match links::refusal() {
                Some(refusal) => format!("{shown}, which {refusal}"),
                None => format!("{shown}, which has no such dataset"),
            })?;
        let stored = dataset.shape();
        let expected = match bounds(selected) {
            Bounds::All if dataset.size() == values => None,
            Bounds::All => Some(format!("{values} values")),
            Bounds::Within(last) => {
                let least: Vec<usize> = last.iter().map(|last| last + 1).collect();
                let fits = stored.len() == least.len()
                    && stored.iter().zip(&least).all(|(axis, least)| axis >= least);
                (!fits).then(|| format!("at least {least:?}"))
            }
            Bounds::Nothing => None,
        };
        if let Some(expected) = expected {
            return Err(format!(
                "{shown}, which has shape {stored:?} where {expected} are expected"
            ));
        }
        check_within(&dataset, around).map_err(|what| format!("{shown}, which {what}"))
    }

    /// Values that no source covers are the fill value: unknown where it is NaN, else no data.
    fn check_covered(&self, covered: usize) -> Result<(), String> {
        let all = self.dataset.size();
        if covered >= all {
            return Ok(());
        }
        let fill = extent::fill_value(self.properties).unwrap_or(0.0);
        match fill.is_nan() {
            true => Ok(()),
            false => Err(format!(
                "is virtual, and its sources cover {covered} of its {all} values; the others would be the fill \
                 value {fill}; map sources to all of it, or give it NaN as fill value"
            )),
        }
    }
}

/// Values of a virtual dataset that have a source.
#[derive(Default)]
struct Covered {
    parts: Option<Dataspace>,
    /// Of mappings that are no hyperslabs: the whole dataset.
    whole: usize,
}

impl Covered {
    #[allow(unsafe_code)]
    fn add(&mut self, part: Dataspace) -> Result<(), String> {
        self.parts = Some(match self.parts.take() {
            None => part,
            Some(parts) => hdf5::sync::sync(|| {
                // SAFETY: the lock is held, both are open, and the identifier is new.
                unsafe {
                    hdf5::from_id(hdf5_sys::h5s::H5Scombine_select(
                        parts.id(),
                        H5S_seloper_t::H5S_SELECT_OR,
                        part.id(),
                    ))
                }
            })
            .map_err(|source| format!("cannot be read: {source}"))?,
        });
        Ok(())
    }

    fn count(&self) -> usize {
        let parts = self.parts.as_ref().and_then(selected_count).unwrap_or(0);
        parts.max(self.whole)
    }
}

/// How far a selection reaches.
enum Bounds {
    All,
    Nothing,
    /// Last index on each axis.
    Within(Vec<usize>),
}

#[allow(unsafe_code)]
fn bounds(space: &Dataspace) -> Bounds {
    use hdf5_sys::h5s::{H5Sget_select_bounds, H5Sget_select_type};
    let axes = space.ndim();
    let (mut first, mut last) = (vec![0; axes], vec![0; axes]);
    // SAFETY: the lock is held, the space is open, and both hold a number per axis.
    hdf5::sync::sync(|| unsafe {
        match H5Sget_select_type(space.id()) {
            H5S_sel_type::H5S_SEL_ALL => Bounds::All,
            _ if H5Sget_select_bounds(space.id(), first.as_mut_ptr(), last.as_mut_ptr()) < 0 => {
                Bounds::Nothing
            }
            _ => Bounds::Within(last.into_iter().map(|index| index as usize).collect()),
        }
    })
}

/// Number of selected elements; `None` where it has no end.
#[allow(unsafe_code)]
fn selected_count(space: &Dataspace) -> Option<usize> {
    // SAFETY: the lock is held, and the space is open.
    let count = hdf5::sync::sync(|| unsafe { hdf5_sys::h5s::H5Sget_select_npoints(space.id()) });
    usize::try_from(count).ok()
}

/// The file in which the values of a dataset lie one behind the other as they lie in memory, and the offset of the
/// first; `None` where libhdf5 has to take part.
pub(super) fn plain(dataset: &Dataset) -> Option<(PathBuf, u64)> {
    let properties = dataset.dcpl().ok()?;
    let is_here = properties.layout() == Layout::Contiguous
        && properties
            .get_external()
            .is_ok_and(|files| files.is_empty());
    // What was never written has no place.
    let written = dataset.storage_size()
        == (dataset.size() as u64).saturating_mul(dataset.dtype().ok()?.size() as u64);
    match is_here && written {
        true => Some((opened::file_name(dataset.id())?, dataset.offset()?)),
        false => None,
    }
}

/// Whether a dataset lies in this file.
pub(super) fn lies_in(dataset: &Dataset, path: &Path) -> bool {
    let place = opened::file_name(dataset.id()).and_then(|name| name.canonicalize().ok());
    place.is_some() && place == path.canonicalize().ok()
}

/// The file in which the rows of a dataset lie as they are, how many lie together, and where each such run begins; `None`
/// where libhdf5 has to take part.
pub(super) fn plain_rows(dataset: &Dataset) -> Option<(PathBuf, usize, Vec<u64>)> {
    let shape = dataset.shape();
    let (&rows, rest) = shape.split_first()?;
    if let Some((file, offset)) = plain(dataset) {
        return Some((file, rows.max(1), vec![offset]));
    }
    let chunk = dataset.chunk()?;
    let (&run, across) = chunk.split_first()?;
    if across != rest || run == 0 || !dataset.filters().is_empty() {
        return None;
    }
    let bytes = chunk.iter().product::<usize>() * dataset.dtype().ok()?.size();
    let mut offsets = vec![None; rows.div_ceil(run)];
    let visited = dataset.chunks_visit(|chunk| {
        let place = chunk.offset[0] as usize / run;
        if let Some(offset) = offsets.get_mut(place)
            && chunk.filter_mask == 0
            && chunk.size == bytes as u64
        {
            *offset = Some(chunk.addr);
        }
        0
    });
    visited.ok()?;
    let offsets: Option<Vec<u64>> = offsets.into_iter().collect();
    Some((opened::file_name(dataset.id())?, run, offsets?))
}
