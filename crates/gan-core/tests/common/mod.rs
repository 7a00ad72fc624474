//! Reads layer lists in TOML.

use gan_core::Layer;

#[derive(serde::Deserialize)]
struct List {
    layers: Vec<Layer>,
}

#[allow(dead_code, reason = "some test programs do not need it")]
pub const KERAS: &str = r#"[
  { dense = 6272 }, { reshape = [128, 7, 7] },
  { conv_transpose = 128, kernel = 4, stride = 2, padding = "same" }, { batch_norm = {} }, { leaky_relu = 0.01 },
  { conv = 1, kernel = 7, padding = "same" }, "tanh",
]"#;

/// Returns the layers of a list in TOML.
pub fn layers(text: &str) -> Vec<Layer> {
    read(text).unwrap()
}

/// Returns the layers of a list in TOML, or the error message.
pub fn read(text: &str) -> Result<Vec<Layer>, String> {
    toml::from_str::<List>(&format!("layers = {text}")).map(|l| l.layers).map_err(|e| e.message().to_string())
}
