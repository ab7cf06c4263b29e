//! Matrix products: burn's own, but for the order in which a gradient lies.

use burn::backend::Flex;
use burn::backend::ops::FloatTensorOps;
use burn_flex::FlexTensor;

use crate::network::ops::product::ProductOps;

impl ProductOps for Flex {
    /// Of a factor that is the transpose of what lies in memory, the gradient is a transpose, too: whoever holds the factor
    /// reads it as it lies.
    fn product_rhs_gradient(lhs: FlexTensor, rhs: FlexTensor, grad: FlexTensor) -> FlexTensor {
        match rhs.is_contiguous() {
            true => Self::float_matmul(Self::float_transpose(lhs), grad),
            false => {
                let transposed = Self::float_matmul(Self::float_transpose(grad), lhs);
                Self::float_transpose(transposed)
            }
        }
    }
}
