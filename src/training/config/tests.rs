//! Run files are refused before any file is opened, by path, value and range.

use super::{
    AlignRun, ComponentsRun, FineTuneRun, ImageBaselineRun, ImageRun, PRESETS,
    PhotometryBaselineRun, QuickstartRun, SpectrumBaselineRun, SpectrumRun, StageConfig,
    TemplatesRun, load,
};
use crate::base::error::Result;

/// What is set, in the stage's default preset; the key and value that the message names; what it expects.
type Refusal = (&'static str, &'static str, &'static str);

#[rustfmt::skip]
const IMAGE: &[Refusal] = &[
    ("train.steps=0", "`train.steps` is 0", "at least 1"),
    ("train.steps=4294967297", "`train.steps` is 4294967297", "at most 4294967296"),
    ("train.batch_size=0", "`train.batch_size` is 0", "at least 1"),
    ("train.batch_size=9223372036854775807", "`train.batch_size` is 9223372036854775807", "at most 16777216"),
    ("train.batch_size=16777217", "`train.batch_size` is 16777217", "at most 16777216"),
    ("train.micro_batch_size=0", "`train.micro_batch_size` is 0", "divisor of train.batch_size = 32"),
    ("train.log_every=0", "`train.log_every` is 0", "at least 1"),
    ("train.checkpoint_every=0", "`train.checkpoint_every` is 0", "at least 1"),
    ("train.keep_checkpoints=0", "`train.keep_checkpoints` is 0", "at least 1"),
    ("survey.bands=[]", "`survey.bands` is []", "at least one"),
    ("survey.bands=[\"g\", \"g\", \"z\"]", "`survey.bands` is [\"g\", \"g\", \"z\"]", "names that differ"),
    ("survey.pixel_scale=nan", "`survey.pixel_scale` is NaN", "above 0"),
    ("survey.cutout_size=0", "`survey.cutout_size` is 0", "at least 1"),
    ("survey.cutout_size=64", "`images.crops.global_size` is 96", "at most 64 pixels"),
    ("model.width=0", "`model.width` is 0", "at least 1"),
    ("model.depth=65537", "`model.depth` is 65537", "at most 65536"),
    ("model.channels=4", "`model.channels` is 4", "3, one for each"),
    ("model.heads=0", "`model.heads` is 0", "divisor of the width"),
    ("model.patch_size=0", "`model.patch_size` is 0", "at least 1"),
    ("model.image_size=100", "`model.image_size` is 100", "multiple of model.patch_size = 12"),
    ("model.mlp_ratio=0.001", "`model.mlp_ratio` is 0.001", "at least 1"),
    ("model.mlp_ratio=nan", "`model.mlp_ratio` is NaN", "at most 64"),
    ("model.layer_scale=inf", "`model.layer_scale` is inf", "finite"),
    ("model.drop_path=1", "`model.drop_path` is 1", "below 1"),
    ("head.hidden=0", "`head.hidden` is 0", "at least 1"),
    ("head.layers=0", "`head.layers` is 0", "at least 1"),
    ("head.bottleneck=0", "`head.bottleneck` is 0", "at least 1"),
    ("head.prototypes=0", "`head.prototypes` is 0", "at least 1"),
    ("images.crops.global_size=0", "`images.crops.global_size` is 0", "at least 1"),
    ("images.crops.local_size=50", "`images.crops.local_size` is 50", "multiple of model.patch_size"),
    ("images.crops.local_count=1025", "`images.crops.local_count` is 1025", "at most 1024"),
    ("images.crops.flip_probability=1.5", "`images.crops.flip_probability` is 1.5", "at least 0 and at most 1"),
    ("images.crops.global_corruption=[0.5, nan]", "`images.crops.global_corruption` is [0.5, NaN]", "at most 1"),
    ("images.crops.local_corruption=-1", "`images.crops.local_corruption` is -1", "at least 0"),
    ("images.crops.blur.scale=[1, 0, 1]", "`images.crops.blur.scale` is [1.0, 0.0, 1.0]", "above 0"),
    ("images.crops.noise.loc=[0, 0]", "`images.crops.noise.loc` is [0.0, 0.0]", "3 values"),
    ("images.masks.masked_crops=2", "`images.masks.masked_crops` is 2", "at most 1"),
    ("images.masks.min_ratio=0.6", "`images.masks.min_ratio` is 0.6", "at most 0.5"),
    ("images.masks.max_ratio=1.1", "`images.masks.max_ratio` is 1.1", "at most 1"),
    ("images.masks.min_aspect=0", "`images.masks.min_aspect` is 0", "above 0 and at most 1"),
    ("images.masks.min_patches=0", "`images.masks.min_patches` is 0", "at least 1"),
    ("images.masks.attempts=0", "`images.masks.attempts` is 0", "at least 1"),
    ("images.pixels.std=[1, 1, 0]", "`images.pixels.std` is [1.0, 1.0, 0.0]", "above 0"),
    ("images.pixels.rgb.q=0", "`images.pixels.rgb.q` is 0", "above 0"),
    ("images.pixels.rgb.m=nan", "`images.pixels.rgb.m` is NaN", "finite"),
    ("loss.dino_weight=-1", "`loss.dino_weight` is -1", "at least 0"),
    ("loss.ibot_weight=inf", "`loss.ibot_weight` is inf", "finite"),
    ("loss.koleo_weight=-0.1", "`loss.koleo_weight` is -0.1", "at least 0"),
    ("loss.student_temperature=0", "`loss.student_temperature` is 0", "above 0"),
    ("loss.center_momentum=9", "`loss.center_momentum` is 9", "at least 0 and below 1"),
    ("teacher.momentum=1.01", "`teacher.momentum` is 1.01", "at most 1"),
    ("teacher.momentum_end=-1", "`teacher.momentum_end` is -1", "at least 0"),
    ("teacher.temperature=0", "`teacher.temperature` is 0", "above 0"),
    ("teacher.temperature_end=nan", "`teacher.temperature_end` is NaN", "above 0"),
    ("optimizer.lr=-1", "`optimizer.lr` is -1", "at least 0"),
    ("optimizer.lr=inf", "`optimizer.lr` is inf", "finite"),
    ("optimizer.min_lr=1", "`optimizer.min_lr` is 1", "at most 0.002"),
    ("optimizer.min_lr=-1", "`optimizer.min_lr` is -1", "at least 0"),
    ("optimizer.warmup_steps=301", "`optimizer.warmup_steps` is 301", "at most 300"),
    ("optimizer.weight_decay=-1", "`optimizer.weight_decay` is -1", "at least 0"),
    ("optimizer.weight_decay_end=nan", "`optimizer.weight_decay_end` is NaN", "at least 0"),
    ("optimizer.layer_decay=-1", "`optimizer.layer_decay` is -1", "above 0 and at most 1"),
    ("optimizer.patch_embed_lr_factor=-1", "`optimizer.patch_embed_lr_factor` is -1", "at least 0"),
    ("optimizer.frozen_blocks=5", "`optimizer.frozen_blocks` is 5", "at most 4"),
    ("optimizer.clip_norm=0", "`optimizer.clip_norm` is 0", "above 0"),
    ("optimizer.adamw.beta1=1", "`optimizer.adamw.beta1` is 1", "at least 0 and below 1"),
    ("optimizer.adamw.beta2=-0.1", "`optimizer.adamw.beta2` is -0.1", "below 1"),
    ("optimizer.adamw.epsilon=0", "`optimizer.adamw.epsilon` is 0", "above 0"),
];

#[rustfmt::skip]
const SPECTRUM: &[Refusal] = &[
    ("train.batch_size=0", "`train.batch_size` is 0", "at least 1"),
    ("survey.wavelengths={start=0, step=0.8, len=7781}", "`survey.wavelengths.start` is 0", "above 0"),
    ("survey.wavelengths={start=3600, step=inf, len=7781}", "`survey.wavelengths.step` is inf", "finite"),
    ("survey.wavelengths={start=3600, step=0.8, len=1}", "`survey.wavelengths.len` is 1", "at least 2"),
    ("spectra.tokens.section_length=0", "`spectra.tokens.section_length` is 0", "at least 1 and at most 7781"),
    ("spectra.tokens.overlap=160", "`spectra.tokens.overlap` is 160", "below 160"),
    ("spectra.tokens.min_sigma=0", "`spectra.tokens.min_sigma` is 0", "above 0"),
    ("model.token_width=80", "`model.token_width` is 80", "section_length + 2 = 162"),
    ("model.max_tokens=60", "`model.max_tokens` is 60", "at least 65"),
    ("model.heads=3", "`model.heads` is 3", "divisor of the width 128"),
    ("spectra.masks.segments=0", "`spectra.masks.segments` is 0", "at least 1"),
    ("spectra.masks.segments=9223372036854775807", "`spectra.masks.segments` is 9223372036854775807", "at most 65"),
    ("spectra.masks.width=12", "`spectra.masks.width` is 12", "1 to 5"),
    ("optimizer.weight_decay=-1", "`optimizer.weight_decay` is -1", "at least 0"),
    ("optimizer.clip_norm=nan", "`optimizer.clip_norm` is NaN", "above 0"),
];

#[rustfmt::skip]
const ALIGN: &[Refusal] = &[
    ("train.batch_size=1", "`train.batch_size` is 1", "at least 2"),
    ("align.logit_scale=0", "`align.logit_scale` is 0", "above 0"),
    ("align.logit_scale=inf", "`align.logit_scale` is inf", "finite"),
    ("align.image_head.heads=3", "`align.image_head.heads` is 3", "divisor of the width 512"),
    ("align.spectrum_head.embedding=256", "`align.spectrum_head.embedding` is 256", "512"),
    ("align.image_head.mlp_ratio=0", "`align.image_head.mlp_ratio` is 0", "at least 1"),
    ("align.spectrum_head.dropout=1", "`align.spectrum_head.dropout` is 1", "below 1"),
    ("optimizer.backbone_lr_factor=-1", "`optimizer.backbone_lr_factor` is -1", "at least 0"),
    ("optimizer.warmup_steps=241", "`optimizer.warmup_steps` is 241", "at most 240"),
];

#[rustfmt::skip]
const FINETUNE: &[Refusal] = &[
    ("targets=[]", "`targets` is []", "at least one of redshift"),
    ("labels_limit=3", "`labels_limit` is 3", "at least 4"),
    ("huber_delta=0", "`huber_delta` is 0", "above 0"),
    ("train.micro_batch_size=4", "`train.micro_batch_size` is 4", "train.batch_size"),
    ("validation.fraction=1", "`validation.fraction` is 1", "above 0 and below 1"),
    ("validation.patience=0", "`validation.patience` is 0", "at least 1"),
    ("validation.folds=1", "`validation.folds` is 1", "at least 2"),
    ("validation.fold=0", "`validation.fold` is 0", "validation.folds"),
    ("head.hidden=0", "`head.hidden` is 0", "at least 1"),
    ("head.dropout=1", "`head.dropout` is 1", "below 1"),
    ("images.drop_path=1", "`images.drop_path` is 1", "below 1"),
    ("optimizer.layer_decay=0", "`optimizer.layer_decay` is 0", "above 0"),
    ("optimizer.frozen_steps=801", "`optimizer.frozen_steps` is 801", "at most 800"),
    ("optimizer.warmup_steps=701", "`optimizer.warmup_steps` is 701", "at most 700"),
];

#[rustfmt::skip]
const IMAGE_BASELINE: &[Refusal] = &[
    ("targets=[]", "`targets` is []", "at least one of redshift"),
    ("targets=[\"redshift\", \"redshift\"]", "`targets` is [\"redshift\", \"redshift\"]", "each once"),
    ("train.batch_size=1", "`train.batch_size` is 1", "at least 2"),
    ("train.steps=16777217", "`train.steps` is 16777217", "at most 16777216"),
    ("train.precision=bf16", "`train.precision` is bf16", "f32"),
    ("train.micro_batch_size=4", "`train.micro_batch_size` is 4", "train.batch_size"),
    ("validation.fraction=0", "`validation.fraction` is 0", "above 0 and below 1"),
    ("validation.fraction=1", "`validation.fraction` is 1", "above 0 and below 1"),
    ("validation.every=0", "`validation.every` is 0", "at least 1"),
    ("model.width=0", "`model.width` is 0", "at least 1"),
    ("images.view.size=0", "`images.view.size` is 0", "at least 1"),
    ("survey.cutout_size=64", "`images.view.size` is 96", "at most 64 pixels"),
    ("images.view.blur_kernel=4", "`images.view.blur_kernel` is 4", "an odd number"),
    ("images.view.max_blur=inf", "`images.view.max_blur` is inf", "finite"),
    ("images.pixels.rgb.scales=[1]", "`images.pixels.rgb.scales` is [1.0]", "3 values"),
    ("optimizer.min_lr=1", "`optimizer.min_lr` is 1", "at most 0.002"),
];

#[rustfmt::skip]
const SPECTRUM_BASELINE: &[Refusal] = &[
    ("model.channels=[8]", "`model.channels` is [8]", "as many as `model.kernels`, 4"),
    ("model.channels=[8, 16, 16, 31]", "`model.channels` is [8, 16, 16, 31]", "even"),
    ("model.kernels=[0, 1, 1, 1]", "`model.kernels` is 0", "at least 1"),
    ("model.hidden=[0]", "`model.hidden` is 0", "at least 1"),
    ("model.dropout=1", "`model.dropout` is 1", "below 1"),
    ("optimizer.clip_norm=-1", "`optimizer.clip_norm` is -1", "above 0"),
];

#[rustfmt::skip]
const COMPONENTS: &[Refusal] = &[
    ("pca.components=0", "`pca.components` is 0", "at least 1"),
    ("pca.bin=0", "`pca.bin` is 0", "at least 1"),
    ("pca.whitening=2", "`pca.whitening` is 2", "at most 1"),
    ("spectra=1", "`spectra` is 1", "at least 2"),
    ("neighbours=0", "`neighbours` is 0", "at least 1"),
];

#[rustfmt::skip]
const TEMPLATES: &[Refusal] = &[
    ("targets=[\"redshift\", \"log_mstar\"]", "`targets` is [\"redshift\", \"log_mstar\"]", "all that templates tell"),
    ("spectra=1", "`spectra` is 1", "at least 2"),
    ("fit.templates=0", "`fit.templates` is 0", "at least 1"),
    ("fit.passes=0", "`fit.passes` is 0", "at least 1"),
    ("fit.step=0", "`fit.step` is 0", "at least"),
    ("fit.window=0", "`fit.window` is 0", "above 0"),
];

#[rustfmt::skip]
const PHOTOMETRY_BASELINE: &[Refusal] = &[
    ("mlp.hidden=[0]", "`mlp.hidden` is 0", "at least 1"),
    ("mlp.learning_rate=0", "`mlp.learning_rate` is 0", "above 0"),
    ("mlp.weight_decay=[]", "`mlp.weight_decay` is []", "at least one"),
    ("mlp.weight_decay=[nan]", "`mlp.weight_decay` is [NaN]", "from 0"),
    ("mlp.dropout=1", "`mlp.dropout` is 1", "below 1"),
    ("mlp.batch_size=0", "`mlp.batch_size` is 0", "at least 1"),
    ("mlp.max_epochs=0", "`mlp.max_epochs` is 0", "at least 1"),
    ("mlp.patience=0", "`mlp.patience` is 0", "at least 1"),
    ("mlp.validation_fraction=1", "`mlp.validation_fraction` is 1", "below 1"),
];

#[rustfmt::skip]
const QUICKSTART: &[Refusal] = &[
    ("galaxies=99", "`galaxies` is 99", "at least 100"),
    ("galaxies=9223372036854775807", "`galaxies` is 9223372036854775807", "at most 16777216"),
    ("image.set=[\"head.layers=0\"]", "`image`: preset tiny-vit: `head.layers` is 0", "at least 1"),
    ("align.set=[\"optimizer.warmup_steps=5000\"]", "`align`: preset tiny-align: `optimizer.warmup_steps` is 5000", "at most "),
];

fn refuses<C: StageConfig>(refusals: &[Refusal]) {
    for (set, value, expected) in refusals {
        let error = load::<C>(None, &[(*set).to_owned()]);
        let error = error.err().unwrap_or_else(|| panic!("{set} is taken"));
        assert!(error.is_input(), "{set}: {error}");
        let text = error.to_string();
        let (_, range) = text.split_once("; expected ").unwrap_or_default();
        assert!(
            text.contains(value) && range.contains(expected),
            "{set}: {text}"
        );
    }
}

#[test]
fn settings_out_of_range_are_refused_by_path_value_and_range() {
    refuses::<ImageRun>(IMAGE);
    refuses::<SpectrumRun>(SPECTRUM);
    refuses::<AlignRun>(ALIGN);
    refuses::<FineTuneRun>(FINETUNE);
    refuses::<ImageBaselineRun>(IMAGE_BASELINE);
    refuses::<SpectrumBaselineRun>(SPECTRUM_BASELINE);
    refuses::<ComponentsRun>(COMPONENTS);
    refuses::<TemplatesRun>(TEMPLATES);
    refuses::<PhotometryBaselineRun>(PHOTOMETRY_BASELINE);
    refuses::<QuickstartRun>(QUICKSTART);
}

#[test]
fn every_preset_passes() {
    type Load = fn(&str) -> Result<()>;
    fn passes<C: StageConfig>(name: &str) -> Result<()> {
        load::<C>(Some(name), &[]).map(|_| ())
    }
    let stages: [(&str, Load); 10] = [
        (ImageRun::STAGE, passes::<ImageRun>),
        (SpectrumRun::STAGE, passes::<SpectrumRun>),
        (AlignRun::STAGE, passes::<AlignRun>),
        (FineTuneRun::STAGE, passes::<FineTuneRun>),
        (ImageBaselineRun::STAGE, passes::<ImageBaselineRun>),
        (SpectrumBaselineRun::STAGE, passes::<SpectrumBaselineRun>),
        (ComponentsRun::STAGE, passes::<ComponentsRun>),
        (TemplatesRun::STAGE, passes::<TemplatesRun>),
        (
            PhotometryBaselineRun::STAGE,
            passes::<PhotometryBaselineRun>,
        ),
        (QuickstartRun::STAGE, passes::<QuickstartRun>),
    ];
    for preset in PRESETS {
        let table: toml::Table = preset.text.parse().expect("TOML");
        let stage = table["stage"].as_str().expect("a stage");
        let (_, load) = stages
            .iter()
            .find(|(name, _)| *name == stage)
            .expect("a stage of ours");
        load(preset.name).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_warm_up_that_is_not_stated_is_no_longer_than_the_run() {
    let short = load::<ImageRun>(None, &["train.steps=5".into()]).expect("a short run");
    assert_eq!(short.optimizer.warmup_steps, 5);
    let stated = ["train.steps=5".into(), "optimizer.warmup_steps=6".into()];
    let refused = load::<ImageRun>(None, &stated).expect_err("a long warm-up");
    assert!(
        refused
            .to_string()
            .contains("`optimizer.warmup_steps` is 6")
    );
}
