//! Names of metrics in files of earlier versions and their current names. No other module knows the old names.

use crate::card::Card;
use crate::embed::FeatureSpace;
use crate::metrics::{Metric, Needs};
use serde::{Deserialize, Deserializer, de};

/// Old keys with their new ones.
// ignore-tidy-names: the new names
const RENAMED: [(&str, &str); 3] = [("confident", "confidence"), ("as_asked", "class_accuracy"), ("sliced", "swd")];

/// Key of the classifier score of any network in earlier versions.
const SCORE: &str = "score";
/// Key of the Fréchet distance over any features in earlier versions.
// ignore-tidy-names: an old name for other metrics
const FID: &str = "fid";

fn renamed(key: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(old, _)| *old == key).map(|(_, new)| *new)
}

/// Returns what is wrong with a key of an earlier version in settings, and what to write.
pub(crate) fn advice(key: &str) -> Option<String> {
    match key {
        FID => Some(format!(
            "\"fid\" means Inception-v3's features in the published protocol alone (gan evaluate --protocol fid50k): write the distance \
             over the features in use, {}",
            family(Needs::FeaturesOf)
        )),
        SCORE => Some(format!("\"score\" is now named after its classifier: write {}", family(Needs::ClassesOf))),
        key => renamed(key).map(|new| format!("\"{key}\" is now called \"{new}\": write that")),
    }
}

/// Lists the keys of a family with one metric for each network.
fn family(needs: fn(FeatureSpace) -> Needs) -> String {
    let of = |space: FeatureSpace| Some(format!("\"{}\" ({})", member(needs(space))?.key, space.title()));
    FeatureSpace::ALL.into_iter().filter_map(of).collect::<Vec<_>>().join(", ")
}

fn member(needs: Needs) -> Option<&'static Metric> {
    Metric::all().find(|metric| metric.needs == needs)
}

/// Returns the current key of a figure that an earlier version wrote for these features, and every other name unchanged.
pub fn current(key: &str, features: FeatureSpace) -> &str {
    match key {
        FID => member(Needs::FeaturesOf(features)).map_or(key, |metric| metric.key),
        SCORE => member(Needs::ClassesOf(features)).map_or(key, |metric| metric.key),
        key => renamed(key).unwrap_or(key),
    }
}

/// Reads the key of a figure on a card of any version. An old "fid" or "score" also depends on the card ([`Card::current`]).
pub(crate) fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static Metric, D::Error> {
    let key = String::deserialize(deserializer)?;
    let found = Metric::find(current(&key, FeatureSpace::Classifier)).filter(|_| key != FID);
    found.or_else(|| Metric::find(&key)).ok_or_else(|| de::Error::custom(format!("unknown metric \"{key}\"")))
}

/// Reads the key of a figure of any version, or none.
///
/// # Errors
/// If there is no metric with this key.
pub fn read_optional_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'static Metric>, D::Error> {
    #[derive(Deserialize)]
    struct Key(#[serde(deserialize_with = "read_key")] &'static Metric);
    Ok(Option::<Key>::deserialize(deserializer)?.map(|key| key.0))
}

impl Card {
    /// Returns the current metric for `metric` of this card, which may be of any version: an old "fid" or "score" gets the name of the card's
    /// features.
    pub fn current(&self, metric: &'static Metric) -> &'static Metric {
        let features = FeatureSpace::of_name(&self.embedder.name);
        let is_score = metric.needs == Needs::ClassesOf(FeatureSpace::Classifier);
        let old = if metric.needs == Needs::Protocol && self.protocol.is_none() {
            FID
        } else if is_score && features != FeatureSpace::Classifier {
            SCORE
        } else {
            return metric;
        };
        Metric::find(current(old, features)).unwrap_or(metric)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_keys_are_read_and_refused_in_settings_with_their_new_names() {
        for (old, new) in RENAMED {
            assert_eq!(current(old, FeatureSpace::Digits), new);
            assert!(Metric::from_setting(old).unwrap_err().contains(new) && Metric::find(new).is_some());
        }
        for (old, new) in [(FID, "\"fd_digits\" (the digit classifier)"), (SCORE, "\"digit_score\"")] {
            let problem = Metric::from_setting(old).unwrap_err();
            assert!(problem.contains(new), "{problem}");
        }
        assert_eq!(
            [current(FID, FeatureSpace::Digits), current(SCORE, FeatureSpace::Digits)],
            ["fd_digits", "digit_score"]
        );
        assert_eq!(
            [current(FID, FeatureSpace::Inception), current("kid", FeatureSpace::Digits)],
            ["fd_inception", "kid"]
        );
    }
}
