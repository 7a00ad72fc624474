//! One thing, one file, one row: the name of a layer, loss, data set, … stands as a string in the file that defines it and nowhere else, and in
//! the documentation. Everything else takes it from the registry.
//!
//! The names are read from the registries' sources by their form, given in [`KINDS`]. Tests, examples, fuzz targets and the experiments may
//! name what they use. Other code needs a comment before the statement or expression, for instance where a name is a default or means
//! something else: `// ignore-tidy-names: REASON`.

use super::tree::File;
use super::{Problem, Tree, code};
use std::collections::BTreeMap;

/// A kind of thing.
struct Kind {
    what: &'static str,
    /// Start of the paths of the files that define things of this kind.
    at: &'static str,
    form: Form,
    /// Page with a row, or for presets a heading, for each.
    page: &'static str,
}

/// How a name is written where it is defined.
enum Form {
    /// In quotes after one of these texts.
    After(&'static [&'static str]),
    /// As the name of a file, listed as `name: Type,` in this macro of `mod.rs`.
    Listed(&'static str),
}

const NAME: Form = Form::After(&["const NAME: &'static str ="]);

const KINDS: &[Kind] = &[
    Kind { what: "layer", at: "crates/gan-core/src/layers/", form: NAME, page: "docs/layers.md" },
    Kind { what: "loss", at: "crates/gan-core/src/losses/", form: Form::Listed("losses"), page: "docs/training.md" },
    Kind {
        what: "penalty",
        at: "crates/gan-core/src/penalties/",
        form: Form::Listed("penalties"),
        page: "docs/training.md",
    },
    Kind {
        what: "augmentation",
        at: "crates/gan-core/src/augmentations/",
        form: Form::Listed("augmentations"),
        page: "docs/training.md",
    },
    Kind { what: "data set", at: "crates/gan-data/src/datasets/", form: NAME, page: "docs/data.md" },
    Kind {
        what: "metric",
        at: "crates/gan-metrics/src/metrics/",
        form: Form::After(&["Metric::new(", "frechet_distance(", "classifier_score("]),
        page: "docs/evaluation.md",
    },
    Kind { what: "alarm", at: "crates/gan-alarms/src/rules/", form: Form::Listed("rules"), page: "docs/evaluation.md" },
    Kind {
        what: "optimizer",
        at: "crates/gan-step/src/optimizers/",
        form: Form::Listed("optimizers"),
        page: "docs/training.md",
    },
    Kind {
        what: "preset",
        at: "crates/gan-train/src/presets.rs",
        form: Form::After(&["preset!("]),
        page: "docs/presets.md",
    },
];

/// Paths whose code may name things.
const FREE: [&str; 4] = ["crates/gan-fuzz/", "crates/experiments/", "fuzz/", "tests/"];

/// Comment that allows the names in the statement or expression after it.
const MARK: &str = "// ignore-tidy-names: ";

/// Checks every name.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems: Vec<Problem> = presets(tree);
    // Two kinds may share a name, as the data set and the preset `mnist`.
    let mut owners: BTreeMap<&str, Vec<(&Kind, String)>> = BTreeMap::new();
    for kind in KINDS {
        let names: Vec<(&str, String)> = tree.files.iter().flat_map(|file| kind.names(file)).collect();
        if names.is_empty() && tree.files.iter().any(|file| file.path.starts_with(kind.at)) {
            problems.push(Problem::new(
                kind.at,
                1,
                format!("no {} is found here; correct KINDS in {}", kind.what, file!()),
            ));
        }
        for (name, file) in names {
            if !has_row(tree, kind.page, name) {
                let message = format!("no row for the {} `{name}` of {file}; add one", kind.what);
                problems.push(Problem::new(kind.page, 1, message));
            }
            owners.entry(name).or_default().push((kind, file));
        }
    }
    for file in tree.ending(".rs").filter(|file| !is_free(&file.path)) {
        for (line, text) in strings(file) {
            let Some(owners) = owners.get(text) else { continue };
            if owners.iter().all(|(_, own)| *own != file.path) {
                let (kind, own) = &owners[0];
                let message = format!(
                    "the {} `{text}` is defined in {own}; take its name from there, or write `{MARK}REASON` above",
                    kind.what
                );
                problems.push(Problem::new(&file.path, line, message));
            }
        }
    }
    problems
}

impl Kind {
    /// Returns the names that a file defines, each with the path of the file that may contain it.
    fn names<'a>(&self, file: &'a File) -> Vec<(&'a str, String)> {
        if !file.path.starts_with(self.at) || is_free(&file.path) {
            return Vec::new();
        }
        let source = file.without_tests();
        match self.form {
            Form::After(marks) => {
                let after = marks.iter().flat_map(|mark| source.split(mark).skip(1));
                let quoted = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
                quoted.map(|name| (name, file.path.clone())).collect()
            }
            Form::Listed(list) => {
                let start = format!("\n{list}! {{");
                let lines =
                    source.split_once(&start).and_then(|(_, rest)| rest.split("\n}").next()).unwrap_or_default();
                let name = |line: &'a str| line.trim().split_once(": ").filter(|(name, _)| name.chars().all(is_word));
                lines.lines().filter_map(name).map(|(name, _)| (name, format!("{}{name}.rs", self.at))).collect()
            }
        }
    }
}

