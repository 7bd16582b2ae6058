//! `[[exclude]]`: combinations that the grid leaves out.

use std::ops::Range;

use serde::Serialize;

use super::axes::{Axes, Axis, Cell, N_AXES, NAMES, items};
use super::reader::{Fields, Reader, Value};
use super::values;

/// More than anybody writes by hand; every combination is held against every one of them.
const MAX_EXCLUDES: usize = 200;

/// The combinations that have one of the values on every axis that is named.
pub(super) struct Exclude {
    pub(super) place: Range<usize>,
    /// Sorted positions of an axis.
    conditions: Vec<(usize, Vec<usize>)>,
}

impl Exclude {
    pub(super) fn matches(&self, cell: &Cell) -> bool {
        self.conditions.iter().all(|(axis, positions)| positions.binary_search(&cell[*axis]).is_ok())
    }
}

/// Reads the array of tables. One with a problem leaves out at least what it was meant to, so that it makes no follow-up problems.
pub(super) fn read(reader: &mut Reader, value: &Value, axes: &Axes) -> Vec<Exclude> {
    let Some(tables) = value.get_ref().as_array() else {
        reader.report(value.span(), "`exclude` must be an array of tables", Some("write `[[exclude]]`".to_owned()));
        return Vec::new();
    };
    if tables.len() > MAX_EXCLUDES {
        let message = format!("{} `[[exclude]]` tables are more than the {MAX_EXCLUDES} allowed", tables.len());
        reader.report(value.span(), message, Some("one table can name several values: `seed = [0, 1, 2]`".to_owned()));
        return Vec::new();
    }
    tables.iter().filter_map(|table| read_one(reader, table, axes)).collect()
}

fn read_one(reader: &mut Reader, value: &Value, axes: &Axes) -> Option<Exclude> {
    let fields = Fields::open(reader, value, "`[[exclude]]`", &NAMES)?;
    // The same order as NAMES.
    let conditions: [Option<Vec<usize>>; N_AXES] = [
        condition(reader, &fields, NAMES[0], &axes.backbone, values::backbone),
        condition(reader, &fields, NAMES[1], &axes.dataset, values::dataset),
        condition(reader, &fields, NAMES[2], &axes.exits, values::exits),
        condition(reader, &fields, NAMES[3], &axes.budget, values::budget),
        condition(reader, &fields, NAMES[4], &axes.pattern, values::pattern),
        condition(reader, &fields, NAMES[5], &axes.epochs, values::epochs),
        condition(reader, &fields, NAMES[6], &axes.batch_size, values::batch_size),
        condition(reader, &fields, NAMES[7], &axes.optimizer, values::optimizer),
        condition(reader, &fields, NAMES[8], &axes.schedule, values::schedule),
        condition(reader, &fields, NAMES[9], &axes.augment, values::augment),
        condition(reader, &fields, NAMES[10], &axes.seed, values::seed),
    ];
    if fields.is_empty() {
        let hint = "name the values to leave out, such as `backbone = \"resnet20\"`, or delete the table".to_owned();
        reader.report(value.span(), "`[[exclude]]` without a condition matches every combination", Some(hint));
        return None;
    }
    let conditions = conditions.into_iter().enumerate().filter_map(|(axis, positions)| Some((axis, positions?))).collect();
    Some(Exclude { place: value.span(), conditions })
}

/// Positions of the values that a table names on one axis; `None` where it names none that can be told.
fn condition<T: Serialize>(
    reader: &mut Reader,
    fields: &Fields,
    name: &'static str,
    axis: &Axis<T>,
    read_one: impl Fn(&mut Reader, &Value) -> Option<T>,
) -> Option<Vec<usize>> {
    let mut positions = Vec::new();
    let mut is_whole = true;
    for item in items(reader, name, fields.optional(name)?) {
        let position = read_one(reader, item).map(|value| axis.position(&value));
        if position == Some(None) {
            let message = format!("{} is not among the values of `{name}`", reader.quote(item.span()));
            reader.report(item.span(), message, Some("an `[[exclude]]` that matches no combination does nothing: leave it out".to_owned()));
        }
        is_whole &= matches!(position, Some(Some(_)));
        positions.extend(position.flatten());
    }
    positions.sort_unstable();
    is_whole.then_some(positions)
}
