//! `astroclip replay`.

use std::path::PathBuf;

use comfy_table::CellAlignment;

use super::training::Asked;
use super::{label_table, print, print_json, training};
use crate::app::cli::{DataArg, ReadArg, Replay as Args, RunArg};
use crate::app::workspace::{RunRecord, Takings};
use crate::base::error::{Error, Result};
use crate::base::ranks::Ranks;
use crate::base::terminal::{new_list, new_table};
use crate::files::catalog::LabelOptions;
use crate::survey::{Labels, Target};
use crate::training::config::{
    AlignRun, FineTuneRun, ImageBaselineRun, ImageRun, SpectrumBaselineRun, SpectrumRun,
    StageConfig,
};
use crate::training::stages::{self, EncoderPaths, Extreme, Replay, ReplayOptions, Turn};
use crate::training::train::BatchGalaxy;

/// Galaxies that are shown.
const SHOWN: usize = 5;
/// Layers that are shown before the one where a step turned.
const LAYERS: usize = 3;

pub(super) fn run(args: &Args) -> Result<()> {
    let options = ReplayOptions::open(args.run.clone())?;
    let replay = match options.record.stage.as_str() {
        ImageRun::STAGE => {
            let run = begun::<ImageRun>(&options, &[])?;
            let init = initial(&options)?;
            let files = &run.options.data;
            stages::replay_pretrain_image(&run.config, init.as_deref(), files, &options)
        }
        SpectrumRun::STAGE => {
            let run = begun::<SpectrumRun>(&options, &[])?;
            stages::replay_pretrain_spectrum(&run.config, &run.options.data, &options)
        }
        AlignRun::STAGE => {
            let mut run = begun::<AlignRun>(
                &options,
                &[
                    ("--image-encoder", "image encoder"),
                    ("--spectrum-encoder", "spectrum encoder"),
                ],
            )?;
            run.models.extend(recorded(&options, 2, "--teacher")?);
            let encoders = EncoderPaths::of(run.models);
            stages::replay_align(&run.config, &encoders, &run.options.data, &options)
        }
        ImageBaselineRun::STAGE => {
            let run = begun::<ImageBaselineRun>(&options, &[])?;
            let labels = labels(&run, &run.config.targets)?;
            let files = &run.options.data;
            stages::replay_baseline_image(&run.config, labels.as_ref(), files, &options)
        }
        SpectrumBaselineRun::STAGE => {
            let run = begun::<SpectrumBaselineRun>(&options, &[])?;
            let labels = labels(&run, &run.config.targets)?;
            let files = &run.options.data;
            stages::replay_baseline_spectrum(&run.config, labels.as_ref(), files, &options)
        }
        FineTuneRun::STAGE => {
            let run = begun::<FineTuneRun>(&options, &[("--weights", "model")])?;
            let labels = labels(&run, &run.config.targets)?;
            let (config, files) = (&run.config, &run.options.data);
            stages::replay_finetune(config, &run.models[0], labels.as_ref(), files, &options)
        }
        other => Err(
            Error::input(format!("is of `{other}`, which this version does not know"))
                .in_file(&options.folder),
        ),
    }?;
    match args.json {
        true => print_json(&replay)?,
        false => print(&render(&replay))?,
    }
    match replay.turn {
        Some(_) => Ok(()),
        None => Err(Error::run(format!(
            "step {} is finite on the CPU in f32: {} was {} where the run computed; compare its largest values with what \
             train.precision holds",
            replay.step, replay.recorded.name, replay.recorded.value
        ))),
    }
}

/// A run as it began, with its configuration, files and models: how each is named, and what people call it.
fn begun<C: StageConfig>(
    options: &ReplayOptions,
    models: &[(&str, &str)],
) -> Result<training::Training<C>> {
    let run = RunArg {
        data: DataArg {
            data: Vec::new(),
            read: ReadArg::default(),
            skip_bad: false,
        },
        out: Some(options.run.clone()),
        resume: true,
        stop_after: None,
    };
    let asked = Asked {
        config: None,
        set: &[],
        run: &run,
        labels: &[],
        label_options: LabelOptions::default(),
        needs: "the galaxies of the run",
        ranks: Ranks::alone(),
    };
    asked.resolve::<C>(|begun: Option<&RunRecord>, _, _| {
        let model = |(index, (flag, what)): (usize, &(&str, &str))| {
            let path = match begun {
                Some(begun) => begun.model(index, flag)?,
                None => None,
            };
            path.ok_or_else(|| {
                Error::input(format!("does not say with which {what} it began"))
                    .in_file(&options.run)
            })
        };
        models.iter().enumerate().map(model).collect()
    })
}

/// The file that a run of image pretraining began with, where the step is reached from its start.
fn initial(options: &ReplayOptions) -> Result<Option<PathBuf>> {
    if options.starts_from_checkpoint()? {
        return Ok(None);
    }
    recorded(options, 0, "--init")
}

/// The `index`th file that a run began with beside its data, named by `flag`; none where it began with fewer.
fn recorded(options: &ReplayOptions, index: usize, flag: &str) -> Result<Option<PathBuf>> {
    let begun = RunRecord::of(&options.run)?;
    let path = begun.map(|begun| begun.model(index, flag)).transpose()?;
    Ok(path.flatten())
}

/// The labels that a supervised run began with.
fn labels<C>(run: &training::Training<C>, targets: &[Target]) -> Result<Option<Labels>> {
    let options = &run.options;
    let mut taken = Takings::default();
    label_table(&options.labels, &options.label_options, targets, &mut taken)
}

