//! What the experiments share: starting `gan`, and reading what it left.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Returns the workspace's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Returns the folder that cargo builds into.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty()).map_or_else(|| root().join("target"), PathBuf::from)
}

/// Returns the release build of `gan`.
fn program() -> Command {
    let path = target().join("release").join(format!("gan{}", env::consts::EXE_SUFFIX));
    let mut gan = Command::new(std::path::absolute(&path).unwrap_or(path));
    gan.current_dir(root());
    gan
}

/// How a command of `gan` may end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    Done,
    DoneOrAlarmed,
}

/// Runs `gan` and discards its output; its errors are shown if an alarm must not end it.
pub fn gan(args: &[&str], ends: Ends) -> Result<()> {
    let mut gan = program();
    gan.args(args).stdout(Stdio::null());
    if ends == Ends::DoneOrAlarmed {
        gan.stderr(Stdio::null());
    }
    let status = gan.status().context(CANNOT_START)?;
    let is_alarmed = ends == Ends::DoneOrAlarmed && status.code() == Some(1);
    if !status.success() && !is_alarmed {
        bail!("gan {} ended with {status}", args.join(" "));
    }
    Ok(())
}

/// Runs `gan train` with these arguments into `target/NAME`. Returns that folder, and the seconds that it took.
pub fn train(name: &str, args: &[&str], ends: Ends) -> Result<(PathBuf, f64)> {
    let out = target().join(name);
    let start = Instant::now();
    gan(&[&["--quiet", "train", "--overwrite", "--out", &out.to_string_lossy()], args].concat(), ends)?;
    Ok((out, start.elapsed().as_secs_f64()))
}

/// Returns what a command of `gan` prints.
pub fn printed(args: &[&str]) -> Result<String> {
    let ran = program().args(args).output().context(CANNOT_START)?;
    if !ran.status.success() {
        bail!("gan {}: {}", args.join(" "), String::from_utf8_lossy(&ran.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

const CANNOT_START: &str = "cannot start gan; build it: cargo build --release --workspace";

/// Returns the text of a file.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Seeds of the presets that are trained several times.
pub const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

/// Returns the lines of JSON in a file.
pub fn lines(path: &Path) -> Result<Vec<Value>> {
    Ok(read(path)?.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Returns step and key of each alarm among the lines of metrics.jsonl.
pub fn alarms(lines: &[Value]) -> Vec<(u64, String)> {
    lines.iter().filter_map(|line| Some((line["at"].as_u64()?, line["alarm"].as_str()?.to_string()))).collect()
}

/// Formats the alarms of the run in a folder as [`in_words`].
pub fn alarms_in(run: &Path) -> Result<String> {
    Ok(in_words(&alarms(&lines(&run.join("metrics.jsonl"))?)))
}

/// Formats `d_won at 120, collapse at 300`.
pub fn in_words(alarms: &[(u64, String)]) -> String {
    if alarms.is_empty() {
        return "none".into();
    }
    alarms.iter().map(|(step, kind)| format!("{kind} at {step}")).collect::<Vec<_>>().join(", ")
}

/// Returns the values of metrics in a card, if it has them.
pub fn figures(card: &Value, metrics: &[&str]) -> Vec<Option<f64>> {
    let all = card["figures"].as_array().map_or(&[][..], Vec::as_slice);
    let value = |metric: &&str| all.iter().find(|figure| figure["metric"] == **metric)?["value"].as_f64();
    metrics.iter().map(value).collect()
}

/// Formats figures as cells of a table.
pub fn cells(figures: &[Option<f64>]) -> String {
    let shown = |value: &Option<f64>| value.map_or("–".into(), |value| format!("{value:.4}"));
    figures.iter().map(shown).collect::<Vec<String>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_a_card() {
        let card = serde_json::json!({"figures": [{"metric": "fd_digits", "value": 0.25, "floor": 0.1}, {"metric": "modes", "value": 8.0}]});
        assert_eq!(figures(&card, &["fd_digits", "modes", "kid"]), [Some(0.25), Some(8.0), None]);
    }
}
