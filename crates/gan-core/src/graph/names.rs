//! Names of values, each of which stands once in a file.

use std::collections::HashSet;

/// Names that are taken.
#[derive(Clone, Debug, Default)]
pub struct Names(HashSet<String>);

impl Names {
    /// Takes a name, with a number behind it if it is taken already, and returns it.
    pub fn take(&mut self, name: &str) -> String {
        let mut free = name.to_string();
        let mut number = 1;
        while !self.0.insert(free.clone()) {
            number += 1;
            free = format!("{name}_{number}");
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_name_gets_a_number() {
        let mut names = Names::default();
        assert_eq!(["a", "b", "a", "a_2", "a"].map(|name| names.take(name)), ["a", "b", "a_2", "a_2_2", "a_3"]);
    }
}
