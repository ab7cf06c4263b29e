//! Posteriors of redshift and galaxy properties given embeddings, magnitudes or predictions (paper section 6.4): how likely the
//! truth is under them, whether they are calibrated, and a summary for every test galaxy.

mod assess;
mod galaxies;
mod results;
mod run;
mod table;

pub use results::{
    Interval, PosteriorOptions, PosteriorReport, PosteriorResult, PosteriorSummaries,
};
pub use run::posterior;
pub(in crate::evaluation) use run::{
    FEWEST_TRAIN, known_sources, known_targets, leave_out_constants,
};
pub use table::render_posterior_table;
