use super::{print, print_json};
use crate::cli::Embed;
use crate::error::{Error, Result};
use crate::stages::{self, EmbedOptions};

pub(super) fn run(args: &Embed) -> Result<()> {
    if args.data.is_empty() {
        return Err(Error::input(
            "no data; pass --data FILE, or make some: astroclip simulate --galaxies 2000 --out survey.h5",
        ));
    }
    let options = EmbedOptions {
        weights: args.weights.clone(),
        data: args.data.clone(),
        out: args.out.clone(),
        batch_size: args.batch_size as usize,
        raw: args.raw,
    };
    let device = args.device.device.open()?;
    let summary = stages::embed(&options, &device)?;
    if args.json {
        return print_json(&summary);
    }
    let kinds: Vec<&str> = summary.modalities.iter().map(|kind| kind.name()).collect();
    let out = summary.out.display();
    print(&format!(
        "{out}: {} galaxies, {} embeddings of width {}\n\nnext: astroclip search {out} --id ID\n      astroclip eval redshift --embeddings {out}\n",
        summary.galaxies,
        kinds.join(" and "),
        summary.dimension,
    ))
}
