//! TOML with a limit on nesting, because everything that walks over tables and lists is recursive, including the parser.

use toml::{Table, Value};
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// Maximum nesting depth. Networks with the deepest permitted residual blocks stay below it.
const DEEPEST: usize = 64;

/// Reason why a text cannot be read.
#[derive(Debug)]
pub enum Problem {
    /// Tables and lists are nested more than [`DEEPEST`] deep.
    TooDeep,
    /// The text is not TOML.
    Syntax(toml::de::Error),
}

/// Message about nesting that is too deep.
pub const TOO_DEEP: &str = "has tables and lists nested more than 64 deep: no setting is";

/// Reads `text` as TOML.
pub fn read(text: &str) -> Result<Table, Problem> {
    if opens_deeper_than(text, DEEPEST) {
        return Err(Problem::TooDeep);
    }
    let table: Table = text.parse().map_err(Problem::Syntax)?;
    // Dotted keys nest without brackets.
    match table.values().any(|value| nests_deeper_than(value, DEEPEST)) {
        true => Err(Problem::TooDeep),
        false => Ok(table),
    }
}

/// Returns whether more than `limit` brackets are open at once. The parser follows brackets even in text that is not TOML, where its own
/// limit does not always hold. A bracket of the wrong kind closes nothing.
fn opens_deeper_than(text: &str, limit: usize) -> bool {
    let mut open = Vec::new();
    for token in Source::new(text).lex() {
        match token.kind() {
            TokenKind::LeftCurlyBracket => open.push(TokenKind::RightCurlyBracket),
            TokenKind::LeftSquareBracket => open.push(TokenKind::RightSquareBracket),
            kind => drop(open.pop_if(|wanted| *wanted == kind)),
        }
        if open.len() > limit {
            return true;
        }
    }
    false
}

/// Returns whether tables and lists are nested more than `limit` deep. Looks no deeper than that.
fn nests_deeper_than(value: &Value, limit: usize) -> bool {
    let mut inside: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Table(table) => Box::new(table.values()),
        Value::Array(list) => Box::new(list.iter()),
        _ => return false,
    };
    limit.checked_sub(1).is_none_or(|limit| inside.any(|value| nests_deeper_than(value, limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_text_and_pairs_do_not_count() {
        let text = "a = \"[[[\" # {{{\nb = [[1], [2], { c = '[' }]\n[d]\n[[e]]\n";
        assert!(opens_deeper_than(text, 1) && !opens_deeper_than(text, 2));
        read(text).unwrap();
        assert!(opens_deeper_than("{ ] { ] {", 2));
    }

    #[test]
    fn text_that_is_not_toml_cannot_exhaust_the_stack() {
        let broken = "g = { { m = 3 }".repeat(100_000);
        assert!(matches!(read(&broken), Err(Problem::TooDeep)));
        assert!(matches!(read(&"x = [".repeat(100_000)), Err(Problem::TooDeep)));
        assert!(matches!(read("x = ["), Err(Problem::Syntax(_))));
    }

    #[test]
    fn values_and_keys_may_be_as_deep_as_the_limit() {
        let list = |depth: usize| format!("x = {}{}", "[".repeat(depth), "]".repeat(depth));
        let keys = |depth: usize| format!("{}x = 1", "a.".repeat(depth));
        assert!(read(&list(DEEPEST)).is_ok() && read(&keys(DEEPEST)).is_ok());
        assert!(read(&list(DEEPEST + 1)).is_err() && read(&keys(DEEPEST + 1)).is_err());
    }
}
