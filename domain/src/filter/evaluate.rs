//! Whether a row is wanted.

use std::cmp::Ordering;

use super::{Check, Field, Literal, Node, Operator, Test};
use crate::table::ValueRef;

impl Node {
    /// Asks `test` for the answer of each test that matters, in order.
    pub(super) fn holds(&self, test: &mut dyn FnMut(&Test) -> bool) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(test)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(test)),
            Self::Not(node) => !node.holds(test),
            Self::Test(leaf) => test(leaf),
        }
    }

    pub(super) fn visit(&self, see: &mut dyn FnMut(&Test)) {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().for_each(|node| node.visit(see)),
            Self::Not(node) => node.visit(see),
            Self::Test(leaf) => see(leaf),
        }
    }
}

impl Test {
    /// Whether it holds of a row that has `value` in the field's column.
    pub(super) fn holds(&self, value: ValueRef<'_>) -> bool {
        let value = self.field.read(value);
        match &self.check {
            Check::Null { is_negated } => (value == ValueRef::Null) != *is_negated,
            _ if value == ValueRef::Null => false,
            Check::Compare(operator, literal) => compare(value, literal).is_some_and(|order| operator.accepts(order)),
            Check::In { is_negated, values } => {
                values.iter().any(|literal| compare(value, literal) == Some(Ordering::Equal)) != *is_negated
            }
            Check::Contains { is_negated, text } => {
                matches!(value, ValueRef::Text(value) if value.contains(text.as_str()) != *is_negated)
            }
            Check::Holds => value == ValueRef::Flag(true),
        }
    }
}

impl Field {
    fn read(self, value: ValueRef<'_>) -> ValueRef<'_> {
        match self.derived {
            Some(derived) => derived.of(value),
            None => value,
        }
    }
}

impl Operator {
    const fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

/// How a value compares with a literal; not at all where they are of different kinds, which a parsed filter and a row of its view never are.
fn compare(value: ValueRef<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (ValueRef::Integer(value), Literal::Number(number)) => Some(number.compare_integer(value)),
        (ValueRef::Real(value), Literal::Number(number)) => value.partial_cmp(&number.value),
        // Bytes, as the engines sort.
        (ValueRef::Text(value), Literal::Text(text)) => Some(value.cmp(text.as_str())),
        (ValueRef::Flag(value), Literal::Flag(flag)) => Some(value.cmp(flag)),
        (ValueRef::Integer(value), Literal::Time(time)) => Some(value.cmp(time)),
        _ => None,
    }
}
