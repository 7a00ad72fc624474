//! Options of the presets on digits: both losses, both latent distributions, alternation by steps and by epochs.

use crate::common::{WorkDir, metrics};

/// Arguments of a short run on a few digits.
const FEW: &str = "--set data.dir=digits --threads 1 --set train.batch=16 --set samples.rows=2 --set samples.columns=2 --set evaluate.every=0";

fn digits() -> WorkDir {
    let dir = WorkDir::new();
    dir.first_digits("digits", 64);
    dir
}

#[test]
fn the_upsampling_presets_train_and_the_printed_one_has_no_black_pixels() {
    let dir = digits();
    for preset in ["upsample-mnist", "upsample-mnist-as-printed"] {
        dir.succeeds(&format!("train {preset} {FEW} --steps 2 --out {preset}"));
        dir.succeeds(&format!("generate {preset} --count 3 --out {preset}.npy"));
        let bytes = std::fs::read(dir.path(&format!("{preset}.npy"))).expect("a .npy file");
        let values = bytes[128..].chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes")));
        let lowest = values.fold(f32::INFINITY, f32::min);
        assert_eq!(lowest < 0.0, preset == "upsample-mnist", "{preset}: {lowest}");
    }
}

#[test]
fn the_dense_preset_trains_with_every_documented_variation() {
    let dir = digits();
    for (name, settings) in [
        ("as it is", ""),
        ("minimax", "--set loss.kind=minimax"),
        ("gaussian", "--set latent.distribution=normal"),
        ("steps", "--set train.d_steps=3 --set train.g_steps=2"),
    ] {
        dir.succeeds(&format!("train mlp-mnist {FEW} {settings} --steps 2 --out run --overwrite"));
        let lines = metrics(&dir.path("run"));
        assert!(lines.iter().all(|line| line["loss_d"].is_number() && line["loss_g"].is_number()), "{name}: {lines:?}");
        let minimax = lines.iter().all(|line| line["loss_g"].as_f64() < Some(0.0));
        assert_eq!(minimax, name == "minimax", "the value function's second term is negative: {lines:?}");
    }
    // 64 digits in batches of 16: D is updated for four batches, then G for four.
    dir.succeeds(&format!("train mlp-mnist {FEW} --set train.alternate=epochs --epochs 2 --out turns"));
    let lines = metrics(&dir.path("turns"));
    let turns: Vec<bool> = lines.iter().map(|line| line["loss_d"].is_number()).collect();
    assert_eq!(turns, [[true; 4], [false; 4]].concat());
    assert!(lines.iter().all(|line| line["loss_d"].is_number() != line["loss_g"].is_number()));
}
