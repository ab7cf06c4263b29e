use super::{print, print_json, survey_files};
use crate::cli::Embed;
use crate::error::{Error, Result};
use crate::stages::{self, EmbedOptions};

pub(super) fn run(args: &Embed) -> Result<()> {
    if args.data.data.is_empty() {
        return Err(Error::input(
            "no data; pass --data FILE, or make some: astroclip simulate --galaxies 2000 --out survey.h5",
        ));
    }
    let options = EmbedOptions {
        weights: args.weights.clone(),
        data: survey_files(&args.data),
        out: args.out.clone(),
        batch_size: args.batch_size as usize,
        precision: args.precision,
        raw: args.raw,
    };
    let device = args.device.device.open()?;
    let summary = stages::embed(&options, &device)?;
    if args.json {
        return print_json(&summary);
    }
    let kinds: Vec<&str> = summary.modalities.iter().map(|kind| kind.name()).collect();
    let out = summary.out.display();
    let skipped = match summary.skipped {
        0 => String::new(),
        count => format!(" ({count} left out)"),
    };
    print(&format!(
        "{out}: {} galaxies{skipped}, {} embeddings of width {}\n\nnext: astroclip search {out} --id ID\n      astroclip eval redshift --embeddings {out}\n",
        summary.galaxies,
        kinds.join(" and "),
        summary.dimension,
    ))
}
