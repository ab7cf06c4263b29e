//! Processes that train one model together, each of them a rank: what they tell each other.

mod launch;
#[cfg(feature = "mpi")]
mod mpi;
mod tensors;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::base::error::{Error, Result};
use crate::base::interrupt::{Request, requested};
use crate::base::lock::host;

pub use launch::Launched;
pub use tensors::TensorCollective;
use tensors::ThroughHost;

/// How ranks talk. Every rank calls the same functions in the same order, from one thread.
pub trait Collective: Debug + Send + Sync {
    /// Which of the ranks this is, from 0.
    fn rank(&self) -> usize;

    /// Number of ranks.
    fn size(&self) -> usize;

    /// Replaces values by their sums over the ranks: the same bits on all of them. All give as many.
    fn sum(&self, values: &mut [f32]);

    /// Gives each rank its part, of as many equal parts as there are ranks; returns the parts that are this rank's, one
    /// after the other in the order of the ranks. All give as much.
    fn exchange(&self, parts: &[u8]) -> Vec<u8>;

    /// What all ranks give, each as much as it likes, in the order of the ranks.
    fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>>;

    /// Ends the processes of all ranks with an exit code.
    fn abort(&self, code: u8) -> !;
}

/// Which of so many ranks a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// Counted from 0.
    pub rank: usize,
    /// Number of ranks, 1 or more.
    pub size: usize,
}

impl Default for Seat {
    fn default() -> Self {
        Self { rank: 0, size: 1 }
    }
}

impl Seat {
    /// The part of a batch that is this rank's; the ranks share it evenly.
    pub fn share(self, batch: usize) -> Range<usize> {
        let own = batch / self.size;
        self.rank * own..(self.rank + 1) * own
    }

    /// The part that is this rank's, where that has `own` galaxies, of the batch of all ranks.
    pub fn place(self, own: usize) -> Range<usize> {
        self.share(own * self.size)
    }
}

/// The ranks of a run, this process among them.
#[derive(Debug, Clone, Default)]
pub struct Ranks {
    seat: Seat,
    /// None for a process that is alone.
    engines: Option<Engines>,
}

/// How ranks talk.
#[derive(Debug, Clone)]
struct Engines {
    host: Arc<dyn Collective>,
    tensors: Arc<dyn TensorCollective>,
}

impl Ranks {
    /// A process that is alone: nothing is sent, and nothing copied.
    pub fn alone() -> Self {
        Self::default()
    }

    /// Ranks that talk by `engine`, of tensors too.
    pub fn by(engine: Arc<dyn Collective>) -> Self {
        let (rank, size) = (engine.rank(), engine.size());
        let engines = || Engines {
            tensors: Arc::new(ThroughHost::by(Arc::clone(&engine))),
            host: engine,
        };
        Self {
            seat: Seat { rank, size },
            engines: (size > 1).then(engines),
        }
    }

    /// The same ranks with another engine for tensors.
    pub fn exchanging(mut self, tensors: Arc<dyn TensorCollective>) -> Self {
        if let Some(engines) = &mut self.engines {
            engines.tensors = tensors;
        }
        self
    }

    /// The ranks that the launcher of this process (`srun`, `mpirun`) has started, or this process alone.
    ///
    /// # Errors
    ///
    /// Where a launcher has started several processes that cannot talk to each other.
    pub fn launched() -> Result<Self> {
        match Launched::here() {
            // One process has nobody to talk to, and its launcher need not know MPI.
            Some(Launched { size: Some(1), .. }) | None => Ok(Self::alone()),
            Some(launched) => connect(launched),
        }
    }

    /// Which of them this is.
    pub fn seat(&self) -> Seat {
        self.seat
    }

    /// Number of ranks.
    pub fn size(&self) -> usize {
        self.seat.size
    }

    /// Whether there are no others.
    pub fn is_alone(&self) -> bool {
        self.engines.is_none()
    }

    /// Whether this rank writes and speaks for all.
    pub fn is_first(&self) -> bool {
        self.seat.rank == 0
    }

    /// Replaces values by their sums over the ranks: the same bits on all of them.
    pub fn sum(&self, values: &mut [f32]) {
        if let Some(Engines { host, .. }) = &self.engines {
            host.sum(values);
        }
    }

    /// [`TensorCollective::sum`]; of a process that is alone the tensor itself.
    pub fn sum_tensor(&self, own: Tensor<1>, in_bf16: bool) -> Tensor<1> {
        let Some(Engines { tensors, .. }) = &self.engines else {
            return own;
        };
        let kind = if in_bf16 { "bf16" } else { "f32" };
        tracing::trace!("sum of {} {kind}", own.dims()[0]);
        tensors.sum(own, in_bf16)
    }

    /// [`TensorCollective::gather`]; of a process that is alone the tensor itself.
    pub fn gather_tensor(&self, own: Tensor<1>, counts: &[usize]) -> Tensor<1> {
        let Some(Engines { tensors, .. }) = &self.engines else {
            return own;
        };
        tracing::trace!("gather of {counts:?} f32");
        tensors.gather(own, counts)
    }

