//! Loops compiled for the processor's widest vectors.

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
                type Output = $crate::base::numeric::vectorized!(@output $($output)?);

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

pub(crate) use vectorized;
