//! Typed access to a parsed sweep file: what is asked for, or a problem with its place.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::Problem;
use crate::spelling::extract;
pub(super) use crate::spelling::{quote, suggest};

/// A TOML value with its place.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// Collects problems while a file is read, so that one mistake does not hide the next.
pub(super) struct Reader<'t> {
    text: &'t str,
    problems: Vec<Problem>,
    n_unlisted: usize,
}

/// Problems listed. Nobody reads more at once, and each quotes its line in an answer that has a size limit.
const MAX_PROBLEMS: usize = 100;

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, problems: Vec::new(), n_unlisted: 0 }
    }

    pub(super) fn report(&mut self, span: Range<usize>, message: impl Display, hint: Option<String>) {
        if self.is_full() {
            self.n_unlisted += 1;
        } else {
            self.problems.push(Problem { message: message.to_string(), span, hint });
        }
    }

    /// Whether further problems are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.problems.len() >= MAX_PROBLEMS
    }

    /// Forgets the problems that are not worth telling.
    pub(super) fn retain(&mut self, is_worth_telling: impl Fn(&Problem) -> bool) {
        self.problems.retain(is_worth_telling);
    }

    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// All problems, in the order of their places.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        if self.n_unlisted > 0 {
            let message = format!("{} more problems are not listed", self.n_unlisted);
            let hint = Some("they are listed when those above are put right".to_owned());
            self.problems.push(Problem { message, span: self.text.len()..self.text.len(), hint });
        }
        self.problems
    }

    /// Reports that `what` takes `wanted` and something else is there. Always `None`, for readers to end with.
    pub(super) fn refuse<T>(&mut self, value: &Value, what: &str, wanted: impl Display, hint: Option<String>) -> Option<T> {
        let found = self.quote(value.span());
        let more = hint.map_or_else(String::new, |hint| format!("; {hint}"));
        self.report(value.span(), format!("`{what}` cannot be {found}"), Some(format!("it takes {wanted}{more}")));
        None
    }

    /// The text at a place, in backticks; long and multi-line text is cut.
    pub(super) fn quote(&self, span: Range<usize>) -> String {
        quote(self.text.get(span).unwrap_or_default())
    }

    /// The text at a place, without backticks.
    pub(super) fn extract(&self, span: Range<usize>) -> String {
        extract(self.text.get(span).unwrap_or_default())
    }

    /// A whole number.
    pub(super) fn integer<T: TryFrom<i64>>(&mut self, value: &Value, what: &str, range: RangeInclusive<i64>) -> Option<T> {
        let number = value.get_ref().as_integer().and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok());
        match number.filter(|number| range.contains(number)).and_then(|number| T::try_from(number).ok()) {
            Some(number) => Some(number),
            None => self.refuse(value, what, format_args!("a whole number from {} to {}", range.start(), range.end()), None),
        }
    }

    /// A finite number that `is_valid`; `wanted` describes it. Integers are numbers, and -0 is 0, so that a job has one spelling.
    pub(super) fn number(&mut self, value: &Value, what: &str, wanted: &str, is_valid: impl Fn(f64) -> bool) -> Option<f64> {
        match as_f64(value.get_ref()).filter(|&number| number.is_finite() && is_valid(number)) {
            Some(number) => Some(number + 0.0),
            None => self.refuse(value, what, wanted, None),
        }
    }

    pub(super) fn boolean(&mut self, value: &Value, what: &str) -> Option<bool> {
        value.get_ref().as_bool().or_else(|| self.refuse(value, what, "`true` or `false`", None))
    }

    /// One of a few names.
    pub(super) fn choice<T: Clone>(&mut self, value: &Value, what: &str, choices: &[(&str, T)]) -> Option<T> {
        let name = value.get_ref().as_str();
        if let Some((_, choice)) = choices.iter().find(|(known, _)| Some(*known) == name) {
            return Some(choice.clone());
        }
        let names = choices.iter().map(|(known, _)| *known);
        let hint = name.and_then(|name| suggest(name, names.clone())).map(did_you_mean);
        self.refuse(value, what, one_of(names), hint)
    }

    /// An array with at least one value.
    pub(super) fn list<'v, 'i>(&mut self, value: &'v Value<'i>, what: &str, wanted: &str) -> Option<&'v [Value<'i>]> {
        match value.get_ref().as_array() {
            Some(array) if !array.is_empty() => Some(array),
            _ => self.refuse(value, what, wanted, None),
        }
    }
}

