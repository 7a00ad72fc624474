//! Printed output: results on standard output, everything else on standard error, and little with `--quiet`.

use crate::common::{Finished, SMALL, WorkDir, assert_same, files, metrics};
use std::fs;

/// Parameters of `dcgan-mnist`, computed by hand: 100·128·7·7 + 2·128 + 128·64·4·4 + 2·64 + 64·1·4·4 trained ones, and mean and variance of 128 and 64
/// channels.
const COUNTS: [&str; 4] = ["760,064 (2.90 MiB)", "759,680 (2.90 MiB)", "384 (1.50 KiB)", "discriminator"];

#[test]
fn a_summary_counts_the_parameters_of_the_layers() {
    let dir = WorkDir::new();
    let finished = dir.succeeds("summary dcgan-mnist");
    assert!(COUNTS.iter().all(|count| finished.text().contains(count)), "{}", finished.text());
    assert!(finished.stderr.is_empty());
    // With half the width, there are 100·64·7·7 + 2·64 + 64·32·4·4 + 2·32 + 32·4·4 trained ones.
    let half = dir.succeeds("summary dcgan-mnist --set generator.width=32");
    assert!(["347,264", "347,072", "192"].iter().all(|n| half.text().contains(&format!("  {n} ("))), "{}", half.text());
}

#[test]
fn the_summary_of_a_weight_file_names_its_origin() {
    let dir = WorkDir::with_generator();
    let finished = dir.succeeds("summary generator.safetensors");
    assert!(finished.text().contains("trained by dcgan-mnist for 3 steps, seed 1"), "{}", finished.text());
    dir.gan("summary generator.safetensors --set generator.width=4").expect(2, &["--set", "generator.safetensors"]);
}

#[test]
fn a_saved_preset_trains_like_the_preset() {
    let dir = WorkDir::new();
    for name in ["dcgan-mnist", "keras-mnist"] {
        fs::write(dir.path("mine.toml"), dir.succeeds(&format!("preset show {name}")).stdout).unwrap();
        let short = "--steps 2 --set train.batch=2 --set samples.rows=1 --set evaluate.every=0";
        dir.succeeds(&format!("train mine.toml {short} --out from-file-{name}"));
        let full = dir.succeeds(&format!("preset show {name} --full")).stdout;
        fs::write(dir.path("full.toml"), full).unwrap();
        assert_eq!(dir.succeeds("summary full.toml").stdout, dir.succeeds(&format!("summary {name}")).stdout);
        dir.succeeds(&format!("train {name} {short} --out from-preset-{name}"));
        let [file, preset] = ["file", "preset"].map(|kind| files(&dir.path(&format!("from-{kind}-{name}"))));
        assert_same(&file, &preset);
        assert!(dir.succeeds("preset list").text().contains(name));
    }
}

#[test]
fn a_file_overrides_its_preset_and_set_overrides_both() {
    let dir = WorkDir::new();
    let text = "preset = \"dcgan-mnist\"\n[generator]\nwidth = 8\n[discriminator]\nwidth = 8\n[train]\nbatch = 4\nsteps = 5\nseed = 3\n";
    fs::write(dir.path("mine.toml"), text).unwrap();
    dir.succeeds("train mine.toml --set train.seed=4 --set evaluate.every=0 --steps 2 --out run");
    let config = fs::read_to_string(dir.path("run/config.toml")).unwrap();
    for line in ["batch = 4", "steps = 2", "seed = 4", "width = 8", "lr = 0.0002"] {
        assert!(config.lines().any(|l| l == line), "no {line} in {config}");
    }
    assert!(!config.contains("epochs"), "{config}");
    assert_eq!(metrics(&dir.path("run")).len(), 2);
}

#[test]
fn a_quiet_run_prints_only_the_locations_of_its_results() {
    let dir = WorkDir::with_generator();
    let finished = dir.succeeds(&format!("train {SMALL} --steps 1 --out run --quiet"));
    assert!(finished.stderr.is_empty(), "{}", finished.stderr);
    assert!(finished.text().contains("run/generator.safetensors"), "{}", finished.text());
    assert!(dir.succeeds("train run --resume --steps 2 -q").stderr.is_empty());
    assert!(dir.succeeds("generate run --quiet").stderr.is_empty());
    // Errors are printed even with --quiet.
    dir.gan("train nothing --quiet").expect(2, &["error: "]);
}

#[test]
fn progress_goes_to_standard_error() {
    let dir = WorkDir::new();
    let finished = dir.succeeds(&format!("train {SMALL} --steps 2 --out run"));
    assert!(finished.stderr.contains("step 2/2") && !finished.text().contains("step 2/2"), "{finished:?}");
    assert!(!finished.stderr.contains('\u{1b}'), "colours in a file: {}", finished.stderr);
}

#[test]
fn generate_prints_the_path_that_it_wrote() {
    let dir = WorkDir::with_generator();
    let finished = dir.succeeds("generate generator.safetensors --count 2");
    assert_eq!((finished.text(), finished.stderr.as_str()), ("samples.png\n", ""));
}

#[test]
fn completions_contain_the_commands() {
    let dir = WorkDir::new();
    for shell in ["bash", "zsh", "fish"] {
        let finished = dir.succeeds(&format!("completions {shell}"));
        assert!(["train", "interpolate", "overwrite"].iter().all(|word| finished.text().contains(word)), "{shell}");
    }
}

#[test]
fn every_help_page_has_examples() {
    let dir = WorkDir::new();
    for command in ["", "train", "generate", "interpolate", "summary", "report", "preset", "bench", "completions"] {
        let help = dir.succeeds(&format!("{command} --help"));
        let (_, examples) = help.text().split_once("Examples:\n").expect(command);
        assert!(examples.trim_start().starts_with(format!("gan {command}").trim()), "{examples}");
    }
    assert!(dir.succeeds("--version").text().starts_with("gan "));
}

#[test]
fn bench_prints_one_line_of_json() {
    let dir = WorkDir::new();
    let set = "--set generator.width=8 --set discriminator.width=8";
    let finished = dir.succeeds(&format!("bench dcgan-mnist --steps 2 --batch 4 --json {set}"));
    let line: serde_json::Value = serde_json::from_str(finished.text()).unwrap();
    for key in ["work", "batch", "threads", "step_s", "best_s", "images_per_s", "cpu_ms", "peak_rss_mib"] {
        assert!(!line[key].is_null(), "no {key} in {line}");
    }
    assert_eq!(finished.text().lines().count(), 1);
}

#[test]
#[cfg(unix)]
fn a_closed_pipe_is_not_an_error() {
    let dir = WorkDir::new();
    for line in ["summary dcgan-mnist", "preset show keras-mnist", "completions bash"] {
        let script = format!("{} {line} | true", env!("CARGO_BIN_EXE_gan"));
        assert_eq!(Finished::of(&mut dir.program("sh", ["-c", &script])).stderr, "", "{line}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_unwritable_result_is_an_error_and_an_unwritable_message_is_not() {
    let dir = WorkDir::new();
    let redirected =
        |script: &str| Finished::of(&mut dir.program("sh", ["-c", &format!("{} {script}", env!("CARGO_BIN_EXE_gan"))]));
    redirected("summary dcgan-mnist > /dev/full").expect(1, &["error: standard output"]);
    redirected(&format!("train {SMALL} --steps 2 --out run 2> /dev/full")).expect(0, &[]);
    assert_eq!(metrics(&dir.path("run")).len(), 2);
}
