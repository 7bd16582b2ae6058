//! The handshake, readiness, and what is no gRPC at all.

use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::codegen::{Service, http};
use tonic_health::pb::health_check_response::ServingStatus as Health;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

use super::*;
use crate::store::tests::sweep_text;

const SERVICES: [&str; 4] = ["offramp.v1.SweepService", "offramp.v1.WorkerService", "offramp.v1.FleetService", "offramp.v1.ResultService"];

#[tokio::test]
async fn clients_of_another_protocol_are_told_who_has_to_upgrade() {
    let served = served_on_a_file().await;
    let list = async |spoken: Option<&'static [u8]>| {
        let mut request = tonic::Request::new(v1::ListSweepsRequest { limit: 0 });
        if let Some(spoken) = spoken {
            request.metadata_mut().insert(PROTOCOL_HEADER, tonic::metadata::MetadataValue::try_from(spoken).unwrap());
        }
        served.sweeps().list_sweeps(request).await.map(|_| ())
    };
    let ours = offramp_proto::PROTOCOL.to_string().leak().as_bytes();
    assert!(list(Some(ours)).await.is_ok());
    assert!(list(None).await.is_ok(), "who says nothing is no client of ours, and may call");
    let cases: [(&'static [u8], &str, &str); 6] = [
        (b"2", "speaks version 2 of the protocol", "upgrade the coordinator"),
        (b"4294967295", "speaks version 4294967295", "upgrade the coordinator"),
        (b"0", "speaks version 0 of the protocol", "upgrade this client"),
        (b"99999999999999", "speaks none that it understands", "upgrade this client"),
        (b"one", "speaks none that it understands", "upgrade this client"),
        (b"\xff\xfe", "speaks none that it understands", "upgrade this client"),
    ];
    for (spoken, said, hint) in cases {
        let refusal = list(Some(spoken)).await.unwrap_err();
        assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal:?}");
        assert!(refusal.message().contains(said) && refusal.message().ends_with(&format!("\nhint: {hint}")), "{refusal:?}");
        assert_eq!(refusal.metadata().get(PROTOCOL_HEADER).unwrap().as_bytes(), ours, "for programs");
    }
}

async fn health(channel: &Channel, service: &str) -> Health {
    let request = tonic_health::pb::HealthCheckRequest { service: service.into() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

#[tokio::test]
async fn health_and_reflection_answer() {
    let served = served_on_a_file().await;
    for service in SERVICES.into_iter().chain([""]) {
        assert_eq!(health(&served.channel, service).await, Health::Serving, "{service}");
    }
    let mut reflection = tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(served.channel.clone());
    let request = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = reflection.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers.message().await.unwrap().unwrap().message_response else {
        panic!("a list of services")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for service in SERVICES.into_iter().chain(["grpc.health.v1.Health"]) {
        assert!(names.contains(&service), "{service} in {names:?}");
    }
}

/// Follows a service's health until it is this.
async fn becomes(channel: &Channel, service: &str, wanted: Health) {
    let request = tonic_health::pb::HealthCheckRequest { service: service.into() };
    let mut told = HealthClient::new(channel.clone()).watch(request).await.unwrap().into_inner();
    let following = async { while told.message().await.unwrap().unwrap().status() != wanted {} };
    timeout(DEADLINE, following).await.unwrap_or_else(|_| panic!("{service} does not become {wanted:?}"));
}

#[tokio::test]
async fn without_a_database_it_lives_and_is_not_ready() {
    let served = served_on_a_file().await;
    let Database::Sqlite(path) = &served.home.database else { panic!("a file") };
    let other = hold_the_database(path).await;
    for service in SERVICES {
        becomes(&served.channel, service, Health::NotServing).await;
    }
    assert_eq!(health(&served.channel, "").await, Health::Serving);
    drop(other);
    for service in SERVICES {
        becomes(&served.channel, service, Health::Serving).await;
    }
    served.end().await;
}

/// Holds the database's write lock as another program would.
async fn hold_the_database(path: &std::path::Path) -> sqlx::SqliteConnection {
    use sqlx::{ConnectOptions, Executor};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(DEADLINE);
    let mut other = options.connect().await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    other
}

#[tokio::test]
async fn a_busy_database_is_told_apart_from_nobody_there() {
    let served = served_on_a_file().await;
    let session = served.open_session().await;
    let Database::Sqlite(path) = &served.home.database else { panic!("a file") };
    let other = hold_the_database(path).await;
    let busy = served.workers().heartbeat(heartbeat(&session, &[])).await.unwrap_err();
    assert_eq!(busy.code(), Code::Aborted);
    let expected = "the database is held by another process: error returned from database: (code: 5) database is locked\n\
                    hint: end the program that holds the database, then try again";
    assert_eq!(busy.message(), expected);
    drop(other);
    served.heartbeat(&session, &[]).await;
}

/// A line to a server that can be cut and mended.
struct Line {
    address: SocketAddr,
    is_up: watch::Sender<bool>,
}

impl Line {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_up, up) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut up = up.clone();
                tokio::spawn(async move {
                    let carrying = async {
                        let mut far = TcpStream::connect(server).await.unwrap();
                        tokio::io::copy_bidirectional(&mut near, &mut far).await
                    };
                    tokio::select! {
                        _ = up.wait_for(|up| !up) => {}
                        _ = carrying => {}
                    }
                });
            }
        });
        Self { address, is_up }
    }
}

