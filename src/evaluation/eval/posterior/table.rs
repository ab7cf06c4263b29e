//! Results of posteriors as tables for people.

use std::fmt;

use comfy_table::{CellAlignment, Table};

use super::results::{MeanAndDeviation, PosteriorReport};
use crate::base::terminal::new_table;
use crate::evaluation::eval::task::Subject;

/// The results as tables for people, then what was left out.
pub fn render_posterior_table(report: &PosteriorReport) -> String {
    let mut likelihood = table([
        "from",
        "model",
        "−ln p",
        "of mixture",
        "per dimension",
        "TARP p",
        "train",
        "test",
        "fit",
    ]);
    let mut targets = table([
        "target",
        "from",
        "model",
        "−ln p part",
        "RMSE",
        "68 % width",
        "in 68 %",
        "in 95 %",
        "TARP p",
        "rank p",
    ]);
    for result in &report.results {
        likelihood.add_row([
            result.condition.of(result.source),
            result.model.clone(),
            result.nll.to_string(),
            format!("{:.3}", result.nll_of_mixture),
            result.nll_per_dimension.to_string(),
            p_value(result.tarp.p_value),
            result.n_train.to_string(),
            result.n_test.to_string(),
            format!("{:.0} s", result.fit_seconds),
        ]);
    }
    for index in 0..report.targets.len() {
        for result in &report.results {
            let target = &result.targets[index];
            targets.add_row([
                target.target.to_string(),
                result.condition.of(result.source),
                result.model.clone(),
                target.nll_part.to_string(),
                format!("{:.4}", target.rmse),
                format!("±{:.4}", target.half_width68),
                format!("{:.1} %", 100.0 * target.coverage68),
                format!("{:.1} %", 100.0 * target.coverage95),
                p_value(target.tarp.p_value),
                p_value(target.ranks.p_value),
            ]);
        }
    }
    align_right(&mut likelihood, 2);
    align_right(&mut targets, 3);
    let mut text = format!("{likelihood}\n{targets}\n");
    text += &format!(
        "−ln p: mean over test galaxies of the true values' density, nats, ± over {} flows; lower is better. Per dimension:\n\
         in units of the training galaxies' standard deviations, as the paper's Table 3. {} samples per galaxy, seed {}.\n\
         p: chance of such a deviation if the posteriors are calibrated; TARP by surveys drawn from the posteriors.\n",
        report.options.flow.flows, report.options.samples, report.options.flow.seed
    );
    for lost in &report.left_out {
        let from = match &lost.task.subject {
            Subject::Condition(condition) => condition.of(lost.task.source),
            _ => lost.task.source.to_string(),
        };
        let (model, why) = (&lost.task.model, lost.in_words());
        text += &format!("left out: from {from} ({model}), {why}\n");
    }
    for note in &report.notes {
        text += &format!("note: {note}\n");
    }
    text
}

fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "< 0.001".to_owned(),
        p => format!("{p:.3}"),
    }
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = new_table();
    table.set_header(header);
    table
}

fn align_right(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

impl fmt::Display for MeanAndDeviation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:.3} ± {:.3}", self.mean, self.deviation)
    }
}
