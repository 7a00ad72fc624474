//! `cargo xtask seeds`: trains a preset with several seeds and judges each run's best generator, as the tables in `docs/results/` show it.

use crate::fault::{Fault, Outcome};
use crate::workspace;
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// What stands in the table, where the run is judged by it.
const FIGURES: [&str; 9] =
    ["fid", "confident", "class_balance", "as_asked", "precision", "recall", "modes", "high_quality", "reverse_kl"];

/// `PRESET COUNT [gan train's options]`: seeds 1 to COUNT into `target/seeds/`, with the samples that the data's protocol takes.
pub fn run(args: &[OsString]) -> Outcome {
    let words: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let usage = || Fault::usage("expected a preset and how many seeds: cargo xtask seeds ring2d 10".to_string());
    let [preset, count, options @ ..] = &words[..] else { return Err(usage()) };
    let count: u64 = count.parse().ok().filter(|count| *count > 0).ok_or_else(usage)?;
    let mut rows = vec![];
    for seed in 1..=count {
        let out = workspace::target().join("seeds").join(format!("{preset}-{seed}"));
        let start = Instant::now();
        let folder = out.to_string_lossy().into_owned();
        let seed_text = seed.to_string();
        let line = ["--quiet", "train", preset, "--overwrite", "--out", &folder, "--seed", &seed_text];
        gan(&line.into_iter().chain(options.iter().map(String::as_str)).collect::<Vec<_>>())?;
        let seconds = start.elapsed().as_secs_f64();
        rows.push(Row { seed, seconds, figures: judged(&out, preset)?, alarms: alarms(&out) });
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
    Ok(ExitCode::SUCCESS)
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
    let figure = |i: &usize| row.figures[*i].map_or("–".into(), |value| format!("{value:.4}"));
    let figures: Vec<String> = there.iter().map(figure).collect();
    println!("| {name} | {:.0} | {} | {} |", row.seconds, figures.join(" | "), row.alarms);
}

/// A run's figures, in the order of [`FIGURES`].
fn judged(run: &Path, preset: &str) -> Result<Vec<Option<f64>>, Fault> {
    // PacGAN's protocols take 2,500 points; digits are judged by 10,000, stacked ones by the 26,000 that the command takes itself.
    let samples: &[&str] = match preset {
        "ring2d" | "grid2d" => &["--samples", "2500"],
        _ => &[],
    };
    let ran = Command::new(workspace::gan()).arg("evaluate").arg(run).arg("--json").args(samples).output();
    let ran = ran.map_err(|error| Fault::failed(format!("cannot start gan: {error}")))?;
    if !ran.status.success() {
        return Err(Fault::failed(format!("gan evaluate {}: {}", run.display(), String::from_utf8_lossy(&ran.stderr))));
    }
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    Ok(FIGURES.iter().map(|name| value(&text, name)).collect())
}

/// The value of a metric in a card.
fn value(card: &str, metric: &str) -> Option<f64> {
    let (_, rest) = card.split_once(&format!("\"metric\":\"{metric}\",\"value\":"))?;
    rest.split([',', '}']).next()?.parse().ok()
}

/// Which alarms came, and when.
fn alarms(run: &Path) -> String {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let part = |line: &str, key: &str| Some(line.split_once(key)?.1.split(['"', ',', '}']).next()?.to_string());
    let of = |line: &str| Some(format!("{} at {}", part(line, "\"alarm\":\"")?, part(line, "\"at\":")?));
    let all: Vec<String> = text.lines().filter_map(of).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

fn gan(args: &[&str]) -> Result<(), Fault> {
    match Command::new(workspace::gan()).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status() {
        Ok(status) if matches!(status.code(), Some(0 | 1)) => Ok(()),
        Ok(status) => Err(Fault::failed(format!("gan {} ended with {status}", args.join(" ")))),
        Err(error) => Err(Fault::failed(format!("cannot start gan: {error}; build it: cargo build --release"))),
    }
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
    fn figures_are_read_from_a_card() {
        let card =
            "{\"figures\":[{\"metric\":\"fid\",\"value\":0.25,\"floor\":0.1},{\"metric\":\"modes\",\"value\":8.0}]}";
        assert_eq!((value(card, "fid"), value(card, "modes"), value(card, "kid")), (Some(0.25), Some(8.0), None));
    }

    #[test]
    fn a_median_is_the_middle_or_between_both() {
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 1.0])), (2.0, 2.5));
    }
}
