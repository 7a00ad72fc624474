//! The files in a zip archive as `torch.save` and `numpy.savez` write it: stored, not compressed.
//!
//! Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local headers), 4.3.12 (the directory), 4.3.14 to 4.3.16 (its end), 4.5.3
//! (sizes of 64 bits).

use std::collections::BTreeMap;

/// The most bytes of a comment behind the archive's end.
const COMMENT: usize = 0xffff;
/// The size of the record at the end, without the comment.
const END: usize = 22;
/// The size of the record before it where an archive has sizes of 64 bits.
const LOCATOR: usize = 20;
/// What stands in a field of 32 bits whose number is among those of 64 bits.
const ELSEWHERE: u64 = 0xffff_ffff;

/// Returns the files of an archive by name, as parts of `bytes`.
///
/// # Errors
/// If the archive is cut off or contradicts itself, or a file is compressed.
pub fn files(bytes: &[u8]) -> Result<BTreeMap<&str, &[u8]>, String> {
    let (mut at, count) = directory(bytes).ok_or("the archive's directory is missing: it is cut off")?;
    let mut files = BTreeMap::new();
    for _ in 0..count {
        let entry = Entry::read(bytes, at).ok_or("the archive's directory is damaged")?;
        at = entry.end;
        if entry.method != 0 {
            return Err(format!("\"{}\" is compressed, which torch.save and numpy.savez do not do", entry.name));
        }
        let content = entry.content(bytes).ok_or_else(|| format!("\"{}\" is cut off", entry.name))?;
        files.insert(entry.name, content);
    }
    Ok(files)
}

/// A little-endian number of `size` bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let found = bytes.get(at..at.checked_add(size)?)?;
    Some(found.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn size(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    usize::try_from(number(bytes, at, size)?).ok()
}

fn begins(bytes: &[u8], at: usize, mark: &[u8; 4]) -> bool {
    bytes.get(at..).is_some_and(|rest| rest.starts_with(mark))
}

/// Where the directory begins, and how many entries it has.
fn directory(bytes: &[u8]) -> Option<(usize, usize)> {
    let last = bytes.len().checked_sub(END)?;
    let end = (last.saturating_sub(COMMENT)..=last).rev().find(|at| begins(bytes, *at, b"PK\x05\x06"))?;
    let long = end.checked_sub(LOCATOR).filter(|at| begins(bytes, *at, b"PK\x06\x07"));
    match long.map(|locator| size(bytes, locator + 8, 8)) {
        None => Some((size(bytes, end + 16, 4)?, size(bytes, end + 10, 2)?)),
        Some(record) => {
            let record = record.filter(|at| begins(bytes, *at, b"PK\x06\x06"))?;
            Some((size(bytes, record + 48, 8)?, size(bytes, record + 32, 8)?))
        }
    }
}

/// An entry of the directory.
struct Entry<'a> {
    name: &'a str,
    /// 0 for a file that is stored as it is.
    method: u64,
    size: usize,
    /// Where the file's own header is.
    header: usize,
    /// Where the next entry is.
    end: usize,
}

impl<'a> Entry<'a> {
    fn read(bytes: &'a [u8], at: usize) -> Option<Self> {
        if !begins(bytes, at, b"PK\x01\x02") {
            return None;
        }
        let name = at + 46;
        let extra = name.checked_add(size(bytes, at + 28, 2)?)?;
        let comment = extra.checked_add(size(bytes, at + 30, 2)?)?;
        let end = comment.checked_add(size(bytes, at + 32, 2)?)?;
        let name = std::str::from_utf8(bytes.get(name..extra)?).ok()?;
        // The numbers of 64 bits stand in this order, each only where its field of 32 bits refers to it.
        let fields = [24, 20, 42].map(|field| number(bytes, at + field, 4));
        let mut long = long_numbers(bytes.get(extra..comment)?);
        let numbers = fields.map(|field| match field? {
            ELSEWHERE => long.next(),
            number => Some(number),
        });
        let [size, stored, header] = numbers.map(|number| usize::try_from(number?).ok());
        let method = number(bytes, at + 10, 2)?;
        (size? == stored? || method != 0).then_some(Self { name, method, size: size?, header: header?, end })
    }

