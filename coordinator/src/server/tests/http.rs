//! JSON over HTTP, asked for byte by byte.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::*;
use crate::store::tests::sweep_text;

served_on_both_engines! {
    what_is_asked_over_http_is_what_is_asked_over_grpc,
    rows_of_a_view_are_streamed_as_json_and_as_csv,
    a_watched_frontier_tells_its_changes,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Message and hint of a refusal.
    fn refusal(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        (self.status, error["message"].as_str().unwrap().to_owned(), error["hint"].as_str().unwrap_or_default().to_owned())
    }
}

impl Served {
    async fn send(&self, head: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.running.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        BufReader::new(stream)
    }

    /// Asks with these headers besides, and reads all of the answer.
    async fn ask(&self, line: &str, headers: &str) -> Answer {
        let port = self.running.address.port();
        let host = if headers.to_lowercase().contains("host:") { String::new() } else { format!("Host: localhost:{port}\r\n") };
        let mut stream = self.send(&format!("{line} HTTP/1.1\r\n{host}Connection: close\r\n{headers}\r\n")).await;
        let mut bytes = Vec::new();
        timeout(DEADLINE, stream.read_to_end(&mut bytes)).await.expect("it is answered in time").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned())).unwrap();
        let headers: Vec<_> = head.lines().skip(1).map(header).collect();
        let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        Answer { status, headers, body: if is_chunked { joined(body) } else { body.to_owned() } }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET /api/v1/{path}"), "").await
    }

    /// Has a sweep's jobs completed, with these shares of samples that go all the way and accuracies.
    async fn complete_all(&self, points: &[(f64, f64)]) {
        let session = self.open_session().await;
        for (share, accuracy) in points {
            let claimed = v1::ClaimRequest { session: session.clone(), max_jobs: 1, wait_ms: 0, sweep: 0 };
            let lease = self.workers().claim(claimed).await.unwrap().into_inner().leases.remove(0);
            let end = End::Outcome(outcome(&lease.config_json, *accuracy, &[(*share, *accuracy)]).into());
            assert_eq!(self.report(&session, &lease, end).await, v1::ReportAnswer::Accepted);
        }
    }
}

/// A body that came in chunks.
fn joined(body: &str) -> String {
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, chunk)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.push_str(&chunk[..size]);
        rest = &chunk[size + 2..];
    }
    panic!("the last chunk is missing: {body}");
}

