//! Retrieval as a table.

use super::{align_right, with_error};
use crate::base::terminal::new_table;
use crate::evaluation::eval::retrieval::{RetrievalReport, RetrievalResult};

/// Retrieval results as a table for people.
pub fn render_retrieval_table(report: &RetrievalReport) -> String {
    let results = &report.results;
    let mut table = new_table();
    let ks: Vec<usize> = results
        .first()
        .map(|result| result.recall.iter().map(|recall| recall.k).collect())
        .unwrap_or_default();
    let mut header: Vec<String> = ["model", "from", "to", "among"].map(String::from).into();
    header.extend(ks.iter().map(|k| format!("in top {k}")));
    header.extend(["median rank".to_owned(), "by chance".to_owned()]);
    let columns = header.len();
    table.set_header(header);
    for result in results {
        let mut row = vec![
            result.model.clone(),
            result.from.to_string(),
            result.to.to_string(),
            match result.of {
                all if all == result.galaxies => format!("all {all}"),
                all => format!("{} of {all}", result.galaxies),
            },
        ];
        row.extend(result.recall.iter().map(|recall| {
            let deviation = recall.uncertainty.map(|u| 100.0 * u.deviation);
            format!(
                "{} % ({:.1} x chance)",
                with_error(100.0 * recall.recall, deviation, 1),
                recall.recall / recall.chance
            )
        }));
        let deviation = result.median_rank_uncertainty.map(|u| u.deviation);
        row.push(with_error(result.median_rank, deviation, 1));
        row.push(format!("{:.1}", result.chance_median_rank));
        table.add_row(row);
    }
    align_right(&mut table, 3..columns);
    let mut text = format!("{table}\n");
    let resampled = results.iter().any(|r| r.median_rank_uncertainty.is_some());
    if resampled {
        text += "± bootstrap over the galaxies that ask\n";
    }
    let searches_part = |r: &RetrievalResult| r.galaxies + r.left_out < r.of;
    if results.iter().any(searches_part) {
        text += "among: each galaxy of the test split looks for its counterpart in the test split alone, which is easier \
                 than in all; --all searches all\n";
    }
    if results.iter().any(|result| result.from == result.to) {
        text += "within one kind of data a galaxy looks for itself: less than 100 % in the top 1 means that \
                 galaxies share an embedding\n";
    }
    let mut models: Vec<&str> = Vec::new();
    for result in results {
        if result.left_out > 0 && !models.contains(&result.model.as_str()) {
            models.push(&result.model);
            text += &format!(
                "left out ({}): {} galaxies whose embeddings are not finite, or zero throughout\n",
                result.model, result.left_out
            );
        }
    }
    text
}
