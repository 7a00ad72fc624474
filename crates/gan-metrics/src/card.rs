//! Metric cards: figures with everything that is needed to trust them. A figure is never shown without its card.

use crate::metrics::Metric;
use crate::protocol::Protocol;
use crate::renamed;
use gan_base::messages::counted;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A metric's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The metric.
    #[serde(deserialize_with = "renamed::read_key")]
    pub metric: &'static Metric,
    /// Its value.
    pub value: f64,
    /// Standard deviation over subsets, for metrics that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// Value between two sets of real samples of the same number: what a perfect generator would get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<f64>,
}

/// Figures of one set of samples and how they were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Card {
    /// What was measured: a run, a file or a folder.
    pub subject: String,
    /// Number of steps for which the generator was trained, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// The published protocol that was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Number of samples.
    pub samples: usize,
    /// Seed of the samples' noise and of every choice among samples.
    pub seed: u64,
    /// Sizes of the images, if the comparison states them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<ImageSizes>,
    /// The real samples.
    pub reference: Reference,
    /// The network that computed the features.
    pub embedder: EmbedderCard,
    /// Limits of the figures, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The library's version.
    pub library: String,
}

/// The real samples of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Name of the data set.
    pub data: String,
    /// Part of the data set.
    pub split: String,
    /// Number of samples; 0 if only their mean and covariance are known.
    pub samples: usize,
    /// Path, if the user named a folder or a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Source of the second real set, with which the floor is measured; `None` if there is no floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_split: Option<String>,
    /// Sizes of the images, if the comparison states them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<ImageSizes>,
    /// SHA-256 of the samples' values: the same hash means the same samples.
    pub hash: String,
}

/// The network that computed the features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbedderCard {
    /// Name, for example "digits".
    pub name: String,
    /// SHA-256 of its weights in hexadecimal: features of different networks cannot be compared.
    pub hash: String,
    /// Number of features per sample D.
    pub dim: usize,
    /// How images are resized to its size; `None` if it refuses other sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<String>,
    /// The published protocol that it follows from the original images on, for example "as torch-fidelity".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// Height and width of a set's images, and how they were resized before they reached the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSizes {
    /// Minimum height and minimum width, `[H, W]`.
    pub smallest: [usize; 2],
    /// Maximum height and maximum width, `[H, W]`.
    pub largest: [usize; 2],
    /// The size before the network; `None` if the network got the images as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resized: Option<ResizedTo>,
}

/// A size to which images were resized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizedTo {
    /// `[H, W]`
    pub size: [usize; 2],
    /// The method in words, for example "bilinear, centre crop".
    pub how: String,
}

impl fmt::Display for ImageSizes {
    /// `256×256`, or `200×150 to 256×256, resized to 64×64 (bilinear, centre crop)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [[low_h, low_w], [high_h, high_w]] = [self.smallest, self.largest];
        write!(f, "{low_h}×{low_w}")?;
        if self.smallest != self.largest {
            write!(f, " to {high_h}×{high_w}")?;
        }
        match &self.resized {
            Some(ResizedTo { size: [h, w], how }) => write!(f, ", resized to {h}×{w} ({how})"),
            None => Ok(()),
        }
    }
}

impl Serialize for Card {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Reads a card of any version: old names of figures become current ones.
impl<'de> Deserialize<'de> for Card {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut card = Self::deserialize(deserializer)?;
        let metrics: Vec<_> = card.figures.iter().map(|figure| card.current(figure.metric)).collect();
        card.figures.iter_mut().zip(metrics).for_each(|(figure, metric)| figure.metric = metric);
        Ok(card)
    }
}

