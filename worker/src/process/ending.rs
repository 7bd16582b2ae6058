//! Words for how a trainer process ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

/// How long a process that has closed its output may take to end: a core dump of a large process takes seconds.
pub(super) const EXIT_WITHIN: Duration = Duration::from_secs(10);

/// Says how a process ended; `None` where it closed its output and lived on.
pub(super) fn describe(status: Option<ExitStatus>) -> String {
    let Some(status) = status else { return "trainer process closed its output without ending".into() };
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("trainer process ended with signal {signal}{}", signal_name(signal)),
        (None, Some(code)) => format!("trainer process ended with exit code {code}"),
        (None, None) => "trainer process ended".into(),
    }
}

/// The usual signals, numbered alike on every Unix that Rust's GPU libraries run on.
fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (hang-up)",
        2 => " (interrupted)",
        4 => " (illegal instruction)",
        6 => " (aborted)",
        8 => " (arithmetic error)",
        // Not only by people: the kernel does so where memory runs out.
        9 => " (killed)",
        11 => " (segmentation fault)",
        15 => " (terminated)",
        _ => "",
    }
}

/// Bytes of last lines that go into a message. Where there are more the earlier ones are left out: the last tell most.
const TAIL_BYTES: usize = 6 * 1024;

/// What to append to a message for a process's last lines.
pub(super) fn tail(lines: &[String]) -> String {
    let mut n_bytes = 0;
    let n_fitting = lines.iter().rev().take_while(|line| {
        n_bytes += line.len() + 1;
        n_bytes <= TAIL_BYTES
    });
    let fitting = &lines[lines.len() - n_fitting.count()..];
    if fitting.is_empty() { String::new() } else { format!("; its last output:\n{}", fitting.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_told_apart() {
        // Raw wait statuses: the signal in the low 7 bits, the exit code in the next byte.
        let said = |raw| describe(Some(ExitStatus::from_raw(raw)));
        assert_eq!(said(9), "trainer process ended with signal 9 (killed)");
        assert_eq!(said(6), "trainer process ended with signal 6 (aborted)");
        assert_eq!(said(64), "trainer process ended with signal 64");
        assert_eq!(said(3 << 8), "trainer process ended with exit code 3");
        assert_eq!(describe(None), "trainer process closed its output without ending");
    }

    #[test]
    fn last_lines_follow_the_message() {
        assert_eq!(tail(&[]), "");
        assert_eq!(tail(&["one".into(), "two".into()]), "; its last output:\none\ntwo");
    }

    #[test]
    fn the_last_of_many_long_lines_are_kept() {
        let lines: Vec<String> = (0..20).map(|index| format!("{index:02}{}", "x".repeat(1_021))).collect();
        // 1,024 bytes each with its line feed, of 6,144.
        assert_eq!(tail(&lines), format!("; its last output:\n{}", lines[14..].join("\n")));
    }
}
