//! From released weights to a model file of ours.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::ReleasedFile;
use super::inference::{AttentionHeads, Inference};
use super::model::ReleasedModel;
use super::names::Entry;
use crate::base::error::{Error, Result};
use crate::network::weights::{
    ImportSource, ModelFile, NamedTensor, NotFinite, TensorMap, file_sha256,
};

/// Faults that a message names.
const SHOWN_FAULTS: usize = 8;

/// A released file whose tensors are known and in place, not read yet.
#[derive(Debug)]
pub struct ReleasedWeights {
    /// Header of the model file that they make.
    pub header: ModelFile,
    /// What is mapped and what is not.
    pub summary: ImportSummary,
    file: ReleasedFile,
    entries: Vec<Entry>,
    path: PathBuf,
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ImportSummary {
    /// Tensors of the released file that were mapped.
    pub mapped: usize,
    /// Numbers in them.
    pub parameters: usize,
    /// Tensors of the released file that the model has no use for.
    pub left_out: Vec<LeftOut>,
    /// Entries of the checkpoint beside the weights, which were not read.
    pub skipped: Vec<String>,
    /// Settings that the file does not tell.
    pub assumed: Vec<String>,
}

/// Tensors of one part of a released model that was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LeftOut {
    /// First part of their names.
    pub part: String,
    /// How many.
    pub tensors: usize,
}

impl ReleasedWeights {
    /// Recognises released weights: an image transformer (`astrodino`), a spectrum transformer
    /// (`specformer`) or an aligned model (`astroclip`), in a file of PyTorch or safetensors. Which it is,
    /// and its sizes, follow from the tensors.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file is damaged or of no such kind, and when tensors are missing,
    /// misshapen or unknown: they are named.
    pub fn open(path: &Path, heads: AttentionHeads) -> Result<Self> {
        let file = ReleasedFile::open(path)?;
        let wrong = |what: String| Error::input(what).in_file(path);
        let mut inference = Inference {
            file: &file,
            heads,
            assumed: Vec::new(),
        };
        let model = match &file.header {
            Some(_) if heads != AttentionHeads::default() => {
                return Err(Error::input(
                    "astroclip wrote it and it tells its attention heads; \
                     leave the --…-heads options out",
                )
                .in_file(path));
            }
            Some(header) => {
                ReleasedModel::from_header(header).map_err(|error| error.in_file(path))?
            }
            None => inference.model().map_err(wrong)?,
        };
        let assumed = inference.assumed;
        model.check(file.names().count()).map_err(wrong)?;
        let blocks_per_chunk = blocks_per_chunk(&file);
        let entries = model.entries(blocks_per_chunk);
        let missing = faults(&file, &entries);
        let (left_out, unexpected) = left_out(&file, &model, &entries);
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(wrong(shown(missing, unexpected, &left_out)));
        }

        let made = || model.header(file.facts.step.unwrap_or(0) as u64);
        let mut header = file.header.clone().unwrap_or_else(made);
        let name = path.file_name().unwrap_or(path.as_os_str());
        header.source = Some(ImportSource {
            file: name.to_string_lossy().into_owned(),
            sha256: file_sha256(path)?,
            blocks_per_chunk,
        });
        let numbers = |entry: &Entry| entry.shape.iter().product::<usize>();
        let summary = ImportSummary {
            mapped: entries.len(),
            parameters: entries.iter().map(numbers).sum(),
            left_out,
            skipped: file.beside.clone(),
            assumed,
        };
        Ok(Self {
            header,
            summary,
            file,
            entries,
            path: path.to_owned(),
        })
    }

    /// Reads the weights under our names.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when a tensor's values are not all in the file, not as they were written, or not finite.
    pub fn read(mut self) -> Result<TensorMap> {
        let mut tensors = TensorMap::new();
        for entry in std::mem::take(&mut self.entries) {
            let tensor = self.take(&entry.name)?;
            if let Some(fault) = tensor.not_finite(&entry.name) {
                return Err(
                    Error::input(format!("{fault}; expected weights, which are finite"))
                        .in_file(&self.path),
                );
            }
            tensors.extend(divide(tensor.values, entry.ours));
        }
        Ok(tensors)
    }

    /// The tensors of the model with values that are not finite; all values are read.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read) else.
    pub fn not_finite(mut self) -> Result<Vec<NotFinite>> {
        let mut faults = Vec::new();
        for entry in std::mem::take(&mut self.entries) {
            faults.extend(self.take(&entry.name)?.not_finite(&entry.name));
        }
        Ok(faults)
    }

    fn take(&mut self, name: &str) -> Result<NamedTensor> {
        let tensor = self.file.take(name);
        tensor.map_err(|what| Error::input(format!("`{name}`: {what}")).in_file(&self.path))
    }
}

