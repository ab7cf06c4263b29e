//! Tables of scores, the best of each group of rows in bold (paper Table 2).

use maud::{Markup, html};

use super::{
    data::{Better, ScoreColumn, ScoreGroup, ScoreTable},
    plot::{css, family_colour, number},
};

/// The table as HTML.
pub(super) fn scores(table: &ScoreTable) -> Markup {
    html! {
        div.table { table.scores {
            thead { tr {
                th scope="col" { "Method" }
                @for column in &table.columns { th scope="col" { (indexed(&column.name)) } }
            } }
            @for group in &table.groups {
                @let best: Vec<Option<String>> = (0..table.columns.len()).map(|column| best(table, group, column)).collect();
                tbody {
                    tr.source { th colspan=(table.columns.len() + 1) scope="rowgroup" { (group.source) } }
                    @for row in &group.rows {
                        tr {
                            th scope="row" {
                                span.swatch.round style=(format!("background:{}", css(family_colour(row.family)))) {}
                                (row.method)
                            }
                            @for (index, column) in table.columns.iter().enumerate() {
                                @let value = row.values.get(index).copied().flatten().unwrap_or(f64::NAN);
                                @let written = number(value, column.decimals);
                                @if best[index].as_ref() == Some(&written) { td { b { (written) } } } @else { td { (written) } }
                            }
                        }
                    }
                }
            }
        } }
    }
}

/// The best value of a column within a group, as written: equal to the eye is equally good. None where
/// there is nothing to compare.
fn best(table: &ScoreTable, group: &ScoreGroup, column: usize) -> Option<String> {
    let ScoreColumn {
        better, decimals, ..
    } = table.columns[column];
    let cost = |value: f64| match better {
        Better::Higher => -value,
        Better::Lower => value,
        Better::NearZero => value.abs(),
    };
    let values: Vec<f64> = group
        .rows
        .iter()
        .filter_map(|row| row.values.get(column).copied().flatten())
        .filter(|value| value.is_finite())
        .collect();
    let best = values
        .iter()
        .copied()
        .min_by(|a, b| cost(*a).total_cmp(&cost(*b)))?;
    (values.len() > 1).then(|| number(best, decimals))
}

/// `t_age` with age as a subscript.
fn indexed(name: &str) -> Markup {
    html! {
        @for (index, word) in name.split(' ').enumerate() {
            @if index > 0 { " " }
            @match word.split_once('_') {
                Some((base, subscript)) => { (base) sub { (subscript) } },
                None => (word),
            }
        }
    }
}
