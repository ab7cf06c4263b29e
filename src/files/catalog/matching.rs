//! Pairs of rows of two tables, one to one, by identifier or by position.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use kiddo::{ImmutableKdTree, SquaredEuclidean};
use rayon::prelude::*;
use serde::Serialize;

use super::sky::{Position, from_chord_squared, to_chord_squared};
use super::table::{Column, Table, Values};
use crate::base::error::{Error, Result};
use crate::survey::ObjectId;

/// Name of the column with the distance of a pair matched by position.
const SEPARATION: &str = "separation_arcsec";
/// Most pairs within the radius: 16 bytes each.
const MOST_PAIRS: usize = 50_000_000;
/// Largest radius, arcsec: a degree.
const LARGEST_RADIUS: f64 = 3600.0;
/// Rows whose neighbours are looked up by one thread at a time.
const CHUNK: usize = 4096;

/// What rows are matched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Key {
    /// Equal identifiers.
    Id,
    /// Nearest positions.
    Sky,
}

/// What rows are matched by, and in which columns it stands; by default in those of the usual names.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchOptions {
    /// Identifier or position.
    pub key: Key,
    /// Largest separation of a match by position, arcsec.
    pub radius: f64,
    /// Identifier column of the left and of the right table.
    pub id_columns: [Option<String>; 2],
    /// Columns of right ascension and declination in degrees, in both tables.
    pub position_columns: Option<(String, String)>,
}

/// A pair of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Row of the left table.
    pub left: usize,
    /// Row of the right table.
    pub right: usize,
    /// Great-circle distance in arcsec; 0 for a match by identifier.
    pub separation: f64,
}

/// What became of the rows of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct JoinCounts {
    /// Rows in the table.
    pub rows: usize,
    /// Rows with a partner.
    pub matched: usize,
    /// Rows whose only partners within reach went to others: nearer by position, earlier by identifier.
    pub duplicates: usize,
    /// Rows without any partner.
    pub unmatched: usize,
    /// Rows without an identifier or position; among the unmatched.
    pub without_key: usize,
}

/// Two tables joined.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// The matched rows, in the order of the left table, with the columns of both.
    pub table: Table,
    /// What became of the left table's rows.
    pub left: JoinCounts,
    /// What became of the right table's rows.
    pub right: JoinCounts,
}

/// The pairs, in the order of left rows, and which rows had a partner within reach.
struct Pairs {
    matches: Vec<Match>,
    left_reach: Vec<bool>,
    right_reach: Vec<bool>,
}

/// Pairs rows with equal identifiers; of several rows with one identifier the first counts. A row whose
/// identifier is `None` has no partner.
fn pair_ids(left: &[Option<ObjectId>], right: &[Option<ObjectId>]) -> Pairs {
    let mut row_of: HashMap<ObjectId, usize> = HashMap::with_capacity(right.len());
    for (row, id) in right.iter().enumerate() {
        if let Some(id) = *id {
            row_of.entry(id).or_insert(row);
        }
    }
    let mut taken = vec![false; right.len()];
    let mut matches = Vec::new();
    let mut left_reach = vec![false; left.len()];
    for (row, id) in left.iter().enumerate() {
        let Some(&partner) = id.as_ref().and_then(|id| row_of.get(id)) else {
            continue;
        };
        left_reach[row] = true;
        if !std::mem::replace(&mut taken[partner], true) {
            matches.push(Match {
                left: row,
                right: partner,
                separation: 0.0,
            });
        }
    }
    let left_ids: HashSet<&ObjectId> = left.iter().flatten().collect();
    let in_left = |id: &Option<ObjectId>| id.as_ref().is_some_and(|id| left_ids.contains(id));
    Pairs {
        matches,
        left_reach,
        right_reach: right.iter().map(in_left).collect(),
    }
}

/// Pairs rows within `radius` arcsec of each other, one to one: of all pairs that are left the nearest is
/// made first, so that no two rows would both rather have each other. At equal distance the earlier left
/// row goes first, then the earlier right row. Rows without a position have no partner.
///
/// # Errors
/// Where the radius is not positive or beyond a degree, and where so many rows lie within it of each other
/// that it cannot be meant: 50 million pairs.
pub fn match_by_position(
    left: &[Option<Position>],
    right: &[Option<Position>],
    radius: f64,
) -> Result<Vec<Match>> {
    pair_positions(left, right, radius).map(|pairs| pairs.matches)
}

