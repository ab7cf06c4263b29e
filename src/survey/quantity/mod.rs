//! Which column of a table tells a quantity: the one rule, by names and by values. A column is taken where its name is a
//! known one and its values can be the quantity's; values that cannot be are unknown.

mod names;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;

use names::{DOUBTFUL_REDSHIFT, FAINTEST_REDSHIFT, Form, USUAL_REDSHIFTS};
pub use names::{MAGNITUDES, is_placeholder, known_magnitude};

use super::Target;

/// A table's columns, as the rule looks at them.
pub struct Columns<'a> {
    /// Their names.
    pub names: Vec<&'a str>,
    /// The numbers of a column, NaN where unknown; of one of text, the first of its texts.
    pub numbers: &'a dyn Fn(usize) -> Result<Cow<'a, [f64]>, String>,
}

/// The column of a quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Its name.
    pub column: String,
    /// What was done to its values, in words.
    pub conversion: Option<String>,
    /// By row, in the unit of the target, also what cannot be: NaN where there is no number.
    pub recorded: Vec<f64>,
    /// Rows without a value that can be, by what stands there.
    pub unknown: BTreeMap<String, usize>,
}

/// What a table says of a quantity.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// No column has one of its names.
    Absent,
    /// Why the columns of its names cannot be the quantity.
    Refused(String),
    /// A column tells it.
    Chosen(Chosen),
}

/// The column that tells a target. `named` says which one, whatever its values; else the first of the usual names whose
/// values can be the target's counts. A column `z` is of redshifts only if none has a better name, if most of its values
/// lie between −0.02 and 8 and the median is below 8, and if it does not stand beside columns `g` and `r` of the like.
pub fn choose(target: Target, columns: &Columns<'_>, named: &BTreeMap<Target, String>) -> Choice {
    if let Some(name) = named.get(&target) {
        return match columns.find(name).next() {
            None => Choice::Absent,
            Some(at) => columns.as_named(target, at, named),
        };
    }
    let mut refused = None;
    let mut without_value = None;
    for naming in target.namings() {
        for at in naming.names.iter().flat_map(|name| columns.find(name)) {
            match columns.judge(target, at, naming.form, named) {
                Choice::Chosen(chosen) if chosen.knows(target) => return Choice::Chosen(chosen),
                Choice::Chosen(chosen) => without_value = without_value.or(Some(chosen)),
                Choice::Refused(why) => refused = refused.or(Some(why)),
                Choice::Absent => {}
            }
        }
    }
    match (refused, without_value) {
        (Some(why), _) => Choice::Refused(why),
        (None, Some(chosen)) => Choice::Chosen(chosen),
        (None, None) => Choice::Absent,
    }
}

impl Chosen {
    fn new(
        target: Target,
        column: &str,
        conversion: Option<String>,
        raw: &[f64],
        recorded: Vec<f64>,
    ) -> Self {
        let mut unknown = BTreeMap::new();
        for (&raw, &recorded) in raw.iter().zip(&recorded) {
            if !target.is_possible(recorded) {
                let what = match (raw.is_nan(), recorded.is_nan() && raw > 0.0) {
                    (true, _) => "blank".to_owned(),
                    (_, true) => "unknown mass".to_owned(),
                    _ => shortest(raw),
                };
                *unknown.entry(what).or_default() += 1;
            }
        }
        Self {
            column: column.to_owned(),
            conversion,
            recorded,
            unknown: the_commonest(unknown),
        }
    }

    fn knows(&self, target: Target) -> bool {
        self.recorded.iter().any(|&value| target.is_possible(value))
    }
}

