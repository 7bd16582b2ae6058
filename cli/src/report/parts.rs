//! What every section is put together from. Text from elsewhere goes into a page through here, so that it is made harmless in one place.

use maud::{Markup, html};

use crate::text::escape_control;

/// Most rows of a table; who needs more needs no page.
pub(super) const MOST_ROWS: usize = 250;

/// How a table treats a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text.
    Text,
    /// Sentences, which may be broken.
    Prose,
    /// A number with its unit.
    Number,
    /// Text, left out where it is the same in every row.
    Varied,
}

/// A column: what stands over it, and how it is treated.
pub(super) type Column = (&'static str, Kind);

/// A table whose first column names its rows. `all` is the command that has every row, for tables that have too many.
pub(super) fn table(caption: &str, columns: &[Column], rows: &[Vec<String>], all: &str) -> Markup {
    let is_shown = |(index, (_, kind)): &(usize, &Column)| {
        *kind != Kind::Varied || rows.len() < 2 || rows.iter().any(|row| row[*index] != rows[0][*index])
    };
    let columns: Vec<(usize, &Column)> = columns.iter().enumerate().filter(is_shown).collect();
    let class = |kind: Kind| match kind {
        Kind::Number => "number",
        Kind::Prose => "prose",
        Kind::Text | Kind::Varied => "text",
    };
    html! {
        // What is too wide for the screen scrolls in here, by keyboard as well.
        div.wide tabindex="0" role="group" aria-label=(escape_control(caption)) {
            table {
                caption { (escape_control(caption)) }
                thead { tr { @for (_, (header, kind)) in &columns { th scope="col" class=(class(*kind)) { (header) } } } }
                tbody {
                    @for row in rows.iter().take(MOST_ROWS) {
                        tr {
                            @for (place, (index, (_, kind))) in columns.iter().enumerate() {
                                @let text = escape_control(&row[*index]);
                                @if place == 0 { th scope="row" class=(class(*kind)) { (text) } } @else { td class=(class(*kind)) { (text) } }
                            }
                        }
                    }
                }
            }
        }
        @if rows.len() > MOST_ROWS {
            p.note { "These are the first " (MOST_ROWS) " of " (rows.len()) " rows. All of them: " code { (all) } }
        }
    }
}

/// Text from elsewhere.
pub(super) fn text(text: &str) -> String {
    escape_control(text)
}

/// A paragraph of text from elsewhere, or of our own.
pub(super) fn note(text: &str) -> Markup {
    html! { p.note { (escape_control(text)) } }
}

/// What a section says that has nothing to show.
pub(super) fn missing(what: &str) -> Markup {
    html! { p.missing { (escape_control(what)) } }
}

/// A section with a heading that the table of contents leads to.
pub(super) fn section(id: &str, heading: &str, body: &Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (heading) } (body) } }
}

/// Lines of text as they are, but for what could drive a terminal or turn text around.
pub(super) fn verbatim(text: &str) -> Markup {
    let lines: Vec<String> = text.lines().map(|line| line.split('\t').map(escape_control).collect::<Vec<_>>().join("\t")).collect();
    // A line break right after `<pre>` is not part of it.
    html! { pre tabindex="0" { code { (lines.join("\n")) "\n" } } }
}

/// Commands, one a line.
pub(super) fn commands(lines: &[String]) -> Markup {
    html! { pre tabindex="0" { code { (lines.join("\n")) "\n" } } }
}
