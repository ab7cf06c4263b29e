//! Loops over `f32` slices. They are written so that the compiler vectorizes them; `vectorized!`
//! compiles them for the processor's widest vectors.

/// Defines a function whose body is compiled for several sets of vector instructions; a call runs the
/// one for the widest vectors that the processor has. What the body calls must be `#[inline(always)]`
/// to be compiled along.
macro_rules! vectorized {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident<$life:lifetime>($($argument:ident: $type:ty),* $(,)?) $(-> $output:ty)? $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name<$life>($($argument: $type),*) $(-> $output)? {
            struct Task<$life> {
                $($argument: $type),*
            }
            impl<$life> pulp::NullaryFnOnce for Task<$life> {
                type Output = vectorized!(@output $($output)?);

                #[inline(always)]
                fn call(self) -> Self::Output {
                    let Self { $($argument),* } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Task { $($argument),* })
        }
    };
    (@output) => { () };
    (@output $output:ty) => { $output };
}

pub(super) mod attention;
pub(super) mod gelu;
pub(super) mod layer_norm;
pub(super) mod linear;
mod math;
mod matrix;
pub(super) mod mlp;
