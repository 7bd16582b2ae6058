//! What fields of requests may hold. What is refused here is refused with the field's name.

use std::ops::RangeInclusive;

use offramp_domain::problem::printable;
use offramp_proto::convert::DecodeError;
use tonic::Status;

use super::status::malformed;

/// Longest name of anything, characters.
const NAME_MAX_CHARS: usize = 200;
/// How much of a value is quoted, characters.
const QUOTED_MAX_CHARS: usize = 40;

/// A name that may end up on terminals and in logs.
pub(super) fn name(field: &'static str, text: &str) -> Result<(), DecodeError> {
    if text.is_empty() {
        return Err(DecodeError::Missing(field));
    }
    printable_text(field, text, NAME_MAX_CHARS, "at most 200 printable characters")
}

/// What picks a sweep or a job out.
pub(super) fn selector(field: &'static str, text: &str) -> Result<(), Status> {
    name(field, text).map_err(|error| malformed(&error))
}

/// A text that may end up on terminals and in logs: of bounded length, and without anything that steers a terminal.
pub(super) fn printable_text(field: &'static str, text: &str, most: usize, expected: &'static str) -> Result<(), DecodeError> {
    at_most_chars(field, text, most, expected)?;
    if printable(text) != text {
        return Err(DecodeError::Range { field, value: quoted(text), expected });
    }
    Ok(())
}

pub(super) fn at_most_chars(field: &'static str, text: &str, most: usize, expected: &'static str) -> Result<(), DecodeError> {
    let n_chars = text.chars().count();
    if n_chars > most {
        return Err(DecodeError::Range { field, value: format!("{n_chars} characters"), expected });
    }
    Ok(())
}

/// A value as messages quote it: its beginning, escaped.
pub(super) fn quoted(text: &str) -> String {
    let start: String = text.chars().take(QUOTED_MAX_CHARS).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    format!("`{}{more}`", start.escape_debug())
}

pub(super) fn in_range(field: &'static str, value: u32, range: RangeInclusive<u32>, expected: &'static str) -> Result<(), DecodeError> {
    if range.contains(&value) { Ok(()) } else { Err(DecodeError::Range { field, value: value.to_string(), expected }) }
}

pub(super) fn at_most(field: &'static str, n_values: usize, most: usize, expected: &'static str) -> Result<(), DecodeError> {
    if n_values <= most { Ok(()) } else { Err(DecodeError::Range { field, value: format!("{n_values} values"), expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_steer_nothing() {
        let refusal = |text: &str| name("worker", text).unwrap_err().to_string();
        assert_eq!(refusal(""), "`worker` is missing");
        for (text, shown) in [("a\u{1b}[2J", "a\\u{1b}[2J"), ("a\0", "a\\0"), ("a\u{202e}b", "a\\u{202e}b"), ("a\nb", "a\\nb")] {
            assert_eq!(refusal(text), format!("`worker` is `{shown}`, expected at most 200 printable characters"));
        }
        assert_eq!(refusal(&"ü".repeat(201)), "`worker` is 201 characters, expected at most 200 printable characters");
        for text in ["node-1", "Gerät 7", "名前", &"ü".repeat(200)] {
            assert_eq!(name("worker", text), Ok(()), "{text}");
        }
    }

    #[test]
    fn long_values_are_quoted_from_their_beginning() {
        assert_eq!(quoted(&"x".repeat(41)), format!("`{}...`", "x".repeat(40)));
        assert_eq!(quoted(&"x".repeat(40)), format!("`{}`", "x".repeat(40)));
    }
}
