//! Run files of the training stages and of the quickstart.

use serde::{Deserialize, Serialize};

use super::{StageConfig, load};
use crate::base::error::{ABOVE_0, Check, Result};
use crate::network::model::{
    EmbeddingHeadConfig, HeadConfigs, ImageFeaturesConfig, ImageTokens, PhotometryHeadConfig,
    SpecFormerConfig, SpectrumFeaturesConfig, VitConfig,
};
use crate::network::nn::PrototypeHeadConfig;
use crate::survey::Survey;
use crate::training::objective::{
    AlignConfig, AlignOptimizerConfig, DinoConfig, DinoLossConfig, DinoOptimizerConfig,
    MaskedModellingConfig, SpectrumOptimizerConfig, TeacherConfig,
};
use crate::training::train::RunConfig;
use crate::views::augment::{
    AlignViewConfig, BlockMaskConfig, MultiCropConfig, PhotometryConfig, PixelConfig,
    SegmentMaskConfig, SpectrophotometryConfig,
};
use crate::views::batch::SpectrumTokenizer;

/// How images become pixel values, whatever is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSection {
    /// Crops and their augmentation.
    #[serde(default)]
    pub crops: MultiCropConfig,
    /// Masked patches.
    #[serde(default)]
    pub masks: BlockMaskConfig,
    /// From nanomaggies to what the model sees.
    #[serde(default)]
    pub pixels: PixelConfig,
}

/// Run file of `pretrain-image`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRun {
    /// Length and bookkeeping.
    pub train: RunConfig,
    /// What the cutouts are.
    #[serde(default)]
    pub survey: Survey,
    /// Image transformer.
    pub model: VitConfig,
    /// Heads.
    #[serde(default)]
    pub head: PrototypeHeadConfig,
    /// Whether patches have a head of their own (paper) or share that of the class token (released).
    #[serde(default = "yes")]
    pub separate_heads: bool,
    /// Images.
    pub images: ImageSection,
    /// Losses.
    #[serde(default)]
    pub loss: DinoLossConfig,
    /// Teacher.
    pub teacher: TeacherConfig,
    /// Optimisation.
    pub optimizer: DinoOptimizerConfig,
}

fn yes() -> bool {
    true
}

impl ImageRun {
    /// The part that the objective needs.
    pub fn objective(&self) -> DinoConfig {
        DinoConfig {
            model: self.model.clone(),
            head: self.head.clone(),
            separate_heads: self.separate_heads,
            loss: self.loss.clone(),
            teacher: self.teacher.clone(),
            optimizer: self.optimizer.clone(),
            steps: self.train.schedule(),
            seed: self.train.seed,
        }
    }
}

impl StageConfig for ImageRun {
    const STAGE: &'static str = "pretrain-image";
    const DEFAULT: &'static str = "tiny-vit";

    fn check(&self) -> Result<()> {
        self.train.check("train")?;
        self.survey.check("survey")?;
        self.model.check("model")?;
        let bands = self.survey.bands.len();
        self.model.check_channels("model", bands)?;
        self.head.check("head")?;
        let ImageSection {
            crops,
            masks,
            pixels,
        } = &self.images;
        let path = "images.crops";
        crops.check(path, bands)?;
        for (field, size) in [
            ("global_size", crops.global_size),
            ("local_size", crops.local_size),
        ] {
            self.model.check_side(Check::at(path), field, size)?;
        }
        // Without a size here, files are asked for theirs.
        if let Some(size) = self.survey.cutout_size {
            crops.check_fit(path, size)?;
        }
        masks.check("images.masks")?;
        pixels.check("images.pixels", bands)?;
        self.loss.check("loss")?;
        self.teacher.check("teacher")?;
        let blocks = self.optimizer.frozen_blocks;
        Check::at("optimizer").count("frozen_blocks", blocks, 0..=self.model.depth)?;
        self.optimizer.check("optimizer", self.train.schedule())
    }
}

/// How spectra become tokens and what is hidden of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrumSection {
    /// Sections of a spectrum.
    #[serde(default)]
    pub tokens: SpectrumTokenizer,
    /// Masked segments.
    #[serde(default)]
    pub masks: SegmentMaskConfig,
}