    fn content(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        if !begins(bytes, self.header, b"PK\x03\x04") {
            return None;
        }
        let start = self.header + 30 + size(bytes, self.header + 26, 2)? + size(bytes, self.header + 28, 2)?;
        bytes.get(start..start.checked_add(self.size)?)
    }
}

/// The numbers of the extra field for sizes of 64 bits.
fn long_numbers(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found = Vec::new();
    while let (Some(kind), Some(length)) = (number(extra, 0, 2), size(extra, 2, 2)) {
        let Some(content) = extra.get(4..4 + length) else { break };
        if kind == 1 {
            found = content.chunks_exact(8).filter_map(|chunk| number(chunk, 0, 8)).collect();
        }
        extra = &extra[4 + length..];
    }
    found.into_iter()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An archive of several files.
    pub(crate) fn archive_of(contents: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut bytes, mut directory) = (vec![], vec![]);
        for (name, content) in contents {
            let sizes = [(content.len() as u32).to_le_bytes(); 2].concat();
            let length = (name.len() as u16).to_le_bytes();
            let start = (bytes.len() as u32).to_le_bytes();
            bytes.extend([b"PK\x03\x04", &[0; 14][..], &sizes, &length, &[0; 2], name.as_bytes(), content].concat());
            let parts = [b"PK\x01\x02", &[0; 16][..], &sizes, &length, &[0; 12], &start, name.as_bytes()];
            directory.extend(parts.concat());
        }
        let (count, start) = ((contents.len() as u16).to_le_bytes(), (bytes.len() as u32).to_le_bytes());
        bytes.extend([&directory[..], b"PK\x05\x06", &[0; 6], &count, &[0; 4], &start, &[0; 2]].concat());
        bytes
    }

    /// An archive of one file, with the directory's sizes in 64 bits or not.
    fn archive(name: &str, content: &[u8], long: bool) -> Vec<u8> {
        let (size, zeros) = (content.len() as u32, |count: usize| vec![0; count]);
        let length = (name.len() as u16).to_le_bytes();
        let local = [b"PK\x03\x04", &zeros(14)[..], &[0; 8], &length, &[0, 0], name.as_bytes(), content].concat();
        let extra = if long {
            let numbers = [u64::from(size), u64::from(size), 0].map(u64::to_le_bytes).concat();
            [&[7, 0, 1, 0, 9, 1, 0, 24, 0][..], &numbers].concat()
        } else {
            vec![]
        };
        let written = if long { [0xff; 4] } else { size.to_le_bytes() };
        let header = if long { [0xff; 4] } else { [0; 4] };
        let extra_length = (extra.len() as u16).to_le_bytes();
        let entry =
            [b"PK\x01\x02", &zeros(16)[..], &written, &written, &length, &extra_length, &zeros(10), &header].concat();
        let entry = [&entry, name.as_bytes(), &extra].concat();
        let start = local.len();
        let record = if long {
            let record = [b"PK\x06\x06", &zeros(28)[..], &1u64.to_le_bytes(), &zeros(8), &(start as u64).to_le_bytes()];
            let place = (start + entry.len()) as u64;
            [&record.concat()[..], b"PK\x06\x07", &zeros(4), &place.to_le_bytes(), &zeros(4)].concat()
        } else {
            vec![]
        };
        let place = if long { [0xff; 4] } else { (start as u32).to_le_bytes() };
        let end = [&b"PK\x05\x06"[..], &zeros(6), &1u16.to_le_bytes(), &zeros(4), &place, &3u16.to_le_bytes(), b"abc"];
        [local, entry, record, end.concat()].concat()
    }

    #[test]
    fn files_are_found_whatever_the_sizes_take() {
        for long in [false, true] {
            let bytes = archive("a/data.pkl", b"content", long);
            let found = files(&bytes).unwrap();
            assert_eq!(found.into_iter().collect::<Vec<_>>(), [("a/data.pkl", &b"content"[..])], "{long}");
        }
    }

    #[test]
    fn an_archive_that_is_cut_off_or_changed_is_an_error_or_another_archive() {
        for long in [false, true] {
            let bytes = archive("a", b"content", long);
            assert!((0..bytes.len() - 3).all(|end| files(&bytes[..end]).is_err()));
            for at in 0..bytes.len() {
                for byte in [0, 1, 0x7f, 0xff] {
                    let mut changed = bytes.clone();
                    changed[at] = byte;
                    files(&changed).ok();
                }
            }
        }
    }
}
