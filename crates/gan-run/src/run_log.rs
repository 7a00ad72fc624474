//! `metrics.jsonl` of a run, whole or while it grows.

use crate::folder::METRICS;
use crate::run_summary::Raised;
use crate::tail::{Fresh, Tail};
use gan_report::{Added, Metrics};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Text that a line of an alarm contains.
const ALARM: &[u8] = b"\"alarm\"";

/// Numbers and alarms of a run.
#[derive(Clone, Debug)]
pub struct RunLog {
    tail: Tail,
    /// All numbers.
    pub metrics: Arc<Metrics>,
    /// Alarms, in their order.
    pub alarms: Vec<Raised>,
    /// Number (from 1) and problem of each damaged line. The last line may be incomplete, as a killed process leaves it, and is not counted.
    pub damaged: Vec<(usize, String)>,
    /// Problem of the last line, which counts once another one follows.
    unfinished: Option<(usize, String)>,
    lines: usize,
}

/// How a log has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Not at all.
    Nothing,
    /// Lines were added after the others.
    After,
    /// Earlier numbers were removed or replaced, because the run continued from an earlier step.
    Replacing,
}

impl RunLog {
    /// Starts to read the log of the run in the folder `run`; [`RunLog::grow`] reads it.
    pub fn new(run: &Path) -> Self {
        let tail = Tail::new(&run.join(METRICS));
        Self { tail, metrics: Arc::default(), alarms: vec![], damaged: vec![], unfinished: None, lines: 0 }
    }

    /// Reads everything that was written since the last call.
    ///
    /// # Errors
    /// If the file cannot be read. A file that does not exist is empty.
    pub fn grow(&mut self) -> io::Result<Growth> {
        let mut growth = Growth::Nothing;
        loop {
            let Fresh { bytes, restarted } = self.tail.read()?;
            if restarted {
                let tail = self.tail.clone();
                *self = Self { tail, ..Self::new(Path::new("")) };
                growth = Growth::Replacing;
            }
            if bytes.is_empty() {
                return Ok(growth);
            }
            let metrics = Arc::make_mut(&mut self.metrics);
            for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
                self.lines += 1;
                if line.is_empty() {
                    continue;
                }
                self.damaged.extend(self.unfinished.take());
                if is_alarm(line) {
                    self.alarms.extend(serde_json::from_slice::<Raised>(line).ok());
                }
                match metrics.add_line(line) {
                    Ok(Added::After) if growth == Growth::Nothing => growth = Growth::After,
                    Ok(Added::After) => {}
                    Ok(Added::Replacing) => growth = Growth::Replacing,
                    Err(problem) => self.unfinished = Some((self.lines, problem.to_string())),
                }
            }
            // `split` returns an empty line after the last one.
            self.lines -= 1;
        }
    }

    /// Returns the last step.
    pub fn steps(&self) -> u64 {
        self.metrics.reached() as u64
    }
}

/// Returns whether a line may be that of an alarm. Runs of millions of lines have few, so only these are fully parsed.
pub fn is_alarm(line: &[u8]) -> bool {
    line.windows(ALARM.len()).any(|part| part == ALARM)
}
