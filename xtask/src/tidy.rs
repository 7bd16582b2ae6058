//! The rules of the layout that no compiler holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::Value;

use crate::command::{root, say};

/// Which workspace crates a crate may depend on. `tests` runs the built binary, and holds functions of `domain` alone against other programs.
/// `xtask` starts what the tests need.
const ARROWS: &[(&str, &[&str])] = &[
    ("offramp-domain", &[]),
    ("offramp-data", &["offramp-domain"]),
    ("offramp-proto", &["offramp-domain"]),
    ("offramp-coordinator", &["offramp-domain", "offramp-proto"]),
    ("offramp-records", &["offramp-domain"]),
    ("offramp-figures", &[]),
    ("offramp-worker", &["offramp-domain", "offramp-proto", "offramp-records"]),
    ("offramp-train", &["offramp-data", "offramp-domain"]),
    (
        "offramp",
        &[
            "offramp-coordinator",
            "offramp-data",
            "offramp-domain",
            "offramp-figures",
            "offramp-proto",
            "offramp-records",
            "offramp-train",
            "offramp-worker",
        ],
    ),
    ("offramp-bench", &["offramp-coordinator", "offramp-domain", "offramp-proto"]),
    ("offramp-tests", &["offramp-domain"]),
    ("xtask", &["offramp-tests"]),
];

/// Dependencies that only the named crates may have: `(dependency, crates)`. A name that ends in `*` stands for all that begin so.
const CONFINED: &[(&str, &[&str])] = &[
    ("burn*", &["offramp-train"]),
    ("clap*", &["offramp", "offramp-bench", "xtask"]),
    ("sqlx*", &["offramp-coordinator", "offramp-bench"]),
    ("parquet*", &["offramp-records"]),
    ("resvg", &["offramp-figures"]),
    ("dejavu", &["offramp-figures"]),
    ("anyhow", &["offramp", "offramp-bench", "xtask"]),
    ("ureq", &["offramp-data"]),
    ("tokio", &["offramp-coordinator", "offramp-worker", "offramp", "offramp-bench"]),
];

/// A source file's lines before its tests.
const MOST_LINES: usize = 500;

/// File names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["mod.rs", "imp.rs", "utils.rs", "util.rs", "common.rs", "types.rs", "manager.rs", "helpers.rs", "misc.rs"];

pub(crate) fn run() -> anyhow::Result<()> {
    let mut faults = dependency_faults(&dependencies()?);
    for file in tracked_files()? {
        let text = std::fs::read_to_string(root().join(&file)).with_context(|| format!("`{file}` cannot be read"))?;
        faults.extend(file_faults(&file, &text));
    }
    faults.extend(migration_faults()?);
    if faults.is_empty() {
        return Ok(());
    }
    for fault in &faults {
        say(&format!("tidy: {fault}"));
    }
    bail!("{} faults of layout", faults.len())
}

/// Direct dependencies of every workspace crate, of every kind (normal, build, dev).
fn dependencies() -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let output = Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root()).output()?;
    if !output.status.success() {
        bail!("`cargo metadata` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("`cargo metadata` lists no packages")?;
    let name = |value: &Value| value["name"].as_str().map(str::to_owned).context("`cargo metadata` left a name out");
    packages
        .iter()
        .map(|package| {
            let of = package["dependencies"].as_array().context("`cargo metadata` lists no dependencies")?;
            Ok((name(package)?, of.iter().map(name).collect::<anyhow::Result<_>>()?))
        })
        .collect()
}

fn dependency_faults(dependencies: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    for (package, wanted) in dependencies {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == package) else {
            faults.push(format!("crate `{package}` has no entry in the arrows of xtask/src/tidy.rs"));
            continue;
        };
        for dependency in wanted {
            let ours = ARROWS.iter().any(|(name, _)| name == dependency);
            if ours && !allowed.contains(&dependency.as_str()) {
                faults.push(format!("`{package}` must not depend on `{dependency}`"));
            }
            let confined = CONFINED.iter().find(|(pattern, _)| match pattern.strip_suffix('*') {
                Some(start) => dependency.starts_with(start),
                None => dependency == pattern,
            });
            if let Some((_, homes)) = confined
                && !homes.contains(&package.as_str())
            {
                faults.push(format!("`{dependency}` belongs to {} alone, `{package}` depends on it", homes.join(", ")));
            }
        }
    }
    faults
}

