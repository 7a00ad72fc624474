//! `[data]`: where the samples come from, how they are read and drawn.

use gan_core::layers::Pair;
use gan_data::points::{Curves, Grid, Ring};
use gan_data::{Filter, Fit, Small, Split};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Where the samples come from and how they are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// The data set: "mnist", "fashion-mnist", "stacked-mnist", "cifar10", "celeba", "folder" for image files of one's own;
    /// "curve", "ring" and "grid" for points; "made" for noise of any shape. The last four need no files.
    pub name: String,
    /// The folder of its files; found by itself where not given. "folder" needs it. Or a pack (`gan data pack`), read
    /// whatever the name is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// Which part: "train", "valid", "test" or "all"; the one to train on where not given. CelebA has all four, MNIST and
    /// CIFAR-10 have "train" and "test".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// For "stacked-mnist" and "made": how many images. Where not given 128,000 to train on and 26,000 to test with, and 60,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// So many samples of the set alone, spread evenly over it: for experiments with little data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Height and width to train at. Points have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Pair>,
    /// 1 for grey, 3 for colour; for points the number of coordinates.
    pub channels: usize,
    /// For images: height and width of a box around the centre that is cut out first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<Pair>,
    /// For images of other proportions: "crop" cuts off what stands out, "pad" shows it all on the background, "stretch"
    /// changes the proportions.
    #[serde(default)]
    pub fit: Fit,
    /// How images are resized: "bilinear", "bicubic" or "lanczos".
    #[serde(default)]
    pub filter: Filter,
    /// What stands beside padded images and behind transparent ones: "white", "black" or [red, green, blue].
    #[serde(default)]
    pub background: Background,
    /// What to do about images that are smaller than the size: "refuse" ends the run before it begins, "skip" leaves them out,
    /// "upscale" enlarges them. The older key `upscale` is read as well: true is "upscale", false is "refuse".
    #[serde(default, alias = "upscale", deserialize_with = "small")]
    pub small: Small,
    /// Whether an image file that cannot be read ends the run instead of being left out.
    #[serde(default)]
    pub strict: bool,
    /// Whether each image is mirrored with probability ½ whenever it is drawn.
    #[serde(default)]
    pub flip: bool,
    /// For "curve": the interval and the functions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curve: Option<Curves>,
    /// For "ring": modes, radius and spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<Ring>,
    /// For "grid": modes a side, distance and spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<Grid>,
    /// Whether each image is drawn from all, whatever was drawn before, instead of once an epoch.
    #[serde(default)]
    pub replacement: bool,
    /// Images within which each epoch's order is random, e.g. 65536, for sets of very many: they are read nearly in a row, and the order
    /// takes little memory. Where not given, all of up to a million, and 65,536 of larger sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// What becomes of the last images of an epoch where they do not fill a batch.
    #[serde(default)]
    pub last_batch: LastBatch,
    /// Threads that load batches ahead; 0 loads between the steps. The batches are the same for any number.
    #[serde(default = "one_worker")]
    pub workers: usize,
}

impl DataConfig {
    /// Puts the home folder in place of a leading `~`: shells do not do that behind an `=`.
    pub(crate) fn expand_home(&mut self) {
        let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
        self.dir = self.dir.take().map(|dir| located(&dir, home.as_deref()));
    }

    /// Makes the folder an absolute path, so that a run finds its data from any folder later.
    pub(crate) fn locate(&mut self) {
        self.expand_home();
        self.dir = self.dir.take().map(|dir| std::path::absolute(&dir).unwrap_or(dir));
    }
}

/// `dir` with the home folder in place of a leading `~`, unless there is a folder called so.
fn located(dir: &Path, home: Option<&Path>) -> PathBuf {
    match (dir.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) if !dir.exists() => home.join(rest),
        _ => dir.to_path_buf(),
    }
}

fn one_worker() -> usize {
    1
}

/// Reads [`Small`] by its name, or what the older key `upscale` says.
fn small<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Small, D::Error> {
    struct Either;

    impl Visitor<'_> for Either {
        type Value = Small;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("\"refuse\", \"skip\" or \"upscale\" (true for upscale, false for refuse)")
        }

        fn visit_bool<E: serde::de::Error>(self, upscale: bool) -> Result<Small, E> {
            Ok(if upscale { Small::Upscale } else { Small::Refuse })
        }

        fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Small, E> {
            Small::deserialize(serde::de::value::StrDeserializer::new(name))
        }
    }

    deserializer.deserialize_any(Either)
}

/// What becomes of a last, smaller batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LastBatch {
    /// It is used as it is, as PyTorch's loader does.
    #[default]
    Keep,
    /// It is left out.
    Drop,
}

/// A colour: red, green, blue. White where not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Background(pub [u8; 3]);

impl Default for Background {
    fn default() -> Self {
        Self([255; 3])
    }
}

impl<'de> Deserialize<'de> for Background {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(deserializer)?;
        match found.as_str() {
            Some("white") => return Ok(Self([255; 3])),
            Some("black") => return Ok(Self([0; 3])),
            _ => {}
        }
        serde_json::from_value(found.clone()).map(Self).map_err(|_| {
            let expected = "\"white\", \"black\" or [red, green, blue] with numbers from 0 to 255";
            D::Error::custom(format!("found {found}, expected {expected}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder() {
        let of =
            |dir: &str, home: Option<&str>| located(Path::new(dir), home.map(Path::new)).to_str().unwrap().to_string();
        assert_eq!(of("~/pics", Some("/home/me")), "/home/me/pics");
        assert_eq!(of("~/pics", None), "~/pics");
        assert_eq!(of("a~b", Some("/home/me")), "a~b");
        assert_eq!(of("pics/~", Some("/home/me")), "pics/~");
    }
}
