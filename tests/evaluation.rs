//! `gan evaluate`, evaluations during training, the best generator, alarms and rollbacks.

use crate::common::{SMALL, WorkDir, assert_same, files, metrics, results};
use serde_json::Value;
use std::fs;

/// Evaluates every ten steps with few samples.
const JUDGED: &str = "--set evaluate.every=10 --set evaluate.samples=200 --set checkpoint.every=10";
/// Evaluates rarely, because alarms need some hundred steps.
const SELDOM: &str = "--set evaluate.every=100 --set evaluate.samples=200 --set checkpoint.every=100";
/// Learning rates so small that a run learns nothing.
const LAZY: &str = "--set optimizer.generator.lr=1e-9 --set optimizer.discriminator.lr=1e-9 --set alarms.g_won=off";

fn lines(dir: &WorkDir, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(dir.path(file)).expect("a file of lines");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON in each line")).collect()
}

fn alarms(dir: &WorkDir, run: &str) -> Vec<(String, u64, String)> {
    let text = |line: &Value, key: &str| line[key].as_str().expect("text").to_string();
    let all = metrics(&dir.path(run));
    let alarms = all.iter().filter(|line| line.get("alarm").is_some());
    alarms.map(|line| (text(line, "alarm"), line["at"].as_u64().expect("a step"), text(line, "done"))).collect()
}

#[test]
fn evaluations_do_not_change_training_and_keep_the_best_generator() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 30 --out plain"));
    let finished = dir.succeeds(&format!("train {SMALL} {JUDGED} --steps 30 --out judged"));
    let (mut plain, mut judged) = (results(&dir.path("plain")), results(&dir.path("judged")));
    let (a, b) = (plain.remove("metrics.jsonl"), judged.remove("metrics.jsonl"));
    assert!(a != b, "the figures stand in metrics.jsonl");
    assert_same(&plain, &judged);

    let evaluations = lines(&dir, "judged/evaluations.jsonl");
    assert_eq!(evaluations.iter().map(|e| e["step"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 10, 20, 30]);
    let fid = |e: &Value| e["card"]["figures"][0]["value"].as_f64().expect("a value");
    let best = evaluations.iter().min_by(|a, b| fid(a).total_cmp(&fid(b))).expect("evaluations");
    let step = best["step"].as_u64().unwrap();
    assert!(finished.text().contains(&format!("at step {step}")), "{}", finished.text());
    assert!(finished.text().contains("real samples: ") && finished.text().contains("sha256"), "{}", finished.text());

    // The best generator is that of the best step: another evaluation with the run's seed gives the same figure.
    let line =
        "evaluate judged/generator-best.safetensors --data mnist --samples 200 --seed 1 --metrics fd_digits --json";
    let card: Value = serde_json::from_slice(&dir.succeeds(line).stdout).expect("a card");
    assert_eq!((card["step"].as_u64(), card["figures"][0]["value"].as_f64()), (Some(step), Some(fid(best))));
    assert_eq!(card["reference"]["hash"], best["card"]["reference"]["hash"]);
    assert_eq!(card["embedder"]["hash"].as_str().map(str::len), Some(64));
}

#[test]
fn a_killed_run_with_evaluations_resumes_to_the_same_bytes() {
    let dir = WorkDir::new();
    let settings = format!("train {SMALL} {JUDGED} --set train.ema=0.9 --steps 60");
    dir.succeeds(&format!("{settings} --out straight"));
    let mut run = dir.start(&format!("{settings} --out killed"));
    run.reaches(&dir.path("killed"), 25);
    run.kill();
    dir.succeeds("train killed --resume");
    assert_same(&files(&dir.path("straight")), &files(&dir.path("killed")));
}

#[test]
fn a_run_that_learns_nothing_raises_stalled_and_ends_with_the_policy_stop() {
    let dir = WorkDir::new();
    let finished =
        dir.succeeds(&format!("train {SMALL} {SELDOM} {LAZY} --steps 400 --set alarms.collapse=off --out lazy"));
    assert_eq!(alarms(&dir, "lazy"), [("stalled".to_string(), 300, "warn".to_string())]);
    assert!(
        finished.stderr.contains("alarm: step 300: stalled: fd_digits was") && finished.stderr.contains("What helps"),
        "{}",
        finished.stderr
    );
    assert!(finished.text().contains("alarm      stalled at step 300"), "{}", finished.text());
    let page = fs::read_to_string(dir.path("lazy/report.html")).expect("a page");
    assert!(page.contains("Alarm at step 300, stalled"), "the page has no alarm");

    let finished = dir.gan(&format!(
        "train {SMALL} {SELDOM} {LAZY} --steps 400 --set alarms.stalled=stop --set alarms.collapse=off --out stopped"
    ));
    finished.expect(1, &["an alarm ended the run after step 300; all is saved"]);
    assert!(dir.path("stopped/checkpoints/step-0000300").is_dir());
}