async fn what_is_asked_over_http_is_what_is_asked_over_grpc(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("all the way", r#"["constant"]"#, "[0, 1, 2]")).await;
    served.complete_all(&[(0.5, 0.5), (1.0, 0.75), (1.0, 0.25)]).await;
    let list = |kind: &str, rows: Value| json!({ "version": 1, "kind": kind, "rows": rows });

    let by_cost = v1::GetFrontierRequest { sweep: "last".into(), cost_metric: v1::CostMetric::MacsCascade.into(), ..Default::default() };
    let points = served.results().get_frontier(by_cost).await.unwrap().into_inner().points;
    assert_eq!(points.len(), 2);
    let frontier = served.get("frontier").await;
    assert_eq!((frontier.status, frontier.header("content-type"), frontier.header("cache-control")), (200, "application/json", "no-cache"));
    assert_eq!(frontier.header("access-control-allow-origin"), "");
    assert_eq!(frontier.json(), list("frontier", json!(points)));
    let narrowed = served.get("frontier?sweep=all%20the%20way&cost=macs&by=dataset&where=accuracy+%3E+0.6&sort=-cost&limit=5").await;
    assert_eq!(narrowed.json(), list("frontier", json!([points[1]])));
    assert_eq!(served.get("frontier?global").await.json()["rows"][0]["sweep"], Value::Null);

    let history = served.get("frontier/history").await.json();
    assert_eq!((&history["kind"], history["rows"].as_array().unwrap().len()), (&json!("frontier_history"), 2));

    let exits = served.results().list_results(v1::ListResultsRequest { sweep: "last".into(), ..Default::default() }).await.unwrap();
    let exits = exits.into_inner().exits;
    assert_eq!(served.get("results").await.json(), list("results", json!(exits)));
    let page = served.get("results?limit=2&offset=1").await;
    assert_eq!(page.json(), list("results", json!(exits[1..3])));
    assert_eq!(page.header("link"), "<?limit=2&offset=3>; rel=\"next\"");
    assert_eq!(served.get(&format!("results?limit=2&offset={}", exits.len() - 2)).await.header("link"), "", "nothing comes after the last");

    let jobs = v1::ListJobsRequest { sweep: "last".into(), ..Default::default() };
    let jobs = served.sweeps().list_jobs(jobs).await.unwrap().into_inner().jobs;
    assert_eq!(served.get("sweeps/last/jobs").await.json(), list("jobs", json!(jobs)));
    let queued = served.get("sweeps/last/jobs?state=queued&where=seed+%3D+1").await;
    assert_eq!(queued.json(), list("jobs", json!([])));
    let job = served.get(&format!("jobs/{}", jobs[0].job)).await.json();
    let detail = served.sweeps().get_job(v1::GetJobRequest { job: jobs[0].job.clone() }).await.unwrap().into_inner();
    assert_eq!((&job["kind"], &job["job"], &job["exits"]), (&json!("job"), &json!(detail.job), &json!(detail.exits)));
    assert_eq!(job["config"], serde_json::from_str::<Value>(&detail.config_json).unwrap());
    assert_eq!(served.get("sweeps").await.json(), list("sweeps", json!([served.sweep("last").await])));
    assert_eq!(served.get("sweeps/last").await.json()["sweep"]["n_succeeded"], 3);
    let cells = served.get("patterns?metric=final-accuracy").await.json();
    assert_eq!((&cells["kind"], &cells["rows"][0]["n_seeds"]), (&json!("cells"), &json!(3)));
    let compared = served.get("compare?by=pattern&at=50%25").await.json();
    assert_eq!(
        (&compared["kind"], &compared["metric"], &compared["levels"][0]["n_jobs"]),
        (&json!("compare"), &json!("accuracy_at"), &json!(3))
    );

    // Who has the content already is told so, and anybody else gets it.
    let tag = frontier.header("etag");
    assert!(tag.starts_with('"'), "a strong one: {tag}");
    for tags in [tag.to_owned(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let known = served.ask("GET /api/v1/frontier", &format!("If-None-Match: {tags}\r\n")).await;
        assert_eq!((known.status, known.body.as_str(), known.header("etag")), (304, "", tag), "{tags}");
    }
    assert_eq!(served.ask("GET /api/v1/frontier?by=pattern", &format!("If-None-Match: {tag}\r\n")).await.status, 200);
    let head = served.ask("HEAD /api/v1/frontier", "").await;
    assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", tag));
    served.end().await;
}

async fn rows_of_a_view_are_streamed_as_json_and_as_csv(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("=1+1", r#"["constant"]"#, "[0, 1]")).await;
    let rows = served.get("views/v_sweeps?columns=name,n_jobs,note").await.json();
    assert_eq!(rows, json!({ "version": 1, "kind": "sweeps", "rows": [{ "name": "=1+1", "n_jobs": 2, "note": "" }] }));
    let csv = served.ask("GET /api/v1/views/sweeps?columns=name,n_jobs", "Accept: text/csv\r\n").await;
    assert_eq!((csv.body.as_str(), csv.header("content-type")), ("name,n_jobs\n'=1+1,2\n", "text/csv; charset=utf-8"));
    let seeds = served.get("views/jobs?sweep=last&columns=seed&sort=-seed&where=seed+%3C+9&limit=1").await.json();
    assert_eq!(seeds["rows"], json!([{ "seed": 1 }]));
    assert_eq!(served.get("views/exits").await.json()["rows"], json!([]));
    assert_eq!(served.ask("GET /api/v1/views/exits?columns=job,exit", "Accept: text/csv\r\n").await.body, "job,exit\n");
    served.end().await;
}

async fn a_watched_frontier_tells_its_changes(home: TestDatabase) {
    let served = served(home).await;
    served.submit(&sweep_text("watched", r#"["constant"]"#, "[0, 1]")).await;
    let mut events = served.send("GET /api/v1/frontier/watch HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    let mut next = async || {
        loop {
            let mut line = String::new();
            timeout(DEADLINE, events.read_line(&mut line)).await.expect("it is told in time").unwrap();
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str::<Value>(data).unwrap();
            }
        }
    };
    let first = next().await;
    assert_eq!((&first["kind"], &first["whole"], &first["entered"]), (&json!("frontier_change"), &json!(true), &json!([])));
    served.complete_all(&[(0.5, 0.5), (0.5, 0.75)]).await;
    let mut standing: Vec<f64> = Vec::new();
    while standing != [0.75] {
        let change = next().await;
        let accuracies =
            |part: &str| change[part].as_array().unwrap().iter().map(|point| point["accuracy"].as_f64().unwrap()).collect::<Vec<_>>();
        let left = accuracies("left");
        standing.retain(|accuracy| !left.contains(accuracy));
        standing.extend(accuracies("entered"));
    }
    served.end().await;
}

#[tokio::test]
async fn what_is_refused_says_why_and_what_to_do() {
    let served = served_with(TestDatabase::sqlite(), |config| config.hosts = vec!["Results.lab".to_owned()]).await;
    served.submit(&sweep_text("a", r#"["constant"]"#, "0")).await;
    let refused = async |path: &str| served.get(path).await.refusal();
    let said = |status: u16, message: &str, hint: &str| (status, message.to_owned(), hint.to_owned());
    assert_eq!(refused("frontier?sweeep=1").await, said(400, "there is no parameter `sweeep`", "did you mean `sweep`?"));
    assert_eq!(
        refused("frontier?cost=marcs").await,
        said(400, "`cost` is `marcs`, expected one of `macs`, `macs-selected`, `params`, `latency`", "did you mean `macs`?")
    );
    assert_eq!(refused("frontier?sweep=1&sweep=2").await.1, "`sweep` is given twice");
    assert_eq!(refused("results?limit=0").await.1, "`limit` is `0`, expected a whole number from 1 on");
    assert_eq!(
        refused("results?sweep=b").await,
        said(404, "no sweep is called `b`", "`offramp sweep list` shows ids and names; `last` is the newest")
    );
    assert_eq!(refused("views/exit").await, said(400, "no view is called `exit`", "did you mean `exits`?"));
    assert_eq!(
        refused("results?sort=-acuracy").await,
        said(400, "cannot sort: v_exits has no column `acuracy`", "did you mean `accuracy`?")
    );
    assert_eq!(refused("results?where=accuracy+%3E").await.0, 400);
    assert_eq!(refused("sweeps/last/jobs?state=done").await.0, 400);
    assert_eq!(refused("views/workers?sweep=last").await.0, 400);
    assert_eq!(refused("compare?at=much").await.0, 400);
    assert_eq!(refused("jobs/zz").await.0, 404);
    assert_eq!(refused("frontiers").await.0, 404);

    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let answer = served.ask(&format!("{method} /api/v1/frontier"), "Content-Length: 0\r\n").await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method}");
    }
    // A page of another site that has its own name point here, and one that knows of gRPC.
    for host in ["evil.example", "evil.example:7717", "localhost.evil.example", "127.0.0.1.evil.example", ""] {
        assert_eq!(served.ask("GET /api/v1/sweeps", &format!("Host: {host}\r\n")).await.status, 421, "{host}");
    }
    for host in ["localhost", "127.0.0.1:80", "[::1]:7717", "results.lab:7717", "LOCALHOST"] {
        assert_eq!(served.ask("GET /api/v1/sweeps", &format!("Host: {host}\r\n")).await.status, 200, "{host}");
    }
    let grpc = "Content-Type: application/grpc\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0";
    let answer = served.ask("POST /offramp.v1.SweepService/ListSweeps", grpc).await;
    assert_eq!(answer.refusal().2, "JSON is under /api/v1/; gRPC is spoken over HTTP/2 alone");
    let long = served.get(&format!("frontier?where={}", "x".repeat(9_000))).await;
    assert_eq!(long.status, 414);
    served.end().await;
}
