//! `gan bench`: times whole training steps of the trainer on synthetic data, or samples, or single kernels.

use crate::args::{MOST, count, whole};
use crate::distributed::{self, Rank};
use crate::{print, source};
use anyhow::Result;
use candle_core::Device;
use clap::Args;
use gan_base::messages::counted;
use gan_core::{Layer, shape};
use gan_data::{DatasetSpec, Synthetic};
use gan_kernels::fused::FusedLayer;
use gan_kernels::timing;
use gan_train::Parts;
use gan_train::{Plan, Trainer};
use serde_json::json;
use std::time::Instant;

#[derive(Args)]
#[command(after_help = "Examples:\n  gan bench\n  gan bench keras-mnist --steps 50 --json")]
pub struct BenchArgs {
    /// A preset's name, a TOML file or a run folder.
    // ignore-tidy-names: the default
    #[arg(default_value = "dcgan-mnist")]
    pub source: String,
    /// Number of steps to time, after two that are not timed.
    #[arg(long, value_name = "N", default_value_t = 10, allow_negative_numbers = true, value_parser = whole(1, MOST))]
    pub steps: u64,
    /// Batch size instead of the preset's.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, 1 << 20))]
    pub batch: Option<usize>,
    /// Number of computation threads; 0 means one per core.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(0, 1024))]
    pub threads: Option<usize>,
    /// Change one setting first; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Device to compute on: auto, cpu, cuda, cuda:N, metal.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Time steps on the first N GPUs at once, each with its share of the batch.
    #[arg(long, value_name = "N", conflicts_with_all = ["kernels", "generate"], allow_negative_numbers = true, value_parser = count(1, 64))]
    pub gpus: Option<usize>,
    /// Time each convolution's kernels instead of steps.
    #[arg(long, conflicts_with = "generate")]
    pub kernels: bool,
    /// Time the generation of N samples instead of steps.
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = count(1, 1 << 24))]
    pub generate: Option<usize>,
    /// Compare the figures of the steps with those on the CPU instead of timing them.
    #[arg(long, conflicts_with_all = ["kernels", "generate", "gpus"])]
    pub check: bool,
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

const WARM_UP: u64 = 2;
/// The same on a device, which records its work after two steps of each kind; penalties make kinds of their own at some steps.
const WARM_UP_THERE: u64 = 16;
/// Number of runs of each kernel.
const KERNEL_RUNS: usize = 8;

/// Times steps, samples or kernels, and prints the medians.
pub fn run(args: &BenchArgs) -> Result<()> {
    let mut assignments = args.set.clone();
    assignments.push(format!("train.steps={}", args.steps + WARM_UP_THERE));
    assignments.extend(args.batch.map(|n| format!("train.batch={n}")));
    assignments.extend(args.threads.map(|n| format!("train.threads={n}")));
    let mut plan = source::plan(&args.source, &assignments)?;
    // Points need almost no decoding and no files, so their own data are used.
    if plan.config().data.size.is_some() && !args.set.iter().any(|set| set.starts_with("data.name")) {
        assignments.push(format!("data.name={}", Synthetic::NAME));
        plan = source::plan(&args.source, &assignments)?;
    }
    let threads = plan.config().train.threads;
    distributed::run(args.gpus, &args.device, |rank| rank.compute(threads, || run_rank(args, plan.clone(), rank)))
}

