//! A PostgreSQL server of the tests' own: found, started in a folder that goes away with it, disturbed, and stopped.

use std::fs::{File, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::processes::{children, is_alive, send, tied};
use crate::{now, variable};

/// The superuser of every cluster made here.
const SUPERUSER: &str = "postgres";

/// What a server must have done by: start, recover, stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// How old a cluster without a server must be to be nobody's: making one takes seconds.
const ABANDONED: Duration = Duration::from_mins(30);

/// Programs that a folder must have to count as an installation.
const PROGRAMS: [&str; 4] = ["initdb", "postgres", "psql", "pg_dump"];

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The folder that was asked for is not an installation.
    #[error("`{}` has no `{program}`\nhint: name the folder that holds PostgreSQL's server programs, such as /usr/lib/postgresql/15/bin", folder.display())]
    NotAnInstallation {
        /// The folder.
        folder: PathBuf,
        /// What is missing there.
        program: &'static str,
    },
    /// A folder or a file could not be made.
    #[error("`{}` cannot be made: {source}", path.display())]
    Folder {
        /// What.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The server does not run as root, and no other user will do.
    #[error("PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody`\nhint: run the tests as another user")]
    NoUser,
    /// A program could not be started.
    #[error("`{}` cannot be started: {source}", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A program ended with an error.
    #[error("`{}` failed: {message}", program.display())]
    Failed {
        /// Which.
        program: PathBuf,
        /// What it said.
        message: String,
    },
}

/// PostgreSQL's programs, and the user whom the server runs as.
#[derive(Debug, Clone)]
pub struct Installation {
    bin: PathBuf,
    /// User and group; absent where the server runs as whoever runs the tests.
    user: Option<(u32, u32)>,
    /// Where clusters are made.
    clusters: PathBuf,
}

impl Installation {
    /// Finds the programs: in `chosen`, else on the PATH, else where packages put them, the newest first. `None` where there are none.
    ///
    /// # Errors
    ///
    /// Of a `chosen` folder that lacks a program, and of root with nobody to become.
    pub fn find(chosen: Option<&Path>) -> Result<Option<Self>, PostgresError> {
        let missing = |folder: &Path| PROGRAMS.into_iter().find(|program| !folder.join(program).is_file());
        let bin = if let Some(folder) = chosen {
            if let Some(program) = missing(folder) {
                return Err(PostgresError::NotAnInstallation { folder: folder.to_owned(), program });
            }
            folder.to_owned()
        } else {
            match candidates().into_iter().find(|folder| missing(folder).is_none()) {
                Some(folder) => folder,
                None => return Ok(None),
            }
        };
        let clusters = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie one folder below the root").join("target/postgres");
        Ok(Some(Self { bin, user: server_user()?, clusters }))
    }

    /// The one that `cargo xtask test` found and handed over in `OFFRAMP_TEST_PG_BIN`, else whichever is there.
    pub fn of_the_tests() -> Self {
        let chosen = variable("OFFRAMP_TEST_PG_BIN").map(PathBuf::from);
        let found = Self::find(chosen.as_deref()).unwrap_or_else(|error| panic!("{error}"));
        found.expect("this test needs PostgreSQL: run it with `cargo xtask test`, which can install it, or with --without-postgres")
    }

    /// The folder of the programs.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// The version, as the server says it.
    ///
    /// # Errors
    ///
    /// Of a server program that cannot be run.
    pub fn version(&self) -> Result<String, PostgresError> {
        let output = self.run("postgres", &["--version"])?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Makes a cluster and starts a server on it. It is stopped, and the cluster removed, when the value is dropped.
    ///
    /// # Errors
    ///
    /// Of a folder that cannot be made, and of what the programs say.
    pub fn start(&self) -> Result<Postgres, PostgresError> {
        remove_abandoned(&self.clusters);
        let folder = self.folder_in(&self.clusters).or_else(|_| self.folder_in(&std::env::temp_dir()))?;
        // Apart from the data, because the path of a socket must be short.
        let sockets = self.folder_in(&std::env::temp_dir())?;
        let data = folder.path().join("data");
        let data = data.to_str().expect("temporary folders have UTF-8 names");
        let plain = ["--pgdata", data, "--no-sync", "--auth", "trust", "--username", SUPERUSER, "--encoding", "UTF8"];
        // Text sorts as in a natural language, as it does in most installations, so that what relies on the order of bytes shows. A server
        // that is built without ICU gets the plain locale.
        let natural = ["--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US"];
        if self.run("initdb", &[&plain[..], &natural].concat()).is_err() {
            self.run("initdb", &[&plain[..], &["--locale", "C"]].concat())?;
        }
        let mut postgres = Postgres { installation: self.clone(), server: None, port: free_port(), folder, sockets };
        // Between finding a port free and taking it, somebody else may.
        for _ in 0..3 {
            if postgres.start_again().is_ok() {
                return Ok(postgres);
            }
            postgres.port = free_port();
        }
        postgres.start_again()?;
        Ok(postgres)
    }

    /// A folder that belongs to the server's user, if that user reaches it.
    fn folder_in(&self, parent: &Path) -> Result<TempDir, PostgresError> {
        let failed = |path: &Path, source| PostgresError::Folder { path: path.to_owned(), source };
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        let folder = tempfile::Builder::new().prefix("pg-").tempdir_in(parent).map_err(|error| failed(parent, error))?;
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).map_err(|error| failed(folder.path(), error))?;
        if let Some((user, group)) = self.user {
            chown(folder.path(), Some(user), Some(group)).map_err(|error| failed(folder.path(), error))?;
        }
        // A folder above may be closed to that user, such as root's home.
        let mut enter = Command::new("true");
        enter.current_dir(folder.path());
        self.become_user(&mut enter).status().map_err(|error| failed(folder.path(), error))?;
        Ok(folder)
    }

    fn become_user<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        match self.user {
            Some((user, group)) => command.uid(user).gid(group),
            None => command,
        }
    }

    /// Runs one of the programs to its end.
    fn run(&self, program: &'static str, arguments: &[&str]) -> Result<Output, PostgresError> {
        let path = self.bin.join(program);
        let mut command = Command::new(&path);
        command.args(arguments).current_dir("/").stdin(Stdio::null());
        let output = self.become_user(&mut command).output().map_err(|source| PostgresError::Start { program: path.clone(), source })?;
        if output.status.success() {
            return Ok(output);
        }
        let message = format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        Err(PostgresError::Failed { program: path, message })
    }
}

