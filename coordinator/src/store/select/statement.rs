//! The statement that reads a view.

use std::fmt::Write;

use offramp_domain::filter::Filter;
use offramp_domain::table::{Column, Kind, OfSweep, Sort, View};

use super::Query;

/// The numbers of the columns that a statement answers with: those that are wanted, then those that the filter looks at besides.
pub(super) fn columns(query: &Query) -> Vec<usize> {
    let mut columns = query.columns.clone();
    let looked_at = query.filter.iter().flat_map(Filter::columns);
    let besides: Vec<usize> = looked_at.filter(|column| !columns.contains(column)).collect();
    columns.extend(besides);
    columns
}

/// The statement. It consists of names that the domain knows, and of numbers: nothing that anybody wrote is in it.
pub(in crate::store) fn text(view: &View, query: &Query, is_postgres: bool) -> String {
    let joins_sweep = query.sweep.is_some() && view.of_sweep == OfSweep::Job;
    // SQLite sorts a large view as a whole unless it is told by which table to begin: it has not counted the rows.
    let join = if is_postgres { "JOIN" } else { "CROSS JOIN" };
    let by_job = !is_postgres && query.sort.is_empty() && view.of_sweep == OfSweep::Job && view.key.len() > 1;
    let infallible = "a String takes any text";
    let mut text = String::from("SELECT ");
    let columns = columns(query);
    for (index, &column) in columns.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(text, "{comma}{}", source(view, column, joins_sweep)).expect(infallible);
    }
    if columns.is_empty() {
        text.push('1');
    }
    let name = view.name;
    match query.sweep {
        Some(sweep) if joins_sweep => {
            write!(text, " FROM v_sweep_jobs AS member {join} {name} AS v ON v.job = member.job WHERE member.sweep = {sweep}")
        }
        Some(sweep) if view.of_sweep == OfSweep::Column => write!(text, " FROM {name} AS v WHERE v.sweep = {sweep}"),
        Some(sweep) if view.of_sweep == OfSweep::ColumnOrJob => write!(
            text,
            " FROM {name} AS v WHERE v.sweep = {sweep} OR v.job IN (SELECT member.job FROM v_sweep_jobs AS member WHERE member.sweep = {sweep})"
        ),
        _ if by_job => write!(text, " FROM jobs AS base CROSS JOIN {name} AS v ON v.job = {JOB}"),
        _ => write!(text, " FROM {name} AS v"),
    }
    .expect(infallible);
    let mut terms: Vec<String> =
        order(view, query, joins_sweep).into_iter().map(|sort| term(view, sort, joins_sweep, is_postgres)).collect();
    if by_job && !joins_sweep {
        JOB.clone_into(&mut terms[0]);
    }
    if joins_sweep {
        terms.insert(query.sort.len(), "member.position".to_owned());
    }
    write!(text, " ORDER BY {}", terms.join(", ")).expect(infallible);
    if query.filter.is_none() {
        let most = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        match (query.limit, query.offset) {
            (None, 0) => {}
            (limit, offset) => write!(text, " LIMIT {} OFFSET {}", most(limit.unwrap_or(u64::MAX)), most(offset)).expect(infallible),
        }
    }
    text
}

/// A job's id, as the index on it has it.
const JOB: &str = "substr(base.key, 1, 12)";

/// What was asked for, then the view's key: without the job where the sweep's order has told jobs apart.
fn order(view: &View, query: &Query, joins_sweep: bool) -> Vec<Sort> {
    let key = view.key.iter().filter(|name| !(joins_sweep && **name == "job")).filter_map(|name| view.index_of(name).ok());
    let key = key.map(|column| Sort { column, is_descending: false });
    let besides = key.filter(|sort| query.sort.iter().all(|asked| asked.column != sort.column));
    query.sort.iter().copied().chain(besides).collect()
}

