//! The committed inputs, `fuzz/corpus/TARGET/FILE`: seeds that the target accepts, and inputs that once caused a fault.

use crate::target::Target;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Prefix of the names of inputs that the target must accept.
pub const SEED: &str = "seed-";

/// An input of the corpus.
#[derive(Clone, Debug)]
pub struct Input {
    /// File name.
    pub name: String,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// Returns the folder `fuzz` in the repository's root.
pub fn fuzz() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "fuzz"].iter().collect()
}

/// Returns the folder of the target's inputs.
pub fn folder(target: &Target) -> PathBuf {
    fuzz().join("corpus").join(target.name)
}

/// Reads the target's inputs, sorted by name.
///
/// # Errors
/// If the folder or a file cannot be read.
pub fn read(target: &Target) -> io::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder(target))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        inputs.push(Input { name, bytes: fs::read(entry.path())? });
    }
    inputs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(inputs)
}

/// Replaces the target's seeds in the corpus.
///
/// # Errors
/// If a file cannot be written or removed.
pub fn write_seeds(target: &Target) -> io::Result<()> {
    let folder = folder(target);
    fs::create_dir_all(&folder)?;
    for old in read(target)?.into_iter().filter(|input| input.name.starts_with(SEED)) {
        fs::remove_file(folder.join(old.name))?;
    }
    for (name, bytes) in (target.seeds)() {
        fs::write(folder.join(format!("{SEED}{name}")), bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TARGETS;
    use std::collections::BTreeSet;

    #[test]
    fn every_target_has_a_program_and_seeds_in_the_corpus() {
        let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
        for target in TARGETS {
            let name = target.name;
            let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
            assert!(program.contains(&format!("targets::{name}::TARGET")), "{name}");
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
            let found: BTreeSet<String> = read(target).unwrap().into_iter().map(|input| input.name).collect();
            let found: Vec<&String> = found.iter().filter(|name| name.starts_with(SEED)).collect();
            let made: BTreeSet<String> = (target.seeds)().iter().map(|(name, _)| format!("{SEED}{name}")).collect();
            let again = "GAN_FUZZ_WRITE_SEEDS=1 cargo test --release --workspace --test targets";
            assert!(
                made.iter().eq(found.iter().copied()),
                "{name}: {found:?}, expected {made:?}; write them by `{again}`"
            );
        }
        let programs = fs::read_dir(fuzz().join("fuzz_targets")).unwrap().count();
        assert_eq!((programs, fs::read_dir(fuzz().join("corpus")).unwrap().count()), (TARGETS.len(), TARGETS.len()));
    }

    #[test]
    fn the_corpus_is_small() {
        let bytes: usize = TARGETS.iter().flat_map(|target| read(target).unwrap()).map(|input| input.bytes.len()).sum();
        assert!(bytes < 1 << 20, "{bytes} bytes");
    }
}
