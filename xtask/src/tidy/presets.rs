//! A preset is called like its file, so that `gan train NAME` and `presets/NAME.toml` mean the same.

use super::tree::File;
use super::{Problem, Tree};

/// Every file in `presets/` says its own name under `preset`.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.ending(".toml").filter_map(check_file).collect()
}

fn check_file(file: &File) -> Option<Problem> {
    let stem = file.path.strip_prefix("presets/")?.strip_suffix(".toml")?;
    match name(&file.text) {
        Some((_, name)) if name == stem => None,
        Some((line, name)) => {
            let message = format!("the preset is called `{name}`, its file `{stem}.toml`; give both the same name");
            Some(Problem::new(&file.path, line, message))
        }
        None => {
            Some(Problem::new(&file.path, 1, format!("no name; write `preset = \"{stem}\"` before the first table")))
        }
    }
}

/// Line and value of the key `preset`, which comes before any table.
fn name(toml: &str) -> Option<(usize, &str)> {
    let lines = (1..).zip(toml.lines().map(str::trim)).take_while(|(_, text)| !text.starts_with('['));
    lines.filter_map(|(line, text)| value(text).map(|value| (line, value))).next()
}

/// `preset = "x" # …` -> `x`.
fn value(line: &str) -> Option<&str> {
    let value = line.strip_prefix("preset")?.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        assert_eq!(name("# x\npreset = \"a-b\" # y\n[data]\n"), Some((2, "a-b")));
        assert_eq!(name("preset='a'"), Some((1, "a")));
        assert_eq!(name("[data]\npreset = \"a\"\n"), None);
        assert_eq!(name("presets = \"a\"\n"), None);
    }

    #[test]
    fn a_name_that_differs_is_a_problem() {
        let files = [
            ("presets/a.toml", "preset = \"a\""),
            ("presets/b.toml", "\npreset = \"c\""),
            ("presets/d.toml", ""),
            ("crates/x/e.toml", ""),
        ];
        let found: Vec<(String, usize)> = check(&Tree::made(&files)).into_iter().map(|p| (p.path, p.line)).collect();
        assert_eq!(found, [("presets/b.toml".into(), 2), ("presets/d.toml".into(), 1)]);
    }
}
