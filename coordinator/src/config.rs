//! What a coordinator is told, and what is wrong with that.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use offramp_domain::lifecycle::Limits;
use sqlx::postgres::PgConnectOptions;

use crate::failpoint::Failpoints;

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL server's database.
    Postgres(PostgresUrl),
}

impl Database {
    /// Its path or URL, as messages name it.
    pub fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => path.display().to_string(),
            Self::Postgres(url) => url.to_string(),
        }
    }
}

impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

/// A URL that names a PostgreSQL database. Its password is neither displayed nor debugged.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    /// How to connect. What the URL leaves open is taken from the `PG*` variables and the password file, as other clients do.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.0.parse().expect("it was parsed when the URL was taken")
    }
}

impl std::fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let options = self.options();
        let database = options.get_database().unwrap_or(options.get_username());
        match options.get_socket() {
            Some(socket) => {
                write!(f, "postgres://{}@/{database}?host={}&port={}", options.get_username(), socket.display(), options.get_port())
            }
            None => write!(f, "postgres://{}@{}:{}/{database}", options.get_username(), options.get_host(), options.get_port()),
        }
    }
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

/// Why a text names no database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseParseError {
    /// Another kind of database.
    #[error("`{0}` is not a database that this build can use, expected `sqlite:PATH` or `postgres://USER@HOST/DATABASE`")]
    Scheme(String),
    /// No path after the colon.
    #[error("no path after `sqlite:`")]
    NoPath,
    /// A database that ends with the process.
    #[error("a database in memory ends with the process, expected `sqlite:PATH`")]
    Memory,
    /// Not a URL that PostgreSQL's clients understand.
    #[error("the PostgreSQL URL cannot be read ({0}), expected `postgres://USER:PASSWORD@HOST:PORT/DATABASE`")]
    Url(String),
}

impl FromStr for Database {
    type Err = DatabaseParseError;

    /// Reads `sqlite:PATH` (`sqlite://PATH` means the same) or `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    fn from_str(text: &str) -> Result<Self, DatabaseParseError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let text = with_host(text);
            return match text.parse::<PgConnectOptions>() {
                Ok(_) => Ok(Self::Postgres(PostgresUrl(text))),
                Err(error) => Err(DatabaseParseError::Url(crate::chain(&error))),
            };
        }
        // What stands before the colon names the kind; what stands behind it may hold a password.
        let scheme = || DatabaseParseError::Scheme(text.split_once("://").map_or(text, |(scheme, _)| scheme).to_owned());
        let path = text.strip_prefix("sqlite:").ok_or_else(scheme)?;
        match path.strip_prefix("//").unwrap_or(path) {
            "" => Err(DatabaseParseError::NoPath),
            ":memory:" => Err(DatabaseParseError::Memory),
            path => Ok(Self::Sqlite(path.into())),
        }
    }
}

/// The URL with a host after the user, where there is none: `postgres://USER@/DATABASE?host=/FOLDER`, as `psql` takes it and the driver doesn't.
fn with_host(url: &str) -> String {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[authority..].find(['/', '?']).map_or(url.len(), |length| authority + length);
    match url[authority..path].strip_suffix('@') {
        Some(_) => format!("{}localhost{}", &url[..path], &url[path..]),
        None => url.to_owned(),
    }
}

/// What a coordinator is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the database is.
    pub database: Database,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// How often workers are asked to send one.
    pub heartbeat: Duration,
    /// How long leases last at least after a time in which no worker could be heard, such as a restart.
    pub grace: Duration,
    /// How often a job may fail.
    pub max_failures: u32,
    /// On how many workers a job may crash the trainer before it is kept from the others.
    pub quarantine_after: u32,
    /// Faults on request, for tests of the whole system.
    pub failpoints: Failpoints,
    /// Serve addresses that are not loopback, although nothing is authenticated or encrypted.
    pub insecure: bool,
    /// Names, besides those of this machine, by which requests over HTTP may call a coordinator that listens on loopback.
    pub hosts: Vec<String>,
}

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The setting's name.
    pub setting: &'static str,
    /// What is wrong, with the value: a lower-case fragment.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

/// Times outside this range are slips of the keyboard: below, a scheduler's hiccup loses leases; above, a dead worker's jobs wait all day.
const LEASE_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
/// A lease must outlive a heartbeat that gets lost, and the one after it that comes late.
const HEARTBEATS_PER_LEASE: u32 = 2;

impl Config {
    /// A lost worker is noticed within this time, a swapping one is not yet given up.
    pub const LEASE: Duration = Duration::from_secs(15);
    /// Five heartbeats a lease.
    pub const HEARTBEAT: Duration = Duration::from_secs(3);
    /// Workers take up to five seconds between two tries to reach a coordinator: twice that.
    pub const GRACE: Duration = Duration::from_secs(10);
    /// Enough to get past a fault of one machine, and few enough to stop on a fault of the job.
    pub const MAX_FAILURES: u32 = 3;
    /// Two machines agree: it is the job.
    pub const QUARANTINE_AFTER: u32 = 2;

