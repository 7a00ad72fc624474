//! Checks and measures the CUDA backend on a GPU: `gpu_check [PART…]`. Without a part it runs all of them, each in a process of its own, so
//! that an error of one does not stop the next.
#![allow(clippy::print_stdout, dead_code)]

#[path = "../tests/common/networks.rs"]
mod networks;
#[path = "../tests/common/operations.rs"]
mod operations;

use gan_cuda::step::{PlainGan, StepBackend};
use gan_cuda::{Choice, Cuda, Graph, Pinned, Products, describe, probe};
use gan_kernels::{Cpu, Precision};
use networks::{Made, images, latents};
use operations::{Case, all, difference, distance};
use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Parts, and the seconds that each may take.
const PARTS: [(&str, u64); 11] = [
    ("found", 40),
    ("operations", 120),
    ("celeba-tf32", 90),
    ("celeba-bf16", 90),
    ("steps", 90),
    ("mnist-tf32", 90),
    ("mnist-bf16", 90),
    ("profile-tf32", 45),
    ("profile-bf16", 45),
    ("celeba-f32", 45),
    ("profile-mnist", 45),
];

fn main() {
    let parts: Vec<String> = std::env::args().skip(1).collect();
    if !parts.is_empty() {
        return parts.iter().for_each(|part| run_part(part));
    }
    let start = Instant::now();
    for (part, seconds) in PARTS {
        println!("=== {part}, {:.1} s after the start", start.elapsed().as_secs_f64());
        let program = std::env::current_exe();
        match program.and_then(|program| Command::new(program).arg(part).spawn()) {
            Ok(child) => wait(part, child, Duration::from_secs(if is_small() { 600 } else { seconds })),
            Err(error) => {
                println!("{part}: no process of its own ({error})");
                if std::panic::catch_unwind(|| run_part(part)).is_err() {
                    println!("{part}: FAILED");
                }
            }
        }
    }
    println!("=== done after {:.1} s", start.elapsed().as_secs_f64());
}

