//! Settings files: TOML is read into a plan, and small plans are trained for two steps.

use super::training::{self, TINY};
use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use gan_core::penalties::PenaltyKind;
use gan_core::{Loss, layers};
use gan_data::DatasetEntry;
use gan_metrics::Metric;
use gan_train::{layering, presets};
use std::sync::LazyLock;

/// Reads a settings file, checks it and trains two steps.
pub const TARGET: Target =
    Target { name: "settings", body, seeds, tokens: TOKENS, names, memory: Memory { mebibytes: 256, per_byte: 1024 } };

/// Values in settings files, and their punctuation.
pub const TOKENS: &[&str] = &[
    "ring = { modes = 3 }",
    "grid = { side = 3 }",
    "curve = { x = [0, 1], curves = [{ polynomial = [1, 2] }] }",
    "instance_noise = { sigma = 0.1, until = 0.5 }",
    "family = \"mlp\"",
    "family = \"dcgan\"",
    "{ conv = 2, kernel = 3 }",
    "{ dense = 3 }",
    "[[penalties]]",
    "kind = ",
    "\"drop\"",
    "\"uniform\"",
    "\"he\"",
    "\"epochs\"",
    "\"eval\"",
    "\"bf16\"",
    "\"f32-accurate\"",
    "preset = \"ring2d\"",
    "true",
    "false",
    "nan",
    "inf",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "\"",
    "''",
];

/// Returns the names of everything that settings choose, and the keys and heads of tables in the presets.
pub fn names() -> Vec<&'static str> {
    static NAMES: LazyLock<Vec<&str>> = LazyLock::new(|| {
        let keys = presets::ALL.iter().flat_map(|preset| preset.text.lines());
        let keys = keys.filter_map(|line| line.split('=').next().map(str::trim).filter(|key| !key.starts_with('#')));
        let mut all: Vec<&str> = keys.filter(|key| !key.is_empty()).collect();
        all.extend(layers::names());
        all.extend(Loss::ALL.iter().map(|loss| loss.name()));
        all.extend(PenaltyKind::ALL.iter().map(|penalty| penalty.name()));
        all.extend(DatasetEntry::names());
        all.extend(Metric::all().map(|metric| metric.key));
        all.sort_unstable();
        all.dedup();
        all
    });
    NAMES.clone()
}

fn body(input: &[u8]) -> Outcome {
    let path = place::file(&place::folder("settings")?, "settings.toml", input)?;
    let plan = layering::read(layering::from_file(&path)?)?.check()?;
    training::two_steps(&plan)
}

const POINTS: &str = r#"preset = "ring2d"
[data]
ring = { modes = 3 }
[generator]
hidden = [6]
[discriminator]
hidden = [6]
[train]
batch = 8
d_steps = 2
"#;

fn seeds() -> Vec<Seed> {
    let presets = presets::ALL.iter().map(|preset| (preset.name, preset.text.as_bytes().to_vec()));
    let own = [("tiny", TINY), ("points", POINTS)].map(|(name, text)| (name, text.as_bytes().to_vec()));
    own.into_iter().chain(presets).collect()
}
