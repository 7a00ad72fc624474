//! Settings that several layers share: a number or a pair, padding, and the omission of defaults.

use gan_kernels::Padding;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

/// One number for both directions, or `[vertical, horizontal]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Pair {
    /// The same in both directions.
    Both(usize),
    /// `[vertical, horizontal]`.
    Each([usize; 2]),
}

impl Pair {
    /// Returns `[vertical, horizontal]`.
    pub fn get(self) -> [usize; 2] {
        match self {
            Self::Both(n) => [n, n],
            Self::Each(pair) => pair,
        }
    }

    pub(crate) fn one() -> Self {
        Self::Both(1)
    }
    pub(crate) fn is_one(&self) -> bool {
        self.get() == [1, 1]
    }
}

impl From<usize> for Pair {
    fn from(n: usize) -> Self {
        Self::Both(n)
    }
}

impl From<[usize; 2]> for Pair {
    fn from(pair: [usize; 2]) -> Self {
        Self::Each(pair)
    }
}

/// Zeros around an image before a convolution, or what a transposed convolution crops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Pad {
    /// A rule, by its name.
    Rule(PadRule),
    /// The same on every side.
    All(usize),
    /// `[vertical, horizontal]`.
    Each([usize; 2]),
    /// `[top, bottom, left, right]`.
    Sides([usize; 4]),
}

/// Padding by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PadRule {
    /// Keras' rule: ⌈side / stride⌉ outputs, an odd zero to the bottom and right. Transposed: side × stride outputs.
    Same,
    /// No padding.
    Valid,
}

impl Default for Pad {
    fn default() -> Self {
        Self::All(0)
    }
}

impl Pad {
    /// Returns the explicit padding; a rule counts as no padding here, because it depends on the image's size.
    pub(crate) fn sides(self) -> Padding {
        match self {
            Self::Rule(_) => Padding::default(),
            Self::All(n) => Padding::all(n),
            Self::Each([y, x]) => Padding { top: y, bottom: y, left: x, right: x },
            Self::Sides([top, bottom, left, right]) => Padding { top, bottom, left, right },
        }
    }

    /// Returns `[top, bottom, left, right]`, for the check of limits.
    pub(super) fn numbers(self) -> [usize; 4] {
        let Padding { top, bottom, left, right } = self.sides();
        [top, bottom, left, right]
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(d)?;
        match numbers(&found).as_deref() {
            Some([n]) if !found.is_array() => Ok(Self::Both(*n)),
            Some([down, across]) => Ok(Self::Each([*down, *across])),
            _ => {
                Err(D::Error::custom(format!("found {found}, expected a whole number or two, [vertical, horizontal]")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Pad {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let found = Value::deserialize(d)?;
        match (numbers(&found).as_deref(), found.as_str()) {
            (Some([n]), _) if !found.is_array() => Ok(Self::All(*n)),
            (Some([down, across]), _) => Ok(Self::Each([*down, *across])),
            (Some([top, bottom, left, right]), _) => Ok(Self::Sides([*top, *bottom, *left, *right])),
            (_, Some("same")) => Ok(Self::Rule(PadRule::Same)),
            (_, Some("valid")) => Ok(Self::Rule(PadRule::Valid)),
            _ => Err(D::Error::custom(format!(
                "found {found}, expected \"same\", \"valid\", a whole number, [vertical, horizontal] or [top, bottom, left, right]"
            ))),
        }
    }
}

/// Returns a whole number, or all those of a list.
fn numbers(value: &Value) -> Option<Vec<usize>> {
    let whole = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    match value {
        Value::Array(list) => list.iter().map(whole).collect(),
        other => Some(vec![whole(other)?]),
    }
}

/// Maximum of kernels, strides, paddings and similar settings.
const LARGEST_SETTING: usize = 1 << 20;

/// Fails with what a layer `needs`, unless it `has` that.
pub(super) fn require(has: bool, needs: impl Into<String>) -> Result<(), String> {
    if has { Ok(()) } else { Err(needs.into()) }
}

/// Fails if a setting is too large.
pub(super) fn limit(settings: &[usize]) -> Result<(), String> {
    let fits = settings.iter().all(|n| *n <= LARGEST_SETTING);
    require(fits, format!("settings of at most {LARGEST_SETTING}"))
}

/// Returns an image's channels, height and width.
pub(super) fn image(shape: &[usize]) -> Result<[usize; 3], String> {
    let image = "an image [channels, height, width] (put { reshape = [C, H, W] } before it)";
    shape.try_into().map_err(|_| image.into())
}

/// Returns a vector's features.
pub(super) fn vector(shape: &[usize]) -> Result<usize, String> {
    let [features] = shape.try_into().map_err(|_| "a vector [features] (put \"flatten\" before it)")?;
    Ok(features)
}

pub(super) fn finite_gain(gain: Option<f64>) -> Result<(), String> {
    require(gain.is_none_or(f64::is_finite), "a finite gain")
}

pub(super) fn several_classes(n: usize) -> Result<(), String> {
    require(n >= 2, "at least 2 classes")?;
    limit(&[n])
}

pub(super) fn divides(n: usize, channels: usize, what: &str) -> Result<(), String> {
    require(n > 0 && channels.is_multiple_of(n), format!("{what} that divide its {channels} channels"))
}

pub(super) fn yes() -> bool {
    true
}
pub(super) fn is_yes(b: &bool) -> bool {
    *b
}
pub(super) fn one() -> usize {
    1
}
pub(super) fn is_one(n: &usize) -> bool {
    *n == 1
}
