//! Whether ranks can take the steps of a run together.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::base::error::{Error, Result};
use crate::base::ranks::Ranks;
use crate::files::inputs::{InputFiles, Inputs};
use crate::training::config::{StageConfig, to_toml};
use crate::training::train::RunConfig;

/// Checks that a batch can be shared evenly, and that micro-batches are those of one rank.
///
/// # Errors
///
/// [`Error::input`] with the numbers that do not divide.
pub(super) fn check(train: &RunConfig, ranks: &Ranks) -> Result<()> {
    let (batch, size) = (train.batch_size, ranks.size());
    if !batch.is_multiple_of(size) {
        return Err(Error::input(format!(
            "train.batch_size is {batch}, which {size} ranks cannot share evenly; start another number of ranks, or set a \
             multiple of {size}"
        )));
    }
    let share = batch / size;
    match train.micro_batch_size {
        Some(micro) if size > 1 && !share.is_multiple_of(micro) => Err(Error::input(format!(
            "train.micro_batch_size is {micro}, no divisor of the {share} galaxies that each of {size} ranks has of \
             train.batch_size = {batch}; set a divisor, or leave it out"
        ))),
        _ => Ok(()),
    }
}

/// Checks that all ranks have the same program, run file, data and models, before any writes.
///
/// # Errors
///
/// [`Error::input`] with the rank that differs, and in what.
pub(super) fn agree<C: StageConfig>(config: &C, inputs: &Inputs, ranks: &Ranks) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let commit = option_env!("ASTROCLIP_COMMIT").unwrap_or("of no known commit");
    let digest = |text: &str| format!("SHA-256 {:x}", Sha256::digest(text));
    // By content: a machine may have its copy elsewhere.
    let content = |files: &[InputFiles]| {
        let all = files.iter().map(|files| {
            let InputFiles {
                files,
                bytes,
                sample_sha256,
                ..
            } = files;
            format!("{files} files of {bytes} bytes with samples of SHA-256 {sample_sha256}")
        });
        all.collect::<Vec<_>>().join(", ")
    };
    let pairs = inputs.pairs.as_slice();
    ranks.agree(&[
        ("program", format!("{} {commit}", env!("CARGO_PKG_VERSION"))),
        ("run file", digest(&to_toml(config))),
        ("set of data", content(&inputs.data)),
        ("table of pairs", content(pairs)),
        ("set of models", content(&inputs.models)),
        ("way of reading the data", json!(inputs.read).to_string()),
    ])
}
