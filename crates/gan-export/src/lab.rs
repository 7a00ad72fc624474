//! A page in which a GAN of points in the plane is trained: the laboratory.
//!
//! The training runs in the WebAssembly module of `gan-web` with its feature `lab`. The page is told what it offers: settings of presets, losses,
//! penalties and optimizers.

use crate::embedded;
use gan_report::shell::{self, Permission, fill, policy};
use serde::Serialize;
use serde_json::{Value, json};

const TEMPLATE: &str = include_str!("lab/page.html");
const STYLES: [&str; 2] = [shell::STYLE, include_str!("lab/page.css")];
/// Parts of the one script element, in this order.
const SCRIPTS: [&str; 5] = [
    shell::SCRIPT,
    embedded::SCRIPT,
    include_str!("lab/js/views.js"),
    include_str!("lab/js/lab.js"),
    include_str!("lab/js/controls.js"),
];

/// What a laboratory offers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lab {
    /// Presets. The page starts with the first.
    pub presets: Vec<LabPreset>,
    /// Names of the losses.
    pub losses: Vec<String>,
    /// Names of the penalties on D's gradient, whose weights can be set.
    pub penalties: Vec<String>,
    /// An example of each kind of optimizer, as in TOML.
    pub optimizers: Vec<Value>,
}

/// Settings with a name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabPreset {
    /// Name.
    pub name: String,
    /// Settings of `gan_web::Lab`, with `d_steps` and `g_steps`, the updates in a round.
    pub setup: Value,
}

impl Lab {
    /// Returns the page. The same laboratory gives the same bytes.
    pub fn page(&self) -> String {
        let style = STYLES.concat();
        let script = SCRIPTS.concat();
        fill(
            TEMPLATE,
            &[
                ("policy", &policy(&style, &script, Permission::WebAssembly)),
                ("style", &style),
                ("data", &shell::json(&json!(self))),
                ("module", &embedded::base64(embedded::LAB)),
                ("script", &script),
            ],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_styles_cannot_end_their_elements() {
        for part in SCRIPTS.iter().chain(&STYLES) {
            assert!(!part.contains("</") && !part.contains("<!--"));
        }
    }
}
