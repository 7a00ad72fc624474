//! How much memory this process can have, so that what surely does not fit is refused in words before it is tried.
//!
//! Only lower bounds are compared with it: what passes may still be too much, what is refused certainly is.

use std::fs;
use std::path::{Component, Path};

/// More memory is needed than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at least {} of memory is needed, but only {} can be had", shown(*.needed), shown(*.available))]
pub struct Shortage {
    /// Bytes that are certainly needed.
    pub needed: u64,
    /// Bytes that can be had.
    pub available: u64,
}

/// Fails where `needed` bytes are certainly more than this process can still get. Where the system does not tell, all is well.
///
/// # Errors
/// [`Shortage`], with both numbers.
pub fn check(needed: u64) -> Result<(), Shortage> {
    // Every machine has that much, and looking costs more than a small network does.
    const ALWAYS: u64 = 64 << 20;
    match (needed > ALWAYS).then(available).flatten() {
        Some(available) if needed > available => Err(Shortage { needed, available }),
        _ => Ok(()),
    }
}

/// Bytes that this process can have at most: what it holds and what the machine has free or can free, within the limits of its control
/// group and its address space. Nothing where the system does not tell; it is told on Linux.
pub fn available() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let machine = of_machine(&read("/proc/meminfo"), &read("/proc/self/status"));
    let group = of_group(Path::new("/sys/fs/cgroup"), &read("/proc/self/cgroup"));
    let addresses = of_addresses(&read("/proc/self/limits"));
    [machine, group, addresses].into_iter().flatten().min()
}

/// Memory that is free or can be freed and swap that is free, from the text of /proc/meminfo, and what the process holds, from that of
/// /proc/self/status: its allocator may have it to give once more.
fn of_machine(meminfo: &str, status: &str) -> Option<u64> {
    let own = kibibytes(status, "VmRSS:").unwrap_or(0);
    let swap = kibibytes(meminfo, "SwapFree:").unwrap_or(0);
    kibibytes(meminfo, "MemAvailable:").map(|available| available.saturating_add(swap).saturating_add(own))
}

/// The smallest limit of the control group in the text of /proc/self/cgroup and of those above it, mounted at `root`.
fn of_group(root: &Path, cgroup: &str) -> Option<u64> {
    let mut limits = vec![];
    for line in cgroup.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (base, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => continue,
        };
        let mut folder = base.clone();
        let below = Path::new(path).components().filter(|part| matches!(part, Component::Normal(_)));
        let folders = std::iter::once(base).chain(below.map(|part| {
            folder.push(part);
            folder.clone()
        }));
        let limit = |folder: std::path::PathBuf| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
        limits.extend(folders.filter_map(limit));
    }
    limits.into_iter().min()
}

/// Addresses that a process may have, from the text of /proc/self/limits. What an allocator has reserved of them is still free.
fn of_addresses(limits: &str) -> Option<u64> {
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    limit.split_whitespace().next()?.parse().ok()
}

/// The number of bytes behind `key` in a text with lines like `MemTotal:  24689728 kB`.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes as messages show them: `1.5 GiB`, `20 MiB`.
pub fn shown(bytes: u64) -> String {
    let gib = bytes as f64 / (1u64 << 30) as f64;
    if gib < 0.1 { format!("{:.0} MiB", gib * 1024.0) } else { format!("{gib:.1} GiB") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:       24689728 kB\nMemFree:  5 kB\nMemAvailable:   1000 kB\nSwapFree:    24 kB\n";

    #[test]
    fn the_systems_texts_are_understood() {
        assert_eq!(of_machine(MEMINFO, ""), Some(1024 * 1024));
        assert_eq!(of_machine(MEMINFO, "VmSize:\t    9 kB\nVmRSS:\t    1024 kB\n"), Some(2 * 1024 * 1024));
        assert_eq!(of_machine("", "VmRSS:\t    1024 kB\n"), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max address space         4096000              unlimited            bytes     \n";
        assert_eq!(of_addresses(limits), Some(4_096_000));
        assert_eq!(of_addresses(&limits.replace("4096000", "unlimited")), None);
    }

    #[test]
    fn the_smallest_limit_of_the_groups_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(root.path().join("a/memory.max"), "5000000\n").unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        assert_eq!(of_group(root.path(), "0::/a/b\n"), Some(5_000_000));
        fs::write(inner.join("memory.max"), "4000000\n").unwrap();
        assert_eq!(of_group(root.path(), "0::/a/b\n"), Some(4_000_000));
        assert_eq!(of_group(root.path(), "0::/\n"), None);
        fs::create_dir_all(root.path().join("memory/x")).unwrap();
        fs::write(root.path().join("memory/x/memory.limit_in_bytes"), "7000\n").unwrap();
        assert_eq!(of_group(root.path(), "9:cpu,cpuacct:/x\n4:memory:/x\n"), Some(7000));
    }

    #[test]
    fn what_no_machine_has_is_refused_with_both_numbers() {
        check(1 << 20).unwrap();
        if let Some(available) = available() {
            assert!(available > 1 << 20, "{available}");
            let shortage = check(1 << 60).unwrap_err();
            assert!(
                shortage.to_string().contains("at least 1073741824.0 GiB of memory is needed, but only"),
                "{shortage}"
            );
        }
    }
}
