//! Factors in bf16 as the processor's instruction wants them, and a tile of the product (AVX512-BF16).

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, __mmask16, _mm256_maskz_loadu_epi16, _mm256_setzero_si256,
    _mm512_castsi256_si512, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_inserti64x4,
    _mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_epi16, _mm512_maskz_loadu_ps,
    _mm512_mul_ps, _mm512_permutexvar_epi16, _mm512_set_epi16, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

/// `f32` numbers in a vector.
const LANES: usize = 16;
/// Vectors across a tile.
const VECTORS: usize = 4;
/// Columns of a tile, and so of a panel of the right factor.
pub const COLUMNS: usize = LANES * VECTORS;
/// Rows of a tile: with `VECTORS`, as many sums as registers hold beside the factors.
pub const ROWS: usize = 6;

/// Two numbers in bf16 that follow each other along the inner axis, which is multiplied away; the first in the low half.
pub type Pair = u32;

/// Where the numbers of a matrix begin.
#[derive(Clone, Copy)]
pub enum Numbers {
    /// Numbers that are to be rounded.
    F32(*const f32),
    /// Numbers in bf16.
    Bf16(*const u16),
}

/// A factor with any strides, counted in numbers.
#[derive(Clone, Copy)]
pub struct Source {
    /// The first number.
    pub start: Numbers,
    /// From a number to the next along the inner axis.
    pub inner: isize,
    /// From a line along the inner axis to the next.
    pub outer: isize,
}

// SAFETY: a source is only read, by callers that hold the matrix that it points into.
unsafe impl Send for Source {}
// SAFETY: as above.
unsafe impl Sync for Source {}

impl Source {
    /// The part that begins at `(inner, outer)`.
    #[inline(always)]
    pub fn from(self, (inner, outer): (usize, usize)) -> Self {
        let offset = inner as isize * self.inner + outer as isize * self.outer;
        let start = match self.start {
            Numbers::F32(start) => Numbers::F32(start.wrapping_offset(offset)),
            Numbers::Bf16(start) => Numbers::Bf16(start.wrapping_offset(offset)),
        };
        Self { start, ..self }
    }
}

/// The first `count` lanes.
#[inline(always)]
fn lanes(count: usize) -> __mmask16 {
    match count < LANES {
        true => (1 << count) - 1,
        false => !0,
    }
}

/// The first `count` of 32 numbers in bf16.
#[inline(always)]
fn halves(count: usize) -> u32 {
    match count < 2 * LANES {
        true => (1 << count) - 1,
        false => !0,
    }
}

/// Rows become columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(rows: &mut [__m512i; LANES]) {
    let mut twos = [_mm512_setzero_si512(); LANES];
    for i in 0..8 {
        twos[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        twos[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // Of four rows each: column 4 q + j in quarter q of vector j.
    let mut fours = [_mm512_setzero_si512(); LANES];
    for i in (0..LANES).step_by(4) {
        for j in 0..2 {
            fours[i + 2 * j] = _mm512_unpacklo_epi64(twos[i + j], twos[i + j + 2]);
            fours[i + 2 * j + 1] = _mm512_unpackhi_epi64(twos[i + j], twos[i + j + 2]);
        }
    }
    for j in 0..4 {
        // Quarters 0 and 2, then 1 and 3, of the first eight rows and of the others.
        let even = _mm512_shuffle_i32x4::<0x88>(fours[j], fours[4 + j]);
        let even_below = _mm512_shuffle_i32x4::<0x88>(fours[8 + j], fours[12 + j]);
        let odd = _mm512_shuffle_i32x4::<0xdd>(fours[j], fours[4 + j]);
        let odd_below = _mm512_shuffle_i32x4::<0xdd>(fours[8 + j], fours[12 + j]);
        rows[j] = _mm512_shuffle_i32x4::<0x88>(even, even_below);
        rows[4 + j] = _mm512_shuffle_i32x4::<0x88>(odd, odd_below);
        rows[8 + j] = _mm512_shuffle_i32x4::<0xdd>(even, even_below);
        rows[12 + j] = _mm512_shuffle_i32x4::<0xdd>(odd, odd_below);
    }
}

/// Two vectors times `scale`, rounded to nearest, ties to even: the first in the lower half.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn round(first: __m512, second: __m512, scale: f32) -> __m512i {
    let scale = _mm512_set1_ps(scale);
    let rounded = _mm512_cvtne2ps_pbh(_mm512_mul_ps(second, scale), _mm512_mul_ps(first, scale));
    // SAFETY: both are 512 bits without invalid values.
    unsafe { std::mem::transmute::<__m512bh, __m512i>(rounded) }
}

/// Up to 32 numbers that lie side by side, as pairs, zeros after them.
///
/// # Safety
///
/// `count` numbers from `start` are readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn along(start: Numbers, count: usize, scale: f32) -> __m512i {
    // SAFETY: the masks leave out what is after `count`.
    unsafe {
        match start {
            Numbers::F32(start) => {
                let first = _mm512_maskz_loadu_ps(lanes(count), start);
                let mask = lanes(count.saturating_sub(LANES));
                let second = _mm512_maskz_loadu_ps(mask, start.wrapping_add(LANES));
                round(first, second, scale)
            }
            Numbers::Bf16(start) => _mm512_maskz_loadu_epi16(halves(count), start.cast()),
        }
    }
}

