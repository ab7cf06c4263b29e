//! The ground floor, which knows no galaxy: errors, files that are read and files that appear whole, random numbers,
//! progress, memory, devices, arithmetic.

pub mod device;
pub mod error;
pub(crate) mod input;
pub(crate) mod memory;
pub(crate) mod numeric;
pub(crate) mod output;
pub(crate) mod progress;
pub mod random;
pub(crate) mod terminal;