impl Card {
    /// Returns the figure of `metric`.
    pub fn figure(&self, metric: &Metric) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.metric == metric)
    }

    /// Returns the value of `metric`.
    pub fn value(&self, metric: &Metric) -> Option<f64> {
        self.figure(metric).map(|figure| figure.value)
    }

    /// Returns the lines below the figures, with their names: how the figures were measured.
    pub fn provenance(&self) -> Vec<(&'static str, String)> {
        let Reference { data, split, samples, path, floor_split, sizes, hash } = &self.reference;
        let mut lines = vec![("Samples", format!("{}, seed {}", self.samples, self.seed))];
        lines.extend(self.protocol.iter().map(|protocol| ("Protocol", protocol.to_string())));
        lines.extend(self.sizes.iter().map(|sizes| ("Sample size", sizes.to_string())));
        let count = if *samples == 0 { "samples".into() } else { samples.to_string() };
        let source = path.as_ref().unwrap_or(data);
        lines.push(("Compared with", format!("{count} of {source} ({split}), sha256 {}", short(hash))));
        lines.extend(sizes.iter().map(|sizes| ("Real size", sizes.to_string())));
        // Halves of the reference are compared with each other, other sets with the reference.
        let floor = |split: &String| {
            if split.contains(" against ") { split.clone() } else { format!("{split} against the same") }
        };
        lines.extend(floor_split.iter().map(|split| ("Floor", floor(split))));
        let EmbedderCard { name, hash, dim, resize, protocol } = &self.embedder;
        // Features without weights have no hash; of these, points are not resized.
        let has_weights = hash != "none";
        let weights = if has_weights { format!(", sha256 {}", short(hash)) } else { String::new() };
        lines.push(("Features", format!("{name}, {}{weights}", counted(dim, "number"))));
        if has_weights || resize.is_some() {
            let protocol = protocol.as_ref().map(|protocol| format!(", {protocol}")).unwrap_or_default();
            lines.push(("Resizing", resize.as_deref().unwrap_or("none").to_string() + &protocol));
        }
        lines.extend(self.warnings.iter().map(|warning| ("Note", warning.clone())));
        lines
    }
}

/// Returns enough of a hash to distinguish two.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Formats a figure with three or four significant digits.
pub fn format_value(value: f64) -> String {
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
        for Figure { metric, value, deviation, floor } in &self.figures {
            let deviation = deviation.map(|d| format!(" ± {}", format_value(d))).unwrap_or_default();
            let floor = floor.map(|floor| format!("real: {}", format_value(floor))).unwrap_or_default();
            let line = format!("  {:<46} {:>10}{deviation:<11}  {floor}", metric.title, format_value(*value));
            writeln!(f, "{}", line.trim_end())?;
        }
        self.provenance().iter().try_for_each(|(name, value)| writeln!(f, "  {name:<14} {value}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card as earlier versions wrote it.
    const EARLIER: &str = r#"{"subject": "x", "figures": [{"metric": "fid", "value": 1.5, "floor": 0.5}], "samples": 2000, "seed": 1,
        "reference": {"data": "mnist", "split": "test", "samples": 10000, "floor_split": "training samples", "hash": "00"},
        "embedder": {"name": "digits", "hash": "00", "dim": 96}, "library": "0.1.0"}"#;

    #[test]
    fn cards_of_earlier_versions_are_read_and_look_as_they_did() {
        let card: Card = serde_json::from_str(EARLIER).unwrap();
        let lines = card.provenance();
        assert_eq!(
            lines.iter().map(|line| line.0).collect::<Vec<_>>(),
            ["Samples", "Compared with", "Floor", "Features", "Resizing"]
        );
        assert_eq!(lines[1].1, "10000 of mnist (test), sha256 00");
        assert_eq!(lines[2].1, "training samples against the same");
        assert_eq!(card.figures[0].metric.key, "fd_digits", "an old FID is named after its features");
    }

    #[test]
    fn features_without_weights_have_no_hash_and_points_no_resizing() {
        let mut card: Card = serde_json::from_str(EARLIER).unwrap();
        card.embedder.name = "coordinates".into();
        card.embedder.hash = "none".into();
        assert_eq!(card.provenance().last(), Some(&("Features", "coordinates, 96 numbers".to_string())));
        card.embedder.resize = Some("bilinear".into());
        assert_eq!(card.provenance().last(), Some(&("Resizing", "bilinear".to_string())));
    }

    #[test]
    fn a_card_names_the_sizes_and_the_resizing() {
        let mut card: Card = serde_json::from_str(EARLIER).unwrap();
        let resized = Some(ResizedTo { size: [64, 64], how: "bilinear, centre crop".into() });
        card.sizes = Some(ImageSizes { smallest: [64, 64], largest: [64, 64], resized: None });
        card.reference.sizes = Some(ImageSizes { smallest: [64, 80], largest: [256, 256], resized });
        card.reference.floor_split = Some("one half against the other".into());
        assert!(card.to_string().contains("Floor          one half against the other\n"), "{card}");
        card.reference.floor_split = None;
        card.embedder.protocol = Some("as its authors".into());
        let text = card.to_string();
        for words in [
            "Sample size    64×64\n",
            "Real size      64×80 to 256×256, resized to 64×64 (bilinear, centre crop)\n",
            "Resizing       none, as its authors\n",
        ] {
            assert!(text.contains(words), "no {words} in {text}");
        }
        assert!(!text.contains("Floor"), "{text}");
        let again: Card = serde_json::from_str(&serde_json::to_string(&card).unwrap()).unwrap();
        assert_eq!(again, card);
    }
}
