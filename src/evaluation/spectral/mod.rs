//! What spectra tell without a trained network: their principal components, and templates that are moved along them.
//! Rulers for embeddings of spectra.

mod components;
mod log_grid;
mod nearest;
mod templates;

pub use components::{ComponentSettings, Components};
pub use nearest::leave_one_out;
pub use templates::{TemplateSettings, Templates};
