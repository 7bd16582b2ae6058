//! What is wrong with a filter, and where.

use crate::problem::{self, Problem};

/// A text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{shown}")]
pub struct FilterError {
    message: String,
    /// The line and carets under the place, each after a line break.
    shown: String,
    column: usize,
    hint: Option<String>,
}

impl FilterError {
    /// Takes only as much of the text as is shown.
    pub(super) fn new(problem: &Problem, text: &str) -> Self {
        let message = format!("wrong filter: {}", problem::printable(&problem.message));
        let (column, line, carets) = problem::mark(text, &problem.span);
        let shown = if text.trim().is_empty() { String::new() } else { format!("\n  {line}\n  {carets}") };
        Self { message, shown, column, hint: problem.hint.as_deref().map(problem::printable) }
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where, in characters from 1.
    pub const fn column(&self) -> usize {
        self.column
    }

    /// What to write instead.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}
