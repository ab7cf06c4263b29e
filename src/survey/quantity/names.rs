//! What columns of quantities are called, and which values they can have.

use std::ops::RangeInclusive;

use crate::survey::Target;

/// What redshifts are called, the best first; upper or lower case does not matter. The last is what magnitudes in the z
/// band are called too: see [`choose`].
const REDSHIFT_NAMES: [&str; 22] = [
    "redshift",
    "redshifts",
    "z_hp",
    "z_spec",
    "zspec",
    "spec_z",
    "specz",
    "spec_redshift",
    "redshift_spec",
    "z_sp",
    "zsp",
    "z_redrock",
    "z_desi",
    "z_vi",
    "vi_z",
    "zbest",
    "z_best",
    "best_z",
    "z_helio",
    "zhelio",
    "zred",
    DOUBTFUL_REDSHIFT,
];
pub(super) const DOUBTFUL_REDSHIFT: &str = "z";
/// A column called `z` is of redshifts if most of it lies here, and the median below [`FAINTEST_REDSHIFT`].
pub(super) const USUAL_REDSHIFTS: RangeInclusive<f64> = -0.02..=FAINTEST_REDSHIFT;
/// No survey's median redshift is above; nearly all magnitudes are.
pub(super) const FAINTEST_REDSHIFT: f64 = 8.0;

/// What stands in catalogues for unknown numbers, beside nothing and NaN.
const PLACEHOLDERS: [f64; 19] = [
    -1.0, -9.0, -90.0, -99.0, -99.9, -99.99, -100.0, -999.0, -999.9, -9999.0, -99999.0, 99.0, 99.9,
    99.99, 999.0, 9999.0, 1e20, -1e20, 1e30,
];

/// What apparent magnitudes in g, r and z are called.
pub const MAGNITUDES: [&[&str]; 3] = [&["MAG_G"], &["MAG_R"], &["MAG_Z"]];
/// Above are placeholders such as 99: no survey sees so deep.
const FAINTEST_MAGNITUDE: f64 = 40.0;

/// A magnitude as a file has it; NaN where no galaxy can have it.
pub fn known_magnitude(value: f64) -> f64 {
    match value < FAINTEST_MAGNITUDE {
        true => value,
        false => f64::NAN,
    }
}

/// How numbers of a column tell a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As they are.
    Itself,
    /// By their log10.
    Logarithm,
    /// As they are or by their log10: the values say which.
    Either,
    /// They are star-formation rates, M☉/yr: log10 of them less that of the stellar mass.
    PerMass,
}

/// Names of columns that tell a target in one form.
pub(super) struct Naming {
    pub names: &'static [&'static str],
    pub form: Form,
}

const fn naming(names: &'static [&'static str], form: Form) -> Naming {
    Naming { names, form }
}

const REDSHIFT: [Naming; 1] = [naming(&REDSHIFT_NAMES, Form::Itself)];
const STELLAR_MASS: [Naming; 2] = [
    naming(
        &[
            "log_mstar",
            "provabgs_logmstar_bf",
            "logmstar",
            "log_m_star",
            "log_stellar_mass",
            "log_mass",
            "logmass",
            "lgm_tot_p50",
        ],
        Form::Itself,
    ),
    naming(&["stellar_mass", "mstar", "m_star"], Form::Either),
];
const METALLICITY: [Naming; 2] = [
    naming(&["z_mw"], Form::Logarithm),
    naming(&["log_z_mw", "logz_mw"], Form::Itself),
];
const AGE: [Naming; 1] = [naming(&["tage_mw"], Form::Itself)];
const SPECIFIC_RATE: [Naming; 2] = [
    naming(&["log_ssfr", "logssfr"], Form::Itself),
    naming(&["avg_sfr", "sfr"], Form::PerMass),
];

impl Target {
    pub(super) fn namings(self) -> &'static [Naming] {
        match self {
            Self::Redshift => &REDSHIFT,
            Self::StellarMass => &STELLAR_MASS,
            Self::Metallicity => &METALLICITY,
            Self::Age => &AGE,
            Self::SpecificStarFormationRate => &SPECIFIC_RATE,
        }
    }

    /// The usual columns that it is made of, for messages.
    pub fn usual_columns(self) -> &'static [&'static str] {
        match self {
            Self::Redshift => &["REDSHIFT"],
            Self::StellarMass => &["LOG_MSTAR"],
            Self::Metallicity => &["Z_MW"],
            Self::Age => &["TAGE_MW"],
            Self::SpecificStarFormationRate => &["AVG_SFR", "LOG_MSTAR"],
        }
    }

    /// The option of the command line that names its column.
    pub fn column_option(self) -> String {
        format!("--{}-column", self.name().replace('_', "-"))
    }

    /// What to do where no column is taken.
    pub fn name_its_column(self) -> String {
        format!(
            "name the column that tells it: {} NAME",
            self.column_option()
        )
    }

    /// Values that a galaxy can have. All others stand for unknown.
    fn range(self) -> RangeInclusive<f64> {
        match self {
            // The blueshift of a nearby star is no placeholder.
            Self::Redshift => -0.1..=20.0,
            Self::StellarMass => 2.0..=15.0,
            Self::Metallicity => -12.0..=1.0,
            // 0 excluded.
            Self::Age => f64::MIN_POSITIVE..=20.0,
            Self::SpecificStarFormationRate => -40.0..=-4.0,
        }
    }

    /// Whether a galaxy can have this value.
    pub fn is_possible(self, value: f64) -> bool {
        self.range().contains(&value)
    }

    /// A value as a file has it; NaN where no galaxy can have it.
    pub fn known(self, value: f64) -> f64 {
        match self.is_possible(value) {
            true => value,
            false => f64::NAN,
        }
    }

    /// What it is, with its unit.
    pub(super) fn described(self) -> &'static str {
        match self {
            Self::Redshift => "a redshift",
            Self::StellarMass => "log10 of a stellar mass in solar masses",
            Self::Metallicity => "log10 of a metallicity (mass fraction)",
            Self::Age => "an age in Gyr",
            Self::SpecificStarFormationRate => "log10 of a specific star-formation rate in 1/yr",
        }
    }
}

/// Whether a number is one of those that stand for unknown in catalogues, also where it was rounded to 32 bits.
pub fn is_placeholder(value: f64) -> bool {
    let mut known = PLACEHOLDERS.iter();
    value.abs() >= 1e30 || known.any(|known| (value - known).abs() <= 1e-6 * known.abs())
}