/// Returns whether a page has a table row whose first cell, or a heading that, contains the name in code.
fn has_row(tree: &Tree, page: &str, name: &str) -> bool {
    let lines = tree.files.iter().filter(|file| file.path == page).flat_map(|file| file.text.lines());
    let first = lines.filter_map(|line| match line.strip_prefix('|') {
        Some(row) => row.split('|').next(),
        None => line.strip_prefix('#'),
    });
    let mut spans = first.flat_map(|text| text.split('`').skip(1).step_by(2));
    spans.any(|span| span.split(|c| !is_word(c)).any(|word| word == name))
}

/// Returns whether a character can be part of a name.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn is_free(path: &str) -> bool {
    let aside = ["tests", "tests.rs", "examples", "benches"];
    FREE.iter().any(|start| path.starts_with(start)) || path.split('/').any(|part| aside.contains(&part))
}

/// Returns line and content of the strings in a file's code, without its unit tests and what [`MARK`] allows.
fn strings(file: &File) -> Vec<(usize, &str)> {
    let source = file.without_tests();
    let lines: Vec<&str> = source.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut found = code::strings(source);
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(MARK)) {
        // What follows at the comment's own indentation, with the lines that are indented further.
        let inner = lines.iter().skip(at + 2).take_while(|inner| indent(inner) > indent(line)).count();
        let allowed = at + 2..=at + 2 + inner;
        found.retain(|(line, _)| !allowed.contains(line));
    }
    found
}

/// Checks that every file in `crates/gan-train/presets/` has its own name under `preset`, so that `gan train NAME` and `NAME.toml` mean the same.
fn presets(tree: &Tree) -> Vec<Problem> {
    let check = |file: &File| {
        let stem = file.path.strip_prefix("crates/gan-train/presets/")?.strip_suffix(".toml")?;
        let wanted = format!("preset = \"{stem}\"");
        let mut lines = file.text.lines().take_while(|line| !line.starts_with('['));
        let is_named = lines.any(|line| line.split('#').next().is_some_and(|line| line.trim() == wanted));
        (!is_named).then(|| {
            Problem::new(&file.path, 1, format!("write `{wanted}`, as in the file's name, before the first table"))
        })
    };
    tree.ending(".toml").filter_map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYER: &str = "impl LayerSpec for Glu {\n    const NAME: &'static str =\n        \"glu\";\n}\n";
    const LOSSES: &str = "//! x\nlosses! {\n    // First.\n    hinge: Hinge,\n}\n";
    const ROWS: [(&str, &str); 2] = [
        ("docs/layers.md", "| layer |\n|---|\n| `{ glu = 2 }`, `\"other\"` | |\n"),
        ("docs/training.md", "| kind |\n|---|\n| `hinge` | `minimax` |\n"),
    ];

    fn found(files: &[(&str, &str)]) -> Vec<(String, usize)> {
        let defined = [("crates/gan-core/src/layers/glu.rs", LAYER), ("crates/gan-core/src/losses/mod.rs", LOSSES)];
        let tree = Tree::made(&[&defined, files].concat());
        check(&tree).into_iter().map(|problem| (problem.path, problem.line)).collect()
    }

    #[test]
    fn a_name_outside_its_file_is_a_problem() {
        let files = [
            ROWS[0],
            ROWS[1],
            ("crates/gan-core/src/losses/hinge.rs", "f(\"hinge\")\n"),
            ("crates/a/src/b.rs", "//! hinge\nf(\"hinge\"); // \"hinge\"\nlet x = \"glu-hinge\";\n"),
            ("crates/a/src/c.rs", "f(\"x\")\n#[cfg(test)]\nmod tests { f(\"glu\") }\n"),
            ("crates/a/tests/d.rs", "f(\"glu\")\n"),
        ];
        assert_eq!(found(&files), [("crates/a/src/b.rs".into(), 2)]);
    }

    #[test]
    fn a_comment_with_a_reason_allows_one_statement() {
        let text =
            "// ignore-tidy-names: a table\nconst A: [&str; 2] = [\n    \"glu\",\n    \"hinge\",\n];\nf(\"hinge\");\n";
        assert_eq!(found(&[ROWS[0], ROWS[1], ("crates/a/src/b.rs", text)]), [("crates/a/src/b.rs".into(), 6)]);
    }

    #[test]
    fn a_row_is_needed() {
        let rows = [("docs/layers.md", "`glu`\n| `glu_2` | `glu` |\n"), ("docs/training.md", "# `hinge`\n")];
        assert_eq!(found(&rows), [("docs/layers.md".into(), 1)]);
        assert_eq!(found(&[]).len(), 2);
    }

    #[test]
    fn a_list_that_is_not_found_is_a_problem() {
        let files = [ROWS[0], ROWS[1], ("crates/gan-alarms/src/rules/mod.rs", "other! {\n    d_won: DWon,\n}\n")];
        assert_eq!(found(&files), [("crates/gan-alarms/src/rules/".into(), 1)]);
    }

    #[test]
    fn a_preset_is_called_like_its_file() {
        let files = [
            ("crates/gan-train/presets/a.toml", "# x\npreset = \"a\" # y\n[data]\n"),
            ("crates/gan-train/presets/b.toml", "preset = \"c\"\n"),
            ("crates/gan-train/presets/d.toml", "[data]\npreset = \"d\"\n"),
            ("crates/x/e.toml", ""),
        ];
        let wrong: Vec<String> = presets(&Tree::made(&files)).into_iter().map(|problem| problem.path).collect();
        assert_eq!(wrong, ["crates/gan-train/presets/b.toml", "crates/gan-train/presets/d.toml"]);
    }
}
