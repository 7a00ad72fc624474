//! Which crate of the workspace may depend on which. Dependencies of tests are free.

use super::{Problem, Tree};

/// Crates of the workspace, each after those that it may use, with the libraries that it may use.
const ARROWS: [(&str, &[&str]); 21] = [
    ("gan-base", &[]),
    ("gan-kernels", &["gan-base"]),
    ("gan-hub", &["gan-base"]),
    ("gan-cuda", &["gan-kernels"]),
    ("gan-comm", &["gan-base", "gan-kernels"]),
    ("gan-core", &["gan-base", "gan-kernels"]),
    ("gan-import", &["gan-base", "gan-core"]),
    ("gan-data", &["gan-base", "gan-kernels", "gan-hub", "gan-core"]),
    ("gan-metrics", &["gan-base", "gan-kernels", "gan-core", "gan-import"]),
    ("gan-alarms", &["gan-base", "gan-core", "gan-metrics"]),
    ("gan-report", &["gan-base"]),
    ("gan-export", &["gan-base", "gan-kernels", "gan-core", "gan-report"]),
    ("gan-step", &["gan-base", "gan-kernels", "gan-comm", "gan-core", "gan-data"]),
    (
        "gan-train",
        &[
            "gan-base",
            "gan-kernels",
            "gan-cuda",
            "gan-comm",
            "gan-core",
            "gan-data",
            "gan-metrics",
            "gan-alarms",
            "gan-step",
        ],
    ),
    ("gan-run", LIBRARIES.split_at(11).0),
    (
        "gan-serve",
        &["gan-base", "gan-core", "gan-data", "gan-metrics", "gan-report", "gan-export", "gan-train", "gan-run"],
    ),
    ("gan-web", &["gan-base", "gan-core", "gan-data", "gan-report", "gan-step"]),
    ("gan", LIBRARIES),
    ("gan-cli", LIBRARIES),
    ("gan-fuzz", LIBRARIES),
    ("experiments", LIBRARIES),
];

/// Libraries that the programs and the fuzz targets may use.
const LIBRARIES: &[&str] = &[
    "gan-base",
    "gan-kernels",
    "gan-comm",
    "gan-core",
    "gan-import",
    "gan-data",
    "gan-metrics",
    "gan-alarms",
    "gan-report",
    "gan-step",
    "gan-train",
    "gan-run",
    "gan-export",
    "gan-hub",
    "gan-serve",
];

/// Checks that every dependency in a manifest is in the table. xtask has none, not even external ones.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.ending("/Cargo.toml").flat_map(|file| check_manifest(&file.path, &file.text)).collect()
}

fn check_manifest(path: &str, text: &str) -> Vec<Problem> {
    let problem = |line: usize, message: String| Problem::new(path, line, message);
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["xtask", _] => {
            let message = |found: &str| format!("xtask uses std alone, found `{found}`; take it out");
            dependencies(text).map(|(line, found)| problem(line, message(found))).collect()
        }
        ["crates", name, _] => {
            let Some((_, allowed)) = ARROWS.iter().find(|row| row.0 == *name) else {
                return vec![problem(
                    1,
                    format!("`{name}` is not a crate of the design; give it a row in {}", file!()),
                )];
            };
            let list = if allowed.is_empty() { "none of ours".into() } else { allowed.join(", ") };
            let message =
                |used| format!("{name} may not depend on {used} (allowed: {list}); move the code to the crate it fits");
            let ours = dependencies(text).filter_map(|(line, entry)| Some((line, ours(entry)?)));
            ours.filter(|(_, used)| !allowed.contains(used)).map(|(line, used)| problem(line, message(used))).collect()
        }
        _ => Vec::new(),
    }
}

/// Returns the lines of the tables of dependencies, except those for tests alone, without comments; a table's head is one of its lines if it
/// names a dependency, as `[dependencies.serde]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_inside = false;
    (1..).zip(manifest.lines()).filter_map(move |(line, text)| {
        let text = text.split('#').next().unwrap_or_default().trim();
        if let Some(head) = text.strip_prefix('[') {
            is_inside = head.contains("dependencies") && !head.contains("dev-dependencies");
            return (is_inside && !head.ends_with("dependencies]")).then_some((line, text));
        }
        (is_inside && !text.is_empty()).then_some((line, text))
    })
}

/// Returns the crate of ours that an entry names, as its key, in a table's head, or as the package of another key.
fn ours(entry: &str) -> Option<&str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    entry.split(|c| !is_word(c)).find(|word| word.starts_with("gan-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"[package]
name = "gan-data"
[features]
cuda = ["gan-core/cuda"]
[dependencies]
# gan-report.workspace = true
gan-core.workspace = true
"gan-cli" = { path = "../gan-cli" }
trainer = { package = "gan-train", path = "x" } # why
serde = "1"
[dev-dependencies]
gan-metrics.workspace = true
[target.'cfg(unix)'.dependencies]
gan-kernels.workspace = true
[dependencies.gan-report]
path = "x"
[dependencies.short]
package = "gan-metrics"
"#;

    #[test]
    fn every_way_to_write_a_dependency_is_read() {
        let found: Vec<(usize, &str)> =
            dependencies(MANIFEST).filter_map(|(line, entry)| Some((line, ours(entry)?))).collect();
        let wanted = [(7, "gan-core"), (8, "gan-cli"), (9, "gan-train"), (14, "gan-kernels"), (15, "gan-report")];
        assert_eq!(found[..5], wanted);
        assert_eq!(found[5..], [(18, "gan-metrics")]);
    }

    #[test]
    fn wrong_arrows_are_named() {
        let problems = check(&Tree::made(&[("crates/gan-data/Cargo.toml", MANIFEST), ("Cargo.toml", MANIFEST)]));
        assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), [8, 9, 15, 18]);
        let message = "gan-data may not depend on gan-cli (allowed: gan-base, gan-kernels, gan-hub, gan-core)";
        assert!(problems[0].message.contains(message));
    }

    #[test]
    fn xtask_has_none_and_a_new_crate_needs_a_row() {
        let manifest = "[dependencies]\nanyhow = \"1\"\n";
        let problems = check(&Tree::made(&[("xtask/Cargo.toml", manifest), ("crates/gan-new/Cargo.toml", manifest)]));
        assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn the_table_has_no_circle() {
        let place = |name: &str| ARROWS.iter().position(|row| row.0 == name).unwrap();
        assert!(ARROWS.iter().all(|(name, uses)| uses.iter().all(|used| place(used) < place(name))));
    }
}
