//! A run as one self-contained HTML file: no network, no server, no other file.
//!
//! The caller fills a [`Page`] with plain values; [`Page::html`] puts them into `page.html` beside the style and the script. In reading
//! order: this file, `sections` (the contents), `charts` and `reduce` (the curves, long ones thinned), `pictures` (PNG files as data URIs,
//! within a budget), `template` (everything into one file, and the policy that forbids all requests), `escape`.

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

/// Contents of a page. All texts are plain text and are escaped. An empty part takes no space.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Heading, and the browser's title.
    pub title: String,
    /// Line under the heading.
    pub lead: String,
    /// Parts that could not be shown, one sentence each.
    pub notes: Vec<String>,
    /// Names and values of the run's settings and length.
    pub summary: Vec<(String, String)>,
    /// Most important numbers.
    pub cards: Vec<Card>,
    /// Diagnosis of the run's numbers, in words.
    pub diagnoses: Vec<Diagnosis>,
    /// Metrics of the run; each field with a number is drawn.
    pub metrics: Metrics,
    /// Names for users of metrics fields that this crate does not know; others have their own names.
    pub names: BTreeMap<String, String>,
    /// Pictures over the steps, with a slider for each sequence.
    pub sequences: Vec<Sequence>,
    /// Single pictures.
    pub pictures: Vec<Single>,
    /// The networks as tables.
    pub networks: Vec<NetworkTable>,
    /// All settings.
    pub settings_toml: String,
}

/// A number with its name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// Name of the number.
    pub label: String,
    /// Number as text.
    pub value: String,
    /// Line under the number.
    pub note: String,
    /// Severity, which determines the color.
    pub severity: Severity,
}

/// A sentence or two about the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Severity of the finding.
    pub severity: Severity,
    /// Finding, with the numbers that it is based on.
    pub text: String,
}

/// Severity of a finding, the most serious first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something is broken.
    Bad,
    /// Should be checked.
    Warn,
    /// As expected.
    Good,
    /// Neutral.
    #[default]
    Plain,
}

impl Severity {
    /// Returns the class in the style sheet.
    fn class(self) -> &'static str {
        match self {
            Severity::Bad => "bad",
            Severity::Warn => "warn",
            Severity::Good => "good",
            Severity::Plain => "plain",
        }
    }

    /// Returns the severity as a word, because color alone must not convey it.
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
    /// Heading.
    pub name: String,
    /// Description of the pictures.
    pub caption: String,
    /// Frames by ascending step. At most [`MOST_FRAMES`] of them are embedded.
    pub frames: Vec<Frame>,
}

/// A picture of a [`Sequence`].
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Step of the picture.
    pub step: u64,
    /// A PNG file.
    pub path: PathBuf,
}

/// A single picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Single {
    /// Description of the picture.
    pub caption: String,
    /// A PNG file.
    pub path: PathBuf,
}

/// A network, layer by layer, with numbers as text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkTable {
    /// Heading.
    pub name: String,
    /// Shape of one input.
    pub input: String,
    /// The layers.
    pub rows: Vec<NetworkRow>,
    /// Names and values of totals over all layers.
    pub totals: Vec<(String, String)>,
}

/// A layer of a [`NetworkTable`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkRow {
    /// Name of its parameters.
    pub name: String,
    /// Kind and settings.
    pub layer: String,
    /// Output shape.
    pub output: String,
    /// Number of parameters, including running averages.
    pub parameters: String,
    /// Multiply-adds for one sample; empty if there are none.
    pub multiply_adds: String,
}

/// Maximum number of embedded frames of a sequence, evenly spaced and including the last.
pub const MOST_FRAMES: usize = 60;

impl Page {
    /// Returns the name of a metrics field for users.
    fn called(&self, field: &str) -> String {
        self.names.get(field).cloned().unwrap_or_else(|| field.replace('_', " "))
    }

    /// Returns cards for measurements during the run, such as a Fréchet distance: every field of the metrics that is not one of the usual
    /// ones.
    pub fn measured_cards(&self) -> Vec<Card> {
        sections::measured(self)
    }

    /// Returns the whole file. The same page gives the same bytes. A picture that cannot be read is skipped, and the page notes it.
    pub fn html(&self) -> String {
        template::filled(self)
    }

    /// Writes [`Page::html`] to `path` atomically.
    ///
    /// # Errors
    /// [`Error::File`] naming `path`.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        Ok(atomic::write(path, self.html().as_bytes())?)
    }
}

#[cfg(test)]
mod tests;
