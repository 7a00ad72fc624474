//! `alarms`: tests whether alarms are raised when they should be and never otherwise, as `docs/results/alarms.md` shows it. `replay` applies the
//! present rules to finished runs.
//!
//! Each file in `tests/broken/` cannot work; its first lines say why, and which alarms are right. One of them must be raised in the first half of
//! the run. Every preset that needs no download is trained with five seeds, and must raise none.

use crate::runs::{self, Ends, read};
use anyhow::{Context, Result, bail};
use gan_alarms::{RULES, RunContext, Watch};
use gan_base::messages::choose;
use gan_metrics::Metric;
use gan_run::evaluate;
use gan_train::layering;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const HEALTHY: &str =
    "mnist dcgan-mnist keras-mnist upsample-mnist mlp-mnist curve2d sine2d cosine2d poly2d two-curves2d ring2d grid2d";

/// Trains the named files (by their stems) and presets, or all, into `target/alarms/`, and prints both tables.
pub fn run(named: &[String]) -> Result<()> {
    let wanted = |name: &str| named.is_empty() || named.iter().any(|n| n == name);
    let all = broken()?;
    let known: Vec<&str> = all.iter().map(|broken| broken.name.as_str()).chain(HEALTHY.split(' ')).collect();
    if let Some(unknown) = named.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no configuration \"{unknown}\"{}", choose(unknown, &known));
    }
    let mut is_right = true;
    println!("| broken | alarms that fit | the first that fits | before half | all alarms |\n|---|---|---|---|---|");
    for broken in all.iter().filter(|broken| wanted(&broken.name)) {
        let run = train(&broken.name, &broken.file.to_string_lossy(), &[])?;
        let (row, is_in_time) = broken.row(&Seen::in_run(&run)?);
        println!("{row}");
        is_right &= is_in_time;
    }
    println!("\n| preset | seed | alarms |\n|---|---|---|");
    for preset in HEALTHY.split(' ').filter(|preset| wanted(preset)) {
        for seed in runs::SEEDS {
            let run = train(&format!("{preset}-{seed}"), preset, &["--seed", &seed.to_string()])?;
            let seen = Seen::in_run(&run)?;
            println!("| `{preset}` | {seed} | {} |", runs::in_words(&seen.alarms));
            is_right &= seen.alarms.is_empty();
        }
    }
    if !is_right {
        bail!("an alarm is missing, late or false: see the tables");
    }
    Ok(())
}

fn train(name: &str, source: &str, args: &[&str]) -> Result<PathBuf> {
    let args = [&[source, "--set", "samples.every=1000000"], args].concat();
    Ok(runs::train(&format!("alarms/{name}"), &args, Ends::DoneOrAlarmed)?.0)
}

/// Prints the alarms that finished runs raise by the present rules. For whoever changes a rule, without training again.
pub fn replay(runs: &[PathBuf]) -> Result<()> {
    for folder in runs {
        let evaluations = evaluate::read(&folder.join("evaluations.jsonl"));
        // The figure that comes first is the one that chooses.
        let first = evaluations.first().and_then(|e| e.card.figures.first().cloned());
        let has = |metric: &Metric| evaluations.first().is_some_and(|e| e.card.value(metric).is_some());
        let energy = Metric::find("energy").filter(|energy| has(energy));
        let best = energy.or(first.as_ref().map(|figure| figure.metric));
        let floor = best.and_then(|best| evaluations.first()?.card.figure(best)?.floor);
        let lines = runs::lines(&folder.join("metrics.jsonl"))?;
        let total = lines.iter().filter_map(|line| line["step"].as_u64()).max().unwrap_or(0);
        let best = best.map(|best| (best.key.to_string(), best.better));
        let plan = layering::read(layering::from_file(&folder.join("config.toml"))?)?.check()?;
        let mut watch = Watch::new(RunContext { total, best, floor, loss: plan.config().loss.kind.properties() });
        let alarms = lines.iter().flat_map(|line| watch.see(line));
        let raised: Vec<(u64, String)> = alarms.map(|alarm| (alarm.at, alarm.rule.key.into())).collect();
        println!("{}: {}", folder.display(), runs::in_words(&raised));
    }
    Ok(())
}

/// Configuration that cannot work.
struct Broken {
    name: String,
    file: PathBuf,
    what: String,
    fits: Vec<String>,
}

/// Returns the configurations in `tests/broken/`, by name.
fn broken() -> Result<Vec<Broken>> {
    let folder = runs::root().join("tests/broken");
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files.into_iter().map(Broken::read).collect()
}

impl Broken {
    /// Reads a file whose first line says what is wrong, and the second which alarms fit: `# alarms: d_won, collapse`.
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

    /// Returns its row, and whether a fitting alarm was raised in time.
    fn row(&self, seen: &Seen) -> (String, bool) {
        let first = seen.alarms.iter().find(|(_, kind)| self.fits.contains(kind));
        let in_time = first.is_some_and(|(step, _)| 2 * step < seen.steps);
        let said = first.map_or("none".into(), |(step, kind)| format!("{kind} at {step} of {}", seen.steps));
        let (name, what, fits) = (&self.name, &self.what, self.fits.join(", "));
        let in_words = if in_time { "yes" } else { "no" };
        (format!("| `{name}`: {what} | {fits} | {said} | {in_words} | {} |", runs::in_words(&seen.alarms)), in_time)
    }
}

/// Result of a run.
struct Seen {
    steps: u64,
    /// Step and key of each alarm.
    alarms: Vec<(u64, String)>,
}

impl Seen {
    fn in_run(run: &Path) -> Result<Self> {
        let settings = read(&run.join("config.toml"))?;
        let total = settings.lines().find_map(|line| line.strip_prefix("steps = ")?.trim().parse().ok());
        Ok(Self::of(&runs::lines(&run.join("metrics.jsonl"))?, total))
    }

    /// Reads the lines of metrics.jsonl. A run that an alarm has stopped counts with all its steps.
    fn of(lines: &[Value], total: Option<u64>) -> Self {
        let last = lines.iter().filter_map(|line| line["step"].as_u64()).max().unwrap_or(0);
        Self { steps: total.unwrap_or(last).max(last), alarms: runs::alarms(lines) }
    }
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
    fn at_least_ten_broken_configurations_exist_with_their_presets() {
        let all = broken().unwrap();
        assert!(all.len() >= 10 && all.iter().all(|b| !b.fits.is_empty() && !b.what.is_empty()));
    }
}
