//! `astroclip search`.

use std::path::Path;

use serde::Serialize;

use super::{embeddings, index_named, print, print_json};
use crate::app::cli::Search;
use crate::app::workspace::Takings;
use crate::base::error::Result;
use crate::evaluation::search::{Match, Query, render_table, search, search_index, search_rows};
use crate::files::embeddings::{EmbeddingRows, ModelEmbeddings, is_embedding_file};

/// A galaxy found, and where.
#[derive(Serialize)]
struct FoundIn<'a> {
    #[serde(flatten)]
    found: &'a Match,
    embeddings: &'a Path,
}

pub(super) fn run(args: &Search) -> Result<()> {
    let mut taken = Takings::default();
    let set = embeddings(
        &args.within.embeddings,
        &args.within.shards,
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
    let path = set.path();
    let matches = match (index_named(&set, args.exact, &args.within)?, set.files()) {
        (Some(index), _) => search_index(&index, &query)?,
        // Which of another program's columns are meant is known once all are read.
        (None, [file]) if model.is_some() || !is_embedding_file(file) => {
            let kinds = [query.from, query.to];
            search(&ModelEmbeddings::one(&set, &keys, model, &kinds)?, &query)?
        }
        (None, files) => search_rows(&EmbeddingRows::open(files, &keys)?, &path, &query)?,
    };
    if !args.json {
        return print(&render_table(&matches));
    }
    let found: Vec<FoundIn<'_>> = matches
        .iter()
        .map(|found| FoundIn {
            found,
            embeddings: &path,
        })
        .collect();
    print_json(&found)
}
