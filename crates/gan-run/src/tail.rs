//! Reading a file of lines that another process appends to, possibly on another machine: each read continues where the last one ended.

use crate::folder::MOST_LINES;
use gan_base::regular_file;
use std::fs::Metadata;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Maximum number of bytes of one read.
const MOST: u64 = 1 << 20;

/// Number of bytes before the position that are compared, to notice that the file was replaced.
const COMPARED: u64 = 128;

/// A file of lines with the position up to which it was read.
#[derive(Clone, Debug)]
pub struct Tail {
    path: PathBuf,
    position: u64,
    /// The bytes before the position.
    before: Vec<u8>,
    /// Length and time of the file when there was nothing more to read.
    seen: Option<(u64, SystemTime)>,
}

/// What a read found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fresh {
    /// Complete lines. Empty if there are no further ones at present.
    pub bytes: Vec<u8>,
    /// Whether the file was cut or replaced: these bytes are then from its beginning.
    pub restarted: bool,
}

impl Tail {
    /// Starts at the beginning of the file at `path`, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_path_buf(), position: 0, before: vec![], seen: None }
    }

    /// Returns the next complete lines, a megabyte at most. A line that is still being written is left for later.
    ///
    /// # Errors
    /// If the file cannot be read. A file that does not exist is empty.
    pub fn read(&mut self) -> io::Result<Fresh> {
        let file = match regular_file::open(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let restarted = self.position > 0;
                *self = Self::new(&self.path);
                return Ok(Fresh { bytes: vec![], restarted });
            }
            other => other,
        };
        let mut file = file?;
        let found = file.metadata()?;
        if self.seen == Some(stamp(&found)) {
            return Ok(Fresh::default());
        }
        let restarted = !self.continues(&mut file, found.len())?;
        if restarted {
            *self = Self::new(&self.path);
        }
        file.seek(SeekFrom::Start(self.position))?;
        let mut bytes = vec![];
        file.take(MOST.min(MOST_LINES.saturating_sub(self.position))).read_to_end(&mut bytes)?;
        let is_part = bytes.len() as u64 == MOST;
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => bytes.truncate(end + 1),
            // A line that is longer than a read is damaged, and so is each part of it.
            None if is_part => {}
            None => bytes.clear(),
        }
        self.position += bytes.len() as u64;
        let kept = bytes.len().min(COMPARED as usize);
        self.before.extend_from_slice(&bytes[bytes.len() - kept..]);
        self.before.drain(..self.before.len().saturating_sub(COMPARED as usize));
        self.seen = (!is_part).then(|| stamp(&found));
        Ok(Fresh { bytes, restarted })
    }

    /// Returns whether the file still has the bytes before the position.
    fn continues(&self, file: &mut std::fs::File, length: u64) -> io::Result<bool> {
        if length < self.position {
            return Ok(false);
        }
        let mut before = vec![0; self.before.len()];
        file.seek(SeekFrom::Start(self.position - before.len() as u64))?;
        file.read_exact(&mut before)?;
        Ok(before == self.before)
    }
}

/// Returns length and time of change, which differ if a file has changed.
fn stamp(found: &Metadata) -> (u64, SystemTime) {
    (found.len(), found.modified().unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn next(tail: &mut Tail) -> (String, bool) {
        let fresh = tail.read().unwrap();
        (String::from_utf8(fresh.bytes).unwrap(), fresh.restarted)
    }

    #[test]
    fn only_complete_lines_are_read_and_each_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let mut tail = Tail::new(&path);
        assert_eq!(next(&mut tail), (String::new(), false));
        for (text, expected) in [("a\nb", "a\n"), ("a\nbc", ""), ("a\nbc\nd\n", "bc\nd\n"), ("a\nbc\nd\n", "")] {
            fs::write(&path, text).unwrap();
            assert_eq!(next(&mut tail), (expected.to_string(), false), "{text:?}");
        }
    }

    #[test]
    fn a_file_that_was_cut_or_replaced_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let mut tail = Tail::new(&path);
        fs::write(&path, "a\nb\nc\n").unwrap();
        assert_eq!(next(&mut tail).0, "a\nb\nc\n");
        fs::write(&path, "a\n").unwrap();
        assert_eq!(next(&mut tail), ("a\n".into(), true));
        fs::write(&path, "x\nyyyyyyyy\n").unwrap();
        assert_eq!(next(&mut tail), ("x\nyyyyyyyy\n".into(), true));
        fs::remove_file(&path).unwrap();
        assert_eq!(next(&mut tail), (String::new(), true));
    }

    #[test]
    fn long_files_come_in_pieces() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let text = "0123456789abcde\n".repeat(1 << 19);
        fs::write(&path, &text).unwrap();
        let mut tail = Tail::new(&path);
        let pieces: Vec<String> = std::iter::repeat_with(|| next(&mut tail).0).take_while(|s| !s.is_empty()).collect();
        assert!(pieces.len() > 1 && pieces.concat() == text);
    }
}
