//! Which alarms finished runs raise by the rules as they are now: `alarms RUN…`. For whoever changes a rule, without training again.

#![allow(clippy::print_stdout)] // an example says what it finds

use gan_metrics::metrics::energy::EnergyDistance;
use gan_run::alarms::{Setting, Watch};
use gan_run::evaluate;
use gan_train::layering;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    for run in std::env::args().skip(1) {
        let folder = Path::new(&run);
        let evaluations = evaluate::read(&folder.join("evaluations.jsonl"));
        // The figure that comes first is the one that chooses.
        let first = evaluations.first().and_then(|e| e.card.figures.first().cloned());
        let modes = evaluations.first().is_some_and(|e| e.card.value(&EnergyDistance).is_some());
        let best = if modes { Some((&EnergyDistance).into()) } else { first.as_ref().map(|figure| figure.metric) };
        let floor = best.and_then(|best| evaluations.first()?.card.figure(best)?.floor);
        let text = std::fs::read_to_string(folder.join("metrics.jsonl"))?;
        let lines: Vec<serde_json::Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let total = lines.iter().filter_map(|line| line["step"].as_u64()).max().unwrap_or(0);
        let best = best.map(|best| (best.key().to_string(), best.better()));
        let plan = layering::read(layering::from_file(&folder.join("config.toml"))?)?.check()?;
        let mut watch = Watch::new(Setting { total, best, floor, loss: plan.config().loss.kind });
        let alarms = lines.iter().flat_map(|line| watch.see(line));
        let said: Vec<String> = alarms.map(|alarm| format!("{} at {}", alarm.kind.name(), alarm.at)).collect();
        println!("{run}: {}", if said.is_empty() { "none".into() } else { said.join(", ") });
    }
    Ok(())
}
