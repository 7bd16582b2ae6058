//! A PostgreSQL server for the tests: found or installed, started in `target/postgres`, gone when they are over.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use offramp_tests::postgres::{Installation, Postgres};

use crate::command::say;
use crate::debian;

/// Names the folder of PostgreSQL's programs, where there are several or they lie in an unusual place.
const CHOICE: &str = "OFFRAMP_PG_BIN";

/// A file that keeps Debian's packages from making a cluster, and starting it, on a machine that has asked for programs alone.
const NO_MAIN_CLUSTER: &str = "/etc/postgresql-common/createcluster.d/offramp-tests.conf";

/// The programs; installs them where this is Debian and nobody has to be asked for a password. `None` where there are none.
pub(crate) fn installation() -> anyhow::Result<Option<Installation>> {
    let chosen = chosen();
    if let Some(found) = Installation::find(chosen.as_deref())? {
        return Ok(Some(found));
    }
    if !debian::can_install() {
        return Ok(None);
    }
    say("there is no PostgreSQL on this machine: installing Debian's package");
    install().context("hint: install PostgreSQL's server by hand, or leave its tests out with --without-postgres")?;
    Ok(Installation::find(None)?)
}

/// What to do where there are no programs.
pub(crate) fn hint() -> String {
    format!(
        "hint: install PostgreSQL 13 or newer (Debian: `apt-get install postgresql`, Fedora: `dnf install postgresql-server`, macOS: \
         `brew install postgresql`), or name the folder of its programs in {CHOICE}; --without-postgres leaves its tests out"
    )
}

/// Starts a server.
pub(crate) fn start(installation: &Installation) -> anyhow::Result<Postgres> {
    let postgres = installation.start()?;
    say(&format!("{} serves the tests on port {}", installation.version()?, postgres.port()));
    Ok(postgres)
}

fn install() -> anyhow::Result<()> {
    // First the part that reads the setting, then what would make the cluster.
    debian::install(&["postgresql-common"])?;
    let file = Path::new(NO_MAIN_CLUSTER);
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("`{}` cannot be made", folder.display()))?;
    }
    std::fs::write(file, "create_main_cluster = false\n").with_context(|| format!("`{NO_MAIN_CLUSTER}` cannot be written"))?;
    let installed = debian::install(&["postgresql"]);
    std::fs::remove_file(file).with_context(|| format!("`{NO_MAIN_CLUSTER}` cannot be removed"))?;
    installed
}

#[expect(clippy::disallowed_methods, reason = "which PostgreSQL the developer wants is a property of the machine")]
fn chosen() -> Option<PathBuf> {
    std::env::var_os(CHOICE).map(PathBuf::from)
}

/// The programs, or an error that says what to do.
pub(crate) fn required() -> anyhow::Result<Installation> {
    match installation()? {
        Some(found) => Ok(found),
        None => bail!("there is no PostgreSQL on this machine\n{}", hint()),
    }
}
