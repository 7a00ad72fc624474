//! MP4 video. There is no encoder of video in Rust that players everywhere understand, so the frames go through a pipe to `ffmpeg`.

use super::Animation;
use crate::{Error, Picture};
use gan_base::atomic::AtomicFile;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = "ffmpeg";
const INSTEAD: &str = "name a .gif, .png or .webp file, which need no other program";

/// Checks that the program is there.
pub(super) fn check() -> Result<(), Error> {
    let mut command = Command::new(PROGRAM);
    command.arg("-version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().map(drop).map_err(|error| missing(&error))
}

pub(super) fn save(animation: &Animation, path: &Path) -> Result<(), Error> {
    let file = AtomicFile::create(path)?;
    let [width, height] = animation.size().map(even);
    let mut command = Command::new(PROGRAM);
    command.args(["-nostdin", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]);
    command.args(["-s", &format!("{width}x{height}"), "-r", &animation.fps.to_string(), "-i", "pipe:0"]);
    // Most players know no other format of pixels. The index comes first, so that a page can show the video while it loads.
    command.args(["-an", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4", "-y"]);
    command.arg(file.temporary());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = piped.map_err(|error| missing(&error))?;
    let sent = send(animation, &mut child);
    let output = child.wait_with_output().map_err(|error| failed(path, &error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(path, said.trim().lines().last().unwrap_or("it gave no reason")));
    }
    sent?;
    Ok(file.commit()?)
}

fn missing(error: &std::io::Error) -> Error {
    let problem = match error.kind() {
        ErrorKind::NotFound => "is not on the PATH: install it".into(),
        _ => format!("cannot be started: {error}"),
    };
    Error::Program(format!("a video needs the program {PROGRAM}, which {problem}, or {INSTEAD}"))
}

fn failed(path: &Path, reason: &str) -> Error {
    Error::Program(format!("{}: {PROGRAM} failed: {reason}; {INSTEAD}", path.display()))
}

/// Sends the frames through the pipe and closes it. An end of the program shows in its status, with its own reason.
fn send(animation: &Animation, child: &mut Child) -> Result<(), Error> {
    let Some(mut pipe) = child.stdin.take() else { return Ok(()) };
    for frame in animation.enlarged() {
        if pipe.write_all(even_sides(&frame?.to_rgb())?.data()).is_err() {
            break;
        }
    }
    Ok(())
}

/// Returns the next even number, because the video has half as many colors as pixels along each side.
fn even(side: usize) -> usize {
    side.next_multiple_of(2)
}

/// Repeats the last column and row of an odd side.
fn even_sides(picture: &Picture) -> Result<Picture, Error> {
    let size = [picture.width(), picture.height()].map(even);
    let width = picture.width() * picture.colour().channels();
    let row = |y: usize| {
        let row = &picture.data()[y.min(picture.height() - 1) * width..][..width];
        let last = &row[width - picture.colour().channels()..];
        [row, &last[..if size[0] > picture.width() { last.len() } else { 0 }]].concat()
    };
    Picture::new(picture.colour(), size, (0..size[1]).flat_map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Colour;

    #[test]
    fn odd_sides_become_even() {
        let odd = Picture::new(Colour::Rgb, [1, 3], (0..9).collect()).unwrap();
        let even = even_sides(&odd).unwrap();
        assert_eq!((even.width(), even.height()), (2, 4));
        let rows = [[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5], [6, 7, 8, 6, 7, 8], [6, 7, 8, 6, 7, 8]];
        assert_eq!(even.data(), rows.concat());
        assert_eq!(even_sides(&even).unwrap(), even);
    }
}