/// Tensors that are missing or misshapen.
pub(super) fn faults(file: &ReleasedFile, entries: &[Entry]) -> Vec<String> {
    let fault = |Entry { name, shape, .. }: &Entry| match file.shape(name) {
        None => Some(format!("`{name}` {shape:?} is missing")),
        Some(found) if found != shape => {
            Some(format!("`{name}` has shape {found:?}, expected {shape:?}"))
        }
        Some(_) => None,
    };
    entries.iter().filter_map(fault).collect()
}

/// What is missing, and beside it what is there under names that are not known: one may be the other.
pub(super) fn shown(missing: Vec<String>, unexpected: Vec<String>, left_out: &[LeftOut]) -> String {
    let unexpected = unexpected
        .iter()
        .map(|name| format!("`{name}` is not expected"));
    let mut shown: Vec<String> = [first_of(missing), first_of(unexpected.collect())].concat();
    shown.extend(left_out.iter().map(|LeftOut { part, tensors }| {
        format!("{tensors} tensors of `{part}` are no part of the model")
    }));
    shown.join("; ")
}

/// The first that a message names, and how many more there are.
pub(super) fn first_of(mut faults: Vec<String>) -> Vec<String> {
    let more = faults.len().saturating_sub(SHOWN_FAULTS);
    faults.truncate(SHOWN_FAULTS);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults
}

/// Cuts values into tensors of these names and shapes, one after the other.
pub(super) fn divide(mut values: Vec<f32>, parts: Vec<(String, Vec<usize>)>) -> TensorMap {
    let mut tensors = TensorMap::new();
    for (name, shape) in parts {
        let rest = values.split_off(shape.iter().product());
        tensors.insert(name, NamedTensor { shape, values });
        values = rest;
    }
    tensors
}

/// Tensors that no entry names, by part; and the names of those inside of the model, which are faults, because a model
/// with them computes something else.
fn left_out(
    file: &ReleasedFile,
    model: &ReleasedModel,
    entries: &[Entry],
) -> (Vec<LeftOut>, Vec<String>) {
    let ours: &[&str] = match model {
        ReleasedModel::Image(_) => &["backbone."],
        ReleasedModel::Spectrum(_) => &[""],
        ReleasedModel::Aligned(_) => &["image_encoder.", "spectrum_encoder."],
    };
    let known: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let mut left_out: Vec<LeftOut> = Vec::new();
    let mut unexpected = Vec::new();
    for name in file.names().filter(|name| !known.contains(name)) {
        if ours.iter().any(|part| name.starts_with(part)) {
            unexpected.push(name.to_owned());
            continue;
        }
        let part = name.split('.').next().unwrap_or(name);
        match left_out.last_mut() {
            Some(last) if last.part == part => last.tensors += 1,
            _ => left_out.push(LeftOut {
                part: part.to_owned(),
                tensors: 1,
            }),
        }
    }
    (left_out, unexpected)
}

/// Blocks of the image transformer in its first chunk; none where names are not chunked.
pub(super) fn blocks_per_chunk(file: &ReleasedFile) -> Option<usize> {
    let chunked = |name: &str| {
        let (_, rest) = name.split_once("backbone.blocks.")?;
        let mut parts = rest.split('.');
        let chunk: usize = parts.next()?.parse().ok()?;
        let block: usize = parts.next()?.parse().ok()?;
        (chunk == 0).then_some(block.saturating_add(1))
    };
    file.names().filter_map(chunked).max()
}
