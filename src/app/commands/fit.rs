//! `astroclip fit`.

use std::path::Path;

use serde::Serialize;

use super::eval::{Opened, mlp};
use super::output::Output;
use super::quoted;
use crate::app::cli::{EmbeddingsArg, Fit};
use crate::base::error::Result;
use crate::evaluation::estimator::{FitOptions, Head, fit, left_out_r2, render_fit};
use crate::evaluation::eval::flow::FlowConfig;
use crate::evaluation::eval::{LeftOut, MlpConfig, MorphologyOptions, Source, Target};
use crate::files::embeddings::{Keys, Layer};
use crate::survey::Modality;

/// What was fitted.
#[derive(Serialize)]
struct Summary<'a> {
    out: &'a Path,
    #[serde(flatten)]
    head: &'a Head,
    #[serde(rename = "dropped")]
    left_out: &'a [LeftOut],
}

/// Where nobody names the vectors and files hold those from before the heads as well: of each kind of data those that tell
/// more of training galaxies left out, and what was found.
fn by_layer(
    opened: Opened,
    embeddings: &EmbeddingsArg,
    options: &FitOptions,
) -> Result<(Opened, Vec<String>)> {
    let mut kept = match embeddings.keys.keys() == Keys::default() && opened.is_of_one_model() {
        true => opened.kept_features(),
        false => Vec::new(),
    };
    let is_source = |kind: &Modality| {
        let takes = |source: &Source| *source == Source::Both || source.modality() == Some(*kind);
        options.sources.is_empty() || options.sources.iter().any(takes)
    };
    kept.retain(is_source);
    if kept.is_empty() {
        return Ok((opened, Vec::new()));
    }
    let kinds = opened.kinds();
    let last = left_out_r2(&opened.inputs(), options)?;
    let opened = opened.with_keys(embeddings, Keys::of_features(&kept, &kept))?;
    let before = left_out_r2(&opened.inputs(), options)?;
    let mut chosen = Vec::new();
    let mut notes = Vec::new();
    for kind in kept {
        let (Some(last), Some(before)) = (last.get(&kind), before.get(&kind)) else {
            continue;
        };
        let [of_last, of_before] =
            [Layer::Embeddings, Layer::Features].map(|layer| layer.dataset(kind));
        let (taken, other) = match before > last {
            true => (of_before, of_last),
            false => (of_last, of_before),
        };
        if before > last {
            chosen.push(kind);
        }
        notes.push(format!(
            "{kind}: {taken}, which tell more of training galaxies left out (R² {:.3}, {other} {:.3}; --embedding-key names \
             others)",
            before.max(*last),
            before.min(*last)
        ));
    }
    if chosen == kinds {
        return Ok((opened, notes));
    }
    let keys = match chosen.is_empty() {
        true => Keys::default(),
        false => Keys::of_features(&chosen, &kinds),
    };
    Ok((opened.with_keys(embeddings, keys)?, notes))
}

pub(super) fn run(args: &Fit) -> Result<()> {
    Output::Estimator.check(&args.out)?;
    let targets = match args.targets.is_empty() {
        true => &Target::ALL,
        false => args.targets.as_slice(),
    };
    let mut methods = Vec::new();
    for method in args.method.iter().flat_map(|choice| choice.methods()) {
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    let options = FitOptions {
        targets: args.targets.clone(),
        sources: args.source.clone(),
        methods,
        k: args.k as usize,
        weights: args.weights,
        mlp: mlp(&args.mlp, MlpConfig::default()),
        members: args.mlp.seeds as usize,
        flow: FlowConfig {
            flows: args.flows as usize,
            max_epochs: args.epochs as usize,
            seed: args.mlp.seed,
            ..FlowConfig::default()
        },
        samples: args.samples as usize,
        morphology: (!args.no_morphology).then(|| MorphologyOptions {
            mlp: MlpConfig {
                seed: args.mlp.seed,
                ..MorphologyOptions::default().mlp
            },
            ..MorphologyOptions::default()
        }),
    };
    let opened = Opened::open(&args.embeddings, &args.labels, None, targets)?;
    opened.outlast(Some(&args.out))?;
    let (opened, chosen) = by_layer(opened, &args.embeddings, &options)?;
    let mut fitted = fit(&opened.inputs(), &options)?;
    fitted.estimator.head.notes.extend(chosen);
    let inputs = opened.record(args.out.parent().unwrap_or(Path::new("")), &args.labels)?;
    fitted.estimator.save(&args.out, &inputs)?;
    let head = &fitted.estimator.head;
    let summary = Summary {
        out: &args.out,
        head,
        left_out: &fitted.left_out,
    };
    opened.report(args.json, &summary, || {
        format!(
            "{}{}\n\nnext: astroclip predict --estimator {} --embeddings NEW.h5 --out catalogue.fits\n",
            render_fit(&fitted),
            args.out.display(),
            quoted(&args.out.display().to_string())
        )
    })
}
