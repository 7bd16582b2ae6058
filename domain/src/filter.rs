//! Filters: which rows of a view somebody wants, in a small language that is not SQL.
//!
//! ```text
//! filter     = all { "or" all }
//! all        = one { "and" one }
//! one        = "not" one | "(" filter ")" | comparison
//! comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!            | field [ "not" ] "in" "[" value { "," value } "]"
//!            | field [ "not" ] "contains" value
//!            | field "is" [ "not" ] "null"
//!            | flag
//! field      = a column of the view | "pattern.kind" | "pattern.slope" | "budget.share"
//! value      = number [ "k" | "M" | "G" | "T" | "P" | "%" ] | word | "'" text "'" | '"' text '"'
//! ```
//!
//! A filter is evaluated here, row by row, and never becomes part of a statement: it means the same on every engine, and nothing that it says
//! reaches one. Logic has two values: a comparison with nothing (`NULL`) is false, and so is its opposite (`!=`, `not in`, `not contains`);
//! `not (...)` turns any answer round.

mod derived;
mod error;
mod evaluate;
mod lexer;
mod number;
mod parser;
mod print;

use std::collections::BTreeSet;

pub use error::FilterError;

use crate::table::{Kind, Value, ValueRef, View};
use derived::Derived;
use number::Number;

/// Longest filter, bytes: a list of a thousand jobs fits well.
pub const MAX_BYTES: usize = 64 * 1024;
/// Most values that a filter compares with: each is looked at for every row.
pub const MAX_VALUES: usize = 1_000;
/// Deepest nesting of parentheses and `not`.
pub const MAX_DEPTH: usize = 64;

/// Which rows of a view are wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    root: Node,
    view: &'static View,
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// Every one of two or more.
    All(Vec<Node>),
    /// At least one of two or more.
    Any(Vec<Node>),
    Not(Box<Node>),
    Test(Test),
}

/// One look at one field.
#[derive(Debug, Clone, PartialEq)]
struct Test {
    field: Field,
    check: Check,
}

/// What a test looks at.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Field {
    /// Number of the column.
    column: usize,
    name: &'static str,
    kind: Kind,
    /// What is made of its value.
    derived: Option<Derived>,
}

#[derive(Debug, Clone, PartialEq)]
enum Check {
    Compare(Operator, Literal),
    In {
        is_negated: bool,
        values: Vec<Literal>,
    },
    Contains {
        is_negated: bool,
        text: String,
    },
    Null {
        is_negated: bool,
    },
    /// A flag that stands alone.
    Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Operator {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

/// What a field is compared with, of the field's own kind.
#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Number(Number),
    Text(String),
    Flag(bool),
    /// Unix microseconds.
    Time(i64),
}

impl Filter {
    /// Reads a filter on the rows of a view.
    ///
    /// # Errors
    /// When it is not in the language, names what the view does not have, compares what cannot be compared, or is too long, too deep, or of too
    /// many values. The error shows the place.
    ///
    /// # Examples
    /// ```
    /// use offramp_domain::{filter::Filter, table::{self, Value}};
    /// let filter = Filter::parse("backbone = resnet56 and branch_macs <= 40M", table::view("jobs").unwrap()).unwrap();
    /// let row = |column: &str| match column {
    ///     "backbone" => Value::Text("resnet56".into()),
    ///     _ => Value::Integer(40_000_000),
    /// };
    /// assert!(filter.matches(&row));
    /// ```
    pub fn parse(text: &str, view: &'static View) -> Result<Self, FilterError> {
        parser::parse(text, view).map(|root| Self { root, view }).map_err(|problem| FilterError::new(&problem, text))
    }

    /// Whether a row is wanted, whose values `value` says by column name.
    pub fn matches(&self, value: &dyn Fn(&str) -> Value) -> bool {
        self.root.holds(&mut |test| {
            let column = self.view.column(test.field.column).map_or("", |column| column.name);
            test.holds(value(column).as_ref())
        })
    }

    /// Whether a row is wanted, whose values `value` says by the column's number in the view.
    pub fn matches_row<'v>(&self, value: &dyn Fn(usize) -> ValueRef<'v>) -> bool {
        self.root.holds(&mut |test| test.holds(value(test.field.column)))
    }

    /// The rows that both take, which are filters on the same view.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let nodes = [self.root, other.root].into_iter().flat_map(|node| match node {
            Node::All(nodes) => nodes,
            node => vec![node],
        });
        Self { root: Node::All(nodes.collect()), view: self.view }
    }

    /// The numbers of the columns that it looks at, each once, rising.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = BTreeSet::new();
        self.root.visit(&mut |test| {
            columns.insert(test.field.column);
        });
        columns.into_iter().collect()
    }

    /// The view that it is on.
    pub const fn view(&self) -> &'static View {
        self.view
    }
}

#[cfg(test)]
mod tests;
