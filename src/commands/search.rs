use super::{print, print_json};
use crate::cli::Search;
use crate::error::Result;
use crate::search::{Query, render_table, search_file};

pub(super) fn run(args: &Search) -> Result<()> {
    let query = Query {
        object_id: args.id,
        from: args.from,
        to: args.to,
        k: args.k as usize,
    };
    let matches = search_file(&args.embeddings, &query)?;
    match args.json {
        true => print_json(&matches),
        false => print(&render_table(&matches)),
    }
}
