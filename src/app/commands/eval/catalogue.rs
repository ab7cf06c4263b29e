//! `astroclip eval catalogue`: estimates of a catalogue against truth.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::bootstrap;
use super::page::catalogue_page;
use crate::app::cli::{EvalCatalogue, NamedFile};
use crate::app::commands::output::{Originals, Output};
use crate::app::commands::{embeddings, print, print_json};
use crate::app::workspace::Takings;
use crate::base::error::{Error, Result};
use crate::base::shard::Shard;
use crate::evaluation::estimator::{EstimatorFile, FLAGS, PredictOptions, Telling, predict};
use crate::evaluation::eval::{
    Catalogue, CatalogueOptions, GridDensities, render_catalogue_table, score_catalogues,
};
use crate::files::catalog::read_densities;
use crate::files::data::{read_catalogues, read_labels};
use crate::files::embeddings::Keys;
use crate::files::inputs::Inputs;

pub(in crate::app::commands) fn run(args: &EvalCatalogue) -> Result<()> {
    let truth = &args.labels.labels;
    if truth.is_empty() {
        return Err(Error::input(
            "name the tables of the truth: astroclip eval catalogue CATALOGUE --labels TRUTH",
        ));
    }
    let mut taken = Takings::default();
    let embeddings = match args.estimator.is_empty() {
        true => Vec::new(),
        false => embeddings(
            &args.embeddings,
            &args.shards,
            "--embeddings FILE",
            &mut taken,
        )?
        .files()
        .to_vec(),
    };
    if let Some(report) = &args.report {
        Output::Page.check(report)?;
        let named = args
            .catalogues
            .iter()
            .chain(&args.estimator)
            .map(|of| &of.path);
        let inputs = Originals::default().and(named).and(&embeddings).and(truth);
        inputs.outlast(report)?;
    }
    let made = TempDir::new().map_err(|source| Error::writing(&std::env::temp_dir(), source))?;
    let mut all = args.catalogues.clone();
    for estimator in &args.estimator {
        all.push(catalogue_of(estimator, &embeddings, args, made.path())?);
    }
    let paths: Vec<PathBuf> = all.iter().map(|of| of.path.clone()).collect();
    let id_column = args.catalogue_id_column.as_deref();
    let (joined, truth) = read_catalogues(&paths, id_column, truth, &args.labels.options())?;
    for taken in truth.quantities.values().flat_map(|of| &of.taken) {
        tracing::debug!("truth: {}", taken.in_words());
    }
    let names = names(&all)?;
    let catalogues: Vec<Catalogue> = names
        .into_iter()
        .zip(joined)
        .zip(&paths)
        .map(|((name, joined), path)| {
            let densities = read_densities(path, &joined.rows)?;
            Ok(Catalogue {
                name,
                table: joined.labels,
                positions: joined.positions,
                densities: densities.map(|of| GridDensities {
                    start: of.start,
                    step: of.step,
                    row_of: of.row_of,
                    values: of.values,
                }),
                joined_by: joined.joined_by,
            })
        })
        .collect::<Result<_>>()?;
    let options = CatalogueOptions {
        targets: args.targets.clone(),
        columns: args.column.clone(),
        all_estimates: args.all_estimates,
        split: args.split,
        bins: args.bins as usize,
        flags: FLAGS.map(|flag| (flag.bit, flag.name)).into(),
        outliers: args.outliers as usize,
        bootstrap: bootstrap(&args.bootstrap),
    };
    let report = score_catalogues(&catalogues, &truth, &options)?;
    if let Some(page) = &args.report {
        catalogue_page(&report)?.write(page)?;
    }
    match args.json {
        true => print_json(&report),
        false => print(&render_catalogue_table(&report)),
    }
}

/// The catalogue of an estimator, in a folder of its own.
fn catalogue_of(
    estimator: &NamedFile,
    embeddings: &[PathBuf],
    args: &EvalCatalogue,
    folder: &Path,
) -> Result<NamedFile> {
    let file = EstimatorFile::open(&estimator.path)?;
    let truth = read_labels(&args.labels.labels, &args.labels.options())?;
    let path = folder.join(format!("{}.h5", estimator.name));
    predict(
        &file,
        &PredictOptions {
            out: path.clone(),
            embeddings: embeddings.to_vec(),
            keys: Keys::default(),
            labels: Some(truth),
            shard: Shard::WHOLE,
            is_cut: false,
            telling: Telling {
                samples: file.estimator.head.options.samples,
                grid: None,
                each: args.all_estimates,
            },
            resume: false,
            inputs: Inputs::default(),
        },
    )?;
    Ok(NamedFile {
        name: estimator.name.clone(),
        path,
    })
}

/// What the catalogues are called.
///
/// # Errors
/// Where two have one name.
fn names(catalogues: &[NamedFile]) -> Result<Vec<String>> {
    let names: Vec<String> = catalogues.iter().map(|of| of.name.clone()).collect();
    for (place, name) in names.iter().enumerate() {
        if names[..place].contains(name) {
            let path = &catalogues[place].path;
            return Err(Error::input(format!(
                "a second catalogue is called `{name}`; give it another name: NAME={}",
                path.display()
            ))
            .in_file(path));
        }
    }
    Ok(names)
}
