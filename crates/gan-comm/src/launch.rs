//! Information from the program that started this process: `mpirun` of Open MPI and MPICH, `srun` of Slurm.
//!
//! It comes from the environment, before MPI is used, and also in builds without MPI.

use std::env;
use std::num::NonZeroUsize;

/// Returns how many processes were started together, if more than one was.
pub fn processes() -> Option<usize> {
    number(&["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"]).filter(|count| *count > 1)
}

/// Returns the number of this process, counted from 0.
pub fn rank() -> usize {
    number(&["OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"]).unwrap_or(0)
}

/// Returns how many of the processes run on this host.
pub fn processes_here() -> usize {
    number(&["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_TASKS_PER_NODE"]).unwrap_or(1).max(1)
}

/// Returns the number of this process on this host, counted from 0, which selects its GPU.
pub fn rank_here() -> usize {
    number(&["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"]).unwrap_or(0)
}

/// Returns the processor cores of this process: those that it is bound to, or its share of the host's.
pub fn cores() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // A process that is bound to some cores sees fewer than the host has.
    let all = std::fs::read_to_string("/sys/devices/system/cpu/online").map_or(allowed, |text| count(&text));
    allowed.min((all / processes_here()).max(1))
}

/// Returns the number in the first of these variables that exists and begins with a number. Slurm writes `4(x2)` for four tasks on each of
/// two nodes.
fn number(names: &[&str]) -> Option<usize> {
    names.iter().find_map(|name| leading(&env::var(name).ok()?))
}

fn leading(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().ok()
}

/// Returns how many numbers a list like `0-3,6` has.
fn count(list: &str) -> usize {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.saturating_sub(first) + 1)
    };
    list.trim().split(',').filter_map(range).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_and_of_tasks_are_read() {
        assert_eq!([count("0-3,6\n"), count("0\n"), count("0-1")], [5, 1, 2]);
        assert_eq!([leading("4(x2),3"), leading("16"), leading("x")], [Some(4), Some(16), None]);
    }
}
