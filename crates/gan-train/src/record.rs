//! Observers that write the run folder's numbers and states: metrics, TensorBoard events, checkpoints with the weight file.
//! Those that draw are in [`crate::pictures`] and [`crate::planes`].

use crate::checkpoint;
use crate::error::{Error, Result};
use crate::folder::RunFolder;
use crate::observe::{Observer, Outcome};
use crate::report::Report;
use crate::trainer::{StepReport, Trainer};
use crate::{pictures, planes};
use gan_report::atomic;
use gan_report::tensorboard::{self, EventWriter};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The observers that write `folder`, in the order in which they must run: what a checkpoint claims is on the disk before it.
pub fn all(folder: &RunFolder) -> Vec<Box<dyn Observer>> {
    vec![
        Box::new(Metrics { folder: folder.clone(), files: None, since: Instant::now(), images: 0 }),
        Box::new(planes::Planes::new(folder)),
        Box::new(pictures::Progress::new(folder)),
        Box::new(Checkpoints { folder: folder.clone(), saved: None }),
        Box::new(pictures::Final::new(folder)),
        Box::new(Report { folder: folder.clone() }),
    ]
}

/// A line of metrics.jsonl.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    report: &'a StepReport,
    images_per_s: f64,
}

/// Appends to metrics.jsonl and the TensorBoard file.
struct Metrics {
    folder: RunFolder,
    files: Option<(File, EventWriter)>,
    since: Instant,
    images: u64,
}

impl Observer for Metrics {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        let path = self.folder.metrics();
        forget_after(&path, trainer.step())?;
        let opened = OpenOptions::new().create(true).append(true).open(&path);
        let file = opened.map_err(|e| Error::file(&path, format!("cannot be opened: {e}")))?;
        let now = unix_time();
        let events = match self.folder.events() {
            Some(path) => {
                let mut events = EventWriter::append_to(&path)?;
                events.restarted_at(trainer.step() + 1, now)?;
                events
            }
            None => EventWriter::create(&self.folder.path().join(tensorboard::file_name(now as u64)))?,
        };
        self.files = Some((file, events));
        self.since = Instant::now();
        Ok(())
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let train = &trainer.plan().config().train;
        self.images += report.images;
        if !report.step.is_multiple_of(train.log_every) && report.step != trainer.total_steps() {
            return self.flush_before_checkpoint(report.step, trainer);
        }
        let images_per_s = self.images as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        (self.images, self.since) = (0, Instant::now());
        let Some((file, events)) = &mut self.files else { return Ok(()) };
        let line = serde_json::to_value(Line { report, images_per_s }).unwrap_or_default();
        let path = self.folder.metrics();
        // One write a line: a killed process leaves at most one torn line, at the end.
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(|e| Error::file(&path, format!("cannot be written: {e}")))?;
        for (tag, value) in line.as_object().into_iter().flatten().filter(|(tag, _)| *tag != "step") {
            events.scalar(report.step, unix_time(), tag, value.as_f64().unwrap_or(f64::NAN))?;
        }
        events.flush()?;
        self.flush_before_checkpoint(report.step, trainer)
    }

    fn finished(&mut self, _: Outcome, _: &Trainer) -> Result<()> {
        self.flush()
    }
}

impl Metrics {
    /// A checkpoint must not outlive the lines that it counts where the power fails.
    fn flush_before_checkpoint(&self, step: u64, trainer: &Trainer) -> Result<()> {
        if step.is_multiple_of(trainer.plan().config().checkpoint.every) { self.flush() } else { Ok(()) }
    }

    fn flush(&self) -> Result<()> {
        let Some((file, _)) = &self.files else { return Ok(()) };
        file.sync_data().map_err(|e| Error::file(self.folder.metrics(), format!("cannot be flushed: {e}")))
    }
}

fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Cuts from a file of lines of JSON what lies beyond `step`, and a torn last line: the run goes on from there.
pub(crate) fn forget_after(path: &Path, step: u64) -> Result<()> {
    let Ok(text) = fs::read_to_string(path) else { return Ok(()) };
    let keep = |line: &&str| {
        let value = serde_json::from_str::<serde_json::Value>(line).ok();
        value.and_then(|v| v["step"].as_u64()).is_some_and(|s| s <= step)
    };
    let kept: String = text.lines().filter(keep).flat_map(|line| [line, "\n"]).collect();
    if kept != text {
        atomic::write(path, kept.as_bytes())?;
    }
    Ok(())
}

/// Saves the whole state at intervals and at the end, and G's weight file with it.
struct Checkpoints {
    folder: RunFolder,
    /// The step that this process saved last. What an earlier one saved it may not have saved wholly.
    saved: Option<u64>,
}

impl Observer for Checkpoints {
    fn started(&mut self, _: &Trainer) -> Result<()> {
        let dir = self.folder.checkpoints();
        fs::create_dir_all(&dir).map_err(|e| Error::file(&dir, format!("cannot be created: {e}")))
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let every = trainer.plan().config().checkpoint.every;
        if report.step.is_multiple_of(every) { self.save(trainer) } else { Ok(()) }
    }

    fn finished(&mut self, _: Outcome, trainer: &Trainer) -> Result<()> {
        let nothing_new = trainer.step() == 0 || self.saved == Some(trainer.step());
        if nothing_new { Ok(()) } else { self.save(trainer) }
    }
}

impl Checkpoints {
    fn save(&mut self, trainer: &Trainer) -> Result<()> {
        checkpoint::save(trainer, &self.folder.checkpoints(), trainer.plan().config().checkpoint.keep)?;
        if let Some(bytes) = trainer.generator_file()? {
            atomic::write(&self.folder.generator(), &bytes)?;
        }
        self.saved = Some(trainer.step());
        Ok(())
    }
}