#[test]
fn a_rollback_restores_the_best_state_and_lowers_the_learning_rates() {
    let dir = WorkDir::new();
    let alarms_set =
        "--set alarms.stalled=rollback --set alarms.collapse=off --set alarms.rollbacks=2 --set alarms.lr_factor=0.25";
    // With these rates no weight changes, so the best state is the first.
    let rates = "--set optimizer.generator.lr=1e-30 --set optimizer.discriminator.lr=1e-30";
    let line = format!(
        "train curve2d --set train.threads=1 --set samples.every=1000 {SELDOM} {rates} --steps 400 {alarms_set}"
    );
    let finished = dir.gan(&format!("{line} --out a"));
    // After two rollbacks, the same alarm ends the run.
    finished.expect(1, &["Gone back to step", "rates lowered", "The run ends here"]);
    let found: Vec<String> = alarms(&dir, "a").into_iter().map(|(kind, _, done)| format!("{kind} {done}")).collect();
    assert_eq!(found, ["stalled rollback", "stalled rollback", "stalled stop"]);
    let state = |path: &str| fs::read_to_string(dir.path(path)).expect("a state");
    let latest = state("a/checkpoints/latest");
    assert!(state(&format!("a/checkpoints/{latest}/state.json")).contains("\"rollbacks\": 2"));
    dir.gan(&format!("{line} --out b"));
    assert_same(&files(&dir.path("a")), &files(&dir.path("b")));
}

#[test]
fn folders_arrays_and_runs_give_the_same_figures_side_by_side() {
    let dir = WorkDir::with_generator();
    dir.succeeds("generate generator.safetensors --count 300 --seed 5 --out made.npy");
    dir.succeeds("generate generator.safetensors --count 300 --seed 5 --out made");
    let figure = |line: &str| {
        let card: Value = serde_json::from_slice(&dir.succeeds(line).stdout).expect("a card");
        assert_eq!(card["samples"], 300);
        card["figures"][0]["value"].as_f64().expect("a value")
    };
    let array = figure("evaluate made.npy --data mnist --metrics fd_digits --json");
    let folder = figure("evaluate made --data mnist --metrics fd_digits --json");
    // PNG files have only 256 gray levels.
    assert!((array - folder).abs() < 0.02 * array, "{array} and {folder}");
    let finished =
        dir.succeeds("evaluate made.npy generator.safetensors --data mnist --samples 300 --metrics fd_digits,coverage");
    for words in ["[1]", "[2]", "Fréchet distance, digits features", "Coverage", "Floor", "seed 0"] {
        assert!(finished.text().contains(words), "no {words} in {}", finished.text());
    }
}

#[test]
fn real_digits_evaluated_as_samples_reach_the_floor() {
    let dir = WorkDir::new();
    dir.first_digits("digits", 400);
    dir.succeeds("data inspect mnist --set data.dir=digits --json");
    let finished = dir.succeeds(
        "evaluate made.npy --data mnist --samples 400 --json".replace("made.npy", &real_digits(&dir)).as_str(),
    );
    let card: Value = serde_json::from_slice(&finished.stdout).expect("a card");
    for figure in card["figures"].as_array().expect("figures") {
        let value = figure["value"].as_f64().expect("a value");
        let floor = || figure["floor"].as_f64().expect("a floor");
        match figure["metric"].as_str().expect("a name") {
            // 400 samples against 400 others have the distance of the floor.
            "fd_digits" => assert!(value < 2.0 * floor(), "{figure}"),
            "precision" | "recall" | "coverage" | "confidence" | "diversity" => {
                assert!((value - floor()).abs() < 0.1, "{figure}");
            }
            // The samples are training digits, which the search for copies must detect.
            "near_copies" => assert!(value > 0.1, "{figure}"),
            "memorisation" => assert!(value > 0.0 && value < 1.2, "{figure}"),
            "density" | "digit_score" => assert!((value - floor()).abs() < 0.2 * value, "{figure}"),
            "class_balance" => assert!(value < 1.0, "{figure}"),
            "kid" | "swd" => assert!(value < 2.0 * floor().abs() + 0.1, "{figure}"),
            _ => panic!("nothing is expected of {figure}"),
        }
    }
}

/// Writes the first 400 training digits as float32 `[400, 1, 28, 28]` and returns the file's name.
fn real_digits(dir: &WorkDir) -> String {
    let bytes = fs::read(dir.path("digits/train-images-idx3-ubyte")).expect("digits");
    let values = bytes[16..].iter().flat_map(|byte| ((f32::from(*byte) - 127.5) / 127.5).to_le_bytes());
    let shape = "{'descr': '<f4', 'fortran_order': False, 'shape': (400, 1, 28, 28), }";
    let head = format!("{shape:<117}\n");
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    npy.extend((head.len() as u16).to_le_bytes());
    npy.extend(head.bytes());
    npy.extend(values);
    fs::write(dir.path("real.npy"), npy).expect("a writable folder");
    "real.npy".into()
}

