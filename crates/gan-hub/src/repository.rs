//! Names of repositories on the Hub.

use crate::{Error, Result};
use std::fmt;

/// Kind of a repository, which is part of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Weights and what belongs to them.
    Model,
    /// A data set.
    Dataset,
}

/// A repository on the Hub: `owner/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    kind: Kind,
    name: String,
}

impl Repository {
    /// Returns the repository `owner/name`.
    ///
    /// # Errors
    /// [`Error::Refused`] if the name has another form: two parts of letters, digits, `-`, `_` and `.`, which neither begin nor end with `-` or
    /// `.`, of at most 96 characters each.
    pub fn new(kind: Kind, name: &str) -> Result<Self> {
        let is_part = |part: &str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let is_edge = |c: char| "-.".contains(c);
            let fits = (1..=96).contains(&part.len()) && part.chars().all(is_plain) && !part.contains("..");
            fits && !part.starts_with(is_edge) && !part.ends_with(is_edge)
        };
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() == 2 && parts.iter().all(|part| is_part(part)) {
            return Ok(Self { kind, name: name.into() });
        }
        let found = "is no repository of the Hub";
        Err(Error::refused(format!("\"{name}\""), found, "write owner/name, such as julia/anime-faces"))
    }

    /// Returns `owner/name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the owner.
    pub fn owner(&self) -> &str {
        self.name.split_once('/').map_or("", |(owner, _)| owner)
    }

    /// Returns the name without the owner.
    pub fn short_name(&self) -> &str {
        self.name.split_once('/').map_or("", |(_, name)| name)
    }

    /// Returns the path of the repository's page, and of its files below `resolve`: nothing in front for models.
    pub(crate) fn page(&self) -> String {
        match self.kind {
            Kind::Model => self.name.clone(),
            Kind::Dataset => format!("datasets/{}", self.name),
        }
    }

    /// Returns the path of its part of the API.
    pub(crate) fn api(&self) -> String {
        let kind = self.kind_name();
        format!("api/{kind}/{}", self.name)
    }

    /// Returns the name of its folder in the cache.
    pub(crate) fn folder(&self) -> String {
        format!("{}--{}", self.kind_name(), self.name.replace('/', "--"))
    }

    fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Model => "models",
            Kind::Dataset => "datasets",
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_paths() {
        let model = Repository::new(Kind::Model, "a/b-1").unwrap();
        assert_eq!(
            (model.page(), model.api(), model.folder()),
            ("a/b-1".into(), "api/models/a/b-1".into(), "models--a--b-1".into())
        );
        assert_eq!((model.owner(), model.short_name()), ("a", "b-1"));
        let data = Repository::new(Kind::Dataset, "a/b").unwrap();
        assert_eq!((data.page(), data.folder()), ("datasets/a/b".into(), "datasets--a--b".into()));
    }

    #[test]
    fn names_that_could_be_other_paths_are_refused() {
        for name in ["", "a", "a/", "/b", "a/b/c", "a/..", "../b", "a/b?x", "a/b c", "a/-b", "a/b.", "a/x..y", "a\\b/c"]
        {
            let problem = Repository::new(Kind::Model, name).unwrap_err().to_string();
            assert!(
                problem.contains(&format!("\"{name}\": is no repository of the Hub; write owner/name")),
                "{problem}"
            );
        }
    }
}