/// Times the kernels, or this rank's part of the steps.
fn run_rank(args: &BenchArgs, plan: Plan, rank: &Rank) -> Result<()> {
    if args.kernels {
        return kernels(&plan, args.json);
    }
    if args.check {
        return check(args, &plan, rank);
    }
    let batch = args.generate.unwrap_or(plan.config().train.batch);
    let work = plan.config().preset.clone();
    let trainer = rank.device().and_then(|device| Ok(Trainer::new(plan, &device)?));
    let Some(mut trainer) = rank.start(trainer)? else { return Ok(()) };
    rank.place(&mut trainer, args.json)?;
    let mut times = vec![];
    let mut steps = vec![];
    let mut cpu = 0.0;
    let warm_up = if trainer.is_on_device() { WARM_UP_THERE } else { WARM_UP };
    for i in 0..warm_up + args.steps {
        if i == warm_up {
            cpu = cpu_ms();
        }
        let start = Instant::now();
        let parts = match args.generate {
            Some(n) => trainer.progress_samples(n).map(|_| Parts::default())?,
            None => trainer.advance()?.parts,
        };
        if i >= warm_up {
            times.push(start.elapsed().as_secs_f64());
            steps.push(parts);
        }
    }
    trainer.shutdown();
    let cpu_ms = (cpu_ms() - cpu) / args.steps as f64;
    let total: f64 = times.iter().sum();
    let parts = parts(&steps, total);
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let mean = total / times.len() as f64;
    let best = times[0];
    let images = batch as f64 / median;
    let ranks = rank.group.size();
    let threads = rayon::current_num_threads();
    let rss = peak_rss_mib();
    let level = gan_kernels::Level::current().name();
    if args.json {
        let parts: serde_json::Map<String, serde_json::Value> =
            parts.iter().map(|(name, seconds)| ((*name).to_string(), json!(seconds * 1e3))).collect();
        return print::json(json!({
            "work": work, "batch": batch, "ranks": ranks, "threads": threads, "mean_s": mean, "step_s": median, "best_s": best, "images_per_s": images,
            "cpu_ms": cpu_ms, "peak_rss_mib": rss, "device_mib": trainer.device_memory().map(|bytes| bytes as f64 / 1024.0 / 1024.0), "cpu": level, "parts": parts,
        }));
    }
    print::line(format_args!(
        "{work}, batch {batch}, {}, {level}: {} a step (mean {}, best {}), {images:.0} images/s, {} CPU a step, {rss:.0} MiB at most",
        resources(ranks, threads),
        duration(median),
        duration(mean),
        duration(best),
        duration(cpu_ms / 1e3)
    ))?;
    let mut shown = parts.iter().filter(|_| args.generate.is_none());
    shown.try_for_each(|(name, seconds)| {
        let share = 100.0 * seconds * args.steps as f64 / total;
        print::line(format_args!("  {name:<13} {:>9}  {share:>4.1} %", duration(*seconds)))
    })
}

/// Trains on the device and on the CPU side by side, and prints by how much each figure of the steps differs at most.
fn check(args: &BenchArgs, plan: &Plan, rank: &Rank) -> Result<()> {
    let work = plan.config().preset.clone();
    let mut here = Trainer::new(plan.clone(), &Device::Cpu)?;
    let mut there = Trainer::new(plan.clone(), &rank.device()?)?;
    rank.place(&mut there, args.json)?;
    let mut worst = [
        ("loss_d", 0f64),
        ("loss_g", 0.0),
        ("d_real", 0.0),
        ("d_fake", 0.0),
        ("grad_norm_d", 0.0),
        ("grad_norm_g", 0.0),
    ];
    for _ in 0..args.steps {
        let [a, b] = [here.advance()?, there.advance()?].map(|step| {
            [step.loss_d, step.loss_g, step.d_real, step.d_fake_before, step.grad_norm_d, step.grad_norm_g]
        });
        for ((_, worst), (a, b)) in worst.iter_mut().zip(a.into_iter().zip(b)) {
            // Losses may cross zero, where their ratio means nothing.
            let (Some(a), Some(b)) = (a, b) else { continue };
            *worst = worst.max((a - b).abs() / a.abs().max(0.1));
        }
    }
    let device = if there.is_on_device() { "a GPU" } else { "this device" };
    if args.json {
        let figures: serde_json::Map<String, serde_json::Value> =
            worst.iter().map(|(name, error)| ((*name).to_string(), json!(error))).collect();
        return print::json(
            json!({ "work": work, "steps": args.steps, "on_gpu": there.is_on_device(), "differences": figures }),
        );
    }
    print::line(format_args!(
        "{work}, {} steps on {device} and on the CPU, largest relative differences:",
        args.steps
    ))?;
    worst.iter().try_for_each(|(name, error)| print::line(format_args!("  {name:<13} {error:.1e}")))
}

/// Describes the computing resources: `2 threads`, `4 ranks of 1 thread`.
fn resources(ranks: usize, threads: usize) -> String {
    let threads = counted(threads, "thread");
    if ranks == 1 { threads } else { format!("{ranks} ranks of {threads}") }
}

/// Formats a duration in milliseconds, or in microseconds below one.
pub fn duration(seconds: f64) -> String {
    if seconds < 1e-3 { format!("{:.0} µs", seconds * 1e6) } else { format!("{:.1} ms", seconds * 1e3) }
}

