//! Metric cards: figures with everything that is needed to believe them. A figure is never shown without its card.

use crate::metric::Metric;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A metric's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Which metric.
    pub metric: Metric,
    /// Its value.
    pub value: f64,
    /// Standard deviation over subsets, for metrics that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// The same between real samples and real samples, as many: what a perfect generator would get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
}

/// Figures of one set of samples and how they came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// What was judged: a run, a file, a folder.
    pub subject: String,
    /// Steps that the generator had been trained for, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// Samples judged.
    pub samples: usize,
    /// Decides the samples' noise, and every choice among samples.
    pub seed: u64,
    /// What they were compared with.
    pub reference: Reference,
    /// The network that made the features.
    pub embedder: EmbedderCard,
    /// What limits the figures' worth, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The library's version.
    pub library: String,
}

/// The real samples of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// The data set's name.
    pub data: String,
    /// Which part of it.
    pub split: String,
    /// How many samples.
    pub samples: usize,
    /// Where the second real set, of the floor, comes from.
    pub floor_split: String,
    /// SHA-256 of the samples' values: the same hash means the same samples.
    pub hash: String,
}

/// The network that made the features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbedderCard {
    /// Its name, as in "digits".
    pub name: String,
    /// SHA-256 of its weights.
    pub hash: String,
    /// Numbers a sample.
    pub dim: usize,
    /// How images are brought to its size; none where they have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<String>,
}

impl Card {
    /// The figure of `metric`.
    pub fn figure(&self, metric: Metric) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.metric == metric)
    }

    /// The value of `metric`.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.figure(metric).map(|figure| figure.value)
    }

    /// The lines below the figures: how they came about.
    pub fn provenance(&self) -> Vec<(&'static str, String)> {
        let Reference { data, split, samples, floor_split, hash } = &self.reference;
        let network = &self.embedder;
        let mut lines = vec![
            ("Samples", format!("{}, seed {}", self.samples, self.seed)),
            ("Compared with", format!("{samples} of {data} ({split}), sha256 {}", short(hash))),
            ("Floor", format!("{floor_split} against the same")),
            ("Features", format!("{}, {} numbers, sha256 {}", network.name, network.dim, short(&network.hash))),
            ("Resizing", network.resize.clone().unwrap_or_else(|| "none".into())),
        ];
        lines.extend(self.warnings.iter().map(|warning| ("Note", warning.clone())));
        lines
    }
}

/// Enough of a hash to tell two apart.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Three or four digits that mean something.
pub fn digits(value: f64) -> String {
    match value.abs() {
        x if x == 0.0 || !x.is_finite() => format!("{value}"),
        x if x >= 100.0 => format!("{value:.1}"),
        x if x >= 1.0 => format!("{value:.2}"),
        x if x >= 0.01 => format!("{value:.3}"),
        _ => format!("{value:.2e}"),
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step.map(|step| format!(", step {step}")).unwrap_or_default();
        writeln!(f, "{}{step}", self.subject)?;
        for figure in &self.figures {
            let deviation = figure.deviation.map(|d| format!(" ± {}", digits(d))).unwrap_or_default();
            let floor = figure.floor.map(|floor| format!("real: {}", digits(floor))).unwrap_or_default();
            let line = format!("  {:<46} {:>10}{deviation:<11}  {floor}", figure.metric.title(), digits(figure.value));
            writeln!(f, "{}", line.trim_end())?;
        }
        let provenance = self.provenance();
        provenance.iter().try_for_each(|(name, value)| writeln!(f, "  {name:<14} {value}"))
    }
}
