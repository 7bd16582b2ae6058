use std::collections::BTreeSet;

use expect_test::expect;
use offramp_domain::table::Array;

use super::*;
use crate::output::view;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn exits(columns: &[&str]) -> Selected {
    Selected::new(&view::EXITS, table::view("exits").unwrap(), &names(columns))
}

fn batch() -> Batch {
    let job = |job: &str| Some(job.to_owned());
    Batch {
        columns: vec![
            Array::Texts(vec![job("0123456789ab"), job("=1+1\u{1b}[2J")]),
            Array::Flags(vec![Some(true), Some(false)]),
            Array::Reals(vec![Some(0.93), None]),
        ],
        n_rows: 2,
    }
}

/// All that is written of some batches.
fn written(format: Format, batches: &[Batch]) -> String {
    let mut writer = Writer::new(format, exits(&["job", "is_final", "ece"]));
    let mut text = String::new();
    for batch in batches {
        let rows = writer.selected.batch(batch);
        text.push_str(&writer.text(rows));
    }
    text.push_str(&writer.rest(Some(80)));
    text
}

#[test]
fn rows_are_written_as_they_come() {
    let two = [batch(), batch()];
    expect![[r"
        job            final     ECE
        0123456789ab   yes    0.9300
        =1+1\u{1b}[2J  no          -
        0123456789ab   yes    0.9300
        =1+1\u{1b}[2J  no          -
    "]]
    .assert_eq(&written(Format::Table, &two));
    expect![[r"
        job,is_final,ece
        0123456789ab,true,0.93
        '=1+1[2J,false,
        0123456789ab,true,0.93
        '=1+1[2J,false,
    "]]
    .assert_eq(&written(Format::Csv, &two).replace('\u{1b}', ""));
    let line = r#"{"job":"0123456789ab","is_final":true,"ece":0.93}"#;
    let hostile = r#"{"job":"=1+1\u001b[2J","is_final":false,"ece":null}"#;
    assert_eq!(written(Format::Jsonl, &two), format!("{line}\n{hostile}\n{line}\n{hostile}\n"));
    let list = format!(r#"{{"version":1,"kind":"results","rows":[{line},{hostile},{line},{hostile}]}}"#);
    assert_eq!(written(Format::Json, &two), format!("{list}\n"));
}

#[test]
fn nothing_is_an_answer_in_every_format() {
    let empty = Batch { columns: vec![Array::Texts(vec![]), Array::Flags(vec![]), Array::Reals(vec![])], n_rows: 0 };
    for batches in [&[][..], &[empty]] {
        assert_eq!(written(Format::Table, batches), "");
        assert_eq!(written(Format::Csv, batches), "job,is_final,ece\n");
        assert_eq!(written(Format::Jsonl, batches), "");
        assert_eq!(written(Format::Json, batches), "{\"version\":1,\"kind\":\"results\",\"rows\":[]}\n");
    }
}

#[test]
fn a_list_is_the_same_as_it_comes_and_as_a_whole() {
    let rows = exits(&["job", "is_final", "ece"]).batch(&batch());
    assert_eq!(written(Format::Json, &[batch()]), json::list(&rows));
    assert_eq!(written(Format::Csv, &[batch()]), csv::render(&rows));
    assert_eq!(written(Format::Table, &[batch()]), aligned::render(&rows, Some(80)));
}

/// Columns that tables leave out are shown where they are asked for, and all of them, in their order; where they do not fit they are wrapped.
#[test]
fn chosen_columns_are_all_shown() {
    let stored = table::view("jobs").unwrap();
    let chosen = names(&["recipe", "job_key", "seed", "job", "regime", "exit_weights", "distill"]);
    let selected = Selected::new(&view::JOBS, stored, &chosen);
    let text = |text: &str| Array::Texts(vec![Some(text.to_owned())]);
    let columns = vec![
        text("15 epochs, batch 32"),
        text("0123456789abcdef0123456789abcdef"),
        Array::Integers(vec![Some(3)]),
        text("0123456789ab"),
        text("joint"),
        text("equal"),
        text("none"),
    ];
    let rows = selected.batch(&Batch { columns, n_rows: 1 });
    let header = aligned::render(&rows, None).lines().next().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(header, "recipe job_key seed job regime exit_weights distill");
    let narrow = aligned::render(&rows, Some(60));
    assert!(narrow.lines().all(|line| line.chars().count() <= 60), "{narrow}");
    assert!(narrow.lines().count() > 2 && narrow.contains("seed"), "{narrow}");
}

/// Names are written once a side: here how a table shows them, there what the database has.
#[test]
fn shown_views_have_the_columns_of_the_databases() {
    let pairs = [
        (&view::SWEEPS, "sweeps"),
        (&view::JOBS, "jobs"),
        (&view::ATTEMPTS, "attempts"),
        (&view::EVENTS, "events"),
        (&view::WORKERS, "workers"),
        (&view::EXITS, "exits"),
        (&view::OPERATING_POINTS, "operating_points"),
        (&view::ARTIFACTS, "artifacts"),
        (&view::FRONTIER, "frontier"),
        (&view::HISTORY, "frontier_history"),
        (&view::PATTERNS, "patterns"),
    ];
    for (shown, stored) in pairs {
        let stored = table::view(stored).unwrap();
        let expected: BTreeSet<&str> = stored.all_columns().map(|column| column.name).collect();
        let found: BTreeSet<&str> = shown.columns.iter().map(|column| column.name).collect();
        assert_eq!(found, expected, "{}", stored.name);
    }
    // Epochs stand within their job.
    let epochs = table::view("epochs").unwrap();
    assert!(view::EPOCHS.columns.iter().all(|column| epochs.index_of(column.name).is_ok()));
}

#[test]
fn rows_that_are_there_are_chosen_from_as_the_database_does() {
    let stored = table::view("operating_points").unwrap();
    let point = |policy: &str, setting: f64, latency_us: Option<f64>| offramp_proto::v1::OperatingPointRow {
        policy: policy.into(),
        setting,
        accuracy: 1.0 - setting,
        latency_us,
        exit_shares: vec![0.5, 0.5],
        ..Default::default()
    };
    let points =
        [point("fixed", 1.0, Some(3.0)), point("entropy", 0.5, None), point("fixed", 0.0, Some(2.5)), point("entropy", 0.25, None)];
    let chosen = |filter: &str, sort: &[&str]| {
        let filter = (!filter.is_empty()).then(|| Filter::parse(filter, stored).unwrap());
        let sort: Vec<Sort> = sort.iter().map(|text| Sort::parse(text, stored).unwrap()).collect();
        let rows = arrange(Rows::new(&view::OPERATING_POINTS, &points), stored, filter.as_ref(), &sort, &names(&["policy", "setting"]));
        csv::render(&rows)
    };
    assert_eq!(chosen("", &[]), "policy,setting\nfixed,1.0\nentropy,0.5\nfixed,0.0\nentropy,0.25\n");
    assert_eq!(
        chosen("policy = entropy or setting < 0.1", &["policy", "-setting"]),
        "policy,setting\nentropy,0.5\nentropy,0.25\nfixed,0.0\n"
    );
    // Nothing last, either way; the rest in its order.
    assert_eq!(chosen("", &["latency_us"]), "policy,setting\nfixed,0.0\nfixed,1.0\nentropy,0.5\nentropy,0.25\n");
    assert_eq!(chosen("", &["-latency_us"]), "policy,setting\nfixed,1.0\nfixed,0.0\nentropy,0.5\nentropy,0.25\n");
    assert_eq!(chosen("exit_shares contains '0.5,0.5' and latency_us is null and accuracy >= 75%", &[]), "policy,setting\nentropy,0.25\n");
}
