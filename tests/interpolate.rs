//! `gan interpolate`: a looping animation, or a strip from the first sample to the last.

use crate::common::{WorkDir, files};
use gan_report::Picture;
use std::fs;

const FROM: &str = "interpolate generator.safetensors";

/// Counts the frames of a GIF: each has one graphic control extension.
fn frames(gif: &[u8]) -> usize {
    gif.windows(3).filter(|w| *w == [0x21, 0xf9, 0x04]).count()
}

#[test]
fn an_animation_visits_every_point_and_returns_to_the_first() {
    let dir = WorkDir::with_generator();
    let finished = dir.succeeds(&format!("{FROM} --points 3 --frames 4 --out walk.gif"));
    assert!(finished.text().contains("walk.gif") && finished.text().contains("12 frames"), "{}", finished.text());
    let gif = fs::read(dir.path("walk.gif")).unwrap();
    assert!(gif.starts_with(b"GIF89a") && gif.windows(11).any(|w| w == b"NETSCAPE2.0"));
    assert_eq!(frames(&gif), 12);
}

#[test]
fn a_strip_ends_at_the_last_point() {
    let dir = WorkDir::with_generator();
    dir.succeeds(&format!("{FROM} --points 2 --frames 9 --out strip.png"));
    let strip = Picture::open_png(&dir.path("strip.png")).unwrap();
    assert_eq!((strip.width(), strip.height()), (2 * (10 * 30 + 2), 2 * 32));
}

#[test]
fn the_walk_depends_on_the_seed() {
    let dir = WorkDir::with_generator();
    for (seed, out) in [(1, "a.gif"), (1, "b.gif"), (2, "c.gif")] {
        dir.succeeds(&format!("{FROM} --points 2 --frames 3 --seed {seed} --out {out}"));
    }
    let [a, b, c] = ["a.gif", "b.gif", "c.gif"].map(|name| fs::read(dir.path(name)).unwrap());
    assert!(a == b && a != c);
}

#[test]
fn other_output_formats_are_refused() {
    let dir = WorkDir::with_generator();
    dir.gan(&format!("{FROM} --out walk.avi")).expect(2, &["walk.avi", ".gif", ".webp", ".mp4", ".png"]);
    dir.gan(&format!("{FROM} --points 1 --out walk.gif")).expect(2, &["--points"]);
    assert_eq!(files(&dir.path(".")).len(), 1);
}
