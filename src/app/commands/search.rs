//! `astroclip search`.

use std::path::Path;

use serde::Serialize;

use super::{embeddings, index_named, print, print_json};
use crate::app::cli::Search;
use crate::app::workspace::Takings;
use crate::base::error::Result;
use crate::evaluation::search::{Match, Query, render_table, search, search_index};
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
    let keys = args.within.keys.keys();
    let model = args.within.model.as_deref();
    let matches = match index_named(&file, args.exact, &args.within)? {
        Some(index) => search_index(&index, &query)?,
        None => {
            let kinds = [query.from, query.to];
            search(&ModelEmbeddings::one(&file, &keys, model, &kinds)?, &query)?
        }
    };
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
