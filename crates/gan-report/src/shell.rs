//! What all pages of the toolkit share: colours, basic style, the colour switch, and how a page is put together so that it can load nothing.

pub use crate::markup::{json, text};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

/// Basic style of every page, before its own.
pub const STYLE: &str = include_str!("shell/base.css");

/// Script of every page, before its own: `startTheme` makes the button `#theme` switch colours.
pub const SCRIPT: &str = include_str!("shell/theme.js");

/// What a page may do beyond showing itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Nothing.
    Nothing,
    /// Compile the WebAssembly module that is in the file.
    WebAssembly,
}

/// Returns the Content Security Policy (W3C, level 3, section 2.3): nothing may be loaded, pictures are in the file itself, and exactly this
/// style and this script are used, so that even markup that escaped the escaping could not run.
pub fn policy(style: &str, script: &str, permission: Permission) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let module = if permission == Permission::WebAssembly { " 'wasm-unsafe-eval'" } else { "" };
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; script-src 'sha256-{}'{module}; base-uri 'none'; form-action 'none'",
        hash(style),
        hash(script)
    )
}

/// Replaces each `{{name}}` of `template` by its value, without replacing anything in values.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut parts = template.split("{{");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (name, rest) = part.split_once("}}").unwrap_or(("", part));
        let value = values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value);
        out.extend([value, rest]);
    }
    out
}
