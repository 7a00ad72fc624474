//! `seeds`: trains a preset with several seeds and evaluates each run's last generator, as the tables in `docs/results/` show it.

use crate::runs::{self, Ends};
use anyhow::Result;

/// Metrics of the table, as far as the run is evaluated by them.
const FIGURES: &str =
    "fd_digits confidence class_balance class_accuracy precision recall modes high_quality reverse_kl";

/// Trains seeds 1 to `count` into `target/seeds/`; `options` go to `gan train`.
pub fn run(preset: &str, count: u64, options: &[String]) -> Result<()> {
    let mut metrics: Vec<&str> = FIGURES.split(' ').collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut all_seconds = vec![];
    let mut all_figures = vec![];
    for seed in 1..=count {
        let number = seed.to_string();
        let args = [&[preset, "--seed", &number], options.as_slice()].concat();
        let (out, seconds) = runs::train(&format!("seeds/{preset}-{seed}"), &args, Ends::DoneOrAlarmed)?;
        let alarms = runs::alarms_in(&out)?;
        let card = serde_json::from_str(&evaluated(&out.to_string_lossy(), preset)?)?;
        if seed == 1 {
            metrics.retain(|metric| runs::figures(&card, &[metric])[0].is_some());
            println!("| seed | seconds | {} | alarms |", metrics.join(" | "));
            println!("|---|---|{}---|", "---|".repeat(metrics.len()));
        }
        let figures = runs::figures(&card, &metrics);
        print_row(&number, seconds, &figures, &alarms);
        all_seconds.push(seconds);
        all_figures.push(figures);
    }
    let of = |i: usize| all_figures.iter().map(|figures| figures[i]).collect::<Option<Vec<f64>>>();
    let medians: Vec<Option<f64>> = (0..metrics.len()).map(|i| of(i).map(median)).collect();
    print_row("median", median(all_seconds), &medians, "");
    Ok(())
}

fn print_row(seed: &str, seconds: f64, figures: &[Option<f64>], alarms: &str) {
    println!("| {seed} | {seconds:.0} | {} | {alarms} |", runs::cells(figures));
}

/// Evaluates a run. PacGAN's protocols take 2,500 points; digits are evaluated by 10,000, stacked ones by the 26,000 of the command's default.
fn evaluated(run: &str, preset: &str) -> Result<String> {
    let samples: &[&str] = if ["ring2d", "grid2d"].contains(&preset) { &["--samples", "2500"] } else { &[] };
    runs::printed(&[&["evaluate", run, "--json"], samples].concat())
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
