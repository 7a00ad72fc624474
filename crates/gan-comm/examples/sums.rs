//! What sums over ranks cost on a machine or a cluster: the median time of sums of several sizes.
//!
//! `cargo build --release -p gan-comm --features mpi --example sums`, then `mpirun -n 2 target/release/examples/sums`.

use gan_comm::{Communicator, Mpi};
use std::error::Error;
use std::io::Write;
use std::time::Instant;

/// Numbers in a sum: a layer's statistics, a small network's gradients, both networks' of a DCGAN of 64×64 pixels.
const SIZES: [usize; 5] = [16, 1024, 65_536, 1 << 20, 6_300_000];

fn main() -> Result<(), Box<dyn Error>> {
    let ranks = Mpi::start()?;
    let mut out = std::io::stdout().lock();
    if ranks.rank() == 0 {
        writeln!(out, "| f32 numbers | {} ranks, µs |\n|---|---|", ranks.size())?;
    }
    for size in SIZES {
        let mut values = vec![1.0; size];
        let rounds = (4_000_000 / size).clamp(15, 1000);
        let mut times = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let start = Instant::now();
            ranks.sum(&mut values)?;
            times.push(start.elapsed().as_secs_f64() * 1e6);
            values.fill(1.0);
        }
        times.sort_by(f64::total_cmp);
        if ranks.rank() == 0 {
            writeln!(out, "| {size} | {:.1} |", times[rounds / 2])?;
        }
    }
    Ok(())
}
