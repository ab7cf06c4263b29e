//! `astroclip index`.

use super::output::{Originals, Output};
use super::{embeddings, print, print_json, shown};
use crate::app::cli::Index;
use crate::app::workspace::Takings;
use crate::base::error::Result;
use crate::evaluation::engine::{BuildOptions, GalleryHead, build};

pub(super) fn run(args: &Index) -> Result<()> {
    Output::Index.check(&args.out)?;
    let mut taken = Takings::default();
    let set = embeddings(
        &args.embeddings,
        &args.shards,
        "astroclip index FILE",
        &mut taken,
    )?;
    let files = set.files().to_vec();
    Originals::default().and(&files).outlast(&args.out)?;
    let head = build(&BuildOptions {
        files,
        out: args.out.clone(),
        recall: args.recall,
        collection: args.engine.clone(),
    })?;
    if args.json {
        return print_json(&head);
    }
    let mut text = format!("{}: {} galaxies\n", args.out.display(), head.galaxies);
    for line in head.galleries.iter().flat_map(in_words) {
        text += &format!("  {line}\n");
    }
    let out = shown(std::slice::from_ref(&args.out));
    print(&format!("{text}\nnext: astroclip serve {out}\n"))
}

/// What searches in a gallery find.
pub(super) fn in_words(gallery: &GalleryHead) -> impl Iterator<Item = String> {
    gallery.searches.iter().map(|search| {
        format!(
            "{} → {}: {:.1} % of the ten nearest, looking at {} of {}",
            search.from,
            gallery.of,
            100.0 * search.recall,
            search.vectors.min(gallery.vectors),
            gallery.vectors
        )
    })
}
