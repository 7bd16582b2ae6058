//! Database URLs on the command line.

use std::str::FromStr;

use clap::builder::{StringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use offramp_coordinator::Database;

/// Reads a database URL. What it refuses is quoted without the password: messages end up in logs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DatabaseParser;

impl TypedValueParser for DatabaseParser {
    type Value = Database;

    fn parse_ref(&self, command: &clap::Command, argument: Option<&clap::Arg>, value: &std::ffi::OsStr) -> Result<Database, clap::Error> {
        let text = StringValueParser::new().parse_ref(command, argument, value)?;
        parse_database(&text).map_err(|reason| {
            let name = argument.map_or_else(|| "...".to_owned(), ToString::to_string);
            let mut error = clap::Error::raw(
                ErrorKind::ValueValidation,
                format!("invalid value '{}' for '{name}': {reason}\n\nFor more information, try '--help'.\n", without_password(&text)),
            );
            error.insert(ContextKind::InvalidArg, ContextValue::String(name));
            error.with_cmd(command)
        })
    }
}

/// Reads `sqlite:PATH` or `postgres://...`; the error is what is wrong, without the value.
pub(crate) fn parse_database(text: &str) -> Result<Database, String> {
    // A name without a scheme is a path that somebody forgot to call one.
    if !text.is_empty() && !text.contains(':') {
        return Err(format!("write sqlite:{text}"));
    }
    // Should the reason quote the value, then without the password as well.
    Database::from_str(text).map_err(|error| error.to_string().replace(text, &without_password(text)))
}

/// A URL with `***` in the place of its password.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // Everything up to the last `@` before the path: a password that should have been escaped may contain one.
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let end = authority.rfind('@').or_else(|| rest.rfind('@'));
    let Some((user, _)) = end.and_then(|end| rest[..end].split_once(':')) else { return url.to_owned() };
    let end = end.unwrap_or_default();
    format!("{scheme}://{user}:***{}", &rest[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_databases_are_paths() {
        let sqlite = |path: &str| Ok(Database::Sqlite(path.into()));
        assert_eq!(parse_database("sqlite:a.db"), sqlite("a.db"));
        assert_eq!(parse_database("sqlite:/tmp/a.db"), sqlite("/tmp/a.db"));
        assert_eq!(parse_database("sqlite:///tmp/a.db"), sqlite("/tmp/a.db"));
        assert_eq!(parse_database("a.db"), Err("write sqlite:a.db".into()));
        assert!(parse_database("sqlite:").unwrap_err().contains("no path"));
        assert!(parse_database("").is_err());
    }

    #[test]
    fn postgresql_databases_are_urls() {
        for url in ["postgres://u:p@localhost:5432/offramp", "postgresql://localhost/offramp", "postgres:///offramp?host=/run/postgresql"] {
            let database = parse_database(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert!(matches!(database, Database::Postgres(..)), "{url}");
        }
    }

    #[test]
    fn passwords_are_not_repeated() {
        assert_eq!(without_password("postgres://u:secret@h:5432/d"), "postgres://u:***@h:5432/d");
        assert_eq!(without_password("postgres://u:se@cret@h/d?x=y"), "postgres://u:***@h/d?x=y");
        assert_eq!(without_password("postgres://u:se/cret@h/d"), "postgres://u:***@h/d");
        assert_eq!(without_password("postgres://u@h/d"), "postgres://u@h/d");
        assert_eq!(without_password("postgres://h:5432/d"), "postgres://h:5432/d");
        assert_eq!(without_password("sqlite:a.db"), "sqlite:a.db");

        let refused = clap::Command::new("offramp")
            .arg(clap::Arg::new("database").long("database").value_parser(DatabaseParser))
            .try_get_matches_from(["offramp", "--database", "mysql://u:secret@h/d"])
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ValueValidation);
        let text = refused.to_string();
        assert!(text.contains("mysql://u:***@h/d") && text.contains("--database") && !text.contains("secret"), "{text}");
    }
}
