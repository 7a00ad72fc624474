//! Every rule, a file each. A new one is a file and a line in [`rules!`] below: its key in `[alarms]`, its alarm and its sentence in
//! the report follow. Alarms of one step are raised in this order.

use crate::rule::Rule;

/// Before this part of the run nothing is expected of the samples.
const START: f64 = 0.25;
/// Nor before these steps, however short the run is: a network that has hardly moved tells nothing.
const EARLIEST: u64 = 50;

macro_rules! rules {
    ($($module:ident: $name:ident,)*) => {
        $(mod $module;)*

        /// Every rule.
        pub static RULES: &[&dyn Rule] = &[$(&$module::$name),*];
    };
}

rules! {
    not_finite: NotFinite,
    d_won: DWon,
    oscillation: Oscillation,
    memorisation: Memorisation,
    collapse: Collapse,
    g_won: GWon,
    stalled: Stalled,
}

/// The rule that a step fails by.
pub(crate) const NOT_FINITE: &dyn Rule = &not_finite::NotFinite;

#[cfg(test)]
mod tests;