fn wait(part: &str, mut child: Child, most: Duration) {
    let start = Instant::now();
    while start.elapsed() < most {
        match child.try_wait().unwrap() {
            Some(status) if status.success() => return,
            Some(status) => return println!("{part}: FAILED ({status})"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    println!("{part}: FAILED (stopped after {:.0} s)", most.as_secs_f64());
}

fn run_part(part: &str) {
    match part {
        "found" => found(),
        "operations" => {
            let cuda = open(Products::F32);
            let expected = all(&Cpu, Precision::F32Accurate);
            for products in [Products::F32, Products::Tf32, Products::Bf16] {
                for choice in [Choice::Heuristic, Choice::Rows] {
                    let cuda = cuda.with_products(products).with_choice(choice);
                    guarded(&format!("{products:?} {choice:?}"), || check_operations(&cuda, &expected));
                }
            }
            guarded("loops", || check_operations(&cuda.with_choice(Choice::Loops), &expected));
            println!("sums in one kernel:");
            guarded("sums", || check_operations(&cuda.with_sums_in_one_kernel(true), &expected));
        }
        "steps" => check_steps(),
        "celeba-f32" => times(Products::F32, &["dcgan-celeba"], &VARIANTS[..1]),
        "celeba-tf32" => times(Products::Tf32, &["dcgan-celeba"], &VARIANTS),
        "celeba-bf16" => times(Products::Bf16, &["dcgan-celeba"], &VARIANTS),
        "mnist-tf32" => times(Products::Tf32, &MNIST, &VARIANTS[..5]),
        "mnist-bf16" => times(Products::Bf16, &MNIST, &VARIANTS[..5]),
        "profile-tf32" => profile("dcgan-celeba", Products::Tf32),
        "profile-bf16" => profile("dcgan-celeba", Products::Bf16),
        "profile-mnist" => ["dcgan-mnist", "keras-mnist"].iter().for_each(|name| profile(name, Products::Tf32)),
        other => println!("no part is called {other}; there are {:?}", PARTS.map(|(part, _)| part)),
    }
}

/// A way to run a step.
#[derive(Clone, Copy, Debug)]
struct Variant {
    choice: Choice,
    /// Whether gradients of weights run in a second stream.
    beside: bool,
    /// Whether real and generated samples go through the discriminator as one batch.
    joint: bool,
    /// Whether sums of batch norms take one kernel.
    one_kernel: bool,
}

const PLAIN: Variant = Variant { choice: Choice::Timed, beside: false, joint: true, one_kernel: false };

const VARIANTS: [Variant; 7] = [
    Variant { choice: Choice::Heuristic, ..PLAIN },
    PLAIN,
    Variant { beside: true, ..PLAIN },
    Variant { one_kernel: true, ..PLAIN },
    Variant { beside: true, one_kernel: true, ..PLAIN },
    Variant { joint: false, ..PLAIN },
    Variant { choice: Choice::Rows, ..PLAIN },
];

const MNIST: [&str; 4] = ["dcgan-mnist", "keras-mnist", "mnist", "upsample-mnist"];

/// Returns whether this is a rehearsal on a machine without a GPU.
fn is_small() -> bool {
    std::env::var_os("GPU_CHECK_SMALL").is_some()
}

fn repeats() -> u64 {
    if is_small() { 3 } else { 50 }
}

fn preset(name: &str) -> Made {
    if is_small() {
        return match name {
            "dcgan-celeba" | "small celeba" => networks::dcgan(3, 4, 2, 6, 2),
            "keras-mnist" => networks::keras_mnist(8, 6, 2),
            "upsample-mnist" => networks::upsample_mnist(8, 6, 2),
            _ => networks::dcgan_mnist(4, 6, 2),
        };
    }
    match name {
        "dcgan-celeba" => networks::dcgan(3, 64, 4, 100, 128),
        "small celeba" => networks::dcgan(3, 16, 4, 32, 32),
        "dcgan-mnist" => networks::dcgan_mnist(64, 100, 128),
        "keras-mnist" => networks::keras_mnist(128, 100, 64),
        "mnist" => networks::mnist(64),
        _ => networks::upsample_mnist(128, 100, 128),
    }
}

fn open(products: Products) -> Cuda {
    Cuda::open(0, products).unwrap()
}

fn found() {
    match probe() {
        Ok(found) => {
            let start = Instant::now();
            println!("{found:?}\n{}", describe(&found, &open(Products::Tf32)));
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
            let mut files: Vec<&str> = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).collect();
            files.retain(|file| file.contains("libcu") || file.contains("libnv"));
            files.sort_unstable();
            files.dedup();
            files.iter().for_each(|file| println!("  {file}"));
            println!("opened in {:.2} s", start.elapsed().as_secs_f64());
        }
        Err(missing) => println!("{missing}\nsearched {:?}", missing.searched),
    }
}

fn check_operations(cuda: &Cuda, expected: &[Case]) {
    let found = all(cuda, Precision::F32);
    let again = all(cuda, Precision::F32);
    let mut worst = BTreeMap::<String, (f32, f32, String)>::new();
    let mut other_bits = 0;
    for ((a, b), c) in found.iter().zip(expected).zip(&again) {
        let bits = |results: &[Vec<f32>]| -> Vec<u32> { results.iter().flatten().map(|v| v.to_bits()).collect() };
        other_bits += usize::from(bits(&a.results) != bits(&c.results));
        let kind: String = a.name.chars().take_while(|c| !c.is_ascii_digit() && *c != '[').collect();
        let most = difference(&a.results, &b.results);
        let whole = distance(&a.results, &b.results);
        let entry = worst.entry(kind).or_insert((-1.0, -1.0, String::new()));
        if most.is_nan() || most > entry.0 {
            *entry = (most, whole.max(entry.1), a.name.clone());
        }
    }
    println!(
        "{:?} {:?}: largest error / its length as a vector, by operation; {other_bits} with other bits when repeated",
        cuda.products(),
        cuda.choice()
    );
    for (kind, (most, whole, name)) in worst {
        println!("  {kind:<44} {most:9.2e} {whole:9.2e}  {name}");
    }
}

fn start<B: StepBackend>(backend: &B, made: &Made, precision: Precision) -> PlainGan<B> {
    let [g, d] = &made.initial;
    let mut gan = PlainGan::new(backend.clone(), made.plain.clone(), precision, [g, d]).unwrap();
    gan.set_images(&images(made));
    gan
}

fn step<B: StepBackend>(gan: &mut PlainGan<B>, made: &Made, number: u64) {
    gan.send_latents(&latents(made, number));
    gan.run().unwrap();
}

fn check_steps() {
    let opened = open(Products::F32);
    for name in ["dcgan-mnist", "small celeba"] {
        let made = preset(name);
        let steps = 20;
        let mut cpu = start(&Cpu, &made, Precision::F32Accurate);
        let began = Instant::now();
        let expected: Vec<_> = (0..steps)
            .map(|i| {
                step(&mut cpu, &made, i);
                (cpu.losses(), cpu.gradients(), cpu.parameters())
            })
            .collect();
        println!("{name}: {steps} steps on the CPU in {:.1} s", began.elapsed().as_secs_f64());
        for products in [Products::F32, Products::Tf32, Products::Bf16] {
            let cuda = opened.with_products(products);
            let mut gan = start(&cuda, &made, Precision::F32);
            for i in 0..steps {
                step(&mut gan, &made, i);
                if [0, 1, 2, 4, 9, 19].contains(&i) {
                    let (losses, gradients, parameters) = &expected[i as usize];
                    let found = gan.losses();
                    println!(
                        "  {products:?} step {}: losses {found:.5?} (CPU {losses:.5?}) off by {:.1e}; gradients {:.1e}, parameters {:.1e}",
                        i + 1,
                        difference(std::slice::from_ref(&found), std::slice::from_ref(losses)),
                        distance(&gan.gradients(), gradients),
                        distance(&gan.parameters(), parameters),
                    );
                }
            }
            let mut again = start(&cuda, &made, Precision::F32);
            (0..steps).for_each(|i| step(&mut again, &made, i));
            println!("  {products:?}: the same bits when repeated: {}", gan.parameters() == again.parameters());
            let mut captured = start(&cuda, &made, Precision::F32);
            (0..2).for_each(|i| step(&mut captured, &made, i));
            let (graph, result) = cuda.capture(|| captured.run()).unwrap();
            result.unwrap();
            for i in 2..steps {
                captured.send_latents(&latents(&made, i));
                graph.launch();
            }
            println!("  {products:?}: the same bits as a graph: {}", gan.parameters() == captured.parameters());
            let beside = cuda.with_weights_beside(true);
            let mut captured = start(&beside, &made, Precision::F32);
            (0..2).for_each(|i| step(&mut captured, &made, i));
            let (graph, result) = beside.capture(|| captured.run()).unwrap();
            result.unwrap();
            for i in 2..steps {
                captured.send_latents(&latents(&made, i));
                graph.launch();
            }
            println!("  {products:?}: the same bits in two streams: {}", gan.parameters() == captured.parameters());
        }
    }
}

/// Returns the median milliseconds of steps that are waited for, and the mean of steps that are not.
fn measure(cuda: &Cuda, mut step: impl FnMut(u64)) -> [f64; 2] {
    let n = repeats();
    (0..n / 5).for_each(&mut step);
    cuda.synchronize();
    let mut each: Vec<f64> = (0..n)
        .map(|i| {
            let start = Instant::now();
            step(i);
            cuda.synchronize();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    each.sort_by(f64::total_cmp);
    let start = Instant::now();
    (0..n).for_each(&mut step);
    cuda.synchronize();
    [each[n as usize / 2], start.elapsed().as_secs_f64() * 1e3 / n as f64]
}

fn times(products: Products, names: &[&str], variants: &[Variant]) {
    let opened = open(products);
    for name in names {
        let mut made = preset(name);
        for variant in variants {
            guarded(&format!("{name} {variant:?}"), || time(&opened, name, &mut made, *variant));
        }
    }
}

fn time(opened: &Cuda, name: &str, made: &mut Made, variant: Variant) {
    let products = opened.products();
    let Variant { choice, beside, joint, one_kernel } = variant;
    let cuda = opened.with_choice(choice).with_weights_beside(beside).with_sums_in_one_kernel(one_kernel);
    made.plain.joint = joint;
    let made = &*made;
    let z: Vec<Vec<f32>> = (0..8).map(|i| latents(made, i)).collect();
    let mut gan = start(&cuda, made, Precision::F32);
    let began = Instant::now();
    gan.send_latents(&z[0]);
    gan.run().unwrap();
    cuda.synchronize();
    let first = began.elapsed().as_secs_f64();
    let eager = measure(&cuda, |i| {
        gan.send_latents(&z[i as usize % 8]);
        gan.run().unwrap();
    });
    let (graph, result): (Graph, _) = cuda.capture(|| gan.run()).unwrap();
    result.unwrap();
    let graphed = measure(&cuda, |i| {
        gan.send_latents(&z[i as usize % 8]);
        graph.launch();
    });
    let mut pinned = Pinned::new(&cuda, images(made).len()).unwrap();
    pinned.values_mut().copy_from_slice(&images(made));
    let with_images = measure(&cuda, |i| {
        pinned.send(gan.images_mut());
        gan.send_latents(&z[i as usize % 8]);
        graph.launch();
    });
    let with_losses = {
        let start = Instant::now();
        for i in 0..repeats() {
            gan.send_latents(&z[i as usize % 8]);
            graph.launch();
            let _ = gan.losses();
        }
        start.elapsed().as_secs_f64() * 1e3 / repeats() as f64
    };
    let (free, total) = cuda.memory();
    let mib = |bytes: usize| bytes >> 20;
    println!(
        "{name} b{} {products:?} {choice:?} beside {beside} joint {joint} one kernel {one_kernel}: first step {first:.2} s; eager {:.3} ms (median, waited for) {:.3} (mean, not); \
         graph {:.3} {:.3}, with images {:.3} {:.3}, with losses read {with_losses:.3}; {} nodes; buffers {} MiB, device {} MiB; \
         losses {:.4?}",
        made.plain.batch,
        eager[0],
        eager[1],
        graphed[0],
        graphed[1],
        with_images[0],
        with_images[1],
        graph.nodes,
        mib(cuda.allocated().0),
        mib(total - free),
        gan.losses(),
    );
}

/// Runs `f`, and says if it fails.
fn guarded(what: &str, f: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err() {
        println!("{what}: FAILED");
    }
}

fn profile(name: &str, products: Products) {
    let cuda = open(products).with_choice(Choice::Timed);
    let made = preset(name);
    let mut gan = start(&cuda, &made, Precision::F32);
    (0..5).for_each(|i| step(&mut gan, &made, i));
    cuda.synchronize();
    // The device is kept busy, so that the host's work between two kernels does not count.
    (0..5).for_each(|i| step(&mut gan, &made, i));
    gan.send_latents(&latents(&made, 1));
    let profile = cuda.profile(|| gan.run().unwrap());
    cuda.routes().iter().for_each(|route| println!("  {route}"));
    let total: f32 = profile.iter().map(|(_, time)| time).sum();
    println!("{name} {products:?}: {} calls, {:.0} us in all; by kernel", profile.len(), total * 1e3);
    // A name ends with sizes: of the kernel's blocks, or of the convolution or product.
    let is_size = |word: &&str| word.trim_start_matches('n').starts_with(|c: char| c.is_ascii_digit());
    let kind = |name: &str| name.split(' ').take_while(|word| !is_size(word)).collect::<Vec<_>>().join(" ");
    table(profile.iter().map(|(name, time)| (kind(name), *time)));
    println!("{name} {products:?}: by kernel and size");
    table(profile.iter().cloned());
}

fn table(all: impl Iterator<Item = (String, f32)>) {
    let mut by_name = BTreeMap::<String, (usize, f32)>::new();
    for (name, time) in all {
        let entry = by_name.entry(name).or_default();
        entry.0 += 1;
        entry.1 += time;
    }
    let mut sorted: Vec<_> = by_name.into_iter().collect();
    sorted.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    for (name, (count, time)) in sorted {
        println!("  {:8.1} us in {count:3}  {name}", time * 1e3);
    }
}
