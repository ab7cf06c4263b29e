//! Arguments of `match`.

use std::path::PathBuf;

use clap::Args;

use super::SurveyArg;
use crate::files::catalog::Key;

/// Arguments of `match`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    astroclip match gz_decals_5.csv sweep.fits --on sky --radius 0.5 --out joined.h5\n  \
    astroclip match redrock-main.fits BGS_ANY_full.provabgs.sv3.v0.hdf5 --on id --out labels.csv\n  \
    astroclip match cutouts/ coadd-main-dark-1.fits --on sky --out pairs.csv\n\n\
    Tables may be text (CSV, blank-separated, ECSV), FITS, HDF5 (a dataset per column, a compound dataset, a frame of \
    pandas), Parquet, or a HATS folder of it; the content says which. Of a file with several tables FILE[NAME] names one. \
    Survey files, folders of them and patterns are tables too: of files without columns of their own (cutouts in FITS, \
    SDSS spectra) the identifier, the position and the redshift of each galaxy. \
    Each row gets at most one partner: by position the nearest pairs are made first, by identifier the \
    first row of each counts. The joined table has the matched rows with the columns of both; names that \
    both have get the suffixes _left and _right, and a match by position adds separation_arcsec.")]
pub struct Match {
    /// Left table or survey; the joined rows are in its order.
    pub left: PathBuf,
    /// Right table or survey.
    pub right: PathBuf,
    /// What rows are matched by.
    #[arg(long, value_enum)]
    pub on: Key,
    /// Largest separation on the sky, arcsec.
    #[arg(long, default_value_t = 0.5, value_name = "ARCSEC")]
    pub radius: f64,
    /// Joined table to write: .fits, .parquet, .vot, .h5 or .csv.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Identifier column [default: TARGETID, object_id, targetids, objid, id, source_id, whichever there is].
    #[arg(long, value_name = "NAME")]
    pub id_column: Option<String>,
    /// Identifier column of the right table [default: as --id-column].
    #[arg(long, value_name = "NAME")]
    pub right_id_column: Option<String>,
    /// Column of right ascension in both tables, degrees [default: ra, target_ra, … whichever there is].
    #[arg(long, value_name = "NAME", requires = "dec_column")]
    pub ra_column: Option<String>,
    /// Column of declination in both tables, degrees.
    #[arg(long, value_name = "NAME", requires = "ra_column")]
    pub dec_column: Option<String>,
    /// What survey files hold.
    #[command(flatten)]
    pub survey: SurveyArg,
    /// Print the counts as JSON.
    #[arg(long)]
    pub json: bool,
}
