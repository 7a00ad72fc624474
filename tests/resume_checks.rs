//! Checks before a run resumes: results are not lost, data are not mixed, and changed schedules are reported.

use crate::common::{Finished, SMALL, WorkDir, assert_same, copy, files, metrics};
use image::{Rgb, RgbImage};
use std::fs;

/// A run on points that takes a few seconds.
const POINTS: &str = "train curve2d --set train.threads=1 --set samples.every=1000 --set evaluate.every=0";

/// Writes different images of 16×16 into `folder`, one for each name.
fn pictures(dir: &WorkDir, folder: &str, names: &[&str]) {
    for (n, name) in (1..).zip(names) {
        let path = dir.path(folder).join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        RgbImage::from_fn(16, 16, |x, y| Rgb([(x * n) as u8, (y * 3) as u8, (x ^ (y * n)) as u8]))
            .save(path)
            .expect("a picture");
    }
}

/// Runs `gan train` on these images.
fn train(dir: &WorkDir, line: &str) -> Finished {
    dir.gan(&format!(
        "train dcgan-folder --set data.size=16 --set train.batch=4 --set train.threads=1 --set generator.width=4 --set discriminator.width=4 \
         --set samples.rows=2 --set samples.columns=2 --set evaluate.every=0 {line}"
    ))
}

#[test]
fn a_run_without_checkpoints_is_not_restarted() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("{POINTS} --steps 50 --out whole"));
    let judged = "--set evaluate.every=20 --set evaluate.samples=100 --set checkpoint.every=20";
    dir.succeeds(&format!("train {SMALL} {judged} --steps 40 --out judged"));
    let without = |run: &str, name: &str, gone: &[&str]| {
        copy(&dir.path(run), &dir.path(name));
        for gone in gone {
            let path = dir.path(name).join(gone);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    };
    without("whole", "a", &["checkpoints"]);
    without("whole", "b", &["checkpoints"]);
    fs::create_dir(dir.path("b/checkpoints")).unwrap();
    fs::copy(dir.path("judged/generator.safetensors"), dir.path("judged/generator-best.safetensors")).unwrap();
    without("judged", "c", &["checkpoints", "generator.safetensors"]);
    without("judged", "d", &["checkpoints", "generator.safetensors", "generator-best.safetensors", "samples"]);
    without("judged", "f", &["checkpoints", "generator.safetensors", "generator-best.safetensors", "metrics.jsonl"]);
    for (run, holds, steps) in [
        ("a", "a generator of step 50", 10),
        ("b", "a generator of step 50", 60),
        ("c", "a best generator of step 40", 80),
        ("d", "the metrics of 40 steps", 80),
        ("f", "samples, the last is step-0000040.png", 80),
    ] {
        let before = files(&dir.path(run));
        let finished = dir.gan(&format!("train {run} --resume --steps {steps}"));
        finished.expect(2, &[run, holds, "no checkpoint to go on from", "--overwrite"]);
        assert_same(&before, &files(&dir.path(run)));
    }
    // A generator of later steps is a result, even if only the checkpoint of step 0 is left.
    let start = dir.path("whole/checkpoints/step-0000000");
    assert!(start.is_dir(), "no checkpoint of the start");
    without("whole", "e", &["checkpoints/step-0000050"]);
    dir.gan("train e --resume").expect(2, &["holds a generator of step 50"]);
    dir.succeeds(&format!("{POINTS} --steps 50 --out a --overwrite"));
    assert_same(&files(&dir.path("whole")), &files(&dir.path("a")));
}

#[test]
fn extending_a_scheduled_run_warns_and_can_be_repeated() {
    let dir = WorkDir::new();
    let scheduled = [
        ("decay", "--set train.decay=0.5"),
        ("noise", "--set train.instance_noise={sigma=0.1,until=0.5}"),
        ("penalty", "--set penalties=[{kind=\"r1\",weight=1.0,end=0.0}]"),
    ];
    for (name, setting) in scheduled {
        let run = format!("{POINTS} {setting} --set checkpoint.every=10");
        dir.succeeds(&format!("{run} --steps 20 --out {name}"));
        let finished = dir.succeeds(&format!("train {name} --resume --steps 40"));
        finished.expect(0, &["WARN", "the run was to be 20 steps long, now 40", "train.extended"]);
        let config = fs::read_to_string(dir.path(name).join("config.toml")).unwrap();
        assert!(config.contains("until = 20") && config.contains("steps = 20"), "{config}");
        // Resuming again changes nothing; extending again records both lengths.
        assert!(!dir.succeeds(&format!("train {name} --resume")).stderr.contains("WARN"));
        dir.succeeds(&format!("train {name} --resume --steps 50"));
        dir.succeeds(&format!("train {name}/config.toml --out {name}-again"));
        let generator = |run: &str| fs::read(dir.path(run).join("generator.safetensors")).unwrap();
        assert!(generator(name) == generator(&format!("{name}-again")), "{name}: config.toml does not repeat the run");
        dir.succeeds(&format!("{run} --steps 50 --out {name}-straight"));
        assert!(generator(name) != generator(&format!("{name}-straight")), "{name}: has no schedule");
    }
    dir.succeeds(&format!("{POINTS} --steps 20 --out plain"));
    let finished = dir.succeeds("train plain --resume --steps 40");
    assert!(!finished.stderr.contains("WARN"), "{}", finished.stderr);
    assert!(!fs::read_to_string(dir.path("plain/config.toml")).unwrap().contains("extended"));
}

