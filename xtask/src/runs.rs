//! What `results`, `alarms`, `seeds` and `losses` share: starting `gan`, and reading what it left.

use crate::fault::Fault;
use crate::workspace;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// How a command of `gan` may end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// With all that it was to do.
    Done,
    /// So, or stopped by an alarm.
    DoneOrAlarmed,
}

/// Runs the release build of `gan` in the workspace's root; its output goes nowhere, its errors are shown where it must end well.
pub fn gan(args: &[&str], ends: Ends) -> Result<(), Fault> {
    let mut gan = Command::new(workspace::gan());
    gan.args(args).current_dir(workspace::root()).stdout(Stdio::null());
    if ends == Ends::DoneOrAlarmed {
        gan.stderr(Stdio::null());
    }
    match gan.status() {
        Ok(status) if status.success() || (ends == Ends::DoneOrAlarmed && status.code() == Some(1)) => Ok(()),
        Ok(status) => Err(Fault::failed(format!("gan {} ended with {status}", args.join(" ")))),
        Err(error) => Err(cannot_start(&error)),
    }
}

/// What a command of `gan` prints.
pub fn printed(args: &[&str]) -> Result<String, Fault> {
    let ran = Command::new(workspace::gan()).args(args).current_dir(workspace::root()).output();
    let ran = ran.map_err(|error| cannot_start(&error))?;
    if !ran.status.success() {
        return Err(Fault::failed(format!(
            "gan {}: {}",
            args.join(" "),
            String::from_utf8_lossy(&ran.stderr).trim_end()
        )));
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}

fn cannot_start(error: &std::io::Error) -> Fault {
    Fault::failed(format!("cannot start gan: {error}; build it: cargo build --release"))
}

pub fn read(path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|error| Fault::failed(format!("{}: {error}", path.display())))
}

/// The number behind `"key":` in a line of JSON.
pub fn number<T: std::str::FromStr>(line: &str, key: &str) -> Option<T> {
    line.split_once(&format!("\"{key}\":"))?.1.split([',', '}']).next()?.parse().ok()
}

/// Step and kind of each alarm among the lines of metrics.jsonl.
pub fn alarms(lines: &str) -> Vec<(u64, String)> {
    let kind = |line: &str| Some(line.split_once("\"alarm\":\"")?.1.split('"').next()?.to_string());
    lines.lines().filter_map(|line| Some((number(line, "at")?, kind(line)?))).collect()
}

/// `d_won at 120, collapse at 300`.
pub fn in_words(alarms: &[(u64, String)]) -> String {
    if alarms.is_empty() {
        return "none".into();
    }
    alarms.iter().map(|(step, kind)| format!("{kind} at {step}")).collect::<Vec<_>>().join(", ")
}

/// The values of metrics in the card that `gan evaluate --json` prints, those that are there.
pub fn figures(card: &str, metrics: &[&str]) -> Vec<Option<f64>> {
    let value = |metric: &&str| number(card.split_once(&format!("\"metric\":\"{metric}\""))?.1, "value");
    metrics.iter().map(value).collect()
}

/// A figure in a table.
pub fn shown(value: Option<f64>) -> String {
    value.map_or("–".into(), |value| format!("{value:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_from_a_card() {
        let card = "{\"figures\":[{\"metric\":\"fd_digits\",\"value\":0.25,\"floor\":0.1},{\"metric\":\"modes\",\"value\":8.0}]}";
        assert_eq!(figures(card, &["fd_digits", "modes", "kid"]), [Some(0.25), Some(8.0), None]);
    }
}
