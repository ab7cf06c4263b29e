//! `astroclip search`.

use std::path::Path;

use serde::Serialize;

use super::{embeddings, print, print_json};
use crate::app::cli::Search;
use crate::app::workspace::Takings;
use crate::base::error::Result;
use crate::evaluation::search::{Match, Query, render_table, search};
use crate::files::embeddings::ModelEmbeddings;

/// A galaxy found, and where.
#[derive(Serialize)]
struct FoundIn<'a> {
    #[serde(flatten)]
    found: &'a Match,
    embeddings: &'a Path,
}

pub(super) fn run(args: &Search) -> Result<()> {
    let mut taken = Takings::default();
    let file = embeddings(
        args.within.embeddings.as_deref(),
        "astroclip search FILE",
        &mut taken,
    )?;
    let query = Query {
        object_id: args.id,
        from: args.from,
        to: args.to,
        k: args.k as usize,
    };
    let matches = search(
        &ModelEmbeddings::one(
            &file,
            &args.within.keys.keys(),
            args.within.model.as_deref(),
            &[query.from, query.to],
        )?,
        &query,
    )?;
    if !args.json {
        return print(&render_table(&matches));
    }
    let found: Vec<FoundIn<'_>> = matches
        .iter()
        .map(|found| FoundIn {
            found,
            embeddings: &file,
        })
        .collect();
    print_json(&found)
}
