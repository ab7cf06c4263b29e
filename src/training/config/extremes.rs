//! Every number of every preset at values that nobody means: taken, or refused by a key; and what is taken can be built.

use burn::tensor::Device;
use rayon::prelude::*;
use toml::{Table, Value};

use super::{
    AlignRun, ComponentsRun, FineTuneRun, ImageBaselineRun, ImageRun, PRESETS,
    PhotometryBaselineRun, QuickstartRun, SpectrumBaselineRun, SpectrumRun, StageConfig,
    TemplatesRun, load, to_toml,
};
use crate::network::model::{ConvAttention, ResNet18, SpecFormer, Vit};
use crate::network::nn::{Initializer, PrototypeHead};

const EXTREMES: [&str; 15] = [
    "0",
    "-1",
    "1",
    "0.01",
    "nan",
    "inf",
    "-inf",
    "65537",
    "2147483648",
    "4294967297",
    "9223372036854775807",
    "-9223372036854775808",
    "1e308",
    "-1e308",
    "1e-308",
];
/// Numbers in the weights of a model that is built.
const MOST_BUILT: f64 = 3e4;

/// A setting at an extreme.
struct Extreme {
    key: String,
    /// All settings beside it, which a preset may leave to defaults, and the extreme.
    assignments: Vec<String>,
}

/// Each extreme in place of each number of a table; of lists, in place of the first.
fn extremes(table: &Table, path: &str) -> Vec<Extreme> {
    let beside = table.iter().filter(|(_, value)| !value.is_table());
    let beside: Vec<String> = beside
        .map(|(key, value)| format!("{path}{key}={value}"))
        .collect();
    let mut found = Vec::new();
    for (key, value) in table {
        let key = format!("{path}{key}");
        let in_place = |extreme: &&str| match value {
            Value::Integer(_) | Value::Float(_) => Some((*extreme).to_owned()),
            Value::Array(list) => {
                let is_number = matches!(list.first()?, Value::Integer(_) | Value::Float(_));
                let rest: String = list[1..].iter().map(|value| format!(", {value}")).collect();
                is_number.then(|| format!("[{extreme}{rest}]"))
            }
            _ => None,
        };
        found.extend(EXTREMES.iter().filter_map(in_place).map(|value| {
            let mut assignments = beside.clone();
            assignments.push(format!("{key}={value}"));
            Extreme {
                key: key.clone(),
                assignments,
            }
        }));
        if let Value::Table(table) = value {
            found.extend(extremes(table, &format!("{key}.")));
        }
    }
    found
}

/// Puts each extreme into a preset; returns how many there are, and how many are taken.
fn walk<C: StageConfig>(preset: &str, build: impl Fn(&C) + Sync) -> (usize, usize) {
    let resolved = to_toml(&load::<C>(Some(preset), &[]).expect("a preset"));
    let mut table: Table = resolved.parse().expect("TOML");
    table.remove("stage");
    let all = extremes(&table, "");
    let is_taken = |extreme: &&Extreme| {
        let Extreme { key, assignments } = extreme;
        match load::<C>(Some(preset), assignments) {
            Ok(config) => {
                build(&config);
                true
            }
            Err(error) => {
                let what = format!("{preset}: {:?}: {error}", assignments.last());
                // Where two settings do not go together, the other one may be named.
                let names = what.contains(&format!("`{key}")) || what.contains("` is ");
                assert!(error.is_input() && names && what.len() < 500, "{what}");
                false
            }
        }
    };
    (all.len(), all.par_iter().filter(is_taken).count())
}

#[test]
fn extremes_are_taken_or_refused_by_key_and_what_is_taken_can_be_built() {
    let init = || Initializer::new(0, &Device::flex());
    let image = |config: &ImageRun| {
        let (model, head) = (&config.model, &config.head);
        if model.parameters() < MOST_BUILT {
            Vit::new(model, &mut init());
        }
        if head.parameters(model.width) < MOST_BUILT {
            PrototypeHead::new(model.width, head, &mut init());
        }
    };
    let spectrum = |config: &SpectrumRun| {
        if config.model.parameters() < MOST_BUILT {
            SpecFormer::new(&config.model, &mut init());
        }
    };
    let image_baseline = |config: &ImageBaselineRun| {
        if config.model.parameters(3, 1) < MOST_BUILT {
            ResNet18::new(&config.model, (3, 1), &mut init());
        }
    };
    let spectrum_baseline = |config: &SpectrumBaselineRun| {
        if config.model.parameters(1) < MOST_BUILT {
            ConvAttention::new(&config.model, 1, &mut init());
        }
    };
    let mut counts = (0, 0);
    for preset in PRESETS {
        let table: Table = preset.text.parse().expect("TOML");
        let name = preset.name;
        let (all, taken) = match table["stage"].as_str().expect("a stage") {
            ImageRun::STAGE => walk(name, image),
            SpectrumRun::STAGE => walk(name, spectrum),
            AlignRun::STAGE => walk(name, |_: &AlignRun| ()),
            FineTuneRun::STAGE => walk(name, |_: &FineTuneRun| ()),
            ImageBaselineRun::STAGE => walk(name, image_baseline),
            SpectrumBaselineRun::STAGE => walk(name, spectrum_baseline),
            ComponentsRun::STAGE => walk(name, |_: &ComponentsRun| ()),
            TemplatesRun::STAGE => walk(name, |_: &TemplatesRun| ()),
            PhotometryBaselineRun::STAGE => walk(name, |_: &PhotometryBaselineRun| ()),
            QuickstartRun::STAGE => walk(name, |_: &QuickstartRun| ()),
            other => panic!("{name}: a stage {other}"),
        };
        counts = (counts.0 + all, counts.1 + taken);
    }
    let (all, taken) = counts;
    assert!(
        all > 9000 && taken > all / 20 && taken < all / 2,
        "{taken} of {all}"
    );
}
