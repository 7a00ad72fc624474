//! Runs every target on the committed corpus, and then on random mutations of it.
//!
//! `GAN_FUZZ_SECONDS` is the time for mutations of all targets together. `GAN_FUZZ_TARGETS` selects targets, with commas between
//! their names. `GAN_FUZZ_INPUT` runs the first selected target on one file only. `GAN_FUZZ_WRITE_SEEDS=1` writes the seeds instead of running
//! anything. `cargo test --release --workspace --test targets -- --nocapture` prints the counts.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "counts, and where the input is if the process dies")]

use gan_fuzz::corpus::{self, SEED};
use gan_fuzz::search::{Found, search};
use gan_fuzz::{Fault, TARGETS, Target, place, run};
use gan_kernels::process::Counting;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::abort;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The allocator refuses more than this, and the process ends, so that the test cannot exhaust the machine.
#[global_allocator]
static MEMORY: Counting = Counting::within(6 << 30);

/// Default of `GAN_FUZZ_SECONDS`.
const SECONDS: f64 = 30.0;

/// The process is aborted if an execution takes longer.
const HANG: Duration = Duration::from_secs(60);

/// The folder for inputs that cause faults.
const FAULTS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/fuzz");

/// The current input, written to disk because a stack overflow or refused memory ends the process without a message.
struct Current {
    path: PathBuf,
    since: Mutex<Option<(&'static str, Instant)>>,
}

impl Current {
    fn set(&self, target: &Target, input: &[u8]) {
        fs::write(&self.path, input).unwrap();
        *self.since.lock().unwrap() = Some((target.name, Instant::now()));
    }

    /// Aborts the process if an input runs for too long.
    fn watch(&self) {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let since = *self.since.lock().unwrap();
            if let Some((name, start)) = since
                && start.elapsed() > HANG
            {
                eprintln!("the target {name} hangs on the input in {}", self.path.display());
                abort();
            }
        }
    }
}

/// Removes the files of all targets when it is dropped, also after a failure.
struct Clear;

impl Drop for Clear {
    fn drop(&mut self) {
        place::clear();
    }
}

/// Writes an input that causes a fault to a file, and returns a description of both.
fn told(target: &Target, input: &[u8], fault: &Fault) -> String {
    let path = Path::new(FAULTS).join(format!("{}-{:08x}", target.name, crc32fast::hash(input)));
    fs::write(&path, input).unwrap();
    let again = format!("GAN_FUZZ_TARGETS={} GAN_FUZZ_INPUT={}", target.name, path.display());
    format!(
        "the target {} {fault}\n    to repeat it: {again} cargo test --release --workspace --test targets",
        target.name
    )
}

/// Runs the target's corpus and returns the faults.
fn run_corpus(target: &Target, current: &Current) -> Vec<String> {
    let mut wrong = Vec::new();
    for input in corpus::read(target).unwrap() {
        current.set(target, &input.bytes);
        match run(target, &input.bytes, &MEMORY) {
            Err(fault) => wrong.push(told(target, &input.bytes, &fault)),
            Ok(Err(refusal)) if input.name.starts_with(SEED) => {
                wrong.push(format!("the target {} refuses {}: {refusal}", target.name, input.name));
            }
            Ok(_) => {}
        }
    }
    wrong
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[test]
fn no_input_causes_a_panic_a_hang_or_excessive_memory() {
    // Other threads would allocate memory at unpredictable times.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    fs::create_dir_all(FAULTS).unwrap();
    let _clear = Clear;
    let path = place::folder("current").unwrap().join("input");
    println!("the input that runs is in {}", path.display());
    let current: &Current = Box::leak(Box::new(Current { path, since: Mutex::new(None) }));
    std::thread::spawn(|| current.watch());

    let picked = variable("GAN_FUZZ_TARGETS");
    let names: Option<Vec<&str>> = picked.as_ref().map(|names| names.split(',').collect());
    let is_picked = |target: &&Target| names.as_ref().is_none_or(|names| names.contains(&target.name));
    let targets: Vec<&Target> = TARGETS.iter().filter(is_picked).collect();
    assert!(!targets.is_empty(), "GAN_FUZZ_TARGETS={} names no target", picked.unwrap_or_default());
    if variable("GAN_FUZZ_WRITE_SEEDS").is_some() {
        targets.iter().for_each(|target| corpus::write_seeds(target).unwrap());
        return;
    }
    if let Some(path) = variable("GAN_FUZZ_INPUT") {
        let input = fs::read(&path).unwrap();
        current.set(targets[0], &input);
        match run(targets[0], &input, &MEMORY) {
            Ok(outcome) => println!("{}: {outcome:?}", targets[0].name),
            Err(fault) => panic!("the target {} {fault}", targets[0].name),
        }
        return;
    }

    let mut wrong: Vec<String> = targets.iter().flat_map(|target| run_corpus(target, current)).collect();
    let seconds = variable("GAN_FUZZ_SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let each = Duration::from_secs_f64(seconds / targets.len() as f64);
    for target in targets {
        let inputs: Vec<Vec<u8>> = corpus::read(target).unwrap().into_iter().map(|input| input.bytes).collect();
        let mut before = |input: &[u8]| current.set(target, input);
        let Found { executions, accepted, faults } = search(target, &inputs, each, &MEMORY, &mut before);
        println!("{:<12} {executions:>8} executions, {accepted:>8} accepted, {} faults", target.name, faults.len());
        wrong.extend(faults.iter().map(|(input, fault)| told(target, input, fault)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
