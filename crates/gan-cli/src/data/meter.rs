//! How far a long command is: a bar on a terminal, else a line a thing and one every ten seconds.

use crate::quoting::visible_name;
use crate::say;
use gan_core::wording::counted;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
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
}

pub enum Meter {
    Nothing,
    Lines { what: String, last: Instant },
    Bar { what: String, bar: ProgressBar },
}

impl Meter {
    pub fn new(quiet: bool) -> Self {
        match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Bar { what: String::new(), bar: ProgressBar::no_length() },
            (false, false) => Self::Lines { what: String::new(), last: Instant::now() },
        }
    }

    /// Shows that `done` of `total` of the thing called `now` are done.
    pub fn show(&mut self, now: &str, done: u64, total: u64, unit: Unit) {
        match self {
            Self::Nothing => {}
            Self::Lines { what, last } => {
                if what != now || last.elapsed() >= LINE_EVERY {
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
        }
    }

    fn template(self) -> &'static str {
        match self {
            #[cfg(feature = "hub")]
            Self::Bytes => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}",
            Self::Images => "{msg} {wide_bar} {pos}/{len}",
        }
    }
}