/// Where a column's values come from.
fn source(view: &View, column: usize, joins_sweep: bool) -> String {
    match view.column(column) {
        Some(known) if column < view.columns.len() => format!("v.{}", known.name),
        Some(beside) if joins_sweep => format!("member.{}", beside.name),
        Some(Column { kind: Kind::Real, .. }) => "CAST(NULL AS DOUBLE PRECISION)".to_owned(),
        Some(Column { kind: Kind::Text | Kind::Json, .. }) => "CAST(NULL AS TEXT)".to_owned(),
        Some(_) | None => "CAST(NULL AS BIGINT)".to_owned(),
    }
}

/// A column that rows are sorted by, nothing last: as it is on PostgreSQL where numbers rise and nowhere else. Texts are sorted by their bytes, as
/// SQLite does. Nothing more is said than is needed: an index gives its order only where the statement asks for exactly that.
fn term(view: &View, sort: Sort, joins_sweep: bool, is_postgres: bool) -> String {
    let column = view.column(sort.column);
    let is_text = column.is_some_and(|column| matches!(column.kind, Kind::Text | Kind::Json));
    let collation = if is_postgres && is_text { " COLLATE \"C\"" } else { "" };
    let direction = if sort.is_descending { " DESC" } else { "" };
    let nulls = if column.is_none_or(|column| column.nullable) { " NULLS LAST" } else { "" };
    format!("{}{collation}{direction}{nulls}", source(view, sort.column, joins_sweep))
}

#[cfg(test)]
mod tests {
    use offramp_domain::filter::Filter;
    use offramp_domain::table;

    use super::*;

    fn query(view: &View, sort: &[&str], columns: &[&str]) -> Query {
        Query {
            sort: sort.iter().map(|text| Sort::parse(text, view).unwrap()).collect(),
            columns: columns.iter().map(|name| view.index_of(name).unwrap()).collect(),
            ..Query::default()
        }
    }

    #[test]
    fn statements_are_made_of_known_names() {
        let exits = table::view("exits").unwrap();
        let asked = query(exits, &["-accuracy", "ece"], &["job", "exit"]);
        assert_eq!(
            text(exits, &asked, false),
            "SELECT v.job, v.exit FROM v_exits AS v ORDER BY v.accuracy DESC, v.ece NULLS LAST, v.job, v.exit"
        );
        let of_sweep = Query { sweep: Some(7), limit: Some(5), offset: 10, ..asked };
        assert_eq!(
            text(exits, &of_sweep, true),
            "SELECT v.job, v.exit FROM v_sweep_jobs AS member JOIN v_exits AS v ON v.job = member.job WHERE member.sweep = 7 \
             ORDER BY v.accuracy DESC, v.ece NULLS LAST, member.position, v.exit LIMIT 5 OFFSET 10"
        );
        let jobs = table::view("jobs").unwrap();
        let reused = query(jobs, &["reused"], &["job", "reused"]);
        assert_eq!(
            text(jobs, &reused, true),
            "SELECT v.job, CAST(NULL AS BIGINT) FROM v_jobs AS v ORDER BY CAST(NULL AS BIGINT) NULLS LAST, v.job COLLATE \"C\""
        );
        assert_eq!(
            text(exits, &query(exits, &[], &["exit"]), false),
            "SELECT v.exit FROM jobs AS base CROSS JOIN v_exits AS v ON v.job = substr(base.key, 1, 12) \
             ORDER BY substr(base.key, 1, 12), v.exit"
        );
        let sweeps = table::view("sweeps").unwrap();
        let one = Query { sweep: Some(3), ..query(sweeps, &["-sweep"], &["name"]) };
        assert_eq!(text(sweeps, &one, false), "SELECT v.name FROM v_sweeps AS v WHERE v.sweep = 3 ORDER BY v.sweep DESC");
    }

    #[test]
    fn what_filters_say_stays_out_of_statements() {
        let jobs = table::view("jobs").unwrap();
        let filter = Filter::parse("error contains '''; DROP TABLE jobs; --' and seed = 3", jobs).unwrap();
        let asked = Query { filter: Some(filter), limit: Some(1), offset: 2, ..query(jobs, &[], &["seed"]) };
        assert_eq!(text(jobs, &asked, false), "SELECT v.seed, v.error FROM v_jobs AS v ORDER BY v.job");
    }
}
