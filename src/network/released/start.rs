//! The weights with which the image transformer of a run begins, from a file of this or another program.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, Array4};

use super::file::ReleasedFile;
use super::fit::{PatchEmbedding, resize_positions};
use super::import::{blocks_per_chunk, divide, faults, shown};
use super::inference::{AttentionHeads, Inference};
use super::model::ReleasedModel;
use super::names::{self, Entry};
use super::public::{REGISTERS, check_known, to_public_names};
use crate::base::error::{Error, Result};
use crate::network::encoder::{AlignedArchitecture, ImageArchitecture, architecture};
use crate::network::model::VitConfig;
use crate::network::weights::{ModelFile, ModelKind, NamedTensor, TensorFile, TensorMap};
use crate::views::augment::{PixelConfig, PixelValues};

const MASK_TOKEN: &str = "mask_token";
const PATCH_WEIGHT: &str = "patch_embed.weight";
const PATCH_BIAS: &str = "patch_embed.bias";
const POSITIONS: &str = "pos_embed";

/// An image transformer in a file, to begin a run with.
///
/// The file is an image encoder or an aligned model of this program; AstroDINO's checkpoint, or that of another run of
/// DINOv2's code; or a public DINOv2 ViT-S, B or L (facebookresearch/dinov2), as `.pth` or safetensors, under the names of
/// the public code or of Hugging Face's transformers.
#[derive(Debug)]
pub struct ImageStart {
    /// The transformer in the file. Weights do not show the number of attention heads: where the file does not tell it,
    /// it is that of heads 64 wide, as in all public models.
    pub model: VitConfig,
    /// The pixel values that it was trained on; none for a public model, which saw red, green and blue in ImageNet's
    /// units.
    pub pixels: Option<PixelConfig>,
    source: Source,
    /// Where its tensors are in the source, under our names.
    entries: Vec<Entry>,
    notes: Vec<String>,
    path: PathBuf,
}

#[derive(Debug)]
enum Source {
    Ours(TensorMap),
    Released(Box<ReleasedFile>),
}

/// Weights for the image transformer of a run.
#[derive(Debug)]
pub struct StartWeights {
    /// By our names.
    pub tensors: TensorMap,
    /// What was done to them, for people.
    pub notes: Vec<String>,
}

impl ImageStart {
    /// Looks at what a file holds.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when the file is damaged, when it holds another kind of model, and when tensors are missing,
    /// misshapen or unknown: they are named. DINOv3 and DINOv2's ViT-g, which compute otherwise, are refused by name.
    pub fn open(path: &Path) -> Result<Self> {
        let is_ours = TensorFile::open(path).is_ok_and(|file| file.header::<ModelFile>().is_ok());
        let opened = if is_ours {
            let (header, tensors) = ModelFile::read(path)?;
            Self::of_ours(&header, tensors, path)
        } else {
            Self::of_released(ReleasedFile::open(path)?, path)
        };
        opened.map_err(|error| error.in_file(path))
    }

    fn of_ours(header: &ModelFile, tensors: TensorMap, path: &Path) -> Result<Self> {
        let (model, pixels, prefix) = match header.kind {
            ModelKind::ImageEncoder => {
                let found: ImageArchitecture = architecture(header)?;
                found.check()?;
                (found.model, found.pixels, "")
            }
            ModelKind::AstroClip => {
                let found: AlignedArchitecture = architecture(header)?;
                found.check()?;
                (found.model.image, found.pixels, "image.")
            }
            kind => {
                return Err(Error::input(format!(
                    "it holds a {}; expected an image encoder or an aligned model",
                    kind.label()
                )));
            }
        };
        if model.depth > tensors.len() {
            return Err(Error::input(format!(
                "{} tensors cannot be those of {} blocks",
                tensors.len(),
                model.depth
            )));
        }
        let entries = names::vit(&model, None, "", "");
        let mut own = TensorMap::new();
        for (name, tensor) in tensors {
            if let Some(name) = name.strip_prefix(prefix) {
                own.insert(name.to_owned(), tensor);
            }
        }
        for (name, shape) in entries.iter().flat_map(|entry| &entry.ours) {
            if own.get(name).is_none_or(|tensor| tensor.shape != *shape) {
                return Err(Error::input(format!(
                    "no tensor `{prefix}{name}` of shape {shape:?}; the file is damaged"
                )));
            }
        }
        Ok(Self {
            model,
            pixels: Some(pixels),
            source: Source::Ours(own),
            entries,
            notes: Vec::new(),
            path: path.to_owned(),
        })
    }

