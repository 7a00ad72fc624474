//! `losses`: every loss with every regulariser on `dcgan-mnist`, for five minutes of one core each: a table to choose by.
//!
//! How many steps five minutes are was measured once ([`REGULARISERS`]), so that the numbers do not depend on what else the machine does.

use crate::runs::{self, Ends};
use anyhow::Result;
use gan_base::messages::choose;
use gan_core::Loss;

/// A regulariser of D.
struct Regulariser {
    name: &'static str,
    /// What turns it on.
    setting: Option<&'static str>,
    /// What five minutes of one core of an AMD EPYC (Zen 5) are.
    steps: u64,
}

const REGULARISERS: [Regulariser; 3] = [
    Regulariser { name: "none", setting: None, steps: 2700 },
    Regulariser {
        name: "R1 + R2",
        setting: Some("penalties=[{kind=\"r1\",weight=1.0},{kind=\"r2\",weight=1.0}]"),
        steps: 1100,
    },
    Regulariser { name: "spectral norm", setting: Some("discriminator.spectral_norm=true"), steps: 2400 },
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
    println!("| loss | regulariser | steps | {} | alarms |", FIGURES.join(" | "));
    println!("|---|---|---|{}---|", "---|".repeat(FIGURES.len()));
    for loss in if losses.is_empty() { Loss::ALL } else { losses } {
        for regulariser in &REGULARISERS {
            println!("{}", row(loss.name(), regulariser)?);
        }
    }
    Ok(())
}

fn row(loss: &str, regulariser: &Regulariser) -> Result<String> {
    let Regulariser { name, setting, steps } = regulariser;
    let out = runs::target().join("losses").join(format!("{loss}-{}", name.replace([' ', '+'], "")));
    let folder = out.to_string_lossy();
    let length = steps.to_string();
    let kind = format!("loss.kind={loss}");
    let mut line = vec!["--quiet", "train", "dcgan-mnist", "--overwrite", "--out", &folder, "--threads", "1"];
    line.extend(["--steps", &length, "--set", &kind]);
    line.extend(setting.iter().flat_map(|setting| ["--set", setting]));
    runs::gan(&line, Ends::DoneOrAlarmed)?;
    let alarms = runs::in_words(&runs::alarms(&runs::lines(&out.join("metrics.jsonl"))?));
    let evaluations = runs::lines(&out.join("evaluations.jsonl"))?;
    // A run whose numbers ended early was not evaluated at its end.
    let last = evaluations.last().filter(|line| line["step"].as_u64() == Some(*steps));
    let figures = last.map_or_else(|| vec![None; FIGURES.len()], |line| runs::figures(&line["card"], &FIGURES));
    let figures: Vec<String> = figures.iter().map(|value| runs::shown(*value)).collect();
    Ok(format!("| {loss} | {name} | {steps} | {} | {alarms} |", figures.join(" | ")))
}
