//! From a statement's rows to batches of those that are wanted.

use offramp_domain::filter::Filter;
use offramp_domain::table::{Array, BATCH_BYTES, BATCH_ROWS, Batch, Kind, Value, ValueRef, View};

use super::statement::columns;
use super::{Query, Row};

/// Gathers rows until there are enough for a batch.
pub(super) struct Gathering {
    view: &'static View,
    /// Number and kind of each column that the statement answers with; those that are wanted come first.
    columns: Vec<(usize, Kind)>,
    n_wanted: usize,
    filter: Option<Filter>,
    /// The place of each of the view's columns in the statement's answer.
    places: Vec<Option<usize>>,
    /// Rows that are still passed over.
    offset: u64,
    /// Rows that are still wanted.
    left: u64,
    batch: Batch,
    n_bytes: usize,
    /// Whether a batch went out.
    has_begun: bool,
}

impl Gathering {
    pub(super) fn new(view: &'static View, query: Query) -> Self {
        let kind = |column: usize| view.column(column).map_or(Kind::Integer, |column| column.kind);
        let columns: Vec<(usize, Kind)> = columns(&query).into_iter().map(|column| (column, kind(column))).collect();
        let place = |column: usize| columns.iter().position(|(number, _)| *number == column);
        let places = (0..view.columns.len() + view.beside.len()).map(place).collect();
        // Without a filter the statement has both.
        let (offset, left) = if query.filter.is_some() { (query.offset, query.limit) } else { (0, None) };
        let mut gathering = Self {
            view,
            columns,
            n_wanted: query.columns.len(),
            filter: query.filter,
            places,
            offset,
            left: left.unwrap_or(u64::MAX),
            batch: Batch::default(),
            n_bytes: 0,
            has_begun: false,
        };
        gathering.batch = gathering.empty();
        gathering
    }

    fn empty(&self) -> Batch {
        Batch { columns: self.columns[..self.n_wanted].iter().map(|(_, kind)| Array::empty(*kind)).collect(), n_rows: 0 }
    }

    /// Whether no further row is wanted.
    pub(super) const fn is_complete(&self) -> bool {
        self.left == 0
    }

    /// Takes a row where it is wanted; a batch where it fills one.
    pub(super) fn take(&mut self, row: &Row) -> Result<Option<Batch>, sqlx::Error> {
        if self.is_complete() || !self.is_wanted(row)? {
            return Ok(None);
        }
        if self.offset > 0 {
            self.offset -= 1;
            return Ok(None);
        }
        self.left -= 1;
        for (place, array) in self.batch.columns.iter_mut().enumerate() {
            self.n_bytes += push(array, row, place)?;
        }
        self.batch.n_rows += 1;
        if self.batch.n_rows < BATCH_ROWS && self.n_bytes < BATCH_BYTES {
            return Ok(None);
        }
        self.n_bytes = 0;
        self.has_begun = true;
        let next = self.empty();
        Ok(Some(std::mem::replace(&mut self.batch, next)))
    }

    /// The rest; an empty batch where there was none at all.
    pub(super) fn finish(self) -> Option<Batch> {
        (self.batch.n_rows > 0 || !self.has_begun).then_some(self.batch)
    }

    fn is_wanted(&self, row: &Row) -> Result<bool, sqlx::Error> {
        let Some(filter) = &self.filter else { return Ok(true) };
        debug_assert_eq!(filter.view().name, self.view.name, "a filter is of the view that it is on");
        let mut values = vec![Value::Null; self.places.len()];
        for column in filter.columns() {
            let place = self.places.get(column).copied().flatten();
            if let Some(place) = place {
                values[column] = value(row, place, self.columns[place].1)?;
            }
        }
        Ok(filter.matches_row(&|column| values.get(column).map_or(ValueRef::Null, Value::as_ref)))
    }
}

fn value(row: &Row, place: usize, kind: Kind) -> Result<Value, sqlx::Error> {
    Ok(match kind {
        Kind::Integer | Kind::Time => row.at::<Option<i64>>(place)?.map_or(Value::Null, Value::Integer),
        Kind::Real => row.at::<Option<f64>>(place)?.map_or(Value::Null, Value::Real),
        Kind::Text | Kind::Json => row.at::<Option<String>>(place)?.map_or(Value::Null, Value::Text),
        Kind::Flag => row.at::<Option<i64>>(place)?.map_or(Value::Null, |flag| Value::Flag(flag != 0)),
    })
}

/// Appends a row's value; about how many bytes that takes.
fn push(array: &mut Array, row: &Row, place: usize) -> Result<usize, sqlx::Error> {
    match array {
        Array::Integers(values) => values.push(row.at(place)?),
        Array::Reals(values) => values.push(row.at(place)?),
        Array::Flags(values) => values.push(row.at::<Option<i64>>(place)?.map(|flag| flag != 0)),
        Array::Texts(values) => {
            let text: Option<String> = row.at(place)?;
            let n_bytes = text.as_ref().map_or(0, String::len);
            values.push(text);
            return Ok(n_bytes + 8);
        }
    }
    Ok(8)
}
