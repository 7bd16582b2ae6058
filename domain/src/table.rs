//! The database's views as data: their names, columns and rows, for everything that reads them by name.
//!
//! The views are Offramp's public interface to its results (`docs/RESULTS.md`); a test of the coordinator holds [`VIEWS`] against the schemas of
//! both engines. Rows travel by column: a [`Batch`] has an [`Array`] for each column that was asked for.

mod views;

pub use views::VIEWS;

use crate::spelling::{quote, suggest};

/// Most rows of a [`Batch`].
pub const BATCH_ROWS: usize = 1_000;
/// About how many bytes a [`Batch`] has at most; a single row may be larger.
pub const BATCH_BYTES: usize = 1 << 20;

/// What a column's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of 64 bits.
    Integer,
    /// A double; never NaN or infinite.
    Real,
    /// A text.
    Text,
    /// Yes or no; 1 or 0 in the database.
    Flag,
    /// Unix microseconds.
    Time,
    /// A text that is JSON.
    Json,
}

/// A column of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name, the same everywhere.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Whether a row may have none.
    pub nullable: bool,
}

/// How the rows of one sweep are found in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfSweep {
    /// By the column `sweep`.
    Column,
    /// By the column `job`, joined through `v_sweep_jobs`.
    Job,
    /// By either: events are of a job, of a sweep as a whole, or of both.
    ColumnOrJob,
    /// Not at all.
    None,
}

/// A view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Its name, `v_jobs`.
    pub name: &'static str,
    /// Its columns, in order.
    pub columns: &'static [Column],
    /// What rows have besides where those of one sweep are asked for, and nothing otherwise: it depends on the sweep, so `v_sweep_jobs` has it.
    pub beside: &'static [Column],
    /// How the rows of one sweep are found.
    pub of_sweep: OfSweep,
    /// The columns that identify a row, and order rows when nothing else is asked for.
    pub key: &'static [&'static str],
}

impl View {
    /// Its name without the prefix: `jobs`.
    pub fn short_name(&self) -> &'static str {
        self.name.strip_prefix("v_").unwrap_or(self.name)
    }

    /// All that can be asked for: its columns, then those of [`View::beside`]. Columns are numbered in this order.
    pub fn all_columns(&self) -> impl Iterator<Item = &'static Column> + Clone {
        self.columns.iter().chain(self.beside)
    }

    /// The column of this number.
    pub fn column(&self, index: usize) -> Option<&'static Column> {
        self.columns.get(index).or_else(|| self.beside.get(index.checked_sub(self.columns.len())?))
    }

    /// The number of the column of this name.
    ///
    /// # Errors
    /// When there is none; the error has what may have been meant.
    pub fn index_of(&self, name: &str) -> Result<usize, UnknownColumn> {
        self.all_columns().position(|column| column.name == name).ok_or_else(|| UnknownColumn {
            name: quote(name),
            view: self.name,
            suggestion: suggest(name, self.all_columns().map(|column| column.name)),
            known: self.all_columns().map(|column| column.name).collect::<Vec<_>>().join(", "),
        })
    }
}

/// The view of a name, with or without its prefix: `v_jobs` or `jobs`.
///
/// # Errors
/// When there is none; the error has what may have been meant.
///
/// # Examples
/// ```
/// assert_eq!(offramp_domain::table::view("jobs").unwrap().name, "v_jobs");
/// ```
pub fn view(name: &str) -> Result<&'static View, UnknownView> {
    let short = name.strip_prefix("v_").unwrap_or(name);
    VIEWS.iter().find(|view| view.short_name() == short).ok_or_else(|| UnknownView {
        name: quote(name),
        suggestion: suggest(short, VIEWS.iter().map(View::short_name)),
        known: VIEWS.iter().map(View::short_name).collect::<Vec<_>>().join(", "),
    })
}

/// There is no such view.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no view is called {name}")]
pub struct UnknownView {
    name: String,
    suggestion: Option<&'static str>,
    known: String,
}

impl UnknownView {
    /// What to write instead.
    pub fn hint(&self) -> String {
        hint(self.suggestion, "views", &self.known)
    }
}

/// A view has no such column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{view} has no column {name}")]
pub struct UnknownColumn {
    name: String,
    view: &'static str,
    suggestion: Option<&'static str>,
    known: String,
}

impl UnknownColumn {
    /// What to write instead.
    pub fn hint(&self) -> String {
        hint(self.suggestion, "columns", &self.known)
    }

    /// The column that may have been meant.
    pub const fn suggestion(&self) -> Option<&'static str> {
        self.suggestion
    }
}

fn hint(suggestion: Option<&str>, things: &str, known: &str) -> String {
    match suggestion {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("the {things} are {known}"),
    }
}

/// By which column rows are sorted. Nothing comes after everything else, either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// The column's number.
    pub column: usize,
    /// Whether the largest comes first.
    pub is_descending: bool,
}

impl Sort {
    /// Reads `accuracy`, or `-accuracy` for the largest first.
    ///
    /// # Errors
    /// When the view has no such column.
    pub fn parse(text: &str, view: &View) -> Result<Self, UnknownColumn> {
        let (name, is_descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
        Ok(Self { column: view.index_of(name.strip_prefix('+').unwrap_or(name))?, is_descending })
    }
}

/// A row's value in a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// None.
    Null,
    /// Of [`Kind::Integer`] and [`Kind::Time`].
    Integer(i64),
    /// Of [`Kind::Real`].
    Real(f64),
    /// Of [`Kind::Text`] and [`Kind::Json`].
    Text(String),
    /// Of [`Kind::Flag`].
    Flag(bool),
}

