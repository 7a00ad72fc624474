//! `results`: trains presets to their end and prints their results, as `docs/results/systems.md` shows them.
//!
//! A preset's row has the time, the last tenth of its curves, and for points how G's updates moved the generated centroid. Its
//! last picture goes to `docs/images/`. `curve2d` is trained with five seeds, and its points are compared with the curve.

use crate::runs::{self, Ends};
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Presets that are trained if none is named: every one that needs no download.
const ALL: &str = "keras-mnist upsample-mnist upsample-mnist-as-printed mlp-mnist sine2d cosine2d poly2d two-curves2d curve3d \
    ring2d grid2d curve2d";
/// Preset that is compared with its own curve, over several seeds.
const CURVE: &str = "curve2d";
const POINTS: usize = 10_000;
/// Number of parts of the interval of x, each of which is covered or not.
const PARTS: usize = 50;

/// Trains the named presets, or all, into `target/results/`, and prints a table of their results.
pub fn run(named: &[String]) -> Result<()> {
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let presets = if named.is_empty() { ALL.split(' ').collect() } else { named };
    println!(
        "| preset | seconds | D(x) | D(G(z)) | accuracy of D | centroid drawn nearer: first tenth, all | D(G(z)) raised |"
    );
    println!("|---|---|---|---|---|---|---|");
    for preset in presets.iter().filter(|preset| **preset != CURVE) {
        let (run, seconds) = runs::train(&format!("results/{preset}"), &[preset], Ends::Done)?;
        println!("{}", row(preset, &run, seconds)?);
        keep_picture(preset, &run)?;
    }
    if presets.contains(&CURVE) {
        curve()?;
    }
    Ok(())
}

fn row(name: &str, run: &Path, seconds: f64) -> Result<String> {
    let metrics = runs::lines(&run.join("metrics.jsonl"))?;
    let mean = |key: &str| tail_mean(&metrics, key).map_or("–".into(), |value| format!("{value:.2}"));
    let planes = runs::lines(&run.join("planes.jsonl")).unwrap_or_default();
    let share = |lines: &[Value], key: &str| {
        let yes = lines.iter().filter(|line| line[key] == true).count();
        if lines.is_empty() { "–".into() } else { format!("{:.0} %", 100.0 * yes as f64 / lines.len() as f64) }
    };
    let early = &planes[..planes.len().div_ceil(10)];
    Ok(format!(
        "| `{name}` | {seconds:.0} | {} | {} | {} | {}, {} | {} |",
        mean("d_real"),
        mean("d_fake_before"),
        mean("accuracy_d"),
        share(early, "towards"),
        share(&planes, "towards"),
        share(&planes, "convinced")
    ))
}

/// Returns the mean of `key` over the last tenth of the lines that have it.
fn tail_mean(lines: &[Value], key: &str) -> Option<f64> {
    let values: Vec<f64> = lines.iter().filter_map(|line| line[key].as_f64()).collect();
    let tail = &values[values.len() - values.len().div_ceil(10)..];
    (!tail.is_empty()).then(|| tail.iter().sum::<f64>() / tail.len() as f64)
}

/// Copies the last picture of samples to docs/images/PRESET.png.
fn keep_picture(preset: &str, run: &Path) -> Result<()> {
    let entries = fs::read_dir(run.join("samples")).into_iter().flatten().flatten();
    let Some(last) = entries.map(|entry| entry.path()).max() else { return Ok(()) };
    let to = runs::root().join("docs/images").join(format!("{preset}.png"));
    fs::copy(&last, &to).map(drop).with_context(|| to.display().to_string())
}

/// Trains the curve with five seeds, and compares each run with y = 10 + x² over [−50, 50).
fn curve() -> Result<()> {
    println!(
        "\n| `{CURVE}`, seed | seconds | mean vertical distance, of y's range | x covered | drawn nearer: first tenth, all |"
    );
    println!("|---|---|---|---|---|");
    for seed in runs::SEEDS {
        let args = [CURVE, "--seed", &seed.to_string()];
        let (run, seconds) = runs::train(&format!("results/{CURVE}-{seed}"), &args, Ends::Done)?;
        let file = run.join("points.npy");
        let count = POINTS.to_string();
        let line = ["generate", &run.to_string_lossy(), "--count", &count, "--out", &file.to_string_lossy()];
        runs::gan(&line, Ends::Done)?;
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        let (distance, covered) = measured(&points(&bytes));
        let full = row(CURVE, &run, seconds)?;
        let nearer = full.split('|').nth(6).unwrap_or_default().trim().to_string();
        println!("| {seed} | {seconds:.0} | {:.2} % | {:.0} % | {nearer} |", 100.0 * distance, 100.0 * covered);
        keep_picture(CURVE, &run)?;
    }
    Ok(())
}

/// Returns the pairs of float32 after the header of a .npy file.
fn points(bytes: &[u8]) -> Vec<[f64; 2]> {
    let head = bytes.get(8..10).map_or(0, |b| 10 + usize::from(u16::from_le_bytes([b[0], b[1]])));
    let values: Vec<f64> =
        bytes.get(head..).unwrap_or_default().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).into()).collect();
    values.as_chunks().0.to_vec()
}

/// Returns the mean |y − (10 + x²)| as a part of y's range of 2,500, and the share of [−50, 50)'s parts that hold a point.
fn measured(points: &[[f64; 2]]) -> (f64, f64) {
    let distance = points.iter().map(|[x, y]| (y - (10.0 + x * x)).abs()).sum::<f64>() / points.len() as f64;
    let mut held = [false; PARTS];
    for [x, _] in points.iter().filter(|[x, _]| (-50.0..50.0).contains(x)) {
        held[((x + 50.0) / 100.0 * PARTS as f64) as usize] = true;
    }
    (distance / 2500.0, held.iter().filter(|held| **held).count() as f64 / PARTS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_and_coverage_are_those_of_the_points() {
        let on = |x: f64| [x, 10.0 + x * x];
        let (distance, covered) = measured(&[on(-50.0), on(0.0), on(49.9), [0.5, 60.25], on(70.0)]);
        assert!((distance - 50.0 / 5.0 / 2500.0).abs() < 1e-12 && (covered - 3.0 / 50.0).abs() < 1e-12);
        let mut bytes = b"\x93NUMPY\x01\x00\x02\x00{}".to_vec();
        bytes.extend([1.5f32, -2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()));
        assert_eq!(points(&bytes), [[1.5, -2.0], [3.0, 4.0]]);
    }

    #[test]
    fn a_tail_is_the_last_tenth() {
        let lines: Vec<Value> = (0..20).map(|i| serde_json::json!({"step": i, "d_real": i})).collect();
        assert_eq!((tail_mean(&lines, "d_real"), tail_mean(&lines, "other")), (Some(18.5), None));
    }
}
