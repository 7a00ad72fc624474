//! Every rule, one file each. A new rule is a file, named after the rule's key, and a line in [`rules!`] below: its key in `[alarms]`, its alarm and its sentence in
//! the report follow. Alarms of one step are raised in this order.

use crate::rule::Rule;
use crate::settings::Policy;
use serde::{Deserialize, Serialize};

/// Fraction of the run before which nothing is expected of the samples.
const START: f64 = 0.25;
/// Steps before which nothing is expected either, however short the run is: the network has hardly changed.
const EARLIEST: u64 = 50;

macro_rules! rules {
    ($($module:ident: $rule:ident,)*) => {
        $(mod $module;)*

        /// Every rule.
        pub static RULES: &[&Rule] = &[$(&$module::$rule),*];

        /// `[alarms]`: a policy for each alarm, under its key.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, expecting = "a table")]
        pub struct AlarmsConfig {
            $($module: Policy,)*
            /// Factor of both learning rates at each rollback.
            pub lr_factor: f64,
            /// Maximum number of rollbacks in a run; after that, alarms with this policy stop it.
            pub rollbacks: u64,
        }

        impl AlarmsConfig {
            /// Returns every rule with its policy.
            pub fn policies(&self) -> impl Iterator<Item = (&'static Rule, Policy)> {
                RULES.iter().copied().zip([$(self.$module),*])
            }
        }

        impl Default for AlarmsConfig {
            fn default() -> Self {
                Self { $($module: $module::$rule.default_policy,)* lr_factor: 0.5, rollbacks: 3 }
            }
        }
    };
}

rules! {
    not_finite: NOT_FINITE,
    d_won: D_WON,
    oscillation: OSCILLATION,
    memorisation: MEMORISATION,
    d_overfits: D_OVERFITS,
    augment_leak: AUGMENT_LEAKS,
    collapse: COLLAPSE,
    g_won: G_WON,
    stalled: STALLED,
}

/// The alarm of a step that fails.
pub(crate) static NOT_FINITE: &Rule = &not_finite::NOT_FINITE;

#[cfg(test)]
mod tests;
