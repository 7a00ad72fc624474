//! Policies: what a run does about its alarms. The table `[alarms]` itself follows from the registry ([`AlarmsConfig`]).

use crate::rule::Rule;
use crate::rules::AlarmsConfig;
use serde::{Deserialize, Serialize};

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

impl AlarmsConfig {
    /// Returns the policy of `rule`.
    pub fn policy(&self, rule: &Rule) -> Policy {
        self.policies().find(|(of, _)| of.key == rule.key).map_or(rule.default_policy, |(_, policy)| policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::RULES;

    #[test]
    fn settings_round_trip_and_missing_ones_have_defaults() {
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
        let mut keys = RULES.iter().map(|rule| rule.key).chain(["lr_factor", "rollbacks"]);
        assert!(keys.all(|key| message.contains(&format!("`{key}`"))), "{message}");
        assert!(
            toml::from_str::<toml::Table>(&toml::to_string(&AlarmsConfig::default()).unwrap()).unwrap().len()
                == RULES.len() + 2
        );
        let message = serde_json::from_str::<AlarmsConfig>("1").unwrap_err().to_string();
        assert!(message.contains("expected a table"), "{message}");
    }
}
