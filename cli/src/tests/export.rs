//! Exports and imports as their users run them.

use std::fs;
use std::path::Path;

use clap::Parser;
use offramp_domain::table::{OfSweep, VIEWS};

use super::laboratory::{Laboratory, SWEEPS};
use super::*;
use crate::args::{Arguments, Command};
use crate::commands;
use crate::failure::Failure;
use crate::output::Format;

/// Runs an export or an import.
async fn run(words: &[&str]) -> Result<Exit, Failure> {
    match Arguments::try_parse_from([&["offramp"], words].concat()).unwrap_or_else(|error| panic!("{error}")).command {
        Command::Export(arguments) => commands::export::run(&arguments).await,
        Command::Import(arguments) => commands::import::run(&arguments, Format::Table).await,
        other => panic!("{other:?}"),
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn refusal(words: &[&str]) -> (Exit, String) {
    let failure = run(words).await.unwrap_err();
    (failure.exit(), failure.render())
}

#[tokio::test]
async fn a_coordinator_and_a_database_export_the_same_bytes() {
    // Of a sweep that is finished: what is not goes on once there is a coordinator.
    let coordinator = Coordinator::start_in(Laboratory::new().await.into_folder(), ([127, 0, 0, 1], 0).into()).await;
    let (database, url) = (Coordinator::database(&coordinator.folder).to_string(), coordinator.url());
    let folder = tempfile::tempdir().unwrap();
    let [by_file, by_wire] = ["file", "wire"].map(|name| folder.path().join(name));
    for (to, source) in [(&by_file, ["--database", &database]), (&by_wire, ["--coordinator", &url])] {
        for format in ["parquet", "csv", "jsonl"] {
            let words = [&["export", "study", "--all-views", "--format", format, "--to", path(to)], &source[..]].concat();
            assert_eq!(run(&words).await.unwrap(), Exit::Ok);
        }
        let best = to.join("best.csv");
        let words =
            ["export", "study", "--view", "exits", "--where", "accuracy > 50%", "--sort", "-accuracy", "--columns", "accuracy,job,exit"];
        let words = [&words[..], &["--limit", "7", "--to", path(&best)], &source].concat();
        assert_eq!(run(&words).await.unwrap(), Exit::Ok);
    }
    let mut names: Vec<_> = fs::read_dir(&by_file).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 3 * VIEWS.iter().filter(|view| view.of_sweep != OfSweep::None).count() + 1);
    for name in names {
        let [file, wire] = [&by_file, &by_wire].map(|folder| fs::read(folder.join(&name)).unwrap());
        assert!(file == wire, "{}", name.display());
    }
    let best = fs::read_to_string(by_file.join("best.csv")).unwrap();
    let accuracies: Vec<f64> = best.lines().skip(1).map(|line| line.split(',').next().unwrap().parse().unwrap()).collect();
    assert!(best.starts_with("accuracy,job,exit\n") && accuracies.len() == 7, "{best}");
    assert!(accuracies.is_sorted_by(|a, b| a >= b) && accuracies.iter().all(|accuracy| *accuracy > 0.5), "{best}");
    // What would run in a spreadsheet or steer a terminal.
    let jobs = fs::read_to_string(by_file.join("jobs.csv")).unwrap();
    assert!(jobs.contains("'=cmd|"), "{jobs}");
    coordinator.stop().await;
}

#[tokio::test]
async fn what_cannot_be_exported_is_told_before_anything_is_written() {
    let laboratory = Laboratory::new().await;
    let database = laboratory.database().to_string();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rows.csv");
    let with = |words: &[&str]| -> Vec<String> {
        let to: &[&str] = if words.contains(&"--to") { &[] } else { &["--to", path(&file)] };
        let all = [&["export"], words, to, &["--database", &database]].concat();
        all.into_iter().map(str::to_owned).collect()
    };
    for (words, exit, message) in [
        (&["--view", "exitss"][..], Exit::Usage, "error: no view is called `exitss`\nhint: did you mean `exits`?\n"),
        (
            &["--view", "exits", "--to", "rows.xlsx"],
            Exit::Usage,
            "error: `.xlsx` is no format that rows are written in\nhint: name the file .parquet, .csv or .jsonl, or say --format\n",
        ),
        (&["--view", "exits", "--columns", "jb"], Exit::Usage, "error: v_exits has no column `jb`\nhint: did you mean `job`?\n"),
        (
            &["--view", "workers"],
            Exit::Usage,
            "error: the rows of v_workers belong to no sweep\nhint: say --everything in the place of a sweep\n",
        ),
        (
            &["nothing", "--view", "exits"],
            Exit::NothingMatched,
            "error: no sweep is called `nothing`\nhint: `offramp sweep list` shows ids and names; `last` is the newest\n",
        ),
    ] {
        let words = with(words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(refusal(&words).await, (exit, message.to_owned()), "{words:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    // Nothing matched: the file says so, too.
    let words = with(&["study", "--view", "exits", "--where", "accuracy > 200%"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(run(&words).await.unwrap(), Exit::NothingMatched);
    assert!(fs::read_to_string(&file).unwrap().starts_with("job,exit,"));
    assert_eq!(refusal(&words).await.0, Exit::Usage, "it is there already");
    assert_eq!(run(&[&words[..], &["--force"]].concat()).await.unwrap(), Exit::NothingMatched);
}

/// Frontier and patterns of the study as a database tells of them.
async fn told(database: &str) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut texts = Vec::new();
    for view in ["frontier", "patterns"] {
        let file = folder.path().join(view);
        let columns =
            if view == "frontier" { "grouping,dataset,cost_metric,cost,accuracy,job,policy,setting" } else { "pattern,n_seeds,area_mean" };
        let sort = if view == "frontier" { columns } else { "pattern,area_mean" };
        let words = ["export", "study", "--view", view, "--columns", columns, "--sort", sort, "--to", path(&file), "--database", database];
        assert_eq!(run(&words).await.unwrap(), Exit::Ok);
        texts.push(fs::read_to_string(file).unwrap());
    }
    (texts.remove(0), texts.remove(0))
}

#[tokio::test]
async fn results_are_the_same_after_an_archive_and_after_another_database() {
    let laboratory = Laboratory::new().await;
    let original = laboratory.database().to_string();
    let folder = tempfile::tempdir().unwrap();
    let [archive, one, other, copy] = ["archive", "one.db", "other.db", "copy.db"].map(|name| folder.path().join(name));
    let url = |path: &Path| format!("sqlite:{}", path.display());
    assert_eq!(run(&["export", "--everything", "--archive", path(&archive), "--database", &original]).await.unwrap(), Exit::Ok);
    assert_eq!(run(&["export", "--snapshot", path(&copy), "--database", &original]).await.unwrap(), Exit::Ok);
    assert_eq!(run(&["import", path(&archive), "--database", &url(&one)]).await.unwrap(), Exit::Ok);
    assert_eq!(run(&["import", &url(&copy), "--database", &url(&other)]).await.unwrap(), Exit::Ok);
    let expected = told(&original).await;
    assert!(expected.0.lines().count() > 10, "{}", expected.0);
    for database in [&one, &other] {
        assert_eq!(told(&url(database)).await, expected);
        // Once more it changes nothing.
        assert_eq!(run(&["import", path(&archive), "--database", &url(database)]).await.unwrap(), Exit::Ok);
        assert_eq!(told(&url(database)).await, expected);
    }
    // Sweeps come along; what has jobs left is not trained here unasked.
    let source = Source::open(&SourceArguments { database: Some(Database::Sqlite(one.clone())), coordinator: None }).await.unwrap();
    let states: Vec<(String, String)> = sweeps(&source).await.into_iter().map(|sweep| (sweep.name, sweep.state)).rev().collect();
    let expected = SWEEPS.map(|name| {
        // Jobs of the study that ended without a result have none here either.
        let has_all = name == "tables & \"quotes\"";
        (name.to_owned(), if has_all { "finished" } else { "paused" }.to_owned())
    });
    assert_eq!(states, expected);
    let same = refusal(&["import", &url(&one), "--database", &url(&one)]).await;
    assert!(same.0 == Exit::Usage && same.1.contains("both the source and the database to write to"), "{}", same.1);
    let nothing = refusal(&["import", path(&folder.path().join("none")), "--database", &url(&one)]).await;
    assert!(nothing.0 == Exit::Usage && nothing.1.contains("has no archive"), "{}", nothing.1);
    let file = refusal(&["import", path(&one), "--database", &url(&other)]).await;
    assert!(file.1.contains("a database is named as sqlite:"), "{}", file.1);
}

#[tokio::test]
async fn a_file_that_a_coordinator_has_is_not_written_to() {
    let laboratory = Laboratory::new().await;
    let original = laboratory.database().to_string();
    let coordinator = Coordinator::start().await;
    let database = Coordinator::database(&coordinator.folder).to_string();
    let (exit, message) = refusal(&["import", &original, "--database", &database]).await;
    assert!(exit == Exit::Error && message.contains("another coordinator") && message.contains("end it for as long as"), "{message}");
    coordinator.stop().await;
}