fn pair_positions(
    left: &[Option<Position>],
    right: &[Option<Position>],
    radius: f64,
) -> Result<Pairs> {
    if !(radius > 0.0 && radius <= LARGEST_RADIUS) {
        return Err(Error::input(format!(
            "radius {radius}: expected arcseconds above 0 and up to {LARGEST_RADIUS}"
        )));
    }
    let row_number = |row: usize| {
        u32::try_from(row).map_err(|_| Error::input("a table has more than 2^32 rows; split it"))
    };
    row_number(left.len())?;
    let mut rows = Vec::new();
    let mut points = Vec::new();
    for (row, position) in right.iter().enumerate() {
        if let Some(Position(point)) = position {
            rows.push(row_number(row)?);
            points.push(*point);
        }
    }
    let limit = to_chord_squared(radius);
    let candidates = match points.is_empty() {
        true => Vec::new(),
        false => within(left, &points, &rows, limit)?,
    };
    let mut pairs = Pairs {
        matches: Vec::new(),
        left_reach: vec![false; left.len()],
        right_reach: vec![false; right.len()],
    };
    let (mut left_taken, mut right_taken) = (vec![false; left.len()], vec![false; right.len()]);
    for (squared, left, right) in candidates {
        let (left, right) = (left as usize, right as usize);
        pairs.left_reach[left] = true;
        pairs.right_reach[right] = true;
        if !left_taken[left] && !right_taken[right] {
            left_taken[left] = true;
            right_taken[right] = true;
            pairs.matches.push(Match {
                left,
                right,
                separation: from_chord_squared(squared),
            });
        }
    }
    pairs.matches.sort_unstable_by_key(|pair| pair.left);
    Ok(pairs)
}

/// All pairs with a squared chord up to `limit`, by chord, then row: `(chord squared, left, right)`.
fn within(
    left: &[Option<Position>],
    points: &[[f64; 3]],
    rows: &[u32],
    limit: f64,
) -> Result<Vec<(f64, u32, u32)>> {
    let tree: ImmutableKdTree<f64, 3> = ImmutableKdTree::new_from_slice(points)
        .map_err(|source| Error::run(format!("the k-d tree cannot be built: {source}")))?;
    // A little wide, so that the tree's rounding decides nothing.
    let wide = limit * (1.0 + 1e-9);
    let count = AtomicUsize::new(0);
    let chunks: Vec<Vec<(f64, u32, u32)>> = left
        .par_chunks(CHUNK)
        .enumerate()
        .map(|(chunk, positions)| {
            let mut found = Vec::new();
            for (index, position) in positions.iter().enumerate() {
                let Some(Position(point)) = position else {
                    continue;
                };
                if count.load(Ordering::Relaxed) > MOST_PAIRS {
                    break;
                }
                let before = found.len();
                let neighbours = tree
                    .query(point)
                    .within::<SquaredEuclidean<f64>>(wide)
                    .unsorted()
                    .execute();
                for neighbour in neighbours {
                    let item = neighbour.item as usize;
                    let squared: f64 = (0..3)
                        .map(|axis| (point[axis] - points[item][axis]).powi(2))
                        .sum();
                    if squared <= limit {
                        found.push((squared, (chunk * CHUNK + index) as u32, rows[item]));
                    }
                }
                count.fetch_add(found.len() - before, Ordering::Relaxed);
            }
            found
        })
        .collect();
    if count.into_inner() > MOST_PAIRS {
        return Err(Error::input(format!(
            "more than {MOST_PAIRS} pairs lie within {} arcsec of each other; ask for a smaller \
             --radius, or drop rows with placeholders for positions, such as (0, 0)",
            from_chord_squared(limit)
        )));
    }
    let mut candidates = chunks.concat();
    candidates.par_sort_unstable_by(|one, other| {
        one.0
            .total_cmp(&other.0)
            .then((one.1, one.2).cmp(&(other.1, other.2)))
    });
    Ok(candidates)
}

