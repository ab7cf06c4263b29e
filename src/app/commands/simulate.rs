//! `astroclip simulate`.

use std::path::Path;

use serde_json::json;

use super::output::Output;
use super::{print, print_json, shown};
use crate::app::cli::Simulate;
use crate::app::workspace::only_survey;
use crate::base::error::Result;
use crate::base::progress::Progress;
use crate::simulate::{SimulationConfig, write_survey};

pub(super) fn run(args: &Simulate) -> Result<()> {
    Output::Survey.check(&args.out)?;
    let config = SimulationConfig {
        galaxies: args.galaxies,
        seed: args.seed,
        variant: args.variant,
    };
    let mut progress = Progress::new("simulate", "galaxies", 0, args.galaxies as u64);
    write_survey(&config, &args.out, |done| progress.set(done as u64, ""))?;
    progress.finish("");
    let out = args.out.display();
    if args.json {
        return print_json(
            &json!({ "out": args.out, "galaxies": args.galaxies, "seed": args.seed, "variant": args.variant }),
        );
    }
    // Where it is the only survey in the current folder, the next commands find it by themselves.
    let data = match only_survey(Path::new(".")).as_ref() == Some(&args.out) {
        true => String::new(),
        false => format!(" --data {}", shown(std::slice::from_ref(&args.out))),
    };
    print(&format!(
        "{out}\n\nnext: astroclip pretrain-image{data}\n      astroclip pretrain-spectrum{data}\n      astroclip align\n"
    ))
}
