//! A query out of what people write.

use offramp_domain::filter::{Filter, FilterError};
use offramp_domain::table::{Sort, UnknownColumn, View};

use super::Query;

/// Most columns that rows are sorted by, and most that are asked for: as many as the widest view has, and some.
const COLUMNS_MOST: usize = 64;

/// Why there is no such query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The filter is none.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Rows are to be sorted by a column that the view does not have.
    #[error("cannot sort: {0}")]
    Sort(UnknownColumn),
    /// A column is asked for that the view does not have.
    #[error("{0}")]
    Column(UnknownColumn),
    /// A column is named twice.
    #[error("column `{0}` is named twice")]
    Twice(&'static str),
    /// More columns are named than any view has.
    #[error("{0} columns are more than any view has")]
    TooMany(usize),
}

impl QueryError {
    /// What to write instead, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Filter(error) => error.hint().map(str::to_owned),
            Self::Sort(error) | Self::Column(error) => Some(error.hint()),
            Self::Twice(_) => Some("name it once".to_owned()),
            Self::TooMany(_) => None,
        }
    }

    /// The part of the query that is wrong.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::Filter(_) => "where",
            Self::Sort(_) => "sort",
            Self::Column(_) | Self::Twice(_) | Self::TooMany(_) => "columns",
        }
    }
}

impl Query {
    /// Reads a filter (empty: every row), the columns to sort by (`-accuracy`: the largest first), and those that are wanted (none: all that
    /// the view has).
    ///
    /// # Errors
    /// When the filter is none, or a column is unknown, or wanted twice.
    pub fn parse(view: &'static View, filter: &str, sort: &[impl AsRef<str>], columns: &[impl AsRef<str>]) -> Result<Self, QueryError> {
        if let Some(n) = [sort.len(), columns.len()].into_iter().find(|n| *n > COLUMNS_MOST) {
            return Err(QueryError::TooMany(n));
        }
        let filter = if filter.is_empty() { None } else { Some(Filter::parse(filter, view)?) };
        let sort: Result<_, _> = sort.iter().map(|text| Sort::parse(text.as_ref(), view)).collect();
        let mut wanted = Vec::with_capacity(columns.len());
        for name in columns {
            let column = view.index_of(name.as_ref()).map_err(QueryError::Column)?;
            if wanted.contains(&column) {
                return Err(QueryError::Twice(view.column(column).map_or("", |column| column.name)));
            }
            wanted.push(column);
        }
        let columns = if wanted.is_empty() { (0..view.columns.len()).collect() } else { wanted };
        Ok(Self { filter, sort: sort.map_err(QueryError::Sort)?, columns, ..Self::default() })
    }
}

#[cfg(test)]
mod tests {
    use offramp_domain::table;

    use super::*;

    const NONE: [&str; 0] = [];

    #[test]
    fn mistakes_say_where_they_are_and_what_was_meant() {
        let exits = table::view("exits").unwrap();
        let refused = |filter: &str, sort: &[&str], columns: &[&str]| {
            let error = Query::parse(exits, filter, sort, columns).unwrap_err();
            (error.field(), error.to_string(), error.hint().unwrap_or_default())
        };
        let said = |field, message: &str, hint: &str| (field, message.to_owned(), hint.to_owned());
        assert_eq!(
            refused("", &["-acuracy"], &[]),
            said("sort", "cannot sort: v_exits has no column `acuracy`", "did you mean `accuracy`?")
        );
        assert_eq!(refused("", &[], &["job", "los"]), said("columns", "v_exits has no column `los`", "did you mean `loss`?"));
        assert_eq!(refused("", &[], &["job", "exit", "job"]), said("columns", "column `job` is named twice", "name it once"));
        assert_eq!(refused("", &["job"; 65], &[]).1, "65 columns are more than any view has");
        let (field, message, _) = refused("accuracy >", &[], &[]);
        assert_eq!((field, message.lines().next()), ("where", Some("wrong filter: a value for `accuracy` is missing before the end")));
        assert_eq!(refused(" ", &[], &[]).1, "wrong filter: it is empty");
    }

    #[test]
    fn nothing_said_is_everything() {
        let jobs = table::view("jobs").unwrap();
        assert_eq!(Query::parse(jobs, "", &NONE, &NONE).unwrap(), Query::all(jobs));
        assert_eq!(Query::parse(jobs, "", &NONE, &["reused", "job"]).unwrap().columns, [jobs.columns.len(), 0]);
    }
}
