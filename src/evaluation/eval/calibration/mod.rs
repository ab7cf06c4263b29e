//! Whether posteriors are as wide as they should be: expected coverage of random regions (TARP; paper
//! appendix E) and ranks of the truth among samples.

mod ranks;
mod references;
mod tarp;
mod uniformity;

pub use ranks::RankHistogram;
pub use references::{Credibilities, Lots, ReferenceCoverage};
pub use tarp::{Tarp, UnitCube, expected_coverage};
