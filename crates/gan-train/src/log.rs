//! A run's numbers on disk: metrics.jsonl and the same for TensorBoard, written by several observers.

use crate::error::{Error, Result};
use crate::folder::RunFolder;
use gan_report::atomic;
use gan_report::tensorboard::{self, EventWriter};
use serde_json::Value;
use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The log of a run, shared by those who write it.
#[derive(Clone)]
pub(crate) struct Log {
    folder: RunFolder,
    open: Rc<RefCell<Option<Open>>>,
}

struct Open {
    file: File,
    events: EventWriter,
    /// Lines that nobody has taken yet.
    fresh: Vec<Value>,
}

impl Log {
    pub(crate) fn new(folder: &RunFolder) -> Self {
        Self { folder: folder.clone(), open: Rc::default() }
    }

    /// Begins after `step`: what lies beyond is cut off, what is kept counts as fresh.
    pub(crate) fn begin(&self, step: u64) -> Result<()> {
        let path = self.folder.metrics();
        forget_after(&path, step)?;
        let fresh = lines(&path);
        let file = append(&path)?;
        let now = unix_time();
        let events = match self.folder.events() {
            Some(path) => {
                let mut events = EventWriter::append_to(&path)?;
                events.restarted_at(step + 1, now)?;
                events
            }
            None => EventWriter::create(&self.folder.path().join(tensorboard::file_name(now as u64)))?,
        };
        *self.open.borrow_mut() = Some(Open { file, events, fresh });
        Ok(())
    }

    /// Writes a line of `step`; its numbers go to TensorBoard too.
    pub(crate) fn write(&self, step: u64, line: Value) -> Result<()> {
        let mut open = self.open.borrow_mut();
        let Some(Open { file, events, fresh }) = &mut *open else { return Ok(()) };
        // One write a line: a killed process leaves at most one torn line, at the end.
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(|e| Error::file(self.folder.metrics(), format!("cannot be written: {e}")))?;
        let numbers =
            line.as_object().into_iter().flatten().filter(|(tag, value)| *tag != "step" && !value.is_string());
        for (tag, value) in numbers {
            events.scalar(step, unix_time(), tag, value.as_f64().unwrap_or(f64::NAN))?;
        }
        events.flush()?;
        fresh.push(line);
        Ok(())
    }

    /// The lines since the last call.
    pub(crate) fn take_fresh(&self) -> Vec<Value> {
        self.open.borrow_mut().as_mut().map(|open| std::mem::take(&mut open.fresh)).unwrap_or_default()
    }

    /// Whether there is such a line already.
    pub(crate) fn holds(&self, line: &Value) -> bool {
        lines(&self.folder.metrics()).contains(line)
    }

    /// Everything written is on the disk after this.
    pub(crate) fn flush(&self) -> Result<()> {
        let open = self.open.borrow();
        let Some(Open { file, .. }) = &*open else { return Ok(()) };
        file.sync_data().map_err(|e| Error::file(self.folder.metrics(), format!("cannot be flushed: {e}")))
    }
}

/// Opens a file of lines to write behind what is there.
pub(crate) fn append(path: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| Error::file(path, format!("cannot be opened: {e}")))
}

/// The whole lines of JSON in a file; none where there is no such file.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Cuts from a file of lines of JSON what lies beyond `step`, and a torn last line: the run goes on from there.
pub(crate) fn forget_after(path: &Path, step: u64) -> Result<()> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
    let keep = |line: &&str| {
        let value = serde_json::from_str::<Value>(line).ok();
        value.and_then(|v| v["step"].as_u64()).is_some_and(|s| s <= step)
    };
    let kept: String = text.lines().filter(keep).flat_map(|line| [line, "\n"]).collect();
    if kept != text {
        atomic::write(path, kept.as_bytes())?;
    }
    Ok(())
}
