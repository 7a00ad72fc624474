//! The environment variables of the Hub's own tools: server, token, cache, timeout.

use gan_base::regular_file;
use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The most bytes of a token's file.
const MOST_TOKEN: u64 = 1 << 16;

/// Where and how to fetch.
#[derive(Clone, PartialEq, Eq)]
pub struct Environment {
    /// The Hub or a mirror of it, without a slash at the end.
    pub endpoint: String,
    /// The user's access token, for what requires one.
    pub token: Option<String>,
    /// The folder of the Hub's cache.
    pub cache: PathBuf,
    /// Timeout of a connection, an answer, or the next bytes of one.
    pub patience: Duration,
    /// Whether to use only the cache and send no requests.
    pub is_offline: bool,
}

impl Environment {
    /// Reads `HF_ENDPOINT`; `HF_TOKEN`, or the file that `HF_TOKEN_PATH` names, or `token` in the Hub's folder;
    /// `HF_HUB_CACHE` or `hub` in the Hub's folder; `HF_HUB_DOWNLOAD_TIMEOUT` in seconds, 10 by default;
    /// `HF_HUB_OFFLINE`, which is on if it is 1, true, yes or on. The Hub's folder is `HF_HOME`, or `huggingface` in `XDG_CACHE_HOME`
    /// or in `~/.cache`.
    pub fn of_this_process() -> Self {
        Self::from(|name| env::var(name).ok())
    }

    fn from(read: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| read(name).map(|value| value.trim().to_string()).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let general = || path("XDG_CACHE_HOME").or_else(|| path("HOME").map(|home| home.join(".cache")));
        let home = path("HF_HOME").unwrap_or_else(|| general().unwrap_or_else(env::temp_dir).join("huggingface"));
        let saved =
            |path: &Path| regular_file::read_to_string(path, MOST_TOKEN).ok().map(|token| token.trim().to_string());
        let token = set("HF_TOKEN").or_else(|| saved(&path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"))));
        let seconds = set("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|text| text.parse().ok()).filter(|n| *n > 0);
        let on = |text: String| ["1", "true", "yes", "on"].contains(&text.to_lowercase().as_str());
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        Self {
            endpoint: endpoint.trim_end_matches('/').into(),
            token: token.filter(|token| !token.is_empty()),
            cache: path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub")),
            patience: Duration::from_secs(seconds.unwrap_or(10)),
            is_offline: set("HF_HUB_OFFLINE").is_some_and(on),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Environment {
        Environment::from(|name| variables.iter().find(|row| row.0 == name).map(|row| row.1.to_string()))
    }

    #[test]
    fn without_variables_it_is_the_hub_and_the_users_cache() {
        let found = with(&[("HOME", "/home/x")]);
        assert_eq!((found.endpoint.as_str(), found.token), ("https://huggingface.co", None));
        assert_eq!(found.cache, Path::new("/home/x/.cache/huggingface/hub"));
        assert_eq!(found.patience, Duration::from_secs(10));
    }

    #[test]
    fn variables_decide_in_the_order_of_the_hubs_tools() {
        let home = [("HOME", "/home/x"), ("XDG_CACHE_HOME", "/xdg"), ("HF_HOME", "/hf"), ("HF_HUB_CACHE", "/cache")];
        assert_eq!(with(&home).cache, Path::new("/cache"));
        assert_eq!(with(&home[..3]).cache, Path::new("/hf/hub"));
        assert_eq!(with(&home[..2]).cache, Path::new("/xdg/huggingface/hub"));
        let more =
            with(&[("HF_ENDPOINT", "http://mirror/"), ("HF_TOKEN", " hf_x\n"), ("HF_HUB_DOWNLOAD_TIMEOUT", "3")]);
        assert_eq!((more.endpoint.as_str(), more.token.as_deref()), ("http://mirror", Some("hf_x")));
        assert_eq!((more.patience, more.is_offline), (Duration::from_secs(3), false));
        assert!(with(&[("HF_HUB_OFFLINE", "1")]).is_offline);
    }

    #[test]
    fn a_saved_token_is_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), "hf_saved\n").unwrap();
        assert_eq!(with(&[("HF_HOME", dir.path().to_str().unwrap())]).token.as_deref(), Some("hf_saved"));
    }
}
