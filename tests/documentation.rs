//! The pages of the documentation agree with the program. `cargo xtask tidy` checks the rows for layers, losses and other names.

use gan_data::DATASETS;
use gan_metrics::Metric;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page(name: &str) -> String {
    let path = root().join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Returns the files below `dir` with this ending, at most one level down.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    let below = entries.iter().filter(|path| path.is_dir()).flat_map(|dir| fs::read_dir(dir).unwrap());
    let all = entries.iter().cloned().chain(below.map(|entry| entry.unwrap().path()));
    all.filter(|path| path.extension().is_some_and(|e| e == ending)).collect()
}

#[test]
fn rows_of_metrics_name_their_papers() {
    let page = page("evaluation.md");
    for metric in Metric::all() {
        let start = format!("| `{}` |", metric.key);
        let row = page.lines().find(|line| line.starts_with(&start));
        assert!(row.is_some_and(|row| row.contains(metric.paper)), "{}: the row lacks {}", metric.key, metric.paper);
    }
}

#[test]
fn data_sets_that_can_be_fetched_have_rows() {
    let page = page("fetch.md");
    let first_cells: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix('|')?.split('|').next()).collect();
    for entry in DATASETS.iter().filter(|entry| entry.info.source.is_some()) {
        let name = format!("`{}`", entry.name);
        assert!(first_cells.iter().any(|cell| cell.contains(&name)), "docs/fetch.md has no row for {name}");
    }
}

/// Python's tomllib and others read TOML 1.0 only; `toml` accepts 1.1.
#[test]
fn every_parser_of_toml_1_0_reads_the_documentations_settings() {
    let pages = [root().join("README.md"), root().join("CONTRIBUTING.md")];
    let pages = files(&root().join("docs"), "md").into_iter().chain(pages);
    let mut count = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
            if let Err(problem) = block.parse::<toml_1_0::Table>() {
                panic!("{}: {problem}\n{block}", page.display());
            }
            count += 1;
        }
    }
    assert!(count >= 3, "{count} blocks of TOML found");
}
