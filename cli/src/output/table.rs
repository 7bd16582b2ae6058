//! Tables: aligned columns of plain text, numbers to the right and with units, no wider than the terminal.

use std::collections::BTreeSet;

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::Value;

use crate::output::view::{Column, Quantity, Shown};
use crate::output::{Fields, Rows};
use crate::text;

/// Spaces between columns.
const GAP: usize = 2;
/// Least width that prose is wrapped to.
const PROSE_LEAST: usize = 16;

/// Renders rows as a table. Where that is wider than `width`, columns that can be spared are left out, then prose is wrapped; where that is
/// still too wide, more columns go, so that ids, patterns and numbers stay in one piece.
pub(crate) fn render(rows: &Rows, width: Option<u16>) -> String {
    let mut columns: Vec<&Column> = rows.columns().iter().filter(|column| is_shown(column, &rows.rows)).collect();
    let Some(width) = width else { return render_columns(rows, &columns, None) };
    let room = usize::from(width);
    while total_width(rows, &columns, usize::MAX) > room
        && let Some(spare) = columns.iter().rposition(|column| matches!(column.shown, Shown::IfRoom | Shown::IfPresentAndRoom))
    {
        columns.remove(spare);
    }
    while total_width(rows, &columns, PROSE_LEAST) > room
        && let Some(next) = next_to_go(&columns)
    {
        columns.remove(next);
    }
    render_columns(rows, &columns, Some(width))
}

/// Which column a table that is too narrow can do without most easily: never the job's id, nor what says why a job failed.
fn next_to_go(columns: &[&Column]) -> Option<usize> {
    let last = |may_go: fn(&Column) -> bool| columns.iter().rposition(|column| may_go(column) && column.name != "job");
    let last = last(|column| column.shown == Shown::UnlessNarrow)
        .or_else(|| last(|column| column.shown == Shown::IfVaried))
        .or_else(|| last(|column| column.shown == Shown::IfPresent && !is_wrapped(column.quantity)))
        .or_else(|| last(|column| column.shown == Shown::IfPresentAndFits))
        .or_else(|| last(|column| column.shown == Shown::Always))?;
    (columns.len() > 1).then_some(last)
}

/// Width of a table whose prose is no wider than `prose_most`.
fn total_width(rows: &Rows, columns: &[&Column], prose_most: usize) -> usize {
    let shared = shared_parts(&rows.rows);
    let column_width = |column: &&Column| {
        let texts = rows.rows.iter().map(|fields| shown_text(column, fields, &shared).chars().count());
        let widest = texts.max().unwrap_or(0);
        let content = if is_wrapped(column.quantity) { widest.min(prose_most) } else { widest };
        content.max(column.header.chars().count())
    };
    columns.iter().map(column_width).sum::<usize>() + GAP * columns.len().saturating_sub(1)
}

const fn is_wrapped(quantity: Quantity) -> bool {
    matches!(quantity, Quantity::Prose | Quantity::Recipe | Quantity::Shares | Quantity::Numbers)
}

