//! The ground floor, which knows no galaxy: errors, files that are read and files that appear whole, signals, locks, random
//! numbers, progress, the log, the clock, commands for people, memory, devices, ranks, shards, arithmetic.

pub(crate) mod clock;
pub mod device;
pub mod error;
pub(crate) mod input;
pub(crate) mod interrupt;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod numeric;
pub(crate) mod output;
pub(crate) mod progress;
pub mod random;
pub mod ranks;
pub(crate) mod reading;
pub mod shard;
pub(crate) mod shell;
pub mod terminal;
