//! `gan generate --seeds`, `--truncations`, `--top` and `--bottom`: sheets with captions.

use crate::common::{SMALL, WorkDir, files};
use gan_report::Picture;

const FROM: &str = "generate generator.safetensors";
/// Side of an enlarged sample, its gap, and the height of a caption.
const SIDE: usize = 3 * 28;
const GAP: usize = 2;
const LINE: usize = 15;

fn sheet(dir: &WorkDir, name: &str) -> Picture {
    Picture::open_png(&dir.path(name)).unwrap()
}

/// Returns the pixels of the sample whose top left corner is `(left, top)`, before it was enlarged.
fn sample(sheet: &Picture, [left, top]: [usize; 2]) -> Vec<u8> {
    let pixel = |y: usize, x: usize| sheet.pixel(left + 3 * x, top + 3 * y).unwrap()[0];
    (0..28).flat_map(|y| (0..28).map(move |x| pixel(y, x))).collect()
}

/// Returns the pixels of the first sample of a seed.
fn first(dir: &WorkDir, seed: u64) -> Vec<u8> {
    let folder = format!("seed-{seed}");
    dir.succeeds(&format!("{FROM} --seed {seed} --count 1 --out {folder}"));
    sheet(dir, &format!("{folder}/0000.png")).data().to_vec()
}

#[test]
fn each_tile_of_a_sheet_of_seeds_can_be_made_alone() {
    let dir = WorkDir::with_generator();
    dir.succeeds(&format!("{FROM} --seeds 3,10-11 --grid 2x2 --out seeds.png"));
    let seeds = sheet(&dir, "seeds.png");
    assert_eq!((seeds.width(), seeds.height()), (2 * (SIDE + GAP) + GAP, 2 * (SIDE + GAP + LINE) + GAP));
    for (seed, row, column) in [(3, 0, 0), (10, 0, 1), (11, 1, 0)] {
        let corner = [GAP + column * (SIDE + GAP), GAP + row * (SIDE + GAP + LINE) + LINE];
        assert_eq!(sample(&seeds, corner), first(&dir, seed), "seed {seed}");
    }
}

#[test]
fn a_row_of_truncations_begins_with_the_whole_sample_and_becomes_typical() {
    let dir = WorkDir::with_generator();
    dir.succeeds(&format!("{FROM} --truncations none,1,0.05,0.01 --count 2 --seed 4 --out t.png"));
    let drawn = sheet(&dir, "t.png");
    assert_eq!((drawn.width(), drawn.height()), (4 * (SIDE + GAP) + GAP, 2 * (SIDE + GAP) + LINE + GAP));
    let at = |row: usize, column: usize| sample(&drawn, [GAP + column * (SIDE + GAP), GAP + LINE + row * (SIDE + GAP)]);
    assert_eq!(at(0, 0), first(&dir, 4));
    let difference = |a: Vec<u8>, b: Vec<u8>| a.iter().zip(&b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
    // Both rows end near G(0).
    assert!(difference(at(0, 3), at(1, 3)) < difference(at(0, 0), at(1, 0)) / 10);
}

#[test]
fn samples_are_ranked_by_the_discriminator_of_the_run() {
    let dir = WorkDir::new();
    dir.succeeds(&format!("train {SMALL} --steps 3 --out run"));
    dir.succeeds("generate run --count 20 --top 5 --bottom 2 --out ranked.png");
    let ranked = sheet(&dir, "ranked.png");
    let rows = |n: usize| n * (SIDE + GAP + LINE) + GAP + LINE + GAP;
    assert_eq!((ranked.width(), ranked.height()), (3 * (SIDE + GAP) + GAP, rows(2) + rows(1)));
    // The same discriminator supplies the features of projections.
    dir.succeeds("generate run --count 1 --out one");
    let distances = ["", "--distance features"].map(|option| {
        dir.succeeds(&format!("project run one/0000.png --starts 2 --steps 5 {option} --out p.png")).stdout
    });
    assert_eq!(distances[0], distances[1]);
    dir.gan("generate run --count 4 --top 5 --out few.png").expect(2, &["--top", "4 samples"]);
    dir.gan("generate run/generator.safetensors --top 5 --out file.png").expect(2, &["discriminator", "run's folder"]);
}

#[test]
fn options_that_do_not_fit_a_sheet_are_refused() {
    let dir = WorkDir::with_generator();
    for (options, words) in [
        ("--seeds 3-1", ["--seeds", "1-64,100"]),
        ("--seeds 1-3 --seed 2", ["--seeds", "--seed"]),
        ("--seeds 1-9 --grid 2x2", ["--grid 2x2", "9 seeds"]),
        ("--seeds 1-9 --out a.npy", ["--seeds", "a.npy"]),
        ("--truncations 1,0", ["--truncations", "0.01"]),
        ("--truncations 1 --grid 2x2", ["--truncations", "--grid"]),
        ("--truncations 1 --top 3", ["--truncations", "--top"]),
        ("--top 0", ["--top", "1 to 1000"]),
        ("--bottom -1", ["'-1' for '--bottom <N>'", "1 to 1000"]),
        ("--seeds -3", ["'-3' for '--seeds <LIST>'", "1-64,100"]),
    ] {
        dir.gan(&format!("{FROM} {options}")).expect(2, &words);
    }
    assert_eq!(files(&dir.path(".")).len(), 1);
}
