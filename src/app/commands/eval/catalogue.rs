//! `astroclip eval catalogue`: estimates of a catalogue against truth.

use std::path::PathBuf;

use super::bootstrap;
use super::page::catalogue_page;
use crate::app::cli::{EvalCatalogue, NamedFile};
use crate::app::commands::output::{Originals, Output};
use crate::app::commands::{print, print_json};
use crate::base::error::{Error, Result};
use crate::evaluation::estimator::FLAGS;
use crate::evaluation::eval::{
    Catalogue, CatalogueOptions, GridDensities, render_catalogue_table, score_catalogues,
};
use crate::files::catalog::read_densities;
use crate::files::data::read_catalogues;

pub(in crate::app::commands) fn run(args: &EvalCatalogue) -> Result<()> {
    let truth = &args.labels.labels;
    if truth.is_empty() {
        return Err(Error::input(
            "name the tables of the truth: astroclip eval catalogue CATALOGUE --labels TRUTH",
        ));
    }
    let paths: Vec<PathBuf> = args.catalogues.iter().map(|of| of.path.clone()).collect();
    if let Some(report) = &args.report {
        Output::Page.check(report)?;
        let inputs = Originals::default().and(&paths).and(truth);
        inputs.outlast(report)?;
    }
    let id_column = args.catalogue_id_column.as_deref();
    let (joined, truth) = read_catalogues(&paths, id_column, truth, &args.labels.options())?;
    for taken in truth.quantities.values().flat_map(|of| &of.taken) {
        tracing::debug!("truth: {}", taken.in_words());
    }
    let names = names(&args.catalogues)?;
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
