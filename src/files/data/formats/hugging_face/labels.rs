//! Identifiers and redshifts of a Parquet file.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use parquet::basic::Type;

use super::schema::{Kind, Leaf};
use super::shard::Shard;
use crate::base::error::{Error, Result};
use crate::files::catalog::{Column, Values, position_columns};
use crate::files::container::decoded;
use crate::files::container::parquet_file::Value;
use crate::files::data::options::Keys;
use crate::files::data::source::known_redshift;
use crate::survey::{Choice, Columns, EXACT_32, EXACT_64, ObjectId, Target, choose};

/// Names of the identifier, the best first.
const ID_NAMES: [&str; 3] = ["targetid", "TARGETID", "object_id"];

/// What tells a redshift.
const NUMBERS: [Kind; 3] = [Kind::Real, Kind::Integer, Kind::Byte];

/// The plain column that an option names.
///
/// # Errors
/// Where there is none, or it is of lists or of other values than `kinds`.
fn named<'a>(shard: &'a Shard, flag: &str, name: &str, kinds: &[Kind]) -> Result<&'a Leaf> {
    let leaf = shard.named(flag, name)?;
    match kinds.contains(&leaf.kind()) && leaf.lists() == 0 {
        true => Ok(leaf),
        false => Err(shard.error(format!(
            "column `{name}`, which {flag} names, has no single value for each galaxy"
        ))),
    }
}

/// The identifiers of all rows; `None` for a row without one. In tables joined from several sets each name ends in that
/// of its set, as does the column of spectra or images, whose endings are `suffixes`.
///
/// # Errors
/// Where they cannot be read, or are no identifiers.
pub(super) fn object_ids(
    shard: &Shard,
    keys: &Keys,
    suffixes: &[&str],
) -> Result<Vec<Option<ObjectId>>> {
    let kinds = [
        Kind::Integer,
        Kind::Byte,
        Kind::Text,
        Kind::Bytes,
        Kind::Real,
    ];
    let leaf = match &keys.id {
        Some(name) => Some(named(shard, "--id-key", name, &kinds)?),
        None => {
            let suffixes = suffixes.iter().chain([&""]);
            let mut names =
                suffixes.flat_map(|suffix| ID_NAMES.map(|name| format!("{name}{suffix}")));
            names.find_map(|name| {
                let leaf = shard.schema.leaf(&[&name])?;
                (kinds.contains(&leaf.kind()) && leaf.lists() == 0).then_some(leaf)
            })
        }
    };
    let Some(leaf) = leaf else {
        return Ok(vec![None; shard.groups.rows()]);
    };
    let exact = match leaf.descriptor.physical_type() {
        Type::DOUBLE => EXACT_64,
        _ => EXACT_32,
    };
    let mut ids = Vec::with_capacity(shard.groups.rows());
    let mut odd = None;
    shard.scan(leaf, |_, value| {
        let id = value.map_or(Ok(None), |value| identifier(value, exact));
        if let Err(value) = id {
            odd.get_or_insert((ids.len(), value));
        }
        ids.push(id.unwrap_or(None).and_then(ObjectId::known));
    })?;
    match odd {
        None => Ok(ids),
        Some((row, value)) => Err(shard.error(format!(
            "column `{}` row {row} is {value}, which is no identifier: floating point of this width holds integers up \
             to 2^{} only; save them as integers or as text",
            leaf.name(),
            exact.ilog2()
        ))),
    }
}

/// The identifier that a value is; the number that is none.
fn identifier(value: Value<'_>, exact: u64) -> Result<Option<ObjectId>, f64> {
    match value {
        Value::Integer(number) => Ok(Some(number.into())),
        Value::Unsigned(number) => Ok(Some(number.into())),
        Value::Real(number) => ObjectId::of_float(number, exact),
        Value::Text(text) => Ok(ObjectId::of_text(&decoded(text))),
    }
}

/// The redshifts of all rows, NaN where unknown: of the column that the option names, or that its name and values tell.
///
/// # Errors
/// Where they cannot be read.
pub(super) fn redshifts(shard: &Shard, keys: &Keys, suffixes: &[&str]) -> Result<Vec<f32>> {
    let recorded = match &keys.redshift {
        Some(name) => {
            let leaf = named(shard, "--redshift-key", name, &NUMBERS)?;
            Some(numbers(shard, leaf)?)
        }
        None => chosen_redshifts(shard, suffixes)?,
    };
    let recorded = recorded.unwrap_or_else(|| vec![f64::NAN; shard.groups.rows()]);
    Ok(recorded.into_iter().map(known_redshift).collect())
}

