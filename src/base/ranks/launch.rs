//! What a launcher says to the processes that it starts.

use std::env::var;

/// How the launchers call it: who they are; rank, number of ranks and rank on this machine.
const LAUNCHERS: [(&str, [&str; 3]); 5] = [
    (
        "mpirun",
        [
            "OMPI_COMM_WORLD_RANK",
            "OMPI_COMM_WORLD_SIZE",
            "OMPI_COMM_WORLD_LOCAL_RANK",
        ],
    ),
    ("mpirun", ["PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"]),
    // Not SLURM_NTASKS, which a batch script has too, outside `srun`.
    (
        "srun",
        ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"],
    ),
    ("the launcher", ["RANK", "WORLD_SIZE", "LOCAL_RANK"]),
    (
        "the launcher",
        ["PMIX_RANK", "PMIX_SIZE", "PMIX_LOCAL_RANK"],
    ),
];

/// What this process was told by its launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launched {
    /// Who launched it, for people.
    pub by: &'static str,
    /// Its rank.
    pub rank: usize,
    /// Number of ranks, where the launcher says it.
    pub size: Option<usize>,
    /// Its rank among those on this machine, where the launcher says it.
    pub local: Option<usize>,
}

impl Launched {
    /// What the environment says; none for a process that was started by itself.
    pub fn here() -> Option<Self> {
        Self::from(|name| var(name).ok())
    }

    fn from(value: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name: &str| value(name)?.trim().parse::<usize>().ok();
        let told = LAUNCHERS.iter().filter_map(|&(by, [rank, size, local])| {
            Some(Self {
                by,
                rank: number(rank)?,
                size: number(size),
                local: number(local),
            })
        });
        // A batch script knows a rank but no step; PMIx says no size.
        let told: Vec<Self> = told.collect();
        let sized = told.iter().find(|launched| launched.size.is_some());
        let pmix = told.iter().find(|_| value("PMIX_RANK").is_some());
        sized.or(pmix).copied()
    }

    /// Whether several processes were launched and this one is not the first of them.
    pub fn is_follower(&self) -> bool {
        self.rank > 0 && self.size.is_none_or(|size| size > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Launched;

    fn told(environment: &[(&str, &str)]) -> Option<Launched> {
        Launched::from(|name| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn ranks_are_what_the_launcher_says() {
        let step = [
            ("SLURM_PROCID", "5"),
            ("SLURM_STEP_NUM_TASKS", "16"),
            ("SLURM_LOCALID", "1"),
        ];
        let launched = told(&step).expect("a step");
        assert_eq!((launched.by, launched.rank), ("srun", 5));
        assert_eq!((launched.size, launched.local), (Some(16), Some(1)));
        assert!(launched.is_follower());
        // `mpirun` within an allocation knows better than the allocation.
        let nested = [
            &step[..],
            &[("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "4")],
        ];
        let launched = told(&nested.concat()).expect("ranks");
        assert_eq!(
            (launched.by, launched.rank, launched.size),
            ("mpirun", 0, Some(4))
        );
        assert!(!launched.is_follower());
    }

    #[test]
    fn a_batch_script_and_a_shell_have_no_ranks() {
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "16")]), None);
        let pmix = told(&[("PMIX_RANK", "2")]).expect("a rank");
        assert_eq!((pmix.rank, pmix.size), (2, None));
    }
}
