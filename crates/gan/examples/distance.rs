//! The Fréchet distance of two folders of images, by features that need no download.

use std::path::Path;

/// Writes two small folders and compares them.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let (generated, photos) = (folder.path().join("generated"), folder.path().join("photos"));
    write(&generated, 90)?;
    write(&photos, 120)?;
    let card = gan::run::evaluate::distance(&generated, &photos, "texture")?;
    let figure = &card.figures[0];
    println!("{}: {}", figure.metric.title, figure.value);
    Ok(())
}

/// Writes 100 images of noise around a grey.
fn write(folder: &Path, grey: u32) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(folder)?;
    for i in 0..100u32 {
        let pixel =
            |x: u32, y: u32| image::Rgb([0, 1, 2].map(|c| (grey + (x * 31 + y * 17 + i * 13 + c * 7) % 97) as u8));
        image::RgbImage::from_fn(16, 16, pixel).save(folder.join(format!("{i}.png")))?;
    }
    Ok(())
}