/// A [`Value`] that lies somewhere else.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ValueRef<'a> {
    /// See [`Value::Null`].
    Null,
    /// See [`Value::Integer`].
    Integer(i64),
    /// See [`Value::Real`].
    Real(f64),
    /// See [`Value::Text`].
    Text(&'a str),
    /// See [`Value::Flag`].
    Flag(bool),
}

impl Value {
    /// The value where it lies.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value),
            Self::Flag(value) => ValueRef::Flag(*value),
        }
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Integer(value),
            ValueRef::Real(value) => Self::Real(value),
            ValueRef::Text(value) => Self::Text(value.to_owned()),
            ValueRef::Flag(value) => Self::Flag(value),
        }
    }
}

/// A column's values in several rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// Of [`Kind::Integer`] and [`Kind::Time`].
    Integers(Vec<Option<i64>>),
    /// Of [`Kind::Real`].
    Reals(Vec<Option<f64>>),
    /// Of [`Kind::Text`] and [`Kind::Json`].
    Texts(Vec<Option<String>>),
    /// Of [`Kind::Flag`].
    Flags(Vec<Option<bool>>),
}

impl Array {
    /// No values yet, of a kind.
    pub const fn empty(kind: Kind) -> Self {
        match kind {
            Kind::Integer | Kind::Time => Self::Integers(Vec::new()),
            Kind::Real => Self::Reals(Vec::new()),
            Kind::Text | Kind::Json => Self::Texts(Vec::new()),
            Kind::Flag => Self::Flags(Vec::new()),
        }
    }

    /// How many values there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Reals(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Flags(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a row, which is nothing past the last one.
    pub fn get(&self, row: usize) -> ValueRef<'_> {
        match self {
            Self::Integers(values) => values.get(row).copied().flatten().map_or(ValueRef::Null, ValueRef::Integer),
            Self::Reals(values) => values.get(row).copied().flatten().map_or(ValueRef::Null, ValueRef::Real),
            Self::Texts(values) => values.get(row).and_then(Option::as_deref).map_or(ValueRef::Null, ValueRef::Text),
            Self::Flags(values) => values.get(row).copied().flatten().map_or(ValueRef::Null, ValueRef::Flag),
        }
    }
}

/// Rows, by column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// The columns in the order in which they were asked for, each as long as there are rows.
    pub columns: Vec<Array>,
    /// How many rows there are, at most [`BATCH_ROWS`].
    pub n_rows: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn views_are_found_with_and_without_their_prefix() {
        for known in VIEWS {
            assert_eq!(view(known.name), Ok(known));
            assert_eq!(view(known.name.trim_start_matches("v_")), Ok(known));
        }
        let error = view("v_job").unwrap_err();
        assert_eq!((error.to_string().as_str(), error.hint().as_str()), ("no view is called `v_job`", "did you mean `jobs`?"));
        let far = view("'; drop table jobs; --\u{1b}[2J").unwrap_err();
        assert!(!far.to_string().contains('\u{1b}') && far.hint().starts_with("the views are "), "{far} {}", far.hint());
    }

    #[test]
    fn columns_are_named_once_and_keys_are_columns() {
        for view in VIEWS {
            let names: BTreeSet<&str> = view.all_columns().map(|column| column.name).collect();
            assert_eq!(names.len(), view.columns.len() + view.beside.len(), "{}", view.name);
            assert!(view.key.iter().all(|name| names.contains(name)) && !view.key.is_empty(), "{}", view.name);
            let has = |name: &str| view.columns.iter().any(|column| column.name == name);
            match view.of_sweep {
                OfSweep::Column => assert!(has("sweep"), "{}", view.name),
                OfSweep::Job => assert!(has("job") && !has("sweep"), "{}", view.name),
                OfSweep::ColumnOrJob => assert!(has("job") && has("sweep"), "{}", view.name),
                OfSweep::None => assert!(!has("job") && !has("sweep"), "{}", view.name),
            }
        }
    }

    #[test]
    fn unknown_columns_have_suggestions() {
        let jobs = view("jobs").unwrap();
        assert_eq!(jobs.column(jobs.index_of("reused").unwrap()).map(|column| column.name), Some("reused"));
        assert_eq!(jobs.column(jobs.columns.len() + 1), None);
        let error = jobs.index_of("final_acuracy").unwrap_err();
        assert_eq!(error.to_string(), "v_jobs has no column `final_acuracy`");
        assert_eq!(error.hint(), "did you mean `final_accuracy`?");
        let error = jobs.index_of("x\n\u{1b}[31m").unwrap_err();
        assert!(!error.to_string().contains(['\n', '\u{1b}']), "{error}");
    }

    #[test]
    fn a_minus_sorts_the_largest_first() {
        let jobs = view("jobs").unwrap();
        let area = jobs.index_of("area").unwrap();
        assert_eq!(Sort::parse("-area", jobs), Ok(Sort { column: area, is_descending: true }));
        assert_eq!(Sort::parse("area", jobs), Ok(Sort { column: area, is_descending: false }));
        assert_eq!(Sort::parse("-arae", jobs).unwrap_err().hint(), "did you mean `area`?");
        assert!(Sort::parse("", jobs).is_err() && Sort::parse("--area", jobs).is_err());
    }

    #[test]
    fn values_are_read_from_arrays() {
        let texts = Array::Texts(vec![Some("a".into()), None]);
        assert_eq!((texts.get(0), texts.get(1), texts.get(2)), (ValueRef::Text("a"), ValueRef::Null, ValueRef::Null));
        assert_eq!(Array::Flags(vec![Some(true)]).get(0), ValueRef::Flag(true));
        assert_eq!(Value::from(Array::Reals(vec![Some(0.5)]).get(0)), Value::Real(0.5));
        assert_eq!(Array::empty(Kind::Time), Array::Integers(Vec::new()));
    }
}