/// A table of which all keys are known.
pub(super) struct Fields<'v, 'i> {
    /// What the table is called in messages, with backticks where it is literal.
    owner: String,
    table: &'v DeTable<'i>,
    pub(super) span: Range<usize>,
    /// Known keys that an unknown key seems to stand for; they are not reported as missing on top.
    meant: Vec<&'static str>,
    pub(super) all_known: bool,
}

impl<'v, 'i> Fields<'v, 'i> {
    /// Opens a table and reports its unknown keys.
    pub(super) fn open(reader: &mut Reader, value: &'v Value<'i>, owner: impl Into<String>, known: &[&'static str]) -> Option<Self> {
        let owner = owner.into();
        let Some(table) = value.get_ref().as_table() else {
            let found = reader.quote(value.span());
            let hint = format!("it is a table with {}", any_of(known.iter().copied()));
            reader.report(value.span(), format_args!("{owner} cannot be {found}"), Some(hint));
            return None;
        };
        let mut meant = Vec::new();
        let mut all_known = true;
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            all_known = false;
            let absent = known.iter().copied().filter(|known| !table.contains_key(*known));
            let suggestion = suggest(key.get_ref(), absent);
            meant.extend(suggestion);
            let hint = suggestion.map_or_else(|| format!("{owner} takes {}", any_of(known.iter().copied())), did_you_mean);
            reader.report(key.span(), format!("unknown key {} in {owner}", quote(key.get_ref())), Some(hint));
        }
        Some(Self { owner, table, span: value.span(), meant, all_known })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub(super) fn optional(&self, key: &str) -> Option<&'v Value<'i>> {
        self.table.get(key)
    }

    /// The value of a key that must be there; `example` shows how to write it.
    pub(super) fn required(&self, reader: &mut Reader, key: &'static str, example: &str) -> Option<&'v Value<'i>> {
        let value = self.table.get(key);
        if value.is_none() {
            self.report_missing(reader, key, example);
        }
        value
    }

    pub(super) fn report_missing(&self, reader: &mut Reader, key: &'static str, example: &str) {
        if !self.meant.contains(&key) {
            reader.report(self.span.clone(), format!("{} lacks `{key}`", self.owner), Some(format!("add `{example}`")));
        }
    }

    /// The only pair of a table that stands for one choice, e.g. `{ levels = 6 }`.
    pub(super) fn single(&self) -> Option<(&'v str, &'v Value<'i>)> {
        let mut pairs = self.table.iter();
        match (pairs.next(), pairs.next()) {
            (Some((key, value)), None) => Some((key.get_ref(), value)),
            _ => None,
        }
    }
}

pub(super) fn did_you_mean(name: impl Display) -> String {
    format!("did you mean `{name}`?")
}

/// "`a`, `b` or `c`"
pub(super) fn one_of<'c>(names: impl Iterator<Item = &'c str>) -> String {
    join(names, "or")
}

/// "`a`, `b` and `c`"
pub(super) fn any_of<'c>(names: impl Iterator<Item = &'c str>) -> String {
    join(names, "and")
}

fn join<'c>(names: impl Iterator<Item = &'c str>, last: &str) -> String {
    let quoted: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((end, [])) => end.clone(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
        None => String::new(),
    }
}

fn as_f64(value: &DeValue) -> Option<f64> {
    match value {
        // A decimal integer reads as the nearest float; the other radixes are for bit patterns, which no number here is.
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse().ok(),
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    }
}
