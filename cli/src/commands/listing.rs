//! What all commands have in common that list rows of a view: filters, order, columns, pages.

use offramp_coordinator::store::{Query, QueryError};
use offramp_domain::filter::Filter;
use offramp_domain::table::{self, Sort};
use tokio_stream::StreamExt;

use crate::args::{SelectArguments, SourceArguments};
use crate::commands::write_list;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::selected::{Selected, Writer, arrange};
use crate::output::view::View;
use crate::output::{Format, Rows, say};
use crate::source::Source;
use crate::text::escape_control;

/// Most rows of a table, unless told otherwise.
pub(super) const TABLE_ROWS: u64 = 1_000;

/// A list, before anybody chose among its rows.
pub(super) struct Listing<'a> {
    /// How its rows are shown.
    pub(super) view: &'static View,
    /// The database's view of the same rows.
    pub(super) stored: &'static str,
    /// The sweep, where it is one's rows alone.
    pub(super) sweep: Option<&'a str>,
    /// A filter that the command itself has; empty where it has none.
    pub(super) only: String,
    /// The order, unless another one is asked for.
    pub(super) order: &'a [&'a str],
    /// Most rows of a table, unless told otherwise.
    pub(super) table_rows: u64,
    /// What is said where there is nothing.
    pub(super) nothing: String,
}

impl Listing<'_> {
    /// Checks what is asked for. Done before anything is opened: a mistake is a mistake wherever it is asked.
    pub(super) fn query(&self, select: &SelectArguments) -> Result<(&'static table::View, Selected, Query), Failure> {
        let stored = stored(self.stored);
        let asked = parse(stored, select)?;
        let selected = Selected::new(self.view, stored, &select.columns);
        let own = (!self.only.is_empty()).then(|| Filter::parse(&self.only, stored).expect("the command's own filter is one"));
        let filter = match (own, asked.filter) {
            (Some(own), Some(asked)) => Some(own.and(asked)),
            (own, asked) => own.or(asked),
        };
        let order =
            || self.order.iter().map(|name| Sort::parse(name, stored).expect("the command's own order is of its columns")).collect();
        let sort = if asked.sort.is_empty() { order() } else { asked.sort };
        let columns = selected.names().iter().filter_map(|name| stored.index_of(name).ok()).collect();
        Ok((stored, selected, Query { filter, sort, columns, ..Query::default() }))
    }

    /// As [`Self::write_from`], from what the arguments name, which is opened when all the rest is known to be right.
    pub(super) async fn write(&self, source: &SourceArguments, select: &SelectArguments, format: Format) -> Result<Exit, Failure> {
        self.query(select)?;
        self.write_from(&Source::open(source).await?, select, format).await
    }

    /// Reads the rows and writes them as they come.
    ///
    /// # Errors
    /// Exit code 2 where what is asked for cannot be; else when the source cannot answer, or stdout be written.
    pub(super) async fn write_from(&self, source: &Source, select: &SelectArguments, format: Format) -> Result<Exit, Failure> {
        let (stored, selected, query) = self.query(select)?;
        let limit = select.limit.or((format == Format::Table).then_some(self.table_rows));
        // One more than is shown tells whether there are more.
        let query = Query { limit: limit.map(|limit| limit.saturating_add(1)), offset: select.offset, ..query };
        let mut batches = source.select(stored, self.sweep, query).await?;
        let mut writer = Writer::new(format, selected);
        let (mut left, mut is_cut) = (limit.unwrap_or(u64::MAX), false);
        while let Some(batch) = batches.next().await {
            let mut batch = batch?;
            if batch.n_rows as u64 > left {
                is_cut = true;
                shorten(&mut batch, left as usize);
            }
            left -= batch.n_rows as u64;
            writer.take(&batch)?;
        }
        let n_rows = writer.finish()?;
        Ok(end(n_rows, is_cut, select, &self.nothing))
    }
}

/// Chooses among rows that are all there, and writes what is left of them.
///
/// # Errors
/// Exit code 2 where what is asked for cannot be; else when stdout cannot be written.
pub(super) fn write_chosen(
    rows: Rows,
    stored: &'static table::View,
    select: &SelectArguments,
    format: Format,
    nothing: &str,
) -> Result<Exit, Failure> {
    let query = parse(stored, select)?;
    let mut rows = arrange(rows, stored, query.filter.as_ref(), &query.sort, &select.columns);
    let limit = select.limit.or((format == Format::Table).then_some(TABLE_ROWS));
    let offset = usize::try_from(select.offset).unwrap_or(usize::MAX).min(rows.rows.len());
    rows.rows.drain(..offset);
    let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let is_cut = rows.rows.len() > most;
    rows.rows.truncate(most);
    if !rows.rows.is_empty() {
        write_list(format, &rows, nothing)?;
        return Ok(end(rows.rows.len() as u64, is_cut, select, nothing));
    }
    write_list(format, &rows, &looked_for(select, nothing))
}

/// The database's view of this name.
pub(super) fn stored(name: &str) -> &'static table::View {
    table::view(name).expect("commands list views that there are")
}

