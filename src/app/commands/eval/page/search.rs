//! The section of search by similarity.

use super::{Drawings, Results, figure, row};
use crate::base::error::Result;
use crate::evaluation::eval::RetrievalResult;
use crate::evaluation::report::{Block, RowKind, Section, TextTable, search_grid};

pub(super) fn search(results: &Results, drawings: &Drawings) -> Result<Option<Section>> {
    let across = |result: &&RetrievalResult| result.from != result.to;
    let found: Vec<&RetrievalResult> = results.retrieval.results.iter().filter(across).collect();
    if found.is_empty() && drawings.search.is_none() {
        return Ok(None);
    }
    let mut blocks = Vec::new();
    if let Some(retrieval) = &drawings.search {
        let caption = "Galaxies found by similarity in each direction (paper Fig. 2). A frame marks the query's own other \
                       view; within one kind of data the query itself is left out.";
        blocks.push(Block::Figure(figure(
            "search",
            caption.into(),
            search_grid(retrieval)?,
        )));
    }
    if let Some(first) = found.first() {
        let mut columns = vec!["direction".to_owned()];
        columns.extend(first.recall.iter().map(|at| format!("nearest {}", at.k)));
        columns.push("median rank".into());
        let mut table = TextTable {
            title: "How often a galaxy's own other view is among the nearest".into(),
            columns,
            note: format!(
                "Among {} galaxies; by chance the median rank is {}.",
                first.galaxies, first.chance_median_rank
            ),
            ..TextTable::default()
        };
        for result in &found {
            let mut cells = vec![format!("{}, {} → {}", result.model, result.from, result.to)];
            cells.extend(result.recall.iter().map(|at| {
                let percent = 100.0 * at.recall;
                format!("{percent:.1} % ({:.0} × chance)", at.recall / at.chance)
            }));
            cells.push(format!("{:.1}", result.median_rank));
            table.rows.push(row(RowKind::Measured, cells));
        }
        blocks.push(Block::Table(table));
    }
    Ok(Some(Section {
        title: "Search by similarity".into(),
        text: Vec::new(),
        blocks,
    }))
}
