//! The report of a run: one HTML page that holds everything it shows, for a browser or for print.
//!
//! Input is [`ReportData`], plain numbers; what made them is of no concern here. The page needs neither
//! network nor scripts: plots are inline SVG, pictures embedded PNG.

mod curves;
mod data;
mod page;
pub mod picture;
mod plot;
mod retrieval;
mod scatter;
mod spectra;
mod table;

use std::{io::Write, path::Path};

pub use data::{
    Better, Direction, Evaluation, Family, Galaxy, Highlight, LossCurve, Neighbour, Query,
    ReportData, Retrieval, RetrievalRow, RetrievalScores, ScatterGroup, ScatterPanel, ScoreColumn,
    ScoreGroup, ScoreRow, ScoreTable, Series, Timing,
};

use crate::error::{Error, Result};

/// The page as HTML.
///
/// Values that are not finite are left out of plots and shown as a dash in tables.
///
/// # Errors
/// [`Error::Run`] if a search refers to a galaxy that is not there or a spectrum does not fit the
/// wavelengths; [`Error::Input`] if a picture has not three channels.
pub fn render(data: &ReportData) -> Result<String> {
    page::render(data)
}

/// Writes the page to `path`, whole or not at all.
///
/// # Errors
/// Those of [`render`], and [`Error::Run`] if the file cannot be written.
pub fn write_report(data: &ReportData, path: &Path) -> Result<()> {
    let page = render(data)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".report-").suffix(".html");
        // As any file of the user's, not private as temporary files are by default.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(page.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|failed| failed.error)?;
        Ok(())
    };
    write().map_err(|source| Error::writing(path, &source))
}
