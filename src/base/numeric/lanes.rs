//! Sums and maxima in lanes: as many partial results as vectors hold, joined at the end in a fixed order.

/// Partial results; two 512-bit vectors.
const LANES: usize = 32;

/// Sum of `term` over both slices, which are equally long.
#[inline(always)]
pub fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(a, b);
    }
    fold(sums, |a, b| a + b)
}

/// Largest of `row`.
#[inline(always)]
pub fn largest(row: &[f32]) -> f32 {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            maxima[lane] = if chunk[lane] > maxima[lane] {
                chunk[lane]
            } else {
                maxima[lane]
            };
        }
    }
    for (lane, &value) in rest.iter().enumerate() {
        maxima[lane] = maxima[lane].max(value);
    }
    fold(maxima, f32::max)
}

#[inline(always)]
fn fold(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] = join(lanes[lane], lanes[lane + half]);
        }
        half /= 2;
    }
    lanes[0]
}