    fn of_released(mut file: ReleasedFile, path: &Path) -> Result<Self> {
        check_known(&file).map_err(Error::input)?;
        to_public_names(&mut file);
        let prefix = match file.names().any(|name| name.starts_with("image_encoder.")) {
            true => "image_encoder.backbone.",
            false => "backbone.",
        };
        if !file.names().any(|name| name.starts_with(prefix)) {
            return Err(Error::input(
                "it holds no image transformer that is known; expected an image encoder or an aligned model of astroclip, \
                 AstroDINO, or a public DINOv2 ViT (dinov2_vits14_pretrain.pth, …)",
            ));
        }
        let mut notes = Vec::new();
        let (model, pixels) = match &file.header {
            Some(header) => match ReleasedModel::from_header(header)? {
                ReleasedModel::Image(found) => (found.model, Some(found.pixels)),
                ReleasedModel::Aligned(found) => (found.model.image, Some(found.pixels)),
                ReleasedModel::Spectrum(_) => {
                    return Err(Error::input("it holds no image transformer"));
                }
            },
            None => {
                let mut inference = Inference {
                    file: &file,
                    heads: AttentionHeads::default(),
                    assumed: Vec::new(),
                };
                let model = inference.vit(prefix).map_err(Error::input)?;
                // Checkpoints of a training run call the transformer `backbone`; public models have nothing but it.
                let is_checkpoint = file.names_part("backbone");
                (model, is_checkpoint.then(PixelConfig::default))
            }
        };
        model.check("model")?;
        let tensors = file.names().count();
        if model.depth > tensors {
            let depth = model.depth;
            return Err(Error::input(format!(
                "{tensors} tensors cannot be those of {depth} blocks"
            )));
        }
        let mut entries = names::vit(&model, blocks_per_chunk(&file), prefix, "");
        let mask = format!("{prefix}{MASK_TOKEN}");
        if file.shape(&mask).is_none() {
            entries.retain(|entry| entry.name != mask);
            notes.push("it has no mask token: that begins at zero".to_owned());
        }
        let registers = REGISTERS.into_iter().find_map(|name| file.shape(name));
        if let Some(shape) = registers {
            notes.push(format!(
                "its {} registers are dropped: the transformer that is trained here has none",
                shape.iter().rev().nth(1).unwrap_or(&0)
            ));
        }
        let is_known = |name: &str| {
            REGISTERS.contains(&name) || entries.iter().any(|entry| entry.name == name)
        };
        // Bare names of blocks that nobody knows have got no prefix.
        let inner = |name: &&str| name.starts_with(prefix) || name.starts_with("blocks.");
        let inner = file.names().filter(inner);
        let unexpected: Vec<String> = inner
            .filter(|name| !is_known(name))
            .map(str::to_owned)
            .collect();
        let missing = faults(&file, &entries);
        if !missing.is_empty() || !unexpected.is_empty() {
            return Err(Error::input(shown(missing, unexpected, &[])));
        }
        if pixels.is_none() && model.channels != 3 {
            return Err(Error::input(format!(
                "its patch embedding takes {} channels; expected red, green and blue of a public model, or the checkpoint \
                 of a training run",
                model.channels
            )));
        }
        Ok(Self {
            model,
            pixels,
            source: Source::Released(Box::new(file)),
            entries,
            notes,
            path: path.to_owned(),
        })
    }

    /// Reads the weights for a transformer of the same width, depth, heads and MLP, which sees `pixels`:
    ///
    /// - **Patches** of another size: a patch that bilinear interpolation magnifies to the larger of the two sizes has the
    ///   same token before and after (the pseudo-inverse resize of FlexiViT, Beyer et al. 2023, eq. 4, read from the
    ///   smaller kernel to the larger). Constant and linear patches keep their tokens.
    /// - **Positions** of another grid: that of the class token is kept, those of patches are resized bicubically, as the
    ///   public code does.
    /// - **Channels** go by wavelength: red is the last band of `survey.bands`, blue the first. As many are taken as they
    ///   are; of another number each takes its share of the range, and an image that is the same in all keeps its tokens.
    /// - **Pixel values**: a public model saw ImageNet's mean subtracted and its standard deviation divided out. For
    ///   colours in [0, 1] both are folded into the patch embedding; z-scored pixels are in such units as they are.
    /// - **Registers** are dropped; a missing mask token begins at zero.
    ///
    /// # Errors
    ///
    /// [`Error::input`] when a tensor's values are not all in the file, not as they were written, or not finite.
    pub fn read(self, target: &VitConfig, pixels: &PixelConfig) -> Result<StartWeights> {
        let path = self.path.clone();
        let read = self.read_all(target, pixels);
        read.map_err(|error| error.in_file(&path))
    }

