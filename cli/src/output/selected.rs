//! Rows of a database's view: the columns that were asked for, written as they come, or chosen among rows that are there already.

use std::cmp::Ordering;

use offramp_domain::filter::Filter;
use offramp_domain::table::{self, Batch, Kind, Sort, ValueRef};
use serde_json::Value;

use crate::failure::Failure;
use crate::output::view::{Column, Shown, View};
use crate::output::{Fields, Format, Rows, csv, json, table as aligned, table_width, write};

/// The columns that are wanted of a view, and how they are shown.
#[derive(Debug)]
pub(crate) struct Selected {
    view: &'static View,
    columns: Vec<(Column, Kind)>,
    is_chosen: bool,
}

impl Selected {
    /// All of the view's columns, or the ones that are named, in that order. `stored` is the database's view of the same rows.
    pub(crate) fn new(view: &'static View, stored: &'static table::View, names: &[String]) -> Self {
        let kind = |name: &str| stored.all_columns().find(|column| column.name == name).map(|column| column.kind);
        let shown = |name: &str| view.columns.iter().find(|column| column.name == name);
        let columns = if names.is_empty() {
            view.columns.iter().filter_map(|column| Some((*column, kind(column.name)?))).collect()
        } else {
            let chosen = |name: &String| Some((Column { shown: Shown::Chosen, ..*shown(name)? }, kind(name)?));
            names.iter().filter_map(chosen).collect()
        };
        Self { view, columns, is_chosen: !names.is_empty() }
    }

    /// The columns' names.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.columns.iter().map(|(column, _)| column.name).collect()
    }

    fn rows(&self, rows: Vec<Fields>) -> Rows {
        let chosen = self.is_chosen.then(|| self.columns.iter().map(|(column, _)| *column).collect());
        Rows { view: self.view, chosen, rows }
    }

    /// A batch of these columns.
    pub(crate) fn batch(&self, batch: &Batch) -> Rows {
        let fields = |row: usize| -> Fields {
            let value =
                |((column, kind), array): (&(Column, Kind), &table::Array)| (column.name.to_owned(), json_value(array.get(row), *kind));
            self.columns.iter().zip(&batch.columns).map(value).collect()
        };
        self.rows((0..batch.n_rows).map(fields).collect())
    }
}

/// A value as JSON has it.
fn json_value(value: ValueRef<'_>, kind: Kind) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => value.into(),
        ValueRef::Real(value) => value.into(),
        ValueRef::Flag(value) => value.into(),
        // A text that is said to be JSON, and is not, is a text.
        ValueRef::Text(text) if kind == Kind::Json => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        ValueRef::Text(text) => text.into(),
    }
}

/// Writes rows as they come; a table at the end, when all its rows are known.
#[derive(Debug)]
pub(crate) struct Writer {
    format: Format,
    selected: Selected,
    gathered: Vec<Fields>,
    n_rows: u64,
}

impl Writer {
    /// Writes rows of these columns in a format.
    pub(crate) const fn new(format: Format, selected: Selected) -> Self {
        Self { format, selected, gathered: Vec::new(), n_rows: 0 }
    }

    /// Takes rows.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(crate) fn take(&mut self, batch: &Batch) -> Result<(), Failure> {
        let rows = self.selected.batch(batch);
        let text = self.text(rows);
        write(&text)
    }

    /// What is written when these rows come.
    fn text(&mut self, rows: Rows) -> String {
        let is_first = self.n_rows == 0;
        self.n_rows += rows.rows.len() as u64;
        match self.format {
            Format::Table => {
                self.gathered.extend(rows.rows);
                String::new()
            }
            Format::Csv if rows.rows.is_empty() => String::new(),
            Format::Csv => csv::render_part(&rows, is_first),
            Format::Jsonl => json::lines(&rows),
            Format::Json => {
                let mut text = if is_first && !rows.rows.is_empty() { json::list_ends(self.selected.view.kind).0 } else { String::new() };
                for (index, line) in json::lines(&rows).lines().enumerate() {
                    let comma = if is_first && index == 0 { "" } else { "," };
                    text.extend([comma, line]);
                }
                text
            }
        }
    }

    /// What is written at the end.
    fn rest(&mut self, width: Option<u16>) -> String {
        let nothing = self.n_rows == 0;
        let (begin, end) = json::list_ends(self.selected.view.kind);
        match self.format {
            Format::Table if nothing => String::new(),
            Format::Table => aligned::render(&self.selected.rows(std::mem::take(&mut self.gathered)), width),
            Format::Csv if nothing => csv::render(&self.selected.rows(Vec::new())),
            Format::Csv | Format::Jsonl => String::new(),
            Format::Json if nothing => format!("{begin}{end}"),
            Format::Json => end.to_owned(),
        }
    }

    /// Writes what is left; how many rows there were.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub(crate) fn finish(mut self) -> Result<u64, Failure> {
        let rest = self.rest(table_width());
        write(&rest)?;
        Ok(self.n_rows)
    }
}

/// Of rows that are all there, those that are wanted, in the order that is wanted; what is equal stays in its order.
pub(crate) fn arrange(rows: Rows, stored: &'static table::View, filter: Option<&Filter>, sort: &[Sort], names: &[String]) -> Rows {
    let selected = Selected::new(rows.view, stored, names);
    let mut found = rows.rows;
    if let Some(filter) = filter {
        found.retain(|fields| filter.matches(&|name| stored_value(fields.get(name))));
    }
    let column = |sort: &Sort| stored.column(sort.column).map(|column| (column.name, sort.is_descending));
    let sort: Vec<(&str, bool)> = sort.iter().filter_map(column).collect();
    found.sort_by(|a, b| {
        let order = |&(name, is_descending): &(&str, bool)| {
            let (a, b) = (stored_value(a.get(name)), stored_value(b.get(name)));
            compare(a.as_ref(), b.as_ref(), is_descending)
        };
        sort.iter().map(order).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    selected.rows(found)
}

/// A value as the database has it.
fn stored_value(value: Option<&Value>) -> table::Value {
    match value {
        None | Some(Value::Null) => table::Value::Null,
        Some(Value::Bool(flag)) => table::Value::Flag(*flag),
        Some(Value::String(text)) => table::Value::Text(text.clone()),
        Some(Value::Number(number)) => match number.as_i64() {
            Some(integer) => table::Value::Integer(integer),
            None => number.as_f64().map_or(table::Value::Null, table::Value::Real),
        },
        Some(list) => table::Value::Text(list.to_string()),
    }
}

/// As the engines sort: nothing last, either way.
fn compare(a: ValueRef<'_>, b: ValueRef<'_>, is_descending: bool) -> Ordering {
    let order = match (a, b) {
        (ValueRef::Null, ValueRef::Null) => return Ordering::Equal,
        (ValueRef::Null, _) => return Ordering::Greater,
        (_, ValueRef::Null) => return Ordering::Less,
        (ValueRef::Integer(a), ValueRef::Integer(b)) => a.cmp(&b),
        (ValueRef::Text(a), ValueRef::Text(b)) => a.cmp(b),
        (ValueRef::Flag(a), ValueRef::Flag(b)) => a.cmp(&b),
        (ValueRef::Real(a), ValueRef::Real(b)) => a.total_cmp(&b),
        (ValueRef::Real(a), ValueRef::Integer(b)) => a.total_cmp(&(b as f64)),
        (ValueRef::Integer(a), ValueRef::Real(b)) => (a as f64).total_cmp(&b),
        _ => Ordering::Equal,
    };
    if is_descending { order.reverse() } else { order }
}

#[cfg(test)]
mod tests;
