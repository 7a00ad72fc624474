//! `[alarms]`: the policy of each alarm. The keys are those of the registry.

use crate::rule::Rule;
use crate::rules::RULES;
use serde::de::{Error, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::sync::LazyLock;

/// What the run does about an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The alarm is not raised.
    Off,
    /// The alarm is printed and recorded.
    Warn,
    /// The run continues from its best checkpoint with lower learning rates.
    Rollback,
    /// The run saves a checkpoint and ends.
    Stop,
}

/// Policies for all alarms.
#[derive(Clone, Debug, PartialEq)]
pub struct AlarmsConfig {
    /// In the order of [`RULES`].
    policies: Vec<Policy>,
    /// Factor of both learning rates at each rollback.
    pub lr_factor: f64,
    /// Maximum number of rollbacks in a run; after that, alarms with this policy stop it.
    pub rollbacks: u64,
}

impl AlarmsConfig {
    /// Returns every rule with its policy.
    pub fn policies(&self) -> impl Iterator<Item = (&'static Rule, Policy)> {
        RULES.iter().copied().zip(self.policies.iter().copied())
    }

    /// Returns the policy of `rule`.
    pub fn policy(&self, rule: &Rule) -> Policy {
        self.policies().find(|(of, _)| of.key == rule.key).map_or(rule.default_policy, |(_, policy)| policy)
    }
}

impl Default for AlarmsConfig {
    fn default() -> Self {
        Self { policies: RULES.iter().map(|rule| rule.default_policy).collect(), lr_factor: 0.5, rollbacks: 3 }
    }
}

const LR_FACTOR: &str = "lr_factor";
const ROLLBACKS: &str = "rollbacks";

/// Every key.
static KEYS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| RULES.iter().map(|rule| rule.key).chain([LR_FACTOR, ROLLBACKS]).collect());

impl Serialize for AlarmsConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(KEYS.len()))?;
        self.policies().try_for_each(|(rule, policy)| map.serialize_entry(rule.key, &policy))?;
        map.serialize_entry(LR_FACTOR, &self.lr_factor)?;
        map.serialize_entry(ROLLBACKS, &self.rollbacks)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for AlarmsConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table)
    }
}

struct Table;

impl<'de> Visitor<'de> for Table {
    type Value = AlarmsConfig;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AlarmsConfig, A::Error> {
        let mut config = AlarmsConfig::default();
        while let Some(key) = map.next_key::<String>()? {
            match RULES.iter().position(|rule| rule.key == key) {
                Some(at) => config.policies[at] = map.next_value()?,
                None if key == LR_FACTOR => config.lr_factor = map.next_value()?,
                None if key == ROLLBACKS => config.rollbacks = map.next_value()?,
                None => return Err(A::Error::unknown_field(&key, &KEYS)),
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_and_what_is_not_set_has_its_default() {
        let config: AlarmsConfig = toml::from_str("d_won = \"off\"\nrollbacks = 1").unwrap();
        let changed: Vec<&str> =
            config.policies().filter(|(r, p)| *p != r.default_policy).map(|(r, _)| r.key).collect();
        assert_eq!(changed, ["d_won"]);
        assert_eq!((config.lr_factor, config.rollbacks), (0.5, 1));
        assert_eq!(toml::from_str::<AlarmsConfig>(&toml::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn unknown_keys_name_the_known_ones() {
        let message = toml::from_str::<AlarmsConfig>("d_one = \"off\"").unwrap_err().to_string();
        assert!(message.contains("unknown field `d_one`"), "{message}");
        assert!(KEYS.iter().all(|key| message.contains(key)), "{message}");
    }
}
