//! Matrix products of factors in bf16, summed in `f32`, on x86-64 processors with AVX512-BF16.
//!
//! Both factors are rounded to nearest, ties to even, and put in the order in which tiles read them: the right one whole,
//! the left one in blocks of rows. Every number of the product is one chain of sums along the inner axis, so that its bits
//! depend neither on threads nor on blocks. The instruction takes subnormal numbers for zero, and gives zero for them.

#![allow(unsafe_code)]

mod kernels;

use std::cell::RefCell;
use std::thread::LocalKey;

use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::product::{Base, Factor};
use kernels::{COLUMNS, Factors, Numbers, Pair, ROWS, Rows, Source};

/// Inner numbers that are multiplied at a time: a panel and a block of rows then stay in the second cache.
const DEPTH: usize = 2048;
/// Rows of a block.
const BLOCK: usize = 8 * ROWS;
/// Panels that a task at least takes, so that it reads rows of some length.
const PANELS: usize = 4;
/// From a row of pairs of the left factor to the next: not a power of two, whose rows would meet in the cache.
const LEFT_STRIDE: usize = DEPTH / 2 + CACHE_LINE;
/// Pairs of a cache line.
const CACHE_LINE: usize = 16;
/// Room for a factor that a thread keeps for its next product, cache lines: 32 MiB.
const KEPT: usize = 1 << 19;

/// Whether the processor has the instructions.
pub fn available() -> bool {
    std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vl")
        && std::arch::is_x86_feature_detected!("avx512bf16")
}

impl Factor<'_> {
    /// The matrix, whose lines lie along its axis `inner`, and its size along `(inner, outer)`.
    fn source(&self, inner: usize) -> (Source, (usize, usize)) {
        let (start, strides, sizes) = match self {
            Self::F32(view) => (Numbers::F32(view.as_ptr()), view.strides(), view.shape()),
            Self::Bf16(view) => (
                Numbers::Bf16(view.as_ptr().cast()),
                view.strides(),
                view.shape(),
            ),
        };
        let outer = 1 - inner;
        // The stride along an axis of one number says nothing.
        let stride = |axis: usize| match sizes[axis] {
            0 | 1 => 1,
            _ => strides[axis],
        };
        let source = Source {
            start,
            inner: stride(inner),
            outer: stride(outer),
        };
        (source, (sizes[inner], sizes[outer]))
    }
}

/// Writes `scale` times `left` `(rows, inner)` times `right` `(inner, columns)`, and `base`, to `output`, whose columns lie
/// side by side and which is not empty; each factor has a stride of one. On the calling thread, or on all of rayon's.
///
/// # Panics
///
/// Where sizes disagree, or strides are others, or the processor has not the instructions.
pub(super) fn multiply(
    (left, right): (ArrayView2<'_, f32>, Factor<'_>),
    scale: f32,
    base: Base<'_>,
    mut output: ArrayViewMut2<'_, f32>,
    parallel: bool,
) {
    assert!(available());
    let (rows, columns) = output.dim();
    let ((left, left_size), (right, right_size)) = (Factor::F32(left).source(1), right.source(0));
    assert_eq!(
        (left_size, right_size),
        ((right_size.0, rows), (left_size.0, columns))
    );
    let has_unit_stride = |source: Source| source.inner == 1 || source.outer == 1;
    assert!(has_unit_stride(left) && has_unit_stride(right));
    assert!(columns <= 1 || output.strides()[1] == 1);
    assert!(rows <= 1 || output.strides()[0] >= columns as isize);
    if let Base::Row(row) = base {
        assert_eq!(row.len(), columns);
    }
    let panels = columns.div_ceil(COLUMNS);
    let panel = left_size.0.div_ceil(2) * COLUMNS;
    with_room(&RIGHT, panels * panel, |packed| {
        let product = Tiles {
            left,
            scale,
            packed: Shared(packed),
            base,
            output: Shared(output.as_mut_ptr()),
            stride: output.strides()[0].unsigned_abs(),
            size: (rows, left_size.0, columns),
        };
        let pack = |first: usize| {
            let count = (columns - first * COLUMNS).min(PANELS * COLUMNS);
            // SAFETY: the instructions are there; the lines are those of the factor, and each task has panels of its own.
            unsafe {
                let source = right.from((0, first * COLUMNS));
                let to = product.packed.at(first * panel);
                kernels::pack_panels(source, (left_size.0, count), to);
            }
        };
        let blocks = rows.div_ceil(BLOCK);
        if !parallel {
            (0..panels).step_by(PANELS).for_each(pack);
            (0..blocks).for_each(|block| product.compute(block, (0, panels)));
            return;
        }
        (0..panels).into_par_iter().step_by(PANELS).for_each(pack);
        // Enough tasks for all threads; a block of rows is put in order once for each that shares it.
        let shares = (4 * rayon::current_num_threads()).div_ceil(blocks);
        let share = panels.div_ceil(shares).max(PANELS);
        let shares = panels.div_ceil(share);
        (0..blocks * shares).into_par_iter().for_each(|task| {
            let first = task % shares * share;
            product.compute(task / shares, (first, (first + share).min(panels)));
        });
    });
}