/// Run file of `pretrain-spectrum`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpectrumRun {
    /// Length and bookkeeping.
    pub train: RunConfig,
    /// What the spectra are.
    #[serde(default)]
    pub survey: Survey,
    /// Spectrum transformer.
    pub model: SpecFormerConfig,
    /// Spectra.
    pub spectra: SpectrumSection,
    /// Optimisation.
    pub optimizer: SpectrumOptimizerConfig,
}

impl SpectrumRun {
    /// The part that the objective needs.
    pub fn objective(&self) -> MaskedModellingConfig {
        MaskedModellingConfig {
            optimizer: self.optimizer.clone(),
            steps: self.train.schedule(),
        }
    }
}

impl StageConfig for SpectrumRun {
    const STAGE: &'static str = "pretrain-spectrum";
    const DEFAULT: &'static str = "tiny-specformer";

    fn check(&self) -> Result<()> {
        self.train.check("train")?;
        self.survey.check("survey")?;
        self.model.check("model")?;
        let pixels = self.survey.wavelengths.len;
        let SpectrumSection { tokens, masks } = &self.spectra;
        tokens.check("spectra.tokens", pixels)?;
        tokens.check_width("model", self.model.token_width)?;
        let count = tokens.tokens(pixels);
        Check::at("model").require(
            self.model.max_tokens >= count,
            "max_tokens",
            self.model.max_tokens,
            format!("at least {count}, the tokens of a spectrum"),
        )?;
        masks.check("spectra.masks", count)?;
        self.optimizer.check("optimizer", self.train.schedule())
    }
}

/// The contrastive loss and the heads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignSection {
    /// Factor on cosine similarities, above 0.
    #[serde(default = "paper_logit_scale")]
    pub logit_scale: f64,
    /// Factor on one minus the cosine between embeddings and those of `--teacher`, on top of `logit_scale`, 0 or more.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub teacher_weight: f64,
    /// Head on the image transformer.
    #[serde(default)]
    pub image_head: EmbeddingHeadConfig,
    /// Head on the spectrum transformer.
    #[serde(default)]
    pub spectrum_head: EmbeddingHeadConfig,
    /// Tokens of the image transformer that the image head sees: `all` or `bare-patches`.
    #[serde(default)]
    pub image_tokens: ImageTokens,
    /// Flips and rotations of the images; the size follows the image encoder.
    #[serde(default = "yes")]
    pub augment: bool,
    /// Largest standard deviation, in arcsec, of a Gaussian blur that makes the seeing of each training image worse, the same in
    /// all bands, 0 to 10; none where it is not given, as in the paper.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub extra_seeing: f64,
    /// What `embed` keeps of images from before the head; the class token where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_features: Option<ImageFeaturesConfig>,
    /// What `embed` keeps of spectra from before the head; the mean of the tokens where it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrum_features: Option<SpectrumFeaturesConfig>,
    /// Fluxes that images are embedded with and that their features have; none where it is not given, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_photometry: Option<PhotometryConfig>,
    /// Fluxes in bins that spectra are embedded with; none where it is not given, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectrum_photometry: Option<SpectrophotometryConfig>,
}

/// Largest blur, arcsec; more is a slip.
const WORST_SEEING: f64 = 10.0;

fn paper_logit_scale() -> f64 {
    15.5
}

fn one() -> f64 {
    1.0
}

/// A run that was begun without a teacher has no word of one.
fn is_one(value: &f64) -> bool {
    *value == 1.0
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// Run file of `align`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignRun {
    /// Length and bookkeeping.
    pub train: RunConfig,
    /// Heads and loss.
    pub align: AlignSection,
    /// Optimisation.
    pub optimizer: AlignOptimizerConfig,
}

impl AlignRun {
    /// The part that the objective needs.
    pub fn objective(&self) -> AlignConfig {
        AlignConfig {
            optimizer: self.optimizer.clone(),
            logit_scale: self.align.logit_scale,
            teacher_weight: self.align.teacher_weight,
            steps: self.train.schedule(),
            seed: self.train.seed,
        }
    }

