//! Settings that are out of range, refused in one grammar: "`key` is VALUE; expected RANGE".

use std::fmt::{Debug, Display};
use std::ops::{Bound, RangeBounds};

use super::{Error, Result};

/// Above 0, without end.
pub const ABOVE_0: (Bound<f64>, Bound<f64>) = (Bound::Excluded(0.0), Bound::Unbounded);
/// Above 0, 1 included.
pub const ABOVE_0_TO_1: (Bound<f64>, Bound<f64>) = (Bound::Excluded(0.0), Bound::Included(1.0));
/// Above 0 and below 1.
pub const BETWEEN_0_AND_1: (Bound<f64>, Bound<f64>) = (Bound::Excluded(0.0), Bound::Excluded(1.0));

/// Checks the settings of one component.
#[derive(Debug, Clone, Copy)]
pub struct Check<'a> {
    path: &'a str,
}

impl<'a> Check<'a> {
    /// Of the component at `path` of a run file, such as `optimizer`; the file itself where it is empty.
    pub fn at(path: &'a str) -> Self {
        Self { path }
    }

    /// # Errors
    /// Names the key, its value and what is expected, unless it `holds`.
    pub fn require(
        &self,
        holds: bool,
        field: &str,
        value: impl Display,
        expected: impl Display,
    ) -> Result<()> {
        if holds {
            return Ok(());
        }
        let dot = if self.path.is_empty() { "" } else { "." };
        let key = format!("{}{dot}{field}", self.path);
        Err(Error::input(format!(
            "`{key}` is {}; expected {expected}",
            short(value)
        )))
    }

    /// A whole number in `range`.
    ///
    /// # Errors
    /// As [`require`](Self::require).
    pub fn count<T>(&self, field: &str, value: T, range: impl RangeBounds<T>) -> Result<()>
    where
        T: PartialOrd + Display,
    {
        let expected = format!("a whole number{}", words(&range));
        self.require(range.contains(&value), field, value, expected)
    }

    /// A number in `range`, neither NaN nor infinite, and neither of these nor at a bound that is not in the range
    /// after rounding to f32, in which models compute.
    ///
    /// # Errors
    /// As [`require`](Self::require).
    pub fn number<T>(&self, field: &str, value: T, range: impl RangeBounds<f64>) -> Result<()>
    where
        T: Into<f64> + Display + Copy,
    {
        let expected = format!(
            "a finite number{}{}",
            words(&range),
            rounded(&[value], &range)
        );
        self.require(lies_in(value, &range), field, value, expected)
    }

    /// Numbers in `range`, each as [`number`](Self::number) has it.
    ///
    /// # Errors
    /// As [`require`](Self::require).
    pub fn numbers<T>(&self, field: &str, values: &[T], range: impl RangeBounds<f64>) -> Result<()>
    where
        T: Into<f64> + Debug + Copy,
    {
        let holds = values.iter().all(|&value| lies_in(value, &range));
        let expected = format!("finite numbers{}{}", words(&range), rounded(values, &range));
        self.require(holds, field, format!("{values:?}"), expected)
    }
}

fn lies_in(value: impl Into<f64>, range: &impl RangeBounds<f64>) -> bool {
    let value = value.into();
    let rounded = value as f32;
    let is_excluded =
        |bound: Bound<&f64>| matches!(bound, Bound::Excluded(&limit) if rounded == limit as f32);
    value.is_finite()
        && range.contains(&value)
        && rounded.is_finite()
        && !is_excluded(range.start_bound())
        && !is_excluded(range.end_bound())
}

/// What is expected beside a range where all values lie in it as they are given.
fn rounded<T: Into<f64> + Copy>(values: &[T], range: &impl RangeBounds<f64>) -> &'static str {
    let lies = |&value: &T| value.into().is_finite() && range.contains(&value.into());
    match values.iter().all(lies) {
        true => ", in single precision too",
        false => "",
    }
}

/// A number with as many digits as people read.
fn short(number: impl Display) -> String {
    const MOST: usize = 24;
    let text = number.to_string();
    match text.parse::<f64>() {
        Ok(number) if text.len() > MOST => format!("{number:e}"),
        _ => text,
    }
}

/// What a range says after "a number".
fn words<T: Display>(range: &impl RangeBounds<T>) -> String {
    let from = match range.start_bound() {
        Bound::Included(least) => format!(", at least {}", short(least)),
        Bound::Excluded(limit) => format!(", above {}", short(limit)),
        Bound::Unbounded => String::new(),
    };
    let joint = if from.is_empty() { "," } else { " and" };
    let to = match range.end_bound() {
        Bound::Included(most) => format!("{joint} at most {}", short(most)),
        Bound::Excluded(limit) => format!("{joint} below {}", short(limit)),
        Bound::Unbounded => String::new(),
    };
    from + &to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_key_value_and_range() {
        let check = Check::at("optimizer");
        let refused = |result: Result<()>| result.expect_err("out of range").to_string();
        assert_eq!(
            refused(check.number("layer_decay", -1.0, ABOVE_0_TO_1)),
            "`optimizer.layer_decay` is -1; expected a finite number, above 0 and at most 1"
        );
        assert_eq!(
            refused(Check::at("").count("galaxies", 7, 100..)),
            "`galaxies` is 7; expected a whole number, at least 100"
        );
        assert_eq!(
            refused(check.numbers("scales", &[1.0, f32::NAN], ..)),
            "`optimizer.scales` is [1.0, NaN]; expected finite numbers"
        );
        for value in [f64::NAN, f64::INFINITY] {
            assert!(check.number("lr", value, 0.0..).is_err());
        }
        let text = refused(check.number("epsilon", 1e-308, ABOVE_0));
        assert!(
            text.ends_with("expected a finite number, above 0, in single precision too"),
            "{text}"
        );
        for value in [1e308, -1e308, 1.0 - 1e-12] {
            assert!(check.number("drop_path", value, ..1.0).is_err(), "{value}");
        }
        check
            .number("min_lr", 0.002, 0.0..=0.002)
            .expect("the bound is in");
        check.number("momentum", 1.0, 0.0..=1.0).expect("1 is in");
        assert!(check.number("momentum", 1.0, 0.0..1.0).is_err());
    }
}
