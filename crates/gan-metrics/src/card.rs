//! Metric cards: figures with everything that is needed to believe them. A figure is never shown without its card.

use crate::metrics::MetricRef;
use crate::protocol::Protocol;
use crate::renamed;
use gan_base::messages::counted;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A metric's value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Which metric.
    #[serde(deserialize_with = "renamed::read_key")]
    pub metric: MetricRef,
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
#[serde(remote = "Self")]
pub struct Card {
    /// What was measured: a run, a file, a folder.
    pub subject: String,
    /// Steps that the generator had been trained for, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The figures.
    pub figures: Vec<Figure>,
    /// The published protocol that was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Samples measured.
    pub samples: usize,
    /// Decides the samples' noise, and every choice among samples.
    pub seed: u64,
    /// The sizes of the images measured, where the comparison says them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<ImageSizes>,
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
    /// How many samples; 0 where only their mean and covariance are known.
    pub samples: usize,
    /// Where it lies, where the user named a folder or a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Where the second real set, of the floor, comes from; none where there is no floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor_split: Option<String>,
    /// The sizes of the images, where the comparison says them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sizes: Option<ImageSizes>,
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
    /// The published protocol that the features follow from the original images on, as in "as torch-fidelity".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
}

/// Height and width of a set's images, and what became of them before they reached the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSizes {
    /// The least height and the least width, `[H, W]`.
    pub smallest: [usize; 2],
    /// The greatest height and the greatest width, `[H, W]`.
    pub largest: [usize; 2],
    /// What they were brought to before the network saw them; none where it got them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resized: Option<ResizedTo>,
}

/// A size that images were brought to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizedTo {
    /// `[H, W]`
    pub size: [usize; 2],
    /// How, in words, as in "bilinear, centre crop".
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

/// Of any version: old names of figures become today's.
impl<'de> Deserialize<'de> for Card {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut card = Self::deserialize(deserializer)?;
        let metrics: Vec<MetricRef> = card.figures.iter().map(|figure| renamed::update(figure.metric, &card)).collect();
        card.figures.iter_mut().zip(metrics).for_each(|(figure, metric)| figure.metric = metric);
        Ok(card)
    }
}

impl Card {
    /// Returns the figure of `metric`.
    pub fn figure(&self, metric: impl Into<MetricRef>) -> Option<&Figure> {
        let metric = metric.into();
        self.figures.iter().find(|figure| figure.metric == metric)
    }

    /// Returns the value of `metric`.
    pub fn value(&self, metric: impl Into<MetricRef>) -> Option<f64> {
        self.figure(metric).map(|figure| figure.value)
    }

    /// The lines below the figures: how they came about.
    pub fn provenance(&self) -> Vec<(&'static str, String)> {
        let Reference { data, split, samples, path, floor_split, sizes, hash } = &self.reference;
        let network = &self.embedder;
        let resizing = network.resize.clone().unwrap_or_else(|| "none".into());
        let protocol = network.protocol.iter().map(|protocol| format!(", {protocol}"));
        let whose = path.as_ref().unwrap_or(data);
        let mut lines = vec![("Samples", format!("{}, seed {}", self.samples, self.seed))];
        lines.extend(self.protocol.iter().map(|protocol| ("Protocol", protocol.to_string())));
        lines.extend(self.sizes.iter().map(|sizes| ("Sample size", sizes.to_string())));
        let count = if *samples == 0 { "samples".into() } else { samples.to_string() };
        lines.push(("Compared with", format!("{count} of {whose} ({split}), sha256 {}", short(hash))));
        lines.extend(sizes.iter().map(|sizes| ("Real size", sizes.to_string())));
        // Halves of the reference are compared with each other, all else with the reference.
        let floor = |split: &String| {
            if split.contains(" against ") { split.clone() } else { format!("{split} against the same") }
        };
        lines.extend(floor_split.iter().map(|split| ("Floor", floor(split))));
        lines.push((
            "Features",
            format!("{}, {}, sha256 {}", network.name, counted(network.dim, "number"), short(&network.hash)),
        ));
        lines.push(("Resizing", resizing + &protocol.collect::<String>()));
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
        assert_eq!(card.figures[0].metric.key(), "fd_digits", "an old FID is named after its features");
    }

    #[test]
    fn a_card_names_the_sizes_and_what_was_done_to_them() {
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