/// Files that git tracks or would track, sources and statements only.
fn tracked_files() -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.rs", "*.sql"])
        .current_dir(root())
        .output()
        .context("`git ls-files` could not be started")?;
    if !output.status.success() {
        bail!("`git ls-files` ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let list = String::from_utf8(output.stdout)?;
    // A file that is deleted but not yet committed is still listed.
    Ok(list.lines().filter(|file| root().join(file).exists()).map(str::to_owned).collect())
}

fn file_faults(file: &str, text: &str) -> Vec<String> {
    let path = Path::new(file);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let mut faults = Vec::new();
    if EMPTY_NAMES.contains(&name) {
        faults.push(format!("`{file}`: the name says nothing about what is inside"));
    }
    let in_tests = name == "tests.rs" || path.components().any(|part| part.as_os_str() == "tests");
    if extension == "rs" && !in_tests {
        let n_lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
        if n_lines > MOST_LINES {
            faults.push(format!("`{file}`: {n_lines} lines before its tests, at most {MOST_LINES}: find the seam"));
        }
    }
    let is_statement = file.starts_with("coordinator/src/") && extension == "sql";
    if is_statement && !text.starts_with("-- ") {
        faults.push(format!("`{file}`: begins without a header (purpose, caller, index it relies on)"));
    }
    if is_statement && text.to_lowercase().contains("select *") {
        faults.push(format!("`{file}`: `select *` changes its meaning with the schema; name the columns"));
    }
    faults
}

/// Where both engines have migrations, they have the same ones.
fn migration_faults() -> anyhow::Result<Vec<String>> {
    let names = |engine: &str| -> anyhow::Result<BTreeSet<String>> {
        let folder = root().join("migrations").join(engine);
        if !folder.exists() {
            return Ok(BTreeSet::new());
        }
        std::fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let (sqlite, postgres) = (names("sqlite")?, names("postgres")?);
    if postgres.is_empty() {
        return Ok(Vec::new());
    }
    Ok(sqlite.symmetric_difference(&postgres).map(|name| format!("migration `{name}` is there for one engine alone")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(package: &str, dependency: &str) -> Vec<String> {
        dependency_faults(&BTreeMap::from([(package.to_owned(), BTreeSet::from([dependency.to_owned()]))]))
    }

    #[test]
    fn forbidden_arrows_are_named() {
        assert_eq!(faults_of("offramp-worker", "offramp-coordinator"), ["`offramp-worker` must not depend on `offramp-coordinator`"]);
        assert_eq!(faults_of("offramp-domain", "offramp-proto"), ["`offramp-domain` must not depend on `offramp-proto`"]);
        assert_eq!(faults_of("offramp", "offramp-train"), [""; 0]);
    }

    #[test]
    fn confined_dependencies_stay_home() {
        assert_eq!(
            faults_of("offramp-worker", "burn-flex"),
            ["`burn-flex` belongs to offramp-train alone, `offramp-worker` depends on it"]
        );
        assert_eq!(faults_of("offramp-coordinator", "sqlx"), [""; 0]);
        assert_eq!(faults_of("offramp-domain", "tokio").len(), 1);
    }

    #[test]
    fn an_unknown_crate_is_a_fault() {
        assert_eq!(faults_of("offramp-extra", "serde").len(), 1);
    }

    #[test]
    fn long_files_are_counted_up_to_their_tests() {
        let body = "fn f() {}\n".repeat(MOST_LINES);
        assert_eq!(file_faults("domain/src/a.rs", &format!("{body}#[cfg(test)]\n{body}")), [""; 0]);
        assert_eq!(file_faults("domain/src/a.rs", &format!("{body}fn g() {{}}\n")).len(), 1);
        assert_eq!(file_faults("domain/src/a/tests.rs", &format!("{body}{body}")), [""; 0]);
    }

    #[test]
    fn statements_have_headers_and_name_their_columns() {
        assert_eq!(file_faults("coordinator/src/store/sql/claim.sql", "SELECT * FROM jobs").len(), 2);
        assert_eq!(file_faults("coordinator/src/store/sql/claim.sql", "-- Claims a job.\nSELECT id FROM jobs"), [""; 0]);
    }

    #[test]
    fn empty_names_are_faults() {
        assert_eq!(file_faults("worker/src/slots/mod.rs", "").len(), 1);
        assert_eq!(file_faults("worker/src/slots.rs", ""), [""; 0]);
    }
}
