//! `losses`: trains every loss with every regularizer on `dcgan-mnist`, for five minutes of one core each.
//!
//! The number of steps in five minutes was measured once ([`REGULARIZERS`]), so that the results do not depend on the load of the machine.

use crate::runs::{self, Ends};
use anyhow::Result;
use gan_base::messages::choose;
use gan_core::Loss;

/// Regularizer of D.
struct Regularizer {
    name: &'static str,
    /// Setting that enables it.
    setting: Option<&'static str>,
    /// Number of steps in five minutes of one core of an AMD EPYC (Zen 5).
    steps: u64,
}

const REGULARIZERS: [Regularizer; 3] = [
    Regularizer { name: "none", setting: None, steps: 2700 },
    Regularizer {
        name: "R1 + R2",
        setting: Some("penalties=[{kind=\"r1\",weight=1.0},{kind=\"r2\",weight=1.0}]"),
        steps: 1100,
    },
    Regularizer { name: "spectral norm", setting: Some("discriminator.spectral_norm=true"), steps: 2400 },
];

const FIGURES: [&str; 4] = ["fd_digits", "confidence", "class_balance", "recall"];

/// Returns the loss called `name`.
pub fn named(name: &str) -> Result<Loss, String> {
    let names: Vec<&str> = Loss::ALL.iter().map(|loss| loss.name()).collect();
    let loss = Loss::ALL.iter().find(|loss| loss.name() == name);
    loss.copied().ok_or_else(|| format!("no loss \"{name}\"{}", choose(name, &names)))
}

/// Trains `losses`, or all, into `target/losses/`, and prints the table.
pub fn run(losses: &[Loss]) -> Result<()> {
    println!("| loss | regularizer | steps | {} | alarms |", FIGURES.join(" | "));
    println!("|---|---|---|{}---|", "---|".repeat(FIGURES.len()));
    for loss in if losses.is_empty() { Loss::ALL } else { losses } {
        for regularizer in &REGULARIZERS {
            println!("{}", row(loss.name(), regularizer)?);
        }
    }
    Ok(())
}

fn row(loss: &str, regularizer: &Regularizer) -> Result<String> {
    let Regularizer { name, setting, steps } = regularizer;
    let folder = format!("losses/{loss}-{}", name.replace([' ', '+'], ""));
    let length = steps.to_string();
    let kind = format!("loss.kind={loss}");
    let mut args = vec!["dcgan-mnist", "--threads", "1", "--steps", &length, "--set", &kind];
    args.extend(setting.iter().flat_map(|setting| ["--set", setting]));
    let (out, _) = runs::train(&folder, &args, Ends::DoneOrAlarmed)?;
    let alarms = runs::alarms_in(&out)?;
    let evaluations = runs::lines(&out.join("evaluations.jsonl"))?;
    // A run whose numbers ended early was not evaluated at its end.
    let last = evaluations.last().filter(|line| line["step"].as_u64() == Some(*steps));
    let figures = last.map_or_else(|| vec![None; FIGURES.len()], |line| runs::figures(&line["card"], &FIGURES));
    Ok(format!("| {loss} | {name} | {steps} | {} | {alarms} |", runs::cells(&figures)))
}
