//! How good the estimates of a catalogue are, ours or another's: against truth from other tables, side by side.

mod bins;
mod columns;
mod density;
mod outliers;
mod quantiles;
mod results;
mod sample;
mod score;
mod table;

pub use columns::{EstimateColumn, EstimateKey};
pub use density::GridDensities;
pub use outliers::{FlagBit, Outlier};
pub use results::{
    About, BinScores, CatalogueReport, CatalogueResult, Counts, FlagCount, Mean, Pit, Points,
    Scores, Share,
};
pub use sample::{Catalogue, ScoredSplit};
pub use score::{CatalogueOptions, score_catalogues};
pub use table::{
    DISTRIBUTION_NAMES, POINT_NAMES, distribution_cells, point_cells, render_catalogue_table,
};
