//! The quantities that are predicted, by the one list of names that files, run files and the command line share.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A quantity predicted from embeddings.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
pub enum Target {
    /// Redshift z.
    #[serde(rename = "redshift")]
    Redshift,
    /// log10 of the stellar mass, solar masses.
    #[serde(rename = "log_mstar", alias = "stellar_mass")]
    #[value(name = "log_mstar", aliases = ["stellar_mass", "mass"])]
    StellarMass,
    /// log10 of the mass-weighted metallicity.
    #[serde(rename = "log_z_mw", alias = "metallicity")]
    #[value(name = "log_z_mw", alias = "metallicity")]
    Metallicity,
    /// Mass-weighted age, Gyr.
    #[serde(rename = "tage_mw", alias = "age")]
    #[value(name = "tage_mw", alias = "age")]
    Age,
    /// log10 of the star-formation rate over the stellar mass, 1/yr.
    #[serde(rename = "log_ssfr", alias = "ssfr")]
    #[value(name = "log_ssfr", alias = "ssfr")]
    SpecificStarFormationRate,
}

impl Target {
    /// The properties of the paper's Table 2, in its order.
    pub const PROPERTIES: [Self; 4] = [
        Self::StellarMass,
        Self::Metallicity,
        Self::Age,
        Self::SpecificStarFormationRate,
    ];

    /// Redshift, then the properties.
    pub const ALL: [Self; 5] = [
        Self::Redshift,
        Self::StellarMass,
        Self::Metallicity,
        Self::Age,
        Self::SpecificStarFormationRate,
    ];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redshift => "redshift",
            Self::StellarMass => "log_mstar",
            Self::Metallicity => "log_z_mw",
            Self::Age => "tage_mw",
            Self::SpecificStarFormationRate => "log_ssfr",
        }
    }

    /// The target of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// What to call it in a table.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Redshift => "z",
            Self::StellarMass => "log M★",
            Self::Metallicity => "log Z_MW",
            Self::Age => "t_age [Gyr]",
            Self::SpecificStarFormationRate => "log sSFR",
        }
    }

    /// What it is in words, as a catalogue describes it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Redshift => "redshift",
            Self::StellarMass => "log10 of the stellar mass in solar masses",
            Self::Metallicity => "log10 of the mass-weighted metallicity (mass fraction)",
            Self::Age => "mass-weighted age",
            Self::SpecificStarFormationRate => {
                "log10 of the star-formation rate over the stellar mass in 1/yr"
            }
        }
    }

    /// Its unit as VOUnits writes it; logarithms have none, and what they are of is said in words.
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Age => Some("Gyr"),
            Self::Redshift
            | Self::StellarMass
            | Self::Metallicity
            | Self::SpecificStarFormationRate => None,
        }
    }

    /// What it is by the vocabulary UCD1+.
    pub fn ucd(self) -> &'static str {
        match self {
            Self::Redshift => "src.redshift",
            Self::StellarMass => "phys.mass",
            Self::Metallicity => "phys.abund.Z",
            Self::Age => "time.age",
            Self::SpecificStarFormationRate => "phys.SFR",
        }
    }

    /// Whether it counts only for galaxies that are in the label table and pass its cuts. Redshift does not: embedding
    /// and survey files have it too.
    pub fn needs_cuts(self) -> bool {
        self != Self::Redshift
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.symbol())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::Target;

    #[test]
    fn names_are_those_that_are_read() {
        for target in Target::ALL {
            let read: Target = serde_json::from_str(&format!("\"{}\"", target.name())).unwrap();
            assert_eq!(read, target);
            assert_eq!(
                <Target as ValueEnum>::from_str(target.name(), false),
                Ok(target)
            );
            assert_eq!(Target::from_name(target.name()), Some(target));
        }
    }
}
