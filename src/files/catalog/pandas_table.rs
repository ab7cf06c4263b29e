//! Tables that pandas saved by `to_hdf`: columns of one type share an array, and their names lie beside it.

use std::collections::HashMap;
use std::path::Path;

use hdf5::{Dataset, Group};

use super::hdf5_table::{read_dataset, read_fields, unknown_where};
use super::table::{Column, Values};
use crate::base::error::{Error, Result};
use crate::files::container::hdf5_file::{self, attribute, member_names};
use crate::files::container::pickle::Pickle;

/// Groups within groups that are looked through.
const DEEPEST: usize = 8;

/// What is said of a frame that cannot be read as it is.
const ADVICE: &str = "save it by to_parquet instead";

/// A saved frame.
struct Frame<'a> {
    path: &'a Path,
    /// Its key, as pandas calls it.
    key: String,
    group: Group,
    /// Whether its rows are appended to one table, or columns of each type lie in an array.
    is_table: bool,
}

/// Reads the frame of a file that has this key, else the largest; `None` where pandas saved none.
pub(super) fn read(path: &Path, root: &Group, key: Option<&str>) -> Result<Option<Vec<Column>>> {
    let mut frames = Vec::new();
    let mut others = Vec::new();
    collect(path, root, 0, &mut frames, &mut others)?;
    if let Some(key) = key {
        let key = key.trim_matches('/');
        frames.retain(|frame| frame.key.trim_matches('/') == key);
        others.retain(|(other, _)| other.trim_matches('/') == key);
    }
    let keys: Vec<String> = frames
        .iter()
        .map(|frame| format!("`{}`", frame.key))
        .collect();
    let mut largest: Option<(usize, Frame<'_>)> = None;
    for frame in frames {
        let rows = frame.index()?.shape()[0];
        if largest.as_ref().is_none_or(|(most, _)| rows > *most) {
            largest = Some((rows, frame));
        }
    }
    let Some((rows, frame)) = largest else {
        return match others.first() {
            None => Ok(None),
            Some((key, kind)) => Err(Error::input(format!(
                "`{key}` is a pandas object of kind `{kind}`; expected a frame (a DataFrame): {ADVICE}"
            ))
            .in_file(path)),
        };
    };
    if keys.len() > 1 {
        tracing::info!(
            "{}: holds the pandas frames {}; taking `{}`, which has the most rows ({rows})",
            path.display(),
            keys.join(", "),
            frame.key
        );
    }
    let columns = match frame.is_table {
        true => frame.read_table()?,
        false => frame.read_blocks()?,
    };
    match columns.is_empty() {
        true => Err(frame.error("has no column of numbers or text")),
        false => Ok(Some(columns)),
    }
}

/// Frames in and below a group, and the keys and kinds of other objects of pandas.
fn collect<'a>(
    path: &'a Path,
    parent: &Group,
    depth: usize,
    frames: &mut Vec<Frame<'a>>,
    others: &mut Vec<(String, String)>,
) -> Result<()> {
    // A group of pandas or PyTables has its class as an attribute; others are not searched.
    let is_pytables = depth == 0 || attribute(parent, "CLASS").is_some();
    if depth > DEEPEST || !is_pytables {
        return Ok(());
    }
    for name in member_names(parent) {
        let Ok(group) = parent.group(&name) else {
            continue;
        };
        let key = hdf5_file::full_name(parent, &name);
        match text(&group, "pandas_type").as_deref() {
            Some(kind @ ("frame" | "frame_table")) => frames.push(Frame {
                path,
                key,
                is_table: kind == "frame_table",
                group,
            }),
            Some(kind) => others.push((key, kind.to_owned())),
            None => collect(path, &group, depth + 1, frames, others)?,
        }
    }
    Ok(())
}

/// An attribute of text, `None` also where it holds Python's None.
fn text(object: &hdf5::Location, name: &str) -> Option<String> {
    let bytes = attribute(object, name)?;
    let text = String::from_utf8(bytes).ok()?;
    (text != "N.").then_some(text)
}

