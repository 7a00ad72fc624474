//! `alarms`: whether alarms come where they should and nowhere else, as `docs/results/alarms.md` shows it.
//!
//! Each file in `tests/broken/` cannot work; its head says how, and which alarms are right. One of them must come before half of the
//! run. Every preset that needs no download is trained with five seeds, and must raise none.

use crate::runs::{self, Ends, read};
use anyhow::{Context, Result, bail};
use gan_alarms::RULES;
use gan_base::messages::choose;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const HEALTHY: [&str; 12] = [
    "mnist",
    "dcgan-mnist",
    "keras-mnist",
    "upsample-mnist",
    "mlp-mnist",
    "curve2d",
    "sine2d",
    "cosine2d",
    "poly2d",
    "two-curves2d",
    "ring2d",
    "grid2d",
];
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

/// Trains what is named (files' stems and presets), or all, into `target/alarms/`, and prints both tables.
pub fn run(named: &[String]) -> Result<()> {
    let wanted = |name: &str| named.is_empty() || named.iter().any(|n| n == name);
    let all = broken()?;
    let known: Vec<&str> = all.iter().map(|broken| broken.name.as_str()).chain(HEALTHY).collect();
    if let Some(unknown) = named.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no configuration \"{unknown}\"{}", choose(unknown, &known));
    }
    let mut right = true;
    println!("| broken | alarms that fit | the first that fits | before half | all alarms |\n|---|---|---|---|---|");
    for broken in all.iter().filter(|broken| wanted(&broken.name)) {
        let run = train(&broken.name, &broken.file.to_string_lossy(), None)?;
        let (row, ok) = broken.row(&Seen::in_run(&run)?);
        println!("{row}");
        right &= ok;
    }
    println!("\n| preset | seed | alarms |\n|---|---|---|");
    for preset in HEALTHY.into_iter().filter(|preset| wanted(preset)) {
        for seed in SEEDS {
            let seen = Seen::in_run(&train(&format!("{preset}-{seed}"), preset, Some(seed))?)?;
            println!("| `{preset}` | {seed} | {} |", runs::in_words(&seen.alarms));
            right &= seen.alarms.is_empty();
        }
    }
    if !right {
        bail!("an alarm is missing, late or false: see the tables");
    }
    Ok(())
}

/// A configuration that cannot work.
struct Broken {
    name: String,
    file: PathBuf,
    what: String,
    fits: Vec<String>,
}

/// The files in `tests/broken/`, by name.
fn broken() -> Result<Vec<Broken>> {
    let folder = runs::root().join("tests/broken");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.into_iter().map(Broken::read).collect()
}

impl Broken {
    /// A file's first line says what is wrong, its second which alarms fit: `# alarms: d_won, collapse`.
    fn read(file: PathBuf) -> Result<Self> {
        let text = read(&file)?;
        let mut lines = text.lines().map(|line| line.trim_start_matches(['#', ' ']));
        let (what, fits) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        let Some(fits) = fits.strip_prefix("alarms: ") else {
            bail!("{}: its second line must be `# alarms: …`", file.display());
        };
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let fits: Vec<String> = fits.split(", ").map(String::from).collect();
        let keys: Vec<&str> = RULES.iter().map(|rule| rule.key).collect();
        if let Some(unknown) = fits.iter().find(|fit| !keys.contains(&fit.as_str())) {
            bail!("{}: no alarm \"{unknown}\"{}", file.display(), choose(unknown, &keys));
        }
        Ok(Self { name, what: what.trim_end_matches('.').into(), fits, file })
    }

    /// Its row, and whether a fitting alarm came in time.
    fn row(&self, seen: &Seen) -> (String, bool) {
        let first = seen.alarms.iter().find(|(_, kind)| self.fits.contains(kind));
        let in_time = first.is_some_and(|(step, _)| 2 * step < seen.steps);
        let said = first.map_or("none".into(), |(step, kind)| format!("{kind} at {step} of {}", seen.steps));
        let (name, what, fits) = (&self.name, &self.what, self.fits.join(", "));
        let in_words = if in_time { "yes" } else { "no" };
        (format!("| `{name}`: {what} | {fits} | {said} | {in_words} | {} |", runs::in_words(&seen.alarms)), in_time)
    }
}

/// What came of a run.
struct Seen {
    steps: u64,
    /// Step and kind of each alarm.
    alarms: Vec<(u64, String)>,
}

impl Seen {
    fn in_run(run: &Path) -> Result<Self> {
        let settings = read(&run.join("config.toml"))?;
        Ok(Self::of(&runs::lines(&run.join("metrics.jsonl"))?, total(&settings)))
    }

    /// Of the lines of metrics.jsonl. A run that an alarm has stopped counts with all its steps.
    fn of(lines: &[Value], total: Option<u64>) -> Self {
        let last = lines.iter().filter_map(|line| line["step"].as_u64()).max().unwrap_or(0);
        Self { steps: total.unwrap_or(last).max(last), alarms: runs::alarms(lines) }
    }
}

/// `steps` of a run's settings, where they have them.
fn total(settings: &str) -> Option<u64> {
    settings.lines().find_map(|line| line.strip_prefix("steps = ")?.trim().parse().ok())
}

/// Trains `source` into a folder of its own; a run that stops by an alarm has done what it should.
fn train(name: &str, source: &str, seed: Option<u64>) -> Result<PathBuf> {
    let out = runs::target().join("alarms").join(name);
    let folder = out.to_string_lossy().into_owned();
    let seed: Vec<String> = seed.into_iter().flat_map(|seed| ["--seed".into(), seed.to_string()]).collect();
    let line = ["--quiet", "train", source, "--overwrite", "--out", &folder, "--set", "samples.every=1000000"];
    let line: Vec<&str> = line.into_iter().chain(seed.iter().map(String::as_str)).collect();
    runs::gan(&line, Ends::DoneOrAlarmed)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_run_is_right_where_a_fitting_alarm_comes_in_time() {
        let broken =
            |fits: &str| Broken { name: "x".into(), file: PathBuf::new(), what: "w".into(), fits: vec![fits.into()] };
        let lines = [
            serde_json::json!({"step": 100, "loss_g": 1.0}),
            serde_json::json!({"step": 120, "alarm": "d_won", "at": 120, "evidence": "x"}),
            serde_json::json!({"step": 200, "loss_g": 1.0}),
        ];
        let seen = |total| Seen::of(&lines, total);
        assert_eq!(seen(None).alarms, [(120, "d_won".to_string())]);
        assert!(!broken("d_won").row(&seen(None)).1 && broken("d_won").row(&seen(Some(400))).1);
        assert!(!broken("collapse").row(&seen(Some(400))).1);
    }

    #[test]
    fn at_least_ten_broken_configurations_are_there_and_say_what_fits() {
        let all = broken().unwrap();
        assert!(all.len() >= 10 && all.iter().all(|b| !b.fits.is_empty() && !b.what.is_empty()));
    }
}
