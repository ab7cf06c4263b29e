//! Ranks that talk by MPI.

use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::environment::{Universe, library_version};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives};
use mpi::{Count, Threading, initialize_with_threading};

use super::Collective;
use crate::base::error::{Error, Result};

/// All processes of an MPI job. MPI ends with it.
pub(super) struct Mpi {
    universe: Universe,
}

impl Mpi {
    /// Joins the job that the launcher of this process has started.
    ///
    /// # Errors
    ///
    /// Where it was joined before.
    pub(super) fn start() -> Result<Self> {
        // One thread of several talks.
        match initialize_with_threading(Threading::Funneled) {
            Some((universe, _)) => Ok(Self { universe }),
            None => Err(Error::run("MPI was started twice")),
        }
    }

    fn world(&self) -> SimpleCommunicator {
        self.universe.world()
    }
}

/// Which MPI this is, for people.
pub(super) fn version() -> String {
    let version = library_version().unwrap_or_default();
    let end = version.find([',', '\n', '\0']).unwrap_or(version.len());
    version[..end].trim().to_owned()
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mpi({} of {})", self.rank(), self.size())
    }
}

impl Collective for Mpi {
    fn rank(&self) -> usize {
        self.world().rank() as usize
    }

    fn size(&self) -> usize {
        self.world().size() as usize
    }

    fn sum(&self, values: &mut [f32]) {
        let own = values.to_vec();
        let sum = SystemOperation::sum();
        self.world().all_reduce_into(&own[..], values, sum);
    }

    fn exchange(&self, parts: &[u8]) -> Vec<u8> {
        let mut given = vec![0; parts.len()];
        self.world().all_to_all_into(parts, &mut given[..]);
        given
    }

    fn gather(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let world = self.world();
        let own = Count::try_from(bytes.len()).expect("ranks gather less than 2 GiB");
        let mut counts = vec![0 as Count; self.size()];
        world.all_gather_into(&own, &mut counts[..]);
        let starts: Vec<Count> = counts
            .iter()
            .scan(0, |next, &count| {
                let start = *next;
                *next += count;
                Some(start)
            })
            .collect();
        // An empty vector without room is at address 1, which to Open MPI says "in place".
        let mut sent = Vec::with_capacity(bytes.len() + 1);
        sent.extend_from_slice(bytes);
        let total = counts.iter().map(|&count| count as usize).sum();
        let mut all = Vec::with_capacity(total + 1);
        all.resize(total, 0_u8);
        {
            let mut parts = PartitionMut::new(&mut all[..], counts.clone(), starts);
            world.all_gather_varcount_into(&sent[..], &mut parts);
        }
        let mut rest = &all[..];
        let take = |count: Count| {
            let (part, after) = rest.split_at(count as usize);
            rest = after;
            part.to_vec()
        };
        counts.into_iter().map(take).collect()
    }

    fn abort(&self, code: u8) -> ! {
        self.world().abort(i32::from(code))
    }
}

impl Drop for Mpi {
    fn drop(&mut self) {
        // The end of MPI waits for all ranks, and these wait for one that fell.
        if std::thread::panicking() {
            self.world().abort(101);
        }
    }
}
