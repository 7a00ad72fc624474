//! `cargo xtask tidy`: the rules of this repository that the compiler does not check.
//!
//! Every check reads the [`tree`] and returns problems; each names file and line, what is wrong and what to do.
//! In reading order: [`tree`], [`arrows`] (which crate may use which), [`code`] (source without comments and strings), [`source`] (what a source
//! file must be like), [`names`] (one thing, one file, one row), [`links`].

mod arrows;
mod code;
mod links;
mod names;
mod source;
mod tree;

use crate::{Fault, Outcome, cargo};
use std::fmt;
use std::process::ExitCode;
pub use tree::{Tree, without_tests};

/// One broken rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    /// Path from the workspace's root, with `/`.
    path: String,
    /// Counted from 1.
    line: usize,
    /// What is wrong, and what to do.
    message: String,
}

impl Problem {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.into(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// `cargo xtask tidy`.
pub fn command() -> Outcome {
    Ok(if passes()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Checks the workspace, prints the problems, and returns whether there are none. Fails if a file cannot be read.
pub fn passes() -> Result<bool, Fault> {
    let tree = Tree::read(&cargo::root())?;
    let problems = problems(&tree);
    problems.iter().for_each(|problem| println!("{problem}"));
    match problems.len() {
        0 => println!("tidy: {} files, no problems", tree.files.len()),
        1 => println!("tidy: 1 problem"),
        n => println!("tidy: {n} problems"),
    }
    Ok(problems.is_empty())
}

fn problems(tree: &Tree) -> Vec<Problem> {
    let checks = [arrows::check, source::check, names::check, links::check];
    let mut problems: Vec<Problem> = checks.iter().flat_map(|check| check(tree)).collect();
    problems.sort();
    problems
}
