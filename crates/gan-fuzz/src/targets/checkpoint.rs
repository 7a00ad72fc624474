//! Checkpoints with valid checksums: any state is either refused or can resume training.

use super::training::TINY;
use crate::place::{self, joined, parts};
use crate::target::{Memory, Outcome, Seed, Target};
use candle_core::Device;
use gan_train::config::RunConfig;
use gan_train::{Plan, Trainer, checkpoint};
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Restores a checkpoint and trains two more steps.
///
/// The input is a `state.json`, optionally followed by a separator and the tensors, which otherwise come from a valid checkpoint. The
/// text `@identity@` stands for the run's settings in the form in which a state contains them.
pub const TARGET: Target = Target {
    name: "checkpoint",
    body,
    seeds,
    tokens: TOKENS,
    names: Vec::new,
    memory: Memory { mebibytes: 64, per_byte: 64 },
};

const TOKENS: &[&str] = &[
    "\"step\":",
    "\"format\":",
    "\"optimizer_steps_g\":",
    "\"optimizer_steps_d\":",
    "\"ema_steps\":",
    "\"rollbacks\":",
    "\"position\":",
    "\"batch\":",
    "\"noise\":",
    "\"dropout\":",
    "\"dropout_of_others\":[",
    "\"identity\":",
    "\"@identity@\"",
    "\"tensors_len\":",
    "null",
    "[0,0,0,0]",
    "18446744073709551615",
    "\"F32\"",
    "\"F64\"",
    "\"I64\"",
    "\"BF16\"",
    "\"data_offsets\":[",
    "\"shape\":[",
    "generator.main.0.weight",
    "ema.",
    "optimizer.generator.",
];

/// A valid checkpoint and its parts.
struct Whole {
    plan: Plan,
    state: String,
    tensors: Vec<u8>,
    identity: String,
}

fn folder() -> std::io::Result<PathBuf> {
    place::folder("checkpoint")
}

fn whole() -> &'static Whole {
    static WHOLE: OnceLock<Whole> = OnceLock::new();
    WHOLE.get_or_init(|| {
        let table = TINY.parse().expect("the settings are TOML");
        let plan = gan_train::layering::read(table).and_then(RunConfig::check).expect("the settings can be used");
        let mut trainer = Trainer::new(plan.clone(), &Device::Cpu).expect("the settings can be trained");
        trainer.advance().expect("a step");
        let saved = folder().expect("a folder").join("whole");
        let saved = checkpoint::save(&trainer, &saved, 1).expect("a checkpoint");
        let state = fs::read_to_string(saved.join(checkpoint::STATE)).expect("a state");
        let tensors = fs::read(saved.join(checkpoint::TENSORS)).expect("tensors");
        let json: serde_json::Value = serde_json::from_str(&state).expect("JSON");
        let identity = json["identity"].to_string();
        Whole { plan, state: state.replace(&identity, "\"@identity@\""), tensors, identity }
    })
}

fn body(input: &[u8]) -> Outcome {
    let whole = whole();
    let [state, tensors] = parts(input);
    let state = String::from_utf8_lossy(state.unwrap_or_default()).replace("\"@identity@\"", &whole.identity);
    let tensors = tensors.unwrap_or(&whole.tensors);
    let state = checkpoint::resealed(state.as_bytes(), tensors)?;
    let checkpoints = folder()?.join("checkpoints");
    let step = checkpoints.join("step-0000001");
    fs::create_dir_all(&step)?;
    place::file(&step, checkpoint::STATE, &state)?;
    place::file(&step, checkpoint::TENSORS, tensors)?;
    let mut trainer = Trainer::new(whole.plan.clone(), &Device::Cpu)?;
    checkpoint::restore(&mut trainer, &checkpoints, None)?;
    trainer.advance()?;
    trainer.advance()?;
    Ok(())
}

fn seeds() -> Vec<Seed> {
    let whole = whole();
    let state = whole.state.as_bytes();
    vec![("state", state.to_vec()), ("state-and-tensors", joined(&[state, &whole.tensors]))]
}
