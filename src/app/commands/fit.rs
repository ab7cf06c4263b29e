//! `astroclip fit`.

use std::path::Path;

use serde::Serialize;

use super::eval::{Opened, mlp};
use super::output::Output;
use super::quoted;
use crate::app::cli::Fit;
use crate::base::error::Result;
use crate::evaluation::estimator::{FitOptions, Head, fit, render_fit};
use crate::evaluation::eval::flow::FlowConfig;
use crate::evaluation::eval::{LeftOut, MlpConfig, MorphologyOptions, Target};

/// What was fitted.
#[derive(Serialize)]
struct Summary<'a> {
    out: &'a Path,
    #[serde(flatten)]
    head: &'a Head,
    #[serde(rename = "dropped")]
    left_out: &'a [LeftOut],
}

pub(super) fn run(args: &Fit) -> Result<()> {
    Output::Estimator.check(&args.out)?;
    let targets = match args.targets.is_empty() {
        true => &Target::ALL,
        false => args.targets.as_slice(),
    };
    let opened = Opened::open(&args.embeddings, &args.labels, None, targets)?;
    opened.outlast(Some(&args.out))?;
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
    let fitted = fit(&opened.inputs(), &options)?;
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
