//! Whoever is asked (a database, a coordinator, a coordinator over HTTP) gives the same answer; and a job that is trained again gives it, too.

use std::process::Command;
use std::time::Duration;

use offramp_tests::{DEADLINE, Engine, Home, Started, on_both_engines, python, script, wait_until};
use serde_json::{Map, Value};

/// Patterns, seeds and policies enough for frontiers and comparisons to have something in them.
const SWEEP: &str = r#"name = "answers"

[axes]
backbone = "resnet8"
dataset = "digits"
pattern = ["none", "constant", { decreasing = 0.5 }]
budget = { levels = 6 }
seed = [0, 1]

[recipe]
epochs = 2
batch_size = 32
optimizer = { sgd = { lr = 0.05 } }
"#;

fn up(home: &Home) {
    let file = home.write("answers.toml", SWEEP);
    let finished = home.run(&["up", &file, "--trainer", "simulated", "--simulate", "epoch-ms=0", "--slots", "2"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

/// A coordinator on a free port, and its URL.
fn coordinator(home: &Home) -> (Started, String) {
    let started = home.start(&["coordinator", "--listen", "127.0.0.1:0"]);
    let url = wait_until("the coordinator to print its address", DEADLINE, || {
        let text = started.stdout();
        let begin = text.find("http://")?;
        let end = begin + text[begin..].find(char::is_whitespace)?;
        Some(text[begin..end].to_owned())
    });
    (started, url)
}

on_both_engines! {
    a_database_a_coordinator_and_http_say_the_same,
    a_job_is_reproduced_to_the_last_bit,
}

fn a_database_a_coordinator_and_http_say_the_same(home: &Home) {
    up(home);
    let (_coordinator, url) = coordinator(home);
    let job = home.rows(&["job", "list", "last"])[0]["job"].as_str().expect("a job has an id").to_owned();
    let job_path = format!("jobs/{job}");
    // Each command, and what it is called over HTTP.
    let questions: [(&[&str], &str); 14] = [
        (&["sweep", "list"], "sweeps"),
        (&["sweep", "show", "last"], "sweeps/last"),
        (&["job", "list", "last"], "sweeps/last/jobs"),
        (
            &["job", "list", "last", "--state", "succeeded", "--limit", "2", "--offset", "1"],
            "sweeps/last/jobs?state=succeeded&limit=2&offset=1",
        ),
        (&["job", "show", &job], &job_path),
        (&["frontier"], "frontier"),
        (&["frontier", "answers", "--by", "pattern", "--cost", "macs-selected"], "frontier?sweep=answers&by=pattern&cost=macs-selected"),
        (&["frontier", "--global", "--cost", "params"], "frontier?global&cost=params"),
        (&["frontier", "last", "--history"], "frontier/history?sweep=last"),
        (&["results"], "results"),
        (&["patterns"], "patterns"),
        (&["patterns", "--at", "50%", "--confidence", "0.9"], "patterns?at=50%25&confidence=0.9"),
        (&["compare", "--by", "pattern", "--metric", "final-accuracy"], "compare?by=pattern&metric=final-accuracy"),
        (
            &["compare", "last", "--baseline", "none", "--at", "50%", "--unit", "block"],
            "compare?sweep=last&baseline=none&at=50%25&unit=block",
        ),
    ];
    let mut client = Command::new(python());
    client.arg(script("http_client.py")).arg(&url).args(questions.iter().map(|(_, path)| path)).arg("views/exits?sweep=last");
    let output = client.output().expect("Python can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let over_http: Map<String, Value> = serde_json::from_slice(&output.stdout).expect("HTTP answers in JSON");

    for (command, path) in questions {
        let direct = home.json(command);
        assert_eq!(home.json(&[command, &["--coordinator", &url]].concat()), direct, "{command:?}");
        assert_eq!(over_http[path], direct, "{command:?} and {path}");
        // There is something in it: equal emptiness would show nothing.
        assert!(direct.to_string().len() > 100, "{direct}");
    }
    // Rows of a view are those of the command that lists them.
    assert_eq!(over_http["views/exits?sweep=last"]["rows"], home.json(&["results"])["rows"]);
}

fn a_job_is_reproduced_to_the_last_bit(home: &Home) {
    up(home);
    let jobs = home.rows(&["job", "list", "last"]);
    let job =
        jobs.iter().find(|job| job["pattern"] == "constant").expect("the sweep has the pattern")["job"].as_str().expect("a job has an id");
    let arguments = ["reproduce", job, "--simulate", "epoch-ms=0"];
    let said = home.json(&arguments);
    assert_eq!((&said["equal"], &said["differences"]), (&true.into(), &Value::Array(Vec::new())), "{said}");
    let n_compared: u64 = said["compared"]
        .as_array()
        .expect("what was compared is a list")
        .iter()
        .map(|kind| kind["n_compared"].as_u64().expect("a count"))
        .sum();
    // Eight numbers of quality and two counts for each exit, and eight or more for each operating point.
    let n_exits = home.rows(&["results"]).iter().filter(|exit| exit["job"] == job).count() as u64;
    let n_points = home.query(&format!("SELECT count(*) FROM v_operating_points WHERE job = '{job}'"))[0][0].as_u64().expect("a count");
    assert_eq!(n_compared, 2 + 10 * n_exits + n_points * (6 + n_exits));

    {
        let (_coordinator, url) = coordinator(home);
        let asked = home.json(&[&arguments[..], &["--coordinator", &url]].concat());
        assert_eq!(asked, said, "the coordinator knows the same job");
        let missing = home.run(&["reproduce", "ffffffffffff", "--coordinator", &url]);
        assert_eq!(missing.code, Some(4), "{}", missing.stderr);
    }
    // Nothing of it is in the database.
    assert_eq!(home.rows(&["job", "list", "last"]), jobs);
    if home.engine() == Engine::Sqlite {
        // One number off by its last bit or so is seen.
        let change = "import sqlite3, sys\n\
            database = sqlite3.connect(sys.argv[1])\n\
            of_job = 'job_id = (SELECT id FROM jobs WHERE substr(key, 1, 12) = ?)'\n\
            assert database.execute(f'UPDATE exit_results SET loss = loss + 1e-15 WHERE exit = 0 AND {of_job}', sys.argv[2:]).rowcount == 1\n\
            database.commit()\n";
        let changed = Command::new(python()).args(["-c", change]).arg(home.database()).arg(job).output().expect("Python can be started");
        assert!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
        let differs = home.run(&arguments);
        assert_eq!(differs.code, Some(1), "{}", differs.stderr);
        assert!(differs.stdout.contains(&format!("not reproduced: 1 of {n_compared} numbers differ")), "{}", differs.stdout);
    }
}

/// Longer than a short job takes on a slow machine.
const LONG: Duration = Duration::from_mins(20);

/// For real: Burn on the CPU, with another number of threads than before.
#[test]
fn a_job_of_real_digits_is_reproduced() {
    let home = Home::new();
    let file =
        home.write("answers.toml", &SWEEP.replace(r#"["none", "constant", { decreasing = 0.5 }]"#, r#""constant""#).replace("[0, 1]", "0"));
    let finished = home.start(&["up", &file, "--slots", "1"]).finish(LONG);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let job = home.rows(&["job", "list", "last"])[0]["job"].as_str().expect("a job has an id").to_owned();
    let again = home.start(&["reproduce", &job, "--threads", "1"]).finish(LONG);
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("reproduced: ") && again.stderr.contains("burn-flex"), "{}{}", again.stdout, again.stderr);
    assert!(!again.stderr.contains("note:"), "the same trainer and version: {}", again.stderr);
}
