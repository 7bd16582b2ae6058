//! How many rows, and several insertions, travel in one statement.
//!
//! An insertion's file ends in one tuple of `VALUES`, numbered from `$1`. On SQLite the tuple is repeated, and what belongs together is one text of
//! several statements. On PostgreSQL each column travels as an array, and what belongs together is one statement with parts (`WITH`). Either way
//! doubles arrive as they are, which they would not by way of a text on every engine.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex, PoisonError};

use super::{Statement, Value};

/// Rows of one statement on SQLite: 64 of ten columns are far from its 32,766 parameters, and spare nearly all round trips.
pub(super) const SQLITE_ROWS_MOST: usize = 64;
/// On PostgreSQL, which takes as many as there are: so that no message grows beyond a few megabytes.
pub(super) const POSTGRES_ROWS_MOST: usize = 4_096;

/// Rows to insert: the statement for one, and the values of each.
pub(in crate::store) type Insertion = (Statement, Vec<Vec<Value>>);

/// What a text is made of: the statement before the insertions' rows or after them, and per insertion a statement with the number of its tuples
/// (SQLite) or the types of its columns (PostgreSQL).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Recipe {
    Sqlite(Option<&'static str>, Vec<(&'static str, usize)>),
    Postgres(Option<&'static str>, Vec<(&'static str, Vec<&'static str>)>),
}

/// Texts are made once: of few statements, with numbers of tuples that are powers of two.
fn made(recipe: Recipe, make: impl FnOnce(&Recipe) -> String) -> &'static str {
    static TEXTS: LazyLock<Mutex<HashMap<Recipe, &'static str>>> = LazyLock::new(Mutex::default);
    // A panic leaves the map whole.
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(text) = texts.get(&recipe) {
        return text;
    }
    let text: &'static str = make(&recipe).leak();
    texts.insert(recipe, text);
    text
}

/// The text and the values of insertions, each of [`SQLITE_ROWS_MOST`] rows at most and of one at least, and of a statement after them.
///
/// The numbers of tuples are powers of two, so that few texts are prepared; what is left of one is filled up with nothing. The first column must
/// have a value in every row.
pub(super) fn sqlite(insertions: Vec<Insertion>, then: Option<(Statement, Vec<Value>)>) -> (&'static str, Vec<Value>) {
    let parts = insertions.iter().map(|(statement, rows)| (statement.sqlite, rows.len().next_power_of_two())).collect();
    let widths: Vec<usize> = insertions.iter().map(|(_, rows)| rows[0].len()).collect();
    let text = made(Recipe::Sqlite(then.as_ref().map(|(statement, _)| statement.sqlite), parts), |recipe| {
        let Recipe::Sqlite(then, parts) = recipe else { unreachable!("made right here") };
        let texts = parts.iter().zip(&widths).map(|((statement, n_tuples), n_columns)| repeat_tuple(statement, *n_columns, *n_tuples));
        // Unnumbered parameters are the first values, whatever is numbered comes after them.
        let n_before = parts.iter().zip(&widths).map(|((_, n_tuples), n_columns)| n_tuples * n_columns).sum();
        texts.chain(then.map(|then| renumbered(then, n_before))).collect::<Vec<_>>().join("\n")
    });
    let mut values = Vec::new();
    for (_, rows) in insertions {
        let n_filled = rows.len().next_power_of_two() - rows.len();
        let nothing: Vec<Value> = rows[0].iter().map(Value::nothing).collect();
        values.extend(rows.into_iter().flatten());
        values.extend(nothing.iter().cycle().take(n_filled * nothing.len()).cloned());
    }
    values.extend(then.into_iter().flat_map(|(_, values)| values));
    (text, values)
}

/// The same of [`POSTGRES_ROWS_MOST`] rows at most; the other statement begins with `WITH`, sees nothing of what is inserted, and answers.
pub(super) fn postgres(insertions: Vec<Insertion>, then: Option<(Statement, Vec<Value>)>) -> (&'static str, Vec<Value>) {
    let types = |rows: &[Vec<Value>]| rows[0].iter().map(Value::array_type).collect();
    let parts = insertions.iter().map(|(statement, rows)| (statement.postgres, types(rows))).collect();
    let n_values = then.as_ref().map_or(0, |(_, values)| values.len());
    let text = made(Recipe::Postgres(then.as_ref().map(|(statement, _)| statement.postgres), parts), |recipe| {
        let Recipe::Postgres(then, parts) = recipe else { unreachable!("made right here") };
        let mut n_before = n_values;
        let mut texts = Vec::new();
        for (statement, types) in parts {
            texts.push(from_arrays(statement, n_before, types));
            n_before += types.len();
        }
        let Some(then) = then else { return texts.concat() };
        let rest = bare(then).strip_prefix("WITH ").expect("a statement with insertions begins with WITH");
        let mut text = "WITH ".to_owned();
        for (index, part) in texts.iter().enumerate() {
            writeln!(text, "inserted_{index} AS (\n{part}\n),").expect("a text takes what is written");
        }
        text + rest
    });
    let mut values = then.map_or_else(Vec::new, |(_, values)| values);
    for (_, rows) in insertions {
        let mut columns: Vec<Value> = rows[0].iter().map(|value| value.empty_array(rows.len())).collect();
        for (column, value) in rows.into_iter().flat_map(|row| row.into_iter().enumerate()) {
            columns[column].push(value);
        }
        values.extend(columns);
    }
    (text, values)
}

/// A statement without its header and its last semicolon.
fn bare(statement: &str) -> &str {
    let header: usize = statement.split_inclusive('\n').take_while(|line| line.starts_with("--")).map(str::len).sum();
    statement[header..].trim_end().trim_end_matches(';')
}