    /// What all ranks give, in the order of the ranks.
    pub fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        match &self.engines {
            Some(Engines { host, .. }) => host.gather(bytes),
            None => vec![bytes.to_vec()],
        }
    }

    /// A number of each rank, in the order of the ranks.
    pub fn numbers(&self, own: f64) -> Vec<f64> {
        let number = |bytes: Vec<u8>| {
            let bytes = bytes.try_into().expect("every rank gives one number");
            f64::from_le_bytes(bytes)
        };
        let all = self.gather(&own.to_le_bytes()).into_iter();
        all.map(number).collect()
    }

    /// The signal that asked any rank for a stop, once one has, and what the first says of whether something is `due`: the
    /// same answers on all of them.
    pub fn agree_on_next(&self, due: bool) -> (Option<Request>, bool) {
        let here = requested();
        if self.is_alone() {
            return (here, due);
        }
        let signal = here.map_or(0, |Request(signal)| signal);
        let own = (signal, due);
        let own = serde_json::to_vec(&own).expect("numbers are plain JSON");
        let all: Vec<(i32, bool)> = (self.gather(&own).iter())
            .map(|other| serde_json::from_slice(other).expect("ranks of one program"))
            .collect();
        let signal = all.iter().map(|(signal, _)| *signal).max();
        let signal = signal.filter(|signal| *signal > 0);
        (signal.map(Request), all[0].1)
    }

    /// Waits until all ranks are here.
    pub fn wait(&self) {
        if let Some(Engines { host, .. }) = &self.engines {
            host.gather(&[]);
        }
    }

    /// Checks that all ranks have the same of each thing that is named.
    ///
    /// # Errors
    ///
    /// [`Error::input`] on all ranks, with the rank that differs from the first, its machine, and in what.
    pub fn agree(&self, things: &[(&str, String)]) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let own: Vec<&str> = things.iter().map(|(_, value)| value.as_str()).collect();
        let own = serde_json::to_vec(&(host(), own)).expect("text is plain JSON");
        let all: Vec<(String, Vec<String>)> = (self.gather(&own).iter())
            .map(|other| serde_json::from_slice(other).expect("ranks of one program"))
            .collect();
        let (first_host, first) = &all[0];
        let differs = |(rank, (host, values)): (usize, &(String, Vec<String>))| {
            let place = (0..things.len()).find(|&place| values.get(place) != first.get(place))?;
            let value = |values: &[String]| values.get(place).cloned().unwrap_or_default();
            Some(format!(
                "rank {rank} on {host} has another {} than rank 0 on {first_host}: {} there, {} here",
                things[place].0,
                value(values),
                value(first)
            ))
        };
        let faults: Vec<String> = all.iter().enumerate().filter_map(differs).collect();
        match faults.is_empty() {
            true => Ok(()),
            false => Err(Error::input(format!(
                "{}; all ranks need the same program, run file, data and models",
                faults.join("; ")
            ))),
        }
    }

    /// Checks that no two ranks have the same of something; those that have none give nothing.
    ///
    /// # Errors
    ///
    /// [`Error::input`] on all ranks, with the first two that have the same.
    pub fn differ(&self, what: &str, own: &str) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let all = self.gather(own.as_bytes());
        for (rank, thing) in all
            .iter()
            .enumerate()
            .filter(|(_, thing)| !thing.is_empty())
        {
            if let Some(other) = all[..rank].iter().position(|other| other == thing) {
                return Err(Error::input(format!(
                    "ranks {other} and {rank} both ask for the {what} {}; start as many ranks on a machine as it has, and \
                     leave --device out",
                    String::from_utf8_lossy(thing)
                )));
            }
        }
        Ok(())
    }

    /// What a rank objects to, with its name and machine, on all of them; of several the first is heard.
    pub fn objection(&self, own: Option<&str>) -> Option<String> {
        let own = own.map(|why| format!("{}: {why}", self.place()));
        let own = own.unwrap_or_default();
        let mut all = self.gather(own.as_bytes()).into_iter();
        let first = all.find(|why| !why.is_empty())?;
        Some(String::from_utf8_lossy(&first).into_owned())
    }

    fn place(&self) -> String {
        format!("rank {} on {}", self.seat.rank, host())
    }

    /// Says what has failed, and ends the processes of all ranks: they would wait for this one.
    pub fn fail(&self, what: &str) -> ! {
        let what = format!("{}: {what}", self.place());
        tracing::error!("{what}");
        self.abort(1);
        panic!("{what}")
    }

    /// Ends the processes of all ranks with an exit code; returns where this process is alone.
    pub fn abort(&self, code: u8) {
        if let Some(Engines { host, .. }) = &self.engines {
            host.abort(code);
        }
    }
}

#[cfg(feature = "mpi")]
fn connect(launched: Launched) -> Result<Ranks> {
    let engine = mpi::Mpi::start()?;
    match (launched.size, engine.size()) {
        (Some(started), 1) if started > 1 => Err(Error::input(format!(
            "{} has started {started} processes, but MPI sees one of them alone: the program was built with another MPI \
             than that of the launcher. Start it by the mpirun of {}, or by `srun --mpi=pmix`",
            launched.by,
            mpi::version()
        ))),
        _ => Ok(Ranks::by(Arc::new(engine))),
    }
}

#[cfg(not(feature = "mpi"))]
fn connect(launched: Launched) -> Result<Ranks> {
    match launched.size {
        Some(started) if started > 1 => Err(Error::input(format!(
            "{} has started {started} processes to train together, but this program was built without MPI: build it with \
             `cargo build --release --features mpi`, or start one process",
            launched.by
        ))),
        _ => Ok(Ranks::alone()),
    }
}
