//! A run's metrics on disk: metrics.jsonl and the same for TensorBoard, written by several observers.

use crate::error::{Error, Result};
use crate::folder::{METRICS, MOST_LINES, RunFolder, SETTINGS};
use gan_base::atomic;
use gan_base::messages::counted;
use gan_base::regular_file;
use gan_report::Picture;
use gan_report::tensorboard::{self, EventWriter, Hyperparameter};
use gan_train::Trainer;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::cell::RefCell;
use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Key with the number of rollbacks, in the line of an alarm that rolled the run back.
pub(crate) const ROLLBACK: &str = "rollback";

/// Log of a run, shared by its writers.
#[derive(Clone)]
pub(crate) struct Log {
    folder: RunFolder,
    open: Rc<RefCell<Option<Open>>>,
}

struct Open {
    file: File,
    events: EventWriter,
    /// Lines that were not taken yet.
    fresh: Vec<Value>,
}

impl Log {
    pub(crate) fn new(folder: &RunFolder) -> Self {
        Self { folder: folder.clone(), open: Rc::default() }
    }

    /// Starts at the trainer's step: later lines are removed, and the lines that are kept count as fresh.
    pub(crate) fn begin(&self, cut: Cut) -> Result<()> {
        let path = self.folder.join(METRICS);
        cut.apply(&path)?;
        let fresh = lines(&path).collect();
        let file = append(&path)?;
        let now = unix_time();
        let events = match self.folder.events() {
            Some(path) if !cut.is_start() => {
                let mut events = EventWriter::append_to(&path)?;
                events.restarted_at(cut.step + 1, now)?;
                events
            }
            old => {
                if let Some(path) = old {
                    fs::remove_file(&path).map_err(|e| Error::file(path, format!("cannot be deleted: {e}")))?;
                }
                let mut events = EventWriter::create(&self.folder.path().join(tensorboard::file_name(now as u64)))?;
                self.describe(&mut events, now)?;
                events
            }
        };
        *self.open.borrow_mut() = Some(Open { file, events, fresh });
        Ok(())
    }

    /// Writes a line of `step`, and its numbers to TensorBoard.
    pub(crate) fn write(&self, step: u64, line: Value) -> Result<()> {
        let mut open = self.open.borrow_mut();
        let Some(Open { file, events, fresh }) = &mut *open else { return Ok(()) };
        write_line(file, &self.folder.join(METRICS), &line)?;
        let numbers =
            line.as_object().into_iter().flatten().filter(|(tag, value)| *tag != "step" && !value.is_string());
        for (tag, value) in numbers {
            events.scalar(step, unix_time(), tag, value.as_f64().unwrap_or(f64::NAN))?;
        }
        events.flush()?;
        fresh.push(line);
        Ok(())
    }

    /// Writes the run's settings to TensorBoard: as text, and as hyperparameters.
    fn describe(&self, events: &mut EventWriter, now: f64) -> Result<()> {
        let text = fs::read_to_string(self.folder.join(SETTINGS)).unwrap_or_default();
        let mut settings = vec![];
        flatten("", &toml::Value::Table(text.parse().unwrap_or_default()), &mut settings);
        events.text(0, now, "config/text_summary", &format!("```toml\n{text}```"))?;
        Ok(events.hyperparameters(now, &settings)?)
    }

    /// Writes a picture to a PNG file, and to TensorBoard under `tag`.
    pub(crate) fn picture(&self, step: u64, tag: &str, path: &Path, picture: &Picture) -> Result<()> {
        let png = picture.to_png()?;
        atomic::write(path, &png)?;
        let mut open = self.open.borrow_mut();
        let Some(Open { events, .. }) = &mut *open else { return Ok(()) };
        let size = [picture.width(), picture.height()];
        events.image(step, unix_time(), tag, &png, size, picture.colour().channels())?;
        Ok(events.flush()?)
    }

    /// Returns the lines since the last call.
    pub(crate) fn take_fresh(&self) -> Vec<Value> {
        self.open.borrow_mut().as_mut().map(|open| std::mem::take(&mut open.fresh)).unwrap_or_default()
    }

