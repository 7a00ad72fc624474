//! Progress of a run on the terminal: a bar if the terminal supports it, plain lines otherwise, nothing with --quiet.

use crate::say;
use gan_alarms::Alarm;
use gan_base::messages::counted;
use gan_run::{Observer, Outcome, Result};
use gan_train::config::Policy;
use gan_train::{StepReport, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Minimum interval of lines without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows a run's progress on standard error.
pub struct Progress {
    folder: PathBuf,
    output: Output,
    meter: Meter,
}

enum Output {
    Nothing,
    Lines { last: Instant },
    Bar(ProgressBar),
}

impl Progress {
    /// Returns a progress display in the form that standard error supports.
    pub fn new(folder: &Path, quiet: bool) -> Self {
        let bar = ProgressBar::no_length();
        let output = match (quiet, bar.is_hidden()) {
            (true, _) => Output::Nothing,
            (false, false) => Output::Bar(bar),
            // No terminal, or one that cannot move its cursor, such as TERM=dumb, which would not draw a bar.
            (false, true) => Output::Lines { last: Instant::now() },
        };
        Self { folder: folder.to_path_buf(), output, meter: Meter::default() }
    }
}

impl Observer for Progress {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        let (step, total) = (trainer.step(), trainer.total_steps());
        let config = trainer.plan().config();
        self.meter = Meter { start: step, ..Meter::default() };
        if !matches!(self.output, Output::Nothing) {
            let per_epoch = trainer.steps_per_epoch();
            let done = if step > 0 { format!("{step} done, ") } else { String::new() };
            let (preset, folder) = (&config.preset, self.folder.display());
            say::note(format_args!("{preset} into {folder}: {done}{}, {per_epoch} an epoch", counted(total, "step")));
        }
        if let Output::Bar(bar) = &self.output {
            bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} {msg}").expect("a valid template"));
            bar.set_length(total);
            bar.set_position(step);
        }
        Ok(())
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let total = trainer.total_steps();
        self.meter.images += report.images;
        let text = || self.meter.text(report, total);
        match &mut self.output {
            Output::Nothing => {}
            Output::Bar(bar) => {
                bar.set_message(text());
                bar.set_position(report.step);
            }
            Output::Lines { last } => {
                let first = report.step == self.meter.start + 1;
                if first || report.step == total || last.elapsed() >= LINE_EVERY {
                    say::note(format_args!("step {}/{total}  {}", report.step, text()));
                    *last = Instant::now();
                }
            }
        }
        Ok(())
    }

    fn alarmed(&mut self, alarm: &Alarm, done: Policy, trainer: &Trainer) -> Result<()> {
        let what = match done {
            Policy::Rollback => format!(" Gone back to step {}, rates lowered.", trainer.step()),
            Policy::Stop => " The run ends here.".into(),
            _ => String::new(),
        };
        let text = format!("alarm: {alarm}.{what}");
        match &self.output {
            Output::Bar(bar) => bar.suspend(|| say::note(text)),
            _ => say::note(text),
        }
        Ok(())
    }

    fn rolled_back(&mut self, trainer: &Trainer) -> Result<()> {
        self.meter = Meter { start: trainer.step(), ..Meter::default() };
        Ok(())
    }

    fn finished(&mut self, _: Outcome, _: &Trainer) -> Result<()> {
        if let Output::Bar(bar) = &self.output {
            bar.abandon();
        }
        Ok(())
    }
}

/// Measurement of the speed and the remaining time.
struct Meter {
    since: Instant,
    start: u64,
    images: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { since: Instant::now(), start: 0, images: 0 }
    }
}

impl Meter {
    fn text(&self, report: &StepReport, total: u64) -> String {
        let number = |x: Option<f64>| x.map_or("–".to_string(), |x| format!("{x:.2}"));
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        let per_step = seconds / (report.step - self.start) as f64;
        let left =
            Duration::try_from_secs_f64(per_step * total.saturating_sub(report.step) as f64).unwrap_or(Duration::MAX);
        format!(
            "loss D {} G {}  D(x) {}  D(G(z)) {}→{}  {:.0} img/s  {} left",
            number(report.loss_d),
            number(report.loss_g),
            number(report.d_real),
            number(report.d_fake_before),
            number(report.d_fake_after),
            self.images as f64 / seconds,
            humantime::format_duration(Duration::from_secs(left.as_secs())),
        )
    }
}