impl Columns<'_> {
    /// The columns of this name, first of all that in the same case.
    fn find<'s>(&'s self, name: &'s str) -> impl Iterator<Item = usize> + 's {
        let of = move |wanted: fn(&str, &str) -> bool| {
            let columns = self.names.iter().enumerate();
            columns
                .filter(move |(_, column)| wanted(column, name))
                .map(|(at, _)| at)
        };
        of(|column, name| column == name).chain(of(|column, name| {
            column != name && column.eq_ignore_ascii_case(name)
        }))
    }

    /// The column that the user named; its values say whether their logarithm is meant where the name does not.
    fn as_named(&self, target: Target, at: usize, named: &BTreeMap<Target, String>) -> Choice {
        let raw = match (self.numbers)(at) {
            Ok(raw) => raw,
            Err(text) => return Choice::Refused(self.is_text(target, at, &text)),
        };
        let mut namings = target.namings().iter();
        let known = namings.find(|naming| {
            let mut names = naming.names.iter();
            names.any(|name| name.eq_ignore_ascii_case(self.names[at]))
        });
        let form = match known.map_or(Form::Itself, |naming| naming.form) {
            Form::PerMass => return self.per_mass(at, &raw, named),
            Form::Itself | Form::Either if logarithm_is_meant(target, &raw) => Form::Logarithm,
            Form::Logarithm => Form::Logarithm,
            Form::Itself | Form::Either => Form::Itself,
        };
        Choice::Chosen(self.chosen(target, at, form, &raw))
    }

    fn chosen(&self, target: Target, at: usize, form: Form, raw: &[f64]) -> Chosen {
        let name = self.names[at];
        match form {
            Form::Logarithm => {
                let recorded = raw.iter().map(|value| value.log10()).collect();
                Chosen::new(target, name, Some("its log10".to_owned()), raw, recorded)
            }
            _ => Chosen::new(target, name, None, raw, raw.to_vec()),
        }
    }

    /// A column that has one of the target's names.
    fn judge(
        &self,
        target: Target,
        at: usize,
        form: Form,
        named: &BTreeMap<Target, String>,
    ) -> Choice {
        let raw = match (self.numbers)(at) {
            Ok(raw) => raw,
            Err(text) => return Choice::Refused(self.is_text(target, at, &text)),
        };
        let form = match form {
            Form::PerMass => return self.per_mass(at, &raw, named),
            Form::Either if logarithm_is_meant(target, &raw) => Form::Logarithm,
            form => form,
        };
        let chosen = self.chosen(target, at, form, &raw);
        let possible = |value: f64| target.is_possible(value);
        // What is neither blank nor stands for unknown; 0 does where it cannot be.
        let is_meant = |raw: f64, recorded: f64| {
            possible(recorded) || !(raw.is_nan() || raw == 0.0 || is_placeholder(raw))
        };
        let pairs = raw.iter().zip(&chosen.recorded);
        let meant = pairs.filter(|(raw, recorded)| is_meant(**raw, **recorded));
        let mut meant: Vec<f64> = meant.map(|(_, recorded)| *recorded).collect();
        meant.sort_by(f64::total_cmp);
        let Some(&median) = meant.get(meant.len() / 2) else {
            return Choice::Chosen(chosen);
        };
        let is_doubtful = self.names[at].eq_ignore_ascii_case(DOUBTFUL_REDSHIFT);
        let usual = |value: f64| match is_doubtful {
            true => USUAL_REDSHIFTS.contains(&value),
            false => possible(value),
        };
        let count = meant.iter().filter(|value| usual(**value)).count();
        if 2 * count <= meant.len() || !usual(median) {
            return Choice::Refused(self.refusal(target, at, form, &raw));
        }
        match is_doubtful && self.is_a_band(median) {
            true => Choice::Refused(format!(
                "column `{}` stands beside `g` and `r`: a flux or magnitude in the z band, or {}?",
                self.names[at],
                target.described()
            )),
            false => Choice::Chosen(chosen),
        }
    }

    /// log10 of a star-formation rate over the stellar mass.
    fn per_mass(&self, at: usize, raw: &[f64], named: &BTreeMap<Target, String>) -> Choice {
        let target = Target::SpecificStarFormationRate;
        let mass = match choose(Target::StellarMass, self, named) {
            Choice::Chosen(mass) => mass,
            refused => return refused,
        };
        let meant = || {
            raw.iter()
                .filter(|value| !value.is_nan() && !is_placeholder(**value))
        };
        if 2 * meant().filter(|value| **value < 0.0).count() > meant().count() {
            return Choice::Refused(self.refusal(target, at, Form::PerMass, raw));
        }
        let recorded =
            raw.iter().zip(&mass.recorded).map(|(&rate, &mass)| {
                match Target::StellarMass.is_possible(mass)
                    && !(rate >= 99.0 && is_placeholder(rate))
                {
                    true => rate.log10() - mass,
                    false => f64::NAN,
                }
            });
        let mass_in_words = mass
            .conversion
            .map_or_else(String::new, |how| format!("{how} of "));
        let conversion = format!("its log10 less {mass_in_words}`{}`", mass.column);
        let recorded = recorded.collect();
        Choice::Chosen(Chosen::new(
            target,
            self.names[at],
            Some(conversion),
            raw,
            recorded,
        ))
    }

    /// Whether a `z` with this median is the third of fluxes or magnitudes `g`, `r`, `z`. Where `r` is a magnitude, a
    /// number below 8 is none.
    fn is_a_band(&self, median: f64) -> bool {
        let of = |name: &str| {
            let at = self
                .names
                .iter()
                .position(|column| column.eq_ignore_ascii_case(name))?;
            let mut values = (self.numbers)(at).ok()?.into_owned();
            values.retain(|value| value.is_finite() && !is_placeholder(*value));
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        match (of("g"), of("r")) {
            (Some(_), Some(r)) => r < FAINTEST_REDSHIFT || median > r - 4.0,
            _ => false,
        }
    }

    fn is_text(&self, target: Target, at: usize, text: &str) -> String {
        format!(
            "column `{}` holds text such as `{text}`; expected {}",
            self.names[at],
            target.described()
        )
    }

    fn refusal(&self, target: Target, at: usize, form: Form, raw: &[f64]) -> String {
        let mut known: Vec<f64> = raw.iter().copied().filter(|v| v.is_finite()).collect();
        known.retain(|value| !is_placeholder(*value));
        known.sort_by(f64::total_cmp);
        let (least, largest) = (known[0], known[known.len() - 1]);
        let median = known[known.len() / 2];
        let what = match form {
            Form::Logarithm => target.described().trim_start_matches("log10 of "),
            Form::PerMass => "a star-formation rate in solar masses per year (not its logarithm)",
            _ => target.described(),
        };
        let look = match target {
            Target::Redshift if median > FAINTEST_REDSHIFT && largest < 40.0 => {
                " (these look like magnitudes)"
            }
            Target::StellarMass if median > 1e4 => {
                " (these look like masses, not their logarithms)"
            }
            Target::Age if median > 1e6 => " (these look like years)",
            Target::Age if median > 20.0 => " (these look like Myr)",
            _ => "",
        };
        format!(
            "column `{}` has values from {} to {}, median {}; expected {what}{look}",
            self.names[at],
            shortest(least),
            shortest(largest),
            shortest(median)
        )
    }
}

