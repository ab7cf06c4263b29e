//! From a model file of ours to weights that the released code loads.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Serialize;

use super::HEADER_KEY;
use super::model::ReleasedModel;
use super::write::{Item, write_checkpoint};
use crate::base::error::{Error, Result};
use crate::network::encoder::{AlignedArchitecture, ImageArchitecture, SpectrumArchitecture};
use crate::network::model::ImageTokens;
use crate::network::weights::{ModelFile, ModelKind, NamedTensor, TensorMap, write_safetensors};
use crate::survey::Survey;
use crate::views::augment::PixelValues;

/// Bytes at the start of an exported file that hold all its names.
const NAMES: u64 = 8 << 20;

/// Containers of exported weights; names and shapes are those of the released code in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportFormat {
    /// A checkpoint of PyTorch, nested as the released ones.
    Released,
    /// The state dictionary alone as safetensors.
    Safetensors,
}

/// What an export did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportSummary {
    /// What the file holds.
    pub kind: ModelKind,
    /// Tensors written.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: usize,
    /// What the released code would do otherwise with these weights.
    pub differences: Vec<String>,
}

/// Writes the weights of a model file of ours under the names and in the shapes of the released code.
///
/// # Errors
///
/// [`Error::input`] when the model file is damaged, [`Error::run`] when the disk refuses.
pub fn export(model: &Path, out: &Path, format: ExportFormat) -> Result<ExportSummary> {
    let (header, mut tensors) = ModelFile::read(model)?;
    let wrong = |what: &dyn std::fmt::Display| Error::input(what).in_file(model);
    let released = ReleasedModel::from_header(&header).map_err(|error| error.in_file(model))?;
    released.check(tensors.len()).map_err(|what| wrong(&what))?;
    let blocks_per_chunk = match &header.source {
        Some(source) => source.blocks_per_chunk,
        None => released.released_chunks(),
    };
    let mut state = Vec::new();
    for entry in released.entries(blocks_per_chunk) {
        let mut values = Vec::new();
        for (name, shape) in &entry.ours {
            let part = tensors
                .remove(name)
                .filter(|part| part.shape == *shape)
                .ok_or_else(|| wrong(&format!("no tensor `{name}` of shape {shape:?}")))?;
            match values.is_empty() {
                true => values = part.values,
                false => values.extend(part.values),
            }
        }
        let shape = entry.shape;
        state.push((entry.name, NamedTensor { shape, values }));
    }
    let summary = ExportSummary {
        kind: header.kind,
        tensors: state.len(),
        parameters: state.iter().map(|(_, tensor)| tensor.values.len()).sum(),
        differences: differences(&released),
    };
    match format {
        ExportFormat::Safetensors => {
            let text = serde_json::to_string(&header).expect("headers are plain JSON");
            write_safetensors(out, &TensorMap::from_iter(state), HEADER_KEY, text)?;
        }
        ExportFormat::Released => {
            write_checkpoint(out, &checkpoint(&released, &header, state))?;
        }
    }
    Ok(summary)
}

/// Whether a file is one that [`export`] wrote: both formats name our header.
pub fn is_export(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(NAMES).read_to_end(&mut start));
    let mut words = start.windows(HEADER_KEY.len());
    read.is_ok() && words.any(|word| word == HEADER_KEY.as_bytes())
}

/// Nested as the released checkpoints are.
fn checkpoint(
    model: &ReleasedModel,
    header: &ModelFile,
    state: Vec<(String, NamedTensor)>,
) -> Item {
    let text = serde_json::to_string(header).expect("headers are plain JSON");
    let ours = (HEADER_KEY, Item::Text(text));
    let state = Item::State(state);
    if let ReleasedModel::Image(_) = model {
        return Item::Dict(vec![("teacher", state), ours]);
    }
    let mut entries = vec![
        ("global_step", Item::Int(header.step as i64)),
        ("state_dict", state),
        ours,
    ];
    if let ReleasedModel::Spectrum(SpectrumArchitecture { model, tokens, .. }) = model {
        let count = |count: usize| Item::Int(count as i64);
        let masks = |key: &str, released: i64| {
            let value = header.config["spectra"]["masks"][key].as_i64();
            Item::Int(value.unwrap_or(released))
        };
        // The arguments of the released `SpecFormer`, which its loader passes on.
        let arguments = vec![
            ("input_dim", count(model.token_width)),
            ("embed_dim", count(model.width)),
            ("num_layers", count(model.depth)),
            ("num_heads", count(model.heads)),
            ("max_len", count(model.max_tokens)),
            ("mask_num_chunks", masks("segments", 6)),
            ("mask_chunk_width", masks("width", 50)),
            ("slice_section_length", count(tokens.section_length)),
            ("slice_overlap", count(tokens.overlap)),
            ("dropout", Item::Float(0.0)),
            ("norm_first", Item::Bool(false)),
        ];
        entries.push(("hyper_parameters", Item::Dict(arguments)));
    }
    Item::Dict(entries)
}

/// Where the released code would compute something else from these weights.
fn differences(model: &ReleasedModel) -> Vec<String> {
    let mut found = Vec::new();
    let mut differs = |is: bool, what: &str| {
        if is {
            found.push(what.to_owned());
        }
    };
    let pixels = match model {
        ReleasedModel::Image(ImageArchitecture { pixels, .. }) => Some(pixels),
        ReleasedModel::Spectrum(_) => None,
        ReleasedModel::Aligned(inner) => Some(&inner.pixels),
    };
    differs(
        pixels.is_some_and(|pixels| pixels.pixel_values != PixelValues::Rgb),
        "it feeds arcsinh colours; this model was trained on z-scored pixels",
    );
    let survey = match model {
        ReleasedModel::Image(image) => &image.survey,
        ReleasedModel::Spectrum(spectrum) => &spectrum.survey,
        ReleasedModel::Aligned(aligned) => &aligned.survey,
    };
    differs(
        *survey != Survey::default(),
        "it reads cutouts of the Legacy Surveys and spectra on DESI's wavelengths; this model was trained on another survey",
    );
    if let ReleasedModel::Aligned(inner) = model {
        let AlignedArchitecture { model, .. } = inner.as_ref();
        differs(
            model.image_tokens != ImageTokens::BarePatches,
            "its image head sees patches that entered the transformer without class token and positions; this model's head was trained on all tokens",
        );
        differs(
            model.photometry.is_some(),
            "it knows no fluxes; this model's image embeddings are made with fluxes in apertures, which the file leaves out",
        );
        differs(
            model.spectrum_photometry.is_some(),
            "it knows no fluxes; this model's spectrum embeddings are made with flux in bins, which the file leaves out",
        );
        differs(
            model.image_head.residual,
            "its image head has no residual around the MLP; this model's has",
        );
        differs(
            !model.spectrum_head.residual,
            "its spectrum head has a residual around the MLP; this model's has none",
        );
    }
    found
}
