//! A line to a coordinator that answers as it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use offramp_proto::v1::fleet_service_server::{FleetService, FleetServiceServer};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use super::*;

/// Answers with these statuses, one a call, then with an empty list.
#[derive(Clone, Default)]
struct Scripted {
    refusals: Arc<Mutex<VecDeque<Status>>>,
    /// How long it takes over each.
    time: Duration,
    /// What each call brought along: the protocol's version, and whether there was a deadline.
    calls: Arc<Mutex<Vec<(String, bool)>>>,
}

#[tonic::async_trait]
impl FleetService for Scripted {
    async fn list_workers(&self, request: Request<v1::ListWorkersRequest>) -> Result<Response<v1::ListWorkersResponse>, Status> {
        let metadata = request.metadata();
        let version = metadata.get("offramp-protocol").map_or("", |value| value.to_str().unwrap());
        self.calls.lock().unwrap().push((version.to_owned(), metadata.contains_key("grpc-timeout")));
        tokio::time::sleep(self.time).await;
        match self.refusals.lock().unwrap().pop_front() {
            Some(refusal) => Err(refusal),
            None => Ok(Response::new(v1::ListWorkersResponse::default())),
        }
    }

    async fn drain_workers(&self, _request: Request<v1::DrainWorkersRequest>) -> Result<Response<v1::DrainWorkersResponse>, Status> {
        Err(Status::unimplemented("not in this test"))
    }
}

/// Serves until the test's runtime ends, and says where.
fn serve(refusals: impl IntoIterator<Item = Status>) -> (Scripted, String) {
    serve_slowly(Duration::ZERO, refusals)
}

fn serve_slowly(time: Duration, refusals: impl IntoIterator<Item = Status>) -> (Scripted, String) {
    let scripted = Scripted { refusals: Arc::new(Mutex::new(refusals.into_iter().collect())), time, ..Scripted::default() };
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}", incoming.local_addr().unwrap());
    tokio::spawn(Server::builder().add_service(FleetServiceServer::new(scripted.clone())).serve_with_incoming(incoming));
    (scripted, url)
}

#[tokio::test]
async fn calls_are_repeated_while_nobody_answers_and_carry_version_and_deadline() {
    let (scripted, url) = serve([Status::unavailable("starting"), Status::unavailable("starting")]);
    let client = Client::new(&url, Duration::from_mins(1)).unwrap();
    assert_eq!(client.workers(false, 10).await.unwrap(), []);
    assert_eq!(*scripted.calls.lock().unwrap(), vec![("1".to_owned(), true); 3]);
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_keeps_its_hint() {
    let refusal = Status::failed_precondition("this client speaks protocol 1, the coordinator 2\nhint: upgrade the client");
    let (scripted, url) = serve([refusal]);
    let failure = Client::new(&url, Duration::from_mins(1)).unwrap().workers(false, 10).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Error);
    assert_eq!(failure.render(), "error: this client speaks protocol 1, the coordinator 2\nhint: upgrade the client\n");
    assert_eq!(scripted.calls.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn patience_ends() {
    let (scripted, url) = serve(std::iter::repeat_n(Status::unavailable("shutting down"), 1_000));
    let failure = Client::new(&url, Duration::from_millis(200)).unwrap().workers(false, 10).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!(failure.render().contains("cannot answer: shutting down"), "{}", failure.render());
    let n_calls = scripted.calls.lock().unwrap().len();
    assert!((2..1_000).contains(&n_calls), "{n_calls}");
}

#[tokio::test]
async fn a_call_that_breaks_after_longer_than_patience_is_repeated() {
    let patience = Duration::from_millis(10);
    let (scripted, url) = serve_slowly(patience * 2, [Status::unavailable("shutting down")]);
    assert_eq!(Client::new(&url, patience).unwrap().workers(false, 10).await.unwrap(), []);
    assert_eq!(scripted.calls.lock().unwrap().len(), 2);
}

/// A status as it is where a connection broke: with what broke it as its source.
fn broken(code: Code) -> Status {
    let mut status = Status::new(code, "transport error");
    status.set_source(Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
    status
}

#[tokio::test]
async fn a_broken_connection_may_be_tried_again_and_a_refusal_may_not() {
    for code in [Code::Unavailable, Code::Unknown, Code::Internal, Code::Cancelled] {
        assert!(is_away(&broken(code)), "{code:?}");
        assert_eq!(is_away(&Status::new(code, "")), code == Code::Unavailable, "{code:?}");
    }
    for code in [Code::NotFound, Code::ResourceExhausted, Code::FailedPrecondition, Code::DeadlineExceeded] {
        assert!(!is_away(&Status::new(code, "")), "{code:?}");
    }
    let client = Client::new("http://127.0.0.1:1", Duration::ZERO).unwrap();
    let said = client.refused(&broken(Code::Cancelled)).render();
    assert!(said.contains("no coordinator answers at http://127.0.0.1:1"), "{said}");
}

#[tokio::test]
async fn without_patience_nobody_there_is_told_at_once() {
    // A port that was free a moment ago.
    let url = format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let failure = Client::new(&url, Duration::ZERO).unwrap().sweeps(1).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!(failure.render().contains(&format!("no coordinator answers at {url}")), "{}", failure.render());
}

#[tokio::test]
async fn a_missed_deadline_is_said_as_such() {
    let (_, url) = serve([Status::deadline_exceeded("")]);
    let failure = Client::new(&url, Duration::ZERO).unwrap().workers(false, 10).await.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!(failure.render().contains("did not answer within 60 s"), "{}", failure.render());
}
