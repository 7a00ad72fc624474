//! The messages inside the records, with the few fields that are needed. Sources: tensorflow's `event.proto`, `summary.proto`, `tensor.proto`,
//! and TensorBoard's `hparams/plugin_data.proto`.
//!
//! A field is its number and wire type in one byte, then its value.

/// Wire types of protobuf.
const VARINT: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const BYTES: u8 = 2;
const FOUR_BYTES: u8 = 5;

/// Value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Hyperparameter {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// Yes or no.
    Switch(bool),
}

/// `Event { wall_time: 1, file_version: 3 }`, the first record of every file.
pub(super) fn file_version(wall_time: f64) -> Vec<u8> {
    let mut event = head(wall_time, None);
    bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// `Summary.Value { tag: 1, simple_value: 2 }`.
pub(super) fn scalar(wall_time: f64, step: u64, tag: &str, number: f32) -> Vec<u8> {
    let mut value = tagged(tag);
    value.push(key(2, FOUR_BYTES));
    value.extend(number.to_le_bytes());
    summary(wall_time, Some(step), &value)
}

/// `Summary.Value { tag: 1, image: 4 { height: 1, width: 2, colorspace: 3, encoded_image_string: 4 } }`.
pub(super) fn image(wall_time: f64, step: u64, tag: &str, png: &[u8], size: [usize; 2], channels: usize) -> Vec<u8> {
    let mut image = vec![];
    let [width, height] = size;
    for (field, number) in [(1, height), (2, width), (3, channels)] {
        image.push(key(field, VARINT));
        varint(&mut image, number as u64);
    }
    bytes(&mut image, 4, png);
    let mut value = tagged(tag);
    bytes(&mut value, 4, &image);
    summary(wall_time, Some(step), &value)
}

/// `Summary.Value { tag: 1, tensor: 8 { dtype: 1 = DT_STRING, tensor_shape: 2 { dim: 2 { size: 1 = 1 } }, string_val: 8 }, metadata: 9 }`.
pub(super) fn text(wall_time: f64, step: u64, tag: &str, markdown: &str) -> Vec<u8> {
    const DT_STRING: u8 = 7;
    let mut tensor = vec![key(1, VARINT), DT_STRING];
    let mut shape = vec![];
    bytes(&mut shape, 2, &[key(1, VARINT), 1]);
    bytes(&mut tensor, 2, &shape);
    bytes(&mut tensor, 8, markdown.as_bytes());
    let mut value = tagged(tag);
    bytes(&mut value, 8, &tensor);
    bytes(&mut value, 9, &metadata("text", None));
    summary(wall_time, Some(step), &value)
}

/// `HParamsPluginData { session_start_info: 3 { hparams: 1 (map of Value), start_time_secs: 5 } }`, as the content of a summary's metadata.
pub(super) fn hyperparameters(wall_time: f64, settings: &[(String, Hyperparameter)]) -> Vec<u8> {
    let mut start = vec![];
    for (name, setting) in settings {
        let mut value = vec![];
        match setting {
            Hyperparameter::Number(number) => {
                value.push(key(2, EIGHT_BYTES));
                value.extend(number.to_le_bytes());
            }
            Hyperparameter::Text(text) => bytes(&mut value, 3, text.as_bytes()),
            Hyperparameter::Switch(is_on) => value.extend([key(4, VARINT), u8::from(*is_on)]),
        }
        let mut entry = vec![];
        bytes(&mut entry, 1, name.as_bytes());
        bytes(&mut entry, 2, &value);
        bytes(&mut start, 1, &entry);
    }
    start.push(key(5, EIGHT_BYTES));
    start.extend(wall_time.to_le_bytes());
    let mut content = vec![];
    bytes(&mut content, 3, &start);
    let mut value = tagged("_hparams_/session_start_info");
    bytes(&mut value, 9, &metadata("hparams", Some(&content)));
    summary(wall_time, None, &value)
}

/// `Event { wall_time: 1, step: 2, session_log: 7 { status: 1 = START } }`.
pub(super) fn session_start(wall_time: f64, step: u64) -> Vec<u8> {
    let mut event = head(wall_time, Some(step));
    bytes(&mut event, 7, &[key(1, VARINT), 1]);
    event
}

/// The start of a `Summary.Value`: `{ tag: 1 }`.
fn tagged(tag: &str) -> Vec<u8> {
    let mut value = vec![];
    bytes(&mut value, 1, tag.as_bytes());
    value
}

/// `SummaryMetadata { plugin_data: 1 { plugin_name: 1, content: 2 } }`.
fn metadata(plugin: &str, content: Option<&[u8]>) -> Vec<u8> {
    let mut data = vec![];
    bytes(&mut data, 1, plugin.as_bytes());
    if let Some(content) = content {
        bytes(&mut data, 2, content);
    }
    let mut metadata = vec![];
    bytes(&mut metadata, 1, &data);
    metadata
}

/// `Event { wall_time: 1, step: 2, summary: 5 { value: 1 } }`.
fn summary(wall_time: f64, step: Option<u64>, value: &[u8]) -> Vec<u8> {
    let mut summary = vec![];
    bytes(&mut summary, 1, value);
    let mut event = head(wall_time, step);
    bytes(&mut event, 5, &summary);
    event
}

fn head(wall_time: f64, step: Option<u64>) -> Vec<u8> {
    let mut event = vec![key(1, EIGHT_BYTES)];
    event.extend(wall_time.to_le_bytes());
    if let Some(step) = step {
        event.push(key(2, VARINT));
        varint(&mut event, step);
    }
    event
}

fn key(field: u8, wire: u8) -> u8 {
    field << 3 | wire
}

fn bytes(out: &mut Vec<u8>, field: u8, content: &[u8]) {
    out.push(key(field, BYTES));
    varint(out, content.len() as u64);
    out.extend(content);
}

/// Seven bits a byte, the lowest first; the top bit says that more follow.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
