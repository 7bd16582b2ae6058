//! Debian's packages: what tests need of the system, installed where nobody has to be asked for a password.

use std::process::{Command, Stdio};

use crate::command::{run, say};

/// What the recipes of `docs/RESULTS.md` are run with: a program, what it is asked to find out whether all is there, and the packages.
const RECIPES: [(&str, &[&str], &[&str]); 2] =
    [("sqlite3", &["--version"], &["sqlite3"]), ("Rscript", &["-e", "library(DBI); library(RSQLite)"], &["r-base-core", "r-cran-rsqlite"])];

/// Installs what the recipes are run with, where it is missing and can be had; their test says what it left out.
pub(crate) fn install_for_recipes() {
    for (program, arguments, packages) in RECIPES {
        let asked = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if asked.is_ok_and(|status| status.success()) {
            continue;
        }
        if !can_install() {
            say(&format!(
                "there is no {program} on this machine: its recipe is left out (Debian: `apt-get install {}`)",
                packages.join(" ")
            ));
            continue;
        }
        if let Err(error) = install(packages) {
            say(&format!("{program} cannot be installed, its recipe is left out: {error:#}"));
        }
    }
}

/// Whether packages can be installed: this is Debian or a relative, and the user is root.
pub(crate) fn can_install() -> bool {
    let output = Command::new("id").arg("-u").output();
    let is_root = output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "0");
    let has_apt = Command::new("apt-get").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    is_root && has_apt.is_ok_and(|status| status.success())
}

/// Installs packages.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    let arguments = [&["install", "--yes", "--no-install-recommends", "-qq"], packages].concat();
    // The lists of packages may be old, or absent as in many containers.
    run("apt-get", &arguments, &quiet).or_else(|_| {
        run("apt-get", &["update", "-qq"], &quiet)?;
        run("apt-get", &arguments, &quiet)
    })
}
