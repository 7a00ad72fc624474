//! Observers that write the run folder's metrics and states: metrics, and checkpoints with the weight file. `evaluation_observer`
//! evaluates; the observers that draw are in [`crate::pictures`] and [`crate::planes`].

use crate::error::Result;
use crate::evaluation_observer::EvaluationObserver;
use crate::folder::RunFolder;
use crate::log::{Cut, Log};
use crate::pictures::{self, make};
use crate::planes;
use crate::report::ReportObserver;
use crate::run::{Observer, Outcome};
use gan_alarms::Alarm;
use gan_base::atomic;
use gan_train::checkpoint;
use gan_train::config::Policy;
use gan_train::{StepReport, Trainer};
use serde::Serialize;
use std::time::Instant;

/// Returns the observers that write `folder`, in the order in which they must run: everything that a checkpoint refers to is on disk before
/// it.
pub fn observers(folder: &RunFolder) -> Vec<Box<dyn Observer>> {
    let log = Log::new(folder);
    vec![
        Box::new(Metrics { log: log.clone(), since: Instant::now(), images: 0 }),
        Box::new(planes::Planes::new(folder)),
        Box::new(pictures::Progress::new(folder, log.clone())),
        Box::new(EvaluationObserver::new(folder, log.clone())),
        Box::new(Checkpoints { folder: folder.clone(), log, saved: None, due: false }),
        Box::new(pictures::Final { folder: folder.clone() }),
        Box::new(ReportObserver { folder: folder.clone() }),
    ]
}

/// Line of metrics.jsonl.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    report: &'a StepReport,
    images_per_s: f64,
}

/// Line of an alarm. It belongs to the step from which the run continues.
#[derive(Serialize)]
struct AlarmLine<'a> {
    step: u64,
    #[serde(flatten)]
    alarm: &'a Alarm,
    done: Policy,
    /// Number of rollbacks, including this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollback: Option<u64>,
}

/// Observer that appends to metrics.jsonl and the TensorBoard file.
struct Metrics {
    log: Log,
    since: Instant,
    images: u64,
}

impl Metrics {
    fn restart(&mut self) {
        self.since = Instant::now();
        self.images = 0;
    }
}

impl Observer for Metrics {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        self.log.begin(Cut::of(trainer))?;
        self.restart();
        Ok(())
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let train = &trainer.plan().config().train;
        self.images += report.images;
        if report.step.is_multiple_of(train.log_every) || report.step == trainer.total_steps() {
            let images_per_s = self.images as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
            self.restart();
            let line = serde_json::to_value(Line { report, images_per_s }).unwrap_or_default();
            self.log.write(report.step, line)?;
        }
        Ok(())
    }

    fn alarmed(&mut self, alarm: &Alarm, done: Policy, trainer: &Trainer) -> Result<()> {
        let rollback = (done == Policy::Rollback).then(|| trainer.rollbacks());
        let line = AlarmLine { step: trainer.step(), alarm, done, rollback };
        let line = serde_json::to_value(line).unwrap_or_default();
        // A run that ended here ends here again when it is resumed.
        if done != Policy::Stop || !self.log.holds(&line) {
            self.log.write(trainer.step(), line)?;
        }
        self.log.flush()
    }

    fn finished(&mut self, _: Outcome, _: &Trainer) -> Result<()> {
        self.log.flush()
    }
}

/// Observer that saves the whole state before the first step, at intervals and at the end, together with G's weight file.
struct Checkpoints {
    folder: RunFolder,
    log: Log,
    /// Last step that this process saved. An earlier process may not have saved completely.
    saved: Option<u64>,
    /// Whether to save once the step's alarms are handled. Saving earlier could lose an alarm, because a run that resumes from a checkpoint
    /// assumes that everything before it was handled.
    due: bool,
}

impl Observer for Checkpoints {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        let dir = self.folder.checkpoints();
        make(&dir)?;
        // From now on, a folder without a checkpoint is one whose checkpoints were deleted.
        if trainer.step() == 0 && checkpoint::newest(&dir).is_none() {
            checkpoint::save(trainer, &dir, trainer.plan().config().checkpoint.keep)?;
        }
        Ok(())
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        self.due = report.step.is_multiple_of(trainer.plan().config().checkpoint.every);
        Ok(())
    }

    fn alarmed(&mut self, _: &Alarm, done: Policy, _: &Trainer) -> Result<()> {
        // A process that is killed after a rollback must not resume from a discarded state.
        self.due |= done == Policy::Rollback;
        Ok(())
    }

    fn settled(&mut self, trainer: &Trainer) -> Result<()> {
        if std::mem::take(&mut self.due) { self.save(trainer) } else { Ok(()) }
    }

    fn rolled_back(&mut self, trainer: &Trainer) -> Result<()> {
        checkpoint::forget_after(&self.folder.checkpoints(), trainer.step());
        Ok(())
    }

    fn finished(&mut self, _: Outcome, trainer: &Trainer) -> Result<()> {
        let nothing_new = trainer.step() == 0 || self.saved == Some(trainer.step());
        if nothing_new { Ok(()) } else { self.save(trainer) }
    }
}

impl Checkpoints {
    fn save(&mut self, trainer: &Trainer) -> Result<()> {
        // A checkpoint must not survive a power failure without the lines that it counts.
        self.log.flush()?;
        checkpoint::save(trainer, &self.folder.checkpoints(), trainer.plan().config().checkpoint.keep)?;
        atomic::write(&self.folder.generator(), &trainer.generator_file()?)?;
        self.saved = Some(trainer.step());
        Ok(())
    }
}
