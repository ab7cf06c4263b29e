//! `astroclip export`.

use super::output::{Originals, Output};
use super::training::WithTakings;
use super::{EMBEDDING, model, print, print_json};
use crate::app::cli::Export;
use crate::app::workspace::Takings;
use crate::base::error::Result;
use crate::network::released;

pub(super) fn run(args: &Export) -> Result<()> {
    Output::Export.check(&args.out)?;
    let mut taken = Takings::default();
    let model = model(args.model.as_deref(), "MODEL", &EMBEDDING, &mut taken)?;
    Originals::default().and([&model]).outlast(&args.out)?;
    let summary = released::export(&model, &args.out, args.to)?;
    for difference in &summary.differences {
        tracing::warn!("the released code computes otherwise: {difference}");
    }
    if args.json {
        return print_json(&WithTakings {
            summary: &serde_json::json!({ "out": args.out, "export": summary }),
            taken: &taken,
        });
    }
    print(&format!(
        "{}: {}, {} tensors, {} parameters\n",
        args.out.display(),
        summary.kind.label(),
        summary.tensors,
        summary.parameters
    ))
}
