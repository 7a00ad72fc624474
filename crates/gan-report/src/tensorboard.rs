//! Scalars, images, text and hyperparameters for TensorBoard: an `events.out.tfevents…` file, written without TensorFlow.
//!
//! A file is a sequence of TFRecords, each of which holds an `Event` message (`messages`). Source: tensorflow's `record_writer`. Run
//! `tensorboard --logdir` on the folder that contains the files.

mod messages;

use crate::Error;
use crc::{CRC_32_ISCSI, Crc};
pub use messages::Hyperparameter;
use messages::{file_version, hyperparameters, image, scalar, session_start, text};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Returns a file name that TensorBoard recognizes, for a run that started `unix_seconds` after 1970.
pub fn file_name(unix_seconds: u64) -> String {
    format!("events.out.tfevents.{unix_seconds:010}.gan")
}

/// Appends records to one event file. Writes are buffered: [`flush`](Self::flush) makes them visible to TensorBoard. All errors are an
/// [`Error::File`] that names the file, except for [`append_to`](Self::append_to).
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Starts a new file, replacing an existing one.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::file("create", path))?;
        let mut writer = Self { path: path.to_owned(), file: BufWriter::new(file) };
        writer.write(&file_version(now()))?;
        Ok(writer)
    }

    /// Continues the file of an interrupted run, or starts it. An incomplete record of a killed process at the end is
    /// removed, because TensorBoard would read nothing after it.
    ///
    /// # Errors
    /// [`Error::File`], and [`Error::Content`] if `path` contains something other than events; both name `path`.
    pub fn append_to(path: &Path) -> Result<Self, Error> {
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let mut file = match opened {
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => return Self::create(path),
            opened => opened.map_err(Error::file("open", path))?,
        };
        let whole = whole(BufReader::new(&file)).map_err(Error::file("read", path))?;
        let length = file.metadata().map_err(Error::file("read", path))?.len();
        if whole == 0 && length > 0 && !unfinished_start(&file) {
            let problem = "not a TensorBoard event file; choose another name, or remove it".into();
            return Err(Error::Content { path: path.to_owned(), problem });
        }
        if whole == 0 {
            return Self::create(path);
        }
        file.set_len(whole).and_then(|()| file.seek(SeekFrom::End(0))).map_err(Error::file("write", path))?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Adds one point to the curve `tag`, for instance `loss/d`; TensorBoard groups by the part before the slash.
    /// `wall_time` is in seconds since 1970, `value` is stored as float32 and may be NaN.
    pub fn scalar(&mut self, step: u64, wall_time: f64, tag: &str, value: f64) -> Result<(), Error> {
        self.write(&scalar(wall_time, step, tag, value as f32))
    }

    /// Adds a picture to the series `tag`: the bytes of a PNG file of `[width, height]` pixels with this number of channels.
    pub fn image(
        &mut self,
        step: u64,
        wall_time: f64,
        tag: &str,
        png: &[u8],
        size: [usize; 2],
        channels: usize,
    ) -> Result<(), Error> {
        self.write(&image(wall_time, step, tag, png, size, channels))
    }

    /// Adds a text in Markdown.
    pub fn text(&mut self, step: u64, wall_time: f64, tag: &str, markdown: &str) -> Result<(), Error> {
        self.write(&text(wall_time, step, tag, markdown))
    }

    /// Records the settings of the run, by which TensorBoard's table of hyperparameters compares runs.
    pub fn hyperparameters(&mut self, wall_time: f64, settings: &[(String, Hyperparameter)]) -> Result<(), Error> {
        self.write(&hyperparameters(wall_time, settings))
    }

    /// Records that the run continues from `step`: TensorBoard drops the points at and after it that an earlier process
    /// wrote.
    pub fn restarted_at(&mut self, step: u64, wall_time: f64) -> Result<(), Error> {
        self.write(&session_start(wall_time, step))
    }

    /// Flushes everything so far to the operating system. Dropping the writer does so too, but cannot report errors.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.file.flush().map_err(Error::file("write", &self.path))
    }

    fn write(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.file.write_all(&frame(payload)).map_err(Error::file("write", &self.path))
    }
}

/// Returns whether the file is only a part of the first record, from a killed process.
fn unfinished_start(mut file: &File) -> bool {
    let first = frame(&file_version(0.0));
    let mut start = Vec::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(64).read_to_end(&mut start));
    // The start of the record does not depend on the time; a shorter file cannot be identified, and contains no data.
    read.is_ok() && start.len() < first.len() && start.iter().zip(&first[..12]).all(|(a, b)| a == b)
}

/// Returns seconds since 1970, 0 if the clock is set before.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

/// A record is its length, the checksum of that, the payload, and the checksum of that. All numbers are little-endian; a checksum is CRC-32C,
/// rotated and shifted so that a checksum over data which contains checksums stays meaningful.
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Number of bytes of a record around its payload: 8 length, 4 checksum; 4 checksum.
const AROUND: u64 = 16;

fn masked(bytes: &[u8]) -> [u8; 4] {
    CRC32C.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// Returns the record with `payload`.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), payload, &masked(payload)].concat()
}

/// Returns how many bytes at the start of `file` are complete, intact records; a killed process may have left a part of one
/// after them.
fn whole(mut file: impl Read) -> io::Result<u64> {
    let mut total = 0;
    while let Some(head) = read_exactly(&mut file, 12)? {
        let (length, check) = head.split_at(8);
        if masked(length) != check {
            break;
        }
        let length = length.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte));
        let Some(body) = read_exactly(&mut file, length.saturating_add(4))? else { break };
        let (payload, check) = body.split_at(body.len() - 4);
        if masked(payload) != check {
            break;
        }
        total += AROUND + length;
    }
    Ok(total)
}

/// Reads exactly `count` bytes, or returns `None` if fewer are left. Reserves nothing, because a damaged length may be
/// anything.
fn read_exactly(file: &mut impl Read, count: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 == count).then_some(bytes))
}

#[cfg(test)]
mod tests;
