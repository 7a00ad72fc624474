//! What code may not hold: `unsafe` outside its one crate, printing in libraries, tests and functions left for later.

use super::tree::File;
use super::{Problem, Tree, code};

/// Where `unsafe` may stand.
const UNSAFE_HERE: [&str; 2] = ["crates/gan-kernels/", "crates/gan-base/src/mapped.rs"];

/// Only these print; every other crate is a library.
const PRINTING_HERE: [&str; 3] = ["crates/gan-cli/", "crates/experiments/", "xtask/"];

const PRINTING: [&str; 5] = ["println", "print", "eprintln", "eprint", "dbg"];

const LATER: [&str; 2] = ["todo", "unimplemented"];

/// Looks at the code of every `.rs` file, comments and strings aside.
pub fn check(tree: &Tree) -> Vec<Problem> {
    tree.ending(".rs").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Problem> {
    let code = code::only(&file.text);
    let lines = (1..).zip(code.lines());
    let found =
        lines.flat_map(|(line, text)| check_line(&file.path, text).into_iter().map(move |message| (line, message)));
    found.map(|(line, message)| Problem::new(&file.path, line, message)).collect()
}

fn check_line(path: &str, line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (word, rest) in words(line) {
        let is_macro = rest.starts_with('!') && !rest.starts_with("!=");
        if word == "unsafe" && !UNSAFE_HERE.iter().any(|place| path.starts_with(place)) {
            found.push("`unsafe` belongs in gan-kernels; move it there behind a safe function".into());
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

/// Tests, examples and benches may, and build scripts have to.
fn may_print(path: &str) -> bool {
    let aside = ["tests", "tests.rs", "examples", "benches", "build.rs"];
    PRINTING_HERE.iter().any(|prefix| path.starts_with(prefix)) || path.split('/').any(|part| aside.contains(&part))
}

/// Every name or number of a line, with what stands behind it.
fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.find(of_word)?;
        let end = rest[start..].find(|c| !of_word(c)).map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        rest = &rest[end..];
        Some((word, rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::made(&[(path, text)])).into_iter().map(|p| p.line).collect()
    }

    #[test]
    fn words_come_with_what_follows() {
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
