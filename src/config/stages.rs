use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::augment::{
    AlignViewConfig, BlockMaskConfig, MultiCropConfig, PixelConfig, SegmentMaskConfig,
};
use crate::batch::SpectrumTokenizer;
use crate::error::{Error, Result};
use crate::model::{EmbeddingHeadConfig, HeadConfigs, ImageTokens, SpecFormerConfig, VitConfig};
use crate::nn::PrototypeHeadConfig;
use crate::objective::{
    AlignConfig, AlignOptimizerConfig, DinoConfig, DinoLossConfig, DinoOptimizerConfig,
    MaskedModellingConfig, SpectrumOptimizerConfig, TeacherConfig,
};
use crate::survey::Survey;
use crate::train::RunConfig;

/// A run file of one command.
pub trait StageConfig: DeserializeOwned + Serialize {
    /// Value of the file's `stage` key.
    const STAGE: &'static str;
    /// Preset that is taken when none is named.
    const DEFAULT: &'static str;

    /// Checks what the types cannot say.
    ///
    /// # Errors
    ///
    /// Names the key and what is expected of it.
    fn check(&self) -> Result<()>;
}

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
            steps: self.train.steps,
            seed: self.train.seed,
        }
    }
}

impl StageConfig for ImageRun {
    const STAGE: &'static str = "pretrain-image";
    const DEFAULT: &'static str = "tiny-vit";

    fn check(&self) -> Result<()> {
        check_run(&self.train)?;
        self.survey.check()?;
        self.model.check("model")?;
        let bands = self.survey.bands.len();
        require(self.model.channels == bands, || {
            format!(
                "`model.channels` is {}; survey.bands names {bands}",
                self.model.channels
            )
        })?;
        let crops = &self.images.crops;
        for (key, size) in [
            ("images.crops.global_size", crops.global_size),
            ("images.crops.local_size", crops.local_size),
        ] {
            self.model.check_image_size(key, size)?;
        }
        require(self.head.layers >= 1, || {
            "`head.layers` is 0; expected at least 1".into()
        })?;
        check_optimizer(self.optimizer.lr, self.optimizer.clip_norm)?;
        let temperatures = [
            ("loss.student_temperature", self.loss.student_temperature),
            ("teacher.temperature", self.teacher.temperature),
            ("teacher.temperature_end", self.teacher.temperature_end),
        ];
        for (key, value) in temperatures {
            require(value > 0.0, || {
                format!("`{key}` is {value}; expected a number above 0")
            })?;
        }
        self.images.masks.check()?;
        self.images.pixels.check(bands)
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
            steps: self.train.steps,
        }
    }
}

impl StageConfig for SpectrumRun {
    const STAGE: &'static str = "pretrain-spectrum";
    const DEFAULT: &'static str = "tiny-specformer";

    fn check(&self) -> Result<()> {
        check_run(&self.train)?;
        self.survey.check()?;
        self.model.check("model")?;
        let pixels = self.survey.wavelengths.len;
        self.spectra.tokens.check("spectra.tokens", pixels)?;
        self.spectra
            .tokens
            .check_width("model.token_width", self.model.token_width)?;
        let tokens = self.spectra.tokens.tokens(pixels);
        require(self.model.max_tokens >= tokens, || {
            format!(
                "`model.max_tokens` is {}; a spectrum has {tokens} tokens",
                self.model.max_tokens
            )
        })?;
        check_optimizer(self.optimizer.lr, self.optimizer.clip_norm)?;
        self.spectra.masks.check(tokens)
    }
}

/// The contrastive loss and the heads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignSection {
    /// Factor on cosine similarities.
    #[serde(default = "paper_logit_scale")]
    pub logit_scale: f64,
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
}

fn paper_logit_scale() -> f64 {
    15.5
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
            steps: self.train.steps,
            seed: self.train.seed,
        }
    }

    /// The heads that join the encoders.
    pub fn heads(&self) -> HeadConfigs<'_> {
        HeadConfigs {
            image: &self.align.image_head,
            spectrum: &self.align.spectrum_head,
            image_tokens: self.align.image_tokens,
        }
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
        check_run(&self.train)?;
        require(self.train.batch_size >= 2, || {
            "`train.batch_size` is 1; a contrastive batch needs at least 2 pairs".into()
        })?;
        self.heads().check("align")?;
        check_optimizer(self.optimizer.lr, self.optimizer.clip_norm)
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

/// Run file of `quickstart`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuickstartRun {
    /// Galaxies to simulate.
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
        require(self.galaxies >= 100, || {
            format!(
                "`galaxies` is {}; expected at least 100, of which 20 are held out",
                self.galaxies
            )
        })
    }
}

pub(super) fn require(holds: bool, message: impl FnOnce() -> String) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::input(message()))
    }
}

pub(super) fn check_run(train: &RunConfig) -> Result<()> {
    for (key, value) in [
        ("train.steps", train.steps),
        ("train.batch_size", train.batch_size as u64),
        ("train.log_every", train.log_every),
        ("train.checkpoint_every", train.checkpoint_every),
    ] {
        require(value > 0, || format!("`{key}` is 0; expected at least 1"))?;
    }
    let (batch, micro) = (train.batch_size, train.micro_batch_size);
    let micro = micro.unwrap_or(batch);
    require(micro > 0 && batch.is_multiple_of(micro), || {
        format!(
            "`train.micro_batch_size` is {micro}; expected a divisor of train.batch_size = {batch}: change \
             one of the two, or leave it out where memory holds the whole batch"
        )
    })
}

fn check_optimizer(lr: f64, clip_norm: f64) -> Result<()> {
    require(lr.is_finite() && lr >= 0.0, || {
        format!("`optimizer.lr` is {lr}; expected a number of at least 0")
    })?;
    require(clip_norm > 0.0, || {
        format!("`optimizer.clip_norm` is {clip_norm}; expected a number above 0")
    })
}
