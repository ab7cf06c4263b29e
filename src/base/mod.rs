//! The ground floor, which knows no galaxy: errors, files that appear whole, random numbers, progress, the log,
//! devices, arithmetic.

pub mod device;
pub mod error;
pub(crate) mod interrupt;
pub(crate) mod lock;
pub(crate) mod log;
pub(crate) mod numeric;
pub(crate) mod output;
pub(crate) mod progress;
pub mod random;
pub(crate) mod reading;
pub(crate) mod terminal;
