//! Every rule, one file each. A new rule is a file and a line in [`rules!`] below: its key in `[alarms]`, its alarm and its sentence in
//! the report follow. Alarms of one step are raised in this order.

use crate::rule::Rule;

/// Fraction of the run before which nothing is expected of the samples.
const START: f64 = 0.25;
/// Steps before which nothing is expected either, however short the run is: the network has hardly changed.
const EARLIEST: u64 = 50;

macro_rules! rules {
    ($($module:ident,)*) => {
        $(mod $module;)*

        /// Every rule.
        pub static RULES: &[&Rule] = &[$(&$module::RULE),*];
    };
}

rules! {
    not_finite,
    d_won,
    oscillation,
    memorisation,
    collapse,
    g_won,
    stalled,
}

/// The alarm of a step that fails.
pub(crate) static NOT_FINITE: &Rule = &not_finite::RULE;

#[cfg(test)]
mod tests;
