//! Rows of any view on the wire: a column at a time, with a bit for each absent value.

use offramp_domain::table::{Array, Batch, Column, Kind};

use crate::convert::DecodeError;
use crate::v1;
use crate::v1::column_batch::Values;

/// A batch as a message; `columns` are those of the batch, in its order.
pub fn row_batch<'c>(columns: impl IntoIterator<Item = &'c Column>, batch: Batch) -> v1::RowBatch {
    let Batch { columns: arrays, n_rows } = batch;
    let columns = columns.into_iter().zip(arrays).map(|(column, array)| column_batch(column, array));
    v1::RowBatch { columns: columns.collect(), n_rows: n_rows as u32 }
}

fn column_batch(column: &Column, array: Array) -> v1::ColumnBatch {
    let (present, values) = match array {
        Array::Integers(values) => (bits(&values), Values::Integers(v1::Integers { values: filled(values) })),
        Array::Reals(values) => (bits(&values), Values::Reals(v1::Reals { values: filled(values) })),
        Array::Texts(values) => (bits(&values), Values::Texts(v1::Texts { values: filled(values) })),
        Array::Flags(values) => (bits(&values), Values::Flags(v1::Flags { values: filled(values) })),
    };
    v1::ColumnBatch { name: column.name.to_owned(), kind: kind_name(column.kind).to_owned(), values: Some(values), present }
}

/// What a kind is called on the wire.
pub const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "integer",
        Kind::Real => "real",
        Kind::Text => "text",
        Kind::Flag => "flag",
        Kind::Time => "time",
        Kind::Json => "json",
    }
}

/// A bit a value, the lowest of the first byte first; nothing where all are there.
fn bits<T>(values: &[Option<T>]) -> Vec<u8> {
    if values.iter().all(Option::is_some) {
        return Vec::new();
    }
    let byte = |chunk: &[Option<T>]| chunk.iter().enumerate().fold(0, |byte, (bit, value)| byte | u8::from(value.is_some()) << bit);
    values.chunks(8).map(byte).collect()
}

fn filled<T: Default>(values: Vec<Option<T>>) -> Vec<T> {
    values.into_iter().map(Option::unwrap_or_default).collect()
}

/// A message as a batch of these columns.
///
/// # Errors
/// When it has other columns, values of another kind, or not as many in each as there are rows.
pub fn batch<'c>(columns: impl IntoIterator<Item = &'c Column>, message: v1::RowBatch) -> Result<Batch, DecodeError> {
    let n_rows = message.n_rows as usize;
    let mut arrays = Vec::with_capacity(message.columns.len());
    let mut sent = message.columns.into_iter();
    for column in columns {
        let sent = sent.next().filter(|sent| sent.name == column.name).ok_or(DecodeError::Missing("row_batch.columns"))?;
        arrays.push(array(column.kind, sent, n_rows)?);
    }
    match sent.next() {
        None => Ok(Batch { columns: arrays, n_rows }),
        Some(more) => Err(range("row_batch.columns", more.name.chars().take(40).collect(), "the columns that were asked for")),
    }
}

fn array(kind: Kind, sent: v1::ColumnBatch, n_rows: usize) -> Result<Array, DecodeError> {
    let v1::ColumnBatch { values, present, .. } = sent;
    if !present.is_empty() && present.len() != n_rows.div_ceil(8) {
        return Err(range("column_batch.present", format!("{} bytes", present.len()), "a bit a row"));
    }
    match (kind, values) {
        (Kind::Integer | Kind::Time, Some(Values::Integers(integers))) => optional(integers.values, &present, n_rows).map(Array::Integers),
        (Kind::Real, Some(Values::Reals(reals))) => optional(reals.values, &present, n_rows).map(Array::Reals),
        (Kind::Text | Kind::Json, Some(Values::Texts(texts))) => optional(texts.values, &present, n_rows).map(Array::Texts),
        (Kind::Flag, Some(Values::Flags(flags))) => optional(flags.values, &present, n_rows).map(Array::Flags),
        (_, None) => Err(DecodeError::Missing("column_batch.values")),
        (_, Some(_)) => Err(range("column_batch.values", "of another kind".to_owned(), "values of the column's kind")),
    }
}

fn optional<T>(values: Vec<T>, present: &[u8], n_rows: usize) -> Result<Vec<Option<T>>, DecodeError> {
    if values.len() != n_rows {
        return Err(range("column_batch.values", format!("{} values", values.len()), "a value a row"));
    }
    let is_present = |row: usize| present.is_empty() || present[row / 8] >> (row % 8) & 1 == 1;
    Ok(values.into_iter().enumerate().map(|(row, value)| is_present(row).then_some(value)).collect())
}

const fn range(field: &'static str, value: String, expected: &'static str) -> DecodeError {
    DecodeError::Range { field, value, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column { name: "sweep", kind: Kind::Integer, nullable: true },
        Column { name: "area", kind: Kind::Real, nullable: true },
        Column { name: "error", kind: Kind::Text, nullable: true },
        Column { name: "reused", kind: Kind::Flag, nullable: true },
    ];

    fn nine_rows() -> Batch {
        let gaps = |row: usize| row % 4 != 1;
        Batch {
            columns: vec![
                Array::Integers((0..9).map(|row| gaps(row).then_some(i64::MIN + row as i64)).collect()),
                Array::Reals((0..9).map(|row| Some(f64::from(row) / 3.0)).collect()),
                Array::Texts((0..9).map(|row| (row == 8).then(|| "ü\0".to_owned())).collect()),
                Array::Flags((0..9).map(|row| gaps(row).then_some(row % 2 == 0)).collect()),
            ],
            n_rows: 9,
        }
    }

    #[test]
    fn batches_arrive_as_they_were_sent() {
        let message = row_batch(&COLUMNS, nine_rows());
        // Rows 1 and 5 are absent; the ninth has a byte of its own.
        assert_eq!(message.columns[0].present, [0b1101_1101, 1]);
        assert!(message.columns[1].present.is_empty(), "all there");
        assert_eq!(message.columns[2].present, [0, 1]);
        assert_eq!(batch(&COLUMNS, message), Ok(nine_rows()));
        let none = Batch { columns: COLUMNS.iter().map(|column| Array::empty(column.kind)).collect(), n_rows: 0 };
        assert_eq!(batch(&COLUMNS, row_batch(&COLUMNS, none.clone())), Ok(none));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        type Spoil = fn(&mut v1::RowBatch);
        let spoilt: [Spoil; 7] = [
            |message| message.n_rows = 10,
            |message| message.columns[0].present = vec![0xff],
            |message| message.columns[0].name = "seed".into(),
            |message| message.columns[1].values = None,
            |message| message.columns.swap(0, 1),
            |message| drop(message.columns.pop()),
            |message| message.columns.push(v1::ColumnBatch { name: "more".into(), ..v1::ColumnBatch::default() }),
        ];
        for (index, spoil) in spoilt.iter().enumerate() {
            let mut message = row_batch(&COLUMNS, nine_rows());
            spoil(&mut message);
            assert!(batch(&COLUMNS, message).is_err(), "{index}");
        }
    }
}
