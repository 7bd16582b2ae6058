//! What is wrong with a sweep file, where, and what to do about it.

use std::fmt::Write;

/// One problem of a sweep file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, with the value: a lower-case fragment.
    pub message: String,
    /// Byte range of the offending text.
    pub span: std::ops::Range<usize>,
    /// What to do next.
    pub hint: Option<String>,
}

/// Renders problems as a compiler does: message, `file:line:column`, the line, carets, hint.
///
/// Problems come in the order of their places, with an empty line between two. Lines and columns count from 1, columns in characters.
/// Whatever could steer a terminal (control and text-direction characters) is escaped, and long lines are cut round the place.
pub fn render(problems: &[Problem], file_name: &str, text: &str) -> String {
    let mut in_order: Vec<&Problem> = problems.iter().collect();
    in_order.sort_by_key(|problem| (problem.span.start, problem.span.end));
    let rendered: Vec<String> = in_order.into_iter().map(|problem| render_one(problem, file_name, text)).collect();
    rendered.join("\n")
}

/// `text` with every character escaped that could move a terminal's cursor, change its state or reorder what is read.
pub fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if steers_terminal(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// Characters of a quoted line that are shown before the marked text, of the marked text, and after it.
const SHOWN_BEFORE: usize = 80;
const SHOWN_MARKED: usize = 80;
const SHOWN_AFTER: usize = 60;

/// A span's column, the line that it is in, and a line of carets that stands under it; as [`render`] shows them.
pub(crate) fn mark(text: &str, span: &std::ops::Range<usize>) -> (usize, String, String) {
    let place = Place::find(text, span);
    let (line, carets) = place.show();
    (place.column, line, carets)
}

fn render_one(problem: &Problem, file_name: &str, text: &str) -> String {
    let place = Place::find(text, &problem.span);
    let (shown, carets) = place.show();
    let number = place.line.to_string();
    let gutter = " ".repeat(number.len());
    let mut out = String::new();
    let _ = writeln!(out, "error: {}", printable(&problem.message));
    let _ = writeln!(out, "{gutter}--> {}:{}:{}", printable(file_name), place.line, place.column);
    let _ = writeln!(out, "{gutter} |");
    let _ = writeln!(out, "{}", format!("{number} | {shown}").trim_end());
    let _ = writeln!(out, "{gutter} | {carets}");
    if let Some(hint) = &problem.hint {
        let _ = writeln!(out, "hint: {}", printable(hint));
    }
    out
}

/// A span's first line, cut at the span's ends.
struct Place<'a> {
    line: usize,
    column: usize,
    before: &'a str,
    marked: &'a str,
    after: &'a str,
}

impl<'a> Place<'a> {
    /// Takes any span: one past the end of the text, or inside a character, is moved to the nearest place that exists.
    fn find(text: &'a str, span: &std::ops::Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let line = &text[line_start..line_end];
        let line = line.strip_suffix('\r').unwrap_or(line);
        let from = (start - line_start).min(line.len());
        let to = (text.ceil_char_boundary(span.end).max(start) - line_start).clamp(from, line.len());
        Self {
            line: text[..line_start].matches('\n').count() + 1,
            column: line[..from].chars().count() + 1,
            before: &line[..from],
            marked: &line[from..to],
            after: &line[to..],
        }
    }

    /// The line as it is shown, and carets under the marked text.
    fn show(&self) -> (String, String) {
        let (before, marked, after) = (show_end(self.before), show_start(self.marked, SHOWN_MARKED), show_start(self.after, SHOWN_AFTER));
        let carets = format!("{}{}", " ".repeat(before.chars().count()), "^".repeat(marked.chars().count().max(1)));
        (format!("{before}{marked}{after}"), carets)
    }
}

/// The last characters of `text`, as they are printed.
fn show_end(text: &str) -> String {
    match text.char_indices().rev().nth(SHOWN_BEFORE) {
        Some((cut, c)) => format!("…{}", printable_line(&text[cut + c.len_utf8()..])),
        None => printable_line(text),
    }
}

/// The first `limit` characters of `text`, as they are printed.
fn show_start(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((cut, _)) => format!("{}…", printable_line(&text[..cut])),
        None => printable_line(text),
    }
}

/// As [`printable`], with tabs as four spaces so that carets stand under what they mark.
fn printable_line(line: &str) -> String {
    printable(&line.replace('\t', "    "))
}

/// Control characters, line and paragraph separators, and the invisible ones that change the direction of text.
fn steers_terminal(c: char) -> bool {
    c.is_control() || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests;