/// Name of a part of a step, and its seconds.
type Part = (&'static str, fn(&Parts) -> f64);

const PARTS: [Part; 10] = [
    ("data", |parts| parts.data),
    ("G forward", |parts| parts.generate),
    ("D forward", |parts| parts.d.forward),
    ("D backward", |parts| parts.d.backward),
    ("D together", |parts| parts.d.together),
    ("D optimizer", |parts| parts.d.optimizer),
    ("G: D forward", |parts| parts.g.forward),
    ("G backward", |parts| parts.g.backward),
    ("G together", |parts| parts.g.together),
    ("G optimizer", |parts| parts.g.optimizer),
];

/// Returns the parts of a step by name, in seconds per step; "rest" is the remaining time of the `total`.
fn parts(steps: &[Parts], total: f64) -> Vec<(&'static str, f64)> {
    let mut all = PARTS.map(|(name, part)| (name, steps.iter().map(part).sum::<f64>())).to_vec();
    // A single process has nothing to sum.
    all.retain(|part| !part.0.ends_with("together") || part.1 > 1e-6 * total);
    all.push(("rest", total - all.iter().map(|part| part.1).sum::<f64>()));
    all.into_iter().map(|(name, seconds)| (name, seconds / steps.len() as f64)).collect()
}

/// Times the kernels of every convolution of both networks at the plan's batch and precision.
fn kernels(plan: &Plan, as_json: bool) -> Result<()> {
    let config = &plan.config().train;
    let level = gan_kernels::Level::current().name();
    if !as_json {
        let resources = resources(1, rayon::current_num_threads());
        print::line(format_args!(
            "batch {}, {resources}, {level}: GFLOP/s, counted as the plain loops would\n{:<46} {:>8} {:>10} {:>11} {:>8}",
            config.batch, "convolution", "forward", "input grad", "weight grad", "pack"
        ))?;
    }
    for (name, network) in [("G", &plan.generator), ("D", &plan.discriminator)] {
        for (layer, mut shape) in convolutions(&network.input, &network.layers)? {
            shape.samples = config.batch;
            shape.spec.precision = config.precision;
            let t = timing::convolution(&shape, KERNEL_RUNS)?;
            let times = [t.forward, t.input_grad, t.weight_grad];
            let [forward, input, weight] = times.map(|seconds| 2e-9 * t.multiply_adds as f64 / seconds);
            let [c, o] = shape.channels;
            let [h, w] = shape.input;
            let [kh, kw] = shape.kernel;
            let groups = if shape.groups > 1 { format!(" in {} groups", shape.groups) } else { String::new() };
            let stride = shape.spec.stride[0];
            let what = format!("{name} layer {layer}: {c}×{h}×{w} to {o}, {kh}×{kw} s{stride}{groups}");
            if as_json {
                print::json(json!({
                    "layer": what, "cpu": level, "forward_gflops": forward, "input_grad_gflops": input, "weight_grad_gflops": weight,
                    "pack_ms": t.pack * 1e3,
                }))?;
            } else {
                let pack = duration(t.pack);
                print::line(format_args!("{what:<46} {forward:>8.0} {input:>10.0} {weight:>11.0} {pack:>8}"))?;
            }
        }
    }
    Ok(())
}

/// Returns every convolution of a layer list; a transposed one as the convolution in the other direction.
fn convolutions(input: &[usize], layers: &[Layer]) -> Result<Vec<(usize, timing::Shape)>> {
    let shapes = shape::infer("network", input, layers)?;
    let mut before = input.to_vec();
    let mut found = vec![];
    for (i, (layer, inferred)) in layers.iter().zip(shapes).enumerate() {
        let after = inferred.output;
        let images = before.len() == 3;
        for fused in layer.fused(&before, &|_| 0).into_iter().flatten().filter(|_| images) {
            let FusedLayer::Conv(conv) = fused else { continue };
            let (channels, side) = match conv.transposed {
                None => ([before[0], conv.outputs], &before),
                Some(_) => ([conv.outputs, before[0]], &after),
            };
            let input = [side[1], side[2]];
            let timing = timing::Shape {
                samples: 1,
                channels,
                groups: conv.groups,
                input,
                kernel: conv.kernel,
                spec: conv.spec,
            };
            found.push((i, timing));
        }
        before = after;
    }
    Ok(found)
}

/// Returns the processor time of this process in milliseconds; 0 if the system does not report it.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms.
    [11, 12].iter().filter_map(|i| fields.get(*i)?.parse::<f64>().ok()).sum::<f64>() * 10.0
}

/// Returns the peak memory of this process; 0 if the system does not report it.
pub fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap_or(0.0) / 1024.0
}