#[test]
fn a_run_resumes_only_with_its_own_data() {
    let dir = WorkDir::new();
    let names = ["cats/1.png", "cats/2.png", "cats/3.png", "dogs/1.png", "dogs/2.png", "dogs/3.png"];
    pictures(&dir, "a", &names);
    pictures(&dir, "moved/away", &names);
    pictures(&dir, "renamed", &names.map(|name| name.replace("cats", "zebras")).each_ref().map(String::as_str));
    pictures(&dir, "others", &["cats/1.png", "cats/2.png", "cats/9.png", "dogs/1.png", "dogs/2.png", "dogs/3.png"]);
    pictures(&dir, "grown", &[&names[..], &["dogs/4.png"]].concat());
    // BMP files of images of the same size have the same length.
    pictures(&dir, "changed", &names);
    let first = dir.path("changed/cats/1.png");
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&first, bytes).unwrap();
    train(&dir, "--set data.dir=a --steps 2 --out run").expect(0, &[]);
    let before = files(&dir.path("run"));
    for (data, words) in [
        ("renamed", "its classes were: cats, dogs; now they are: dogs, zebras"),
        ("others", "as many samples as before, but other ones"),
        ("grown", "it had 6 samples, now it has 7"),
        ("changed", "as many samples as before, but other ones"),
    ] {
        let finished = dir.gan(&format!("train run --resume --steps 4 --set data.dir={data}"));
        finished.expect(2, &["was made with other data", words, data, "data.dir"]);
        assert!(!finished.stderr.contains("set it as it was"), "{}", finished.stderr);
        assert_same(&before, &files(&dir.path("run")));
    }
    dir.succeeds("train run --resume --steps 4 --set data.dir=moved/away");
}

#[test]
fn the_data_folder_is_found_from_any_directory() {
    let dir = WorkDir::new();
    pictures(&dir, "2024", &["1.png", "2.png", "3.png", "4.png"]);
    train(&dir, "--set data.dir=2024 --steps 2 --out run").expect(0, &[]);
    fs::create_dir(dir.path("elsewhere")).unwrap();
    let finished = Finished::of(dir.command("train ../run --resume --steps 3").current_dir(dir.path("elsewhere")));
    finished.expect(0, &["resuming after step 2 of 3"]);
}

#[test]
fn data_that_differ_only_in_content_are_distinguished() {
    let dir = WorkDir::new();
    dir.first_digits("first", 64);
    dir.first_digits("second", 64);
    let images = dir.path("second/train-images-idx3-ubyte");
    let mut bytes = fs::read(&images).unwrap();
    bytes[16..].reverse();
    fs::write(&images, bytes).unwrap();
    dir.succeeds(&format!("train {SMALL} --set data.dir=first --steps 2 --out run"));
    let finished = dir.gan("train run --resume --steps 4 --set data.dir=second");
    finished.expect(2, &["was made with other data", "other ones"]);
}

#[test]
fn a_run_ended_by_an_alarm_ends_again_until_the_policy_changes() {
    let dir = WorkDir::new();
    let lazy = "--set optimizer.generator.lr=1e-9 --set optimizer.discriminator.lr=1e-9 --set alarms.collapse=off";
    let judged =
        "--set evaluate.every=100 --set evaluate.samples=100 --set checkpoint.every=100 --set alarms.stalled=stop";
    let finished = dir.gan(&format!("{POINTS} {lazy} {judged} --steps 600 --out run"));
    finished.expect(1, &["an alarm ended the run after step 300", "--set alarms.stalled=warn"]);
    let before = files(&dir.path("run"));
    dir.gan("train run --resume").expect(1, &["an alarm ended the run after step 300"]);
    assert_same(&before, &files(&dir.path("run")));
    dir.succeeds("train run --resume --set alarms.stalled=warn");
    assert_eq!(metrics(&dir.path("run")).last().expect("a line")["step"], 600);
}

#[test]
fn damaged_lines_of_metrics_are_kept_and_reported() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("{POINTS} --steps 20 --set train.log_every=5 --out run"));
    let path = dir.path("run/metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1] = &lines[1][..20];
    let damaged = lines.join("\n") + "\n";
    fs::write(&path, &damaged).unwrap();
    let finished = dir.succeeds("train run --resume --steps 25");
    finished.expect(0, &["metrics.jsonl", "1 line cannot be read", "line 2"]);
    assert!(fs::read_to_string(&path).unwrap().starts_with(&damaged), "a line is gone");
}