    /// Everything that is wrong with the configuration.
    pub fn validate(&self) -> Vec<ConfigProblem> {
        let mut problems = Vec::new();
        if !self.is_loopback() && !self.insecure {
            problems.push(ConfigProblem {
                setting: "listen",
                message: format!("`{}` can be reached from other machines, and nothing is authenticated or encrypted", self.listen),
                hint: "listen on a loopback address such as 127.0.0.1, or give `--insecure` inside a network that you trust",
            });
        }
        if !LEASE_RANGE.contains(&self.lease) {
            problems.push(ConfigProblem {
                setting: "lease",
                message: format!("{:?} is out of range", self.lease),
                hint: "give 1 second to 1 hour",
            });
        }
        if self.heartbeat.is_zero() || self.heartbeat * HEARTBEATS_PER_LEASE > self.lease {
            problems.push(ConfigProblem {
                setting: "heartbeat",
                message: format!("{:?} does not fit a lease of {:?}", self.heartbeat, self.lease),
                hint: "let a heartbeat come at least twice a lease",
            });
        }
        if !LEASE_RANGE.contains(&self.grace) {
            problems.push(ConfigProblem {
                setting: "grace",
                message: format!("{:?} is out of range", self.grace),
                hint: "give 1 second to 1 hour",
            });
        }
        if self.max_failures == 0 {
            problems.push(ConfigProblem {
                setting: "max_failures",
                message: "0 allows no attempt at all".to_owned(),
                hint: "give at least 1",
            });
        }
        if self.quarantine_after == 0 {
            problems.push(ConfigProblem {
                setting: "quarantine_after",
                message: "0 allows no worker at all".to_owned(),
                hint: "give at least 1",
            });
        }
        problems
    }

    /// What a job is allowed before it is given up.
    pub(crate) fn limits(&self) -> Limits {
        Limits { max_failures: self.max_failures, quarantine_after: self.quarantine_after }
    }

    /// What whoever starts this coordinator has to know, though it is allowed.
    pub fn warning(&self) -> Option<String> {
        let open = !self.is_loopback() && self.insecure;
        open.then(|| {
            format!(
                "anyone who reaches {} can submit sweeps, read every result and take jobs: nothing is authenticated or encrypted",
                self.listen
            )
        })
    }

    fn is_loopback(&self) -> bool {
        self.listen.ip().to_canonical().is_loopback()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str) -> Config {
        Config {
            listen: listen.parse().unwrap(),
            database: Database::Sqlite("offramp.db".into()),
            lease: Config::LEASE,
            heartbeat: Config::HEARTBEAT,
            grace: Config::GRACE,
            max_failures: Config::MAX_FAILURES,
            quarantine_after: Config::QUARANTINE_AFTER,
            failpoints: Failpoints::default(),
            insecure: false,
            hosts: Vec::new(),
        }
    }

    fn settings(config: &Config) -> Vec<&'static str> {
        config.validate().into_iter().map(|problem| problem.setting).collect()
    }

    #[test]
    fn other_machines_are_let_in_only_on_request() {
        for listen in ["127.0.0.1:0", "[::1]:7000", "127.8.8.8:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!((settings(&config(listen)), config(listen).warning()), (vec![], None), "{listen}");
        }
        for listen in ["0.0.0.0:7000", "[::]:7000", "192.168.1.2:7000", "[::ffff:10.0.0.1]:1"] {
            assert_eq!((settings(&config(listen)), config(listen).warning()), (vec!["listen"], None), "{listen}");
            let insecure = Config { insecure: true, ..config(listen) };
            assert_eq!(settings(&insecure), Vec::<&str>::new(), "{listen}");
            let warning = insecure.warning().unwrap();
            assert!(warning.contains(listen) && warning.contains("submit") && warning.contains("nothing is authenticated"), "{warning}");
        }
    }

    #[test]
    fn all_problems_are_told_at_once() {
        let wrong = Config { lease: Duration::from_millis(999), max_failures: 0, quarantine_after: 0, ..config("0.0.0.0:1") };
        assert_eq!(settings(&wrong), ["listen", "lease", "heartbeat", "max_failures", "quarantine_after"]);
    }

    #[test]
    fn a_lease_outlives_two_heartbeats() {
        let with = |heartbeat| Config { heartbeat, ..config("127.0.0.1:0") };
        assert_eq!(settings(&with(Duration::from_millis(7_500))), Vec::<&str>::new());
        assert_eq!(settings(&with(Duration::from_millis(7_501))), ["heartbeat"]);
        assert_eq!(settings(&with(Duration::ZERO)), ["heartbeat"]);
    }

    #[test]
    fn databases_are_named_by_scheme_and_path() {
        let sqlite = |path: &str| Ok(Database::Sqlite(path.into()));
        assert_eq!("sqlite:a/b.db".parse(), sqlite("a/b.db"));
        assert_eq!("sqlite:///var/a.db".parse(), sqlite("/var/a.db"));
        assert_eq!("sqlite:".parse::<Database>(), Err(DatabaseParseError::NoPath));
        assert_eq!("sqlite::memory:".parse::<Database>(), Err(DatabaseParseError::Memory));
        assert_eq!("mysql://me:secret@x/y".parse::<Database>(), Err(DatabaseParseError::Scheme("mysql".to_owned())));
        assert_eq!("a.db".parse::<Database>(), Err(DatabaseParseError::Scheme("a.db".to_owned())));
        assert_eq!("sqlite:a/b.db".parse::<Database>().unwrap().to_string(), "sqlite:a/b.db");
    }

    #[test]
    fn a_postgres_url_is_shown_without_its_password() {
        let database: Database = "postgresql://me:secret@db.example:5433/offramp?sslmode=require".parse().unwrap();
        assert_eq!(database.to_string(), "postgres://me@db.example:5433/offramp");
        assert!(!format!("{database:?}").contains("secret"));
        let socket: Database = "postgres://me@/offramp?host=/run/postgresql&port=5433".parse().unwrap();
        assert_eq!(socket.to_string(), "postgres://me@/offramp?host=/run/postgresql&port=5433");
        assert_eq!(socket.to_string().parse::<Database>().unwrap().to_string(), socket.to_string());
        assert!(matches!("postgres://me@host:port/x".parse::<Database>(), Err(DatabaseParseError::Url(_))));
    }
}
