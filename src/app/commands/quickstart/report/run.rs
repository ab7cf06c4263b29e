//! How the run went: losses, times, sizes.

use std::path::{Path, PathBuf};

use super::section;
use crate::app::commands::quickstart::results::Results;
use crate::base::error::Result;
use crate::evaluation::report::{LossCurve, Panel, Section, Series, Timing};
use crate::training::train::{MetricsFile, metrics_path};

pub(super) fn training(run: impl Fn(&str) -> PathBuf) -> Result<Section> {
    let losses: Vec<LossCurve> = [
        ("image", "Image pretraining", "Self-distillation (DINOv2): class tokens across crops (dino), masked patches (ibot), spread of the embeddings (koleo)."),
        ("spectrum", "Spectrum pretraining", "Mean squared error of masked segments, in units of each spectrum's variance."),
        ("align", "Alignment", "Symmetric InfoNCE between the images and the spectra of a batch; the logarithm of the batch size is chance."),
    ]
    .into_iter()
    .map(|(stage, name, note)| curve(&run(stage), name, note))
    .collect::<Result<_>>()?;
    let text = "Both encoders are first trained on their own, without labels: the image encoder by \
                self-distillation between views of one galaxy, the spectrum encoder by filling in masked segments. \
                Then both are aligned so that a galaxy’s two views lie close together.";
    let note = "Loss against step. Faint: as recorded; strong: running mean. First and last are means over a \
                twentieth of the run at either end.";
    let panels = vec![Panel::losses(&losses)?, Panel::note(note)];
    Ok(section("Training", vec![text.to_owned()], panels))
}

fn curve(run: &Path, stage: &str, note: &str) -> Result<LossCurve> {
    let records = MetricsFile::read(&metrics_path(run))?;
    let mut names: Vec<String> = Vec::new();
    for record in &records {
        for name in record.terms.keys() {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    let mut terms = Vec::new();
    if names.len() > 1 {
        terms.push(Series {
            name: "total".into(),
            points: records
                .iter()
                .map(|record| (record.step as f64, record.loss))
                .collect(),
        });
    }
    for name in names {
        let points = records
            .iter()
            .filter_map(|record| Some((record.step as f64, record.terms.get(&name)?.as_f64()?)))
            .collect();
        terms.push(Series {
            name: name.replace('_', " "),
            points,
        });
    }
    Ok(LossCurve {
        stage: stage.into(),
        note: note.into(),
        terms,
    })
}

pub(super) fn timings(results: &Results) -> Vec<Timing> {
    let times = results.times.iter();
    times
        .map(|time| Timing {
            stage: time.stage.into(),
            seconds: time.seconds,
        })
        .collect()
}

pub(super) fn summary(results: &Results) -> Vec<(String, String)> {
    let names = ["image encoder", "spectrum encoder", "aligned model"];
    let mut rows = vec![
        (
            "version".to_owned(),
            format!("astroclip {}", results.version),
        ),
        ("preset".to_owned(), results.preset.clone()),
        (
            "galaxies".to_owned(),
            format!(
                "{}: {} train, {} test",
                results.galaxies, results.train_galaxies, results.test_galaxies
            ),
        ),
    ];
    for (name, stage) in names.into_iter().zip(&results.stages) {
        rows.push((
            name.to_owned(),
            format!(
                "{:.2} M parameters, {} steps",
                stage.parameters as f64 / 1e6,
                stage.steps
            ),
        ));
    }
    if let Some(bytes) = results.peak_memory_bytes {
        let gibibytes = bytes as f64 / f64::from(1 << 30);
        rows.push(("peak memory".to_owned(), format!("{gibibytes:.2} GiB")));
    }
    rows
}
