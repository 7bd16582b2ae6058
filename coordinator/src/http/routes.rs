//! What is answered with one body.

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use offramp_proto::v1;
use serde::Serialize;

use super::Api;
use super::answer::{Detail, List, Refusal, json};
use super::parameters::Parameters;

type Answer = Result<Response, Refusal>;

pub(super) async fn sweeps(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    let parameters = Parameters::read(query.as_deref(), &["limit"])?;
    let sweeps = api.context.sweeps(parameters.limit()?).await?;
    json(&List::new("sweeps", &sweeps), &headers)
}

#[derive(Serialize)]
struct SweepParts {
    sweep: Option<v1::SweepRow>,
    running: Vec<RunningRow>,
    patterns: Vec<v1::PatternRow>,
}

/// What a slot is doing, with its progress in the same row.
#[derive(Serialize)]
struct RunningRow {
    job: String,
    attempt: u32,
    worker: String,
    slot: Option<u32>,
    backbone: String,
    dataset: String,
    pattern: String,
    seed: u64,
    epoch: Option<u32>,
    n_epochs: Option<u32>,
    loss: Option<f64>,
    exit_accuracy: Option<Vec<f64>>,
    images_per_second: Option<f64>,
}

impl From<v1::RunningJob> for RunningRow {
    fn from(job: v1::RunningJob) -> Self {
        let v1::RunningJob { job, attempt, worker, slot, backbone, dataset, pattern, seed, progress } = job;
        Self {
            job,
            attempt,
            worker,
            slot: progress.as_ref().map(|_| slot),
            backbone,
            dataset,
            pattern,
            seed,
            epoch: progress.as_ref().map(|progress| progress.epoch),
            n_epochs: progress.as_ref().map(|progress| progress.n_epochs),
            loss: progress.as_ref().map(|progress| progress.loss),
            images_per_second: progress.as_ref().map(|progress| progress.images_per_second),
            exit_accuracy: progress.map(|progress| progress.exit_accuracy),
        }
    }
}

pub(super) async fn sweep(State(api): State<Api>, Path(sweep): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    Parameters::read(query.as_deref(), &[])?;
    let v1::SweepStatus { sweep: row, running } = api.context.sweep_status(&sweep).await?;
    let request = v1::ListPatternsRequest { sweep, ..Default::default() };
    let patterns = api.context.patterns(request).await?.patterns;
    let parts = SweepParts { sweep: row, running: running.into_iter().map(RunningRow::from).collect(), patterns };
    json(&Detail::new("sweep", parts), &headers)
}

pub(super) async fn jobs(
    State(api): State<Api>,
    Path(sweep): Path<String>,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
) -> Answer {
    let parameters = Parameters::read(query.as_deref(), &["state", "where", "sort", "limit", "offset"])?;
    let state = parameters.text("state")?.unwrap_or_default().to_owned();
    let (filter, sort) = (parameters.filter()?, parameters.several("sort"));
    let (limit, offset) = (parameters.limit()?, parameters.offset()?);
    let (jobs, more) = api.context.jobs(&sweep, &state, &filter, &sort, limit, offset).await?;
    listed("jobs", &jobs, more.then(|| offset + jobs.len() as u64), &uri, &headers)
}

#[derive(Serialize)]
struct JobParts {
    job: Option<v1::JobRow>,
    config: serde_json::Value,
    dependencies: Vec<v1::DependencyRow>,
    events: Vec<v1::EventRow>,
    attempts: Vec<v1::AttemptRow>,
    exits: Vec<v1::ExitRow>,
    operating_points: Vec<v1::OperatingPointRow>,
    epochs: Vec<v1::EpochRow>,
    artifacts: Vec<v1::ArtifactRow>,
}

pub(super) async fn job(State(api): State<Api>, Path(job): Path<String>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    Parameters::read(query.as_deref(), &[])?;
    let detail = api.context.job(&job).await?;
    let v1::JobDetail { job, config_json, attempts, exits, operating_points, epochs, events, dependencies, artifacts } = detail;
    let config = serde_json::from_str(&config_json).unwrap_or_else(|_| config_json.into());
    let parts = JobParts { job, config, dependencies, events, attempts, exits, operating_points, epochs, artifacts };
    json(&Detail::new("job", parts), &headers)
}

const OF_FRONTIERS: [&str; 8] = ["sweep", "global", "by", "cost", "where", "sort", "limit", "offset"];

