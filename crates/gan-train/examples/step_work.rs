//! Counts the work of training steps on a CUDA device, and the times below which they cannot take: `step_work [PRESET…]`. On a GPU, not on the
//! doubles of NVIDIA's libraries, it also times steps in several ways and each kernel.
#![allow(clippy::print_stdout)]

use candle_core::Device;
use gan_cuda::{Choice, Cuda, Piece, Products};
use gan_train::{Trainer, layering, presets};
use std::collections::BTreeMap;
use std::time::Instant;

/// Presets of the table in docs/gpu.md.
const PRESETS: [&str; 4] = ["dcgan-celeba", "dcgan-mnist", "sngan-cifar10", "r3gan-cifar10"];
/// Number of steps over which the means are taken: a multiple of the intervals of lazy penalties.
const STEPS: usize = 16;
/// Steps before them, after which all updates are recorded.
const BEFORE: usize = 48;

/// An H100 SXM, by NVIDIA's data sheet: bytes a second, and operations a second without sparsity.
const BANDWIDTH: f64 = 3.35e12;
const TF32: f64 = 495e12;
const BF16: f64 = 989e12;
/// Assumed seconds from one kernel of a graph to the next, and for the host to read and answer.
const NODE: f64 = 1e-6;
const ANSWER: f64 = 20e-6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let named: Vec<String> = std::env::args().skip(1).collect();
    let names = if named.is_empty() { PRESETS.map(String::from).to_vec() } else { named };
    let cuda = Cuda::open(0, Products::Tf32)?;
    println!("{}", cuda.name());
    println!(
        "| preset | format | own kernels | cuDNN | cuBLAS | fills, copies | graphs | waits | KiB there | KiB back | GFLOP | GB | products ms | \
         memory ms | both ms | graph ms |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for name in &names {
        for (products, format) in [(Products::Tf32, "f32"), (Products::Bf16, "bf16")] {
            row(&cuda.with_products(products), name, format)?;
        }
    }
    if cuda.name() != "double" {
        for name in &names {
            for products in [Products::Tf32, Products::Bf16] {
                times(&cuda.with_products(products), name)?;
            }
        }
    }
    Ok(())
}

fn trainer(cuda: &Cuda, name: &str) -> Result<Trainer, Box<dyn std::error::Error>> {
    let mut table = layering::from_preset(presets::get(name)?)?;
    let of_images = ["data.name=synthetic", "data.workers=0"];
    of_images.iter().try_for_each(|setting| layering::set(&mut table, setting))?;
    let mut trainer = Trainer::new(layering::read(table)?.check()?, &Device::Cpu)?;
    trainer.move_to(cuda)?;
    Ok(trainer)
}

fn advance(trainer: &mut Trainer, steps: usize) -> gan_train::Result<()> {
    (0..steps).try_for_each(|_| trainer.advance().map(drop))
}

/// Returns the work of [`STEPS`] steps.
fn profile(cuda: &Cuda, name: &str) -> Result<Vec<Piece>, Box<dyn std::error::Error>> {
    let mut trainer = trainer(cuda, name)?;
    advance(&mut trainer, if cuda.captures() { BEFORE } else { STEPS })?;
    let mut done = Ok(());
    let pieces = cuda.profile(|| done = advance(&mut trainer, STEPS));
    done?;
    Ok(pieces)
}

/// Returns the kind of a piece of work.
fn kind(piece: &Piece) -> &str {
    match piece.name.split(' ').next().unwrap_or_default() {
        known @ ("conv" | "gemm" | "zeros" | "copy" | "upload" | "download" | "wait" | "graph") => known,
        _ => "kernel",
    }
}

