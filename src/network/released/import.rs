//! From released weights to a model file of ours.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::file::ReleasedFile;
use super::model::ReleasedModel;
use super::names::Entry;
use crate::base::error::{Error, Result};
use crate::network::encoder::{AlignedArchitecture, ImageArchitecture, SpectrumArchitecture};
use crate::network::model::{
    AstroClipConfig, EmbeddingHeadConfig, ImageTokens, SpecFormerConfig, VitConfig,
};
use crate::network::weights::{
    ImportSource, ModelFile, NamedTensor, NotFinite, TensorMap, file_sha256,
};
use crate::survey::Survey;
use crate::views::augment::PixelConfig;
use crate::views::batch::SpectrumTokenizer;

/// Width of an attention head in vision transformers (Dosovitskiy et al. 2020).
const VIT_HEAD_WIDTH: usize = 64;
/// Heads of the released spectrum transformer, and of the released cross-attention.
const SPECTRUM_HEADS: usize = 6;
const EMBEDDING_HEADS: usize = 4;
/// Dropout of the released cross-attention.
const HEAD_DROPOUT: f64 = 0.1;
/// Faults that a message names.
const SHOWN_FAULTS: usize = 8;

/// Numbers of attention heads, which weights do not show; those that the file tells need not be given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttentionHeads {
    /// Of the image transformer.
    pub image: Option<usize>,
    /// Of the spectrum transformer.
    pub spectrum: Option<usize>,
    /// Of the cross-attention of both embedding heads.
    pub embedding: Option<usize>,
}

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
fn faults(file: &ReleasedFile, entries: &[Entry]) -> Vec<String> {
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
fn shown(missing: Vec<String>, unexpected: Vec<String>, left_out: &[LeftOut]) -> String {
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
fn first_of(mut faults: Vec<String>) -> Vec<String> {
    let more = faults.len().saturating_sub(SHOWN_FAULTS);
    faults.truncate(SHOWN_FAULTS);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults
}

/// Cuts values into tensors of these names and shapes, one after the other.
fn divide(mut values: Vec<f32>, parts: Vec<(String, Vec<usize>)>) -> TensorMap {
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
fn blocks_per_chunk(file: &ReleasedFile) -> Option<usize> {
    let chunked = |name: &str| {
        let (_, rest) = name.split_once("backbone.blocks.")?;
        let mut parts = rest.split('.');
        let chunk: usize = parts.next()?.parse().ok()?;
        let block: usize = parts.next()?.parse().ok()?;
        (chunk == 0).then_some(block.saturating_add(1))
    };
    file.names().filter_map(chunked).max()
}

/// Reads the architecture off shapes and facts.
struct Inference<'a> {
    file: &'a ReleasedFile,
    heads: AttentionHeads,
    assumed: Vec<String>,
}

impl Inference<'_> {
    fn model(&mut self) -> Result<ReleasedModel, String> {
        let has = |start: &str| self.file.names().any(|name| name.starts_with(start));
        if has("image_encoder.") && has("spectrum_encoder.") {
            let (image, spectrum) = ("image_encoder.backbone.", "spectrum_encoder.backbone.");
            let model = AstroClipConfig {
                image: self.vit(image)?,
                image_head: self.head("image_encoder.", false),
                spectrum: self.specformer(spectrum)?,
                spectrum_head: self.head("spectrum_encoder.", true),
                image_tokens: ImageTokens::BarePatches,
            };
            return Ok(ReleasedModel::Aligned(Box::new(AlignedArchitecture {
                tokens: self.tokenizer(&model.spectrum)?,
                model,
                pixels: PixelConfig::default(),
                survey: Survey::default(),
            })));
        }
        if has("data_embed.") {
            let model = self.specformer("")?;
            return Ok(ReleasedModel::Spectrum(SpectrumArchitecture {
                tokens: self.tokenizer(&model)?,
                model,
                survey: Survey::default(),
            }));
        }
        if has("backbone.patch_embed.") {
            return Ok(ReleasedModel::Image(ImageArchitecture {
                model: self.vit("backbone.")?,
                pixels: PixelConfig::default(),
                survey: Survey::default(),
            }));
        }
        let found: Vec<String> = self
            .file
            .names()
            .take(3)
            .map(|name| format!("`{name}`"))
            .collect();
        Err(match found.is_empty() {
            true => {
                "it holds no tensors; expected weights of astrodino, specformer or astroclip".into()
            }
            false => format!(
                "its tensors ({}, … {} in all) are of none of the released models; expected those of astrodino (`backbone.patch_embed…`), specformer (`data_embed…`) or astroclip (`image_encoder…` and `spectrum_encoder…`)",
                found.join(", "),
                self.file.names().count()
            ),
        })
    }

    /// Extent of one axis of a tensor, or `default` where it is missing: the missing tensor is reported
    /// with all others later. So is one without elements, whose other extents nothing bounds.
    fn axis(&self, name: &str, axis: usize, default: usize) -> usize {
        let shape = self.file.shape(name).filter(|shape| !shape.contains(&0));
        let extent = shape.and_then(|shape| shape.get(axis)).copied();
        extent.unwrap_or(default)
    }

    /// Number of blocks, and the hidden width of their MLPs.
    fn blocks(&self, prefix: &str, hidden: &str) -> Result<(usize, Option<usize>), String> {
        let start = format!("{prefix}blocks.");
        let (mut depth, mut width, mut tensors) = (0, None, 0);
        for name in self.file.names() {
            let Some(rest) = name.strip_prefix(&start) else {
                continue;
            };
            tensors += 1;
            // The block's own index is the last of the numbers in front.
            let numbers = rest.split('.').map_while(|part| part.parse::<usize>().ok());
            depth = depth.max(numbers.last().map_or(0, |index| index.saturating_add(1)));
            if width.is_none() && rest.ends_with(hidden) {
                width = Some(self.axis(name, 0, 0)).filter(|&width| width > 0);
            }
        }
        match depth {
            0 => {
                let within = self.file.names().filter(|name| name.starts_with(prefix));
                let found = first_of(within.map(|name| format!("`{name}`")).collect());
                Err(format!(
                    "`{start}0.…` and all other blocks are missing; there are {}",
                    found.join(", ")
                ))
            }
            depth if depth > tensors => Err(format!(
                "`{start}{}.…` is there, but there are only {tensors} tensors of blocks",
                depth - 1
            )),
            depth => Ok((depth, width)),
        }
    }

    fn vit(&mut self, prefix: &str) -> Result<VitConfig, String> {
        let patches = format!("{prefix}patch_embed.proj.weight");
        let (width, patch_size) = (self.axis(&patches, 0, 1024), self.axis(&patches, 2, 12));
        let positions = self.axis(&format!("{prefix}pos_embed"), 1, 145);
        let (depth, hidden) = self.blocks(prefix, ".mlp.fc1.weight")?;
        let known = self.heads.image.or(self.file.facts.image_heads);
        let heads = known.unwrap_or_else(|| {
            let heads = vit_heads(width);
            self.assumed.push(format!(
                "{heads} attention heads of the image transformer (--image-heads says otherwise)"
            ));
            heads
        });
        Ok(VitConfig {
            image_size: patch_size * positions.saturating_sub(1).isqrt(),
            patch_size,
            channels: self.axis(&patches, 1, 3),
            width,
            depth,
            heads,
            mlp_ratio: hidden.unwrap_or(4 * width) as f64 / width as f64,
            layer_scale: 1e-5,
            drop_path: 0.0,
        })
    }

    fn specformer(&mut self, prefix: &str) -> Result<SpecFormerConfig, String> {
        let embed = format!("{prefix}data_embed.weight");
        let width = self.axis(&embed, 0, 768);
        let (depth, hidden) = self.blocks(prefix, ".mlp.encoder.weight")?;
        let known = self.heads.spectrum.or(self.file.facts.spectrum_heads);
        let heads = known.unwrap_or_else(|| {
            self.assumed.push(format!(
                "{SPECTRUM_HEADS} attention heads of the spectrum transformer (--spectrum-heads says otherwise)"
            ));
            SPECTRUM_HEADS
        });
        Ok(SpecFormerConfig {
            token_width: self.axis(&embed, 1, 22),
            max_tokens: self.axis(&format!("{prefix}position_embed.weight"), 0, 800),
            width,
            depth,
            heads,
            mlp_ratio: hidden.unwrap_or(4 * width) as f64 / width as f64,
        })
    }

    fn head(&mut self, prefix: &str, residual: bool) -> EmbeddingHeadConfig {
        let embedding = self.axis(&format!("{prefix}cross_attention.query"), 2, 1024);
        let hidden = self.axis(&format!("{prefix}mlp.encoder.weight"), 0, 4 * embedding);
        let facts = &self.file.facts;
        let known = self.heads.embedding.or(facts.embedding_heads);
        let config = EmbeddingHeadConfig {
            embedding,
            heads: known.unwrap_or(EMBEDDING_HEADS),
            mlp_ratio: hidden as f64 / embedding as f64,
            dropout: facts.head_dropout.unwrap_or(HEAD_DROPOUT),
            residual,
        };
        if known.is_none() {
            self.assumed.push(format!(
                "{EMBEDDING_HEADS} heads of the cross-attention in `{prefix}` (--embedding-heads says otherwise)"
            ));
        }
        config
    }

    fn tokenizer(&mut self, model: &SpecFormerConfig) -> Result<SpectrumTokenizer, String> {
        let default = SpectrumTokenizer::default();
        let columns = default.width() - default.section_length;
        let facts = &self.file.facts;
        let section_length = facts
            .section_length
            .unwrap_or(model.token_width.saturating_sub(columns));
        let overlap = facts.overlap.unwrap_or(section_length / 2);
        if section_length + columns != model.token_width || overlap >= section_length {
            return Err(format!(
                "tokens {} wide do not go with sections of {section_length} pixels that overlap by {overlap}",
                model.token_width
            ));
        }
        Ok(SpectrumTokenizer {
            section_length,
            overlap,
            ..default
        })
    }
}

/// Heads about 64 wide, at least two.
fn vit_heads(width: usize) -> usize {
    let wanted = (width / VIT_HEAD_WIDTH).max(2);
    (wanted..=width)
        .find(|heads| width.is_multiple_of(*heads))
        .unwrap_or(1)
}
