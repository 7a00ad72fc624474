//! `replay`: which alarms finished runs raise by the rules as they are now. For whoever changes a rule, without training again.

use crate::runs;
use anyhow::Result;
use gan_alarms::{RunContext, Watch};
use gan_metrics::metrics::energy::EnergyDistance;
use gan_run::evaluate;
use gan_train::layering;
use std::path::PathBuf;

/// Prints the alarms of the runs in the folders `runs`.
pub fn run(runs: &[PathBuf]) -> Result<()> {
    for folder in runs {
        let evaluations = evaluate::read(&folder.join("evaluations.jsonl"));
        // The figure that comes first is the one that chooses.
        let first = evaluations.first().and_then(|e| e.card.figures.first().cloned());
        let modes = evaluations.first().is_some_and(|e| e.card.value(&EnergyDistance).is_some());
        let best = if modes { Some((&EnergyDistance).into()) } else { first.as_ref().map(|figure| figure.metric) };
        let floor = best.and_then(|best| evaluations.first()?.card.figure(best)?.floor);
        let lines = runs::lines(&folder.join("metrics.jsonl"))?;
        let total = lines.iter().filter_map(|line| line["step"].as_u64()).max().unwrap_or(0);
        let best = best.map(|best| (best.key().to_string(), best.better()));
        let plan = layering::read(layering::from_file(&folder.join("config.toml"))?)?.check()?;
        let mut watch = Watch::new(RunContext { total, best, floor, loss: plan.config().loss.kind });
        let alarms = lines.iter().flat_map(|line| watch.see(line));
        let said: Vec<String> = alarms.map(|alarm| format!("{} at {}", alarm.rule.key, alarm.at)).collect();
        println!("{}: {}", folder.display(), if said.is_empty() { "none".into() } else { said.join(", ") });
    }
    Ok(())
}
