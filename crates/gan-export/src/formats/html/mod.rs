//! HTML: one page in which the generator runs, for exploring its latent space without installing anything.
//!
//! The page holds the weights and the WebAssembly module of `gan-web`, both as base64 of gzip, and requests nothing. In reading order: this file (the
//! page), `page.html`, `page.css`, `js/`.

use super::{ExportedFile, Format};
use crate::error::{Error, Result};
use crate::{Model, Network, directions, embedded};
use gan_base::messages::counted;
use gan_core::summary::grouped;
use gan_core::{Distribution, Generator, LayeredGenerator, weights};
use gan_report::shell::{self, Permission, fill, policy, text};
use serde_json::json;
use std::path::Path;

/// A page in which the generator runs.
pub static HTML: Format = Format {
    name: "html",
    ending: "html",
    about: "a page in which the generator runs: sliders, seeds, classes, walks between samples",
    files,
    paths: |path| vec![path.to_path_buf()],
};

const TEMPLATE: &str = include_str!("page.html");
const STYLES: [&str; 2] = [shell::STYLE, include_str!("page.css")];
/// Parts of the one script element, in this order.
const SCRIPTS: [&str; 6] = [
    shell::SCRIPT,
    embedded::SCRIPT,
    include_str!("js/generator.js"),
    include_str!("js/views.js"),
    include_str!("js/explorer.js"),
    include_str!("js/start.js"),
];

/// Maximum size of the weights. Browsers refuse texts of more than about half a gigabyte.
const MOST_BYTES: usize = 256 << 20;

/// Number of sliders, if the latent space has as many dimensions.
const DIRECTIONS: usize = 10;

fn files(model: &Model, path: &Path) -> Result<Vec<ExportedFile>> {
    let Network::Generator(generator) = &model.network else {
        return unsupported("is for generators, this is a discriminator");
    };
    if let [channels, _, _] = generator.network().output()
        && *channels > 4
    {
        return unsupported(&format!("is for images of 1 to 4 channels, this generator makes {channels}"));
    }
    let weights = weights::to_bytes(&generator.params(), &model.description)?;
    if weights.len() > MOST_BYTES {
        let size = weights.len() >> 20;
        let most = MOST_BYTES >> 20;
        return unsupported(&format!("is for weights of at most {most} MiB, these have {size} MiB"));
    }
    let html = page(model, generator, &weights)?;
    Ok(vec![ExportedFile { path: path.to_path_buf(), bytes: html.into_bytes() }])
}

fn unsupported<T>(problem: &str) -> Result<T> {
    Err(Error::Unsupported(format!("--format {} {problem}", HTML.name)))
}

/// Returns the page. The same model gives the same bytes.
fn page(model: &Model, generator: &LayeredGenerator, weights: &[u8]) -> Result<String> {
    let description = &model.description;
    let directions = directions::principal(generator, &description.latent, DIRECTIONS)?;
    let distribution = match description.latent.distribution {
        Distribution::Normal => "normal",
        Distribution::Uniform => "uniform",
    };
    let data = json!({ "distribution": distribution, "directions": directions });
    let style = STYLES.concat();
    let script = SCRIPTS.concat();
    let pin_hint = match description.data.shape.len() {
        1 => "Click a point to pin it.",
        _ => "Pin samples that you like.",
    };
    Ok(fill(
        TEMPLATE,
        &[
            ("policy", &policy(&style, &script, Permission::WebAssembly)),
            ("title", &text(&format!("{} generator", description.preset))),
            ("lead", &text(&lead(model))),
            ("style", &style),
            ("pin_hint", pin_hint),
            ("data", &shell::json(&data)),
            ("module", &embedded::base64(embedded::GENERATOR)),
            ("weights", &embedded::base64(&embedded::gzip(weights))),
            ("script", &script),
        ],
    ))
}

/// Returns the line under the heading: what the generator makes, and how it was trained.
fn lead(model: &Model) -> String {
    let description = &model.description;
    let made = match description.data.shape[..] {
        [channels, height, width] => {
            format!("Images of {height}×{width} pixels and {}", counted(channels, "channel"))
        }
        _ => format!("Points of {}", counted(description.data.shape.len(), "coordinate")),
    };
    let latent = counted(description.latent.dim, "number");
    let step = grouped(description.step as usize);
    format!("{made} from latent vectors of {latent}. Data set {}, training step {step}.", description.data.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_styles_cannot_end_their_elements() {
        for part in SCRIPTS.iter().chain(&STYLES) {
            assert!(!part.contains("</") && !part.contains("<!--"));
        }
        assert_eq!((HTML.paths)(Path::new("a.html")), [Path::new("a.html")]);
    }
}