/// Returns the numbers in a word such as `n128` or `32x32x3->16x16x64`.
fn sizes(word: &str) -> Vec<f64> {
    word.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// Returns the operations of a convolution or product, by the sizes in its name.
fn operations(piece: &Piece) -> f64 {
    let words: Vec<Vec<f64>> = piece.name.split(' ').map(sizes).collect();
    match kind(piece) {
        // conv KIND nN HxWxC->OHxOWxO kKHxKW gGROUPS
        "conv" => {
            let [h, w, c, oh, ow, o] = words[3][..] else { return 0.0 };
            let _ = h * w;
            2.0 * words[2][0] * oh * ow * o * words[4].iter().product::<f64>() * c / words[5][0]
        }
        // gemm WHAT … MxNxK
        "gemm" => 2.0 * words.last().into_iter().flatten().product::<f64>(),
        _ => 0.0,
    }
}

fn row(cuda: &Cuda, name: &str, format: &str) -> Result<(), Box<dyn std::error::Error>> {
    let run = profile(&cuda.with_captures(false), name)?;
    let replayed = profile(cuda, name)?;
    let mean = |sum: f64| sum / STEPS as f64;
    let count =
        |of: &[Piece], kinds: &[&str]| mean(of.iter().filter(|piece| kinds.contains(&kind(piece))).count() as f64);
    let kib = |what: &str| {
        mean(replayed.iter().filter(|piece| kind(piece) == what).map(|piece| piece.bytes as f64).sum()) / 1024.0
    };
    let peak = if cuda.products() == Products::Bf16 { BF16 } else { TF32 };
    let there: Vec<&Piece> =
        run.iter().filter(|piece| !["upload", "download", "wait"].contains(&kind(piece))).collect();
    let products = |piece: &&Piece| operations(piece) / peak;
    let memory = |piece: &&Piece| piece.bytes as f64 / BANDWIDTH;
    let sum = |of: &dyn Fn(&&Piece) -> f64| mean(there.iter().map(of).sum());
    let both = sum(&|piece| products(piece).max(memory(piece)));
    let waits = count(&replayed, &["wait"]);
    let graph = there.len() as f64 / STEPS as f64 * NODE + waits * ANSWER;
    println!(
        "| `{name}` | {format} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {waits:.0} | {:.0} | {:.1} | {:.1} | {:.2} | {:.3} | {:.3} | {:.3} | {:.2} |",
        count(&run, &["kernel"]),
        count(&run, &["conv"]),
        count(&run, &["gemm"]),
        count(&run, &["zeros", "copy"]),
        count(&replayed, &["graph"]),
        kib("upload"),
        kib("download"),
        sum(&|piece| operations(piece)) / 1e9,
        sum(&|piece| piece.bytes as f64) / 1e9,
        1e3 * sum(&products),
        1e3 * sum(&memory),
        1e3 * both,
        1e3 * graph,
    );
    Ok(())
}

/// Times steps in several ways, and each kernel of one.
fn times(cuda: &Cuda, name: &str) -> Result<(), Box<dyn std::error::Error>> {
    let timed = cuda.with_choice(Choice::Timed);
    for (way, cuda) in [
        ("heuristic algorithms", cuda.clone()),
        ("timed algorithms", timed.clone()),
        ("gradients of weights beside the rest", timed.with_weights_beside(true)),
        ("sums in one kernel", timed.with_sums_in_one_kernel(true)),
        ("not recorded", timed.with_captures(false)),
    ] {
        let mut trainer = trainer(&cuda, name)?;
        advance(&mut trainer, BEFORE)?;
        let start = Instant::now();
        advance(&mut trainer, 2 * STEPS)?;
        let ms = 1e3 * start.elapsed().as_secs_f64() / (2 * STEPS) as f64;
        println!("{name} {:?}, {way}: {ms:.3} ms a step", cuda.products());
    }
    let pieces = profile(&timed.with_captures(false), name)?;
    let mut by_name = BTreeMap::<&str, (usize, f32)>::new();
    for piece in &pieces {
        let entry = by_name.entry(&piece.name).or_default();
        *entry = (entry.0 + 1, entry.1 + piece.ms);
    }
    let mut sorted: Vec<_> = by_name.into_iter().collect();
    sorted.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    for (name, (count, ms)) in sorted.into_iter().take(60) {
        println!("  {:8.1} us a step in {:4.1}  {name}", 1e3 * ms / STEPS as f32, count as f64 / STEPS as f64);
    }
    Ok(())
}
