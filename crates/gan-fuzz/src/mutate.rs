//! Random changes to an input: changed bytes, numbers and lines, inserted words of the format, and larger rearrangements.

use crate::target::Target;
use gan_base::Rng;
use std::ops::Range;

/// Maximum length of an input in bytes.
pub const LONGEST: usize = 1 << 16;

/// Numbers that often cause errors: zeros, negative numbers, and the limits of types.
const NUMBERS: [&str; 24] = [
    "0",
    "1",
    "2",
    "3",
    "7",
    "-1",
    "255",
    "256",
    "65535",
    "65536",
    "1000000",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "1e-320",
    "1e38",
    "1e308",
    "0.5",
    "-0.0",
];

/// The same for binary formats; they are written in both byte orders.
const BINARY: [u64; 12] =
    [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX >> 1, u64::MAX];

/// Makes one to four random changes to `input`. `others` are further inputs of the same target.
pub fn mutate(target: &Target, input: &[u8], others: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    // Half of the inputs get a single change, because each further one is more likely to make the input invalid.
    let changes = [1, 1, 2, 4][rng.below(4)];
    for _ in 0..changes {
        change(target, &mut bytes, others, rng);
        bytes.truncate(LONGEST);
    }
    bytes
}

fn change(target: &Target, bytes: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut Rng) {
    match rng.below(15) {
        0 => flip_bit(bytes, rng),
        1 => set_byte(bytes, rng),
        2 | 3 => set_integer(bytes, rng),
        4 => drop(bytes.drain(chunk(bytes, rng))),
        5 => {
            let part = bytes[chunk(bytes, rng)].to_vec();
            insert(bytes, &part, rng);
        }
        6 => bytes.truncate(rng.below(bytes.len() + 1)),
        7 => splice(bytes, others, rng),
        8 | 9 => replace_number(bytes, rng),
        10 | 11 => word(bytes, target.tokens, rng),
        12 => lines(bytes, rng),
        13 => nest(bytes, rng),
        _ => repeat(bytes, rng),
    }
}

/// Returns a random range, which is usually short.
fn chunk(bytes: &[u8], rng: &mut Rng) -> Range<usize> {
    let start = rng.below(bytes.len() + 1);
    let most = if rng.below(4) == 0 { bytes.len() } else { 16 };
    start..bytes.len().min(start + rng.below(most + 1))
}

fn insert(bytes: &mut Vec<u8>, more: &[u8], rng: &mut Rng) {
    let at = rng.below(bytes.len() + 1);
    bytes.splice(at..at, more.iter().copied());
}

fn flip_bit(bytes: &mut [u8], rng: &mut Rng) {
    if !bytes.is_empty() {
        bytes[rng.below(bytes.len())] ^= 1 << rng.below(8);
    }
}

fn set_byte(bytes: &mut [u8], rng: &mut Rng) {
    if !bytes.is_empty() {
        bytes[rng.below(bytes.len())] = rng.below(256) as u8;
    }
}

/// Writes an integer of 1 to 8 bytes in either byte order. Half of them are near the start, where headers are.
fn set_integer(bytes: &mut [u8], rng: &mut Rng) {
    let size = 1 << rng.below(4);
    let room = if rng.below(2) == 0 { bytes.len().min(64) } else { bytes.len() };
    if room < size {
        return;
    }
    let number = BINARY[rng.below(BINARY.len())].wrapping_sub(rng.below(3) as u64);
    let at = rng.below(room - size + 1);
    let place = &mut bytes[at..at + size];
    place.copy_from_slice(&number.to_le_bytes()[..size]);
    if rng.below(2) == 0 {
        place.reverse();
    }
}

/// Joins the start of this input and the end of another.
fn splice(bytes: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut Rng) {
    if others.is_empty() {
        return;
    }
    let other = &others[rng.below(others.len())];
    bytes.truncate(rng.below(bytes.len() + 1));
    bytes.extend_from_slice(&other[rng.below(other.len() + 1)..]);
}

/// Returns the ranges of decimal numbers.
fn numbers(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match found.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => found.push(at..at + 1),
        }
    }
    found
}

