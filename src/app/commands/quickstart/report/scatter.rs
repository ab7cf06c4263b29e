//! Predicted against true redshifts, a panel for each input, model and method.

use crate::app::commands::quickstart::results::{Inputs, Tasks};
use crate::evaluation::eval::{Method, RegressionReport, Source};
use crate::evaluation::report::{Family, ScatterGroup, ScatterPanel};

pub(super) fn scatter(inputs: &Inputs) -> Vec<ScatterGroup> {
    let panel = |tasks: &Tasks, source, method, family, title: &str| {
        scatter_panel(&tasks.redshift, source, method, family, title)
    };
    let Inputs {
        after,
        before_image,
        before_spectrum,
        ..
    } = inputs;
    let images = [Method::ZeroShot, Method::FewShot]
        .into_iter()
        .flat_map(|method| {
            let baseline = match method {
                Method::ZeroShot => "g, r, z magnitudes, k-NN",
                _ => "g, r, z magnitudes, MLP",
            };
            [
                panel(
                    after,
                    Source::Image,
                    method,
                    Family::Aligned,
                    &format!("AstroCLIP, {method}"),
                ),
                panel(
                    before_image,
                    Source::Image,
                    method,
                    Family::Unaligned,
                    &format!("before alignment, {method}"),
                ),
                panel(
                    after,
                    Source::Photometry,
                    method,
                    Family::Baseline,
                    baseline,
                ),
            ]
        });
    let spectra = [
        (after, Family::Aligned, "AstroCLIP"),
        (before_spectrum, Family::Unaligned, "before alignment"),
    ]
    .into_iter()
    .flat_map(|(tasks, family, name)| {
        [Method::ZeroShot, Method::FewShot].map(|method| {
            panel(
                tasks,
                Source::Spectrum,
                method,
                family,
                &format!("{name}, {method}"),
            )
        })
    });
    vec![
        ScatterGroup {
            title: "From images".into(),
            panels: images.flatten().collect(),
        },
        ScatterGroup {
            title: "From spectra".into(),
            panels: spectra.flatten().collect(),
        },
    ]
}

fn scatter_panel(
    report: &RegressionReport,
    source: Source,
    method: Method,
    family: Family,
    title: &str,
) -> Option<ScatterPanel> {
    let index = report
        .results
        .iter()
        .position(|result| (result.source, result.method) == (source, method))?;
    let predictions = &report.predictions[index];
    Some(ScatterPanel {
        title: title.into(),
        family,
        r2: report.results[index].metrics.r2,
        truth: predictions.truth.clone(),
        predicted: predictions.predicted.clone(),
    })
}
