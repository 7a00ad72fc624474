//! Settings files: TOML is read into a plan, and small plans are trained for two steps.

use super::training::{self, TINY};
use crate::place;
use crate::target::{Memory, Outcome, Seed, Target};
use gan_train::{layering, presets};

/// Reads a settings file, checks it and trains two steps.
pub const TARGET: Target =
    Target { name: "settings", body, seeds, tokens: TOKENS, memory: Memory { mebibytes: 256, per_byte: 1024 } };

/// The words of settings files.
pub const TOKENS: &[&str] = &[
    "[data]",
    "name = ",
    "\"made\"",
    "\"ring\"",
    "\"grid\"",
    "\"curve\"",
    "size = ",
    "channels = ",
    "count = ",
    "limit = ",
    "window = ",
    "replacement = true",
    "last_batch = \"drop\"",
    "flip = true",
    "ring = { modes = 3 }",
    "grid = { side = 3 }",
    "curve = { x = [0, 1], curves = [{ polynomial = [1, 2] }] }",
    "[latent]",
    "dim = ",
    "distribution = \"uniform\"",
    "truncation = ",
    "[generator]",
    "[discriminator]",
    "family = \"mlp\"",
    "hidden = [3]",
    "family = \"dcgan\"",
    "width = 2",
    "activation = \"relu\"",
    "features = 2",
    "init = \"he\"",
    "init = \"dcgan\"",
    "spectral_norm = true",
    "input = [",
    "layers = [",
    "{ dense = 3 }",
    "{ conv = 2, kernel = 3 }",
    "{ batch_norm = {} }",
    "{ residual = [\"relu\"] }",
    "{ minibatch_std = 2 }",
    "{ attention = 2 }",
    "{ projection = 3 }",
    "{ auxiliary = 3 }",
    "{ concat_class = 3 }",
    "\"flatten\"",
    "{ reshape = [1, 4, 4] }",
    "kind = ",
    "\"minimax\"",
    "\"least_squares\"",
    "\"wasserstein\"",
    "\"hinge\"",
    "\"relativistic_pairing\"",
    "\"relativistic_average\"",
    "real_label = ",
    "flip = 0.1",
    "auxiliary = 0.5",
    "[[penalties]]",
    "kind = \"r1\"",
    "kind = \"r2\"",
    "kind = \"gradient\"",
    "kind = \"clip\"",
    "kind = \"feature_matching\"",
    "weight = ",
    "every = ",
    "end = ",
    "share = ",
    "[augment]",
    "cutout = 0.5",
    "colour = true",
    "[train]",
    "batch = ",
    "d_steps = ",
    "g_steps = ",
    "alternate = \"epochs\"",
    "joint_batch = true",
    "reuse_fakes = false",
    "fakes_mode = \"eval\"",
    "ema = ",
    "decay = ",
    "warmup = ",
    "clip_norm = ",
    "accumulate = ",
    "pack = ",
    "instance_noise = { sigma = 0.1, until = 0.5 }",
    "precision = \"bf16\"",
    "precision = \"f32-accurate\"",
    "[evaluate]",
    "[alarms]",
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
