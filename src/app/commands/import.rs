//! `astroclip import`.

use super::output::{Originals, Output};
use super::{print, print_json, shown};
use crate::app::cli::Import;
use crate::base::error::Result;
use crate::network::released::{AttentionHeads, ImportSummary, ReleasedWeights};
use crate::network::weights::ModelKind;

pub(super) fn run(args: &Import) -> Result<()> {
    Output::Model.check(&args.out)?;
    Originals::default().and([&args.file]).outlast(&args.out)?;
    let heads = AttentionHeads {
        image: args.image_heads,
        spectrum: args.spectrum_heads,
        embedding: args.embedding_heads,
    };
    let weights = ReleasedWeights::open(&args.file, heads)?;
    let (header, summary) = (weights.header.clone(), weights.summary.clone());
    header.write(&args.out, &weights.read()?)?;
    if args.json {
        return print_json(&serde_json::json!({
            "out": args.out,
            "kind": header.kind,
            "step": header.step,
            "architecture": header.architecture,
            "import": summary,
        }));
    }
    let out = args.out.display();
    let model = shown(std::slice::from_ref(&args.out));
    let next = match header.kind {
        ModelKind::ImageEncoder => {
            format!("astroclip align --image-encoder {model} --data survey.h5")
        }
        ModelKind::SpectrumEncoder => {
            format!("astroclip align --spectrum-encoder {model} --data survey.h5")
        }
        _ => {
            format!("astroclip embed --weights {model} --data survey.h5 --out emb.h5")
        }
    };
    print(&format!(
        "{out}: {}\n{}\nnext: {next}\n",
        header.kind.label(),
        described(&summary)
    ))
}

fn described(summary: &ImportSummary) -> String {
    let ImportSummary {
        mapped,
        parameters,
        left_out,
        skipped,
        assumed,
    } = summary;
    let mut text = format!("  mapped    {mapped} tensors, {parameters} parameters\n");
    for part in left_out {
        text += &format!(
            "  left out  {} tensors of `{}`, which the encoder does not need\n",
            part.tensors, part.part
        );
    }
    if !skipped.is_empty() {
        text += &format!("  skipped   {}\n", skipped.join(", "));
    }
    for assumption in assumed {
        text += &format!("  assumed   {assumption}\n");
    }
    text
}
