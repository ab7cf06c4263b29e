//! `astroclip status`.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use super::{print, print_json};
use crate::app::cli::Status;
use crate::app::workspace::RUNS;
use crate::base::error::{Error, Result};
use crate::base::progress::human;
use crate::base::shell::resuming;
use crate::base::terminal::{clear, new_table};
use crate::training::run_folder::{Activity, RunStatus, stage_of};

/// A process that has not said anything for so long may hang: seconds.
const SILENCE: u64 = 60;

pub(super) fn run(args: &Status) -> Result<()> {
    loop {
        let found = statuses(&args.runs)?;
        if args.json {
            return print_json(&found);
        }
        let text = match &found[..] {
            [one] => render(one),
            all => table(all),
        };
        if args.watch.is_some() {
            clear()?;
        }
        print(&text)?;
        let is_running = |status: &RunStatus| matches!(status.activity, Activity::Running { .. });
        match args.watch {
            Some(seconds) if found.iter().any(is_running) => {
                std::thread::sleep(Duration::from_secs(seconds));
            }
            _ => return Ok(()),
        }
    }
}

/// The status of each run that is named or lies in a folder that is named.
fn statuses(named: &[PathBuf]) -> Result<Vec<RunStatus>> {
    let default = [PathBuf::from(RUNS)];
    let named = match named.is_empty() {
        true => &default[..],
        false => named,
    };
    let mut found = Vec::new();
    for folder in named {
        if stage_of(folder).is_some() {
            found.push(RunStatus::of(folder)?);
            continue;
        }
        let entries = fs::read_dir(folder).map_err(|source| match source.kind() {
            ErrorKind::NotFound => Error::input(
                "no such folder; runs lie where --out put them: name one, astroclip status RUN",
            )
            .in_file(folder),
            _ => Error::reading(folder, source),
        })?;
        let runs = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut runs: Vec<PathBuf> = runs.filter(|run| stage_of(run).is_some()).collect();
        runs.sort();
        if runs.is_empty() {
            return Err(Error::input(
                "holds no run; name a run folder, or a folder of run folders",
            )
            .in_file(folder));
        }
        for run in &runs {
            found.push(RunStatus::of(run)?);
        }
    }
    Ok(found)
}

fn table(all: &[RunStatus]) -> String {
    let mut table = new_table();
    table.set_header([
        "run",
        "stage",
        "state",
        "step",
        "of",
        "loss",
        "left",
        "last checkpoint",
    ]);
    for status in all {
        table.add_row([
            status.run.display().to_string(),
            status.stage.clone(),
            state(status, false),
            status.step.to_string(),
            status.steps.to_string(),
            status
                .loss
                .map_or_else(String::new, |loss| format!("{loss:.4}")),
            status.seconds_left.map_or_else(String::new, human),
            checkpoint(status).unwrap_or_default(),
        ]);
    }
    format!("{table}\n")
}

/// One run, a line for each thing that is known.
fn render(status: &RunStatus) -> String {
    let mut text = format!("{}: {}\n", status.run.display(), status.stage);
    let mut line = |name: &str, value: String| text += &format!("  {name:<11} {value}\n");
    line("state", state(status, true));
    // Some baselines are fitted in one go.
    if status.steps > 0 {
        let share = 100.0 * status.step as f64 / status.steps as f64;
        line(
            "step",
            format!("{} of {} ({share:.1} %)", status.step, status.steps),
        );
        line(
            "checkpoint",
            checkpoint(status).unwrap_or_else(|| "none yet".to_owned()),
        );
    }
    if let (Some(loss), Some(step)) = (status.loss, status.loss_step) {
        let rate = status.learning_rate.unwrap_or(0.0);
        line(
            "loss",
            format!("{loss:.4} after step {step}, learning rate {rate:.3e}"),
        );
    }
    if let Some(rate) = status.samples_per_second {
        line("rate", format!("{rate:.1} galaxies/s"));
    }
    if let Some(seconds) = status.seconds_left {
        line("time left", human(seconds));
    }
    if let Some(session) = status.sessions.last() {
        let start = &session.start;
        line(
            "session",
            format!(
                "{}, since {} on {} ({}), from step {}",
                status.sessions.len(),
                start.time,
                start.host,
                start.device,
                start.step
            ),
        );
    }
    if let Some(next) = next(status) {
        text += &format!("\nnext: {next}\n");
    }
    text
}

/// What to type to go on with a run that nobody works on.
fn next(status: &RunStatus) -> Option<String> {
    match status.activity {
        Activity::Running { .. } | Activity::Finished => None,
        _ => Some(resuming(&status.stage, &status.run)),
    }
}

fn state(status: &RunStatus, is_long: bool) -> String {
    match &status.activity {
        Activity::Running {
            by,
            phase,
            silent_seconds,
        } => {
            let silent = silent_seconds.filter(|&seconds| seconds > SILENCE);
            let doing = match (phase, silent) {
                (_, Some(seconds)) => format!(", silent for {}", human(seconds as f64)),
                (Some(phase), None) => format!(", {}", phase.label()),
                (None, None) => String::new(),
            };
            match is_long {
                true => format!("running: {by}{doing}"),
                false => format!("running{doing}"),
            }
        }
        Activity::Finished => "finished".to_owned(),
        Activity::Stopped { by: None } => "stopped as told".to_owned(),
        Activity::Stopped { by: Some(signal) } => format!("stopped by {signal}"),
        Activity::Failed { because } if is_long => format!("failed: {because}"),
        Activity::Failed { .. } => "failed".to_owned(),
        Activity::Killed => "killed".to_owned(),
    }
}

fn checkpoint(status: &RunStatus) -> Option<String> {
    let step = status.checkpoint_step?;
    let age = status.checkpoint_age_seconds;
    let age = age.map_or_else(String::new, |age| format!(", {} ago", human(age as f64)));
    Some(format!("step {step}{age}"))
}
