//! What a released model is: its architecture, read off the names and shapes of its tensors.

use super::file::ReleasedFile;
use super::import::first_of;
use super::model::ReleasedModel;
use crate::network::encoder::{AlignedArchitecture, ImageArchitecture, SpectrumArchitecture};
use crate::network::model::{
    AstroClipConfig, EmbeddingHeadConfig, ImageTokens, SpecFormerConfig, VitConfig,
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

/// Reads the architecture off shapes and facts.
pub(super) struct Inference<'a> {
    pub file: &'a ReleasedFile,
    pub heads: AttentionHeads,
    /// What the file does not tell, for people.
    pub assumed: Vec<String>,
}

impl Inference<'_> {
    /// The architecture that the tensors are of.
    ///
    /// # Errors
    /// What contradicts itself, or is of no released model.
    pub fn model(&mut self) -> Result<ReleasedModel, String> {
        let has = |start: &str| self.file.names().any(|name| name.starts_with(start));
        if has("image_encoder.") && has("spectrum_encoder.") {
            let (image, spectrum) = ("image_encoder.backbone.", "spectrum_encoder.backbone.");
            let model = AstroClipConfig {
                image: self.vit(image)?,
                image_head: self.head("image_encoder.", false),
                spectrum: self.specformer(spectrum)?,
                spectrum_head: self.head("spectrum_encoder.", true),
                image_tokens: ImageTokens::BarePatches,
                photometry: None,
                spectrum_photometry: None,
            };
            return Ok(ReleasedModel::Aligned(Box::new(AlignedArchitecture {
                tokens: self.tokenizer(&model.spectrum)?,
                model,
                pixels: PixelConfig::default(),
                photometer: None,
                spectrophotometer: None,
                survey: Survey::default(),
                image_features: None,
                spectrum_features: None,
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

    /// The image transformer whose tensors' names begin so.
    ///
    /// # Errors
    ///
    /// Where it has no blocks, or not as many as it claims.
    pub fn vit(&mut self, prefix: &str) -> Result<VitConfig, String> {
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
