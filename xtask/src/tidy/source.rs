//! What a source file must be like: it opens with its purpose, it is not long, and its code has no `unsafe` outside the kernels, no printing in
//! libraries, no `todo!` and no ignored test.

use super::tree::File;
use super::{Problem, Tree, code};

/// Maximum number of lines of a file.
const MOST_LINES: usize = 400;

/// Paths that may contain `unsafe`.
const UNSAFE_HERE: [&str; 5] = [
    "crates/gan-kernels/",
    "crates/gan-cuda/",
    "crates/gan-base/src/mapped.rs",
    "crates/gan-web/src/exports.rs",
    "crates/gan-web/src/lab_exports.rs",
];

/// Crates that print; every other crate is a library.
const PRINTING_HERE: [&str; 3] = ["crates/gan-cli/", "crates/experiments/", "xtask/"];

const PRINTING: [&str; 5] = ["println", "print", "eprintln", "eprint", "dbg"];

const LATER: [&str; 2] = ["todo", "unimplemented"];

/// Checks every `.rs` file.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.ending(".rs").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Problem> {
    let mut found = Vec::new();
    if !file.text.starts_with("//!") {
        found.push(Problem::new(&file.path, 1, "a file opens with `//!`; say in a line what it is for"));
    }
    let lines = file.text.lines().count();
    if lines > MOST_LINES {
        let message = format!("{lines} lines where {MOST_LINES} are the most; split the file by ideas");
        found.push(Problem::new(&file.path, MOST_LINES + 1, message));
    }
    for (line, text) in (1..).zip(code::only(&file.text).lines()) {
        found.extend(check_line(&file.path, text).into_iter().map(|message| Problem::new(&file.path, line, message)));
    }
    found
}

fn check_line(path: &str, line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (word, rest) in words(line) {
        let is_macro = rest.starts_with('!') && !rest.starts_with("!=");
        if word == "unsafe" && !UNSAFE_HERE.iter().any(|place| path.starts_with(place)) {
            found.push("`unsafe` belongs in gan-kernels or gan-cuda; move it there behind a safe function".into());
        }
        if is_macro && PRINTING.contains(&word) && !may_print(path) {
            found.push(format!("`{word}!` in a library; use `tracing`, or return what is to be shown"));
        }
        if is_macro && LATER.contains(&word) {
            found.push(format!("`{word}!` panics when it is reached; finish it or leave it out"));
        }
    }
    if line.contains("#[ignore") {
        found.push("an ignored test proves nothing; make it pass quickly or remove it".into());
    }
    found
}

/// Returns whether a file may print: tests, examples and benches may, and build scripts have to.
fn may_print(path: &str) -> bool {
    let aside = ["tests", "tests.rs", "examples", "benches", "build.rs"];
    PRINTING_HERE.iter().any(|prefix| path.starts_with(prefix)) || path.split('/').any(|part| aside.contains(&part))
}

/// Returns every name and number of a line, with what follows it.
fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.find(is_word)?;
        let end = rest[start..].find(|c| !is_word(c)).map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        rest = &rest[end..];
        Some((word, rest))
    })
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

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::made(&[(path, &format!("//!\n{text}"))])).into_iter().map(|p| p.line - 1).collect()
    }

    #[test]
    fn words_come_with_the_rest_of_the_line() {
        let found: Vec<_> = words("a::b_1!(c)").collect();
        assert_eq!(found, [("a", "::b_1!(c)"), ("b_1", "!(c)"), ("c", ")")]);
    }

    #[test]
    fn unsafe_is_for_the_kernels() {
        let text = "#![forbid(unsafe_code)]\nunsafe { f() }\n// unsafe\n\"unsafe\"\n#[unsafe(no_mangle)]\n";
        assert_eq!(lines("crates/gan-core/src/a.rs", text), [2, 5]);
        assert_eq!(lines("crates/gan-kernels/src/a.rs", text), []);
        assert_eq!(lines("crates/gan-kernels/tests/a.rs", text), []);
    }

    #[test]
    fn libraries_do_not_print() {
        let text = "//! println!\nstd::println!(\"x\");\ndbg!(x);\nlet print = 1;\nprint != 2;\nwriteln!(f);\n";
        assert_eq!(lines("crates/gan-core/src/a.rs", text), [2, 3]);
        for path in
            ["crates/gan-cli/src/a.rs", "xtask/src/a.rs", "crates/gan-core/examples/a.rs", "crates/x/src/b/tests.rs"]
        {
            assert_eq!(lines(path, text), [], "{path}");
        }
    }

    #[test]
    fn nothing_is_left_for_later() {
        let text = "todo!();\nunimplemented!(\"x\");\n#[ignore = \"slow\"]\nfn ignore() {}\nlet todo = 1;\n";
        assert_eq!(lines("crates/gan-cli/tests/a.rs", text), [1, 2, 3]);
    }
}
