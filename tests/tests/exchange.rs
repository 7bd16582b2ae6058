//! Results that leave one database and come into another: looked at from outside.

use offramp_tests::{Home, on_both_engines, sweep_file};

on_both_engines!(imported_results_are_as_whole_as_those_trained_here);

fn imported_results_are_as_whole_as_those_trained_here(home: &Home) {
    let other = Home::new();
    let up = other.run(&["up", &sweep_file("digits.toml"), "--trainer", "simulated", "--simulate", "epoch-ms=1"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let archive = home.path().join("archive");
    let archive = archive.to_str().expect("temporary folders have UTF-8 names");
    let exported = other.run(&["export", "--everything", "--archive", archive]);
    assert_eq!(exported.code, Some(0), "{}", exported.stderr);

    let database = home.database_url();
    let imported = home.json(&["import", archive, "--database", &database]);
    assert_eq!(imported["import"]["n_imported"], 16, "{imported}");
    // The checker knows the rules of jobs, attempts, events, costs and frontiers, and shares no code with Offramp.
    home.check_database(true);
    let again = home.json(&["import", archive, "--database", &database]);
    assert_eq!((&again["import"]["n_imported"], &again["import"]["n_known"]), (&0.into(), &16.into()), "{again}");
    home.check_database(true);
    let frontier = |home: &Home| {
        let columns = "grouping, dataset, cost_metric, cost, accuracy, job, policy, setting";
        home.query(&format!("select {columns} from v_frontier order by {columns}"))
    };
    assert!(!frontier(home).is_empty());
    assert_eq!(frontier(home), frontier(&other));
    // A sweep that asks for the same work finds it done.
    let up = home.run(&["up", &sweep_file("digits.toml"), "--trainer", "simulated", "--simulate", "epoch-ms=1"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    let trained = home.query("select count(*) from v_events where event = 'claimed'");
    assert_eq!(trained, [[serde_json::Value::from(0)]]);
}
