//! Comparison of two folders of images in one call.

use super::{Floor, Request, Role, Subject, compare};
use crate::error::{Error, Result};
use gan_metrics::Card;
use gan_train::config::{DataConfig, EvaluateConfig};
use gan_train::layering;
use std::path::Path;

/// Compares all images of the folder `samples` with all of the folder `real`, by the features of `embedder`: "inception" for Inception-v3
/// (its weights must be downloaded separately, see `docs/evaluation.md`), "thumbnails", which contain colors and layout, "digits", or a classifier's weight
/// file. The first figure of the card is the Fréchet distance over these features.
///
/// ```no_run
/// let card = gan_run::evaluate::distance("generated".as_ref(), "photos".as_ref(), "inception")?;
/// println!("{}: {}", card.figures[0].metric.title, card.figures[0].value);
/// # Ok::<(), gan_run::Error>(())
/// ```
///
/// # Errors
/// If a folder has no images, or the network is missing.
pub fn distance(samples: &Path, real: &Path, embedder: &str) -> Result<Card> {
    let data = folder(real)?;
    let (name, subject) = (samples.display().to_string(), Subject::Folder(samples.into()));
    let (role, seed) = (Role::Reference(Floor::Skip), 0);
    let request = Request { subject, name: name.clone(), most: None, data, role, size: None, seed, protocol: None };
    let how = EvaluateConfig { embedder: embedder.into(), ..EvaluateConfig::default() };
    let (evaluator, given) = compare(request, &how, &mut |_, _| ())?;
    let mut given = given.ok_or_else(|| Error::config(&name, "holds no images"))?;
    evaluator.card(&name, &evaluator.collect_given(&mut given, &mut |_| ())?)
}

/// Returns the settings of color images in the folder `dir`.
pub(super) fn folder(dir: &Path) -> Result<DataConfig> {
    let mut table = layering::Table::new();
    layering::set(&mut table, "data={name=\"folder\", channels=3}")?;
    Ok(DataConfig { dir: Some(dir.into()), ..layering::read_data(table)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gan_report::{Colour, Picture};

    /// Returns a folder of PNGs with one gray each, from `first` on.
    fn folder(first: u8) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..12 {
            let picture = Picture::new(Colour::Rgb, [8, 8], vec![first + 5 * i; 3 * 64]).unwrap();
            picture.save_png(&dir.path().join(format!("{i}.png"))).unwrap();
        }
        dir
    }

    #[test]
    fn two_folders_are_compared_by_one_call() {
        let (dark, same, light) = (folder(0), folder(0), folder(100));
        let between =
            |a: &tempfile::TempDir, b: &tempfile::TempDir| distance(a.path(), b.path(), "thumbnails").unwrap();
        let (near, far) = (between(&dark, &same), between(&light, &same));
        assert_eq!(near.figures[0].metric.key, "fd_thumbnails");
        assert_eq!((near.samples, near.reference.samples, near.reference.split.as_str()), (12, 12, "all"));
        assert!(near.figures[0].value < 1e-6 && far.figures[0].value > 1.0, "{near} {far}");
        assert!(distance(Path::new("nowhere"), dark.path(), "thumbnails").is_err());
    }
}
