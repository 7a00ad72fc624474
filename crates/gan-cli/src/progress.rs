//! Progress on the terminal: a bar if the terminal supports it, plain lines otherwise, nothing with --quiet. [`Meter`] is for long commands,
//! [`RunProgress`] for training.

use crate::print::{self, visible_name};
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

enum Output {
    Nothing,
    /// No terminal, or one that cannot move its cursor, such as TERM=dumb, which would not draw a bar.
    Lines {
        last: Instant,
    },
    Bar(ProgressBar),
}

impl Output {
    fn new(quiet: bool) -> Self {
        let bar = ProgressBar::no_length();
        match (quiet, bar.is_hidden()) {
            (true, _) => Self::Nothing,
            (false, false) => Self::Bar(bar),
            (false, true) => Self::Lines { last: Instant::now() },
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template")
}

/// Progress of a command that may take long.
pub struct Meter {
    output: Output,
    /// The item that is being processed.
    item: String,
    announces_items: bool,
}

impl Meter {
    /// Returns a meter that, without a bar, prints a line for each new item and one every ten seconds.
    pub fn new(quiet: bool) -> Self {
        Self { output: Output::new(quiet), item: String::new(), announces_items: true }
    }

    /// Returns a meter that, without a bar, prints nothing in the first ten seconds, because most such commands are
    /// done by then.
    pub fn patient(quiet: bool) -> Self {
        Self { announces_items: false, ..Self::new(quiet) }
    }

    /// Shows that `done` of `total` of an item, counted in `unit`s ("byte", "image"), are done.
    pub fn show(&mut self, item: &str, done: u64, total: u64, unit: &str) {
        let is_new = self.item != item;
        match &mut self.output {
            Output::Nothing => {}
            Output::Lines { last } => {
                if (self.announces_items && is_new) || last.elapsed() >= LINE_EVERY {
                    print::note(format_args!("{item}: {done} of {}", counted(total, unit)));
                    self.item = item.into();
                    *last = Instant::now();
                }
            }
            Output::Bar(bar) => {
                if is_new {
                    self.item = item.into();
                    bar.set_style(style(match unit {
                        "byte" => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
                        _ => "{msg} {wide_bar} {pos}/{len}",
                    }));
                    bar.set_length(total);
                    bar.set_message(visible_name(item).into_owned());
                    bar.reset_elapsed();
                }
                bar.set_position(done);
            }
        }
    }

    pub fn end(&self) {
        if let Output::Bar(bar) = &self.output {
            bar.finish_and_clear();
        }
    }
}

/// Progress of a run.
pub struct RunProgress {
    folder: PathBuf,
    output: Output,
    /// Start of the measurement of the speed: its time and step, and the images since then.
    since: Instant,
    start: u64,
    images: u64,
}

impl RunProgress {
    pub fn new(folder: &Path, quiet: bool) -> Self {
        Self { folder: folder.into(), output: Output::new(quiet), since: Instant::now(), start: 0, images: 0 }
    }

    fn restart(&mut self, step: u64) {
        self.since = Instant::now();
        self.start = step;
        self.images = 0;
    }

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

impl Observer for RunProgress {
    fn started(&mut self, trainer: &Trainer) -> Result<()> {
        let step = trainer.step();
        let total = trainer.total_steps();
        self.restart(step);
        if !matches!(self.output, Output::Nothing) {
            let done = if step > 0 { format!("{step} done, ") } else { String::new() };
            let preset = &trainer.plan().config().preset;
            let steps = format!("{}, {} an epoch", counted(total, "step"), trainer.steps_per_epoch());
            print::note(format_args!("{preset} into {}: {done}{steps}", self.folder.display()));
        }
        if let Output::Bar(bar) = &self.output {
            bar.set_style(style("{wide_bar} {pos}/{len} {msg}"));
            bar.set_length(total);
            bar.set_position(step);
        }
        Ok(())
    }

    fn stepped(&mut self, report: &StepReport, trainer: &Trainer) -> Result<()> {
        let total = trainer.total_steps();
        self.images += report.images;
        match &self.output {
            Output::Nothing => {}
            Output::Bar(bar) => {
                bar.set_message(self.text(report, total));
                bar.set_position(report.step);
            }
            Output::Lines { last } => {
                let is_first = report.step == self.start + 1;
                if is_first || report.step == total || last.elapsed() >= LINE_EVERY {
                    print::note(format_args!("step {}/{total}  {}", report.step, self.text(report, total)));
                    self.output = Output::Lines { last: Instant::now() };
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
            Output::Bar(bar) => bar.suspend(|| print::note(text)),
            _ => print::note(text),
        }
        Ok(())
    }

    fn rolled_back(&mut self, trainer: &Trainer) -> Result<()> {
        self.restart(trainer.step());
        Ok(())
    }

    fn finished(&mut self, _: Outcome, _: &Trainer) -> Result<()> {
        if let Output::Bar(bar) = &self.output {
            bar.abandon();
        }
        Ok(())
    }
}
