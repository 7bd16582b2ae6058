//! What is too long for one body, or has no end: rows of any view, and a frontier's changes.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use offramp_domain::table::{Batch, Column};
use offramp_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use super::Api;
use super::answer::{Detail, Refusal, VERSION, of_type};
use super::parameters::Parameters;
use crate::services::SelectedRows;
use crate::store::json_value;

/// Frontiers that are watched over HTTP at once.
pub(super) const WATCHED_MOST: usize = 64;
/// A stream says this often that it goes on where nothing happens: proxies and browsers close what is silent.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Json,
    Csv,
}

/// Rows of a view, as JSON or, where the client would rather have that, as CSV.
pub(super) async fn view(
    State(api): State<Api>,
    Path(view): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let parameters = Parameters::read(query.as_deref(), &["sweep", "where", "sort", "columns", "limit", "offset"])?;
    let layout = layout(&headers)?;
    let request = v1::SelectRequest {
        view,
        sweep: parameters.text("sweep")?.unwrap_or_default().to_owned(),
        r#where: parameters.filter()?,
        sort: parameters.several("sort"),
        columns: parameters.several("columns"),
        limit: u64::from(parameters.limit()?),
        offset: parameters.offset()?,
    };
    let rows = api.context.select_rows(request).await?;
    let kind = rows.view.short_name();
    Ok(match layout {
        Layout::Json => of_type("application/json", body(rows, Writer { layout, kind, n_rows: 0 })),
        Layout::Csv => of_type("text/csv; charset=utf-8", body(rows, Writer { layout, kind, n_rows: 0 })),
    })
}

/// What the client would rather have, JSON where it does not mind.
fn layout(headers: &HeaderMap) -> Result<Layout, Refusal> {
    let accepted: Vec<String> =
        headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).map(str::to_lowercase).collect();
    let quality = |wanted: &str| {
        let ranges = accepted.iter().flat_map(|value| value.split(','));
        let (kind, _) = wanted.split_once('/').unwrap_or((wanted, ""));
        let qualities = ranges.filter_map(|range| {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next()?;
            let specific = if name == wanted {
                2
            } else if name == format!("{kind}/*") {
                1
            } else if name == "*/*" {
                0
            } else {
                return None;
            };
            let q = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.trim().parse::<f64>().ok())?;
            Some((specific, q))
        });
        // What is said of the type itself counts for more than what is said of all.
        qualities.max_by_key(|(specific, _)| *specific).map_or(0.0, |(_, q)| q)
    };
    if accepted.is_empty() {
        return Ok(Layout::Json);
    }
    match (quality("application/json"), quality("text/csv")) {
        (json, csv) if json <= 0.0 && csv <= 0.0 => {
            Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, "there are JSON and CSV alone").hint("ask for application/json or text/csv"))
        }
        (json, csv) if csv > json => Ok(Layout::Csv),
        _ => Ok(Layout::Json),
    }
}

/// A body that is written while it is read. Where the database fails in the middle the connection is cut, so that half of the rows do not pass for
/// all of them.
fn body(rows: SelectedRows, mut writer: Writer) -> Body {
    let SelectedRows { columns, mut batches, .. } = rows;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Status>>(1);
    tokio::spawn(async move {
        let mut text = writer.begin(&columns);
        while let Some(batch) = batches.next().await {
            match batch {
                Ok(batch) => writer.write(&columns, &batch, &mut text),
                Err(status) => {
                    // Whoever is not there needs no error.
                    let _ = sender.send(Err(status)).await;
                    return;
                }
            }
            if sender.send(Ok(std::mem::take(&mut text).into())).await.is_err() {
                return;
            }
        }
        let _ = sender.send(Ok(writer.end().into())).await;
    });
    Body::from_stream(ReceiverStream::new(receiver))
}

struct Writer {
    layout: Layout,
    kind: &'static str,
    n_rows: u64,
}

