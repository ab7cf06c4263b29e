//! Which columns are taken, and which values are known.

use super::*;

/// What the rule says of a table.
fn chosen(target: Target, table: &[(&str, &[f64])], named: Option<&str>) -> Choice {
    let numbers = |at: usize| Ok(Cow::Borrowed(table[at].1));
    let columns = Columns {
        names: table.iter().map(|(name, _)| *name).collect(),
        numbers: &numbers,
    };
    let named = named.map(|name| (target, name.to_owned()));
    choose(target, &columns, &named.into_iter().collect())
}

fn column(choice: Choice) -> String {
    match choice {
        Choice::Chosen(chosen) => match chosen.conversion {
            Some(conversion) => format!("{}: {conversion}", chosen.column),
            None => chosen.column,
        },
        Choice::Absent => "absent".to_owned(),
        Choice::Refused(why) => format!("refused: {why}"),
    }
}

const Z: &[f64] = &[0.1, 0.2, -99.0, f64::NAN, 0.4];
const MAG: &[f64] = &[17.1, 16.2, 18.0, 99.0, 7.0];
const NONE: &[f64] = &[-1.0, f64::NAN, -99.0, -1.0, -1.0];

#[test]
fn a_column_z_is_of_redshifts_only_if_nothing_is_better_and_its_values_can_be() {
    let redshift = |table: &[(&str, &[f64])]| column(chosen(Target::Redshift, table, None));
    assert_eq!(redshift(&[("Z", Z)]), "Z");
    assert_eq!(redshift(&[("z", MAG), ("ZSPEC", Z)]), "ZSPEC");
    assert_eq!(
        redshift(&[("z", Z), ("z_spec", NONE)]),
        "z",
        "a better name without values"
    );
    assert_eq!(
        redshift(&[("z_spec", NONE)]),
        "z_spec",
        "known to be unknown"
    );
    assert_eq!(
        redshift(&[("Z", MAG), ("z", Z)]),
        "z",
        "of two cases the one that can be"
    );
    assert_eq!(redshift(&[("z_phot", Z)]), "absent");
    let refused = redshift(&[("z", MAG)]);
    for part in ["refused: column `z`", "7 to 18", "magnitudes"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(redshift(&[("g", Z), ("r", Z), ("z", Z)]).contains("beside `g` and `r`"));
    assert_eq!(redshift(&[("g", MAG), ("r", MAG), ("z", Z)]), "z");
    // What the user names wins.
    assert_eq!(
        column(chosen(
            Target::Redshift,
            &[("z", MAG), ("zspec", Z)],
            Some("z")
        )),
        "z"
    );
    assert_eq!(
        column(chosen(Target::Redshift, &[("zspec", Z)], Some("zphot"))),
        "absent"
    );
}

#[test]
fn units_and_logarithms_are_told_by_values() {
    let of = |target, name: &str, values: &[f64]| column(chosen(target, &[(name, values)], None));
    let linear = [3e10, 1e9, -99.0, 2e11];
    assert!(of(Target::StellarMass, "LOGMSTAR", &linear).contains("not their logarithms"));
    assert_eq!(
        of(Target::StellarMass, "mstar", &linear),
        "mstar: its log10"
    );
    assert_eq!(of(Target::StellarMass, "mstar", &[9.0, 10.0, 0.0]), "mstar");
    assert!(of(Target::Age, "TAGE_MW", &[3e9, 5e9]).contains("years"));
    assert_eq!(
        of(Target::Metallicity, "Z_MW", &[0.01, 0.02]),
        "Z_MW: its log10"
    );
    assert!(of(Target::Metallicity, "Z_MW", &[-1.2, -0.5]).contains("-1.2 to -0.5"));
    let table: [(&str, &[f64]); 2] = [
        ("SFR", &[1.0, 0.0, -99.0, 1.0]),
        ("LOGMSTAR", &[10.0, 10.0, 10.0, -1.0]),
    ];
    let Choice::Chosen(rate) = chosen(Target::SpecificStarFormationRate, &table, None) else {
        panic!("a rate");
    };
    assert_eq!(rate.recorded[0], -10.0);
    let unknown = [("-99", 1), ("0", 1), ("unknown mass", 1)];
    assert_eq!(
        rate.unknown,
        unknown.map(|(what, count)| (what.to_owned(), count)).into()
    );
}

#[test]
fn impossible_values_are_unknown_and_counted() {
    let rounded = f64::from(-99.99_f32);
    let values = [0.1, rounded, rounded, f64::NAN, f64::INFINITY, -0.001, 1e20];
    let Choice::Chosen(chosen) = chosen(Target::Redshift, &[("z", &values)], None) else {
        panic!("redshifts");
    };
    let unknown = [
        ("-99.99", 2),
        ("100000000000000000000", 1),
        ("blank", 1),
        ("inf", 1),
    ];
    assert_eq!(
        chosen.unknown,
        unknown.map(|(what, count)| (what.to_owned(), count)).into()
    );
}
