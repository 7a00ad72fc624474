//! CelebA: JPEG files as they are, and the lists that the authors' archive has beside them.

use super::{Count, Parts};
use crate::Error;
use crate::fetch::place::Staging;
use crate::fetch::rows::Sample;

/// The forty attributes, in the order of `list_attr_celeba.txt`. Source: Liu, Luo, Wang, Tang 2015, arXiv:1411.7766.
const ATTRIBUTES: [&str; 40] = [
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
];

/// One image's line in the lists.
struct Line {
    name: String,
    /// 0 train, 1 valid, 2 test, as in `list_eval_partition.txt`.
    part: u8,
    attributes: [bool; 40],
}

pub(super) fn write(parts: &Parts, staging: &mut Staging, count: &mut Count<'_>) -> Result<(), Error> {
    let mut lines = Vec::new();
    for (files, part) in [&parts.train, &parts.valid, &parts.test].into_iter().zip(0..) {
        count.rows(files, |sample| {
            let line = Line { name: name(&sample, lines.len() + 1), part, attributes: attributes(&sample)? };
            if !sample.image.data().starts_with(&[0xff, 0xd8, 0xff]) {
                return Err(format!("an image that is no JPEG file, {}", line.name).into());
            }
            staging.write(&format!("img_align_celeba/{}", line.name), sample.image.data())?;
            lines.push(line);
            Ok(())
        })?;
    }
    lines.sort_by(|a, b| a.name.cmp(&b.name));
    staging.write("list_attr_celeba.txt", list_of_attributes(&lines).as_bytes())?;
    let parts: String = lines.iter().map(|line| format!("{} {}\n", line.name, line.part)).collect();
    staging.write("list_eval_partition.txt", parts.as_bytes())
}

/// The file's own name where it has the archive's form, `000001.jpg`; else the image's number in it.
fn name(sample: &Sample, number: usize) -> String {
    let own = sample.name.as_deref().and_then(|path| path.rsplit('/').next());
    let is_archives = |name: &&str| {
        name.strip_suffix(".jpg").is_some_and(|digits| digits.len() == 6 && digits.bytes().all(|d| d.is_ascii_digit()))
    };
    own.filter(is_archives).map_or_else(|| format!("{number:06}.jpg"), String::from)
}

/// Present where the column says 1 or true; absent where it says 0, −1 or false.
fn attributes(sample: &Sample) -> Result<[bool; 40], String> {
    let mut found = [None; 40];
    for (name, value) in &sample.numbers {
        if let Some(at) = ATTRIBUTES.iter().position(|known| known.eq_ignore_ascii_case(name)) {
            found[at] = Some(*value == 1);
        }
    }
    match found.iter().position(Option::is_none) {
        Some(at) => Err(format!("no attribute \"{}\"", ATTRIBUTES[at])),
        None => Ok(found.map(|value| value == Some(true))),
    }
}

/// The archive's form: how many, the names, then a line an image with 1 and -1.
fn list_of_attributes(lines: &[Line]) -> String {
    let line = |line: &Line| {
        let values: String = line.attributes.iter().map(|&has| if has { "  1" } else { " -1" }).collect();
        format!("{}{values}\n", line.name)
    };
    format!("{}\n{}\n{}", lines.len(), ATTRIBUTES.join(" "), lines.iter().map(line).collect::<String>())
}