/// The numbers of a plain column, NaN where missing.
pub(super) fn numbers(shard: &Shard, leaf: &Leaf) -> Result<Vec<f64>> {
    let mut numbers = Vec::with_capacity(shard.groups.rows());
    shard.scan(leaf, |_, value| {
        numbers.push(match value {
            Some(Value::Real(value)) => value,
            Some(Value::Integer(value)) => value as f64,
            Some(Value::Unsigned(value)) => value as f64,
            Some(Value::Text(_)) | None => f64::NAN,
        });
    })?;
    Ok(numbers)
}

/// The columns of right ascension and declination of the first set that has them: of those with one of `suffixes` in
/// their names, or of all columns.
pub(super) fn position_leaves(shard: &Shard, suffixes: &[&str]) -> Option<[Leaf; 2]> {
    suffixes.iter().chain([&""]).find_map(|suffix| {
        let (names, leaves) = plain_numbers(shard, suffix);
        let found = position_columns(&names)?;
        Some(found.map(|at| leaves[at].clone()))
    })
}

/// The columns of one number for each galaxy whose names end in `suffix`: the rest of the names, and the columns.
fn plain_numbers<'a>(shard: &'a Shard, suffix: &str) -> (Vec<&'a str>, Vec<&'a Leaf>) {
    let leaves = shard.schema.leaves().iter().filter_map(|leaf| {
        let is_plain = leaf.members.len() == 1 && leaf.lists() == 0;
        let name = leaf.members[0].strip_suffix(suffix)?;
        (is_plain && NUMBERS.contains(&leaf.kind())).then_some((name, leaf))
    });
    leaves.unzip()
}

/// All columns of one number for each galaxy, NaN where there is none.
///
/// # Errors
/// Where they cannot be read.
pub(super) fn columns(shard: &Shard) -> Result<Vec<Column>> {
    let (names, leaves) = plain_numbers(shard, "");
    let column = |(name, leaf): (&str, &Leaf)| {
        Ok(Column {
            name: name.to_owned(),
            values: Values::Floats(numbers(shard, leaf)?),
        })
    };
    names.into_iter().zip(leaves).map(column).collect()
}

/// The redshifts of the first set that has them: of those with one of `suffixes` in their names, or of all columns.
///
/// # Errors
/// Where they cannot be read.
fn chosen_redshifts(shard: &Shard, suffixes: &[&str]) -> Result<Option<Vec<f64>>> {
    let mut refused = None;
    for suffix in suffixes.iter().chain([&""]) {
        let (names, leaves) = plain_numbers(shard, suffix);
        let failed = RefCell::new(Ok(()));
        let read = |at: usize| match numbers(shard, leaves[at]) {
            Ok(numbers) => Ok(Cow::Owned(numbers)),
            Err(error) => {
                *failed.borrow_mut() = Err(error);
                Err("what cannot be read".to_owned())
            }
        };
        let columns = Columns {
            names,
            numbers: &read,
        };
        let choice = choose(Target::Redshift, &columns, &BTreeMap::new());
        failed.into_inner()?;
        match choice {
            Choice::Chosen(chosen) => return Ok(Some(chosen.recorded)),
            Choice::Refused(why) => refused = refused.or(Some(why)),
            Choice::Absent => {}
        }
    }
    if let Some(why) = refused {
        tracing::warn!(
            "{}: redshifts are taken for unknown: {why}; --redshift-key NAME says which column they are",
            shard.path.display()
        );
    }
    Ok(None)
}

/// The column that an option names, or the one called `name`, or the only one whose name begins so and that holds
/// a struct with `flux`, with the rest of its name.
///
/// # Errors
/// Where there is no such column, or there are several.
pub(super) fn data_column<'a>(
    shard: &'a Shard,
    name: &str,
    (flag, key): (&str, Option<&String>),
) -> Result<Option<&'a str>, Error> {
    let columns = shard.schema.columns();
    let wanted = key.map_or(name, String::as_str);
    if let Some(&column) = columns.iter().find(|&&column| column == wanted) {
        return Ok(Some(column));
    }
    if key.is_some() {
        return Err(shard.error(format!(
            "no column `{wanted}`, which {flag} names; it holds {}",
            shard.schema.listed()
        )));
    }
    let joined: Vec<&str> = columns
        .into_iter()
        .filter(|column| {
            let rest = column.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['-', '_']))
                && shard.schema.leaf(&[column, "flux"]).is_some()
        })
        .collect();
    match joined[..] {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => Err(shard.error(format!(
            "several columns of {name}s: {}; name the one that is meant: {flag} {}",
            joined.join(", "),
            joined[0]
        ))),
    }
}
