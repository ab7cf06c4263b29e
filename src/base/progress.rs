//! How far long work has come: a bar on a terminal, plain log lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tracing::level_filters::LevelFilter;

/// Time between two log lines where there is no terminal.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of one task, shown on stderr.
#[derive(Debug)]
pub struct Progress {
    task: String,
    unit: &'static str,
    total: u64,
    position: u64,
    begun_at: u64,
    started: Instant,
    logged: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A task of `total` units, such as "galaxies" or "steps", of which `done` are behind us.
    pub fn new(task: impl Into<String>, unit: &'static str, done: u64, total: u64) -> Self {
        let task = task.into();
        // Whoever asks for silence gets no bar either.
        let is_shown = LevelFilter::current() >= LevelFilter::INFO;
        let bar = (is_shown && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::new(total);
            bar.set_style(
                ProgressStyle::with_template(
                    "{prefix:>22} {wide_bar:.cyan/dim} {pos}/{len} {per_sec} {eta} left {msg}",
                )
                .expect("the template is valid"),
            );
            bar.set_prefix(task.clone());
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self {
            task,
            unit,
            total,
            position: done,
            begun_at: done,
            started: now,
            logged: now,
            bar,
        }
    }

    /// Moves on to `position` with a short message such as the loss.
    pub fn set(&mut self, position: u64, message: &str) {
        self.position = position;
        match &self.bar {
            Some(bar) => {
                bar.set_position(position);
                bar.set_message(message.to_owned());
            }
            None if self.logged.elapsed() >= LOG_INTERVAL => {
                self.logged = Instant::now();
                let left = (self.total - position) as f64 / self.rate().max(f64::MIN_POSITIVE);
                tracing::info!(
                    "{}: {position}/{} {}, {:.3} {}/s, {} left {message}",
                    self.task,
                    self.total,
                    self.unit,
                    self.rate(),
                    self.unit,
                    human(left),
                );
            }
            None => {}
        }
    }

    /// Ends the task with a line that says how long it took.
    pub fn finish(self, message: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        tracing::info!(
            "{}: {} {} in {}{}{message}",
            self.task,
            self.position - self.begun_at,
            self.unit,
            human(self.started.elapsed().as_secs_f64()),
            if message.is_empty() { "" } else { " " },
        );
    }

    fn rate(&self) -> f64 {
        (self.position - self.begun_at) as f64 / self.started.elapsed().as_secs_f64()
    }
}

/// A duration for people.
pub fn human(seconds: f64) -> String {
    let whole = seconds.min(1e9) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}
