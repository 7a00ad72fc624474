//! Checks the CUDA backend's kernels on a GPU, against those of the CPU: `gpu_check found` lists what was found, `gpu_check operations` compares
//! every operation.
#![allow(clippy::print_stdout, dead_code)]

#[path = "../tests/common/networks.rs"]
mod networks;
#[path = "../tests/common/operations.rs"]
mod operations;

use gan_cuda::{Choice, Cuda, Products, describe, probe};
use gan_kernels::{Cpu, Precision};
use operations::{Case, all, difference, distance};
use std::collections::BTreeMap;
use std::time::Instant;

fn main() {
    for part in std::env::args().skip(1) {
        match part.as_str() {
            "found" => found(),
            "operations" => operations(),
            other => println!("no part is called {other}; there are found and operations"),
        }
    }
}

fn operations() {
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

/// Runs `f`, and says if it fails.
fn guarded(what: &str, f: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err() {
        println!("{what}: FAILED");
    }
}
