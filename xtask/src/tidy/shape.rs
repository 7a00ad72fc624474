//! How a source file looks from outside: it opens with what it is for, and it is not long.

use super::{Problem, Tree};

/// The style asks for about 300 lines; past this there is no talking about it.
const MOST_LINES: usize = 400;

/// Every `.rs` file opens with `//!` and has at most [`MOST_LINES`] lines.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.ending(".rs")
        .flat_map(|file| [opening(&file.path, &file.text), length(&file.path, &file.text)])
        .flatten()
        .collect()
}

fn opening(path: &str, text: &str) -> Option<Problem> {
    let message = "a file opens with `//!`; say in a line what it is for";
    (!text.starts_with("//!")).then(|| Problem::new(path, 1, message))
}

fn length(path: &str, text: &str) -> Option<Problem> {
    let lines = text.lines().count();
    let message = || format!("{lines} lines where {MOST_LINES} are the most; split the file by ideas");
    (lines > MOST_LINES).then(|| Problem::new(path, MOST_LINES + 1, message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openings_and_lengths() {
        let (full, long) = (format!("//! x{}", "\n".repeat(400)), format!("//! x{}y", "\n".repeat(400)));
        let tree = Tree::made(&[("a.rs", "use x;\n"), ("b.rs", &full), ("c.rs", &long), ("d.md", "x"), ("e.rs", "")]);
        let found: Vec<(String, usize)> = check(&tree).into_iter().map(|p| (p.path, p.line)).collect();
        assert_eq!(found, [("a.rs".into(), 1), ("c.rs".into(), 401), ("e.rs".into(), 1)]);
    }
}
