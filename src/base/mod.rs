//! The ground floor, which knows no galaxy: errors, files that appear whole, random numbers, progress, devices,
//! arithmetic.

pub mod device;
pub mod error;
pub mod numeric;
pub mod output;
pub mod progress;
pub mod random;