/// Reads what is asked for.
pub(super) fn parse(stored: &'static table::View, select: &SelectArguments) -> Result<Query, Failure> {
    // A filter that is there and empty is a mistake, as of a script's variable that was not set.
    let filter = select.filter.as_deref().map_or("", |filter| if filter.is_empty() { " " } else { filter });
    Query::parse(stored, filter, &select.sort, &select.columns).map_err(wrong)
}

fn wrong(error: QueryError) -> Failure {
    let hint = error.hint();
    let failure = Failure::with_exit(Exit::Usage, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn shorten(batch: &mut table::Batch, n_rows: usize) {
    batch.n_rows = n_rows;
    for array in &mut batch.columns {
        match array {
            table::Array::Integers(values) => values.truncate(n_rows),
            table::Array::Reals(values) => values.truncate(n_rows),
            table::Array::Texts(values) => values.truncate(n_rows),
            table::Array::Flags(values) => values.truncate(n_rows),
        }
    }
}

/// Says which part of the rows was shown, or that there are none.
fn end(n_rows: u64, is_cut: bool, select: &SelectArguments, nothing: &str) -> Exit {
    if n_rows == 0 {
        say(&looked_for(select, nothing));
        return Exit::NothingMatched;
    }
    if let Some(page) = page(n_rows, is_cut, select.offset) {
        say(&page);
    }
    Exit::Ok
}

/// Which part of the rows was shown, where there are more.
fn page(n_rows: u64, is_cut: bool, offset: u64) -> Option<String> {
    let next = offset.saturating_add(n_rows);
    is_cut.then(|| format!("showing rows {}-{next}; there are more: --offset {next} shows the next, --limit changes how many", offset + 1))
}

/// What was looked for, where nothing was found.
pub(super) fn looked_for(select: &SelectArguments, nothing: &str) -> String {
    match (&select.filter, select.offset) {
        (None, 0) => nothing.to_owned(),
        (None, offset) => format!("there is no row after the first {offset}"),
        (Some(filter), 0) => format!("no row where {}", escape_control(filter)),
        (Some(filter), offset) => format!("no row where {} after the first {offset}", escape_control(filter)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::view;

    fn select(filter: Option<&str>, sort: &[&str], columns: &[&str]) -> SelectArguments {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        SelectArguments { filter: filter.map(str::to_owned), sort: texts(sort), columns: texts(columns), ..SelectArguments::default() }
    }

    fn jobs() -> Listing<'static> {
        let only = "state = failed or state = diverged".to_owned();
        let nothing = "no job".to_owned();
        Listing { view: &view::JOBS, stored: "v_jobs", sweep: None, only, order: &["created_us"], table_rows: 5, nothing }
    }

    #[test]
    fn a_commands_own_filter_holds_beside_the_one_that_is_asked_for() {
        let (stored, selected, query) = jobs().query(&select(Some("seed = 3 or reused"), &[], &["reused", "job"])).unwrap();
        assert_eq!(query.filter.unwrap().to_string(), "(state = 'failed' or state = 'diverged') and (seed = 3 or reused)");
        assert_eq!(selected.names(), ["reused", "job"]);
        assert_eq!(query.columns, [stored.index_of("reused").unwrap(), stored.index_of("job").unwrap()]);
        assert_eq!(query.sort, [Sort::parse("created_us", stored).unwrap()]);
        let (_, selected, query) = jobs().query(&select(None, &["-area", "job"], &[])).unwrap();
        assert_eq!(selected.names().len(), view::JOBS.columns.len(), "every column of the view is one of the database's");
        assert_eq!(query.sort, [Sort::parse("-area", stored).unwrap(), Sort::parse("job", stored).unwrap()]);
    }

    #[test]
    fn mistakes_are_usage_errors_with_a_hint() {
        let refused = |select: SelectArguments| {
            let failure = jobs().query(&select).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage);
            failure.render()
        };
        let expected = "error: wrong filter: v_jobs has no column `sede`\n  sede = 3\n  ^^^^\nhint: did you mean `seed`?\n";
        assert_eq!(refused(select(Some("sede = 3"), &[], &[])), expected);
        let expected = "error: cannot sort: v_jobs has no column `aera`\nhint: did you mean `area`?\n";
        assert_eq!(refused(select(None, &["-aera"], &[])), expected);
        assert_eq!(refused(select(None, &[], &["jobb"])), "error: v_jobs has no column `jobb`\nhint: did you mean `job`?\n");
        assert!(refused(select(Some(""), &[], &[])).starts_with("error: wrong filter: it is empty\n"));
        assert!(!refused(select(Some("seed = \u{1b}[2J"), &[], &[])).contains('\u{1b}'));
    }

    #[test]
    fn what_is_not_shown_is_said() {
        assert_eq!(
            page(100, true, 0).unwrap(),
            "showing rows 1-100; there are more: --offset 100 shows the next, --limit changes how many"
        );
        assert!(page(50, true, 100).unwrap().starts_with("showing rows 101-150; there are more: --offset 150 "));
        assert_eq!(page(100, false, 0), None);
        assert_eq!(looked_for(&SelectArguments::default(), "no job"), "no job");
        assert_eq!(looked_for(&select(Some("seed = \u{1b}"), &[], &[]), "no job"), "no row where seed = \\u{1b}");
        let late = SelectArguments { offset: 9, ..SelectArguments::default() };
        assert_eq!(looked_for(&late, "no job"), "there is no row after the first 9");
    }
}
