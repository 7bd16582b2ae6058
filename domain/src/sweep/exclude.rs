//! `[[exclude]]`: combinations that the grid leaves out.

use super::axes::Axes;
use super::reader::{Reader, Value};
use super::selector::{EXCLUDE, Selector, tables};

/// More than anybody writes by hand; every combination is held against every one of them.
const MAX_EXCLUDES: usize = 200;

/// Reads the array of tables. One with a problem leaves out at least what it was meant to, so that it makes no follow-up problems.
pub(super) fn read(reader: &mut Reader, value: &Value, axes: &Axes) -> Vec<Selector> {
    let tables = tables(reader, value, "exclude", MAX_EXCLUDES);
    tables.iter().filter_map(|table| Selector::read(reader, table, EXCLUDE, axes)).collect()
}
