use comfy_table::{CellAlignment, Table, presets};

use super::{
    regression::{Dropped, EvalReport},
    retrieval::RetrievalResult,
    target::Target,
};

/// The results as a table for people, then what was left out.
pub fn render_table(report: &EvalReport) -> String {
    let redshift = report.results.iter().any(|r| r.target == Target::Redshift);
    let mut table = new_table();
    table.set_header([
        "target",
        "from",
        "method",
        "R²",
        if redshift { "σ_NMAD" } else { "RMSE" },
        "bias",
        "outliers",
        "train",
        "test",
    ]);
    for result in &report.results {
        let metrics = &result.metrics;
        table.add_row([
            result.target.to_string(),
            result.source.to_string(),
            result.method.to_string(),
            format!("{:.3}", metrics.r2),
            format!("{:.4}", metrics.scatter),
            format!("{:+.4}", metrics.bias),
            metrics.outlier_fraction.map_or("–".to_owned(), |fraction| {
                format!("{:.1} %", 100.0 * fraction)
            }),
            result.n_train.to_string(),
            result.n_test.to_string(),
        ]);
    }
    align_right(&mut table, 3..9);
    let mut text = format!("{table}\n");
    text += &format!(
        "zero-shot: {} nearest neighbours; few-shot: MLP of {:?}, seed {}\n",
        report.options.k, report.options.mlp.hidden, report.options.mlp.seed
    );
    for dropped in &report.dropped {
        text += &format!("left out: {}\n", describe(dropped));
    }
    for note in &report.notes {
        text += &format!("note: {note}\n");
    }
    text
}

/// Retrieval results as a table for people.
pub fn render_retrieval_table(results: &[RetrievalResult]) -> String {
    let mut table = new_table();
    let ks: Vec<usize> = results
        .first()
        .map(|result| result.recall.iter().map(|recall| recall.k).collect())
        .unwrap_or_default();
    let mut header = vec!["from".to_owned(), "to".to_owned(), "galaxies".to_owned()];
    header.extend(ks.iter().map(|k| format!("in top {k}")));
    header.extend(["median rank".to_owned(), "by chance".to_owned()]);
    let columns = header.len();
    table.set_header(header);
    for result in results {
        let mut row = vec![
            result.from.to_string(),
            result.to.to_string(),
            result.galaxies.to_string(),
        ];
        row.extend(result.recall.iter().map(|recall| {
            format!(
                "{:.1} % ({:.1} x chance)",
                100.0 * recall.recall,
                recall.recall / recall.chance
            )
        }));
        row.push(format!("{:.1}", result.median_rank));
        row.push(format!("{:.1}", result.chance_median_rank));
        table.add_row(row);
    }
    align_right(&mut table, 2..columns);
    let mut text = format!("{table}\n");
    if let Some(result) = results.first().filter(|result| result.dropped > 0) {
        text += &format!(
            "left out: {} galaxies whose embeddings are not finite\n",
            result.dropped
        );
    }
    text
}

fn describe(dropped: &Dropped) -> String {
    let reasons = [
        (dropped.not_in_labels, "not in the label table"),
        (dropped.cut, "stellar mass or a magnitude not above 0"),
        (dropped.without_target, "target unknown or not finite"),
        (
            dropped.without_features,
            "embedding or magnitude not finite",
        ),
    ];
    let reasons: Vec<String> = reasons
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, reason)| format!("{count} {reason}"))
        .collect();
    format!(
        "{} from {}, {}: {}",
        dropped.target,
        dropped.source,
        format!("{:?}", dropped.split).to_lowercase(),
        reasons.join(", ")
    )
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table
}

fn align_right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}
