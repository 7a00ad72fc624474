//! `gan interpolate --loop` and `gan project --walk`: animations without a seam, in each format.

use crate::common::{WorkDir, files};
use image::codecs::png::PngDecoder;
use image::{AnimationDecoder, RgbaImage};
use std::fs;

const FROM: &str = "interpolate generator.safetensors --loop";

/// Returns the frames of an animated PNG.
fn frames(dir: &WorkDir, name: &str) -> Vec<RgbaImage> {
    let bytes = fs::read(dir.path(name)).unwrap();
    let decoder = PngDecoder::new(std::io::Cursor::new(bytes)).unwrap();
    assert!(decoder.is_apng().unwrap());
    decoder.apng().unwrap().into_frames().map(|frame| frame.unwrap().into_buffer()).collect()
}

fn difference(a: &RgbaImage, b: &RgbaImage) -> f64 {
    let sum: u64 = a.iter().zip(b.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / a.len() as f64
}

#[test]
fn the_last_frame_leads_to_the_first() {
    let dir = WorkDir::with_generator();
    let finished = dir.succeeds(&format!("{FROM} --points 3 --frames 40 --scale 1 --out loop.png"));
    assert!(finished.text().contains("40 frames"), "{}", finished.text());
    let frames = frames(&dir, "loop.png");
    assert_eq!((frames.len(), frames[0].dimensions()), (40, (28, 28)));
    let steps: Vec<f64> = (0..40).map(|i| difference(&frames[i], &frames[(i + 1) % 40])).collect();
    let largest = steps[..39].iter().copied().fold(0.0, f64::max);
    assert!(largest > 0.0 && steps[39] <= 1.5 * largest, "{steps:?}");
    // A step is small beside what the loop shows.
    assert!(difference(&frames[0], &frames[20]) > 2.0 * largest, "{largest}");
}

#[test]
fn a_loop_passes_through_the_samples_of_its_seeds() {
    let dir = WorkDir::with_generator();
    dir.succeeds(&format!("{FROM} --seeds 5,9,7 --frames 30 --scale 1 --out loop.png"));
    let frames = frames(&dir, "loop.png");
    for (seed, frame) in [(5, 0), (9, 10), (7, 20)] {
        dir.succeeds(&format!("generate generator.safetensors --seed {seed} --count 1 --out {seed}"));
        let sample = image::open(dir.path(&format!("{seed}/0000.png"))).unwrap().into_rgba8();
        let nearest = sample.iter().zip(frames[frame].iter()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(nearest <= Some(1), "seed {seed}: {nearest:?}");
    }
    dir.gan(&format!("{FROM} --seeds 5 --out one.gif")).expect(2, &["--seeds", "at least two"]);
    dir.gan(&format!("{FROM} --seeds 5,6 --columns 2 --out two.gif")).expect(2, &["--seeds", "--columns"]);
}

#[test]
fn tiles_have_loops_of_their_own_that_do_not_depend_on_their_number() {
    let dir = WorkDir::with_generator();
    dir.succeeds(&format!("{FROM} --frames 4 --points 3 --rows 2 --columns 3 --scale 1 --out many.png"));
    dir.succeeds(&format!("{FROM} --frames 4 --points 3 --scale 1 --out one.png"));
    let (many, one) = (frames(&dir, "many.png"), frames(&dir, "one.png"));
    assert_eq!(many[0].dimensions(), (3 * 30 + 2, 2 * 30 + 2));
    let tile = |frame: usize, row: u32, column: u32| {
        image::imageops::crop_imm(&many[frame], 2 + column * 30, 2 + row * 30, 28, 28).to_image()
    };
    for (frame, picture) in one.iter().enumerate() {
        assert_eq!(&tile(frame, 0, 0), picture);
        assert!(difference(&tile(frame, 1, 2), picture) > 0.1);
    }
}

#[test]
fn each_format_holds_the_loop() {
    let dir = WorkDir::with_generator();
    for (name, start) in [("a.gif", &b"GIF89a"[..]), ("a.png", b"\x89PNG"), ("a.webp", b"RIFF")] {
        // A second run replaces the file of the first.
        for _ in 0..2 {
            dir.succeeds(&format!("{FROM} --frames 6 --fps 25 --out {name}"));
        }
        assert!(fs::read(dir.path(name)).unwrap().starts_with(start), "{name}");
    }
    dir.gan(&format!("{FROM} --fps 60 --frames 6 --out b.gif")).expect(2, &["50 frames per second", ".webp"]);
    dir.gan(&format!("{FROM} --frames 2001 --out b.gif")).expect(2, &["--frames"]);
    dir.gan("interpolate generator.safetensors --rows 2 --out b.gif").expect(2, &["--loop"]);
    assert_eq!(files(&dir.path(".")).len(), 4);
}

#[test]
#[cfg(unix)]
fn a_video_is_made_by_ffmpeg() {
    use crate::common::Finished;
    use std::os::unix::fs::PermissionsExt;
    let dir = WorkDir::with_generator();
    let line = format!("{FROM} --frames 6 --points 3 --scale 1 --rows 1 --columns 3 --out a.mp4");
    Finished::of(dir.command(&line).env("PATH", "")).expect(2, &["a.mp4", "ffmpeg", ".gif"]);
    assert_eq!(files(&dir.path(".")).len(), 1);
    // Keeps the frames as they are, with the head of a video.
    let script =
        "#!/bin/sh\nfor last; do :; done\n[ $last = -version ] && exit\n{ printf '....ftyp'; cat; } > \"$last\"\n";
    let program = dir.path("ffmpeg");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", dir.path(".").display());
    let finished = Finished::of(dir.command(&line).env("PATH", &path));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert_eq!(fs::read(dir.path("a.mp4")).unwrap().len(), 8 + 6 * 92 * 32 * 3);
    fs::write(&program, "#!/bin/sh\n[ $1 = -version ] && exit\ncat > /dev/null\necho no room >&2\nexit 1\n").unwrap();
    Finished::of(dir.command(&line).env("PATH", &path)).expect(1, &["a.mp4", "no room"]);
    assert_eq!(files(&dir.path(".")).len(), 3, "the old video stays, and nothing else");
}

#[test]
fn found_samples_are_walked_through_and_a_single_search_is_shown() {
    let dir = WorkDir::with_generator();
    dir.succeeds("generate generator.safetensors --count 2 --out two");
    let from = "project generator.safetensors --starts 2 --steps 7";
    dir.succeeds(&format!("{from} two/0000.png --walk search.png --out a.png"));
    assert_eq!(frames(&dir, "search.png").len(), 7);
    let finished = dir.succeeds(&format!("{from} two/0000.png two/0001.png --walk walk.png --out b.png"));
    assert!(finished.text().contains("structural similarity"), "{}", finished.text());
    assert_eq!(frames(&dir, "walk.png").len(), 60);
    for distance in ["pixels", "pyramid"] {
        dir.succeeds(&format!("{from} two/0000.png --distance {distance} --out c.png"));
    }
    dir.gan(&format!("{from} two/0000.png --distance features --out d.png")).expect(2, &["discriminator", "run"]);
    dir.gan(&format!("{from} two/0000.png --walk a.png --out a.png")).expect(2, &["--walk", "--out"]);
}
