//! A run as one HTML file that needs nothing else: no network, no server, no other file.
//!
//! The caller fills a [`Page`] with plain values; [`Page::html`] puts them into `page.html` beside the style and the script.
//! In reading order: this file, `sections` (what the page says), `charts` and `reduce` (the curves, long ones thinned),
//! `pictures` (PNG files as data URIs, within a budget), `template` (everything into one file, and the policy that forbids all requests), `escape`.

mod charts;
mod escape;
mod pictures;
mod reduce;
mod sections;
mod template;

pub use sections::to_digits;

use crate::{Error, Metrics};
use gan_base::atomic;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a page shows. Every text is plain text: it is escaped on its way into the file. An empty part takes no room.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The heading, and the browser's title.
    pub title: String,
    /// A line under it.
    pub lead: String,
    /// What could not be shown, a sentence each.
    pub notes: Vec<String>,
    /// Name and value of what the run was.
    pub summary: Vec<(String, String)>,
    /// The few numbers that matter most.
    pub cards: Vec<Card>,
    /// What the run's numbers say, in words.
    pub diagnoses: Vec<Diagnosis>,
    /// Every number of the run; each field that has a number is drawn.
    pub metrics: Metrics,
    /// What users call fields of the metrics that this crate does not know; others go by their own names.
    pub names: BTreeMap<String, String>,
    /// Pictures over the steps, a slider each.
    pub sequences: Vec<Sequence>,
    /// Single pictures.
    pub pictures: Vec<Single>,
    /// The networks as tables.
    pub networks: Vec<NetworkTable>,
    /// Every setting.
    pub settings_toml: String,
}

/// A number with its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// What it is.
    pub label: String,
    /// The number as text.
    pub value: String,
    /// A line under it.
    pub note: String,
    /// How it is coloured.
    pub severity: Severity,
}

/// A sentence or two about the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// How serious it is.
    pub severity: Severity,
    /// What, and the numbers that it rests on.
    pub text: String,
}

/// How serious something is, the most serious first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is broken.
    Bad,
    /// Worth a look.
    Warn,
    /// As it should be.
    Good,
    /// Neither.
    #[default]
    Plain,
}

impl Severity {
    /// The class in the style sheet.
    fn class(self) -> &'static str {
        match self {
            Severity::Bad => "bad",
            Severity::Warn => "warn",
            Severity::Good => "good",
            Severity::Plain => "plain",
        }
    }

    /// Colour alone must not carry it.
    fn word(self) -> &'static str {
        match self {
            Severity::Bad => "Problem",
            Severity::Warn => "Look here",
            Severity::Good => "Good sign",
            Severity::Plain => "Note",
        }
    }
}

/// The same picture after different steps.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    /// The heading.
    pub name: String,
    /// What is seen, in plain words.
    pub caption: String,
    /// By ascending step. At most [`MOST_FRAMES`] of them are embedded.
    pub frames: Vec<Frame>,
}

/// A picture of a [`Sequence`].
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// After which step.
    pub step: u64,
    /// A PNG file.
    pub path: PathBuf,
}

/// A picture by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// What is seen, in plain words.
    pub caption: String,
    /// A PNG file.
    pub path: PathBuf,
}

/// A network, layer by layer; numbers come as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkTable {
    /// The heading.
    pub name: String,
    /// The shape of one input.
    pub input: String,
    /// The layers.
    pub rows: Vec<NetworkRow>,
    /// Name and value of sums over all layers.
    pub totals: Vec<(String, String)>,
}

/// A layer of a [`NetworkTable`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkRow {
    /// What its parameters are called.
    pub name: String,
    /// Its kind and settings.
    pub layer: String,
    /// The shape after it.
    pub output: String,
    /// Its parameters, running averages included.
    pub parameters: String,
    /// Its multiply-adds for one sample; empty for none.
    pub multiply_adds: String,
}

/// As many frames of a sequence are embedded at most, evenly spaced, the last always.
pub const MOST_FRAMES: usize = 60;

impl Page {
    /// What users call a field of the metrics.
    fn called(&self, field: &str) -> String {
        self.names.get(field).cloned().unwrap_or_else(|| field.replace('_', " "))
    }

    /// Cards for the numbers that someone measured during the run, such as a Fréchet distance: every field of the metrics which
    /// is not one of the usual.
    pub fn measured_cards(&self) -> Vec<Card> {
        sections::measured(self)
    }

    /// The whole file. The same page gives the same bytes. A picture that cannot be read is left out, and the page says so.
    pub fn html(&self) -> String {
        template::filled(self)
    }

    /// Writes [`Page::html`] to `path` in one piece.
    ///
    /// # Errors
    /// [`Error::File`] naming `path`.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        Ok(atomic::write(path, self.html().as_bytes())?)
    }
}

#[cfg(test)]
mod tests;
