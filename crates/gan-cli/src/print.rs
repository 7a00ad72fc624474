//! Standard output and standard error. Either may be closed, or a file on a full disk, and neither may end a run.
//!
//! Text can contain names from files, so every function except [`bytes`] escapes control characters instead of sending them to the
//! terminal.

use anyhow::{Context, Result};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Writes a result, one line of text, to standard output.
pub fn line(text: impl Display) -> Result<()> {
    self::text(format_args!("{text}\n"))
}

/// Writes a result, text with its line breaks, to standard output.
pub fn text(text: impl Display) -> Result<()> {
    bytes(visible(&text.to_string()).as_bytes())
}

/// Writes a result, one line of JSON, to standard output.
pub fn json(value: impl Display) -> Result<()> {
    bytes(format!("{}\n", visible_json(&value.to_string())).as_bytes())
}

/// Writes a result, such as a picture or a page, to standard output unchanged. A closed pipe, as after `head`, is not an error.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("standard output: cannot be written"),
        _ => Ok(()),
    }
}

/// Writes a note to standard error. A failure to write it is ignored.
pub fn note(text: impl Display) {
    writeln!(std::io::stderr(), "{}", visible(&text.to_string())).ok();
}

/// Returns whether a character would control the terminal or change the order of text instead of being shown: control characters, marks of
/// writing direction, line separators and invisible tags.
fn is_hidden(c: char) -> bool {
    let marks = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}');
    let others =
        matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    c.is_control() || marks || others
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> Cow<'_, str> {
    let is_escaped = |c: char| is_hidden(c) && !is_kept(c);
    if !text.contains(is_escaped) {
        return text.into();
    }
    text.chars().map(|c| if is_escaped(c) { escape(c) } else { c.to_string() }).collect::<String>().into()
}

/// Escapes every character of `text`, of one or more lines, that would control the terminal, as in `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'), |c| c.escape_default().to_string())
}

/// Like [`visible`], for a name within a line: line breaks and tabs are escaped too.
pub fn visible_name(name: &str) -> Cow<'_, str> {
    escaped(name, |_| false, |c| c.escape_default().to_string())
}

/// Returns the same value for a line of `json`: such characters are only in its strings, where JSON escapes replace them.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let escape = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect();
    escaped(json, |_| false, escape)
}

/// Formats a path as an argument of a command that can be copied into a shell (POSIX), quoted if necessary.
pub fn shell_quoted(path: &Path) -> String {
    let text = path.as_os_str().as_encoded_bytes();
    // A name that begins with a dash would be parsed as an option.
    let text = if text.starts_with(b"-") { [b"./", text].concat() } else { text.to_vec() };
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:,+@%".contains(c);
    match std::str::from_utf8(&text) {
        Ok(plain) if !plain.is_empty() && plain.chars().all(is_plain) => plain.into(),
        Ok(visible) if !visible.contains(is_hidden) => format!("'{}'", visible.replace('\'', r"'\''")),
        // Bytes that cannot be shown, as octal numbers.
        _ => format!("$'{}'", text.iter().map(|byte| octal(*byte)).collect::<String>()),
    }
}

fn octal(byte: u8) -> String {
    match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn control_characters_are_escaped() {
        for (text, shown) in [
            ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("a\rb\u{8}c\u{7}\u{7f}", "a\\rb\\u{8}c\\u{7}\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("exe\u{202e}gnp.\u{2066}x\u{200f}", "exe\\u{202e}gnp.\\u{2066}x\\u{200f}"),
            ("tag\u{e0041}\u{2028}", "tag\\u{e0041}\\u{2028}"),
        ] {
            assert_eq!((visible(text), visible_name(text)), (shown.into(), shown.into()));
        }
        for plain in ["two\nlines\tand a tab", "Ünïcödé 数字 👩‍🚀 عربى", "back\\slash"] {
            assert_eq!(visible(plain), plain);
        }
        assert_eq!(visible_name("two\nlines"), "two\\nlines");
    }

    #[test]
    fn json_stays_json() {
        let value = serde_json::json!({"name": "a\u{1b}\u{9b}\u{202e}\u{e0041}\n\u{7f}é"});
        let text = value.to_string();
        let shown = visible_json(&text);
        assert!(!shown.contains(is_hidden) && shown.contains("\\u009b") && shown.contains('é'), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn plain_paths_stay_as_they_are() {
        for path in ["runs/first", "a_b-c.d/e+f@2,3:4%", "Zahlen/größe", "./-x"] {
            assert_eq!(shell_quoted(Path::new(path)), path);
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_shell_gives_quoted_paths_back_as_they_were() {
        use std::os::unix::ffi::OsStrExt;
        let paths: [&[u8]; 8] =
            [b"run one", b"it's $HOME", b"a\"b`c`", b"~/x", b"*?[a]", b"new\nline\x1b[31m", b"\xff\xfe", b"-x y"];
        for path in paths {
            let quoted = shell_quoted(Path::new(std::ffi::OsStr::from_bytes(path)));
            assert!(!quoted.contains(is_hidden), "{quoted}");
            let output = Command::new("bash").args(["-c", &format!("printf %s {quoted}")]).output().unwrap();
            let expected = if path.starts_with(b"-") { [b"./", path].concat() } else { path.to_vec() };
            assert_eq!(output.stdout, expected, "{quoted}");
        }
        assert_eq!(shell_quoted(Path::new("")), "''");
    }
}
