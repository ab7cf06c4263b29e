//! Columns that say which values of other columns are unknown.

use std::collections::HashMap;

use super::table::{Column, IntegerBuilder, Values};

/// What astropy adds to the name of a column for that of its mask.
const MASK: &str = ".mask";

/// Columns without their masks, as astropy writes both: a value that is masked is unknown.
pub(super) fn masked(columns: Vec<Column>) -> Vec<Column> {
    let base = |name: &str| -> Option<String> {
        let (base, element) = name.rsplit_once(MASK)?;
        let is_element = element
            .strip_prefix('_')
            .is_some_and(|index| index.parse::<usize>().is_ok());
        (element.is_empty() || is_element).then(|| format!("{base}{element}"))
    };
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let mut masks: HashMap<String, Vec<bool>> = HashMap::new();
    for column in &columns {
        if let Some(base) = base(&column.name).filter(|base| names.contains(&base.as_str()))
            && let Some(mask) = marks(&column.values)
        {
            masks.insert(base, mask);
        }
    }
    let is_mask =
        |column: &Column| base(&column.name).is_some_and(|base| masks.contains_key(&base));
    let kept: Vec<Column> = columns
        .into_iter()
        .filter(|column| !is_mask(column))
        .collect();
    let with_mask = |column: Column| match masks.get(&column.name) {
        None => column,
        Some(mask) => Column {
            values: unknown_where(column.values, mask),
            name: column.name,
        },
    };
    kept.into_iter().map(with_mask).collect()
}

/// What a column marks: 1, or `True` in text; `None` where it marks nothing.
fn marks(values: &Values) -> Option<Vec<bool>> {
    match values {
        Values::Integers(values) => Some(values.iter().map(|&value| value != 0).collect()),
        Values::Texts(texts) => {
            let is = |text: &str, word| text.eq_ignore_ascii_case(word);
            let are_marks = texts
                .iter()
                .all(|text| is(text, "true") || is(text, "false"));
            are_marks.then(|| texts.iter().map(|text| is(text, "true")).collect())
        }
        _ => None,
    }
}

/// Values of which those are unknown that `mask` marks.
pub(super) fn unknown_where(values: Values, mask: &[bool]) -> Values {
    fn known<T: Into<i128>>(values: Vec<T>, mask: &[bool]) -> Values {
        let mut builder = IntegerBuilder::default();
        for (value, &masked) in values.into_iter().zip(mask) {
            builder.push((!masked).then_some(value));
        }
        builder.finish()
    }
    match values {
        Values::Integers(values) => known(values, mask),
        Values::Unsigned(values) => known(values, mask),
        Values::Floats(mut values) => {
            for (value, &masked) in values.iter_mut().zip(mask) {
                *value = if masked { f64::NAN } else { *value };
            }
            Values::Floats(values)
        }
        Values::Texts(mut values) => {
            let masked = values.iter_mut().zip(mask).filter(|(_, masked)| **masked);
            masked.for_each(|(value, _)| value.clear());
            Values::Texts(values)
        }
    }
}