/// An insertion's text before and after its tuple.
fn around_tuple(statement: &str, n_columns: usize) -> (&str, &str) {
    let tuple: Vec<String> = (1..=n_columns).map(|column| format!("${column}")).collect();
    statement.split_once(&format!("VALUES ({})", tuple.join(", "))).expect("an insertion has one tuple of parameters, numbered from $1")
}

/// The insertion with its tuple repeated, of which those count that begin with a value. Its parameters have no numbers: SQLite looks a number up
/// among all of them, so that hundreds take their time.
fn repeat_tuple(statement: &str, n_columns: usize, n_tuples: usize) -> String {
    let (head, tail) = around_tuple(statement, n_columns);
    let tuple = format!("({})", vec!["?"; n_columns].join(", "));
    if n_tuples == 1 {
        return format!("{head}VALUES {tuple}{tail}");
    }
    format!("{head}SELECT * FROM (VALUES {}) AS filled WHERE column1 IS NOT NULL{tail}", vec![tuple; n_tuples].join(", "))
}

/// The insertion with rows from arrays, one a column, which are the parameters after the first `n_before`.
fn from_arrays(statement: &str, n_before: usize, types: &[&str]) -> String {
    let (head, tail) = around_tuple(bare(statement), types.len());
    let arrays: Vec<String> = types.iter().zip(n_before + 1..).map(|(of, number)| format!("${number}::{of}")).collect();
    format!("{head}SELECT * FROM unnest({}){tail}", arrays.join(", "))
}

/// The statement with numbers of parameters that are greater by `by`.
fn renumbered(statement: &str, by: usize) -> String {
    let mut parts = statement.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let n_digits = part.bytes().take_while(u8::is_ascii_digit).count();
        match part[..n_digits].parse::<usize>() {
            Ok(number) => write!(text, "${}{}", number + by, &part[n_digits..]).expect("a text takes what is written"),
            // A path into a JSON text.
            Err(_) => write!(text, "${part}").expect("a text takes what is written"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSERT: Statement = Statement {
        name: "insert",
        sqlite: "-- Of $1.\nINSERT INTO t (a, b)\nVALUES ($1, $2)\nON CONFLICT DO NOTHING;",
        postgres: "-- Of $1.\nINSERT INTO t (a, b)\nVALUES ($1, $2)\nON CONFLICT DO NOTHING;\n",
    };
    const THEN: Statement = Statement {
        name: "then",
        sqlite: "UPDATE u SET a = $2, b = '$.x' WHERE c = $1;",
        postgres: "-- Then.\nWITH w AS (SELECT $1)\nSELECT $2;\n",
    };

    fn row(a: i64, b: f64) -> Vec<Value> {
        vec![Value::from(a), Value::from(b)]
    }

    #[test]
    fn tuples_are_repeated_and_filled_up_on_sqlite() {
        let (text, values) = sqlite(vec![(INSERT, vec![row(1, 0.5)])], None);
        assert_eq!(text, "-- Of $1.\nINSERT INTO t (a, b)\nVALUES (?, ?)\nON CONFLICT DO NOTHING;");
        assert_eq!(values, row(1, 0.5));
        let (text, values) = sqlite(vec![(INSERT, vec![row(1, 0.5), row(2, 0.25), row(3, 0.0)])], None);
        let expected = "-- Of $1.\nINSERT INTO t (a, b)\n\
                        SELECT * FROM (VALUES (?, ?), (?, ?), (?, ?), (?, ?)) AS filled WHERE column1 IS NOT NULL\nON CONFLICT DO NOTHING;";
        assert_eq!(text, expected);
        assert_eq!(values, [row(1, 0.5), row(2, 0.25), row(3, 0.0), vec![Value::Integer(None), Value::Real(None)]].concat());
    }

    #[test]
    fn what_comes_after_insertions_counts_on_from_them_on_sqlite() {
        let insertions = vec![(INSERT, vec![row(1, 0.5)]), (INSERT, vec![row(2, 0.5), row(3, 0.5)])];
        let (text, values) = sqlite(insertions, Some((THEN, vec![Value::from(7_i64), Value::from(8_i64)])));
        assert!(text.ends_with("\nUPDATE u SET a = $8, b = '$.x' WHERE c = $7;"), "{text}");
        assert_eq!(values, [row(1, 0.5), row(2, 0.5), row(3, 0.5), vec![Value::from(7_i64), Value::from(8_i64)]].concat());
    }

    #[test]
    fn columns_travel_as_arrays_on_postgres() {
        let arrays = [Value::Integers(vec![Some(1), Some(2)]), Value::Reals(vec![Some(0.5), None])];
        let rows = vec![row(1, 0.5), row(2, f64::NAN)];
        let (text, values) = postgres(vec![(INSERT, rows.clone())], None);
        let insert = |first: usize| {
            let (a, b) = (first, first + 1);
            format!("INSERT INTO t (a, b)\nSELECT * FROM unnest(${a}::bigint[], ${b}::double precision[])\nON CONFLICT DO NOTHING")
        };
        assert_eq!(text, insert(1));
        assert_eq!(values, arrays);
        let (text, values) = postgres(vec![(INSERT, rows.clone()), (INSERT, rows)], Some((THEN, row(7, 1.0))));
        let expected = format!("WITH inserted_0 AS (\n{}\n),\ninserted_1 AS (\n{}\n),\nw AS (SELECT $1)\nSELECT $2", insert(3), insert(5));
        assert_eq!(text, expected);
        assert_eq!(values, [row(7, 1.0), arrays.to_vec(), arrays.to_vec()].concat());
    }
}