fn replace_number(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let places = numbers(bytes);
    if places.is_empty() {
        return;
    }
    let place = places[rng.below(places.len())].clone();
    let text = match rng.below(3) {
        0 => rng.below(300).to_string(),
        _ => NUMBERS[rng.below(NUMBERS.len())].into(),
    };
    bytes.splice(place, text.bytes());
}

/// Replaces a word of the format with another one, or inserts one if the first does not occur.
fn word(bytes: &mut Vec<u8>, tokens: &[&str], rng: &mut Rng) {
    if tokens.is_empty() {
        return set_integer(bytes, rng);
    }
    let new = tokens[rng.below(tokens.len())].as_bytes();
    let old = tokens[rng.below(tokens.len())].as_bytes();
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(old)).collect();
    match places.len() {
        0 => insert(bytes, new, rng),
        count => {
            let at = places[rng.below(count)];
            bytes.splice(at..at + old.len(), new.iter().copied());
        }
    }
}

/// Duplicates, swaps or removes a line.
fn lines(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let (from, to) = (rng.below(lines.len()), rng.below(lines.len()));
    match rng.below(3) {
        0 => lines.insert(to, lines[from]),
        1 => lines.swap(from, to),
        _ => drop(lines.remove(from)),
    }
    *bytes = lines.join(&b'\n');
}

/// The texts that open and close a level of nesting.
const LEVELS: [(&str, &str); 4] = [("[", "]"), ("{\"residual\":[", "]}"), ("{ residual = [", "] }"), ("{\"a\":", "}")];

/// Moves the contents of a pair of brackets many levels deeper.
fn nest(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let opened: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'[').collect();
    if opened.is_empty() {
        return;
    }
    let start = opened[rng.below(opened.len())] + 1;
    let mut depth = 1;
    let closes = |byte: &u8| {
        depth += i32::from(*byte == b'[') - i32::from(*byte == b']');
        depth == 0
    };
    let Some(length) = bytes[start..].iter().position(closes) else { return };
    let (open, close) = LEVELS[rng.below(LEVELS.len())];
    let times = 1 << rng.below(9);
    let inside = &bytes[start..start + length];
    let deeper = [open.repeat(times).as_bytes(), inside, close.repeat(times).as_bytes()].concat();
    bytes.splice(start..start + length, deeper);
}

/// Repeats a short part many times, which gives long and deeply nested inputs.
fn repeat(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        return;
    }
    let start = rng.below(bytes.len());
    let end = bytes.len().min(start + 1 + rng.below(24));
    let times = 1 << rng.below(13);
    let part = bytes[start..end].repeat(times);
    bytes.splice(start..start, part);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TARGETS;

    #[test]
    fn mutations_are_reproducible_for_inputs_of_any_length() {
        let others = [b"other\nlines 12".to_vec(), vec![]];
        let all = |input: &[u8]| {
            let mut rng = Rng::new(7);
            (0..5000).map(|_| mutate(&TARGETS[0], input, &others, &mut rng)).collect::<Vec<_>>()
        };
        for input in [&b""[..], b"1", b"a line with 3 numbers, 40 and 500\nand another"] {
            let found = all(input);
            assert_eq!(found, all(input));
            assert!(found.iter().all(|bytes| bytes.len() <= LONGEST));
            assert!(found.iter().filter(|bytes| bytes.as_slice() != input).count() > 1000);
        }
    }

    #[test]
    fn nesting_keeps_brackets_balanced() {
        let mut rng = Rng::new(3);
        for _ in 0..200 {
            let mut bytes = b"{\"layers\":[\"relu\",[1]]}".to_vec();
            nest(&mut bytes, &mut rng);
            let count = |wanted: u8| bytes.iter().filter(|byte| **byte == wanted).count();
            assert_eq!((count(b'['), count(b'{')), (count(b']'), count(b'}')));
            assert!(bytes.len() > 23);
        }
    }

    #[test]
    fn decimal_numbers_are_found_completely() {
        assert_eq!(numbers(b"12, x3 -456"), [0..2, 5..6, 8..11]);
    }
}
