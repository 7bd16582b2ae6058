//! The same answers as JSON over HTTP, to read only, on the port that speaks gRPC (decision 0011).
//!
//! - `routes`: what there is, and which call answers it.
//! - `parameters`: query strings, in the words of the command line.
//! - `answer`: bodies, entity tags and errors. `stream`: what is too long for one body, or has no end.
//!
//! A browser is the one client that is made to ask by strangers, and it speaks HTTP/1.1 here. So what comes over HTTP/1.1 is refused unless it names
//! this machine as its host (a page that has its own name point here after it was loaded is refused), and gets to these routes alone: of gRPC, which
//! changes things, it sees nothing. No answer may be read by pages of other sites, as none says that they may.

mod answer;
mod parameters;
mod routes;
mod stream;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, Version, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::Semaphore;

use self::answer::Refusal;
use crate::services::Context;

/// Where the routes begin.
const ROOT: &str = "/api/v1";
/// Requests that are being answered at once. Others are sent away: nobody gains from their waiting.
const REQUESTS_MOST: usize = 32;
/// How long one may take to be answered; of a stream, to begin.
const WITHIN: Duration = Duration::from_secs(30);
/// Longest path and query.
const URI_MAX_BYTES: usize = 8 * 1024;

/// What the routes work with.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    context: Context,
    requests: Arc<Semaphore>,
    /// A permit for each watched frontier.
    watched: Arc<Semaphore>,
}

/// Who may be asked for: the names by which requests may call this coordinator.
#[derive(Debug, Clone)]
pub(crate) struct Hosts {
    /// Whether only this machine reaches the port.
    is_loopback: bool,
    names: Vec<String>,
}

impl Hosts {
    /// The names of a coordinator that listens there, and that is called so besides.
    pub(crate) fn new(listen: SocketAddr, names: &[String]) -> Self {
        Self { is_loopback: listen.ip().is_loopback(), names: names.iter().map(|name| name.to_ascii_lowercase()).collect() }
    }

    /// Whether a request to this host, with or without a port, may be meant for this coordinator.
    fn includes(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name),
        };
        let is_this_machine = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        !self.is_loopback || is_this_machine || self.names.iter().any(|known| known == name)
    }
}

/// Adds the routes to those of gRPC, and keeps browsers from the latter.
pub(crate) fn beside(grpc: Router, context: Context, hosts: Hosts) -> Router {
    let api = Api { context, requests: Arc::new(Semaphore::new(REQUESTS_MOST)), watched: Arc::new(Semaphore::new(stream::WATCHED_MOST)) };
    let routes = Router::new()
        .route("/sweeps", get(routes::sweeps))
        .route("/sweeps/{sweep}", get(routes::sweep))
        .route("/sweeps/{sweep}/jobs", get(routes::jobs))
        .route("/jobs/{job}", get(routes::job))
        .route("/frontier", get(routes::frontier))
        .route("/frontier/history", get(routes::frontier_history))
        .route("/frontier/watch", get(stream::watch))
        .route("/results", get(routes::results))
        .route("/patterns", get(routes::patterns))
        .route("/compare", get(routes::compare))
        .route("/views/{view}", get(stream::view))
        .fallback(no_such_route)
        .method_not_allowed_fallback(read_only)
        .layer(from_fn_with_state(api.clone(), bounded))
        .with_state(api);
    grpc.nest(ROOT, routes).layer(from_fn_with_state(hosts, guarded))
}

/// Refuses what a browser may have been made to ask.
async fn guarded(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let is_ours = request.uri().path().strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if request.version() < Version::HTTP_2 || is_ours {
        let host = host(request.uri(), request.headers());
        if !host.is_some_and(|host| hosts.includes(host)) {
            let host = host.unwrap_or_default().to_owned();
            return Refusal::new(StatusCode::MISDIRECTED_REQUEST, format!("this coordinator is not called `{}`", host.escape_debug()))
                .hint("ask for 127.0.0.1 or localhost, or name the host when the coordinator is started: `--host NAME`")
                .into_response();
        }
        if !is_ours {
            return Refusal::new(StatusCode::NOT_FOUND, format!("there is nothing at `{}`", shown(request.uri())))
                .hint(format!("JSON is under {ROOT}/; gRPC is spoken over HTTP/2 alone"))
                .into_response();
        }
    }
    next.run(request).await
}

/// The host that a request is for.
fn host<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| uri.authority().map(axum::http::uri::Authority::as_str))
}

/// Answers as many at once as there is room for, each in its time.
async fn bounded(State(api): State<Api>, request: Request, next: Next) -> Response {
    if request.uri().path_and_query().is_some_and(|path| path.as_str().len() > URI_MAX_BYTES) {
        return Refusal::new(StatusCode::URI_TOO_LONG, format!("the path and the query have more than {URI_MAX_BYTES} bytes"))
            .into_response();
    }
    let Ok(_permit) = api.requests.try_acquire() else {
        return Refusal::busy(format!("{REQUESTS_MOST} requests are being answered already")).into_response();
    };
    tokio::time::timeout(WITHIN, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("there is no answer after {} s", WITHIN.as_secs());
        Refusal::new(StatusCode::GATEWAY_TIMEOUT, message).hint("ask for less, with `where` or `limit`").into_response()
    })
}

async fn no_such_route(uri: Uri) -> Refusal {
    let routes = "sweeps, sweeps/SWEEP, sweeps/SWEEP/jobs, jobs/JOB, frontier, frontier/history, frontier/watch, results, patterns, compare, views/VIEW";
    Refusal::new(StatusCode::NOT_FOUND, format!("there is nothing at `{}`", shown(&uri))).hint(format!("there are {routes}"))
}

async fn read_only(method: Method) -> Response {
    let refusal =
        Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("`{}` is not answered: over HTTP things are only read", method.as_str()))
            .hint("`offramp` changes things, and so does gRPC");
    let mut response = refusal.into_response();
    response.headers_mut().insert(header::ALLOW, axum::http::HeaderValue::from_static("GET, HEAD"));
    response
}

/// A path as messages quote it.
fn shown(uri: &Uri) -> String {
    uri.path().chars().take(80).collect::<String>().escape_debug().to_string()
}
