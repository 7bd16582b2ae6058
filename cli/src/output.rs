//! The only place that writes to stdout and stderr. Data goes to stdout, everything else to stderr.
//!
//! - [`view`]: which columns each kind of row has, and how a table shows them.
//! - [`table`], [`json`], [`csv`]: the formats, all from the same columns.
//! - [`selected`]: rows of a database's view, as they come or gathered.
//! - [`sink`]: rows of any view as they come, for export.
//! - [`screen`]: a table that changes in place.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod screen;
pub(crate) mod selected;
pub(crate) mod sink;
pub(crate) mod table;
pub(crate) mod view;

/// How data is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people
    #[default]
    Table,
    /// One versioned JSON value
    Json,
    /// A header and one line a row
    Csv,
    /// One JSON object a row
    Jsonl,
}

/// Rows of one kind, ready to be written.
#[derive(Debug)]
#[expect(clippy::struct_field_names, reason = "rows consist of rows")]
pub(crate) struct Rows {
    /// Their columns.
    pub(crate) view: &'static view::View,
    /// The columns that were asked for, where the view's own are not wanted.
    pub(crate) chosen: Option<Vec<view::Column>>,
    /// The rows' fields by name.
    pub(crate) rows: Vec<Fields>,
}

/// One row's fields by name.
pub(crate) type Fields = serde_json::Map<String, serde_json::Value>;

impl Rows {
    /// Takes rows whose field names are the view's columns.
    pub(crate) fn new<R: Serialize>(view: &'static view::View, rows: &[R]) -> Self {
        let fields = |row| match serde_json::to_value(row) {
            Ok(serde_json::Value::Object(fields)) => fields,
            other => unreachable!("a row is a struct with string keys and plain values, not {other:?}"),
        };
        Self { view, chosen: None, rows: rows.iter().map(fields).collect() }
    }

    /// The columns, in order.
    pub(crate) fn columns(&self) -> &[view::Column] {
        self.chosen.as_deref().unwrap_or(self.view.columns)
    }
}

/// Writes rows to stdout in the format asked for.
///
/// # Errors
/// When stdout cannot be written.
pub(crate) fn write_rows(format: Format, rows: &Rows) -> Result<(), Failure> {
    write(&match format {
        Format::Table => table::render(rows, table_width()),
        Format::Json => json::list(rows),
        Format::Jsonl => json::lines(rows),
        Format::Csv => csv::render(rows),
    })
}

/// Writes text to stdout.
///
/// # Errors
/// [`Failure::ClosedPipe`] when the reader has gone; another failure when stdout cannot be written.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
        _ => Failure::new(anyhow::Error::new(error).context("cannot write to stdout")),
    })
}

/// Says something on stderr, above the progress bars. Where stderr is closed, there is nobody to say it to.
pub(crate) fn say(text: &str) {
    crate::progress::aside(|| {
        let mut stderr = std::io::stderr().lock();
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.write_all(b"\n"));
    });
}

/// Reports why a command failed, and says which exit code that is.
pub(crate) fn report(failure: &Failure) -> Exit {
    let text = failure.render();
    if !text.is_empty() {
        say(text.trim_end_matches('\n'));
    }
    failure.exit()
}

/// Whether stderr shows progress bars rather than lines.
pub(crate) fn is_interactive() -> bool {
    std::io::stderr().is_terminal() && can_draw()
}

/// Whether a terminal moves its cursor about.
fn can_draw() -> bool {
    crate::environment::variable("TERM").is_none_or(|term| term != "dumb")
}

/// Whether colour is welcome on stderr.
pub(crate) fn colour_on_stderr() -> bool {
    is_interactive() && crate::environment::variable("NO_COLOR").is_none()
}

/// Columns of the terminal that stdout is; `None` when it is a pipe or a file, where lines may be as long as they are.
pub(crate) fn table_width() -> Option<u16> {
    std::io::stdout().is_terminal().then(|| comfy_table::Table::new().width()).flatten().map(known_width)
}

/// A terminal that does not know its width, such as a serial line, says 0.
const fn known_width(width: u16) -> u16 {
    if width == 0 { 80 } else { width }
}

#[cfg(test)]
mod tests;
