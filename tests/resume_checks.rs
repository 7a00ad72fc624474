//! Checks before a run resumes: results are not lost, data are not mixed, and changed schedules are reported.

use crate::common::{Place, Ran, SMALL, assert_same, copy, files, metrics};
use image::{Rgb, RgbImage};
use std::fs;

/// A run on points that takes a few seconds.
const POINTS: &str = "train curve2d --set train.threads=1 --set samples.every=1000 --set evaluate.every=0";

/// Writes different images of 16×16 into `folder`, one for each name.
fn pictures(place: &Place, folder: &str, names: &[&str]) {
    for (n, name) in (1..).zip(names) {
        let path = place.path(folder).join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        RgbImage::from_fn(16, 16, |x, y| Rgb([(x * n) as u8, (y * 3) as u8, (x ^ (y * n)) as u8]))
            .save(path)
            .expect("a picture");
    }
}

/// Runs `gan train` on these images.
fn train(place: &Place, line: &str) -> Ran {
    place.gan(&format!(
        "train dcgan-folder --set data.size=16 --set train.batch=4 --set train.threads=1 --set generator.width=4 --set discriminator.width=4 \
         --set samples.rows=2 --set samples.columns=2 --set evaluate.every=0 {line}"
    ))
}

#[test]
fn a_run_without_checkpoints_is_not_restarted() {
    let place = Place::new();
    place.good(&format!("{POINTS} --steps 50 --out whole"));
    let judged = "--set evaluate.every=20 --set evaluate.samples=100 --set checkpoint.every=20";
    place.good(&format!("train {SMALL} {judged} --steps 40 --out judged"));
    let without = |run: &str, name: &str, gone: &[&str]| {
        copy(&place.path(run), &place.path(name));
        for gone in gone {
            let path = place.path(name).join(gone);
            if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
        }
    };
    without("whole", "a", &["checkpoints"]);
    without("whole", "b", &["checkpoints"]);
    fs::create_dir(place.path("b/checkpoints")).unwrap();
    fs::copy(place.path("judged/generator.safetensors"), place.path("judged/generator-best.safetensors")).unwrap();
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
        let before = files(&place.path(run));
        let ran = place.gan(&format!("train {run} --resume --steps {steps}"));
        ran.expect(2, &[run, holds, "no checkpoint to go on from", "--overwrite"]);
        assert_same(&before, &files(&place.path(run)));
    }
    // A generator of later steps is a result, even if only the checkpoint of step 0 is left.
    let start = place.path("whole/checkpoints/step-0000000");
    assert!(start.is_dir(), "no checkpoint of the start");
    without("whole", "e", &["checkpoints/step-0000050"]);
    place.gan("train e --resume").expect(2, &["holds a generator of step 50"]);
    place.good(&format!("{POINTS} --steps 50 --out a --overwrite"));
    assert_same(&files(&place.path("whole")), &files(&place.path("a")));
}

#[test]
fn extending_a_scheduled_run_warns_and_can_be_repeated() {
    let place = Place::new();
    let scheduled = [
        ("decay", "--set train.decay=0.5"),
        ("noise", "--set train.instance_noise={sigma=0.1,until=0.5}"),
        ("penalty", "--set penalties=[{kind=\"r1\",weight=1.0,end=0.0}]"),
    ];
    for (name, setting) in scheduled {
        let run = format!("{POINTS} {setting} --set checkpoint.every=10");
        place.good(&format!("{run} --steps 20 --out {name}"));
        let ran = place.good(&format!("train {name} --resume --steps 40"));
        ran.expect(0, &["WARN", "the run was to be 20 steps long, now 40", "train.extended"]);
        let config = fs::read_to_string(place.path(name).join("config.toml")).unwrap();
        assert!(config.contains("until = 20") && config.contains("steps = 20"), "{config}");
        // Resuming again changes nothing; extending again records both lengths.
        assert!(!place.good(&format!("train {name} --resume")).stderr.contains("WARN"));
        place.good(&format!("train {name} --resume --steps 50"));
        place.good(&format!("train {name}/config.toml --out {name}-again"));
        let generator = |run: &str| fs::read(place.path(run).join("generator.safetensors")).unwrap();
        assert!(generator(name) == generator(&format!("{name}-again")), "{name}: config.toml does not repeat the run");
        place.good(&format!("{run} --steps 50 --out {name}-straight"));
        assert!(generator(name) != generator(&format!("{name}-straight")), "{name}: has no schedule");
    }
    place.good(&format!("{POINTS} --steps 20 --out plain"));
    let ran = place.good("train plain --resume --steps 40");
    assert!(!ran.stderr.contains("WARN"), "{}", ran.stderr);
    assert!(!fs::read_to_string(place.path("plain/config.toml")).unwrap().contains("extended"));
}