pub(super) async fn frontier(State(api): State<Api>, RawQuery(query): RawQuery, uri: Uri, headers: HeaderMap) -> Answer {
    let parameters = Parameters::read(query.as_deref(), &OF_FRONTIERS)?;
    let request = v1::GetFrontierRequest {
        sweep: parameters.sweep()?,
        cost_metric: parameters.cost_metric()?.into(),
        grouping: parameters.grouping()?.into(),
        r#where: parameters.filter()?,
        sort: parameters.several("sort"),
        limit: parameters.limit()?,
        offset: parameters.offset()?,
    };
    let offset = request.offset;
    let answer = api.context.frontier(request).await?;
    listed("frontier", &answer.points, answer.more.then(|| offset + answer.points.len() as u64), &uri, &headers)
}

pub(super) async fn frontier_history(State(api): State<Api>, RawQuery(query): RawQuery, uri: Uri, headers: HeaderMap) -> Answer {
    let parameters = Parameters::read(query.as_deref(), &OF_FRONTIERS)?;
    let request = v1::GetFrontierHistoryRequest {
        sweep: parameters.sweep()?,
        cost_metric: parameters.cost_metric()?.into(),
        grouping: parameters.grouping()?.into(),
        r#where: parameters.filter()?,
        sort: parameters.several("sort"),
        limit: parameters.limit()?,
        offset: parameters.offset()?,
    };
    let offset = request.offset;
    let answer = api.context.frontier_history(request).await?;
    listed("frontier_history", &answer.points, answer.more.then(|| offset + answer.points.len() as u64), &uri, &headers)
}

pub(super) async fn results(State(api): State<Api>, RawQuery(query): RawQuery, uri: Uri, headers: HeaderMap) -> Answer {
    let parameters = Parameters::read(query.as_deref(), &["sweep", "where", "sort", "limit", "offset"])?;
    let request = v1::ListResultsRequest {
        sweep: parameters.text("sweep")?.unwrap_or("last").to_owned(),
        r#where: parameters.filter()?,
        sort: parameters.several("sort"),
        limit: parameters.limit()?,
        offset: parameters.offset()?,
    };
    let offset = request.offset;
    let answer = api.context.results(request).await?;
    listed("results", &answer.exits, answer.more.then(|| offset + answer.exits.len() as u64), &uri, &headers)
}

#[derive(Serialize)]
struct Cells {
    metric: String,
    metric_label: String,
    confidence: f64,
    resamples: u32,
    rows: Vec<v1::CellRow>,
}

pub(super) async fn patterns(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    let known = ["sweep", "all-sweeps", "metric", "at", "where", "confidence", "resamples"];
    let parameters = Parameters::read(query.as_deref(), &known)?;
    let (at_cost, at_share) = parameters.at()?;
    let request = v1::ListCellsRequest {
        sweeps: parameters.sweeps()?,
        metric: parameters.text("metric")?.unwrap_or_default().to_owned(),
        at_cost,
        at_share,
        r#where: parameters.filter()?,
        confidence: parameters.confidence()?,
        resamples: parameters.number("resamples", "a whole number")?.unwrap_or_default(),
    };
    let v1::ListCellsResponse { cells, metric, metric_label, confidence, resamples } = api.context.cells(&request).await?;
    json(&Detail::new("cells", Cells { metric, metric_label, confidence, resamples, rows: cells }), &headers)
}

pub(super) async fn compare(State(api): State<Api>, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    let known = ["sweep", "all-sweeps", "by", "baseline", "unit", "metric", "at", "where", "confidence", "resamples"];
    let parameters = Parameters::read(query.as_deref(), &known)?;
    let (at_cost, at_share) = parameters.at()?;
    let text = |name| Ok::<_, Refusal>(parameters.text(name)?.unwrap_or_default().to_owned());
    let request = v1::CompareRequest {
        sweeps: parameters.sweeps()?,
        by: text("by")?,
        metric: text("metric")?,
        at_cost,
        r#where: parameters.filter()?,
        confidence: parameters.confidence()?,
        resamples: parameters.number("resamples", "a whole number")?.unwrap_or_default(),
        at_share,
        unit: text("unit")?,
        baseline: text("baseline")?,
    };
    json(&Detail::new("compare", api.context.compare(&request).await?), &headers)
}

/// A list, with a link to the rest of it where there is one.
fn listed<R: Serialize>(kind: &str, rows: &[R], next: Option<u64>, uri: &Uri, headers: &HeaderMap) -> Answer {
    let mut response = json(&List::new(kind, rows), headers)?;
    if let Some(next) = next {
        let others = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).filter(|(name, _)| name != "offset");
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(others).append_pair("offset", &next.to_string()).finish();
        if let Ok(link) = HeaderValue::from_str(&format!("<?{query}>; rel=\"next\"")) {
            response.headers_mut().insert(header::LINK, link);
        }
    }
    Ok(response)
}
