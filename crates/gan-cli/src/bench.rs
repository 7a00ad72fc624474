//! `gan bench`: whole training steps on made data, through the real trainer.

use crate::args::BenchArgs;
use crate::{say, source, train};
use anyhow::Result;
use gan_train::Trainer;
use serde_json::json;
use std::time::Instant;

const WARM_UP: u64 = 2;

/// Times steps and prints the median.
pub fn run(args: &BenchArgs) -> Result<()> {
    let mut assignments = args.set.clone();
    assignments.extend(["data.name=made".into(), format!("train.steps={}", args.steps + WARM_UP)]);
    assignments.extend(args.batch.map(|n| format!("train.batch={n}")));
    assignments.extend(args.threads.map(|n| format!("train.threads={n}")));
    let plan = source::plan(&args.source, &assignments)?;
    train::limit_threads(plan.config().train.threads)?;
    let (batch, work) = (plan.config().train.batch, plan.config().preset.clone());
    let mut trainer = Trainer::new(plan, &gan_train::device::open(&args.device)?)?;
    for _ in 0..WARM_UP {
        trainer.advance()?;
    }
    let cpu = cpu_ms();
    let mut times = Vec::new();
    for _ in 0..args.steps {
        let start = Instant::now();
        trainer.advance()?;
        times.push(start.elapsed().as_secs_f64());
    }
    let cpu_ms = (cpu_ms() - cpu) / args.steps as f64;
    times.sort_by(f64::total_cmp);
    let (median, best) = (times[times.len() / 2], times[0]);
    let threads = rayon::current_num_threads();
    let (images, rss) = (batch as f64 / median, peak_rss_mib());
    if args.json {
        say::line(
            json!({"work": work, "batch": batch, "threads": threads, "step_s": median, "best_s": best, "images_per_s": images,
                   "cpu_ms": cpu_ms, "peak_rss_mib": rss}),
        )
    } else {
        say::line(format_args!(
            "{work}, batch {batch}, {threads} threads: {:.1} ms a step (best {:.1}), {images:.0} images/s, {cpu_ms:.0} ms CPU a step, {rss:.0} MiB at most",
            median * 1e3,
            best * 1e3
        ))
    }
}

/// Milliseconds of processor time that this process has used; 0 where the system does not tell.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms.
    [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<f64>().ok()).sum::<f64>() * 10.0
}

/// The largest memory that this process has held; 0 where the system does not tell.
fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
