//! Outputs of a command. They are checked before any work is done, so that no computation runs for hours and then fails to write, and no output
//! replaces an input or a file of another kind.

use crate::args::usage;
use anyhow::{Result, anyhow};
use gan_base::atomic;
use gan_base::messages::counted;
use gan_data::images::is_image;
use gan_report::AnimationFormat;
use gan_run::{RunFolder, owner, resolved};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Form of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Png,
    Gif,
    WebP,
    Mp4,
    Npy,
    Html,
    /// A pack of a data set.
    Pack,
    Onnx,
    /// A Python file that this program wrote.
    Python,
    /// A weight file.
    Weights,
    /// A folder of files.
    Folder,
    /// Standard output.
    Stdout,
}

/// Endings of files that other programs write. A name with one of them is always a file, never a folder.
const FOREIGN: &str = "\
    7z arrow avi avif bin bmp bz2 ckpt csv doc docx eps exe gz h5 hdf5 heic ico ipynb jfif jpe jpeg jpg js json \
    jsonl jxl log mat md mkv mov npz parquet pdf pickle pkl ppm ps pt pth rs sh svg tar \
    tfevents tgz tif tiff toml tsv txt webm xml xz yaml zip";

impl Form {
    const ALL: [Self; 12] = [
        Self::Png,
        Self::Gif,
        Self::WebP,
        Self::Mp4,
        Self::Npy,
        Self::Html,
        Self::Pack,
        Self::Onnx,
        Self::Python,
        Self::Weights,
        Self::Folder,
        Self::Stdout,
    ];

    /// Returns the endings of its files, and an example of a name.
    fn names(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Png => (&["png"], "FILE.png"),
            Self::Gif => (&["gif"], "FILE.gif"),
            Self::WebP => (&["webp"], "FILE.webp"),
            Self::Mp4 => (&["mp4"], "FILE.mp4"),
            Self::Npy => (&["npy"], "FILE.npy"),
            Self::Html => (&["html", "htm"], "FILE.html"),
            Self::Pack => (&["ganpack"], "FILE.ganpack"),
            Self::Onnx => (&["onnx"], "FILE.onnx"),
            Self::Python => (&["py"], "FILE.py"),
            Self::Weights => (&["safetensors"], "FILE.safetensors"),
            Self::Folder => (&[], "a folder"),
            Self::Stdout => (&[], "- for standard output"),
        }
    }

    /// Returns the format of an animation with this form, where a PNG is an animated one.
    pub fn animation(self) -> Option<AnimationFormat> {
        match self {
            Self::Gif => Some(AnimationFormat::Gif),
            Self::Png => Some(AnimationFormat::Apng),
            Self::WebP => Some(AnimationFormat::WebP),
            Self::Mp4 => Some(AnimationFormat::Mp4),
            Self::Npy
            | Self::Html
            | Self::Pack
            | Self::Onnx
            | Self::Python
            | Self::Weights
            | Self::Folder
            | Self::Stdout => None,
        }
    }

    /// Returns whether a file that begins with `start` has this form.
    fn begins(self, start: &[u8]) -> bool {
        match self {
            Self::Png => start.starts_with(b"\x89PNG"),
            Self::Gif => start.starts_with(b"GIF8"),
            Self::WebP => start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP"),
            Self::Mp4 => start.get(4..8) == Some(b"ftyp"),
            Self::Npy => start.starts_with(b"\x93NUMPY"),
            Self::Html => start.trim_ascii_start().starts_with(b"<"),
            Self::Pack => start.starts_with(&gan_data::pack::MAGIC[..]),
            // The field of the IR version.
            Self::Onnx => start.starts_with(b"\x08"),
            Self::Python => start.starts_with(gan_export::PYTHON_FIRST_LINE.as_bytes()),
            // Eight bytes of the header's length, and then the header.
            Self::Weights => start.get(8) == Some(&b'{'),
            Self::Folder | Self::Stdout => false,
        }
    }
}

/// A checked output.
#[derive(Debug)]
pub struct Output {
    pub path: PathBuf,
    pub form: Form,
    option: &'static str,
}

