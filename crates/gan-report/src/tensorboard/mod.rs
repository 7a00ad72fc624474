//! Scalars for TensorBoard: an `events.out.tfevents…` file, written without TensorFlow.
//!
//! `record` frames and checks, `event` encodes. Run `tensorboard --logdir` on the folder that contains the files.

mod event;
mod record;

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::Error;

/// Returns a file name that TensorBoard recognizes, for a run that started `unix_seconds` after 1970.
pub fn file_name(unix_seconds: u64) -> String {
    format!("events.out.tfevents.{unix_seconds:010}.gan")
}

/// Appends scalars to one event file. Writes are buffered: [`flush`](Self::flush) makes them visible to TensorBoard.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Starts a new file, replacing an existing one.
    ///
    /// # Errors
    /// [`Error::File`] naming `path`.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::file("create", path))?;
        let mut writer = Self { path: path.to_owned(), file: BufWriter::new(file) };
        writer.write(&event::file_version(now()))?;
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
        let (whole, length) = measure(&file).map_err(Error::file("read", path))?;
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
    ///
    /// # Errors
    /// [`Error::File`] naming the file.
    pub fn scalar(&mut self, step: u64, wall_time: f64, tag: &str, value: f64) -> Result<(), Error> {
        self.write(&event::scalar(wall_time, step, tag, value as f32))
    }

    /// Records that the run continues from `step`: TensorBoard drops the points at and after it that an earlier process
    /// wrote.
    ///
    /// # Errors
    /// [`Error::File`] naming the file.
    pub fn restarted_at(&mut self, step: u64, wall_time: f64) -> Result<(), Error> {
        self.write(&event::session_start(wall_time, step))
    }

    /// Flushes everything so far to the operating system. Dropping the writer does so too, but cannot report errors.
    ///
    /// # Errors
    /// [`Error::File`] naming the file.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.file.flush().map_err(Error::file("write", &self.path))
    }

    fn write(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.file.write_all(&record::frame(payload)).map_err(Error::file("write", &self.path))
    }
}

/// Returns the number of bytes of complete records, and of the file.
fn measure(file: &File) -> io::Result<(u64, u64)> {
    Ok((record::whole(BufReader::new(file))?, file.metadata()?.len()))
}

/// Returns whether the file is only a part of the first record, from a killed process.
fn unfinished_start(mut file: &File) -> bool {
    let first = record::frame(&event::file_version(0.0));
    let mut start = Vec::new();
    let read =
        file.seek(SeekFrom::Start(0)).and_then(|_| io::Read::read_to_end(&mut io::Read::take(file, 64), &mut start));
    // The start of the record does not depend on the time; a shorter file cannot be identified, and contains no data.
    read.is_ok() && start.len() < first.len() && start.iter().zip(&first[..12]).all(|(a, b)| a == b)
}

/// Returns seconds since 1970, 0 if the clock is set before.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |passed| passed.as_secs_f64())
}

#[cfg(test)]
mod tests;
