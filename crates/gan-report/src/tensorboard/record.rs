//! The TFRecord framing: length, its checksum, payload, its checksum.
//!
//! Source: tensorflow's `record_writer`. All numbers are little-endian; a checksum is CRC-32C, rotated and shifted so
//! that a checksum over data which contains checksums stays meaningful.

use std::io::{self, Read};

use crc::{CRC_32_ISCSI, Crc};

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Number of bytes of a record around its payload: 8 length, 4 checksum; 4 checksum.
const AROUND: u64 = 16;

fn masked(bytes: &[u8]) -> [u8; 4] {
    CRC32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Returns the record with `payload`.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), payload, &masked(payload)].concat()
}

/// Returns how many bytes at the start of `file` are complete records; a killed process may have left a part of one
/// after them.
pub(super) fn whole(mut file: impl Read) -> io::Result<u64> {
    let mut total = 0;
    while let Some(length) = next(&mut file)? {
        total += AROUND + length;
    }
    Ok(total)
}

/// Returns the length of the next payload, or `None` if no complete, intact record follows.
fn next(file: &mut impl Read) -> io::Result<Option<u64>> {
    let Some(head) = take(file, 12)? else { return Ok(None) };
    let (length, check) = head.split_at(8);
    if masked(length) != check {
        return Ok(None);
    }
    let length = length.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
    let Some(body) = take(file, length.saturating_add(4))? else { return Ok(None) };
    let (payload, check) = body.split_at(body.len() - 4);
    Ok((masked(payload) == check).then_some(length))
}

/// Reads exactly `count` bytes, or returns `None` if fewer are left. Reserves nothing, because a damaged length may be
/// anything.
fn take(file: &mut impl Read, count: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 == count).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_match_the_published_ones() {
        // RFC 3720, B.4: 32 bytes of zeros.
        assert_eq!(CRC32C.checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(CRC32C.checksum(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn damage_ends_what_is_whole() {
        let (first, second) = (frame(b"one"), frame(b""));
        let both = [first.clone(), second.clone()].concat();
        assert_eq!(whole(&both[..]).unwrap(), both.len() as u64);
        for cut in first.len()..both.len() {
            assert_eq!(whole(&both[..cut]).unwrap(), first.len() as u64, "cut at {cut}");
        }
        for at in 0..first.len() {
            let mut damaged = both.clone();
            damaged[at] ^= 1;
            assert_eq!(whole(&damaged[..]).unwrap(), 0, "byte {at}");
        }
    }
}
