//! What the columns of a catalogue are called and mean.

use super::interval::LEVELS;
use super::options::Regressor;
use crate::evaluation::eval::Source;
use crate::files::catalog::{ColumnHead, ColumnKind};
use crate::survey::Target;

/// Endings of the columns of [`LEVELS`]: thousandths.
const ENDINGS: [&str; 5] = ["p025", "p160", "p500", "p840", "p975"];

/// A column without a unit.
pub(super) fn column(name: &str, kind: ColumnKind, ucd: &str, description: &str) -> ColumnHead {
    ColumnHead {
        name: name.to_owned(),
        unit: None,
        ucd: Some(ucd.to_owned()),
        description: description.to_owned(),
        kind,
    }
}

/// The estimate of a quantity and the points of its distribution; of one source and method where these are named.
pub(super) fn estimate_columns(
    columns: &mut Vec<ColumnHead>,
    target: Target,
    of: Option<(Source, Regressor)>,
) {
    let (what, unit, ucd) = described(target);
    let (name, how) = match of {
        None => (target.name().to_owned(), String::new()),
        Some((source, method)) => (
            format!("{}_{source}_{method}", target.name()),
            format!(" (from {source} by {method})"),
        ),
    };
    let mut add = |name: String, ucd: String, description: String| {
        columns.push(ColumnHead {
            unit: unit.map(str::to_owned),
            ..column(&name, ColumnKind::F64, &ucd, &description)
        });
    };
    let main = match of {
        None => format!("{ucd};meta.main"),
        Some(_) => ucd.to_owned(),
    };
    add(name.clone(), main, format!("{what}{how}"));
    for (level, ending) in LEVELS.iter().zip(ENDINGS) {
        let ucd = match *level == 0.5 {
            true => format!("{ucd};stat.median"),
            false => format!("{ucd};stat.interval"),
        };
        let percent = 100.0 * level;
        add(
            format!("{name}_{ending}"),
            ucd,
            format!("{what}{how}: {percent} per cent point of its distribution"),
        );
    }
}

/// The fraction of an answer, and the ends of its 68 % interval.
pub(super) fn question_columns(columns: &mut Vec<ColumnHead>, question: &str, answer: &str) {
    let what = format!("Fraction of volunteers who would answer {answer} to {question}");
    for (ending, more) in [
        ("", ""),
        ("_p160", ": 16 per cent point of its distribution"),
        ("_p840", ": 84 per cent point of its distribution"),
    ] {
        columns.push(column(
            &format!("{question}_{answer}_fraction{ending}"),
            ColumnKind::F32,
            "src.morph.type",
            &format!("{what}{more}"),
        ));
    }
}

/// What a spectrum says of itself; of its continuum where the estimator knows those of the training galaxies.
pub(super) fn spectrum_columns(columns: &mut Vec<ColumnHead>, with_continua: bool) {
    columns.push(column(
        "spectrum_snr",
        ColumnKind::F32,
        "stat.snr",
        "Signal to noise per pixel of the spectrum",
    ));
    columns.push(column(
        "star_lines",
        ColumnKind::F32,
        "stat.value",
        "Significance of absorption lines of stars at redshift 0, in standard deviations",
    ));
    if with_continua {
        columns.push(column(
            "novelty_continuum",
            ColumnKind::F32,
            "stat.value",
            "Distance of the spectrum's continuum to those of the training galaxies, over what 99 % of these stay below",
        ));
    }
}

/// What a quantity is, its unit and its UCD.
fn described(target: Target) -> (&'static str, Option<&'static str>, &'static str) {
    match target {
        Target::Redshift => ("Redshift", None, "src.redshift"),
        Target::StellarMass => (
            "log10 of the stellar mass in solar masses",
            None,
            "phys.mass",
        ),
        Target::Metallicity => (
            "log10 of the mass-weighted metallicity (mass fraction)",
            None,
            "phys.abund.Z",
        ),
        Target::Age => ("Mass-weighted age", Some("Gyr"), "time.age"),
        Target::SpecificStarFormationRate => (
            "log10 of the specific star-formation rate in 1/yr",
            None,
            "phys.SFR",
        ),
    }
}