impl Output {
    /// Parses the value of `option`, one of `forms`, and checks that it can be written without loss: its parent folder exists and is
    /// writable, and it would not replace a file of another kind, a file of a run or a filled folder.
    pub fn new(option: &'static str, path: &Path, forms: &[Form]) -> Result<Self> {
        Self::replacing(option, path, forms, None)
    }

    /// Like [`Output::new`], but the run's file `own` may be replaced too.
    pub fn replacing(option: &'static str, path: &Path, forms: &[Form], own: Option<&Path>) -> Result<Self> {
        let form = form_of(option, path, forms)?;
        // Without a separator at its end, which no file may have.
        let output = Self { option, path: path.components().collect(), form };
        let is_own = own.is_some_and(|own| resolved(own) == resolved(path));
        match output.form {
            Form::Stdout => return Ok(output),
            Form::Folder => output.check_folder()?,
            _ => output.check_file(forms, is_own)?,
        }
        if let Some(run) = owner(&output.path).filter(|_| !is_own) {
            let problem = format!("belongs to the run in {}: name another place", run.display());
            return Err(output.wrong(&problem));
        }
        output.check_writable()?;
        Ok(output)
    }

    /// Checks that the output is not one of `inputs` and does not lie in one of their folders, where it would become an input the next
    /// time.
    pub fn keep_apart_from<'a>(&self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
        if self.form == Form::Stdout {
            return Ok(());
        }
        check_apart(self.option, &self.path, inputs)
    }

    /// Checks that two outputs are different files.
    pub fn keep_apart_from_output(&self, other: &Self) -> Result<()> {
        if resolved(&self.path) == resolved(&other.path) {
            return Err(self.wrong(&format!("is what {} names too: name two files", other.option)));
        }
        Ok(())
    }

    fn check_file(&self, forms: &[Form], is_own: bool) -> Result<()> {
        let path = &self.path;
        if path.is_dir() {
            return Err(self.wrong(&format!("is a folder: name {}", named(forms))));
        }
        let Ok(found) = std::fs::metadata(path) else { return Ok(()) };
        let mut start = Vec::new();
        // Anything except a regular file, such as a pipe, may never end.
        if found.is_file() {
            File::open(path).and_then(|file| file.take(64).read_to_end(&mut start)).ok();
        }
        if !found.is_file() || (found.len() > 0 && !is_own && !self.form.begins(&start)) {
            let kind = self.form.names().0[0].to_uppercase();
            return Err(self.wrong(&format!("is there already and is no {kind} file: it stays; name another file")));
        }
        Ok(())
    }

    fn check_folder(&self) -> Result<()> {
        let path = &self.path;
        if RunFolder::is_run(path) {
            return Err(self.wrong("is the folder of a run: name a new folder"));
        }
        if !path.is_dir() {
            return match std::fs::symlink_metadata(path) {
                Ok(_) => Err(self.wrong("is a file: name a new folder")),
                Err(_) => Ok(()),
            };
        }
        let unreadable = |error| anyhow!("{}: cannot be read: {error}", path.display());
        let entries = std::fs::read_dir(path).map_err(unreadable)?.flatten();
        let names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        let mut names = names.iter().filter(|name| !name.starts_with('.')).peekable();
        let Some(first) = names.peek().copied() else { return Ok(()) };
        let problem = match names.filter(|name| is_image(Path::new(name))).count() {
            0 => format!("is not empty, it holds \"{first}\""),
            images => format!("holds {} already, and the new ones would be mixed with them", counted(images, "image")),
        };
        Err(self.wrong(&format!("{problem}: name a new or an empty folder, or remove this one first")))
    }

    /// Creates and removes a file at the output's place.
    fn check_writable(&self) -> Result<()> {
        let path = &self.path;
        let unwritable = |problem: String| anyhow!("{}: cannot be written: {problem}", path.display());
        let mut parents =
            path.ancestors().skip(1).map(|path| if path == Path::new("") { Path::new(".") } else { path });
        let probe = match self.form {
            Form::Folder if path.is_dir() => path.join("probe"),
            // Its parents are created with it.
            Form::Folder => parents.find(|above| above.exists()).unwrap_or(Path::new(".")).join("probe"),
            _ => path.clone(),
        };
        let parent = parents.next().unwrap_or(Path::new("."));
        if self.form != Form::Folder && !parent.is_dir() {
            let problem = if parent.exists() { "is a file" } else { "does not exist; create it first" };
            return Err(unwritable(format!("the folder {} {problem}", parent.display())));
        }
        atomic::check_writable(&probe).map_err(|error| unwritable(error.source.to_string()))
    }

    fn wrong(&self, problem: &str) -> anyhow::Error {
        wrong(self.option, &self.path, problem)
    }
}

