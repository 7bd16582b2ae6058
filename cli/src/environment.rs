//! What the program takes from its environment besides its arguments.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Now, unix microseconds.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the calendar")]
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// The time so long before now.
#[cfg(feature = "burn")]
pub(crate) fn time_before(duration: Duration) -> SystemTime {
    let now = UNIX_EPOCH + Duration::from_micros(now_us().max(0) as u64);
    now.checked_sub(duration).unwrap_or(UNIX_EPOCH)
}

/// This machine's name; empty where it says none.
pub(crate) fn machine() -> String {
    printable(&std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default())
}

/// Who runs this process, for histories: `user@host`.
pub(crate) fn user_at_host() -> String {
    let named = variable("USER").or_else(|| variable("LOGNAME")).map(|name| printable(&name.to_string_lossy()));
    // Services run without these variables, containers often as a user without a name.
    let by_id = || user_id().map(|id| user_name(&std::fs::read_to_string("/etc/passwd").unwrap_or_default(), id));
    let user = named.filter(|name| !name.is_empty()).or_else(by_id);
    let machine = machine();
    let host = if machine.is_empty() { "localhost" } else { &machine };
    format!("{}@{host}", user.as_deref().unwrap_or("unknown"))
}

fn user_id() -> Option<u32> {
    std::fs::metadata("/proc/self").ok().map(|facts| facts.uid())
}

/// The name of a user in the text of `/etc/passwd`; where it has none, the number.
fn user_name(passwd: &str, id: u32) -> String {
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(id)).then(|| printable(name))
    });
    found.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("uid-{id}"))
}

/// A name without what could drive a terminal, and not overlong.
fn printable(name: &str) -> String {
    name.trim().chars().filter(|character| !character.is_control()).take(48).collect()
}

/// This process's command line, quoted so that a shell takes it back.
pub(crate) fn command_line() -> String {
    std::env::args_os().map(|word| crate::text::shell_word(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_has_a_user_and_a_host() {
        let who = user_at_host();
        let (user, host) = who.split_once('@').unwrap();
        assert!(!user.is_empty() && !host.is_empty(), "{who}");
        assert!(user_id().is_some());
        let passwd = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000), "ada");
        assert_eq!(user_name(passwd, 7), "uid-7");
        assert_eq!(printable(" a\u{1b}[2Jb\n"), "a[2Jb");
        assert_eq!(printable(&"x".repeat(100)).len(), 48);
    }

    #[test]
    fn the_calendar_is_in_microseconds() {
        // 2024-01-01 and 2100-01-01.
        assert!((1_704_067_200_000_000..4_102_444_800_000_000).contains(&now_us()));
    }

    #[test]
    fn data_goes_where_the_xdg_specification_says() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(user_data_dir_of(path("/data"), path("/home/a")), path("/data/offramp"));
        assert_eq!(user_data_dir_of(None, path("/home/a")), path("/home/a/.local/share/offramp"));
        assert_eq!(user_data_dir_of(path("relative"), path("/home/a")), path("/home/a/.local/share/offramp"));
        assert_eq!(user_data_dir_of(path("relative"), None), None);
    }
}
