//! What is wrong with a sweep file, where, and what to do about it.

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
pub fn render(_problems: &[Problem], _file_name: &str, _text: &str) -> String {
    todo!()
}
