//! `gan lab`.

use crate::output::{Form, Output};
use crate::print;
use anyhow::Result;
use clap::Args;
use gan_base::atomic;
use gan_core::Loss;
use gan_core::penalties::{Effect, PenaltyKind};
use gan_data::DatasetConfig;
use gan_export::{Lab, LabPreset};
use gan_train::config::RunConfig;
use gan_train::{Plan, presets};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Example:\n  gan lab --out lab.html")]
pub struct LabArgs {
    /// Page to write.
    #[arg(long, value_name = "FILE.html", default_value = "lab.html")]
    pub out: PathBuf,
}

/// Writes the page.
pub fn run(args: &LabArgs) -> Result<()> {
    let out = Output::new("--out", &args.out, &[Form::Html])?;
    atomic::write(&out.path, lab()?.page().as_bytes())?;
    print::line(out.path.display())
}

/// Returns what the laboratory offers: every preset of points in the plane, and what belongs to their settings.
fn lab() -> Result<Lab> {
    let plans = presets::ALL.iter().map(|preset| Plan::preset(preset.name)).collect::<gan_train::Result<Vec<_>>>()?;
    let found = plans.iter().filter(|plan| plan.sample() == [2] && plan.config().data.set.points().is_some());
    let presets = found.map(|plan| Ok(LabPreset { name: plan.config().preset.clone(), setup: setup(plan)? }));
    let presets = presets.collect::<Result<Vec<_>>>()?;
    let mut optimizers: Vec<Value> = vec![];
    for LabPreset { setup, .. } in &presets {
        let optimizer = &setup["optimizer_g"];
        if !optimizers.iter().any(|known| known["kind"] == optimizer["kind"]) {
            optimizers.push(optimizer.clone());
        }
    }
    let is_square = |kind: &&PenaltyKind| match kind.effect() {
        Effect::Gradient(penalty) => penalty.is_half_square(),
        Effect::Features(_) | Effect::Weights(_) => false,
    };
    Ok(Lab {
        presets,
        losses: Loss::ALL.iter().map(|loss| loss.name().to_string()).collect(),
        penalties: PenaltyKind::ALL.iter().filter(is_square).map(|kind| kind.name().to_string()).collect(),
        optimizers,
    })
}

/// Returns a preset's settings as the laboratory reads them. Schedules are left out: a laboratory has no end.
fn setup(plan: &Plan) -> Result<Value> {
    let RunConfig { data, latent, generator, discriminator, loss, penalties, optimizer, train, .. } = plan.config();
    let set: &DatasetConfig = &data.set;
    let network = |network: &gan_train::config::NetworkConfig| {
        json!({
            "hidden": network.hidden,
            "activation": network.activation,
            "features": network.features,
            "init": network.init,
        })
    };
    let penalties = penalties.iter().map(|penalty| json!({ "kind": penalty.kind, "weight": penalty.weight }));
    Ok(json!({
        "data": serde_json::to_value(set)?,
        "latent": latent,
        "generator": network(generator),
        "discriminator": network(discriminator),
        "loss": loss.kind,
        "penalties": penalties.collect::<Vec<_>>(),
        "optimizer_g": optimizer.generator,
        "optimizer_d": optimizer.discriminator,
        "batch": train.batch,
        "d_steps": train.d_steps,
        "g_steps": train.g_steps,
        "seed": train.seed,
    }))
}
