//! Rows of a view as they come.

use offramp_coordinator::store::{DatabaseError, Query};
use offramp_domain::filter::Filter;
use offramp_domain::table::{Batch, Sort, View};
use tokio_stream::{Stream, StreamExt};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::source::{Source, database_failure, sweep_id};

/// Which rows are wanted, what of them, and in which order, as it is written on the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    pub(crate) filter: Option<String>,
    pub(crate) sort: Vec<String>,
    pub(crate) columns: Vec<String>,
    pub(crate) limit: Option<u64>,
}

impl Selection {
    /// The same, checked against the view.
    pub(crate) fn query(&self, view: &'static View, sweep: Option<i64>) -> Result<Query, Failure> {
        let filter = self.filter.as_deref().map(|text| Filter::parse(text, view)).transpose().map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            with_hint(error.into(), hint)
        })?;
        let unknown = |error: offramp_domain::table::UnknownColumn| {
            let hint = error.hint();
            with_hint(error.into(), Some(hint))
        };
        let sort = self.sort.iter().map(|text| Sort::parse(text, view)).collect::<Result<_, _>>().map_err(unknown)?;
        let columns = if self.columns.is_empty() {
            (0..view.columns.len()).collect()
        } else {
            self.columns.iter().map(|name| view.index_of(name)).collect::<Result<_, _>>().map_err(unknown)?
        };
        Ok(Query { sweep, filter, sort, columns, limit: self.limit, offset: 0 })
    }
}

fn with_hint(error: anyhow::Error, hint: Option<String>) -> Failure {
    let failure = Failure::with_exit(Exit::Usage, error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// A stream of batches.
pub(crate) struct Rows(Box<dyn Stream<Item = Result<Batch, DatabaseError>> + Send + Unpin>);

impl Rows {
    /// Asks for rows.
    pub(crate) async fn of(source: &Source, view: &'static View, sweep: Option<&str>, selection: &Selection) -> Result<Self, Failure> {
        match source {
            Source::Database(reader) => {
                let sweep = match sweep {
                    Some(selector) => Some(sweep_id(reader, selector).await?),
                    None => None,
                };
                Ok(Self(Box::new(reader.select(view, selection.query(view, sweep)?))))
            }
            Source::Coordinator(_) => todo!("the coordinator's Select"),
        }
    }

    /// The next batch; nothing after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>, Failure> {
        self.0.next().await.transpose().map_err(database_failure)
    }
}
