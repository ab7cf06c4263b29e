//! What files of weights hold.

use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::base::error::Result;
use crate::network::released::{AttentionHeads, ImportSummary, ReleasedWeights};
use crate::network::weights::{ImportSource, ModelFile, ModelKind, NotFinite, TensorFile};
use crate::training::train::CheckpointHeader;

/// What a file of weights holds. All values are read, so that damage shows.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Weights {
    /// An exported model of ours.
    Model {
        model: ModelKind,
        parameters: usize,
        tensors: usize,
        step: u64,
        version: String,
        architecture: Value,
        /// The run file of the run that made it, or the file that it was imported from.
        #[serde(skip_serializing_if = "Value::is_null")]
        config: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        source: Option<ImportSource>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_finite: Vec<NotFinite>,
    },
    /// A checkpoint of a run.
    Checkpoint {
        step: u64,
        optimizer_steps: u64,
        version: String,
        sections: Vec<Section>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_finite: Vec<NotFinite>,
    },
    /// Weights of the released code.
    Released {
        model: ModelKind,
        step: u64,
        architecture: Value,
        #[serde(flatten)]
        summary: ImportSummary,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        not_finite: Vec<NotFinite>,
    },
}

/// Tensors that a table names for a fault.
const SHOWN_FAULTS: usize = 8;

/// A part of a checkpoint: weights, moments, centres.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    name: String,
    tensors: usize,
    parameters: usize,
}

impl Weights {
    /// # Errors
    ///
    /// What is wrong when the file is none of these.
    pub(super) fn inspect(path: &Path) -> Result<Self> {
        if let Ok(mut file) = TensorFile::open(path) {
            if let Ok(header) = file.header::<ModelFile>() {
                let not_finite = not_finite(&mut file)?;
                return Ok(Self::model(header, &file, not_finite));
            }
            if let Ok(header) = file.header::<CheckpointHeader>() {
                let not_finite = not_finite(&mut file)?;
                return Ok(Self::checkpoint(header, &file, not_finite));
            }
        }
        let weights = ReleasedWeights::open(path, AttentionHeads::default())?;
        Ok(Self::Released {
            model: weights.header.kind,
            step: weights.header.step,
            architecture: weights.header.architecture.clone(),
            summary: weights.summary.clone(),
            not_finite: weights.not_finite()?,
        })
    }

    fn model(header: ModelFile, file: &TensorFile, not_finite: Vec<NotFinite>) -> Self {
        let counts = file
            .shapes()
            .map(|(_, shape)| shape.iter().product::<usize>());
        Self::Model {
            model: header.kind,
            parameters: counts.sum(),
            tensors: file.shapes().count(),
            step: header.step,
            version: header.version,
            architecture: header.architecture,
            config: header.config,
            source: header.source,
            not_finite,
        }
    }

    fn checkpoint(header: CheckpointHeader, file: &TensorFile, not_finite: Vec<NotFinite>) -> Self {
        let mut shapes: Vec<_> = file.shapes().collect();
        shapes.sort_unstable();
        let mut sections: Vec<Section> = Vec::new();
        for (name, shape) in shapes {
            let (section, _) = name.split_once('/').unwrap_or((&name, ""));
            if sections.last().is_none_or(|last| last.name != section) {
                sections.push(Section {
                    name: section.to_owned(),
                    tensors: 0,
                    parameters: 0,
                });
            }
            if let Some(last) = sections.last_mut() {
                last.tensors += 1;
                last.parameters += shape.iter().product::<usize>();
            }
        }
        Self::Checkpoint {
            step: header.step,
            optimizer_steps: header.optimizer_steps,
            version: header.version,
            sections,
            not_finite,
        }
    }

    /// Adds rows to a table for people.
    pub(super) fn rows(&self, row: &mut impl FnMut(&str, String)) {
        let pretty = |value: &Value| serde_json::to_string_pretty(value).expect("plain JSON");
        match self {
            Self::Model {
                model,
                parameters,
                tensors,
                step,
                version,
                architecture,
                config,
                source,
                not_finite,
            } => {
                row("holds", model.label().to_owned());
                row("parameters", format!("{parameters} in {tensors} tensors"));
                row("training steps", step.to_string());
                row("written by", format!("astroclip {version}"));
                faults(not_finite, row);
                if let Some(source) = source {
                    let ImportSource { file, sha256, .. } = source;
                    row("imported from", format!("{file}, SHA-256 {sha256}"));
                }
                for (name, flag) in flags(architecture) {
                    row(name, flag);
                }
                row("architecture", pretty(architecture));
                if !config.is_null() {
                    row("run file", pretty(config));
                }
            }
            Self::Checkpoint {
                step,
                optimizer_steps,
                version,
                sections,
                not_finite,
            } => {
                row("holds", "checkpoint of a run".to_owned());
                row("training steps", step.to_string());
                row("optimiser steps", optimizer_steps.to_string());
                row("written by", format!("astroclip {version}"));
                faults(not_finite, row);
                for Section {
                    name,
                    tensors,
                    parameters,
                } in sections
                {
                    row(name, format!("{parameters} numbers in {tensors} tensors"));
                }
            }
            Self::Released {
                model,
                step,
                architecture,
                summary,
                not_finite,
            } => {
                row("holds", format!("released weights, {}", model.label()));
                row(
                    "parameters",
                    format!("{} in {} tensors", summary.parameters, summary.mapped),
                );
                if *step > 0 {
                    row("training steps", step.to_string());
                }
                faults(not_finite, row);
                for part in &summary.left_out {
                    row(
                        "beside",
                        format!("{} tensors of `{}`", part.tensors, part.part),
                    );
                }
                for assumption in &summary.assumed {
                    row("assumed", assumption.clone());
                }
                for (name, flag) in flags(architecture) {
                    row(name, flag);
                }
                row("architecture", pretty(architecture));
                row(
                    "to use it",
                    "astroclip import FILE --out model.safetensors".into(),
                );
            }
        }
    }
}

/// The tensors of a file of ours with values that are not finite.
///
/// # Errors
///
/// Where a tensor is not as it was written.
fn not_finite(file: &mut TensorFile) -> Result<Vec<NotFinite>> {
    let mut faults = Vec::new();
    for name in file.names() {
        faults.extend(file.read_any(&name)?.not_finite(&name));
    }
    Ok(faults)
}

/// Adds a row for each fault; weights with any are not taken by other commands.
fn faults(not_finite: &[NotFinite], row: &mut impl FnMut(&str, String)) {
    for fault in not_finite.iter().take(SHOWN_FAULTS) {
        row("of no use", fault.to_string());
    }
    if let Some(more @ 1..) = not_finite.len().checked_sub(SHOWN_FAULTS) {
        row("of no use", format!("{more} more tensors likewise"));
    }
}

/// Settings that distinguish models of one architecture, for people.
fn flags(architecture: &Value) -> Vec<(&'static str, String)> {
    let model = &architecture["model"];
    let flags = [
        ("pixel values", &architecture["pixels"]["pixel_values"]),
        ("image tokens", &model["image_tokens"]),
        ("image head residual", &model["image_head"]["residual"]),
        (
            "spectrum head residual",
            &model["spectrum_head"]["residual"],
        ),
        ("embedding", &model["image_head"]["embedding"]),
    ];
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let known = flags.into_iter().filter(|(_, value)| !value.is_null());
    known.map(|(name, value)| (name, shown(value))).collect()
}