#[tokio::test]
async fn while_the_database_server_is_away_clients_are_told_when_to_come_back() {
    let Some(home) = TestDatabase::postgres().await else { return };
    let Database::Postgres(url) = &home.database else { panic!("a server") };
    let options = url.options();
    let server = tokio::net::lookup_host((options.get_host(), options.get_port())).await.unwrap().next().unwrap();
    let line = Line::to(server).await;
    let by_line = format!("postgres://{}@{}/{}", options.get_username(), line.address, options.get_database().unwrap());
    let mut by_line = config(&by_line.parse().unwrap());
    by_line.heartbeat = Duration::from_secs(1);
    let shutdown = CancellationToken::new();
    let running = start(by_line, shutdown.clone()).await.unwrap();
    let channel = connect(running.address).await;
    let mut workers = WorkerServiceClient::new(channel.clone());
    let session = workers.open_session(open_request("w")).await.unwrap().into_inner().session;
    SweepServiceClient::new(channel.clone()).submit_sweep(submission(&sweep_text("a", r#"["none"]"#, "0"))).await.unwrap();
    let claim = v1::ClaimRequest { session: session.clone(), max_jobs: 1, wait_ms: 0, sweep: 0 };
    let lease = workers.claim(claim).await.unwrap().into_inner().leases.remove(0);

    line.is_up.send_replace(false);
    let away = workers.heartbeat(heartbeat(&session, &[&lease])).await.unwrap_err();
    assert_eq!(away.code(), Code::Unavailable, "{away:?}");
    let retry = away.get_details_retry_info().expect("it says when").retry_delay.unwrap();
    assert!(!retry.is_zero() && retry <= Duration::from_secs(10), "{retry:?}");
    becomes(&channel, SERVICES[1], Health::NotServing).await;

    line.is_up.send_replace(true);
    becomes(&channel, SERVICES[1], Health::Serving).await;
    let told = workers.heartbeat(heartbeat(&session, &[&lease])).await.unwrap().into_inner();
    assert_eq!(told.stale, [], "its lease outlived the outage");
    let answer = workers.report(report(&session, &lease, completed(&lease, 0.9))).await.unwrap().into_inner();
    assert_eq!(answer.results[0].answer(), v1::ReportAnswer::Accepted);
    shutdown.cancel();
    timeout(DEADLINE, running.join).await.unwrap().unwrap().unwrap();
}

/// Sends a body as it is to an RPC; what comes back.
async fn post(channel: &Channel, path: &str, body: Vec<u8>, headers: &[(&'static str, String)]) -> Status {
    let mut request = http::Request::builder().method("POST").uri(format!("http://localhost{path}"));
    request = request.header("content-type", "application/grpc").header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let body = tonic::body::Body::new(Full::new(bytes::Bytes::from(body)));
    let mut channel = channel.clone();
    std::future::poll_fn(|cx| channel.poll_ready(cx)).await.unwrap();
    match timeout(DEADLINE, channel.call(request.body(body).unwrap())).await.expect("an answer comes") {
        Ok(response) => Status::from_header_map(response.headers()).unwrap_or_else(|| Status::unknown(response.status().to_string())),
        Err(error) => Status::unknown(chain(&error)),
    }
}

/// A gRPC frame: flag, length, content.
fn frame(flag: u8, length: u32, content: &[u8]) -> Vec<u8> {
    [&[flag][..], &length.to_be_bytes(), content].concat()
}

#[tokio::test]
async fn what_is_no_message_is_the_clients_fault() {
    let served = served_on_a_file().await;
    let report = "/offramp.v1.WorkerService/Report";
    let watch = "/offramp.v1.SweepService/WatchSweep";
    // Field 1, a text of 99 bytes, which does not follow.
    let cut_short = [0x0a, 99, b'x'];
    let huge = vec![0; 20 * 1024 * 1024];
    for path in [report, watch] {
        for (what, body, code) in [
            ("nothing", vec![], Code::InvalidArgument),
            ("no message", frame(0, 3, &cut_short), Code::InvalidArgument),
            ("half a frame", frame(0, 300, &cut_short), Code::InvalidArgument),
            ("half a header", vec![0, 0], Code::InvalidArgument),
            ("compressed, and nobody said how", frame(1, 3, &cut_short), Code::InvalidArgument),
            ("a flag that does not exist", frame(7, 3, &cut_short), Code::InvalidArgument),
            ("as long as a prefix can say", frame(0, u32::MAX, &cut_short), Code::OutOfRange),
            ("20 MiB", frame(0, huge.len() as u32, &huge), Code::OutOfRange),
        ] {
            let status = post(&served.channel, path, body, &[]).await;
            assert_eq!(status.code(), code, "{path}, {what}: {status:?}");
        }
    }
    // What only a report may be as long as.
    let long = vec![0; 2 * 1024 * 1024];
    for path in ["/offramp.v1.WorkerService/Heartbeat", "/offramp.v1.WorkerService/Claim", "/offramp.v1.FleetService/ListWorkers"] {
        let status = post(&served.channel, path, frame(0, long.len() as u32, &long), &[]).await;
        assert_eq!(status.code(), Code::OutOfRange, "{path}: {status:?}");
    }
    let status = post(&served.channel, report, frame(1, 3, &cut_short), &[("grpc-encoding", "zip".into())]).await;
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    for path in ["/offramp.v1.WorkerService/Complete", "/nobody.Home/Call", "/"] {
        let status = post(&served.channel, path, frame(0, 0, &[]), &[]).await;
        assert_eq!(status.code(), Code::Unimplemented, "{path}: {status:?}");
    }
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    served.end().await;
}

#[tokio::test]
async fn metadata_without_end_is_refused_and_concerns_nobody_else() {
    let served = served_on_a_file().await;
    let claim = "/offramp.v1.WorkerService/Claim";
    let some = post(&served.channel, claim, frame(0, 0, &[]), &[("x-some", "x".repeat(8 * 1024))]).await;
    assert_eq!(some.code(), Code::InvalidArgument, "taken, and refused for what it says: {some:?}");
    let much = post(&served.channel, claim, frame(0, 0, &[]), &[("x-much", "x".repeat(64 * 1024))]).await;
    assert_ne!((much.code(), much.message()), (some.code(), some.message()), "not even read");
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    served.end().await;
}

#[tokio::test]
async fn what_is_no_http_is_cut_off() {
    let served = served_on_a_file().await;
    for said in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xff; 64], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage that is no frame"] {
        let mut stranger = TcpStream::connect(served.running.address).await.unwrap();
        stranger.write_all(said).await.unwrap();
        let mut answer = Vec::new();
        // Closed or reset: either will do.
        let _ = timeout(DEADLINE, stranger.read_to_end(&mut answer)).await.expect("it is cut off");
    }
    served.submit(&sweep_text("a", r#"["none"]"#, "0")).await;
    served.end().await;
}

#[tokio::test]
async fn a_hundred_idle_connections_hinder_nobody() {
    let served = served_on_a_file().await;
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(served.running.address).await.unwrap());
    }
    let channel = connect(served.running.address).await;
    SweepServiceClient::new(channel).submit_sweep(submission(&sweep_text("a", r#"["none"]"#, "0"))).await.unwrap();
    drop(idle);
    served.end().await;
}