/// Pairs of up to 16 numbers of the row that begins at `first` and of the row `next` numbers after it; without that, zeros.
///
/// # Safety
///
/// `count` numbers from the start of each are readable.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn across(first: Numbers, next: Option<isize>, count: usize, scale: f32) -> __m512i {
    let mask = lanes(count);
    // SAFETY: the masks leave out what is after `count`.
    let rows = unsafe {
        match first {
            Numbers::F32(first) => {
                let second = match next {
                    Some(next) => _mm512_maskz_loadu_ps(mask, first.wrapping_offset(next)),
                    None => _mm512_setzero_ps(),
                };
                round(_mm512_maskz_loadu_ps(mask, first), second, scale)
            }
            Numbers::Bf16(first) => {
                let second = match next {
                    Some(next) => {
                        _mm256_maskz_loadu_epi16(mask, first.wrapping_offset(next).cast())
                    }
                    None => _mm256_setzero_si256(),
                };
                let first = _mm256_maskz_loadu_epi16(mask, first.cast());
                _mm512_inserti64x4::<1>(_mm512_castsi256_si512(first), second)
            }
        }
    };
    let order = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
        19, 3, 18, 2, 17, 1, 16, 0,
    );
    _mm512_permutexvar_epi16(order, rows)
}

/// What the vectors of a block of pairs are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Vectors {
    /// Lines, of sixteen pairs each.
    Lines,
    /// Pairs, of sixteen lines each.
    Pairs,
}

/// The first 16 lines of 32 numbers of `source`, which has `(inner, outer)`, rounded; zeros after them.
///
/// # Safety
///
/// `source` is readable within its size.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn block(
    source: Source,
    (inner, outer): (usize, usize),
    scale: f32,
    vectors: Vectors,
) -> [__m512i; LANES] {
    let mut block = [_mm512_setzero_si512(); LANES];
    let (inner, outer) = (inner.min(2 * LANES), outer.min(LANES));
    let comes_as;
    if source.outer == 1 && source.inner != 1 {
        comes_as = Vectors::Pairs;
        for (index, pair) in block[..inner.div_ceil(2)].iter_mut().enumerate() {
            let next = (2 * index + 1 < inner).then_some(source.inner);
            // SAFETY: both rows are within the source.
            *pair = unsafe { across(source.from((2 * index, 0)).start, next, outer, scale) };
        }
    } else {
        comes_as = Vectors::Lines;
        for (index, line) in block[..outer].iter_mut().enumerate() {
            // SAFETY: the line is within the source.
            *line = unsafe { along(source.from((0, index)).start, inner, scale) };
        }
    }
    if comes_as != vectors {
        transpose(&mut block);
    }
    block
}

/// Visits blocks of 32 inner numbers of 16 lines in the order in which they lie in memory.
fn each_block(source: Source, (inner, outer): (usize, usize), mut visit: impl FnMut(usize, usize)) {
    if source.inner == 1 {
        for line in (0..outer).step_by(LANES) {
            for first in (0..inner).step_by(2 * LANES) {
                visit(first, line);
            }
        }
    } else {
        for first in (0..inner).step_by(2 * LANES) {
            for line in (0..outer).step_by(LANES) {
                visit(first, line);
            }
        }
    }
}

/// Puts the lines of a left factor of size `(inner, outer)`, times `scale`, down as rows of pairs, which begin every
/// `stride`, zeros after the last to a multiple of 16.
///
/// # Safety
///
/// The processor has AVX512-BF16; `source` is readable within its size and has a stride of one; `to` is writable for
/// `outer` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub unsafe fn pack_rows(
    source: Source,
    (inner, outer): (usize, usize),
    scale: f32,
    to: *mut Pair,
    stride: usize,
) {
    each_block(source, (inner, outer), |first, line| {
        let size = (inner - first, outer - line);
        // SAFETY: source and target are within what the caller promises.
        unsafe {
            let block = block(source.from((first, line)), size, scale, Vectors::Lines);
            for (index, pairs) in block[..size.1.min(LANES)].iter().enumerate() {
                let to = to.add((line + index) * stride + first / 2);
                _mm512_storeu_si512(to.cast(), *pairs);
            }
        }
    });
}

