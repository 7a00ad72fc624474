//! On a terminal that cannot move its cursor, a run prints plain lines instead of a progress bar.

use crate::common::{Finished, WorkDir};

#[test]
fn a_terminal_without_cursor_movement_gets_lines() {
    let dir = WorkDir::new();
    let line =
        format!("{} train curve2d --steps 20 --set train.threads=1 --set evaluate.every=0", env!("CARGO_BIN_EXE_gan"));
    for term in [Some("dumb"), None] {
        let out = format!("{line} --out {}", term.unwrap_or("unset"));
        // `script` runs the command on a new terminal.
        let mut command = dir.program("script", ["-qec", &out, "/dev/null"]);
        match term {
            Some(term) => command.env("TERM", term),
            None => command.env_remove("TERM"),
        };
        let Some(finished) = Finished::try_of(&mut command) else {
            eprintln!("no script: progress on a terminal is not tested");
            return;
        };
        assert_eq!(finished.code, Some(0), "{}", finished.text());
        for words in ["curve2d into", "step 1/20", "step 20/20"] {
            assert!(finished.text().contains(words), "TERM={term:?}: no \"{words}\" in {}", finished.text());
        }
    }
}