/// Whether values are the target's only by their logarithm.
fn logarithm_is_meant(target: Target, raw: &[f64]) -> bool {
    let is_log = matches!(
        target,
        Target::StellarMass | Target::Metallicity | Target::SpecificStarFormationRate
    );
    let count =
        |possible: &dyn Fn(f64) -> bool| raw.iter().filter(|value| possible(**value)).count();
    is_log && count(&|v| target.is_possible(v.log10())) > count(&|v| target.is_possible(v))
}

/// The digits of a number as its file has them: those of 32 bits where it has no more.
pub fn shortest(value: f64) -> String {
    match f64::from(value as f32) == value {
        true => (value as f32).to_string(),
        false => value.to_string(),
    }
}

/// The counts of what stands for unknown most often; all others are counted as one.
fn the_commonest(counts: BTreeMap<String, usize>) -> BTreeMap<String, usize> {
    const MOST: usize = 6;
    if counts.len() <= MOST {
        return counts;
    }
    let mut sorted: Vec<(String, usize)> = counts.into_iter().collect();
    sorted.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    // What comes once says nothing by itself.
    let kept = sorted.iter().take_while(|(_, count)| *count > 1).count();
    let others: usize = sorted.drain(kept.min(MOST)..).map(|(_, count)| count).sum();
    let others = (others > 0).then(|| ("other impossible values".to_owned(), others));
    sorted.into_iter().chain(others).collect()
}