/// Checks that a folder which does not exist yet does not have the name of a file: `--out run.png` is a mistake, `--out run.png/` is not.
pub fn check_folder_name(option: &'static str, path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(run) = owner(path) {
        return Err(wrong(option, path, &format!("belongs to the run in {}: name another place", run.display())));
    }
    form_of(option, path, &[Form::Folder]).map(|_| ())
}

/// Checks that `path` is not one of `inputs` and does not lie in one of them that is a folder.
pub fn check_apart<'a>(option: &'static str, path: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    for input in inputs {
        if is_same(path, input) {
            return Err(wrong(option, path, "is an input of this command, which would be lost: name another place"));
        }
        let is_inside = |out: PathBuf| resolved(input).is_some_and(|dir| out.starts_with(dir));
        if input.is_dir() && resolved(path).is_some_and(is_inside) {
            let problem = "the folder of the data, and would be taken for a part of it: name another place";
            return Err(wrong(option, path, &format!("lies in {}, {problem}", input.display())));
        }
    }
    Ok(())
}

/// Returns whether both paths lead to one file, which may have several names.
pub fn is_same(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let (Ok(a), Ok(b)) = (a.metadata(), b.metadata()) {
            return (a.dev(), a.ino()) == (b.dev(), b.ino());
        }
    }
    resolved(a).is_some_and(|a| Some(a) == resolved(b))
}

/// Returns the form in `forms` that a name selects.
fn form_of(option: &str, path: &Path, forms: &[Form]) -> Result<Form> {
    let text = path.to_string_lossy();
    let expected = named(forms);
    if text == "-" {
        let problem = || wrong(option, path, &format!("this is not written to standard output: name {expected}"));
        return forms.iter().copied().find(|form| *form == Form::Stdout).ok_or_else(problem);
    }
    let ends_as_folder = text.ends_with(std::path::is_separator);
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let of_ending = |form: &&Form| form.names().0.contains(&ending);
    let is_known = FOREIGN.split(' ').any(|known| known == ending) || Form::ALL.iter().any(|form| of_ending(&form));
    let default = forms.iter().copied().find(|form| matches!(form, Form::Folder | Form::Pack));
    match (forms.iter().find(of_ending), default) {
        (Some(form), _) if !ends_as_folder => Ok(*form),
        (_, Some(Form::Folder)) if ends_as_folder => Ok(Form::Folder),
        (_, Some(form)) if !ends_as_folder && !is_known => Ok(form),
        _ if ends_as_folder => Err(wrong(option, path, &format!("is the name of a folder: name {expected}"))),
        _ if is_known => Err(wrong(option, path, &format!(".{ending} files cannot be written here: name {expected}"))),
        _ => Err(wrong(option, path, &format!("the name has no known ending: name {expected}"))),
    }
}

/// Formats `FILE.png, FILE.npy, a folder or - for standard output`.
fn named(forms: &[Form]) -> String {
    let examples: Vec<&str> = forms.iter().map(|form| form.names().1).collect();
    match examples.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => examples.concat(),
    }
}

fn wrong(option: &str, path: &Path, problem: &str) -> anyhow::Error {
    usage(format_args!("{option} {}", path.display()), problem)
}

#[cfg(test)]
mod tests;
