//! Batches in parts that go through a model one after the other.

use std::ops::Range;

use burn::tensor::TensorData;

/// Cuts `samples` into neighbouring parts of `size` that go through a model one after the other; the last
/// may be smaller. All samples are one part where no size is given.
pub fn micro_batches(samples: usize, size: Option<usize>) -> Vec<Range<usize>> {
    let size = size.unwrap_or(samples).max(1);
    (0..samples)
        .step_by(size)
        .map(|start| start..(start + size).min(samples))
        .collect()
}

/// Copies ranges along the first axis of f32 values, one after the other.
pub fn take_rows(data: &TensorData, ranges: impl IntoIterator<Item = Range<usize>>) -> TensorData {
    let all = data.as_slice::<f32>().expect("batches are f32");
    let mut shape = data.shape().to_vec();
    let width: usize = shape[1..].iter().product();
    let mut values = Vec::new();
    shape[0] = 0;
    for Range { start, end } in ranges {
        values.extend_from_slice(&all[start * width..end * width]);
        shape[0] += end - start;
    }
    TensorData::new(values, shape)
}
