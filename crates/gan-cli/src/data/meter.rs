//! Progress of a long command: a bar if the terminal supports it, else plain lines.

use crate::quoting::visible_name;
use crate::say;
use gan_base::messages::counted;
use indicatif::{ProgressBar, ProgressStyle};
use std::time::{Duration, Instant};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Unit of the progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a download.
    #[cfg(feature = "hub")]
    Bytes,
    /// Images of a data set.
    Images,
    /// Samples to compare.
    Samples,
}

pub enum Meter {
    Nothing,
    Lines { what: String, last: Instant, names_at_once: bool },
    Bar { what: String, bar: ProgressBar },
}

impl Meter {
    /// Returns a meter that, without a bar, prints a line for each new item and one every ten seconds.
    pub fn new(quiet: bool) -> Self {
        let bar = ProgressBar::no_length();
        match (quiet, bar.is_hidden()) {
            (true, _) => Self::Nothing,
            (false, false) => Self::Bar { what: String::new(), bar },
            (false, true) => Self::Lines { what: String::new(), last: Instant::now(), names_at_once: true },
        }
    }

    /// Returns a meter that, without a bar, prints nothing in the first ten seconds, because most such commands are
    /// done by then.
    pub fn patient(quiet: bool) -> Self {
        match Self::new(quiet) {
            Self::Lines { what, last, .. } => Self::Lines { what, last, names_at_once: false },
            other => other,
        }
    }

    /// Shows that `done` of `total` of the item called `now` are done.
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
