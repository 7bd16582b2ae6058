//! Parts of an answer, as messages: what a bounded call takes of the rows that it is about.

use std::cmp::Ordering;

use offramp_domain::table::{Array, Batch, Kind, Sort, Value, ValueRef, View};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};
use tokio_stream::StreamExt;

use super::Query;
use crate::store::error::DatabaseError;
use crate::store::read::Reader;

/// Some rows, and whether there are more after them.
pub(crate) type Page<R> = (Vec<R>, bool);

impl Reader {
    /// Rows of a view as messages of the same field names, at most `limit` of them whatever the query says.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn page<R: DeserializeOwned>(
        &self,
        view: &'static View,
        query: Query,
        limit: usize,
    ) -> Result<Page<R>, DatabaseError> {
        // What rows have beside where they are those of a sweep.
        let n_columns = view.columns.len() + if query.sweep.is_some() { view.beside.len() } else { 0 };
        // One more than is wanted tells whether there are more.
        let query = Query { columns: (0..n_columns).collect(), limit: Some(limit as u64 + 1), ..query };
        let mut batches = self.select(view, query);
        let mut rows = Vec::new();
        while let Some(batch) = batches.next().await {
            for fields in fields(view, &batch?) {
                let row = serde_json::from_value(Json::Object(fields)).map_err(|error| sqlx::Error::Decode(error.into()))?;
                rows.push(row);
            }
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }
}

/// A batch's rows by their columns' names.
fn fields(view: &View, batch: &Batch) -> impl Iterator<Item = Map<String, Json>> {
    (0..batch.n_rows).map(move |row| {
        let columns = view.all_columns().zip(&batch.columns);
        columns.map(|(column, array)| (column.name.to_owned(), json_value(column.name, column.kind, array, row))).collect()
    })
}

/// A row's value in a column as JSON. Seeds have 64 bits without a sign, of which databases know nothing.
pub(crate) fn json_value(name: &str, kind: Kind, array: &Array, row: usize) -> Json {
    match array.get(row) {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(value) if name == "seed" => value.cast_unsigned().into(),
        ValueRef::Integer(value) => value.into(),
        ValueRef::Real(value) => value.into(),
        ValueRef::Flag(value) => value.into(),
        ValueRef::Text(text) if kind == Kind::Json => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        ValueRef::Text(text) => text.into(),
    }
}

/// What a query takes of rows that are in memory already, in their order where it asks for no other; at most `limit` of them.
pub(crate) fn narrow<R: Serialize>(view: &View, query: &Query, rows: Vec<R>, limit: usize) -> Page<R> {
    let mut rows: Vec<(Vec<Value>, R)> = if query.filter.is_none() && query.sort.is_empty() {
        rows.into_iter().map(|row| (Vec::new(), row)).collect()
    } else {
        rows.into_iter().map(|row| (values(view, &row), row)).collect()
    };
    if let Some(filter) = &query.filter {
        rows.retain(|(values, _)| filter.matches_row(&|column| values.get(column).map_or(ValueRef::Null, Value::as_ref)));
    }
    rows.sort_by(|(a, _), (b, _)| query.sort.iter().map(|sort| order(*sort, a, b)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal));
    let mut rest = rows.into_iter().skip(usize::try_from(query.offset).unwrap_or(usize::MAX)).map(|(_, row)| row);
    let taken: Vec<R> = rest.by_ref().take(limit).collect();
    let more = rest.next().is_some();
    (taken, more)
}

/// A message's values in the order of the view's columns.
fn values<R: Serialize>(view: &View, row: &R) -> Vec<Value> {
    let fields = serde_json::to_value(row).unwrap_or_default();
    let value = |(name, kind): (&str, Kind)| match (&fields[name], kind) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(flag), _) => Value::Flag(*flag),
        (Json::Number(number), Kind::Real) => number.as_f64().map_or(Value::Null, Value::Real),
        (Json::Number(number), _) => {
            let seed = || number.as_u64().map(u64::cast_signed);
            number.as_i64().or_else(seed).map_or(Value::Null, Value::Integer)
        }
        (Json::String(text), _) => Value::Text(text.clone()),
        (list @ (Json::Array(_) | Json::Object(_)), _) => Value::Text(list.to_string()),
    };
    view.all_columns().map(|column| value((column.name, column.kind))).collect()
}

/// As the databases order: nothing last either way, texts by their bytes.
fn order(sort: Sort, a: &[Value], b: &[Value]) -> Ordering {
    let (a, b) = (a.get(sort.column).unwrap_or(&Value::Null), b.get(sort.column).unwrap_or(&Value::Null));
    let rising = match (a, b) {
        (Value::Null, Value::Null) => return Ordering::Equal,
        (Value::Null, _) => return Ordering::Greater,
        (_, Value::Null) => return Ordering::Less,
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Real(a), Value::Real(b)) => a.total_cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Flag(a), Value::Flag(b)) => a.cmp(b),
        // A column has one kind.
        _ => Ordering::Equal,
    };
    if sort.is_descending { rising.reverse() } else { rising }
}

#[cfg(test)]
mod tests {
    use offramp_domain::table;
    use offramp_proto::v1;

    use super::*;

    fn rows() -> Vec<v1::FrontierRow> {
        let row = |cost: f64, dataset: &str, latency_us: Option<f64>| v1::FrontierRow {
            cost,
            dataset: dataset.into(),
            latency_us,
            seed: u64::MAX,
            ..Default::default()
        };
        vec![row(1.0, "b", None), row(2.0, "a", Some(5.0)), row(3.0, "b", Some(4.0)), row(4.0, "B", None)]
    }

    fn costs(filter: &str, sort: &[&str], offset: u64, limit: usize) -> (Vec<f64>, bool) {
        let view = table::view("frontier").unwrap();
        let none: [&str; 0] = [];
        let query = Query { offset, ..Query::parse(view, filter, sort, &none).unwrap() };
        let (rows, more) = narrow(view, &query, rows(), limit);
        (rows.iter().map(|row| row.cost).collect(), more)
    }

    #[test]
    fn rows_in_memory_are_filtered_sorted_and_cut_as_a_database_would() {
        assert_eq!(costs("", &[], 0, 9), (vec![1.0, 2.0, 3.0, 4.0], false));
        assert_eq!(costs("", &[], 1, 2), (vec![2.0, 3.0], true));
        assert_eq!(costs("dataset = b", &[], 0, 9), (vec![1.0, 3.0], false));
        assert_eq!(costs("latency_us is null", &[], 0, 1), (vec![1.0], true));
        // By bytes, capitals first; what is equal stays in its order.
        assert_eq!(costs("", &["dataset"], 0, 9), (vec![4.0, 2.0, 1.0, 3.0], false));
        // Nothing comes last either way.
        assert_eq!(costs("", &["latency_us"], 0, 9), (vec![3.0, 2.0, 1.0, 4.0], false));
        assert_eq!(costs("", &["-latency_us", "-cost"], 0, 9), (vec![2.0, 3.0, 4.0, 1.0], false));
        assert_eq!(costs("", &[], u64::MAX, 9), (vec![], false));
    }
}
