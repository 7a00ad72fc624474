//! Every rule, one file each. A new rule is a file and a line in [`rules!`] below: its key in `[alarms]`, its alarm and its sentence in
//! the report follow. Alarms of one step are raised in this order.

use crate::rule::Rule;

/// Fraction of the run before which nothing is expected of the samples.
const START: f64 = 0.25;
/// Steps before which nothing is expected either, however short the run is: the network has hardly changed.
const EARLIEST: u64 = 50;

macro_rules! rules {
    ($($module:ident: $rule:ident,)*) => {
        $(mod $module;)*

        /// Every rule.
        pub static RULES: &[&Rule] = &[$(&$module::$rule),*];
    };
}

rules! {
    not_finite: NOT_FINITE,
    d_won: D_WON,
    oscillation: OSCILLATION,
    memorisation: MEMORISATION,
    collapse: COLLAPSE,
    g_won: G_WON,
    stalled: STALLED,
}

/// The alarm of a step that fails.
pub(crate) static NOT_FINITE: &Rule = &not_finite::NOT_FINITE;

#[cfg(test)]
mod tests;