    /// Returns whether the log already contains this line.
    pub(crate) fn holds(&self, line: &Value) -> bool {
        lines::<Value>(&self.folder.join(METRICS)).any(|other| other == *line)
    }

    /// Flushes everything written to disk.
    pub(crate) fn flush(&self) -> Result<()> {
        let open = self.open.borrow();
        open.as_ref().map_or(Ok(()), |open| flush(&open.file, &self.folder.join(METRICS)))
    }
}

/// Appends every number, text and switch in `value` with its path, such as `train.batch`. Lists are left out.
fn flatten(path: &str, value: &toml::Value, settings: &mut Vec<(String, Hyperparameter)>) {
    let setting = match value {
        toml::Value::Table(table) => {
            let dot = if path.is_empty() { "" } else { "." };
            return table.iter().for_each(|(key, value)| flatten(&format!("{path}{dot}{key}"), value, settings));
        }
        toml::Value::Integer(number) => Hyperparameter::Number(*number as f64),
        toml::Value::Float(number) => Hyperparameter::Number(*number),
        toml::Value::String(text) => Hyperparameter::Text(text.clone()),
        toml::Value::Boolean(is_on) => Hyperparameter::Switch(*is_on),
        toml::Value::Datetime(_) | toml::Value::Array(_) => return,
    };
    settings.push((path.into(), setting));
}

/// Opens a file of lines for appending.
pub(crate) fn append(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| Error::file(path, format!("cannot be opened: {e}")))
}

/// Writes a line to a file of lines at once: a killed process leaves at most one truncated line, at the end.
pub(crate) fn write_line(mut file: &File, path: &Path, line: &impl Display) -> Result<()> {
    file.write_all(format!("{line}\n").as_bytes()).map_err(|e| Error::file(path, format!("cannot be written: {e}")))
}

/// Flushes a file of lines to disk.
pub(crate) fn flush(file: &File, path: &Path) -> Result<()> {
    file.sync_data().map_err(|e| Error::file(path, format!("cannot be flushed: {e}")))
}

/// Returns the valid lines of JSON in a file, which is read as they are taken; none if there is no such file.
pub(crate) fn lines<T: DeserializeOwned>(path: &Path) -> impl Iterator<Item = T> {
    let file = regular_file::open(path).map(|file| BufReader::new(file.take(MOST_LINES)));
    let lines = file.into_iter().flat_map(|file| file.split(b'\n').map_while(Result::ok));
    lines.filter_map(|line| serde_json::from_slice(&line).ok())
}

fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Point at which a run resumes, which divides the lines of its files into past and future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    step: u64,
    rollbacks: u64,
}

impl Cut {
    /// Returns the point at the state of `trainer`.
    pub(crate) fn of(trainer: &Trainer) -> Self {
        Self { step: trainer.step(), rollbacks: trainer.rollbacks() }
    }

    /// Returns whether the run is at its start, so that no line belongs to its past. A killed process may have left some, such as the
    /// evaluation before the first step, which is repeated.
    pub(crate) fn is_start(self) -> bool {
        self.step == 0 && self.rollbacks == 0
    }

    /// Returns whether a line belongs to the past. The line of an alarm that rolled the run back contains the number of the rollback: it is
    /// written before the checkpoint that includes it, and is invalid for an earlier checkpoint.
    fn keeps(self, line: &Value) -> bool {
        let rollback = line.get(ROLLBACK).and_then(Value::as_u64).unwrap_or(0);
        !self.is_start() && line["step"].as_u64().is_some_and(|step| step <= self.step) && rollback <= self.rollbacks
    }

