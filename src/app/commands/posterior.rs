//! `astroclip eval posterior`.

use std::path::Path;

use super::eval::Opened;
use super::output::Output;
use crate::app::cli::PosteriorArg;
use crate::base::error::Result;
use crate::evaluation::eval::flow::FlowConfig;
use crate::evaluation::eval::{
    Interval, PosteriorOptions, PosteriorReport, PosteriorSummaries, Target, posterior,
    render_posterior_table,
};
use crate::files::catalog::{
    Column, ColumnHead, ColumnKind, Table, TableHead, Values, write_table,
};
use crate::survey::ObjectId;

pub(super) fn run(args: &PosteriorArg) -> Result<()> {
    if let Some(out) = &args.out {
        Output::Table.check(out)?;
    }
    let targets = match args.targets.is_empty() {
        true => &Target::ALL,
        false => args.targets.as_slice(),
    };
    let predictions = Some(&args.predictions);
    let opened = Opened::open(&args.embeddings, &args.labels, predictions, targets)?;
    opened.outlast(args.out.as_deref())?;
    let options = PosteriorOptions {
        targets: args.targets.clone(),
        sources: args.source.clone(),
        flow: FlowConfig {
            flows: args.flows as usize,
            max_epochs: args.epochs as usize,
            seed: args.seed,
            ..FlowConfig::default()
        },
        samples: args.samples as usize,
    };
    let report = posterior(&opened.inputs(), &options)?;
    if let Some(path) = &args.out {
        write_table(&table(&report, path)?, head(&report), path)?;
    }
    opened.report(args.json, &report, || {
        let mut text = render_posterior_table(&report);
        if let Some(path) = &args.out {
            let counts = report.summaries.iter().map(|of| of.object_id.len());
            let most = counts.max().unwrap_or(0);
            text += &format!("posteriors of {most} galaxies: {}\n", path.display());
        }
        text
    })
}

/// A number of an interval: what to call it, what it is by UCD1+ and in words.
type Part = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Interval) -> f64,
);

/// Numbers of an interval, in the order of the columns.
#[rustfmt::skip]
const PARTS: [Part; 5] = [
    ("median", "stat.median", "median of the posterior", |interval| interval.median),
    ("low68", "stat.min", "lower end of the 68 % interval", |interval| interval.inner[0]),
    ("high68", "stat.max", "upper end of the 68 % interval", |interval| interval.inner[1]),
    ("low95", "stat.min", "lower end of the 95 % interval", |interval| interval.outer[0]),
    ("high95", "stat.max", "upper end of the 95 % interval", |interval| interval.outer[1]),
];

/// What the columns of the table are.
fn head(report: &PosteriorReport) -> TableHead {
    let text = |name: &str, what: &str| ColumnHead::plain(name, ColumnKind::Text).described(what);
    let mut columns = vec![
        ColumnHead::object_id(),
        text("model", "model that made the embedding"),
        text("source", "data that the posterior is from"),
        text(
            "conditioned_on",
            "numbers that the posterior is conditioned on",
        ),
    ];
    for target in &report.targets {
        let mut add = |part: &str, ucd: String, what: &str| {
            let name = format!("{}_{part}", target.name());
            let head = ColumnHead::plain(name, ColumnKind::F64)
                .of_ucd(ucd)
                .described(format!("{what}: {}", target.meaning()));
            columns.push(target.unit().into_iter().fold(head, ColumnHead::in_unit));
        };
        add("true", target.ucd().to_owned(), "true value");
        for (part, ucd, what, _) in PARTS {
            add(part, format!("{};{ucd}", target.ucd()), what);
        }
    }
    TableHead::new("posteriors", "Posteriors of test galaxies", columns)
}

/// One row per model, source and test galaxy; of each target the truth, the median and the ends of the 68 % and
/// 95 % intervals.
fn table(report: &PosteriorReport, path: &Path) -> Result<Table> {
    let all = &report.summaries;
    let sources = all
        .iter()
        .flat_map(|of| std::iter::repeat_n(of.source.to_string(), of.object_id.len()));
    let ids: Vec<ObjectId> = all.iter().flat_map(|of| of.object_id.clone()).collect();
    let models = all
        .iter()
        .flat_map(|of| std::iter::repeat_n(of.model.clone(), of.object_id.len()));
    let conditions = all.iter().flat_map(|of| {
        let name = of.condition.name().to_owned();
        std::iter::repeat_n(name, of.object_id.len())
    });
    let mut columns = vec![
        column("object_id", Values::of_ids(&ids)),
        column("model", Values::Texts(models.collect())),
        column("source", Values::Texts(sources.collect())),
        column("conditioned_on", Values::Texts(conditions.collect())),
    ];
    for (index, target) in report.targets.iter().enumerate() {
        let truth = all.iter().flat_map(|of| of.truth[index].iter().copied());
        columns.push(column(
            &format!("{}_true", target.name()),
            Values::Floats(truth.collect()),
        ));
        for (part, _, _, of) in PARTS {
            let values = all.iter().flat_map(|summaries: &PosteriorSummaries| {
                summaries.intervals[index].iter().map(of)
            });
            columns.push(column(
                &format!("{}_{part}", target.name()),
                Values::Floats(values.collect()),
            ));
        }
    }
    Table::new(path, columns)
}

fn column(name: &str, values: Values) -> Column {
    Column {
        name: name.to_owned(),
        values,
    }
}