impl Writer {
    fn begin(&self, columns: &[&'static Column]) -> String {
        match self.layout {
            Layout::Json => format!("{{\"version\":{VERSION},\"kind\":\"{}\",\"rows\":[", self.kind),
            Layout::Csv => columns.iter().map(|column| column.name).collect::<Vec<_>>().join(",") + "\n",
        }
    }

    fn write(&mut self, columns: &[&'static Column], batch: &Batch, text: &mut String) {
        for row in 0..batch.n_rows {
            let cells =
                columns.iter().zip(&batch.columns).map(|(column, array)| (column.name, json_value(column.name, column.kind, array, row)));
            match self.layout {
                Layout::Json => {
                    text.push_str(if self.n_rows == 0 { "{" } else { ",{" });
                    for (index, (name, value)) in cells.enumerate() {
                        let comma = if index == 0 { "" } else { "," };
                        text.extend([comma, "\"", name, "\":", &value.to_string()]);
                    }
                    text.push('}');
                }
                Layout::Csv => {
                    for (index, (_, value)) in cells.enumerate() {
                        text.push_str(if index == 0 { "" } else { "," });
                        text.push_str(&cell(&value));
                    }
                    text.push('\n');
                }
            }
            self.n_rows += 1;
        }
    }

    fn end(&self) -> &'static str {
        match self.layout {
            Layout::Json => "]}\n",
            Layout::Csv => "",
        }
    }
}

/// A cell as RFC 4180 has it, with an apostrophe before text that a spreadsheet would run as a formula: as `--output csv` writes it.
fn cell(value: &serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::Null => return String::new(),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_formula = value.is_string() && text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text != "-" && text.parse::<f64>().is_err();
    let text = if is_formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

/// A frontier and then its changes, as server-sent events: each an event `frontier` with `{"version":1,"kind":"frontier_change", ...}`.
pub(super) async fn watch(State(api): State<Api>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let parameters = Parameters::read(query.as_deref(), &["sweep", "global", "by", "cost", "dataset"])?;
    let request = v1::WatchFrontierRequest {
        sweep: parameters.sweep()?,
        cost_metric: parameters.cost_metric()?.into(),
        grouping: parameters.grouping()?.into(),
        dataset: parameters.text("dataset")?.unwrap_or_default().to_owned(),
    };
    let Ok(permit) = Arc::clone(&api.watched).try_acquire_owned() else {
        return Err(Refusal::busy(format!("{WATCHED_MOST} frontiers are being watched already")));
    };
    let mut changes = api.context.watch_frontier(request).await?;
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Status>>(1);
    tokio::spawn(async move {
        let _permit = permit;
        loop {
            let next = tokio::select! {
                next = tokio::time::timeout(SIGN_OF_LIFE, changes.next()) => next,
                () = sender.closed() => return,
            };
            let event = match next {
                Err(_) => ": still there\n\n".to_owned(),
                Ok(None) => return,
                Ok(Some(Ok(change))) => event(&change),
                Ok(Some(Err(status))) => {
                    let message = serde_json::Value::from(status.message());
                    let _ = sender.send(Ok(format!("event: error\ndata: {message}\n\n").into())).await;
                    return;
                }
            };
            if sender.send(Ok(event.into())).await.is_err() {
                return;
            }
        }
    });
    let events: Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(ReceiverStream::new(receiver));
    Ok(of_type("text/event-stream", Body::from_stream(events)))
}

fn event(change: &v1::FrontierChange) -> String {
    let data =
        serde_json::to_string(&Detail::new("frontier_change", change)).expect("keys are strings, and writing to a String does not fail");
    format!("event: frontier\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::*;

    #[test]
    fn clients_get_what_they_would_rather_have() {
        let of = |accept: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_str(accept).unwrap())]);
            layout(&headers).ok()
        };
        assert_eq!(layout(&HeaderMap::new()).ok(), Some(Layout::Json));
        assert_eq!(of("*/*"), Some(Layout::Json));
        assert_eq!(of("text/csv"), Some(Layout::Csv));
        assert_eq!(of("text/*"), Some(Layout::Csv));
        assert_eq!(of("application/json;q=0.5, text/csv"), Some(Layout::Csv));
        assert_eq!(of("text/csv;q=0.5, */*;q=0.9"), Some(Layout::Json));
        assert_eq!(of("text/csv;q=0, */*"), Some(Layout::Json));
        assert_eq!(of("image/png"), None);
    }

    #[test]
    fn cells_are_quoted_and_formulas_defused() {
        let cells =
            [json!(null), json!("a"), json!("=1+1"), json!("-"), json!(-2.5), json!("a,b"), json!("\"q\""), json!(true), json!([0.5, 1])];
        let written: Vec<String> = cells.iter().map(cell).collect();
        assert_eq!(written, ["", "a", "'=1+1", "-", "-2.5", "\"a,b\"", "\"\"\"q\"\"\"", "true", "\"[0.5,1]\""]);
    }
}
