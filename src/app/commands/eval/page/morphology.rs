//! The section of morphology.

use super::{figure, heading, row, with_error};
use crate::evaluation::eval::{MorphologyReport, Source};
use crate::evaluation::report::{Block, RadarSeries, RowKind, Section, TextTable, paper, radar};

pub(super) fn morphology(report: &MorphologyReport) -> Section {
    let mut methods: Vec<(String, Source)> = Vec::new();
    let mut questions: Vec<String> = Vec::new();
    for result in &report.results {
        let of = (result.model.clone(), result.source);
        if !methods.contains(&of) {
            methods.push(of);
        }
        if !questions.contains(&result.question) {
            questions.push(result.question.clone());
        }
    }
    let find = |question: &str, (model, source): &(String, Source)| {
        let mut results = report.results.iter();
        results.find(|result| {
            result.question == question && result.model == *model && result.source == *source
        })
    };
    let title = |(model, source): &(String, Source)| match source {
        Source::Photometry => model.clone(),
        _ => format!("{model}, {source}"),
    };
    let mut columns = vec!["question".to_owned()];
    columns.extend(methods.iter().map(title));
    columns.push("commonest answer".into());
    columns.extend(paper::MORPHOLOGY_METHODS.map(|name| format!("{name} (paper)")));
    let mut table = TextTable {
        title: "Galaxy Zoo DECaLS (paper Table E1)".into(),
        columns,
        note: "Weighted by support. Trained on galaxies of which half of the volunteers were asked the question, tested on \
               those that enough volunteers saw."
            .into(),
        ..TextTable::default()
    };
    let mut charts = Vec::new();
    for (name, f1) in [("Accuracy", false), ("F1", true)] {
        table.rows.push(heading(name));
        let figure_of = |question: &str, method: &(String, Source)| {
            find(question, method).map_or(f64::NAN, |result| match f1 {
                true => result.metrics.f1,
                false => result.metrics.accuracy,
            })
        };
        for question in &questions {
            let mut cells = vec![question.clone()];
            cells.extend(methods.iter().map(|method| {
                find(question, method).map_or("–".into(), |result| {
                    let errors = result.uncertainty.as_ref();
                    match f1 {
                        true => with_error(result.metrics.f1, errors, |metrics| metrics.f1),
                        false => {
                            with_error(result.metrics.accuracy, errors, |metrics| metrics.accuracy)
                        }
                    }
                })
            }));
            let majority = methods.first().and_then(|method| find(question, method));
            cells.push(majority.map_or("–".into(), |result| {
                let majority = &result.majority;
                format!("{:.3}", if f1 { majority.f1 } else { majority.accuracy })
            }));
            let known = paper::MORPHOLOGY.iter().find(|row| row.0 == question);
            let known = known.map(|row| if f1 { row.2 } else { row.1 });
            cells.extend(
                (0..paper::MORPHOLOGY_METHODS.len()).map(|index| {
                    known.map_or("–".into(), |values| format!("{:.2}", values[index]))
                }),
            );
            table.rows.push(row(RowKind::Measured, cells));
        }
        let mut series: Vec<RadarSeries> = methods
            .iter()
            .map(|method| RadarSeries {
                name: title(method),
                scores: questions
                    .iter()
                    .map(|question| figure_of(question, method))
                    .collect(),
                dashed: false,
            })
            .collect();
        let of_paper = |question: &String| {
            let known = paper::MORPHOLOGY.iter().find(|row| row.0 == question);
            known.map_or(f64::NAN, |row| if f1 { row.2[0] } else { row.1[0] })
        };
        series.push(RadarSeries {
            name: "AstroCLIP (paper)".into(),
            scores: questions.iter().map(of_paper).collect(),
            dashed: true,
        });
        charts.push((name.to_owned(), series));
    }
    let caption = "Accuracy and F1 of each question (paper Fig. 5).".to_owned();
    Section {
        title: "Morphology".into(),
        text: report.notes.clone(),
        blocks: vec![
            Block::Figure(figure("morphology", caption, radar(&questions, &charts))),
            Block::Table(table),
        ],
    }
}
