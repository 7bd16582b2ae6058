//! From text to a TOML tree, keeping what a syntax error leaves intact.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::reader::{Value, quote};
use crate::problem::Problem;

/// Errors looked at. A text with more of them is no sweep file, and looking at all could take long.
const MAX_ERRORS: usize = 1000;

/// A tree with what was wrong with its text.
pub(super) struct Parsed<'i> {
    /// The root table.
    pub(super) root: Value<'i>,
    /// Syntax errors, at most one a line.
    pub(super) problems: Vec<Problem>,
    /// Whether everything but the values at fault is as written, so that checking the rest finds real problems only.
    pub(super) intact: bool,
}

pub(super) fn read(text: &str) -> Parsed<'_> {
    let (root, mut errors) = DeTable::parse_recoverable(text);
    let is_overwhelming = errors.len() > MAX_ERRORS;
    errors.truncate(MAX_ERRORS);
    let root = Spanned::new(0..0, DeValue::Table(root.into_inner()));
    let mut scalars = Vec::new();
    collect_scalars(&root, &mut scalars);
    scalars.sort_by_key(|scalar| scalar.start);
    let is_local = |error: &&Error| {
        let place = place(error, text);
        let n_before = scalars.partition_point(|scalar| scalar.start <= place.start);
        is_duplicate(error) || scalars[..n_before].last().is_some_and(|scalar| place.end <= scalar.end)
    };
    let (mut local, mut structural): (Vec<&Error>, Vec<&Error>) = errors.iter().partition(is_local);
    let intact = structural.is_empty() && !is_overwhelming;
    // What follows the first structural error is guesswork of the parser.
    structural.sort_by_key(|error| place(error, text).start);
    if let Some(first) = structural.first() {
        local.retain(|error| place(error, text).start < line(text, place(first, text).start));
    }
    let mut problems: Vec<Problem> = local.into_iter().map(|error| explain_local(error, text)).collect();
    problems.extend(structural.first().map(|error| Problem {
        message: message(error).to_owned(),
        span: place(error, text),
        hint: Some(
            "the rest of the file is checked when this is right; an opening bracket without its closing one can be the cause".to_owned(),
        ),
    }));
    problems.sort_by_key(|problem| problem.span.start);
    problems.dedup_by_key(|problem| line(text, problem.span.start));
    Parsed { root, problems, intact }
}

/// Whether two places share a line, as the place of a syntax error and of whatever follows from it do.
pub(super) fn share_a_line(text: &str, a: &Range<usize>, b: &Range<usize>) -> bool {
    line(text, a.start) <= line(text, b.end) && line(text, b.start) <= line(text, a.end)
}

/// Where a line starts, which is as good as its number.
fn line(text: &str, offset: usize) -> usize {
    let offset = text.floor_char_boundary(offset);
    text[..offset].rfind('\n').map_or(0, |newline| newline + 1)
}

fn place(error: &Error, text: &str) -> Range<usize> {
    error.span().unwrap_or(text.len()..text.len())
}

fn is_duplicate(error: &Error) -> bool {
    error.message() == "duplicate key"
}

/// The parser's words, without its empty list of alternatives.
fn message(error: &Error) -> &str {
    error.message().trim_end_matches(", expected nothing")
}

fn explain_local(error: &Error, text: &str) -> Problem {
    let span = place(error, text);
    let found = text.get(span.clone()).unwrap_or_default();
    let (message, hint) = match error.message() {
        "duplicate key" => (format!("{} is there twice", quote(found)), Some("keep one of them".to_owned())),
        message if message.starts_with("string values must be quoted") => {
            if found.is_empty() {
                ("there is no value".to_owned(), Some("write one, or take the key out".to_owned()))
            } else {
                (format!("{} is no TOML value", quote(found)), Some(format!("text needs quotes: \"{found}\"")))
            }
        }
        _ => (message(error).to_owned(), Some(how_to_write(error.message()).to_owned())),
    };
    Problem { message, span, hint }
}

/// How a value is written, of the kind that the parser took it for.
fn how_to_write(message: &str) -> &'static str {
    if message.contains("escape") || message.contains("unicode") {
        r#"a backslash is written `\\` in "text", and as it is in 'text'"#
    } else if message.contains("string") || message.contains("carriage return") {
        r#"text stands on one line between two quotes of one kind, "text" or 'text'"#
    } else {
        "a number is written like `3`, `0.05` or `5e-4`, and text needs quotes"
    }
}

fn collect_scalars(value: &Value, scalars: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => table.values().for_each(|value| collect_scalars(value, scalars)),
        DeValue::Array(array) => array.iter().for_each(|value| collect_scalars(value, scalars)),
        _ => scalars.push(value.span()),
    }
}