    /// The heads that join the encoders of surveys with so many bands.
    pub fn heads(&self, bands: usize) -> HeadConfigs<'_> {
        HeadConfigs {
            image: &self.align.image_head,
            spectrum: &self.align.spectrum_head,
            image_tokens: self.align.image_tokens,
            photometry: self.photometry_head(bands),
            spectrum_photometry: self.spectrum_photometry().map(|of| PhotometryHeadConfig {
                inputs: of.bins,
                hidden: of.hidden,
            }),
        }
    }

    /// What spectra are embedded with beside their tokens.
    pub fn spectrum_photometry(&self) -> Option<&SpectrophotometryConfig> {
        let photometry = self.align.spectrum_photometry.as_ref();
        photometry.filter(|of| of.hidden > 0)
    }

    fn photometry_head(&self, bands: usize) -> Option<PhotometryHeadConfig> {
        let photometry = self.align.image_photometry.as_ref()?;
        (photometry.hidden > 0).then_some(PhotometryHeadConfig {
            inputs: photometry.outputs(bands),
            hidden: photometry.hidden,
        })
    }

    /// The view of an image of which the encoder takes `size` pixels a side.
    pub fn view(&self, size: usize) -> AlignViewConfig {
        AlignViewConfig {
            size,
            augment: self.align.augment,
        }
    }
}

impl StageConfig for AlignRun {
    const STAGE: &'static str = "align";
    const DEFAULT: &'static str = "tiny-align";

    fn check(&self) -> Result<()> {
        self.train.check("train")?;
        // A pair is told apart from others.
        Check::at("train").count("batch_size", self.train.batch_size, 2..)?;
        Check::at("align").number("logit_scale", self.align.logit_scale, ABOVE_0)?;
        Check::at("align").number("teacher_weight", self.align.teacher_weight, 0.0..)?;
        Check::at("align").number("extra_seeing", self.align.extra_seeing, 0.0..=WORST_SEEING)?;
        // Of any survey.
        self.heads(1).check("align")?;
        if let Some(photometry) = &self.align.image_photometry {
            photometry.check("align.image_photometry")?;
        }
        if let Some(photometry) = &self.align.spectrum_photometry {
            photometry.check("align.spectrum_photometry")?;
        }
        if let Some(features) = &self.align.image_features {
            features.check("align.image_features")?;
        }
        if let Some(features) = &self.align.spectrum_features {
            features.check("align.spectrum_features")?;
        }
        self.optimizer.check("optimizer", self.train.schedule())
    }
}

/// Which run file a stage of the quickstart takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageOverrides {
    /// Preset or file.
    pub config: String,
    /// Overrides, as `--set` takes them.
    #[serde(default)]
    pub set: Vec<String>,
}

impl StageOverrides {
    /// The run file that they make.
    ///
    /// # Errors
    ///
    /// As [`load`].
    pub fn load<C: StageConfig>(&self) -> Result<C> {
        load(Some(&self.config), &self.set)
    }

    fn check<C: StageConfig>(&self, path: &str) -> Result<()> {
        let loaded = self.load::<C>();
        loaded
            .map(|_| ())
            .map_err(|error| error.about(format!("`{path}`")))
    }
}

/// Most galaxies that a quickstart simulates; more is a slip.
const MOST_SIMULATED: usize = 1 << 24;

/// Run file of `quickstart`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuickstartRun {
    /// Galaxies to simulate, 100 to 2^24.
    pub galaxies: usize,
    /// Seed of the survey.
    pub seed: u64,
    /// Image pretraining.
    pub image: StageOverrides,
    /// Spectrum pretraining.
    pub spectrum: StageOverrides,
    /// Alignment.
    pub align: StageOverrides,
}

impl StageConfig for QuickstartRun {
    const STAGE: &'static str = "quickstart";
    const DEFAULT: &'static str = "quickstart";

    fn check(&self) -> Result<()> {
        // A fifth is held out.
        Check::at("").count("galaxies", self.galaxies, 100..=MOST_SIMULATED)?;
        self.image.check::<ImageRun>("image")?;
        self.spectrum.check::<SpectrumRun>("spectrum")?;
        self.align.check::<AlignRun>("align")
    }
}
