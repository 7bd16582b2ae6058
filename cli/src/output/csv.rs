//! CSV (RFC 4180, with line feeds): a header with the view's column names, then one line a row. An absent value is an empty cell.

use serde_json::Value;

use crate::output::Rows;

/// Renders rows as CSV.
pub(crate) fn render(rows: &Rows) -> String {
    render_part(rows, true)
}

/// Renders rows as CSV, with the header or as a continuation.
pub(crate) fn render_part(rows: &Rows, with_header: bool) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns = rows.columns();
    let infallible = "writing to a Vec does not fail, and every record has as many cells";
    if with_header {
        writer.write_record(columns.iter().map(|column| column.name)).expect(infallible);
    }
    for fields in &rows.rows {
        writer.write_record(columns.iter().map(|column| cell(fields.get(column.name)))).expect(infallible);
    }
    let bytes = writer.into_inner().expect(infallible);
    String::from_utf8(bytes).expect("made of strings")
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => defused(text),
        // Numbers and flags as they are; lists as JSON.
        Some(other) => other.to_string(),
    }
}

/// Puts an apostrophe before text that a spreadsheet would run as a formula.
pub(crate) fn defused(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    // `-` alone stands for nothing and starts no formula.
    if is_formula && text != "-" && text.parse::<f64>().is_err() { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_defused_and_numbers_are_not() {
        assert_eq!(defused("=1+1"), "'=1+1");
        assert_eq!(defused("@SUM(A1)"), "'@SUM(A1)");
        assert_eq!(defused("+cmd|' /C calc'!A0"), "'+cmd|' /C calc'!A0");
        assert_eq!(defused("-2+3"), "'-2+3");
        assert_eq!(defused("\t=1"), "'\t=1");
        assert_eq!(defused("-2.5"), "-2.5");
        assert_eq!(defused("+3e-4"), "+3e-4");
        assert_eq!(defused("-"), "-");
        assert_eq!(defused("increasing 0.6"), "increasing 0.6");
    }
}