/// Joins two tables: the matched rows with the columns of both, and the separation of a match by
/// position. Columns with a name that both have get the suffixes `_left` and `_right`; of the identifiers
/// that rows were matched by only the left column stays where both have one name.
///
/// # Errors
/// Where a key column is missing or unfit, where [`match_by_position`] fails, and where nothing matches.
pub fn match_tables(left: &Table, right: &Table, options: &MatchOptions) -> Result<Joined> {
    let (pairs, keyed, shared_id) = match options.key {
        Key::Id => {
            let [left_name, right_name] = &options.id_columns;
            let left_column = left.id_column(left_name.as_deref())?;
            let right_column = right.id_column(right_name.as_deref())?;
            let left_ids = left.object_ids(left_column)?;
            let right_ids = right.object_ids(right_column)?;
            warn_repeated(left, left_column, &left_ids);
            warn_repeated(right, right_column, &right_ids);
            let pairs = pair_ids(&left_ids, &right_ids);
            let keyed = [known_count(&left_ids), known_count(&right_ids)];
            let shared = (left_column.name == right_column.name).then_some(&right_column.name);
            (pairs, keyed, shared)
        }
        Key::Sky => {
            let named = options
                .position_columns
                .as_ref()
                .map(|(ra, dec)| (ra.as_str(), dec.as_str()));
            let (left, right) = (left.positions(named)?, right.positions(named)?);
            let keyed = [known_count(&left), known_count(&right)];
            (pair_positions(&left, &right, options.radius)?, keyed, None)
        }
    };
    let counts = |reach: &[bool], keyed: usize| {
        let reached = reach.iter().filter(|reached| **reached).count();
        JoinCounts {
            rows: reach.len(),
            matched: pairs.matches.len(),
            duplicates: reached - pairs.matches.len(),
            unmatched: reach.len() - reached,
            without_key: reach.len() - keyed,
        }
    };
    let (left_counts, right_counts) = (
        counts(&pairs.left_reach, keyed[0]),
        counts(&pairs.right_reach, keyed[1]),
    );
    if pairs.matches.is_empty() {
        return Err(nothing_matches(
            left,
            right,
            options,
            left_counts,
            right_counts,
        ));
    }
    let separations = options.key == Key::Sky;
    let table = join(left, right, &pairs.matches, shared_id, separations)?;
    Ok(Joined {
        table,
        left: left_counts,
        right: right_counts,
    })
}

fn known_count<T>(values: &[Option<T>]) -> usize {
    values.iter().flatten().count()
}

/// Says how many rows repeat the identifier of an earlier one, and the first that does.
fn warn_repeated(table: &Table, column: &Column, ids: &[Option<ObjectId>]) {
    let mut seen = HashSet::with_capacity(ids.len());
    let mut repeated = ids
        .iter()
        .enumerate()
        .filter_map(|(row, id)| Some((row, id.as_ref()?)))
        .filter(|(_, id)| !seen.insert(*id));
    if let Some((row, id)) = repeated.next() {
        tracing::warn!(
            "{}: {} rows repeat the `{}` of an earlier row, the first is {id} in row {row}; they are \
             not used",
            table.path.display(),
            1 + repeated.count(),
            column.name
        );
    }
}

fn nothing_matches(
    left: &Table,
    right: &Table,
    options: &MatchOptions,
    left_counts: JoinCounts,
    right_counts: JoinCounts,
) -> Error {
    let (what, hint) = match options.key {
        Key::Id => (
            "identifier",
            "see whether --id-column names the same identifiers in both".to_owned(),
        ),
        Key::Sky => (
            "position",
            format!(
                "see whether both are in degrees, or try a --radius above {} arcsec",
                options.radius
            ),
        ),
    };
    Error::input(format!(
        "{} ({} rows, {} with a {what}) and {} ({} rows, {} with a {what}) have no row in common; {hint}",
        left.path.display(),
        left_counts.rows,
        left_counts.rows - left_counts.without_key,
        right.path.display(),
        right_counts.rows,
        right_counts.rows - right_counts.without_key,
    ))
}

fn join(
    left: &Table,
    right: &Table,
    matches: &[Match],
    shared_id: Option<&String>,
    separations: bool,
) -> Result<Table> {
    let names = |table: &Table| -> HashSet<String> {
        let columns = table.columns().iter();
        columns.map(|column| column.name.clone()).collect()
    };
    let (left_names, right_names) = (names(left), names(right));
    let mut taken = HashSet::new();
    let mut unique = |mut name: String| {
        while !taken.insert(name.clone()) {
            name.push('_');
        }
        name
    };
    let mut columns = Vec::new();
    for column in left.columns() {
        let collides = right_names.contains(&column.name) && Some(&column.name) != shared_id;
        let name = match collides {
            true => format!("{}_left", column.name),
            false => column.name.clone(),
        };
        columns.push(Column {
            name: unique(name),
            values: column.values.take(matches.iter().map(|pair| pair.left)),
        });
    }
    for column in right.columns() {
        if Some(&column.name) == shared_id {
            continue;
        }
        let name = match left_names.contains(&column.name) {
            true => format!("{}_right", column.name),
            false => column.name.clone(),
        };
        columns.push(Column {
            name: unique(name),
            values: column.values.take(matches.iter().map(|pair| pair.right)),
        });
    }
    if separations {
        columns.push(Column {
            name: unique(SEPARATION.to_owned()),
            values: Values::Floats(matches.iter().map(|pair| pair.separation).collect()),
        });
    }
    Table::new(Path::new("joined table"), columns)
}
