//! What the program takes from its environment besides its arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Reads an environment variable; unset and empty are the same.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder that a user's data lives in: `$XDG_DATA_HOME/offramp`, or `~/.local/share/offramp`.
/// `None` where neither variable names an absolute folder.
pub(crate) fn user_data_dir() -> Option<PathBuf> {
    user_data_dir_of(variable("XDG_DATA_HOME").map(PathBuf::from), variable("HOME").map(PathBuf::from))
}

fn user_data_dir_of(xdg_data_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The XDG base directory specification has relative values ignored.
    let data_home = xdg_data_home.filter(|path| path.is_absolute());
    let fallback = || home.filter(|path| path.is_absolute()).map(|path| path.join(".local/share"));
    data_home.or_else(fallback).map(|path| path.join("offramp"))
}

/// Logical cores that this process may use.
pub(crate) fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Measures how long something has been going on, for what is shown of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock, for display alone")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// This process's command line, quoted so that a shell takes it back.
pub(crate) fn command_line() -> String {
    std::env::args_os().map(|word| crate::text::shell_word(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_goes_where_the_xdg_specification_says() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(user_data_dir_of(path("/data"), path("/home/a")), path("/data/offramp"));
        assert_eq!(user_data_dir_of(None, path("/home/a")), path("/home/a/.local/share/offramp"));
        assert_eq!(user_data_dir_of(path("relative"), path("/home/a")), path("/home/a/.local/share/offramp"));
        assert_eq!(user_data_dir_of(path("relative"), None), None);
    }
}
