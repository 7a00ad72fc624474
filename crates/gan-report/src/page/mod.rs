//! A run as one self-contained HTML file: no network, no server, no other file.
//!
//! The caller fills a [`Page`] with plain values; [`Page::html`] puts them into `page.html` beside the style and the script. In reading
//! order: this file (the contents, the file), `sections` (the parts as HTML), `curves` (the numbers of the charts), `pictures` (PNG files as
//! data URIs, within a budget).

mod curves;
mod pictures;
mod sections;

pub use crate::charts::{Chart, Curve};
pub use curves::data as chart_data;
pub use sections::{Section, grouped, to_digits};

use crate::shell::{self, Permission, fill, policy};
use crate::{Error, Metrics, markup};
use gan_base::atomic;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const HTML: &str = include_str!("page.html");
/// Parts of the one style element.
const STYLES: [&str; 2] = [shell::STYLE, Page::STYLE];
/// Scripts that are concatenated in one script element.
const SCRIPTS: [&str; 2] = [Page::SCRIPT, "start();\n"];

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
    pub metrics: Arc<Metrics>,
    /// Charts to show instead of those of the metrics.
    pub charts: Vec<Chart>,
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

/// Parts of a page, for a program that puts them into a document of its own.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Sections that are not empty, in the order of the page.
    pub sections: Vec<Section>,
    /// What the script reads from the element `#data`: `charts` and `sequences`.
    pub data: Value,
}

impl Parts {
    /// Returns links to the sections, as list items.
    pub fn contents(&self) -> String {
        sections::contents(&self.sections)
    }

    /// Returns all sections as HTML.
    pub fn main(&self) -> String {
        self.sections.iter().map(|section| section.html.as_str()).collect()
    }
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
    /// Returns the class in the style sheet, and the severity in words, because color alone must not convey it.
    fn class_and_words(self) -> [&'static str; 2] {
        match self {
            Severity::Bad => ["bad", "Problem"],
            Severity::Warn => ["warn", "Look here"],
            Severity::Good => ["good", "Good sign"],
            Severity::Plain => ["plain", "Note"],
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
    /// Frames by ascending step. At most 60 of them are embedded.
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

/// A network, layer by layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkTable {
    /// Heading.
    pub name: String,
    /// Shape of one input.
    pub input: String,
    /// For each layer: name of its parameters, kind and settings, output shape, number of parameters with running averages, multiply-adds
    /// for one sample (empty if there are none).
    pub rows: Vec<[String; 5]>,
    /// Names and values of totals over all layers.
    pub totals: Vec<(String, String)>,
}

impl Page {
    /// Style of the page, after that of the shell.
    pub const STYLE: &str = include_str!("page.css");

    /// Script of the page, with that of the shell: `start()` makes charts, sliders and pictures of the elements that [`Page::parts`] returns.
    pub const SCRIPT: &str = concat!(
        include_str!("../shell/theme.js"),
        include_str!("js/axis.js"),
        include_str!("js/chart.js"),
        include_str!("js/input.js"),
        include_str!("js/frames.js"),
        include_str!("js/page.js"),
    );

    /// Returns the name of a metrics field for users.
    fn called(&self, field: &str) -> String {
        self.names.get(field).cloned().unwrap_or_else(|| field.replace('_', " "))
    }

    /// Returns cards for measurements during the run, such as a Fréchet distance: every field of the metrics that is not one of the usual
    /// ones.
    pub fn measured_cards(&self) -> Vec<Card> {
        sections::measured(self)
    }

    /// Returns the charts of the metrics: the known ones first, then one for each other field with a number.
    pub fn charts(&self) -> Vec<Chart> {
        curves::charts(self)
    }

    /// Returns the parts of the page. Pictures are not embedded: `link` returns the address of each.
    pub fn parts(&self, link: &dyn Fn(&Path) -> String) -> Parts {
        self.parts_of(&pictures::album(self, Some(link)))
    }

    fn parts_of(&self, album: &pictures::Album) -> Parts {
        let own = if self.charts.is_empty() { self.charts() } else { vec![] };
        let charts = if self.charts.is_empty() { &own } else { &self.charts };
        let data = json!({
            "charts": charts.iter().map(chart_data).collect::<Vec<_>>(),
            "sequences": album.films.iter().map(sections::film_data).collect::<Vec<_>>(),
        });
        Parts { sections: sections::all(self, album, charts), data }
    }

    /// Returns the whole file. The same page gives the same bytes. A picture that cannot be read is skipped, and the page notes it.
    pub fn html(&self) -> String {
        let parts = self.parts_of(&pictures::album(self, None));
        let style = STYLES.concat();
        let script = SCRIPTS.concat();
        fill(
            HTML,
            &[
                ("policy", &policy(&style, &script, Permission::Nothing)),
                ("title", &markup::text(&self.title)),
                ("lead", &markup::text(&self.lead)),
                ("style", &style),
                ("contents", &parts.contents()),
                ("main", &parts.main()),
                ("data", &markup::json(&parts.data)),
                ("script", &script),
            ],
        )
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
