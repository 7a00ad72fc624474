//! Pictures in a run folder, known or not.

use crate::folder::{entries, file_name};
use crate::pictures::frames;
use gan_report::{Sequence, Single};
use std::path::{Path, PathBuf};

/// Folder, heading and caption of the sequences that training draws, in the order of the page.
const SEQUENCES: [(&str, &str, &str); 4] = [
    ("samples", "Samples", "What G makes of the same latent vectors after each of these steps."),
    (
        "planes",
        "Features of D",
        "Where D’s last hidden layer puts real and generated samples: before D’s update, after it, and after G’s.",
    ),
    ("surfaces", "Decision surface of D", "How real D holds each place of the plane to be."),
    ("meshes", "Latent grid", "A grid in the latent space, and where G puts it."),
];

/// Files that training writes into `pictures/`.
const SINGLES: [(&str, &str); 3] = [
    ("batch.png", "A training batch, as D sees it."),
    ("real-and-generated.png", "Real samples beside generated ones."),
    ("neighbours.png", "Generated samples, each with the real ones nearest to it: copies would be seen here."),
];

/// Returns every folder with pictures of steps, and every picture in `pictures/`.
pub(super) fn found(run: &Path, notes: &mut Vec<String>) -> (Vec<Sequence>, Vec<Single>) {
    let mut folders: Vec<PathBuf> = entries(run).filter(|path| path.is_dir()).collect();
    folders.sort_by_key(|folder| place(&SEQUENCES.map(|known| known.0), &file_name(folder)));
    let sequences: Vec<Sequence> = folders.iter().filter_map(|folder| sequence(folder)).collect();
    if !sequences.iter().any(|sequence| sequence.name == SEQUENCES[0].1) {
        notes.push("There are no samples yet: samples/ holds no step-….png.".into());
    }
    let mut pictures: Vec<PathBuf> = entries(&run.join("pictures")).filter(|path| is_png(path)).collect();
    pictures.sort_by_key(|picture| place(&SINGLES.map(|known| known.0), &file_name(picture)));
    (sequences, pictures.into_iter().map(single).collect())
}

/// Sort key: the known names in their own order, then the others by name.
fn place(known: &[&str], name: &str) -> (usize, String) {
    (known.iter().position(|other| *other == name).unwrap_or(known.len()), name.to_string())
}

fn sequence(folder: &Path) -> Option<Sequence> {
    let frames = frames(folder);
    let own = file_name(folder);
    let known = SEQUENCES.iter().find(|(folder, ..)| *folder == own);
    let (name, caption) = known.map_or((own.as_str(), ""), |(_, name, caption)| (*name, *caption));
    let sequence = Sequence { name: name.into(), caption: caption.into(), frames };
    (!sequence.frames.is_empty()).then_some(sequence)
}

fn single(path: PathBuf) -> Single {
    let own = file_name(&path);
    let known = SINGLES.iter().find(|(file, _)| *file == own);
    Single { caption: known.map_or(own.clone(), |(_, caption)| (*caption).into()), path }
}

fn is_png(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|extension| extension == "png") && !file_name(path).starts_with('.')
}
