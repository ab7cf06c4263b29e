//! Where a run's time goes, told to others while it runs: a heartbeat in the run folder, and a warning when nothing moves.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::base::clock::since_1970;
use crate::base::input;
use crate::base::progress::human;
use crate::base::ranks::Ranks;
use crate::base::reading;

/// Name of the file that says how far a run is, in its folder.
const HEARTBEAT_FILE: &str = "heartbeat.json";
/// Time between two of its lives.
const INTERVAL: Duration = Duration::from_secs(5);

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It waits for the batch of the next step.
    Data,
    /// A step is computed.
    Device,
    /// A checkpoint, metrics or the model are written.
    Writing,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Data, Self::Device, Self::Writing];

    /// What a run does, for people.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Data => "waiting for data",
            Self::Device => "computing",
            Self::Writing => "writing",
        }
    }
}

/// How far a run is, as its process says every few seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// When, seconds since 1970.
    pub unix_time: u64,
    /// Steps done.
    pub step: u64,
    /// Steps per second of this process, its first step left out; none before its second.
    pub steps_per_second: Option<f64>,
    /// What it is doing.
    pub phase: Phase,
    /// For how long, seconds.
    pub phase_seconds: f64,
}

impl Heartbeat {
    /// The last one of the run in a folder; none where there is none, or where it is being written.
    pub fn read(folder: &Path) -> Option<Self> {
        let text = input::text(&folder.join(HEARTBEAT_FILE)).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// Seconds that a run has spent in each phase.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PhaseTimes {
    /// Waiting for batches.
    pub data: f64,
    /// Computing steps.
    pub device: f64,
    /// Writing.
    pub writing: f64,
}

/// Watches a run while it is trained.
#[derive(Debug)]
pub struct Watch {
    folder: PathBuf,
    ranks: Ranks,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The watch has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    since: Instant,
    spent: [Duration; Phase::ALL.len()],
    step: u64,
    /// When the last step was done, or the watch began.
    moved: Instant,
    /// When the first step of this process was done, and which one that was.
    first: Option<(Instant, u64)>,
    warned: bool,
    ended: bool,
}

impl Watch {
    /// Watches the run in a folder, which waits for data. Warns where no step is done for `patience`. Of several `ranks`
    /// the first has the heartbeat.
    pub fn start(folder: &Path, patience: Option<Duration>, ranks: Ranks) -> Self {
        let now = Instant::now();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                phase: Phase::Data,
                since: now,
                spent: Default::default(),
                step: 0,
                moved: now,
                first: None,
                warned: false,
                ended: false,
            }),
            ended: Condvar::new(),
        });
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            let path = ranks.is_first().then(|| folder.join(HEARTBEAT_FILE));
            let alone = ranks.is_alone();
            move || watch(&shared, path.as_deref(), patience, alone)
        });
        Self {
            folder: folder.to_owned(),
            ranks,
            shared,
            thread: Some(thread),
        }
    }

    /// The folder of the run.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The ranks that take its steps.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }

    /// The run begins, or goes on, after `step` steps.
    pub fn begin(&self, step: u64) {
        let mut state = self.shared.lock();
        (state.step, state.moved) = (step, Instant::now());
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.shared.lock().step
    }

    /// The run does something else now.
    pub fn enter(&self, phase: Phase) {
        self.shared.lock().enter(phase);
    }

    /// `step` steps are done.
    pub fn done(&self, step: u64) {
        let mut state = self.shared.lock();
        let now = Instant::now();
        if state.warned {
            tracing::info!(
                "step {step} is done after {}",
                human((now - state.moved).as_secs_f64())
            );
        }
        state.first.get_or_insert((now, step));
        (state.step, state.moved, state.warned) = (step, now, false);
    }

    /// Where the time has gone so far.
    pub fn times(&self) -> PhaseTimes {
        let mut state = self.shared.lock();
        let phase = state.phase;
        state.enter(phase);
        let [data, device, writing] = state.spent.map(|spent| spent.as_secs_f64());
        PhaseTimes {
            data,
            device,
            writing,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            // It never panics but for a lack of memory, and then there is nothing to say.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, phase: Phase) {
        let now = Instant::now();
        self.spent[self.phase as usize] += now - self.since;
        (self.phase, self.since) = (phase, now);
    }

    fn heartbeat(&self) -> Heartbeat {
        let rate = self.first.and_then(|(time, step)| {
            let steps = self.step.checked_sub(step).filter(|&steps| steps > 0)?;
            Some(steps as f64 / (self.moved - time).as_secs_f64())
        });
        Heartbeat {
            unix_time: since_1970().as_secs(),
            step: self.step,
            steps_per_second: rate.filter(|rate| rate.is_finite()),
            phase: self.phase,
            phase_seconds: self.since.elapsed().as_secs_f64(),
        }
    }

    /// What is to be said once where nothing has moved for long.
    fn complaint(&mut self, patience: Option<Duration>, alone: bool) -> Option<String> {
        let still = self.moved.elapsed();
        if self.warned || patience.is_none_or(|patience| still < patience) {
            return None;
        }
        self.warned = true;
        let file = match (self.phase, reading::longest()) {
            (Phase::Data, Some((path, time))) => {
                format!(
                    "; {} has been read for {}",
                    path.display(),
                    human(time.as_secs_f64())
                )
            }
            (Phase::Data, None) => {
                "; no file is being read: galaxies are being prepared".to_owned()
            }
            (Phase::Device, _) if !alone => {
                "; where another rank waits for data or has gone, this one waits for it".to_owned()
            }
            (Phase::Device, _) => "; a first step on a GPU compiles its kernels".to_owned(),
            (Phase::Writing, _) => "; the disk of the run folder is slow or gone".to_owned(),
        };
        Some(format!(
            "no step for {}: step {} is the last one done, and the run has been {} for {}{file}",
            human(still.as_secs_f64()),
            self.step,
            self.phase.label(),
            human(self.since.elapsed().as_secs_f64()),
        ))
    }
}

fn watch(shared: &Shared, path: Option<&Path>, patience: Option<Duration>, alone: bool) {
    let mut state = shared.lock();
    while !state.ended {
        let (heartbeat, complaint) = (state.heartbeat(), state.complaint(patience, alone));
        drop(state);
        if let Some(complaint) = complaint {
            tracing::warn!("{complaint}");
        }
        let text = serde_json::to_string(&heartbeat).expect("heartbeats are plain JSON");
        // Nothing depends on it: a disk that is full is for the checkpoint to say.
        if let Some(path) = path.filter(|path| input::metadata(path).is_ok() || !path.exists()) {
            let _ = fs::write(path, text + "\n");
        }
        state = shared
            .ended
            .wait_timeout_while(shared.lock(), INTERVAL, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}
