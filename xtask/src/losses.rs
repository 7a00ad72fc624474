//! `cargo xtask losses`: every loss with every regulariser on `dcgan-mnist`, for five minutes of one core each: a table to choose by.
//!
//! How many steps five minutes are was measured once ([`REGULARISERS`]), so that the numbers do not depend on what else the machine does.

use crate::fault::{Fault, Outcome};
use crate::runs::{self, Ends, read};
use crate::workspace;
use std::ffi::OsString;
use std::process::ExitCode;

const LOSSES: [&str; 7] = [
    "non_saturating",
    "minimax",
    "least_squares",
    "hinge",
    "wasserstein",
    "relativistic_average",
    "relativistic_pairing",
];

/// A regulariser of D: its name, the setting that turns it on, and the steps that five minutes of one core of an AMD EPYC (Zen 5) are.
const REGULARISERS: [(&str, Option<&str>, u64); 3] = [
    ("none", None, 2700),
    ("R1 + R2", Some("penalties=[{kind=\"r1\",weight=1.0},{kind=\"r2\",weight=1.0}]"), 1100),
    ("spectral norm", Some("discriminator.spectral_norm=true"), 2400),
];

const FIGURES: [&str; 4] = ["fd_digits", "confidence", "class_balance", "recall"];

/// Trains the losses named in `args`, or all, into `target/losses/`, and prints the table.
pub fn run(args: &[OsString]) -> Outcome {
    let named: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    if let Some(unknown) = named.iter().find(|name| !LOSSES.contains(&name.as_str())) {
        return Err(Fault::usage(format!("`{unknown}` is none of {}", LOSSES.join(", "))));
    }
    println!("| loss | regulariser | steps | {} | alarms |", FIGURES.join(" | "));
    println!("|---|---|---|{}---|", "---|".repeat(FIGURES.len()));
    for loss in LOSSES.into_iter().filter(|loss| named.is_empty() || named.iter().any(|name| name == loss)) {
        for regulariser in REGULARISERS {
            println!("{}", row(loss, regulariser)?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(loss: &str, (name, setting, steps): (&str, Option<&str>, u64)) -> Result<String, Fault> {
    let out = workspace::target().join("losses").join(format!("{loss}-{}", name.replace([' ', '+'], "")));
    let (folder, length, kind) = (out.to_string_lossy().into_owned(), steps.to_string(), format!("loss.kind={loss}"));
    let mut line = vec!["--quiet", "train", "dcgan-mnist", "--overwrite", "--out", &folder, "--threads", "1"];
    line.extend(["--steps", &length, "--set", &kind]);
    line.extend(setting.iter().flat_map(|setting| ["--set", setting]));
    runs::gan(&line, Ends::DoneOrAlarmed)?;
    let alarms = runs::in_words(&runs::alarms(&read(&out.join("metrics.jsonl"))?));
    let evaluations = read(&out.join("evaluations.jsonl"))?;
    // A run whose numbers ended early was not judged at its end.
    let last = evaluations.lines().last().filter(|line| runs::number(line, "step") == Some(steps));
    let figures = last.map_or_else(|| vec![None; FIGURES.len()], |card| runs::figures(card, &FIGURES));
    let figures: Vec<String> = figures.iter().map(|value| runs::shown(*value)).collect();
    Ok(format!("| {loss} | {name} | {steps} | {} | {alarms} |", figures.join(" | ")))
}
