//! The few fields of TensorBoard's `Event` message that scalars need, in protobuf's wire format.
//!
//! Source: tensorflow's `event.proto` and `summary.proto`. A field is its number and wire type (0 varint, 1 eight
//! bytes, 2 length and bytes, 5 four bytes) in one byte, then its value.

const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const BYTES: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// `Event { wall_time: 1, file_version: 3 }`, the first record of every file.
pub(super) fn file_version(wall_time: f64) -> Vec<u8> {
    let mut event = head(wall_time, None);
    bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// `Event { wall_time: 1, step: 2, summary: 5 { value: 1 { tag: 1, simple_value: 2 } } }`.
pub(super) fn scalar(wall_time: f64, step: u64, tag: &str, number: f32) -> Vec<u8> {
    let mut value = Vec::new();
    bytes(&mut value, 1, tag.as_bytes());
    value.push(key(2, FOUR_BYTES));
    value.extend(number.to_le_bytes());
    let mut summary = Vec::new();
    bytes(&mut summary, 1, &value);
    let mut event = head(wall_time, Some(step));
    bytes(&mut event, 5, &summary);
    event
}

/// `Event { wall_time: 1, step: 2, session_log: 7 { status: 1 = START } }`.
pub(super) fn session_start(wall_time: f64, step: u64) -> Vec<u8> {
    let mut event = head(wall_time, Some(step));
    bytes(&mut event, 7, &[key(1, VARINT), 1]);
    event
}

fn head(wall_time: f64, step: Option<u64>) -> Vec<u8> {
    let mut event = vec![key(1, EIGHT_BYTES)];
    event.extend(wall_time.to_le_bytes());
    if let Some(step) = step {
        event.push(key(2, VARINT));
        varint(&mut event, step);
    }
    event
}

fn key(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

fn bytes(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(key(field, BYTES));
    varint(out, content.len() as u64);
    out.extend(content);
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_match_the_specification() {
        for (value, expected) in [(0, vec![0]), (127, vec![127]), (128, vec![0x80, 1]), (300, vec![0xac, 2])] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, expected);
        }
    }
}
