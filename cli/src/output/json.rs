//! JSON: one value, versioned, with the views' column names in the views' order. A number that is not finite is `null`.

use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use crate::output::{Fields, Rows};

/// Version of the layout; grows when a field is removed or changes its meaning.
const VERSION: u32 = 1;

/// A list command's answer: `{"version":1,"kind":"frontier","rows":[...]}`.
pub(crate) fn list(rows: &Rows) -> String {
    render(&List { version: VERSION, kind: rows.view.kind, rows })
}

/// An object a line.
pub(crate) fn lines(rows: &Rows) -> String {
    rows.rows.iter().map(|fields| render(&Row { rows, fields })).collect()
}

/// What stands before the rows of a list, and after them.
pub(crate) fn list_ends(kind: &str) -> (String, &'static str) {
    (format!("{{\"version\":{VERSION},\"kind\":\"{kind}\",\"rows\":["), "]}\n")
}

#[derive(Serialize)]
struct List<'a> {
    version: u32,
    kind: &'static str,
    rows: &'a Rows,
}

/// A field of a detail command's answer.
pub(crate) enum Part<'a> {
    /// One row, as an object; the first of the rows.
    Row(&'a Rows),
    /// Several rows, as an array of objects.
    List(&'a Rows),
    /// Any value.
    Value(serde_json::Value),
}

/// A detail command's answer: `{"version":1,"kind":"job", ...}` with the parts by name.
pub(crate) fn detail(kind: &str, parts: &[(&str, Part<'_>)]) -> String {
    render(&Detail { kind, parts })
}

struct Detail<'a> {
    kind: &'a str,
    parts: &'a [(&'a str, Part<'a>)],
}

fn render(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("keys are strings, and writing to a String does not fail");
    text.push('\n');
    text
}

impl Serialize for Detail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry("kind", self.kind)?;
        for (name, part) in self.parts {
            match part {
                Part::Row(rows) => map.serialize_entry(name, &rows.rows.first().map(|fields| Row { rows, fields }))?,
                Part::List(rows) => map.serialize_entry(name, rows)?,
                Part::Value(value) => map.serialize_entry(name, value)?,
            }
        }
        map.end()
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.rows.len()))?;
        for fields in &self.rows {
            sequence.serialize_element(&Row { rows: self, fields })?;
        }
        sequence.end()
    }
}

/// One row with its fields in the view's order.
struct Row<'a> {
    rows: &'a Rows,
    fields: &'a Fields,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.rows.columns();
        let mut map = serializer.serialize_map(Some(columns.len()))?;
        for column in columns {
            map.serialize_entry(column.name, &self.fields.get(column.name))?;
        }
        map.end()
    }
}
