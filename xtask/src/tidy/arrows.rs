//! Which crate of the workspace may depend on which. Test-only dependencies are free.

use super::{Problem, Tree};

/// A crate and the crates of ours that it may use.
const ARROWS: [(&str, &[&str]); 14] = [
    ("gan-base", &[]),
    ("gan-kernels", &["gan-base"]),
    ("gan-comm", &["gan-base", "gan-kernels"]),
    ("gan-core", &["gan-base", "gan-kernels"]),
    ("gan-data", &["gan-base", "gan-kernels", "gan-core"]),
    ("gan-metrics", &["gan-base", "gan-kernels", "gan-core"]),
    ("gan-alarms", &["gan-base", "gan-core", "gan-metrics"]),
    ("gan-report", &["gan-base"]),
    ("gan-train", &["gan-base", "gan-kernels", "gan-comm", "gan-core", "gan-data", "gan-metrics", "gan-alarms"]),
    (
        "gan-run",
        &[
            "gan-base",
            "gan-kernels",
            "gan-comm",
            "gan-core",
            "gan-data",
            "gan-metrics",
            "gan-alarms",
            "gan-train",
            "gan-report",
        ],
    ),
    ("gan", ALL),
    ("gan-cli", ALL),
    ("gan-fuzz", ALL),
    ("experiments", ALL),
];

/// What the programs and the fuzz targets may use.
const ALL: &[&str] = &[
    "gan-base",
    "gan-kernels",
    "gan-comm",
    "gan-core",
    "gan-data",
    "gan-metrics",
    "gan-alarms",
    "gan-report",
    "gan-train",
    "gan-run",
];

const HERE: &str = "xtask/src/tidy/arrows.rs";

/// Every arrow of a manifest is in the table; xtask has none, to ours or to others'.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.ending("/Cargo.toml").flat_map(|file| check_manifest(&file.path, &file.text)).collect()
}

fn check_manifest(path: &str, text: &str) -> Vec<Problem> {
    match path.split('/').collect::<Vec<_>>().as_slice() {
        ["xtask", _] => check_xtask(path, text),
        ["crates", name, _] => match ARROWS.iter().find(|row| row.0 == *name) {
            Some((_, allowed)) => check_crate(path, text, name, allowed),
            None => vec![Problem::new(path, 1, format!("`{name}` is no crate of the design; give it a row in {HERE}"))],
        },
        _ => Vec::new(),
    }
}

fn check_xtask(path: &str, text: &str) -> Vec<Problem> {
    let message = |name: &str| format!("xtask uses std alone, found `{name}`; take it out");
    dependencies(text).iter().map(|(line, name)| Problem::new(path, *line, message(name))).collect()
}

fn check_crate(path: &str, text: &str, name: &str, allowed: &[&str]) -> Vec<Problem> {
    let list = if allowed.is_empty() { "none of ours".into() } else { allowed.join(", ") };
    let wrong = dependencies(text).into_iter().filter(|d| d.1.starts_with("gan-") && !allowed.contains(&d.1.as_str()));
    let message =
        |used: &str| format!("{name} may not depend on {used} (allowed: {list}); move the code to the crate it fits");
    wrong.map(|(line, used)| Problem::new(path, line, message(&used))).collect()
}

/// Line and package of every dependency that is no test's.
fn dependencies(manifest: &str) -> Vec<(usize, String)> {
    let mut table = String::new();
    let mut found = Vec::new();
    for (line, text) in (1..).zip(manifest.lines().map(str::trim)) {
        if let Some(header) = header(text) {
            table = header.into();
            found.extend(own_table(header).map(|name| (line, name.into())));
        } else if is_dependencies(&table) {
            found.extend(package(text).map(|name| (line, name.into())));
        } else if own_table(&table).is_some() && text.starts_with("package") {
            found.extend(renamed(text).map(|name| (line, name.into())));
        }
    }
    found
}

/// `[dependencies] # …` -> `dependencies`.
fn header(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.rsplit_once(']').map(|(name, _)| name.trim())
}

/// `dependencies`, `build-dependencies`, `target.'cfg(unix)'.dependencies`.
fn is_dependencies(table: &str) -> bool {
    let last = table.rsplit('.').next().unwrap_or(table);
    last == "dependencies" || last == "build-dependencies"
}

/// `dependencies.gan-core` -> `gan-core`.
fn own_table(table: &str) -> Option<&str> {
    let (parent, name) = table.rsplit_once('.')?;
    is_dependencies(parent).then(|| unquoted(name))
}

/// `gan-core.workspace = true` -> `gan-core`; `core = { package = "gan-core" }` -> `gan-core`.
fn package(entry: &str) -> Option<&str> {
    let key = entry.split('#').next()?.split('=').next()?.trim();
    let name = unquoted(key.split('.').next()?);
    if name.is_empty() { None } else { renamed(entry).or(Some(name)) }
}

/// `… package = "gan-core" …` -> `gan-core`.
fn renamed(entry: &str) -> Option<&str> {
    let (_, value) = entry.split_once("package")?;
    value.trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?.split('"').next()
}

fn unquoted(key: &str) -> &str {
    key.trim().trim_matches('"')
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
        let found = dependencies(MANIFEST);
        let ours: Vec<(usize, &str)> =
            found.iter().map(|d| (d.0, d.1.as_str())).filter(|d| d.1.starts_with("gan-")).collect();
        let wanted = [(7, "gan-core"), (8, "gan-cli"), (9, "gan-train"), (14, "gan-kernels"), (15, "gan-report")];
        assert_eq!(ours[..5], wanted);
        assert_eq!(ours[5..], [(18, "gan-metrics")]);
    }

    #[test]
    fn wrong_arrows_are_named() {
        let problems = check(&Tree::made(&[("crates/gan-data/Cargo.toml", MANIFEST), ("Cargo.toml", MANIFEST)]));
        assert_eq!(problems.iter().map(|p| p.line).collect::<Vec<_>>(), [8, 9, 15, 18]);
        let message = "gan-data may not depend on gan-cli (allowed: gan-base, gan-kernels, gan-core)";
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
