//! Parts of messages: counts with their nouns, the nearest known name, and serde's errors in the words of a settings file's author.

use std::fmt::Display;

/// Rewrites an error message of serde in plain words. Other messages come back unchanged.
///
/// ```
/// # use gan_base::messages::plain;
/// assert_eq!(plain("invalid type: string \"many\", expected usize"), "found \"many\", expected a whole number, 0 or more");
/// assert_eq!(plain("unknown field `rte`, expected `rate`"), "unknown key \"rte\": did you mean \"rate\"? Known: rate");
/// ```
pub fn plain(message: &str) -> String {
    let message = message.lines().next().unwrap_or_default();
    let message = message.split(" at line ").next().unwrap_or_default();
    if message == "recursion limit exceeded" {
        return "lists and tables are nested too deep".into();
    }
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if let (Some((what, _)), Some((found, known))) = (unknown(message), quoted.split_first()) {
        return format!("{what} \"{found}\"{}", choose(found, known));
    }
    if let Some(key) = missing(message) {
        return format!("the key \"{key}\" is missing");
    }
    let (found, expected) = message.rsplit_once(", expected ").unwrap_or((message, ""));
    let invalid = found.strip_prefix("invalid type: ").or_else(|| found.strip_prefix("invalid value: "));
    match (invalid, found.strip_prefix("invalid length ")) {
        (Some(found), _) => format!("found {}, expected {}", thing(found), wanted(expected)),
        (_, Some(count)) => format!("found a list of {count}, expected {}", wanted(expected)),
        _ => message.to_string(),
    }
}

/// Returns the key that is missing according to an error message of serde.
pub fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// Minimum similarity of a name that is suggested.
const ALIKE: f64 = 0.75;

/// Returns `: did you mean "…"? Known: …`, without the question if no known name is similar to `found`, or nothing if nothing is known.
///
/// ```
/// # use gan_base::messages::choose;
/// assert_eq!(choose("FIDS", &["fid", "kid"]), ": did you mean \"fid\"? Known: fid, kid");
/// assert_eq!(choose("bce", &["hinge", "wasserstein"]), ": expected one of hinge, wasserstein");
/// ```
pub fn choose(found: &str, known: &[&str]) -> String {
    let found = found.to_lowercase();
    // If several keys were found, as in a layer's table, one of them is the name.
    let alike = |name: &str, part: &str| strsim::jaro_winkler(&name.to_lowercase(), part.trim());
    let score = |name: &str| found.split(',').map(|part| alike(name, part)).fold(0.0, f64::max);
    let Some(nearest) = known.iter().max_by(|a, b| score(a).total_cmp(&score(b))) else { return String::new() };
    let all = known.join(", ");
    if score(nearest) < ALIKE {
        return format!(": expected one of {all}");
    }
    format!(": did you mean \"{nearest}\"? Known: {all}")
}

/// Formats a count with its noun, which is given in the singular.
///
/// ```
/// # use gan_base::messages::counted;
/// assert_eq!([counted(1, "step"), counted(3, "step"), counted(0, "class")], ["1 step", "3 steps", "0 classes"]);
/// ```
pub fn counted(count: impl Display, noun: &str) -> String {
    let count = count.to_string();
    if count == "1" { format!("1 {noun}") } else { format!("{count} {}", plural(noun)) }
}

/// Returns the verb that goes with a count.
pub fn is_or_are(count: impl Display) -> &'static str {
    if count.to_string() == "1" { "is" } else { "are" }
}

/// Returns the regular English plural of a noun, which may have words before it.
fn plural(noun: &str) -> String {
    let stem = noun.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']));
    match stem {
        Some(stem) => format!("{stem}ies"),
        None if ["s", "x", "z", "ch", "sh"].iter().any(|end| noun.ends_with(end)) => format!("{noun}es"),
        None => format!("{noun}s"),
    }
}

fn unknown(message: &str) -> Option<(&'static str, &str)> {
    let field = message.strip_prefix("unknown field ").map(|rest| ("unknown key", rest));
    field.or_else(|| message.strip_prefix("unknown variant ").map(|rest| ("unknown value", rest)))
}

/// Rewrites `string "x"`, "integer `3`", `map` as the author wrote them: `"x"`, `3`, `a table`.
fn thing(found: &str) -> &str {
    match found {
        "map" => "a table",
        "sequence" => "a list",
        "null" | "unit value" => "nothing",
        "unit variant" => "something else",
        _ => {
            let number = found.split('`').nth(1);
            number.or_else(|| found.strip_prefix("string ")).unwrap_or(found)
        }
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "usize" | "u64" | "u32" => "a whole number, 0 or more",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" | "a borrowed string" => "text in quotes",
        "a sequence" => "a list, [ … ]",
        "an array of length 2" => "a list of 2 numbers",
        "variant identifier" | "string or map" | "string only" => "a name in quotes",
        _ if expected.starts_with("struct ") => "a table",
        _ if expected.starts_with("enum ") => "a name in quotes",
        _ => expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_named_in_the_singular() {
        for (noun, plurals) in [
            ("latent vector", "latent vectors"),
            ("process", "processes"),
            ("batch", "batches"),
            ("copy", "copies"),
            ("day", "days"),
        ] {
            assert_eq!(counted(1u64, noun), format!("1 {noun}"));
            assert_eq!(counted(21usize, noun), format!("21 {plurals}"));
        }
    }

    #[test]
    fn no_word_of_rust_is_left() {
        for (message, plainly) in [
            ("invalid type: floating point `2.5`, expected usize", "found 2.5, expected a whole number, 0 or more"),
            (
                "invalid value: integer `-1`, expected u64 at line 1 column 3",
                "found -1, expected a whole number, 0 or more",
            ),
            ("invalid type: map, expected f64", "found a table, expected a number"),
            ("invalid length 1, expected an array of length 2", "found a list of 1, expected a list of 2 numbers"),
            ("invalid type: integer `3`, expected struct TrainConfig", "found 3, expected a table"),
            ("missing field `kernel`", "the key \"kernel\" is missing"),
            (
                "unknown variant `adan`, expected `adam` or `rmsprop`\nin `x`",
                "unknown value \"adan\": did you mean \"adam\"? Known: adam, rmsprop",
            ),
            ("a layer is a name or a table, found 3", "a layer is a name or a table, found 3"),
        ] {
            assert_eq!(plain(message), plainly);
        }
    }
}