    fn read_all(self, target: &VitConfig, pixels: &PixelConfig) -> Result<StartWeights> {
        let Self {
            model,
            pixels: seen,
            source,
            entries,
            mut notes,
            ..
        } = self;
        let mut tensors = match source {
            Source::Ours(tensors) => tensors,
            Source::Released(file) => values(*file, entries)?,
        };
        let mask_token = || NamedTensor {
            shape: vec![1, model.width],
            values: vec![0.0; model.width],
        };
        tensors
            .entry(MASK_TOKEN.to_owned())
            .or_insert_with(mask_token);

        let mut take = |name: &str| tensors.remove(name).expect("all tensors are there").values;
        let patch = model.patch_size;
        let shape = (model.width, model.channels, patch, patch);
        let mut embedding = PatchEmbedding {
            kernel: Array4::from_shape_vec(shape, take(PATCH_WEIGHT)).expect("checked shapes"),
            bias: Array1::from(take(PATCH_BIAS)),
        };
        let positions = take(POSITIONS);
        let shape = (positions.len() / model.width, model.width);
        let positions = Array2::from_shape_vec(shape, positions).expect("checked shapes");

        match (&seen, pixels.pixel_values) {
            (Some(_), _) => {}
            (None, PixelValues::Rgb) => {
                embedding.fold_imagenet();
                notes.push(
                    "ImageNet's mean and standard deviation are folded into its patch embedding: it takes colours in \
                     [0, 1]"
                        .to_owned(),
                );
            }
            (None, PixelValues::Zscore) => notes.push(
                "it takes z-scored pixels in place of those in ImageNet's units: nothing is folded into its patch \
                 embedding"
                    .to_owned(),
            ),
        }
        let reddest_first = |pixels: &PixelConfig| pixels.pixel_values == PixelValues::Rgb;
        if seen.as_ref().is_none_or(reddest_first) != reddest_first(pixels) {
            notes.push(
                "channels: they are taken in the opposite order, which is that of these pixel values"
                    .to_owned(),
            );
            embedding.reverse_channels();
        }
        if target.channels != model.channels {
            notes.push(format!(
                "channels: its {} are shared out among {} bands by wavelength",
                model.channels, target.channels
            ));
            embedding.share_channels(target.channels);
        }
        if target.patch_size != patch {
            notes.push(format!(
                "patches: its kernels of {patch} x {patch} pixels are resized to {0} x {0}",
                target.patch_size
            ));
            embedding.resize(target.patch_size);
        }
        let (before, side) = (
            model.image_size / patch,
            target.image_size / target.patch_size,
        );
        if before != side {
            notes.push(format!(
                "positions: its grid of {before} x {before} patches is resized to {side} x {side}"
            ));
        }
        let positions = resize_positions(positions, side);

        let PatchEmbedding { kernel, bias } = embedding;
        let pixels = target.channels * target.patch_size.pow(2);
        let mut put = |name: &str, shape: Vec<usize>, values: Vec<f32>| {
            tensors.insert(name.to_owned(), NamedTensor { shape, values });
        };
        let width = model.width;
        put(
            PATCH_WEIGHT,
            vec![width, pixels],
            kernel.iter().copied().collect(),
        );
        put(PATCH_BIAS, vec![width], bias.to_vec());
        put(
            POSITIONS,
            vec![1, positions.nrows(), width],
            positions.iter().copied().collect(),
        );
        Ok(StartWeights { tensors, notes })
    }
}

/// The tensors of a file under our names.
fn values(mut file: ReleasedFile, entries: Vec<Entry>) -> Result<TensorMap> {
    let mut tensors = TensorMap::new();
    for entry in entries {
        let name = &entry.name;
        let tensor = file
            .take(name)
            .map_err(|what| Error::input(format!("`{name}`: {what}")))?;
        if let Some(fault) = tensor.not_finite(name) {
            return Err(Error::input(format!(
                "{fault}; expected weights, which are finite"
            )));
        }
        tensors.extend(divide(tensor.values, entry.ours));
    }
    Ok(tensors)
}
