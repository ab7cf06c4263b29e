//! Which galaxies are held out.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::base::error::{Error, Result};
use crate::files::embeddings::EmbeddingFile;
use crate::survey::{ObjectId, Split};

/// Which galaxies are held out as test galaxies.
#[derive(Debug, Clone, PartialEq)]
pub enum SplitRule {
    /// As the embedding file says.
    AsInFile,
    /// By a hash of the identifier: the same galaxies whatever the file and its order. SHA-256 of the seed and the
    /// identifier, 8 bytes each, little-endian (of a name, its UTF-8); the first 8 bytes of it, little-endian, over 2^64 are a number
    /// from 0 to 1, and those below the fraction test.
    Hash {
        /// Fraction of the galaxies that test, above 0 and below 1.
        test_fraction: f64,
        /// Another seed holds out other galaxies.
        seed: u64,
    },
    /// These test, all others train.
    TestIds(HashSet<ObjectId>),
}

impl SplitRule {
    /// Sets the split of every galaxy of a file.
    ///
    /// # Errors
    /// [`Error::input`] for a fraction that is not between 0 and 1.
    pub fn apply(&self, file: &mut EmbeddingFile) -> Result<()> {
        let of = |test: bool| if test { Split::Test } else { Split::Train };
        match self {
            Self::AsInFile => {}
            Self::Hash {
                test_fraction,
                seed,
            } => {
                if !(*test_fraction > 0.0 && *test_fraction < 1.0) {
                    return Err(Error::input(format!(
                        "test fraction {test_fraction}; expected a number above 0 and below 1"
                    )));
                }
                for (split, &id) in file.split.iter_mut().zip(&file.object_id) {
                    *split = of(share_of(*seed, id) < *test_fraction);
                }
            }
            Self::TestIds(ids) => {
                let known: HashSet<&ObjectId> = file.object_id.iter().collect();
                let absent: Vec<&ObjectId> = ids.iter().filter(|id| !known.contains(id)).collect();
                match absent.first() {
                    Some(id) if absent.len() == ids.len() => {
                        return Err(Error::input(format!(
                            "none of the {} identifiers of the list of test galaxies is in the file, {id} for example",
                            ids.len()
                        ))
                        .in_file(&file.path));
                    }
                    Some(id) => tracing::warn!(
                        "{}: {} of the {} identifiers of the list of test galaxies are not in the file, {id} for example",
                        file.path.display(),
                        absent.len(),
                        ids.len()
                    ),
                    None => {}
                }
                for (split, id) in file.split.iter_mut().zip(&file.object_id) {
                    *split = of(ids.contains(id));
                }
            }
        }
        Ok(())
    }
}

/// A number from 0 to 1 that seed and identifier decide.
fn share_of(seed: u64, id: ObjectId) -> f64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(id.bytes());
    let digest = hash.finalize();
    let (first, _) = digest.split_first_chunk::<8>().expect("32 bytes");
    u64::from_le_bytes(*first) as f64 / 2_f64.powi(64)
}

#[cfg(test)]
mod tests {
    use super::share_of;

    #[test]
    fn shares_are_even_and_stay_as_they_are() {
        let of_seed = |seed| (0..20_000_i64).filter(move |&id| share_of(seed, id.into()) < 0.1);
        assert!((1_850..2_150).contains(&of_seed(0).count()));
        assert!(of_seed(0).ne(of_seed(1)));
        // int.from_bytes(sha256(struct.pack("<Qq", 0, 39627000000000001)).digest()[:8], "little") / 2**64
        assert!((share_of(0, 39_627_000_000_000_001_i64.into()) - SHARE).abs() < 1e-12);
    }

    const SHARE: f64 = 0.831_280_714_923_173_2;
}