/// Puts the lines of a right factor of size `(inner, outer)` down in panels of [`COLUMNS`], zeros after the last: for each
/// pair of inner numbers the pairs of all lines of the panel.
///
/// # Safety
///
/// As of [`pack_rows`]; `to` is writable for the panels.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub unsafe fn pack_panels(source: Source, (inner, outer): (usize, usize), to: *mut Pair) {
    let panel = inner.div_ceil(2) * COLUMNS;
    let filled = outer.next_multiple_of(COLUMNS);
    each_block(source, (inner, filled), |first, line| {
        let size = (inner - first, outer.saturating_sub(line));
        // SAFETY: source and target are within what the caller promises.
        unsafe {
            let block = block(source.from((first, line)), size, 1.0, Vectors::Pairs);
            let to = to.add(line / COLUMNS * panel + line % COLUMNS);
            let pairs = size.0.div_ceil(2).min(LANES);
            for (index, lines) in block[..pairs].iter().enumerate() {
                _mm512_storeu_si512(to.add((first / 2 + index) * COLUMNS).cast(), *lines);
            }
        }
    });
}

/// Some rows of a left factor and a panel of a right one.
#[derive(Clone, Copy)]
pub struct Factors {
    /// Rows of pairs.
    pub left: *const Pair,
    /// From one to the next.
    pub left_stride: usize,
    /// A panel.
    pub right: *const Pair,
    /// Pairs of the inner axis.
    pub pairs: usize,
}

/// Rows of `f32`: where their first numbers are, and how far from each other.
#[derive(Clone, Copy)]
pub struct Rows<P> {
    /// The first number.
    pub start: P,
    /// From one row to the next.
    pub stride: usize,
}

/// Writes the product of up to [`ROWS`] rows and a panel of `columns` to `output`, added to `base` if there is one. Every
/// number is summed pair after pair, whatever the shapes.
///
/// # Safety
///
/// The processor has AVX512-BF16; the factors are readable, and so are `rows` rows of `columns` of `base`, and those of
/// `output` writable.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub unsafe fn multiply(
    factors: Factors,
    (rows, columns): (usize, usize),
    base: Option<Rows<*const f32>>,
    output: Rows<*mut f32>,
) {
    macro_rules! by_rows {
        ($($rows:literal)+) => {
            match rows {
                // SAFETY: as promised by the caller.
                $($rows => unsafe { tile::<$rows>(factors, columns, base, output) },)+
                _ => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    by_rows!(1 2 3 4 5 6);
}

/// [`multiply`] for `R` rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
// Iterators would pass vectors through functions that are compiled without the instructions, in memory.
#[allow(clippy::needless_range_loop)]
unsafe fn tile<const R: usize>(
    factors: Factors,
    columns: usize,
    base: Option<Rows<*const f32>>,
    output: Rows<*mut f32>,
) {
    let mut masks = [0; VECTORS];
    for vector in 0..VECTORS {
        masks[vector] = lanes(columns.saturating_sub(vector * LANES));
    }
    let mut sums = [[_mm512_setzero_ps(); VECTORS]; R];
    if let Some(Rows { start, stride }) = base {
        for row in 0..R {
            for vector in 0..VECTORS {
                let at = start.wrapping_add(row * stride + vector * LANES);
                // SAFETY: the mask leaves out what is after `columns`.
                sums[row][vector] = unsafe { _mm512_maskz_loadu_ps(masks[vector], at) };
            }
        }
    }
    for pair in 0..factors.pairs {
        // SAFETY: both factors have so many pairs; all are 512 bits without invalid values.
        unsafe {
            let mut right = [_mm512_setzero_si512(); VECTORS];
            for vector in 0..VECTORS {
                let at = factors.right.add(pair * COLUMNS + vector * LANES);
                right[vector] = _mm512_loadu_si512(at.cast());
            }
            for row in 0..R {
                let left = *factors.left.add(row * factors.left_stride + pair);
                let left = _mm512_set1_epi32(left as i32);
                for vector in 0..VECTORS {
                    sums[row][vector] = _mm512_dpbf16_ps(
                        sums[row][vector],
                        std::mem::transmute::<__m512i, __m512bh>(left),
                        std::mem::transmute::<__m512i, __m512bh>(right[vector]),
                    );
                }
            }
        }
    }
    for row in 0..R {
        for vector in 0..VECTORS {
            let at = output
                .start
                .wrapping_add(row * output.stride + vector * LANES);
            // SAFETY: the mask leaves out what is after `columns`.
            unsafe { _mm512_mask_storeu_ps(at, masks[vector], sums[row][vector]) };
        }
    }
}
