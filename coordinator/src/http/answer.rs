//! Bodies: JSON as `offramp --output json` writes it, tagged by its content; and refusals.

use std::fmt::Write;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tonic::{Code, Status};

/// Version of the layout, as that of the command line.
pub(super) const VERSION: u32 = 1;

/// A list: `{"version":1,"kind":"frontier","rows":[...]}`.
#[derive(Debug, Serialize)]
pub(super) struct List<'a, R> {
    version: u32,
    kind: &'a str,
    rows: &'a [R],
}

impl<'a, R: Serialize> List<'a, R> {
    pub(super) const fn new(kind: &'a str, rows: &'a [R]) -> Self {
        Self { version: VERSION, kind, rows }
    }
}

/// Anything else: `{"version":1,"kind":"job", ...}` with its parts by name.
#[derive(Debug, Serialize)]
pub(super) struct Detail<'a, T> {
    version: u32,
    kind: &'a str,
    #[serde(flatten)]
    parts: T,
}

impl<'a, T: Serialize> Detail<'a, T> {
    pub(super) const fn new(kind: &'a str, parts: T) -> Self {
        Self { version: VERSION, kind, parts }
    }
}

/// A value as the whole body, or nothing where the client has it already.
pub(super) fn json(value: &impl Serialize, asked: &HeaderMap) -> Result<Response, Refusal> {
    let mut body = serde_json::to_vec(value)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the answer cannot be written: {error}")))?;
    body.push(b'\n');
    let tag = tag(&body);
    let known = asked.get_all(header::IF_NONE_MATCH).iter().any(|tags| tags.to_str().is_ok_and(|tags| names(tags, &tag)));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { of_type("application/json", Body::from(body)) };
    let headers = response.headers_mut();
    if known {
        set_common(headers);
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// A body of a type, with the headers that every answer has.
pub(super) fn of_type(media_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    set_common(response.headers_mut());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

fn set_common(headers: &mut HeaderMap) {
    // Results change at any time: what is kept is asked about first.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
}

/// A strong entity tag: the content's hash.
fn tag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let mut tag = String::from("\"");
    for byte in &digest[..16] {
        write!(tag, "{byte:02x}").expect("a String takes any text");
    }
    tag.push('"');
    tag
}

/// Whether a list of tags has this one; a weak one of the same name counts, as `GET` compares them so.
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|named| named == "*" || named.strip_prefix("W/").unwrap_or(named) == tag)
}

/// Why there is no answer: `{"error":{"message":"...","hint":"..."}}`.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    hint: Option<String>,
}

#[derive(Serialize)]
struct Wrapped<'a> {
    error: Explained<'a>,
}

#[derive(Serialize)]
struct Explained<'a> {
    message: &'a str,
    hint: Option<&'a str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), hint: None }
    }

    /// A request that is wrong.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// One that may be right at another time.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message).hint("try again in a moment")
    }

    /// Adds what to do about it.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let code = match status.code() {
            Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::FailedPrecondition | Code::AlreadyExists => StatusCode::CONFLICT,
            Code::ResourceExhausted | Code::Unavailable | Code::Aborted => StatusCode::SERVICE_UNAVAILABLE,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        match status.message().split_once("\nhint: ") {
            Some((message, hint)) => Self::new(code, message).hint(hint),
            None => Self::new(code, status.message()),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let wrapped = Wrapped { error: Explained { message: &self.message, hint: self.hint.as_deref() } };
        let body = serde_json::to_string(&wrapped).expect("keys are strings, and writing to a String does not fail");
        let mut response = of_type("application/json", Body::from(body + "\n"));
        *response.status_mut() = self.status;
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
