//! A filter as text: as few parentheses as keep its meaning, and every text in quotes.

use std::fmt::{self, Display, Formatter, Write};

use super::{Check, Filter, Literal, Node, Test};

/// Reads back as the same filter.
impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.root.print(f, Strength::Or)
    }
}

/// How tightly what stands around a node binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    Or,
    And,
    Not,
}

impl Node {
    fn print(&self, f: &mut Formatter<'_>, around: Strength) -> fmt::Result {
        let (own, word) = match self {
            Self::Any(_) => (Strength::Or, " or "),
            Self::All(_) => (Strength::And, " and "),
            Self::Not(node) => {
                f.write_str("not ")?;
                return node.print(f, Strength::Not);
            }
            Self::Test(test) => return test.fmt(f),
        };
        let (Self::Any(nodes) | Self::All(nodes)) = self else { return Ok(()) };
        let inner = if own == Strength::Or { Strength::And } else { Strength::Not };
        let is_wrapped = own < around;
        if is_wrapped {
            f.write_char('(')?;
        }
        for (index, node) in nodes.iter().enumerate() {
            if index > 0 {
                f.write_str(word)?;
            }
            node.print(f, inner)?;
        }
        if is_wrapped { f.write_char(')') } else { Ok(()) }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let not = |is_negated: &bool| if *is_negated { "not " } else { "" };
        let name = self.field.name;
        match &self.check {
            Check::Compare(operator, literal) => write!(f, "{name} {} {literal}", operator.as_str()),
            Check::In { is_negated, values } => {
                write!(f, "{name} {}in [", not(is_negated))?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_char(']')
            }
            Check::Contains { is_negated, text } => write!(f, "{name} {}contains {}", not(is_negated), quoted(text)),
            Check::Null { is_negated } => write!(f, "{name} is {}null", not(is_negated)),
            Check::Holds => f.write_str(name),
        }
    }
}

impl Display for Literal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(&number.text),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Time(time) => write!(f, "{time}"),
        }
    }
}

/// In single quotes; one within is doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