fn render_columns(rows: &Rows, columns: &[&Column], width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.iter().map(|column| cell(column, column.header.to_owned())));
    let shared = shared_parts(&rows.rows);
    for fields in &rows.rows {
        table.add_row(columns.iter().map(|column| cell(column, shown_text(column, fields, &shared))));
    }
    // What was asked for is all there; where it does not fit, cells are wrapped.
    let is_wide = columns.iter().any(|column| column.shown == Shown::Chosen)
        && width.is_some_and(|width| total_width(rows, columns, PROSE_LEAST) > usize::from(width));
    if width.is_some() && !is_wide {
        for (shown, _) in table.column_iter_mut().zip(columns).filter(|(_, column)| !is_wrapped(column.quantity)) {
            shown.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    finish(table, width)
}

/// The parts that the recipes of all rows have. A part says by itself what it is about, and not all recipes have as many.
fn shared_parts(rows: &[Fields]) -> BTreeSet<String> {
    let mut recipes = rows.iter().filter_map(|fields| fields.get("recipe")?.as_str());
    let parts = |recipe: &str| recipe.split(", ").map(str::to_owned).collect::<BTreeSet<String>>();
    let first = recipes.next().map(parts).unwrap_or_default();
    recipes.fold(first, |shared, recipe| shared.intersection(&parts(recipe)).cloned().collect())
}

/// What a row has in a column; of recipes, the parts that differ.
fn shown_text(column: &Column, fields: &Fields, shared: &BTreeSet<String>) -> String {
    let text = value_text(column.quantity, fields.get(column.name));
    if column.quantity == Quantity::Recipe { without_parts(&text, shared) } else { text }
}

fn without_parts(recipe: &str, shared: &BTreeSet<String>) -> String {
    recipe.split(", ").filter(|part| !shared.contains(*part)).collect::<Vec<_>>().join(", ")
}

/// Renders one row as lines of name and value, with every column that has a value; those that are optional in tables must say something.
pub(crate) fn render_detail(rows: &Rows, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for fields in &rows.rows {
        for column in rows.columns() {
            let field = fields.get(column.name);
            let value = value_text(column.quantity, field);
            let is_optional = matches!(column.shown, Shown::IfPresent | Shown::IfPresentAndFits | Shown::IfPresentAndRoom);
            if !value.is_empty() && value != "-" && (!is_optional || says_something(field)) {
                table.add_row([words(column.name), value]);
            }
        }
    }
    finish(table, width)
}

/// A column's name as words: `n_jobs` is `jobs`, `created_us` is `created`, `branch_macs` is `branch MACs`.
fn words(name: &str) -> String {
    let words = name.trim_end_matches("_us").split('_').filter(|word| *word != "n");
    words.map(|word| if word == "macs" { "MACs" } else { word }).collect::<Vec<_>>().join(" ")
}

fn finish(mut table: Table, width: Option<u16>) -> String {
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    // None at the edges.
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding(if index == 0 { (0, 0) } else { (GAP as u16, 0) });
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

fn is_shown(column: &Column, rows: &[Fields]) -> bool {
    let mut values = rows.iter().map(|fields| fields.get(column.name));
    match column.shown {
        Shown::Always | Shown::Chosen | Shown::UnlessNarrow | Shown::IfRoom => true,
        Shown::Never => false,
        Shown::IfVaried => {
            // `-` is what a row without branches has for exits and budget: nothing to tell rows apart by.
            let mut values = values.filter(|value| value.is_none_or(|value| value != "-"));
            let first = values.next();
            values.any(|value| Some(value) != first)
        }
        Shown::IfPresent | Shown::IfPresentAndFits | Shown::IfPresentAndRoom => values.any(says_something),
    }
}

fn says_something(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty() && text != "-",
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::Bool(true) | Value::Array(_) | Value::Object(_)) => true,
    }
}

fn cell(column: &Column, text: String) -> Cell {
    let alignment = match column.quantity {
        Quantity::Text | Quantity::Prose | Quantity::Recipe | Quantity::Time | Quantity::Shares | Quantity::Numbers | Quantity::Flag => {
            CellAlignment::Left
        }
        Quantity::Integer
        | Quantity::Ordinal
        | Quantity::Number
        | Quantity::Decimal
        | Quantity::Share
        | Quantity::Error
        | Quantity::Signed
        | Quantity::Points
        | Quantity::P
        | Quantity::Macs
        | Quantity::Seconds => CellAlignment::Right,
    };
    Cell::new(text).set_alignment(alignment)
}

/// What a table shows of a value; `-` for an absent number.
fn value_text(quantity: Quantity, value: Option<&Value>) -> String {
    let absent = || "-".to_owned();
    let number = |show: fn(f64) -> String| value.and_then(Value::as_f64).map_or_else(absent, show);
    match quantity {
        Quantity::Text | Quantity::Prose | Quantity::Recipe => value.and_then(Value::as_str).map_or_else(String::new, text::escape_control),
        // A float may stand here, such as images a second.
        Quantity::Integer => match value {
            Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
            _ => number(|value| format!("{value:.0}")),
        },
        Quantity::Ordinal => match value.and_then(Value::as_u64) {
            None | Some(0) => absent(),
            Some(number) => number.to_string(),
        },
        Quantity::Number => number(text::number),
        Quantity::Decimal => number(|value| format!("{value:.4}")),
        Quantity::Share => number(text::percent),
        Quantity::Error => number(text::signed_percent),
        Quantity::Signed => number(text::signed),
        Quantity::Points => number(text::points),
        Quantity::P => number(text::p_value),
        Quantity::Macs => number(text::macs),
        Quantity::Seconds => number(text::seconds),
        Quantity::Time => value.and_then(Value::as_i64).map_or_else(absent, text::time),
        Quantity::Shares => value.and_then(Value::as_array).map_or_else(absent, |shares| {
            let shares = shares.iter().filter_map(Value::as_f64).map(|share| format!("{:.1}", share * 100.0));
            format!("{} %", shares.collect::<Vec<_>>().join(" / "))
        }),
        Quantity::Numbers => value
            .and_then(Value::as_array)
            .map_or_else(absent, |numbers| numbers.iter().map(Value::to_string).collect::<Vec<_>>().join(" ")),
        Quantity::Flag => value.and_then(Value::as_bool).map_or_else(absent, |flag| if flag { "yes" } else { "no" }.to_owned()),
    }
}