    /// Removes the lines beyond this point, and a truncated last line, from a file of lines of JSON. An invalid line between the kept ones
    /// stays in place and is reported in a warning.
    pub(crate) fn apply(self, path: &Path) -> Result<()> {
        let bytes = match regular_file::read(path, MOST_LINES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::file(path, format!("cannot be read: {error}"))),
        };
        let (kept, unreadable) = self.kept(&bytes);
        if let Some(first) = unreadable.first() {
            tracing::warn!(
                "{}: {} cannot be read, the first is line {first}; the file is damaged there. Such lines are kept as they are, and \
                 plots and reports leave them out",
                path.display(),
                counted(unreadable.len(), "line")
            );
        }
        if kept != bytes {
            atomic::write(path, &kept)?;
        }
        Ok(())
    }

    /// Returns the part of a file's `bytes` to keep, and the numbers of the invalid lines in it, counted from 1.
    fn kept(self, bytes: &[u8]) -> (Vec<u8>, Vec<usize>) {
        let mut kept = Vec::with_capacity(bytes.len());
        let mut unreadable = Vec::new();
        // Invalid lines belong to the past if a line of the past follows them.
        let mut waiting = Vec::new();
        let mut numbers = Vec::new();
        for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            match serde_json::from_slice::<Value>(line) {
                Ok(value) if self.keeps(&value) => {
                    kept.append(&mut waiting);
                    unreadable.append(&mut numbers);
                    kept.extend(line.strip_suffix(b"\n").unwrap_or(line));
                    kept.push(b'\n');
                }
                Ok(_) => {}
                Err(_) => {
                    waiting.extend(line);
                    numbers.push(number);
                }
            }
        }
        (kept, unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(step: u64, rollbacks: u64, text: &str) -> (String, Vec<usize>) {
        let (kept, unreadable) = Cut { step, rollbacks }.kept(text.as_bytes());
        (String::from_utf8(kept).unwrap(), unreadable)
    }

    #[test]
    fn settings_are_named_by_their_paths() {
        let table: toml::Table = "a = 1\n[b]\nc = \"x\"\nlist = [1]\n[b.d]\ne = true".parse().unwrap();
        let mut settings = vec![];
        flatten("", &toml::Value::Table(table), &mut settings);
        settings.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            ("a".to_string(), Hyperparameter::Number(1.0)),
            ("b.c".into(), Hyperparameter::Text("x".into())),
            ("b.d.e".into(), Hyperparameter::Switch(true)),
        ];
        assert_eq!(settings, expected);
    }

    #[test]
    fn later_lines_and_a_torn_end_are_cut_off() {
        let text = "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"ste";
        assert_eq!(kept(2, 0, text), ("{\"step\":1}\n{\"step\":2}\n".into(), vec![]));
        // A last line that only lacks its line break is complete.
        assert_eq!(kept(2, 0, "{\"step\":2}"), ("{\"step\":2}\n".into(), vec![]));
    }

    #[test]
    fn damaged_lines_inside_are_kept_and_counted() {
        let text = "{\"step\":1}\n{\"st\n\n{\"step\":2}\nnonsense\n{\"step\":3}\n";
        assert_eq!(kept(2, 0, text), ("{\"step\":1}\n{\"st\n\n{\"step\":2}\n".into(), vec![2, 3]));
        assert_eq!(kept(3, 0, text), (text.into(), vec![2, 3, 5]));
    }

    #[test]
    fn invalid_utf8_loses_no_other_line() {
        let bytes = b"{\"step\":1}\n\xff\xfe\n{\"step\":2}\n{\"step\":9}\n";
        let (kept, unreadable) = Cut { step: 2, rollbacks: 0 }.kept(bytes);
        assert_eq!((kept.as_slice(), unreadable), (&bytes[..bytes.len() - 11], vec![2]));
    }

    #[test]
    fn at_the_start_nothing_is_past() {
        let text = "{\"step\":0,\"fid\":9.0}\n{\"step\":1}\n";
        assert_eq!(kept(0, 0, text), (String::new(), vec![]));
        // A run that was rolled back to its start keeps its lines from there.
        assert_eq!(kept(0, 1, text).0, "{\"step\":0,\"fid\":9.0}\n");
    }

    #[test]
    fn a_rollback_without_its_checkpoint_is_ignored() {
        let text = "{\"step\":4}\n{\"step\":6}\n{\"step\":4,\"alarm\":\"collapse\",\"rollback\":1}\n";
        assert_eq!(kept(6, 0, text).0, "{\"step\":4}\n{\"step\":6}\n");
        assert_eq!(kept(4, 1, text).0, "{\"step\":4}\n{\"step\":4,\"alarm\":\"collapse\",\"rollback\":1}\n");
    }
}
