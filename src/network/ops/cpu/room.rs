//! Room for results, zeroed or copied into on all threads: to touch new memory takes longer than many an operation on it.

use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Numbers per task.
const BLOCK: usize = 1 << 16;

/// So many zeros.
pub(super) fn zeros(count: usize) -> Vec<f32> {
    written(count, |_, block| block.fill(MaybeUninit::new(0.0)))
}

/// The same numbers once more.
pub(super) fn copy(numbers: &[f32]) -> Vec<f32> {
    written(numbers.len(), |start, block| {
        block.write_copy_of_slice(&numbers[start..][..block.len()]);
    })
}

/// `count` numbers, of which `write` writes all of each block, given where it begins.
#[allow(unsafe_code)]
fn written(count: usize, write: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(count);
    let room = &mut numbers.spare_capacity_mut()[..count];
    match count <= BLOCK {
        true => write(0, room),
        false => room
            .par_chunks_mut(BLOCK)
            .enumerate()
            .for_each(|(index, block)| write(index * BLOCK, block)),
    }
    // SAFETY: there is room for `count` numbers, and both callers write every one of every block.
    unsafe { numbers.set_len(count) };
    numbers
}