impl Frame<'_> {
    fn error(&self, what: impl std::fmt::Display) -> Error {
        Error::input(format!("pandas frame `{}` {what}; {ADVICE}", self.key)).in_file(self.path)
    }

    fn dataset(&self, name: &str) -> Result<Dataset> {
        hdf5_file::find(self.path, &self.group, name)?
            .ok_or_else(|| self.error(format!("lacks `{name}`")))
    }

    fn full_name(&self, name: &str) -> String {
        format!("{}/{name}", self.key)
    }

    /// What has a row for each of the frame's.
    fn index(&self) -> Result<Dataset> {
        let dataset = match self.is_table {
            true => self.dataset("table")?,
            false if hdf5_file::has_dataset(&self.group, "axis1") => self.dataset("axis1")?,
            false => return Err(self.error("has an index of several levels, which is not read")),
        };
        match dataset.ndim() {
            0 => Err(self.error("has no rows")),
            _ => Ok(dataset),
        }
    }

    fn pass_over(&self, names: &[String], what: &str) {
        tracing::warn!(
            "{}: pandas frame `{}`: {} passed over: {what}",
            self.path.display(),
            self.key,
            names.join(", ")
        );
    }

    /// One compound dataset, whose attributes name the columns of each field.
    fn read_table(&self) -> Result<Vec<Column>> {
        let dataset = self.index()?;
        let mut columns = Vec::new();
        let mut fields = read_fields(self.path, &dataset, &self.full_name("table"), usize::MAX)?;
        for field in hdf5_file::fields(&dataset) {
            let Some(values) = fields.remove(&field.name) else {
                continue;
            };
            let of = |what: &str| format!("{}_{what}", field.name);
            if field.name == "index" {
                let name = self.index_name();
                columns.extend(
                    name.into_iter()
                        .zip(values)
                        .map(|(name, values)| Column { name, values }),
                );
                continue;
            }
            let names = attribute(&dataset, &of("kind")).and_then(|kind| texts_of_pickle(&kind));
            let names = names
                .filter(|names| names.len() == values.len())
                .ok_or_else(|| {
                    self.error(format!(
                        "does not tell the names of the columns in `{}`",
                        field.name
                    ))
                })?;
            let ty = text(&dataset, &of("dtype")).unwrap_or_default();
            let is_time = ty.starts_with("datetime") || ty.starts_with("timedelta");
            if is_time {
                self.pass_over(&names, "times are not read");
                continue;
            }
            let categories = match text(&dataset, &of("meta")).as_deref() {
                Some("category") => Some(self.categories(&field.name)?),
                _ => None,
            };
            let unknown = text(&dataset, &of("nan_rep"));
            columns.extend(names.into_iter().zip(values).map(|(name, values)| Column {
                name,
                values: match &categories {
                    Some(categories) => categorical(&values, categories),
                    None => known(values, unknown.as_deref()),
                },
            }));
        }
        Ok(self.in_order(columns))
    }

    /// Name of the index, where it has one: such as the identifier.
    fn index_name(&self) -> Option<String> {
        let info = Pickle::parse(&attribute(&self.group, "info")?).ok()?;
        let index = info.get(info.root(), "index")?;
        Some(info.text(info.get(index, "index_name")?)?.to_owned())
    }

    /// What the codes of a categorical field stand for.
    fn categories(&self, field: &str) -> Result<Values> {
        let place = format!("meta/{field}/meta/table");
        let dataset = self.dataset(&place)?;
        let mut fields = read_fields(self.path, &dataset, &self.full_name(&place), 1)?;
        fields
            .remove("values")
            .and_then(|mut values| values.pop())
            .ok_or_else(|| self.error(format!("does not tell the categories of `{field}`")))
    }

    /// Arrays of the columns of one type, and their names.
    fn read_blocks(&self) -> Result<Vec<Column>> {
        let index = self.index()?;
        let rows = index.shape()[0];
        let mut columns = Vec::new();
        if let Some(name) = text(&index, "name") {
            columns.extend(read_dataset(self.path, &index, &name, 1)?);
        }
        for block in 0.. {
            let (items, values) = (
                format!("block{block}_items"),
                format!("block{block}_values"),
            );
            if !hdf5_file::has_dataset(&self.group, &values) {
                break;
            }
            let names = self.names(&items)?;
            let dataset = self.dataset(&values)?;
            let ty = text(&dataset, "value_type").unwrap_or_default();
            if ty.starts_with("datetime") || ty.starts_with("timedelta") {
                self.pass_over(&names, "times are not read");
                continue;
            }
            if dataset.shape() != [rows, names.len()] {
                match hdf5_file::fields(&dataset).first() {
                    Some(field) if field.ty.is_ok() => {
                        return Err(self.error(format!(
                            "has {} columns and {rows} rows, but `{values}` has shape {:?}",
                            names.len(),
                            dataset.shape()
                        )));
                    }
                    _ => self.pass_over(&names, "text and other objects of Python are pickled there; save the frame by to_parquet"),
                }
                continue;
            }
            let read = read_dataset(self.path, &dataset, &self.full_name(&values), usize::MAX)?;
            columns.extend(names.into_iter().zip(read).map(|(name, column)| Column {
                name,
                values: column.values,
            }));
        }
        Ok(self.in_order(columns))
    }

    /// The texts of a dataset of names.
    fn names(&self, items: &str) -> Result<Vec<String>> {
        let dataset = self.dataset(items)?;
        let unreadable = || {
            self.error(format!(
                "does not tell the names of its columns in `{items}`"
            ))
        };
        let mut read = read_dataset(self.path, &dataset, &self.full_name(items), 1)?;
        Ok(match read.pop().ok_or_else(unreadable)?.values {
            Values::Texts(names) => names,
            Values::Integers(names) => names.iter().map(i64::to_string).collect(),
            Values::Unsigned(_) | Values::Floats(_) => return Err(unreadable()),
        })
    }

    /// Columns in the order of the frame, where it tells it; the index first.
    fn in_order(&self, mut columns: Vec<Column>) -> Vec<Column> {
        let order = match self.is_table {
            true => attribute(&self.group, "non_index_axes").and_then(|axes| {
                let axes = Pickle::parse(&axes).ok()?;
                let axis = *axes.elements(axes.root()).first()?;
                texts(&axes, *axes.elements(axis).get(1)?)
            }),
            false => self.names("axis0").ok(),
        };
        let order: HashMap<String, usize> = order
            .unwrap_or_default()
            .into_iter()
            .enumerate()
            .map(|(place, name)| (name, place + 1))
            .collect();
        columns.sort_by_key(|column| order.get(&column.name).copied().unwrap_or(0));
        columns
    }
}

