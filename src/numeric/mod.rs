//! Arithmetic on numbers in the host's memory, for whoever computes there: matrix products and elementary functions that run
//! on vectors. It knows no tensor, no device and no galaxy.

mod functions;
mod lanes;
mod product;
mod vectorized;

pub use functions::{asinh, exp, exp_negative, ln, normal};
pub use lanes::{largest, sum_of};
pub use product::{Product, matrix, matrix_mut, strided, strided_mut};
pub(crate) use vectorized::vectorized;
