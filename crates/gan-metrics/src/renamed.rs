//! Names of metrics in files of earlier versions, and what they are called now. The only place that knows them.

use crate::card::Card;
use crate::embed::FeatureSpace;
use crate::metrics::{MetricRef, Needs};
use serde::{Deserialize, Deserializer, de};

/// Old keys with their new ones.
// ignore-tidy-names: the new names
const RENAMED: [(&str, &str); 3] = [("confident", "confidence"), ("as_asked", "class_accuracy"), ("sliced", "swd")];

/// The key that earlier versions gave to the classifier score of any network.
const SCORE: &str = "score";
/// The key that earlier versions gave to the Fréchet distance over any features.
// ignore-tidy-names: an old name for other metrics
const FID: &str = "fid";

/// Returns what is wrong with a key of an earlier version in settings, and what to write.
pub(crate) fn advice(key: &str) -> Option<String> {
    if key == FID {
        return Some(format!(
            "\"fid\" means Inception-v3's features in the published protocol alone (gan evaluate --protocol fid50k): write the distance \
             over the features in use, {}",
            family(Needs::FeaturesOf)
        ));
    }
    if key == SCORE {
        return Some(format!("\"score\" is now named after its classifier: write {}", family(Needs::ClassesOf)));
    }
    let new = RENAMED.iter().find(|(old, _)| *old == key)?.1;
    Some(format!("\"{key}\" is now called \"{new}\": write that"))
}

/// The keys of a family of metrics, a member for each network, in words.
fn family(needs: fn(FeatureSpace) -> Needs) -> String {
    let of = |space: FeatureSpace| {
        let metric = MetricRef::all().find(|metric| metric.info().needs == needs(space))?;
        Some(format!("\"{}\" ({})", metric.key(), space.title()))
    };
    FeatureSpace::ALL.into_iter().filter_map(of).collect::<Vec<_>>().join(", ")
}

/// Returns today's key of a figure that an earlier version wrote for these features. Other names come back as they are.
pub fn current(key: &str, features: FeatureSpace) -> &str {
    let member = |needs| MetricRef::all().find(|metric| metric.info().needs == needs).map(MetricRef::key);
    match key {
        FID => member(Needs::FeaturesOf(features)).unwrap_or(key),
        SCORE => member(Needs::ClassesOf(features)).unwrap_or(key),
        _ => RENAMED.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new),
    }
}

/// Reads the key of a figure on a card of any version. The card decides what an old "fid" or "score" was ([`update`]).
pub(crate) fn read_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MetricRef, D::Error> {
    let key = String::deserialize(deserializer)?;
    let found = MetricRef::find(current(&key, FeatureSpace::Classifier)).filter(|_| key != FID);
    found.or_else(|| MetricRef::find(&key)).ok_or_else(|| de::Error::custom(format!("unknown metric \"{key}\"")))
}

/// As [`read_key`], where there may be no key.
///
/// # Errors
/// If it is the key of no metric.
pub fn read_optional_key<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MetricRef>, D::Error> {
    #[derive(Deserialize)]
    struct Key(#[serde(deserialize_with = "read_key")] MetricRef);
    Ok(Option::<Key>::deserialize(deserializer)?.map(|key| key.0))
}

/// Returns what `metric` of a card of any version is: an old "fid" and "score" take the name of the card's features.
pub fn update(metric: MetricRef, card: &Card) -> MetricRef {
    let features = FeatureSpace::of_name(&card.embedder.name);
    let is_old = match metric.info().needs {
        Needs::Protocol => card.protocol.is_none(),
        Needs::ClassesOf(FeatureSpace::Classifier) => features != FeatureSpace::Classifier,
        _ => return metric,
    };
    let old = if metric.info().needs == Needs::Protocol { FID } else { SCORE };
    MetricRef::find(current(old, features)).filter(|_| is_old).unwrap_or(metric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_keys_are_read_and_refused_in_settings_with_their_new_names() {
        for (old, new) in RENAMED {
            assert_eq!(current(old, FeatureSpace::Digits), new);
            assert!(MetricRef::from_setting(old).unwrap_err().contains(new) && MetricRef::find(new).is_some());
        }
        for (old, new) in [(FID, "\"fd_digits\" (the digit classifier)"), (SCORE, "\"digit_score\"")] {
            let problem = MetricRef::from_setting(old).unwrap_err();
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