/// A product whose right factor is in order.
struct Tiles<'a> {
    left: Source,
    scale: f32,
    packed: Shared<Pair>,
    base: Base<'a>,
    output: Shared<f32>,
    stride: usize,
    /// Rows, inner numbers, columns.
    size: (usize, usize, usize),
}

impl Tiles<'_> {
    /// The numbers of one block of rows in the panels from the first to before the second.
    fn compute(&self, block: usize, (first_panel, last_panel): (usize, usize)) {
        let (rows, inner, columns) = self.size;
        let panel = inner.div_ceil(2) * COLUMNS;
        let first_row = block * BLOCK;
        let rows = (rows - first_row).min(BLOCK);
        with_room(&LEFT, BLOCK * LEFT_STRIDE, |left| {
            // Without inner numbers, too, the base is written.
            for done in (0..inner.max(1)).step_by(DEPTH) {
                let depth = (inner - done).min(DEPTH);
                // SAFETY: the instructions are there, as asserted; the block is within the factor, and the room holds it.
                unsafe {
                    let source = self.left.from((done, first_row));
                    kernels::pack_rows(source, (depth, rows), self.scale, left, LEFT_STRIDE);
                }
                for index in first_panel..last_panel {
                    let column = index * COLUMNS;
                    let right = self.packed.at(index * panel + done / 2 * COLUMNS);
                    for row in (0..rows).step_by(ROWS) {
                        let factors = Factors {
                            left: left.wrapping_add(row * LEFT_STRIDE),
                            left_stride: LEFT_STRIDE,
                            right,
                            pairs: depth.div_ceil(2),
                        };
                        let size = ((rows - row).min(ROWS), (columns - column).min(COLUMNS));
                        self.write(factors, (first_row + row, column), size, done > 0);
                    }
                }
            }
        });
    }

    /// The tile of `size` at `(row, column)`.
    fn write(
        &self,
        factors: Factors,
        (row, column): (usize, usize),
        size: (usize, usize),
        is_begun: bool,
    ) {
        let output = Rows {
            start: self.output.at(row * self.stride + column),
            stride: self.stride,
        };
        let base = match self.base {
            Base::Row(numbers) if !is_begun => Some(Rows {
                start: numbers[column..].as_ptr(),
                stride: 0,
            }),
            Base::Nothing if !is_begun => None,
            _ => Some(Rows {
                start: output.start.cast_const(),
                stride: output.stride,
            }),
        };
        // SAFETY: the instructions are there, as asserted; the factors are in order, and the tile is within the output,
        // which is borrowed exclusively, and which no other task writes there.
        unsafe { kernels::multiply(factors, size, base, output) }
    }
}

/// Memory that several tasks write, each its own part.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

impl<T> Shared<T> {
    fn at(self, offset: usize) -> *mut T {
        self.0.wrapping_add(offset)
    }
}

// SAFETY: tasks write parts that do not overlap.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

/// Room for factors, in cache lines.
type Room = RefCell<Vec<Line>>;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
#[expect(dead_code, reason = "room, which is written through a pointer")]
struct Line([Pair; CACHE_LINE]);

thread_local! {
    static LEFT: Room = const { RefCell::new(Vec::new()) };
    static RIGHT: Room = const { RefCell::new(Vec::new()) };
}

/// Calls `use_room` with room for so many pairs. A thread keeps it, and has none while it is in use: a thread that waits for
/// others may take up another product.
fn with_room(room: &'static LocalKey<Room>, pairs: usize, use_room: impl FnOnce(*mut Pair)) {
    let mut lines = room.take();
    let count = pairs.div_ceil(CACHE_LINE);
    if lines.len() < count {
        lines = vec![Line([0; CACHE_LINE]); count];
    }
    use_room(lines.as_mut_ptr().cast());
    if lines.len() <= KEPT {
        room.replace(lines);
    }
}

#[cfg(test)]
mod tests;