/// What was found, for people.
fn render(replay: &Replay) -> String {
    let mut list = new_list();
    let from = match replay.started_from {
        0 => "the start of the run".to_owned(),
        steps if steps + 1 == replay.step => "the state before it".to_owned(),
        steps => format!("the checkpoint after step {steps}"),
    };
    list.add_row([
        "step",
        &format!("{} of {}, from {from}", replay.step, replay.run.display()),
    ]);
    list.add_row([
        "in the run",
        &format!("{} was {}", replay.recorded.name, replay.recorded.value),
    ]);
    list.add_row(["on the CPU, f32", &turned(replay)]);
    if let Some(step) = replay.skipped_on_the_way {
        list.add_row([
            "skipped",
            &format!("step {step}, which is not finite either"),
        ]);
    }
    let extreme = |extreme: &Option<Extreme>| match extreme {
        Some(Extreme { place, value }) => format!("{value:.3e} in {place}"),
        None => "none is finite".to_owned(),
    };
    list.add_row(["largest weight", &extreme(&replay.largest_weight)]);
    if replay.largest_weight_after.is_some() {
        list.add_row(["after the step", &extreme(&replay.largest_weight_after)]);
    }
    list.add_row(["largest gradient", &extreme(&replay.largest_gradient)]);
    let numbers = replay.terms.iter().chain(&replay.grad_norms);
    let numbers: Vec<String> = numbers
        .map(|number| format!("{} {}", number.name, number.value))
        .collect();
    list.add_row(["losses, norms", &numbers.join(", ")]);
    let mut text = format!("{list}\n\n{}\n{}\n", galaxies(replay), layers(replay));
    text += &verdict(replay);
    text
}

fn turned(replay: &Replay) -> String {
    match &replay.turn {
        None => "all is finite".to_owned(),
        Some(Turn::State { name, tensors }) => {
            format!("{tensors} tensors are not finite before the step, the first {name}")
        }
        Some(Turn::Layer {
            name,
            nonfinite,
            values,
            galaxies,
        }) => {
            let of = match galaxies.len() {
                0 => String::new(),
                1 => ", all of one galaxy".to_owned(),
                count if count == replay.galaxies.len() => ", of all galaxies".to_owned(),
                count => format!(", of {count} galaxies"),
            };
            format!("turns in layer {name}: {nonfinite} of {values} values{of}")
        }
        Some(Turn::Loss { name }) => {
            format!("turns in the loss {name}: what the layers compute is finite")
        }
        Some(Turn::Gradient {
            name: Some(name),
            parameters,
            of,
        }) => format!(
            "turns in the gradients, of {parameters} of {of} parameters, the first {name}: the losses are finite"
        ),
        Some(Turn::Gradient { name: None, .. }) => {
            "turns in the gradient norm: the squares of the gradients do not fit into f32"
                .to_owned()
        }
        Some(Turn::Update { name }) => {
            format!("turns in the update of {name}: losses and gradients are finite")
        }
        Some(Turn::Measured { name }) => {
            format!("turns in {name}, after the step: what the step computes is finite")
        }
    }
}

/// The galaxies with the largest values.
fn galaxies(replay: &Replay) -> String {
    let mut table = new_table();
    table.set_header([
        "galaxy",
        "file",
        "row",
        "largest value",
        "over median",
        "at",
    ]);
    for look in replay.galaxies.iter().take(SHOWN) {
        let place = look.galaxy.places.first();
        table.add_row([
            look.galaxy.object_id.clone(),
            place.map_or(String::new(), |place| place.file.display().to_string()),
            place.map_or(String::new(), |place| place.row.to_string()),
            format!("{:.3e}", look.largest.value),
            format!("{:.1e}", look.over_median),
            look.largest.place.clone(),
        ]);
    }
    for column in [2, 3, 4] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    match replay.galaxies.len().saturating_sub(SHOWN) {
        0 => format!("{table}\n"),
        more => format!("{table}\n{more} galaxies more have smaller values\n"),
    }
}

/// The layers up to the first that is not finite, else the last.
fn layers(replay: &Replay) -> String {
    let layers = &replay.layers;
    let turned = layers.iter().position(|layer| layer.nonfinite > 0);
    let end = turned.map_or(layers.len(), |turned| turned + 1);
    let mut table = new_table();
    table.set_header(["layer", "largest value", "not finite"]);
    for layer in &layers[end.saturating_sub(LAYERS + 1)..end] {
        table.add_row([
            layer.name.clone(),
            format!("{:.3e}", layer.largest),
            layer.nonfinite.to_string(),
        ]);
    }
    format!("{table}\n")
}

fn verdict(replay: &Replay) -> String {
    match (&replay.guilty, &replay.turn) {
        (Some(guilty), _) => {
            let BatchGalaxy { object_id, places } = &guilty.galaxy;
            let places: Vec<String> = places
                .iter()
                .map(|place| format!("{} row {} of {}", place.kind, place.row, place.file.display()))
                .collect();
            format!(
                "galaxy {object_id} did it ({}): without it the step is finite; its largest value is {:.3e} ({})\n",
                places.join(", "),
                guilty.largest.value,
                guilty.largest.place
            )
        }
        (None, Some(Turn::State { .. } | Turn::Update { .. })) => {
            "no galaxy did it: the weights grew too large; a run with a lower optimizer.lr or a longer warm-up may not\n"
                .to_owned()
        }
        (None, Some(Turn::Measured { .. })) => {
            "no galaxy of the step did it: either the weights grew too large, and a run with a lower optimizer.lr is \
             better, or a galaxy that validates is at fault\n"
                .to_owned()
        }
        (None, Some(_)) => {
            "no galaxy alone did it: without any of those with the largest values the step is not finite either. Where \
             weights are large, a run with a lower optimizer.lr or a longer warm-up may be\n"
                .to_owned()
        }
        (None, None) => String::new(),
    }
}
