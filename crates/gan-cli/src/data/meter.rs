//! How far a long command is: a bar where one can be drawn, else plain lines.

use crate::quoting::visible_name;
use crate::say;
use gan_base::messages::counted;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Of a download.
    #[cfg(feature = "hub")]
    Bytes,
    /// Of a data set.
    Images,
    /// To be compared.
    Samples,
}

pub enum Meter {
    Nothing,
    Lines { what: String, last: Instant, names_at_once: bool },
    Bar { what: String, bar: ProgressBar },
}

impl Meter {
    /// A line for each new thing and one every ten seconds, where no bar can be drawn.
    pub fn new(quiet: bool) -> Self {
        let bar = ProgressBar::no_length();
        match (quiet, bar.is_hidden()) {
            (true, _) => Self::Nothing,
            (false, false) => Self::Bar { what: String::new(), bar },
            (false, true) => Self::Lines { what: String::new(), last: Instant::now(), names_at_once: true },
        }
    }

    /// The same, but nothing in the first ten seconds where no bar can be drawn: most such commands are over by then.
    pub fn patient(quiet: bool) -> Self {
        match Self::new(quiet) {
            Self::Lines { what, last, .. } => Self::Lines { what, last, names_at_once: false },
            other => other,
        }
    }

    /// Shows that `done` of `total` of the thing called `now` are done.
    pub fn show(&mut self, now: &str, done: u64, total: u64, unit: Unit) {
        match self {
            Self::Nothing => {}
            Self::Lines { what, last, names_at_once } => {
                if (*names_at_once && what != now) || last.elapsed() >= LINE_EVERY {
                    say::note(format_args!("{now}: {done} of {}", counted(total, unit.name())));
                    (*what, *last) = (now.into(), Instant::now());
                }
            }
            Self::Bar { what, bar } => {
                if what != now {
                    *what = now.into();
                    bar.set_style(ProgressStyle::with_template(unit.template()).expect("a valid template"));
                    bar.set_length(total);
                    bar.set_message(visible_name(now).into_owned());
                    bar.reset_elapsed();
                }
                bar.set_position(done);
            }
        }
    }

    pub fn end(&self) {
        if let Self::Bar { bar, .. } = self {
            bar.finish_and_clear();
        }
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "hub")]
            Self::Bytes => "byte",
            Self::Images => "image",
            Self::Samples => "sample",
        }
    }

    fn template(self) -> &'static str {
        match self {
            #[cfg(feature = "hub")]
            Self::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
            Self::Images | Self::Samples => "{msg} {wide_bar} {pos}/{len}",
        }
    }
}
