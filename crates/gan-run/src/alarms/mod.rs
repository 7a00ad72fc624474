//! Alarms: what goes wrong in a run, said while it does, with the step, the evidence and a piece of advice.
//!
//! [`Watch`] sees the lines of metrics.jsonl one after the other, as they are written or, when a run is resumed, read back. It
//! takes no part in training. In reading order: this file, then the rules: `players` (from D's and G's numbers), `judged`
//! (from what the judge measures).

mod judged;
mod players;

use crate::error::Error;
use gan_core::Loss;
use gan_metrics::metrics::Better;
use gan_train::config::{AlarmsConfig, Policy};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A loss, gradient or sample is no number.
    NotFinite,
    /// D is always right and G learns nothing from it.
    DWon,
    /// D cannot tell what the judge can.
    GWon,
    /// The samples become alike.
    Collapse,
    /// The players chase each other without getting better.
    Oscillation,
    /// The samples are copies of training data.
    Memorisation,
    /// The samples do not get better.
    Stalled,
}

impl Kind {
    /// Its name in settings and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFinite => "not_finite",
            Self::DWon => "d_won",
            Self::GWon => "g_won",
            Self::Collapse => "collapse",
            Self::Oscillation => "oscillation",
            Self::Memorisation => "memorisation",
            Self::Stalled => "stalled",
        }
    }

    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::NotFinite => "not finite",
            Self::DWon => "D has won",
            Self::GWon => "G has won",
            Self::Collapse => "mode collapse",
            Self::Oscillation => "oscillation",
            Self::Memorisation => "memorisation",
            Self::Stalled => "stalled",
        }
    }

    /// What the settings say about it.
    pub fn policy(self, config: &AlarmsConfig) -> Policy {
        match self {
            Self::NotFinite => config.not_finite,
            Self::DWon => config.d_won,
            Self::GWon => config.g_won,
            Self::Collapse => config.collapse,
            Self::Oscillation => config.oscillation,
            Self::Memorisation => config.memorisation,
            Self::Stalled => config.stalled,
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::NotFinite => {
                "lower both optimisers' rates; if it happens in the first steps, look for values in the data that are not finite"
            }
            Self::DWon => {
                "lower optimizer.discriminator.rate, smooth its labels (loss.real_label = 0.9), give D dropout, or put batch norm into both networks"
            }
            Self::GWon => {
                "give D more to work with: more width or layers, a higher optimizer.discriminator.rate, or train.d_steps = 2"
            }
            Self::Collapse => {
                "lower the rates, use β1 = 0.5, put batch norm into G, or a larger batch; go on from generator-best.safetensors"
            }
            Self::Oscillation => "lower both rates, use β1 = 0.5 or less, and keep an average of G (train.ema = 0.999)",
            Self::Memorisation => {
                "train on more data, mirror it (data.flip = true), shorten the run, or make D smaller"
            }
            Self::Stalled => {
                "check the rates (1e-4 to 4e-4 is usual for Adam) and the networks; a longer run alone is unlikely to help"
            }
        }
    }
}

/// Something that went wrong in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// What.
    #[serde(rename = "alarm")]
    pub kind: Kind,
    /// The step after which it was seen.
    pub at: u64,
    /// The numbers that show it.
    pub evidence: String,
    /// What to do.
    pub advice: String,
}

impl Alarm {
    pub(crate) fn new(kind: Kind, at: u64, evidence: String) -> Self {
        Self { kind, at, evidence, advice: kind.advice().into() }
    }

    /// The alarm that an error of a step amounts to.
    pub fn of_error(error: &Error) -> Option<Self> {
        let Error::Train(gan_train::Error::NotFinite { step, what, value }) = error else { return None };
        Some(Self::new(Kind::NotFinite, *step, format!("{what} is {value}")))
    }

    /// The alarm that an evaluation which failed after `step` amounts to: samples that are no numbers.
    pub fn of_samples(error: &Error, step: u64) -> Option<Self> {
        let Error::Metrics(inner) = error else { return None };
        let gan_metrics::Error::Values { what, .. } = inner.as_ref() else { return None };
        Some(Self::new(Kind::NotFinite, step, format!("{what} are not all numbers")))
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}: {}: {}. What helps: {}", self.at, self.kind.title(), self.evidence, self.advice)
    }
}

/// What rules need to know of a run beside its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Steps of the whole run.
    pub total: u64,
    /// The name in metrics.jsonl of the metric that chooses the best generator, and which way is better.
    pub best: Option<(String, Better)>,
    /// What real samples reach in it.
    pub floor: Option<f64>,
    /// What G and D minimise: not every loss has probabilities to speak of, or values that factors fit.
    pub loss: Loss,
}

/// Watches a run's numbers.
pub struct Watch {
    players: players::Players,
    judged: judged::Judged,
    /// Alarms that stand: each is raised once, and again only after it was gone.
    standing: Vec<Kind>,
}

impl Watch {
    /// Before the first line.
    pub fn new(setting: Setting) -> Self {
        Self {
            players: players::Players::new(setting.total, setting.loss),
            judged: judged::Judged::new(setting),
            standing: vec![],
        }
    }

    /// Sees a line of metrics.jsonl and returns the alarms that it raises.
    pub fn see(&mut self, line: &Value) -> Vec<Alarm> {
        let Some(step) = line["step"].as_u64() else { return vec![] };
        if line.get("alarm").is_some() {
            return vec![];
        }
        let mut found = self.players.see(step, line);
        found.extend(self.judged.see(step, line, &self.players));
        if self.judged.follows() {
            found.retain(|(kind, said)| *kind != Kind::DWon || said.is_none());
        }
        let raised: Vec<Alarm> = found
            .iter()
            .filter(|(kind, said)| said.is_some() && !self.standing.contains(kind))
            .map(|(kind, said)| Alarm::new(*kind, step, said.clone().unwrap_or_default()))
            .collect();
        for (kind, said) in found {
            self.standing.retain(|standing| *standing != kind);
            self.standing.extend(said.map(|_| kind));
        }
        raised
    }
}

/// What a rule found in a line that it can judge: what is wrong in words, or nothing.
type Found = (Kind, Option<String>);

/// A number to three digits.
fn short(value: f64) -> String {
    match value.abs() {
        x if x >= 100.0 => format!("{value:.0}"),
        x if x >= 1.0 => format!("{value:.2}"),
        x if x >= 0.001 || x == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}
