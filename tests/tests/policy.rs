//! Exit policies after the fact: from the per-sample records of a finished job, the points that its result has, and others.

use offramp_tests::{Engine, Home};
use serde_json::Value;

/// Two jobs with every policy, evaluated while they end and again afterwards.
const SWEEP: &str = r#"name = "policies"

[axes]
backbone = "resnet8"
dataset = "digits"
pattern = ["none", { decreasing = 0.5 }]
budget = { levels = 6 }

[recipe]
epochs = 2
batch_size = 32
optimizer = { sgd = { lr = 0.05 } }

[evaluation]
policies = ["max-softmax", "entropy", "margin", "patience", "ensemble", "budgeted"]
"#;

fn up(home: &Home) {
    let file = home.write("policies.toml", SWEEP);
    let finished =
        home.run(&["up", &file, "--trainer", "simulated", "--simulate", "epoch-ms=0", "--slots", "2", "--artifacts-dir", "kept"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    home.check_database(true);
}

fn text(row: &Value, column: &str) -> String {
    row[column].as_str().unwrap_or_else(|| panic!("no text `{column}` in {row}")).to_owned()
}

/// The job of a pattern.
fn job(home: &Home, pattern: &str) -> String {
    let jobs = home.rows(&["job", "list", "last"]);
    text(jobs.iter().find(|job| job["pattern"] == pattern).expect("the sweep has the pattern"), "job")
}

/// Points in an order of their own, as one text each: equal text is equal to the last bit.
fn sorted(points: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = points.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}

#[test]
fn records_give_the_stored_points_to_the_last_bit_on_sqlite() {
    records_give_the_stored_points(&Home::on(Engine::Sqlite));
}

#[test]
fn records_give_the_stored_points_to_the_last_bit_on_postgres() {
    records_give_the_stored_points(&Home::on(Engine::Postgres));
}

fn records_give_the_stored_points(home: &Home) {
    up(home);
    for pattern in ["none", "decreasing 0.5"] {
        let job = job(home, pattern);
        let stored = home.json(&["job", "show", &job])["operating_points"].as_array().expect("a finished job has points").clone();
        assert_eq!(sorted(&home.rows(&["policy", &job])), sorted(&stored));
        for point in &stored {
            let setting = point["setting"].to_string();
            let again = home.rows(&["policy", &job, "--policy", &text(point, "policy"), "--setting", &setting]);
            assert_eq!(again, std::slice::from_ref(point));
            if point["policy"] == "budgeted" {
                break; // One setting of every policy but the last will do: each is a process.
            }
        }
    }
    let policies: std::collections::BTreeSet<String> =
        home.rows(&["policy", &job(home, "decreasing 0.5")]).iter().map(|point| text(point, "policy")).collect();
    assert_eq!(policies.len(), 7, "{policies:?}");
}

#[test]
fn a_budget_is_met_on_the_calibration_split() {
    let home = Home::new();
    up(&home);
    let job = job(&home, "decreasing 0.5");
    let exits = home.json(&["job", "show", &job])["exits"].as_array().unwrap().clone();
    let macs: Vec<f64> = exits.iter().map(|exit| exit["macs_cascade"].as_f64().unwrap()).collect();
    let budget = f64::midpoint(macs[0], macs[3]).floor();
    for policy in [&[][..], &["--policy", "entropy"], &["--policy", "patience"], &["--policy", "fixed"]] {
        let rows = home.rows(&[&["policy", &job, "--budget-macs", &budget.to_string()], policy].concat());
        let [point] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!(text(point, "policy"), policy.get(1).copied().unwrap_or("budgeted"));
        let cost = point["calibration_macs_cascade"].as_f64().unwrap();
        assert!(cost <= budget, "{point}");
        // Quotas and thresholds come near: of 500 calibration samples few are equal.
        assert!(["patience", "fixed"].contains(&point["policy"].as_str().unwrap()) || cost > 0.98 * budget, "{point}");
    }
    let refused = home.run(&["policy", &job, "--budget-macs", "1"]);
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("no setting costs 1 MACs") && refused.stderr.contains("hint: "), "{}", refused.stderr);
}

#[test]
fn records_that_are_not_there_or_not_what_was_written() {
    let home = Home::new();
    up(&home);
    let job = job(&home, "none");
    let artifact = home.json(&["job", "show", &job])["artifacts"][0].clone();
    let path = text(&artifact, "path");
    assert_eq!(artifact["bytes"].as_u64().unwrap(), std::fs::metadata(&path).unwrap().len());

    // A copy somewhere else will do, if it is named.
    let elsewhere = home.path().join("elsewhere.parquet");
    std::fs::rename(&path, &elsewhere).unwrap();
    let refused = home.run(&["policy", &job]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains(&path) && refused.stderr.contains("--records"), "{}", refused.stderr);
    let points = home.rows(&["policy", "--records", elsewhere.to_str().unwrap()]);
    assert_eq!(points.len(), 1, "the final exit alone");

    // A file that was changed is not taken for the one that was written.
    let mut content = std::fs::read(&elsewhere).unwrap();
    content[64] ^= 1;
    std::fs::write(&path, content).unwrap();
    let refused = home.run(&["policy", &job]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("SHA-256"), "{}", refused.stderr);

    // Simulated records are kept on demand alone.
    let file = home.write("other.toml", &SWEEP.replace("\"policies\"", "\"other\"").replace("lr = 0.05", "lr = 0.06"));
    let finished = home.run(&["up", &file, "--trainer", "simulated", "--simulate", "epoch-ms=0"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let other = text(&home.rows(&["job", "list", "last"])[0], "job");
    let refused = home.run(&["policy", &other]);
    assert_eq!(refused.code, Some(4));
    assert!(refused.stderr.contains("no per-sample records") && refused.stderr.contains("hint: "), "{}", refused.stderr);
}