/// A pickled list of texts.
fn texts_of_pickle(bytes: &[u8]) -> Option<Vec<String>> {
    let list = Pickle::parse(bytes).ok()?;
    texts(&list, list.root())
}

fn texts(pickle: &Pickle, list: crate::files::container::pickle::Id) -> Option<Vec<String>> {
    let elements = pickle.elements(list).iter();
    elements
        .map(|&id| pickle.text(id).map(str::to_owned))
        .collect()
}

/// Values of which a text stands for an unknown one.
fn known(values: Values, unknown: Option<&str>) -> Values {
    match (values, unknown) {
        (Values::Texts(texts), Some(unknown)) => {
            let mask: Vec<bool> = texts.iter().map(|text| text == unknown).collect();
            unknown_where(Values::Texts(texts), &mask)
        }
        (values, _) => values,
    }
}

/// The categories that codes stand for; others, such as −1, are unknown.
fn categorical(codes: &Values, categories: &Values) -> Values {
    let count = categories.len();
    let codes: Vec<Option<usize>> = match codes {
        Values::Integers(codes) => {
            let code = |&code: &i64| usize::try_from(code).ok().filter(|&code| code < count);
            codes.iter().map(code).collect()
        }
        values => vec![None; values.len()],
    };
    let unknown: Vec<bool> = codes.iter().map(Option::is_none).collect();
    match count {
        0 => Values::Texts(vec![String::new(); codes.len()]),
        _ => unknown_where(
            categories.take(codes.into_iter().map(|code| code.unwrap_or(0))),
            &unknown,
        ),
    }
}