#[test]
fn points_are_evaluated_in_their_original_units() {
    let dir = WorkDir::new();
    let settings =
        "train ring2d --steps 30 --set evaluate.every=30 --set evaluate.samples=500 --set train.log_every=10";
    dir.succeeds(&format!("{settings} --out ring"));
    dir.succeeds("generate ring --count 500 --out points.npy");
    let card = |line: &str| -> Value { serde_json::from_slice(&dir.succeeds(line).stdout).expect("a card") };
    let run = card("evaluate ring --samples 500 --json");
    let names: Vec<&str> = run["figures"].as_array().unwrap().iter().map(|f| f["metric"].as_str().unwrap()).collect();
    assert!(names.starts_with(&["modes", "high_quality", "reverse_kl", "energy"]), "{names:?}");
    let floor = |name: &str| run["figures"][names.iter().position(|n| *n == name).unwrap()]["floor"].as_f64().unwrap();
    assert!(floor("modes") == 8.0 && floor("high_quality") > 0.95 && floor("reverse_kl") < 0.05, "{run}");
    let array = card("evaluate points.npy --data ring --samples 500 --metrics energy --json");
    let energy = run["figures"][3]["value"].as_f64().unwrap();
    let other = array["figures"][0]["value"].as_f64().unwrap();
    assert!((energy - other).abs() < 0.2 * energy, "{energy} and {other}");
}

#[test]
fn sources_that_cannot_be_evaluated_are_refused() {
    let dir = WorkDir::with_generator();
    fs::create_dir(dir.path("empty")).expect("a folder");
    for (line, code, words) in [
        ("evaluate empty", 2, &["name real data by --data"][..]),
        ("evaluate empty --data mnist", 2, &["empty", "put images there"]),
        ("evaluate nowhere.npy --data mnist", 1, &["nowhere.npy", "cannot be read"]),
        ("evaluate generator.safetensors --metrics fid", 2, &["--protocol fid50k", "\"fd_digits\""]),
        ("evaluate generator.safetensors --metrics sliced", 2, &["now called \"swd\""]),
        ("evaluate generator.safetensors --metrics fd_inception --samples 200", 1, &["write \"fd_digits\""]),
        ("train dcgan-mnist --set evaluate.metrics=[\"fid\"]", 2, &["evaluate.metrics", "\"fd_digits\""]),
        ("train dcgan-mnist --set evaluate.best=as_asked", 2, &["evaluate.best", "\"class_accuracy\""]),
        ("evaluate generator.safetensors --metrics fud", 2, &["unknown metric", "fd_digits"]),
        ("evaluate generator.safetensors --metrics modes --samples 200", 1, &["\"modes\"", "modes to count"]),
        (
            "evaluate generator.safetensors --embedder nowhere.safetensors",
            1,
            &["nowhere.safetensors", "cannot be read"],
        ),
        (
            "evaluate generator.safetensors --embedder thumbnails --metrics digit_score --samples 200",
            1,
            &["classifies"],
        ),
        ("evaluate generator.safetensors --samples 3 --metrics coverage", 1, &["too few"]),
    ] {
        dir.gan(line).expect(code, words);
    }
}

#[test]
fn the_fid50k_protocol_refuses_unsuitable_settings() {
    let dir = WorkDir::with_generator();
    dir.succeeds("generate generator.safetensors --count 20 --out made");
    fs::write(dir.path("reference.npz"), b"no archive").expect("a file");
    let protocol = "--protocol fid50k";
    for (line, words) in [
        (format!("evaluate made --data mnist {protocol}"), &["made: has 20 images, and fid50k takes 50000"][..]),
        (format!("evaluate generator.safetensors {protocol} --samples 9"), &["--samples", "cannot be used"]),
        (format!("evaluate generator.safetensors {protocol} --metrics kid"), &["--metrics", "cannot be used"]),
        (
            format!("evaluate generator.safetensors {protocol} --set data.split=test"),
            &["data.split", "all of the training set"],
        ),
        (
            format!("evaluate generator.safetensors {protocol} --set data.limit=9"),
            &["data.limit", "all of the training set"],
        ),
        ("evaluate generator.safetensors --protocol fid5k".into(), &["unknown protocol", "fid50k"]),
        ("evaluate made --data reference.npz".into(), &["reference.npz", "--protocol fid50k"]),
    ] {
        dir.gan(&line).expect(2, words);
    }
    dir.gan(&format!("evaluate generator.safetensors --data reference.npz {protocol}")).expect(1, &["reference.npz"]);
}

#[test]
fn arrays_of_other_types_or_shapes_are_refused() {
    let dir = WorkDir::new();
    dir.first_digits("digits", 400);
    real_digits(&dir);
    let mut bytes = fs::read(dir.path("real.npy")).expect("an array");
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(dir.path("nan.npy"), &bytes).expect("a writable folder");
    dir.gan("evaluate nan.npy --data mnist").expect(1, &["nan.npy", "NaN", "nothing can be measured"]);
    dir.gan("evaluate real.npy --data ring").expect(2, &["points"]);
    dir.gan("evaluate real.npy --data mnist --set data.nmae=1").expect(2, &["nmae", "name"]);
}
