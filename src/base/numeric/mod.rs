//! Arithmetic on numbers in the host's memory, for whoever computes there: matrix products, elementary functions that run
//! on vectors, columns in standard units, symmetric matrices, principal components, Adam. It knows no tensor, no device and no galaxy.

mod adam;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod components;
mod functions;
mod lanes;
mod product;
mod standardizer;
mod symmetric;
mod vectorized;

pub use adam::{Adam, Parameter};
pub use components::{PrincipalComponents, binned, orthonormalize, standard_bins};
pub use functions::{asinh, exp, exp_negative, ln, median, normal};
pub use lanes::{largest, sum_of};
pub use product::{Factors, Product, matrix, matrix_mut, multiplies_bf16, strided, strided_mut};
pub use standardizer::Standardizer;
pub use symmetric::{eigen, solve};
pub(crate) use vectorized::vectorized;
