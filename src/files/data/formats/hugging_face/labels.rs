//! Identifiers and redshifts of a Parquet file.

use super::column::Value;
use super::schema::{Kind, Leaf};
use super::shard::Shard;
use crate::base::error::{Error, Result};
use crate::files::data::options::Keys;
use crate::files::data::source::known_redshift;
use crate::survey::{ObjectId, REDSHIFT_NAMES};

/// Names of the identifier, the best first.
const ID_NAMES: [&str; 3] = ["targetid", "TARGETID", "object_id"];

/// Floating point holds integers without a gap up to this.
const EXACT: f64 = (1_u64 << 53) as f64;

/// Finds a plain column: the one that an option names, or the first of `names`. In tables joined from several sets each
/// name ends in that of its set, as does the column of spectra or images, whose endings are `suffixes`.
fn find<'a>(
    shard: &'a Shard,
    option: (&str, Option<&String>),
    names: &[&str],
    suffixes: &[&str],
    kinds: &[Kind],
) -> Result<Option<&'a Leaf>> {
    if let (flag, Some(name)) = option {
        let leaf = shard.named(flag, name)?;
        return match kinds.contains(&leaf.kind()) && leaf.lists() == 0 {
            true => Ok(Some(leaf)),
            false => Err(shard.error(format!(
                "column `{name}`, which {flag} names, has no single value for each galaxy"
            ))),
        };
    }
    let mut all = suffixes.iter().chain([&""]);
    Ok(all.find_map(|suffix| {
        let mut leaves = names.iter().filter_map(|name| {
            let leaf = shard.schema.leaf(&[&format!("{name}{suffix}")])?;
            (kinds.contains(&leaf.kind()) && leaf.lists() == 0).then_some(leaf)
        });
        leaves.next()
    }))
}

/// The identifiers of all rows; `None` for a row without one.
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
    let option = ("--id-key", keys.id.as_ref());
    let Some(leaf) = find(shard, option, &ID_NAMES, suffixes, &kinds)? else {
        return Ok(vec![None; shard.groups.rows()]);
    };
    let mut ids = Vec::with_capacity(shard.groups.rows());
    let mut odd = None;
    shard.scan(leaf, |_, value| {
        let id = value.map_or(Ok(None), identifier);
        if let Err(value) = id {
            odd.get_or_insert((ids.len(), value));
        }
        ids.push(id.unwrap_or(None));
    })?;
    match odd {
        None => Ok(ids),
        Some((row, value)) => Err(shard.error(format!(
            "column `{}` row {row} is {value}, which is no identifier: floating point holds integers up to 2^53 only; \
             save them as integers or as text",
            leaf.name()
        ))),
    }
}

/// The identifier that a value is; the number that is none.
fn identifier(value: Value<'_>) -> Result<Option<ObjectId>, f64> {
    match value {
        Value::Integer(number) => Ok(ObjectId::from(number).known()),
        Value::Unsigned(number) => Ok(Some(number.into())),
        Value::Real(number) if number.is_nan() => Ok(None),
        Value::Real(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
            Ok(ObjectId::from(number as i64).known())
        }
        Value::Real(number) => Err(number),
        Value::Text(text) => {
            let id = ObjectId::of_text(&String::from_utf8_lossy(text));
            Ok(id.and_then(ObjectId::known))
        }
    }
}

/// The redshifts of all rows, NaN where unknown.
///
/// # Errors
/// Where they cannot be read.
pub(super) fn redshifts(shard: &Shard, keys: &Keys, suffixes: &[&str]) -> Result<Vec<f32>> {
    let option = ("--redshift-key", keys.redshift.as_ref());
    let kinds = [Kind::Real, Kind::Integer];
    let capitals = REDSHIFT_NAMES.map(str::to_ascii_uppercase);
    let names: Vec<&str> = (REDSHIFT_NAMES.iter().zip(&capitals))
        .flat_map(|(name, capital)| [*name, capital.as_str()])
        .collect();
    let leaf = find(shard, option, &names, suffixes, &kinds)?;
    let Some(leaf) = leaf else {
        return Ok(vec![f32::NAN; shard.groups.rows()]);
    };
    let mut redshifts = Vec::with_capacity(shard.groups.rows());
    shard.scan(leaf, |_, value| {
        redshifts.push(known_redshift(match value {
            Some(Value::Real(value)) => value,
            Some(Value::Integer(value)) => value as f64,
            _ => f64::NAN,
        }));
    })?;
    Ok(redshifts)
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