/// Removes clusters of runs that were killed: no server of theirs lives, and nobody is just making them.
fn remove_abandoned(clusters: &Path) {
    for entry in std::fs::read_dir(clusters).into_iter().flatten().filter_map(Result::ok) {
        let lock = std::fs::read_to_string(entry.path().join("data/postmaster.pid")).unwrap_or_default();
        let server = lock.lines().next().and_then(|line| line.parse().ok());
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok().and_then(|time| time.elapsed().ok());
        if !server.is_some_and(is_alive) && age.is_some_and(|age| age > ABANDONED) {
            std::fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// Folders in which the programs may lie, the best first.
fn candidates() -> Vec<PathBuf> {
    let on_the_path = variable("PATH").unwrap_or_default();
    // On the PATH there may be links to the real place.
    let linked =
        std::env::split_paths(&on_the_path).filter_map(|folder| Some(folder.join("postgres").canonicalize().ok()?.parent()?.to_owned()));
    let mut packaged = Vec::new();
    for (folder, tail) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/opt/homebrew/opt", "bin"), ("/usr/local/opt", "bin")] {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let named = entries.filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            folder.ends_with("postgresql") || name.starts_with("pgsql-") || name.starts_with("postgresql@")
        });
        packaged.extend(named.map(|entry| entry.path().join(tail)));
    }
    let version = |folder: &PathBuf| {
        let digits: String = folder.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or(0)
    };
    packaged.sort_by_key(|folder| std::cmp::Reverse(version(folder)));
    linked.chain(packaged).collect()
}

/// Whom the server runs as where the tests run as root, which it refuses to do.
fn server_user() -> Result<Option<(u32, u32)>, PostgresError> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return Ok(None);
    }
    let of = |name: &str| Some((id(&["-u", name])?, id(&["-g", name])?));
    of(SUPERUSER).or_else(|| of("nobody")).map(Some).ok_or(PostgresError::NoUser)
}

