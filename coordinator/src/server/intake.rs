//! How much of requests is taken in: of one, and of all at once.
//!
//! A message lies in memory before a handler sees it, and a decoded one may be many times as large as its bytes. Without a bound on all requests
//! together, many connections with many requests each would add up to more memory than there is, each within the bound on one message.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Bytes, Service, http};
use tower_layer::Layer;

/// Frames carry the message's length besides the message.
const FRAME_BYTES: usize = 5;

/// Lets requests in as far as there is room.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    /// Bytes of all requests together.
    most: usize,
    taken: Arc<AtomicUsize>,
    /// Bytes of one request at the RPC of a path.
    most_at: fn(&str) -> usize,
}

impl Intake {
    pub(super) fn new(most: usize, most_at: fn(&str) -> usize) -> Self {
        Self { most, taken: Arc::default(), most_at }
    }
}

impl<S> Layer<S> for Intake {
    type Service = TakingIn<S>;

    fn layer(&self, inner: S) -> TakingIn<S> {
        TakingIn { inner, intake: self.clone() }
    }
}

/// See [`Intake`].
#[derive(Debug, Clone)]
pub(super) struct TakingIn<S> {
    inner: S,
    intake: Intake,
}

impl<S> Service<http::Request<Body>> for TakingIn<S>
where
    S: Service<http::Request<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let most = (self.intake.most_at)(request.uri().path()).saturating_add(FRAME_BYTES);
        let share = Arc::new(Share { n_bytes: AtomicUsize::new(0), intake: self.intake.clone() });
        let counted = Arc::clone(&share);
        let answer = self.inner.call(request.map(|body| Body::new(Counted { body, most, share: counted })));
        Box::pin(async move {
            let answer = answer.await;
            // Until here the message, or what was made of it, lay in memory.
            drop(share);
            answer
        })
    }
}

/// What one request takes up of the room for all.
#[derive(Debug)]
struct Share {
    n_bytes: AtomicUsize,
    intake: Intake,
}

impl Share {
    /// Takes up more; what this request takes up then.
    fn grow(&self, n_bytes: usize) -> Result<usize, Status> {
        let of_this = self.n_bytes.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes;
        let of_all = self.intake.taken.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes;
        if of_all > self.intake.most {
            let message = format!("requests of {} MiB are being taken in already", self.intake.most >> 20);
            return Err(Status::resource_exhausted(message));
        }
        Ok(of_this)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.intake.taken.fetch_sub(*self.n_bytes.get_mut(), Ordering::Relaxed);
    }
}

/// A request's body that is counted while it comes in.
#[derive(Debug)]
struct Counted {
    body: Body,
    most: usize,
    share: Arc<Share>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            match self.share.grow(data.len()) {
                Ok(taken) if taken > self.most => {
                    let message = format!("the request is larger than the {} bytes that this one may have", self.most - FRAME_BYTES);
                    return Poll::Ready(Some(Err(Status::out_of_range(message))));
                }
                Ok(_) => {}
                Err(status) => return Poll::Ready(Some(Err(status))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};
    use tonic::Code;

    use super::*;

    /// Reads a request's body, and says how much all requests take up then.
    #[derive(Debug, Clone)]
    struct Reading(Arc<AtomicUsize>);

    impl Service<http::Request<Body>> for Reading {
        type Response = usize;
        type Error = Status;
        type Future = Pin<Box<dyn Future<Output = Result<usize, Status>> + Send>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<Body>) -> Self::Future {
            let taken = Arc::clone(&self.0);
            Box::pin(async move {
                request.into_body().collect().await?;
                Ok(taken.load(Ordering::Relaxed))
            })
        }
    }

    fn ask(service: &mut TakingIn<Reading>, n_bytes: usize) -> <Reading as Service<http::Request<Body>>>::Future {
        let body = Body::new(Full::new(Bytes::from(vec![0; n_bytes])));
        service.call(http::Request::builder().uri("/a/B").body(body).unwrap())
    }

    #[tokio::test]
    async fn what_requests_take_up_is_bounded_for_each_and_for_all() {
        let intake = Intake::new(1_000, |path| if path == "/a/B" { 600 } else { 0 });
        let taken = Arc::clone(&intake.taken);
        let mut service = intake.layer(Reading(Arc::clone(&taken)));
        assert_eq!(ask(&mut service, 605).await.unwrap(), 605, "a message of 600 bytes and its frame");
        assert_eq!(taken.load(Ordering::Relaxed), 0, "given back with the answer");
        let status = ask(&mut service, 606).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::OutOfRange, "the request is larger than the 600 bytes that this one may have")
        );

        // While one is being answered, another one finds the room that is left.
        let held = Share { n_bytes: AtomicUsize::new(0), intake: intake.clone() };
        held.grow(500).unwrap();
        assert_eq!(ask(&mut service, 500).await.unwrap(), 1_000);
        let status = ask(&mut service, 501).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        drop(held);
        ask(&mut service, 501).await.unwrap();
        assert_eq!(taken.load(Ordering::Relaxed), 0);
    }
}
