//! Restates what is wrong with requests that are none.
//!
//! A message that cannot be decoded is the client's fault, and `INTERNAL`, which the transport answers, says that it is ours: clients would try it
//! again, and whoever operates the coordinator would look for a bug. Here it becomes `INVALID_ARGUMENT`.

use std::pin::Pin;
use std::task::{Context, Poll};

use tonic::codegen::{Service, http};
use tonic::{Code, Status};
use tower_layer::Layer;

/// How the transport's messages about requests begin that cannot be decoded. A test sends each kind.
const OF_THE_DECODER: [&str; 5] = [
    "failed to decode Protobuf message",
    "protocol error: received message with",
    "Unexpected EOF decoding stream",
    "Missing request message",
    "Error decompressing",
];

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct RestateMalformed;

impl<S> Layer<S> for RestateMalformed {
    type Service = Restating<S>;

    fn layer(&self, inner: S) -> Restating<S> {
        Restating { inner }
    }
}

/// See [`RestateMalformed`].
#[derive(Debug, Clone)]
pub(super) struct Restating<S> {
    inner: S,
}

impl<S, Asked, Answered> Service<http::Request<Asked>> for Restating<S>
where
    S: Service<http::Request<Asked>, Response = http::Response<Answered>>,
    S::Future: Send + 'static,
    Answered: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Asked>) -> Self::Future {
        let answer = self.inner.call(request);
        Box::pin(async move { Ok(restated(answer.await?)) })
    }
}

fn restated<Answered: Default>(response: http::Response<Answered>) -> http::Response<Answered> {
    match response.extensions().get::<Status>() {
        Some(status) if status.code() == Code::Internal && OF_THE_DECODER.iter().any(|start| status.message().starts_with(start)) => {
            Status::invalid_argument(format!("the request cannot be decoded: {}", status.message())).into_http()
        }
        _ => response,
    }
}