/// A port that nobody listens on now.
///
/// Below the range that the system takes the ports of outgoing connections from: while a server is down, a client that knocks at its port
/// could otherwise be given that very port, and be connected to itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let first = 15_000 + u64::from(std::process::id()) * 37 % 16_000;
    loop {
        let port = (15_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A server with a cluster of its own.
#[derive(Debug)]
pub struct Postgres {
    installation: Installation,
    /// Absent while it is stopped.
    server: Option<Child>,
    port: u16,
    folder: TempDir,
    sockets: TempDir,
}

impl Postgres {
    /// The URL of one of its databases, over TCP. `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{SUPERUSER}@127.0.0.1:{}/{database}", self.port)
    }

    /// The URL of one of its databases, over its Unix socket.
    pub fn socket_url(&self, database: &str) -> String {
        let folder = self.sockets.path().to_str().expect("temporary folders have UTF-8 names");
        format!("postgres:///{database}?host={folder}&port={}&user={SUPERUSER}", self.port)
    }

    /// The TCP port, which stays when it is started again.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.path().join("server.log")).unwrap_or_default()).into_owned()
    }

    /// Makes an empty database.
    ///
    /// # Errors
    ///
    /// Of what the server says.
    pub fn create_database(&self, name: &str) -> Result<(), PostgresError> {
        self.query("postgres", &format!("CREATE DATABASE \"{name}\"")).map(drop)
    }

    /// Runs statements, and returns the rows as text, a line each.
    ///
    /// # Errors
    ///
    /// Of what the server says, or that it cannot be reached.
    pub fn query(&self, database: &str, statements: &str) -> Result<String, PostgresError> {
        query(&self.installation, &self.url(database), statements)
    }

    /// Writes a database into a file, as statements.
    ///
    /// # Errors
    ///
    /// Of what the server says, and of a file that cannot be written.
    pub fn dump(&self, database: &str, file: &Path) -> Result<(), PostgresError> {
        let output = self.installation.run("pg_dump", &["--dbname", &self.url(database)])?;
        std::fs::write(file, output.stdout).map_err(|source| PostgresError::Folder { path: file.to_owned(), source })
    }

    /// Starts a stopped server, on the same cluster and port; returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// Of a server that does not come up; its log's end is in the message.
    pub fn start_again(&mut self) -> Result<(), PostgresError> {
        assert!(self.server.is_none(), "the server runs");
        let program = self.installation.bin.join("postgres");
        let log = self.folder.path().join("server.log");
        let open = || File::options().create(true).append(true).open(&log);
        let folder = |source| PostgresError::Folder { path: log.clone(), source };
        let data = self.folder.path().join("data");
        // A server that was killed leaves its lock file, which says `ready`.
        let lock = data.join("postmaster.pid");
        let mut command = tied(&program, "INT");
        command.arg("-D").arg(&data).arg("-k").arg(self.sockets.path()).arg("-p").arg(self.port.to_string());
        // Durability is what is tested: everything else is small.
        let settings = [
            "listen_addresses=127.0.0.1",
            "fsync=on",
            "synchronous_commit=on",
            "max_connections=200",
            "shared_buffers=64MB",
            // The benchmark asks when something was committed.
            "track_commit_timestamp=on",
        ];
        for setting in settings {
            command.args(["-c", setting]);
        }
        command.current_dir("/").stdin(Stdio::null()).stdout(open().map_err(folder)?).stderr(open().map_err(folder)?);
        let started = self.installation.become_user(&mut command).spawn();
        let mut server = started.map_err(|source| PostgresError::Start { program: program.clone(), source })?;
        let begin = now();
        loop {
            let text = std::fs::read_to_string(&lock).unwrap_or_default();
            let mut lines = text.lines();
            let is_ours = lines.next() == Some(&server.id().to_string());
            if is_ours && lines.last().is_some_and(|status| status.trim() == "ready") {
                self.server = Some(server);
                return Ok(());
            }
            let ended = server.try_wait().expect("a child can be waited for");
            if ended.is_some() || begin.elapsed() > PATIENCE {
                stop(&mut server, &["QUIT", "KILL"]);
                let log = self.log();
                let tail: Vec<_> = log.lines().rev().take(5).collect();
                let message =
                    format!("it does not accept connections; its log ends: {}", tail.into_iter().rev().collect::<Vec<_>>().join(" | "));
                return Err(PostgresError::Failed { program, message });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Stops the server in an orderly way: connections are ended, everything is written.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            stop(&mut server, &["INT", "QUIT", "KILL"]);
        }
    }

    /// Stops the server at once and writes nothing: the next start recovers from the log.
    pub fn stop_immediately(&mut self) {
        if let Some(mut server) = self.server.take() {
            stop(&mut server, &["QUIT", "KILL"]);
        }
    }

    /// Holds the server and the processes of all connections: it neither answers nor refuses.
    pub fn pause(&self) {
        self.signal_all("STOP");
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal_all("CONT");
    }

    /// Whether it is there, paused or not.
    pub fn is_running(&self) -> bool {
        self.server.is_some()
    }

    fn signal_all(&self, signal: &str) {
        if let Some(server) = &self.server {
            // The parent first: it starts no more processes then.
            send(signal, &server.id().to_string());
            for process in children(server.id()) {
                send(signal, &process.to_string());
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.go_on();
        self.stop();
    }
}

/// Ends a server by the first of the signals that works.
fn stop(server: &mut Child, signals: &[&str]) {
    for signal in signals {
        send(signal, &server.id().to_string());
        let begin = now();
        while begin.elapsed() < PATIENCE {
            if server.try_wait().expect("a child can be waited for").is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn query(installation: &Installation, url: &str, statements: &str) -> Result<String, PostgresError> {
    let options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set", "ON_ERROR_STOP=1"];
    let output = installation.run("psql", &[&options[..], &["--dbname", url, "--command", statements]].concat())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// An empty database of a test's own on the server that `cargo xtask test` started. It is dropped with the value.
#[derive(Debug)]
pub struct Database {
    installation: Installation,
    server: String,
    name: String,
}

impl Database {
    /// Makes one.
    #[expect(clippy::new_without_default, reason = "it makes a database")]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = variable("OFFRAMP_TEST_POSTGRES")
            .expect("OFFRAMP_TEST_POSTGRES names a PostgreSQL server: run these tests with `cargo xtask test`, or with --without-postgres");
        let name = format!("offramp_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Self { installation: Installation::of_the_tests(), server, name };
        database.on_the_server(&format!("CREATE DATABASE \"{}\"", database.name));
        database
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("the server's URL names a database");
        format!("{server}/{}", self.name)
    }

    fn on_the_server(&self, statement: &str) {
        query(&self.installation, &self.server, statement).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name);
        if std::thread::panicking() {
            // The server goes away soon, and a second panic would hide the first.
            query(&self.installation, &self.server, &statement).ok();
        } else {
            self.on_the_server(&statement);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;

    fn server() -> Postgres {
        Installation::of_the_tests().start().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn what_is_committed_survives_an_immediate_stop() {
        let mut postgres = server();
        postgres.create_database("offramp").unwrap();
        postgres.query("offramp", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").unwrap();
        postgres.stop_immediately();
        assert!(!postgres.is_running());
        assert!(postgres.query("offramp", "SELECT n FROM kept").is_err(), "a stopped server answers");
        postgres.start_again().unwrap();
        assert_eq!(postgres.query("offramp", "SELECT n FROM kept").unwrap(), "1");
        assert!(postgres.log().contains("was not properly shut down"), "{}", postgres.log());
    }

    #[test]
    fn it_answers_on_its_socket_too_is_durable_and_sorts_as_people_do() {
        let postgres = server();
        let ask = |statement: &str| query(&postgres.installation, &postgres.socket_url("postgres"), statement).unwrap();
        assert_eq!(ask("SHOW fsync"), "on");
        assert_eq!(ask("SHOW synchronous_commit"), "on");
        assert_eq!(ask("SELECT 'a' < 'B' AND 'B' < 'c'"), "t");
    }

    #[test]
    fn a_paused_server_neither_answers_nor_refuses() {
        let postgres = server();
        postgres.pause();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| sender.send(postgres.query("postgres", "SELECT 1")).unwrap());
            let early = receiver.recv_timeout(Duration::from_millis(500));
            postgres.go_on();
            assert!(early.is_err(), "{early:?}");
            assert_eq!(receiver.recv().unwrap().unwrap(), "1");
        });
    }

    #[test]
    fn nothing_is_left_of_a_dropped_server() {
        let postgres = server();
        let (process, folder) = (postgres.server.as_ref().unwrap().id(), postgres.folder.path().to_owned());
        drop(postgres);
        wait_until("the server to be gone", PATIENCE, || (!is_alive(process)).then_some(()));
        assert!(!folder.exists());
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_is_in_use_stays() {
        let clusters = TempDir::new().unwrap();
        let long_ago = now_of_files() - 2 * ABANDONED;
        let cluster = |name: &str, server: Option<u32>, time: std::time::SystemTime| {
            let folder = clusters.path().join(name);
            std::fs::create_dir_all(folder.join("data")).unwrap();
            if let Some(server) = server {
                std::fs::write(folder.join("data/postmaster.pid"), format!("{server}\n")).unwrap();
            }
            File::open(&folder).unwrap().set_modified(time).unwrap();
            folder
        };
        let abandoned = cluster("pg-abandoned", None, long_ago);
        let in_use = cluster("pg-used", Some(std::process::id()), long_ago);
        let in_the_making = cluster("pg-new", None, now_of_files());
        remove_abandoned(clusters.path());
        assert!(!abandoned.exists() && in_use.exists() && in_the_making.exists());
    }

    #[expect(clippy::disallowed_methods, reason = "files have wall-clock times")]
    fn now_of_files() -> std::time::SystemTime {
        std::time::SystemTime::now()
    }

    #[test]
    fn a_folder_without_the_programs_is_refused() {
        let folder = TempDir::new().unwrap();
        let error = Installation::find(Some(folder.path())).unwrap_err().to_string();
        assert!(error.contains("initdb") && error.contains(folder.path().to_str().unwrap()) && error.contains("hint:"), "{error}");
    }

    #[test]
    fn free_ports_lie_below_those_of_outgoing_connections() {
        let ports = [free_port(), free_port()];
        assert_ne!(ports[0], ports[1]);
        assert!(ports.iter().all(|port| (15_000..31_000).contains(port)), "{ports:?}");
    }
}
