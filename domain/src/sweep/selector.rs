//! Tables that pick combinations by their values: `[[exclude]]`, and the two sides of `[[after]]`.

use std::ops::Range;

use super::axes::{AnyAxis, Axes, NAMES, SEED, items};
use super::cells::Numbering;
use super::reader::{Fields, Reader, Value};

/// The combinations that have one of the values on every axis that is named.
#[derive(Debug)]
pub(super) struct Selector {
    pub(super) place: Range<usize>,
    /// By the axis; of each, ranges of positions in their order, apart from each other.
    conditions: Vec<(usize, Vec<Range<usize>>)>,
}

impl Selector {
    /// Reads one table. One with a problem picks at least what it was meant to.
    pub(super) fn read(reader: &mut Reader, value: &Value, owner: &str, axes: &Axes) -> Option<Self> {
        let fields = Fields::open(reader, value, owner, &NAMES)?;
        let conditions: Vec<_> = axes
            .all()
            .into_iter()
            .enumerate()
            .filter_map(|(axis, values)| condition(reader, &fields, owner, NAMES[axis], values).map(|positions| (axis, positions)))
            .collect();
        if fields.is_empty() {
            let (what, hint) = if owner == EXCLUDE {
                ("combination", "name the values to leave out, such as `backbone = \"resnet20\"`, or delete the table")
            } else {
                ("job", "name the values that it picks, such as `{ pattern = \"none\" }`")
            };
            reader.report(value.span(), format_args!("{owner} without a condition matches every {what}"), Some(hint.to_owned()));
            return None;
        }
        Some(Self { place: value.span(), conditions })
    }

    pub(super) fn matches(&self, numbering: &Numbering, number: u32) -> bool {
        self.conditions.iter().all(|(axis, positions)| {
            let position = numbering.position(number, *axis);
            let n_begun = positions.partition_point(|range| range.start <= position);
            positions[..n_begun].last().is_some_and(|range| position < range.end)
        })
    }

    pub(super) fn names(&self, axis: usize) -> bool {
        self.conditions.iter().any(|(named, _)| *named == axis)
    }
}

/// What `[[exclude]]` is called in messages.
pub(super) const EXCLUDE: &str = "`[[exclude]]`";

/// Positions of the values that a table names on one axis; `None` where it names none that can be told.
fn condition(reader: &mut Reader, fields: &Fields, owner: &str, name: &'static str, axis: &dyn AnyAxis) -> Option<Vec<Range<usize>>> {
    let mut positions = Vec::new();
    let mut is_whole = true;
    for item in items(reader, name, fields.optional(name)?) {
        let located = axis.locate(reader, item);
        if located.as_ref().is_some_and(Vec::is_empty) {
            let found = reader.quote(item.span());
            let is_range = name == NAMES[SEED] && item.get_ref().is_table();
            let message = if is_range {
                format!("{found} has seeds that are not among the values of `{name}`")
            } else {
                format!("{found} is not among the values of `{name}`")
            };
            let hint = if is_range {
                "end the range where the axis does".to_owned()
            } else if owner == EXCLUDE {
                "an `[[exclude]]` that matches no combination does nothing: leave it out".to_owned()
            } else {
                format!("{owner} picks jobs of this sweep: name values that are on its axes")
            };
            reader.report(item.span(), message, Some(hint));
        }
        is_whole &= located.as_ref().is_some_and(|located| !located.is_empty());
        positions.extend(located.into_iter().flatten());
    }
    is_whole.then(|| merged(positions))
}

/// The same positions in their order, none in two ranges.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    ranges.dedup_by(|later, earlier| {
        let touch = later.start <= earlier.end;
        if touch {
            earlier.end = earlier.end.max(later.end);
        }
        touch
    });
    ranges
}

/// The tables of an array of tables such as `[[exclude]]`.
pub(super) fn tables<'v>(reader: &mut Reader, value: &'v Value<'v>, name: &str, most: usize) -> &'v [Value<'v>] {
    let Some(tables) = value.get_ref().as_array() else {
        reader.report(value.span(), format_args!("`{name}` must be an array of tables"), Some(format!("write `[[{name}]]`")));
        return &[];
    };
    if tables.len() > most {
        let message = format!("{} `[[{name}]]` tables are more than the {most} allowed", tables.len());
        reader.report(value.span(), message, Some("one table can name several values: `seed = [0, 1, 2]`".to_owned()));
        return &[];
    }
    tables
}
