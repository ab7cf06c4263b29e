//! Label tables, and which of their columns are meant.

use std::path::PathBuf;

use clap::Args;

use crate::files::catalog::LabelOptions;
use crate::survey::Target;

/// Tables of labels.
#[derive(Debug, Args)]
pub struct LabelsArg {
    /// Tables of properties, magnitudes and votes (CSV, FITS, HDF5, Parquet, HATS folders), joined by id; a simulated
    /// survey has one. A table with positions alone joins another that has both [default: the catalogue of the survey].
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub labels: Vec<PathBuf>,
    /// Identifier column of the label tables [default: TARGETID, object_id, … whichever there is].
    #[arg(long, value_name = "NAME", requires = "labels")]
    pub id_column: Option<String>,
    /// Which of their columns and tables are meant.
    #[command(flatten)]
    pub columns: ColumnsArg,
}

/// Labels and targets of a network that is trained on labels.
#[derive(Debug, Args)]
pub struct SupervisedLabels {
    /// Labels.
    #[command(flatten)]
    pub labels: LabelsArg,
    /// What to predict, separated by commas [default: as the configuration says].
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    pub targets: Vec<Target>,
}

/// Over the options of [`ColumnsArg`], each by itself: a heading of the struct would stand over all that follow it too.
const COLUMNS: &str = "Columns of labels";

/// Which columns of label tables tell quantities, and which table of a file is meant, where names and values do not say
/// it.
#[derive(Debug, Args)]
pub struct ColumnsArg {
    /// Table of FITS and HDF5 files with several: its name or number, for all label files; FILE[NAME] for one [default:
    /// the first, with those of the same galaxies row by row].
    #[arg(long, value_name = "NAME", help_heading = COLUMNS)]
    pub table: Option<String>,
    /// Column of redshifts [default: by name (zspec, z_redrock, … , z last) and values].
    #[arg(long, value_name = "NAME", help_heading = COLUMNS)]
    pub redshift_column: Option<String>,
    /// Column of stellar masses, solar masses or log10 of them.
    #[arg(long, value_name = "NAME", alias = "mass-column", help_heading = COLUMNS)]
    pub log_mstar_column: Option<String>,
    /// Column of mass-weighted metallicities, mass fractions or log10 of them.
    #[arg(long, value_name = "NAME", alias = "metallicity-column", help_heading = COLUMNS)]
    pub log_z_mw_column: Option<String>,
    /// Column of mass-weighted ages, Gyr.
    #[arg(long, value_name = "NAME", alias = "age-column", help_heading = COLUMNS)]
    pub tage_mw_column: Option<String>,
    /// Column of log10 of specific star-formation rates, 1/yr [default: of AVG_SFR over the stellar mass].
    #[arg(long, value_name = "NAME", alias = "ssfr-column", help_heading = COLUMNS)]
    pub log_ssfr_column: Option<String>,
}

impl LabelsArg {
    /// How label tables are read.
    pub fn options(&self) -> LabelOptions {
        let named = &self.columns;
        let columns = [
            (Target::Redshift, &named.redshift_column),
            (Target::StellarMass, &named.log_mstar_column),
            (Target::Metallicity, &named.log_z_mw_column),
            (Target::Age, &named.tage_mw_column),
            (Target::SpecificStarFormationRate, &named.log_ssfr_column),
        ];
        LabelOptions {
            id_column: self.id_column.clone(),
            table: named.table.clone(),
            columns: columns
                .into_iter()
                .filter_map(|(target, name)| Some((target, name.clone()?)))
                .collect(),
        }
    }
}
