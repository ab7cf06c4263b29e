//! Rice coding of differences between neighbouring integers (FITS standard 4.0, section 10.4.1).

/// What the width of the coded integers decides.
struct Code {
    /// Bits of the number that tells how a block is coded.
    fs_bits: u32,
    /// That number for blocks whose differences are stored as they are.
    fs_max: u32,
    /// Bits of an integer.
    bits: u32,
}

/// Most significant bits first.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// Bits that were read but not taken, at the low end.
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// The next `count` bits, at most 32; `None` at the end.
    fn take(&mut self, count: u32) -> Option<u32> {
        while self.count < count {
            self.held = self.held << 8 | u64::from(*self.bytes.next()?);
            self.count += 8;
        }
        self.count -= count;
        let value = self.held >> self.count & ((1 << count) - 1);
        Some(value as u32)
    }

    /// The number of zeros before the next one, which is taken too.
    fn zeros(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.take(1)? == 0 {
            zeros += 1;
        }
        Some(zeros)
    }
}

/// Decodes `count` integers of `bytes` bytes each, coded in blocks of `block`; `None` where the data end early or the
/// widths are none that there are. Integers of one byte are unsigned, others signed.
pub(super) fn decode(data: &[u8], count: usize, bytes: usize, block: usize) -> Option<Vec<i64>> {
    let code = match bytes {
        1 => Code {
            fs_bits: 3,
            fs_max: 6,
            bits: 8,
        },
        2 => Code {
            fs_bits: 4,
            fs_max: 14,
            bits: 16,
        },
        4 => Code {
            fs_bits: 5,
            fs_max: 25,
            bits: 32,
        },
        _ => return None,
    };
    if block == 0 {
        return None;
    }
    let mut bits = Bits {
        bytes: data.iter(),
        held: 0,
        count: 0,
    };
    let mut last = bits.take(code.bits)?;
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let end = (values.len() + block).min(count);
        // One less than the bits that follow each difference's leading part; −1 where all differences are zero.
        let fs = bits.take(code.fs_bits)?.checked_sub(1);
        while values.len() < end {
            let folded = match fs {
                None => 0,
                Some(fs) if fs == code.fs_max => bits.take(code.bits)?,
                Some(fs) if fs < code.fs_max => {
                    let leading = bits.zeros()?.checked_shl(fs)?;
                    leading | bits.take(fs)?
                }
                Some(_) => return None,
            };
            // 0, −1, 1, −2, … as 0, 1, 2, 3, …
            let difference = match folded & 1 {
                0 => folded >> 1,
                _ => !(folded >> 1),
            };
            last = last.wrapping_add(difference);
            values.push(match bytes {
                1 => i64::from(last as u8),
                2 => i64::from(last as u16 as i16),
                _ => i64::from(last as i32),
            });
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn the_three_ways_to_code_a_block_are_read() {
        // Bytes: first value 10; a block of equal ones (code 0); one with fs = 0 (code 1): +1, −1, 0 → folded 2, 1, 0 →
        // 001 01 1; one stored as it is (code 7): −10 → folded 19.
        let bits = "00001010 000 001001011 111 00010011";
        let bits: Vec<u8> = bits
            .bytes()
            .filter(|&bit| bit != b' ')
            .map(|bit| bit - b'0')
            .collect();
        let bytes: Vec<u8> = bits
            .chunks(8)
            .map(|byte| (0..8).fold(0, |sum, at| sum << 1 | byte.get(at).copied().unwrap_or(0)))
            .collect();
        assert_eq!(
            decode(&bytes, 7, 1, 3),
            Some(vec![10, 10, 10, 11, 10, 10, 0])
        );
        assert_eq!(decode(&bytes[..2], 7, 1, 3), None, "cut short");
        assert_eq!(decode(&bytes, 7, 3, 3), None);
        assert_eq!(decode(&bytes, 7, 1, 0), None);
    }
}
