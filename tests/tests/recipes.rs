//! The recipes of `docs/RESULTS.md`, as they stand there.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use offramp_tests::{Engine, Home, python, sweep_file};

/// A code block of the page.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
}

/// The code blocks of a section, by the heading that they stand under.
fn recipes() -> Vec<(String, Vec<Block>)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie one folder below the root").join("docs/RESULTS.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let section = page.split("\n## ").find(|section| section.starts_with("Recipes\n")).expect("the page has recipes");
    section.split("\n### ").skip(1).map(|recipe| (recipe.lines().next().unwrap_or_default().to_owned(), blocks(recipe))).collect()
}

fn blocks(text: &str) -> Vec<Block> {
    let mut parts = text.split("```");
    parts.next();
    let mut blocks = Vec::new();
    while let Some(block) = parts.next() {
        let (language, text) = block.split_once('\n').expect("a block begins with its language");
        blocks.push(Block { language: language.to_owned(), text: text.to_owned() });
        parts.next();
    }
    blocks
}

/// Runs a block in the folder of the home's database; what it printed.
fn run(home: &Home, block: &Block) -> String {
    let (program, flag) = match block.language.as_str() {
        "sh" => ("bash".to_owned(), "-ec"),
        "python" => (python(), "-c"),
        "r" => ("Rscript".to_owned(), "-e"),
        other => panic!("nothing here runs `{other}`"),
    };
    let output = command(home, &program).arg(flag).arg(&block.text).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let (said, wrong) = (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{}\n{said}{wrong}", block.text);
    said
}

/// A program that finds what its user would find: `offramp` and PostgreSQL's programs on the path, the database in the folder.
fn command(home: &Home, program: &str) -> Command {
    let offramp = home.command(&[]);
    let binaries = Path::new(offramp.get_program()).parent().expect("a program lies in a folder");
    let mut path = vec![binaries.to_owned()];
    path.extend(tool_folders());
    let mut command = Command::new(program);
    command.env("PATH", std::env::join_paths(path).expect("folders have no colon")).current_dir(home.path().join("offramp"));
    command.env("HOME", home.path()).env("XDG_DATA_HOME", home.path()).env("OFFRAMP_DATABASE", home.database_url());
    command
}

#[expect(clippy::disallowed_methods, reason = "where programs are is a property of the machine")]
fn tool_folders() -> Vec<std::path::PathBuf> {
    let servers = std::env::var_os("OFFRAMP_TEST_PG_BIN").map(std::path::PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    servers.into_iter().chain(std::env::split_paths(&path).collect::<Vec<_>>()).collect()
}

/// Why a recipe cannot be run on this machine.
fn missing(home: &Home, recipe: &str) -> Option<&'static str> {
    let runs =
        |program: &str, arguments: &[&str]| command(home, program).args(arguments).output().is_ok_and(|output| output.status.success());
    match recipe {
        "sqlite3" if !runs("sqlite3", &["--version"]) => Some("there is no sqlite3"),
        "R" if !runs("Rscript", &["-e", "library(DBI); library(RSQLite)"]) => Some("there is no Rscript with RSQLite"),
        _ => None,
    }
}

/// A home with finished jobs, and the mean area of each pattern as the checker's own connection reads it.
fn finished(engine: Engine) -> (Home, BTreeMap<String, f64>) {
    let home = Home::on(engine);
    let up = home.run(&["up", &sweep_file("digits.toml"), "--trainer", "simulated", "--simulate", "epoch-ms=1"]);
    assert_eq!(up.code, Some(0), "{}", up.stderr);
    std::fs::create_dir_all(home.path().join("offramp")).expect("the home can be written to");
    let rows = home.query("select pattern, avg(area) from v_jobs group by pattern");
    let mean = |row: &Vec<serde_json::Value>| (row[0].as_str().expect("a name").to_owned(), row[1].as_f64().expect("a number"));
    let means: BTreeMap<String, f64> = rows.iter().map(mean).collect();
    assert!(means.len() >= 3 && means.values().all(|mean| (0.1..1.0).contains(mean)), "{means:?}");
    (home, means)
}

/// Every pattern stands in the output, on a line with its mean; tools print at least five digits.
fn check(said: &str, means: &BTreeMap<String, f64>, recipe: &str) {
    for (pattern, mean) in means {
        let has_mean = |line: &str| {
            let numbers =
                line.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-' || c == 'e')).filter_map(|word| word.parse::<f64>().ok());
            numbers.into_iter().any(|number| (number - mean).abs() < 2e-5 * mean)
        };
        assert!(said.lines().any(|line| line.contains(pattern.as_str()) && has_mean(line)), "{recipe}: {pattern} has {mean}\n{said}");
    }
}

#[test]
fn every_recipe_says_what_it_promises() {
    let (home, means) = finished(Engine::Sqlite);
    let recipes = recipes();
    let names: Vec<&str> = recipes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["sqlite3", "psql", "pandas", "polars", "R", "Parquet: DuckDB, polars, pandas"]);
    for (name, blocks) in &recipes {
        if name == "psql" {
            continue;
        }
        if let Some(missing) = missing(&home, name) {
            #[expect(clippy::print_stderr, reason = "said where the test's result is shown")]
            {
                eprintln!("left out: the recipe for {name}, since {missing} on this machine");
            }
            continue;
        }
        for block in blocks {
            let said = run(&home, block);
            // One block only exports.
            if !block.text.starts_with("offramp export") {
                check(&said, &means, name);
            }
        }
    }
}

mod postgres {
    use super::*;

    #[test]
    fn the_recipe_for_psql_says_what_it_promises() {
        let (home, means) = finished(Engine::Postgres);
        let (_, blocks) = recipes().into_iter().find(|(name, _)| name == "psql").expect("there is one");
        check(&run(&home, &blocks[0]), &means, "psql");
    }
}
