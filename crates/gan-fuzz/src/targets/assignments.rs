//! `--set path.to.key=value`: a preset's name in the first line, then one assignment per line.

use super::{settings, training};
use crate::target::{Memory, Outcome, Seed, Target};
use gan_train::{layering, presets};

/// Applies assignments to a preset, checks the settings and trains two steps.
pub const TARGET: Target = Target {
    name: "assignments",
    body,
    seeds,
    tokens: settings::TOKENS,
    memory: Memory { mebibytes: 256, per_byte: 1024 },
};

fn body(input: &[u8]) -> Outcome {
    let text = std::str::from_utf8(input)?;
    let mut lines = text.lines();
    let mut table = layering::from_preset(presets::get(lines.next().unwrap_or_default())?)?;
    lines.try_for_each(|assignment| layering::set(&mut table, assignment))?;
    training::two_steps(&layering::read(table)?.check()?)
}

const POINTS: &str = "ring2d
generator.hidden=[4]
discriminator.hidden=[4]
train.batch=6
data.ring.modes=3
loss.kind=hinge
penalties=[{kind=\"r1\", weight=0.5, every=2}]
optimizer.generator.kind=rmsprop
train.until.precision=0.5
";

const IMAGES: &str = "dcgan-mnist
data.size=8
generator.width=2
discriminator.width=2
latent.dim=5
train.batch=4
train.precision=bf16
augment.translation=0.1
train.pacgan=2
data.last_batch=drop
";

const CLASSES: &str = "cgan-mnist
train.batch=2
train.accumulate=2
train.clip_norm=1
";

fn seeds() -> Vec<Seed> {
    let all = [("points", POINTS), ("images", IMAGES), ("classes", CLASSES)];
    all.map(|(name, text)| (name, text.as_bytes().to_vec())).to_vec()
}
