//! How much memory this process can have, so that work that cannot fit is refused with a message before it starts.
//!
//! Callers compare lower bounds with it: what is refused certainly does not fit, what passes may still be too much.

use std::fs;
use std::path::Path;

/// More memory is needed than this process can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at least {} of memory is needed, but only {} can be had", shown(*.needed), shown(*.available))]
pub struct Shortage {
    /// Bytes that are certainly needed.
    pub needed: u64,
    /// Bytes that can be had.
    pub available: u64,
}

/// Fails if `needed` bytes are certainly more than this process can have. If the system does not report it, nothing is refused.
///
/// # Errors
/// [`Shortage`], with both numbers.
pub fn check(needed: u64) -> Result<(), Shortage> {
    // Every machine has that much, and reading the limits takes longer than a small network does.
    const ALWAYS: u64 = 64 << 20;
    match (needed > ALWAYS).then(available).flatten() {
        Some(available) if needed > available => Err(Shortage { needed, available }),
        _ => Ok(()),
    }
}

/// Returns the number of bytes that this process can have at most: what it holds and what the machine has free or can free, within the
/// limits of its control group and its address space. `None` if the system does not report it; Linux does.
pub fn available() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let machine = of_machine(&read("/proc/meminfo"), &read("/proc/self/status"));
    let group = of_group(Path::new("/sys/fs/cgroup"), &read("/proc/self/cgroup"));
    let addresses = of_addresses(&read("/proc/self/limits"));
    [machine, group, addresses].into_iter().flatten().min()
}

/// Returns the memory that is free or can be freed and the free swap, from the text of /proc/meminfo, plus what the process holds, from
/// that of /proc/self/status: its allocator may be able to reuse it.
fn of_machine(meminfo: &str, status: &str) -> Option<u64> {
    let own = kibibytes(status, "VmRSS:").unwrap_or(0);
    let swap = kibibytes(meminfo, "SwapFree:").unwrap_or(0);
    kibibytes(meminfo, "MemAvailable:").map(|available| available.saturating_add(swap).saturating_add(own))
}

/// Returns the smallest limit of the control groups in the text of /proc/self/cgroup and of those above them, mounted at `root`.
fn of_group(root: &Path, cgroup: &str) -> Option<u64> {
    let limits = cgroup.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (base, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            list if list.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        let limit = |folder: &Path| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
        let inner = base.join(path.trim_start_matches('/'));
        inner.ancestors().take_while(|folder| folder.starts_with(&base)).filter_map(limit).min()
    });
    limits.min()
}

/// Returns the size of the address space, from the text of /proc/self/limits. What an allocator has reserved of it counts as free.
fn of_addresses(limits: &str) -> Option<u64> {
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    limit.split_whitespace().next()?.parse().ok()
}

/// Returns the number of bytes after `key` in a text with lines such as `MemTotal:  24689728 kB`.
fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Formats a number of bytes: `1.5 GiB`, `20 MiB`.
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
    fn impossible_memory_is_refused_with_both_numbers() {
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
