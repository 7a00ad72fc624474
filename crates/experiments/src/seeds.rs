//! `seeds`: trains a preset with several seeds and judges each run's last generator, as the tables in `docs/results/` show it.

use crate::runs::{self, Ends};
use anyhow::Result;
use std::path::Path;
use std::time::Instant;

/// What stands in the table, where the run is judged by it.
const FIGURES: [&str; 9] = [
    "fd_digits",
    "confidence",
    "class_balance",
    "class_accuracy",
    "precision",
    "recall",
    "modes",
    "high_quality",
    "reverse_kl",
];

/// Trains seeds 1 to `count` into `target/seeds/`; `options` go to `gan train`.
pub fn run(preset: &str, count: u64, options: &[String]) -> Result<()> {
    let mut rows = vec![];
    for seed in 1..=count {
        let out = runs::target().join("seeds").join(format!("{preset}-{seed}"));
        let start = Instant::now();
        let folder = out.to_string_lossy().into_owned();
        let seed_text = seed.to_string();
        let line = ["--quiet", "train", preset, "--overwrite", "--out", &folder, "--seed", &seed_text];
        let line: Vec<&str> = line.into_iter().chain(options.iter().map(String::as_str)).collect();
        runs::gan(&line, Ends::DoneOrAlarmed)?;
        let seconds = start.elapsed().as_secs_f64();
        rows.push(Row {
            seed,
            seconds,
            figures: judged(&out, preset)?,
            alarms: runs::in_words(&runs::alarms(&runs::lines(&out.join("metrics.jsonl"))?)),
        });
        print_row(&rows, &rows[rows.len() - 1], rows.len() == 1);
    }
    let median = Row {
        seed: 0,
        seconds: median(rows.iter().map(|row| row.seconds).collect()),
        figures: (0..FIGURES.len())
            .map(|i| Some(median(rows.iter().map(|row| row.figures[i]).collect::<Option<Vec<f64>>>()?)))
            .collect(),
        alarms: String::new(),
    };
    print_row(&rows, &median, false);
    Ok(())
}

struct Row {
    seed: u64,
    seconds: f64,
    figures: Vec<Option<f64>>,
    alarms: String,
}

fn print_row(rows: &[Row], row: &Row, headed: bool) {
    let there: Vec<usize> = (0..FIGURES.len()).filter(|i| rows[0].figures[*i].is_some()).collect();
    if headed {
        let names: Vec<&str> = there.iter().map(|i| FIGURES[*i]).collect();
        println!("| seed | seconds | {} | alarms |\n|---|---|{}---|", names.join(" | "), "---|".repeat(there.len()));
    }
    let name = if row.seed == 0 { "median".into() } else { row.seed.to_string() };
    let figures: Vec<String> = there.iter().map(|i| runs::shown(row.figures[*i])).collect();
    println!("| {name} | {:.0} | {} | {} |", row.seconds, figures.join(" | "), row.alarms);
}

/// A run's figures, in the order of [`FIGURES`].
fn judged(run: &Path, preset: &str) -> Result<Vec<Option<f64>>> {
    // PacGAN's protocols take 2,500 points; digits are judged by 10,000, stacked ones by the 26,000 that the command takes itself.
    let samples: &[&str] = match preset {
        "ring2d" | "grid2d" => &["--samples", "2500"],
        _ => &[],
    };
    let run = run.to_string_lossy().into_owned();
    let text = runs::printed(&[&["evaluate", &run, "--json"], samples].concat())?;
    Ok(runs::figures(&serde_json::from_str(&text)?, &FIGURES))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_between_both() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0])), (2.0, 2.5));
    }
}
