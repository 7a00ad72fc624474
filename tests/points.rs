//! Presets on points: curve2d behaves as its article describes, and samples are in the data's original units.

use crate::common::{Finished, WorkDir};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Reads the lines of planes.jsonl.
fn features(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("planes.jsonl")).expect("planes.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON in each line")).collect()
}

/// Reads points `[N, 2]` of a .npy file.
fn npy(path: &Path) -> Vec<[f64; 2]> {
    let bytes = fs::read(path).expect("a .npy file");
    let head = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let values: Vec<f64> =
        bytes[head..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")).into()).collect();
    values.chunks_exact(2).map(|p| [p[0], p[1]]).collect()
}

fn share(lines: &[Value], key: &str) -> f64 {
    lines.iter().filter(|line| line[key] == true).count() as f64 / lines.len() as f64
}

#[test]
fn curve2d_learns_the_curve_and_its_features_as_in_the_article() {
    let dir = WorkDir::new();
    let few = "--threads 1 --set samples.every=50000 --set checkpoint.every=100000";
    let finished = dir.succeeds(&format!("train curve2d {few} --out run"));
    assert!(
        finished.text().contains("features   in 10001 steps G's update moved real ones by at most 0,"),
        "{}",
        finished.text()
    );
    let lines = features(&dir.path("run"));
    assert!(lines.iter().all(|line| line["real_moved_by_g"] == 0.0), "G's update leaves real features alone");
    assert!(lines.iter().any(|line| line["before_d"]["real"] != line["after_d"]["real"]), "D's update moves them");
    assert!(share(&lines[..100], "towards") > 0.5 && share(&lines, "convinced") > 0.75);
    let last = &lines[lines.len() - 1000..];
    let mean =
        |key: &str| last.iter().filter_map(|line| line["after_g"][key].as_f64()).sum::<f64>() / last.len() as f64;
    assert!((mean("d_real") - 0.5).abs() < 0.03 && (mean("d_fake") - 0.5).abs() < 0.03, "D cannot tell in the end");
    let distance = |line: &Value| line["after_g"]["distance"].as_f64().unwrap_or(f64::NAN);
    assert!(last.iter().map(distance).sum::<f64>() / 1000.0 < 0.1, "the centroids meet");
    for name in ["planes", "surfaces", "meshes", "samples"] {
        assert_eq!(fs::read_dir(dir.path("run").join(name)).expect(name).count(), 3, "{name}");
    }
    assert!(
        ["planes.gif", "surfaces.gif", "meshes.gif", "progress.gif"].iter().all(|f| dir.path("run").join(f).is_file())
    );

    dir.succeeds("generate run --count 5000 --out points.npy");
    let points = npy(&dir.path("points.npy"));
    let off = points.iter().map(|[x, y]| (y - (10.0 + x * x)).abs()).sum::<f64>() / points.len() as f64;
    assert!(off < 0.02 * 2500.0, "mean vertical distance {off}");
    let mut covered = [false; 50];
    points.iter().filter(|[x, _]| (-50.0..50.0).contains(x)).for_each(|[x, _]| covered[(x + 50.0) as usize / 2] = true);
    assert!(covered.iter().filter(|c| **c).count() >= 45, "{covered:?}");
}

#[test]
fn every_preset_of_points_trains_and_writes_its_pictures() {
    let dir = WorkDir::new();
    for preset in ["sine2d", "cosine2d", "poly2d", "two-curves2d", "curve3d", "ring2d", "grid2d"] {
        dir.succeeds(&format!("train {preset} --steps 20 --threads 1 --set samples.every=10 --out {preset}"));
        dir.succeeds(&format!("generate {preset} --count 100 --out {preset}.png"));
        let run = dir.path(preset);
        assert_eq!(fs::read_dir(run.join("samples")).expect("samples").count(), 2, "{preset}");
        assert_eq!(run.join("surfaces").is_dir(), preset != "curve3d", "{preset}");
        assert_eq!(features(&run).len(), 2, "{preset}");
    }
}

#[test]
fn a_stopped_run_on_points_resumes_to_the_same_files() {
    let dir = WorkDir::new();
    let small = "--threads 1 --set samples.every=20 --set checkpoint.every=20";
    dir.succeeds(&format!("train curve2d {small} --steps 60 --out whole"));
    dir.succeeds(&format!("train curve2d {small} --steps 40 --out parts"));
    dir.succeeds("train parts --resume --steps 60");
    for file in ["planes.jsonl", "planes/step-0000060.png", "surfaces/step-0000060.png", "generator.safetensors"] {
        let read = |run: &str| fs::read(dir.path(run).join(file)).expect(file);
        assert_eq!(read("whole"), read("parts"), "{file}");
    }
}

#[test]
fn curves_and_networks_can_be_changed_by_settings() {
    let dir = WorkDir::new();
    let line = "train curve2d --steps 2 --set generator.hidden=[8,8,8] --set discriminator.hidden=[4] --set \
                generator.activation=tanh --set discriminator.features=3 --out run";
    dir.succeeds(line);
    let mut command = dir.command("train curve2d --steps 2 --out other --set");
    command.arg("data.curve.curves=[{ polynomial = [1, 2] }, { sine = 3, period = 20 }]");
    assert_eq!(Finished::of(&mut command).code, Some(0));
    let config = fs::read_to_string(dir.path("other/config.toml")).expect("config.toml");
    assert!(config.contains("period = 20"), "{config}");
    let refused = [
        ("--set data.curve.x=[3,3]", "data.curve.x: found [3.0, 3.0]"),
        ("--set data.ring.modes=3", "data.ring: is for data.name = \"ring\""),
        ("--set data.channels=3", "the points of curve have 2 coordinates"),
        ("--set generator.features=2", "generator.features: is for the discriminator"),
        ("--set generator.hidden=[0]", "generator.hidden: 0 cannot be used"),
        ("--set generator.width=8", "generator.width: is for family = \"dcgan\""),
    ];
    for (setting, words) in refused {
        dir.gan(&format!("train curve2d --out no {setting}")).expect(2, &[words]);
    }
}
