//! Rows of a view as they come, from a database or a coordinator.

use offramp_coordinator::store::{DatabaseError, Query};
use offramp_domain::table::{Batch, Column, View};
use offramp_proto::{rows, v1};
use tokio_stream::{Stream, StreamExt};
use tonic::Streaming;

use crate::client::Client;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::source::{Source, database_failure, sweep_id};

/// Which rows are wanted, what of them, and in which order, as it is written on the command line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// A filter; empty for every row.
    pub(crate) filter: String,
    /// Columns to sort by.
    pub(crate) sort: Vec<String>,
    /// Columns that are wanted; none for all.
    pub(crate) columns: Vec<String>,
    /// Rows at most.
    pub(crate) limit: Option<u64>,
}

impl Selection {
    /// The same, checked against the view.
    ///
    /// # Errors
    /// Exit code 2 where the filter is none, or a column is unknown.
    pub(crate) fn query(&self, view: &'static View, sweep: Option<i64>) -> Result<Query, Failure> {
        let query = Query::parse(view, &self.filter, &self.sort, &self.columns).map_err(|error| {
            let hint = error.hint();
            let failure = Failure::with_exit(Exit::Usage, error);
            match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })?;
        Ok(Query { sweep, limit: self.limit, ..query })
    }
}

/// A stream of batches.
pub(crate) enum Rows {
    /// Of a database.
    Stored(Box<dyn Stream<Item = Result<Batch, DatabaseError>> + Send + Unpin>),
    /// Of a coordinator, with the columns that it was asked for.
    Sent(Box<Streaming<v1::RowBatch>>, Box<Client>, Vec<Column>),
}

impl Rows {
    /// Asks for rows.
    ///
    /// # Errors
    /// When there is no such sweep, or nobody answers.
    pub(crate) async fn of(source: &Source, view: &'static View, sweep: Option<&str>, selection: &Selection) -> Result<Self, Failure> {
        match source {
            Source::Database(reader) => {
                let sweep = match sweep {
                    Some(selector) => Some(sweep_id(reader, selector).await?),
                    None => None,
                };
                Ok(Self::Stored(Box::new(reader.select(view, selection.query(view, sweep)?))))
            }
            Source::Coordinator(client) => {
                let query = selection.query(view, None)?;
                let columns: Vec<Column> = query.columns.iter().filter_map(|index| view.column(*index).copied()).collect();
                let request = v1::SelectRequest {
                    view: view.name.to_owned(),
                    sweep: sweep.unwrap_or_default().to_owned(),
                    r#where: selection.filter.clone(),
                    sort: selection.sort.clone(),
                    columns: columns.iter().map(|column| column.name.to_owned()).collect(),
                    limit: selection.limit.unwrap_or(0),
                    offset: 0,
                };
                Ok(Self::Sent(Box::new(client.select(request).await?), client.clone(), columns))
            }
        }
    }

    /// The next batch; nothing after the last.
    ///
    /// # Errors
    /// When the database or the coordinator breaks off.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>, Failure> {
        match self {
            Self::Stored(batches) => batches.next().await.transpose().map_err(database_failure),
            Self::Sent(batches, client, columns) => {
                let Some(message) = batches.message().await.map_err(|status| client.refused(&status))? else { return Ok(None) };
                let batch = rows::batch(columns.iter(), message);
                batch.map(Some).map_err(|error| Failure::new(anyhow::Error::new(error).context("the coordinator's answer makes no sense")))
            }
        }
    }
}
