//! What may be wrong with a file: turned bits, other numbers, parts that are cut off, moved or put in.

use rand::{Rng, RngExt};

/// Numbers at the edges of types, and such as headers claim.
const NUMBERS: [i64; 16] = [
    0,
    -1,
    1,
    2,
    7,
    127,
    255,
    256,
    32_767,
    65_536,
    i32::MAX as i64,
    u32::MAX as i64,
    1 << 40,
    1 << 62,
    i64::MAX,
    i64::MIN,
];

/// Numbers in text, and what stands where one is expected.
const WORDS: [&str; 18] = [
    "0",
    "-1",
    "1",
    "3",
    "255",
    "65536",
    "2147483648",
    "4294967296",
    "1099511627776",
    "9223372036854775807",
    "18446744073709551616",
    "1e400",
    "-1e-400",
    "nan",
    "inf",
    "",
    "'",
    "é",
];

/// Most bytes of an input.
const LONGEST: usize = 1 << 20;

/// `seed` with one to four things wrong, some of them parts of `other`.
pub fn mutate(seed: &[u8], other: &[u8], random: &mut impl Rng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        let place = place(bytes.len(), random);
        let length = random.random_range(1..=64_usize).min(bytes.len() - place);
        match random.random_range(0..10) {
            0 => bytes.truncate(place),
            1 | 2 => bytes[place] ^= 1 << random.random_range(0..8),
            3 => bytes[place] = random.random(),
            4 => put_number(&mut bytes, place, random),
            5 | 6 => put_word(&mut bytes, place, random),
            7 => {
                let from = random.random_range(0..bytes.len());
                let (end, to) = (
                    (from + length).min(bytes.len()),
                    place.min(bytes.len() - length),
                );
                bytes.copy_within(from..end, to);
            }
            8 => {
                let from = random.random_range(0..other.len().max(1)).min(other.len());
                let part = &other[from..(from + 16 * length).min(other.len())];
                bytes.splice(place..place, part.iter().copied());
            }
            _ => {
                bytes.drain(place..place + length);
            }
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

/// A place: anywhere, or near the beginning or the end, where headers and footers are.
fn place(length: usize, random: &mut impl Rng) -> usize {
    let near = length.min(2048);
    match random.random_range(0..3) {
        0 => random.random_range(0..length),
        1 => random.random_range(0..near),
        _ => length - 1 - random.random_range(0..near),
    }
}

fn put_number(bytes: &mut [u8], place: usize, random: &mut impl Rng) {
    let number = NUMBERS[random.random_range(0..NUMBERS.len())];
    let width = [1, 2, 4, 8][random.random_range(0..4)].min(bytes.len() - place);
    let little = number.to_le_bytes();
    for (index, byte) in bytes[place..place + width].iter_mut().enumerate() {
        *byte = match random.random_bool(0.5) {
            true => little[index],
            false => little[width - 1 - index],
        };
    }
}

/// Puts another number in the place of the next one that is text; with as many bytes where it can be.
fn put_word(bytes: &mut Vec<u8>, place: usize, random: &mut impl Rng) {
    let word = WORDS[random.random_range(0..WORDS.len())].as_bytes();
    let Some(start) = bytes[place..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let start = place + start;
    let digits = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let end = start + digits.count();
    // Cards of FITS are as long as they are.
    let blanks = bytes[..start]
        .iter()
        .rev()
        .take_while(|&&byte| byte == b' ');
    let from = start - blanks.count().min(word.len().saturating_sub(end - start));
    let mut new = vec![b' '; (end - from).saturating_sub(word.len())];
    new.extend(word);
    bytes.splice(from..end, new);
}