#[test]
fn a_run_resumes_only_with_its_own_data() {
    let place = Place::new();
    let names = ["cats/1.png", "cats/2.png", "cats/3.png", "dogs/1.png", "dogs/2.png", "dogs/3.png"];
    pictures(&place, "a", &names);
    pictures(&place, "moved/away", &names);
    pictures(&place, "renamed", &names.map(|name| name.replace("cats", "zebras")).each_ref().map(String::as_str));
    pictures(&place, "others", &["cats/1.png", "cats/2.png", "cats/9.png", "dogs/1.png", "dogs/2.png", "dogs/3.png"]);
    pictures(&place, "grown", &[&names[..], &["dogs/4.png"]].concat());
    // BMP files of images of the same size have the same length.
    pictures(&place, "changed", &names);
    let first = place.path("changed/cats/1.png");
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&first, bytes).unwrap();
    train(&place, "--set data.dir=a --steps 2 --out run").expect(0, &[]);
    let before = files(&place.path("run"));
    for (dir, words) in [
        ("renamed", "its classes were: cats, dogs; now they are: dogs, zebras"),
        ("others", "as many samples as before, but other ones"),
        ("grown", "it had 6 samples, now it has 7"),
        ("changed", "as many samples as before, but other ones"),
    ] {
        let ran = place.gan(&format!("train run --resume --steps 4 --set data.dir={dir}"));
        ran.expect(2, &["was made with other data", words, dir, "data.dir"]);
        assert!(!ran.stderr.contains("set it as it was"), "{}", ran.stderr);
        assert_same(&before, &files(&place.path("run")));
    }
    place.good("train run --resume --steps 4 --set data.dir=moved/away");
}

#[test]
fn the_data_folder_is_found_from_any_directory() {
    let place = Place::new();
    pictures(&place, "2024", &["1.png", "2.png", "3.png", "4.png"]);
    train(&place, "--set data.dir=2024 --steps 2 --out run").expect(0, &[]);
    fs::create_dir(place.path("elsewhere")).unwrap();
    let ran = Ran::of(place.command("train ../run --resume --steps 3").current_dir(place.path("elsewhere")));
    ran.expect(0, &["resuming after step 2 of 3"]);
}

#[test]
fn data_that_differ_only_in_content_are_distinguished() {
    let place = Place::new();
    place.first_digits("first", 64);
    place.first_digits("second", 64);
    let images = place.path("second/train-images-idx3-ubyte");
    let mut bytes = fs::read(&images).unwrap();
    bytes[16..].reverse();
    fs::write(&images, bytes).unwrap();
    place.good(&format!("train {SMALL} --set data.dir=first --steps 2 --out run"));
    let ran = place.gan("train run --resume --steps 4 --set data.dir=second");
    ran.expect(2, &["was made with other data", "other ones"]);
}

#[test]
fn a_run_ended_by_an_alarm_ends_again_until_the_policy_changes() {
    let place = Place::new();
    let lazy = "--set optimizer.generator.lr=1e-9 --set optimizer.discriminator.lr=1e-9 --set alarms.collapse=off";
    let judged =
        "--set evaluate.every=100 --set evaluate.samples=100 --set checkpoint.every=100 --set alarms.stalled=stop";
    let ran = place.gan(&format!("{POINTS} {lazy} {judged} --steps 600 --out run"));
    ran.expect(1, &["an alarm ended the run after step 300", "--set alarms.stalled=warn"]);
    let before = files(&place.path("run"));
    place.gan("train run --resume").expect(1, &["an alarm ended the run after step 300"]);
    assert_same(&before, &files(&place.path("run")));
    place.good("train run --resume --set alarms.stalled=warn");
    assert_eq!(metrics(&place.path("run")).last().expect("a line")["step"], 600);
}

#[test]
fn damaged_lines_of_metrics_are_kept_and_reported() {
    let place = Place::new();
    place.good(&format!("{POINTS} --steps 20 --set train.log_every=5 --out run"));
    let path = place.path("run/metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[1] = &lines[1][..20];
    let damaged = lines.join("\n") + "\n";
    fs::write(&path, &damaged).unwrap();
    let ran = place.good("train run --resume --steps 25");
    ran.expect(0, &["metrics.jsonl", "1 line cannot be read", "line 2"]);
    assert!(fs::read_to_string(&path).unwrap().starts_with(&damaged), "a line is gone");
}
