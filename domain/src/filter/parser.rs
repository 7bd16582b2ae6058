//! From words to a filter, by recursive descent.

use std::ops::Range;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::derived::Derived;
use super::lexer::{Placed, Token, tokens};
use super::number::{Number, is_suffix};
use super::{Check, Field, Literal, MAX_BYTES, MAX_DEPTH, MAX_VALUES, Node, Operator, Test};
use crate::problem::Problem;
use crate::spelling::{quote, suggest};
use crate::table::{Kind, View};

type Parsed<T> = Result<T, Problem>;

/// Reads a filter.
pub(super) fn parse(text: &str, view: &'static View) -> Parsed<Node> {
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes are more than the {MAX_BYTES} allowed", text.len());
        return Err(Problem { message, span: 0..0, hint: Some("export the view and filter it elsewhere".to_owned()) });
    }
    let mut parser = Parser { text, view, tokens: tokens(text)?, at: 0, depth: 0, n_values: 0 };
    if parser.peek().token == Token::End {
        let hint = format!("compare a column, such as `{} = ...`", view.columns[0].name);
        return Err(Problem { message: "it is empty".to_owned(), span: 0..0, hint: Some(hint) });
    }
    let node = parser.any()?;
    match &parser.peek().token {
        Token::End => Ok(node),
        Token::Close => Err(parser.problem("this `)` closes nothing", Some("take it away, or open it with `(`".to_owned()))),
        _ => Err(parser.problem(format!("`and` or `or` is missing before {}", parser.shown()), None)),
    }
}

struct Parser<'a> {
    text: &'a str,
    view: &'static View,
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    n_values: usize,
}

/// A value as it is written.
struct Written {
    text: String,
    is_quoted: bool,
    span: Range<usize>,
}

const KEYWORDS: [&str; 7] = ["and", "or", "not", "in", "contains", "is", "null"];

/// Words of other languages, and what they are here.
const FOREIGN_WORDS: [(&str, &str); 5] = [
    ("like", "write `contains`"),
    ("ilike", "write `contains`"),
    ("between", "write two comparisons, joined by `and`"),
    ("matches", "write `contains`"),
    ("equals", "write `=`"),
];

impl Parser<'_> {
    fn peek(&self) -> &Placed {
        &self.tokens[self.at]
    }

    /// The next token; the last one stays.
    fn next(&mut self) -> Placed {
        let placed = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        placed
    }

    fn source(&self, span: &Range<usize>) -> &str {
        &self.text[span.clone()]
    }

    /// Whether the next token is this keyword; keywords may be written in capitals.
    fn is_keyword(&self, word: &str) -> bool {
        let placed = self.peek();
        placed.token == Token::Word && self.source(&placed.span).eq_ignore_ascii_case(word)
    }

    fn take_keyword(&mut self, word: &str) -> bool {
        let is_next = self.is_keyword(word);
        if is_next {
            self.next();
        }
        is_next
    }

    /// What stands next, for messages.
    fn shown(&self) -> String {
        match self.peek().token {
            Token::End => "the end".to_owned(),
            _ => quote(self.source(&self.peek().span)),
        }
    }

    /// A problem with what stands next.
    fn problem(&self, message: impl Into<String>, hint: Option<String>) -> Problem {
        Problem { message: message.into(), span: self.peek().span.clone(), hint }
    }

    /// Goes one level down.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DEPTH {
            return Err(self.problem(format!("it is nested deeper than {MAX_DEPTH} levels"), None));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn any(&mut self) -> Parsed<Node> {
        let mut nodes = vec![self.all()?];
        while self.take_keyword("or") {
            nodes.push(self.all()?);
        }
        Ok(joined(nodes, Node::Any))
    }

    fn all(&mut self) -> Parsed<Node> {
        let mut nodes = vec![self.one()?];
        while self.take_keyword("and") {
            nodes.push(self.one()?);
        }
        Ok(joined(nodes, Node::All))
    }

    fn one(&mut self) -> Parsed<Node> {
        if self.take_keyword("not") {
            return self.deeper(Self::one).map(|node| Node::Not(Box::new(node)));
        }
        if self.peek().token != Token::Open {
            return self.test().map(Node::Test);
        }
        let open = self.next().span;
        let node = self.deeper(Self::any)?;
        match self.peek().token {
            Token::Close => {
                self.next();
                Ok(node)
            }
            Token::End => {
                Err(Problem { message: "this `(` is not closed".to_owned(), span: open, hint: Some("close it with `)`".to_owned()) })
            }
            _ => Err(self.problem(format!("`and`, `or` or `)` is missing before {}", self.shown()), None)),
        }
    }

    fn test(&mut self) -> Parsed<Test> {
        let field = self.field()?;
        let is_negated = self.take_keyword("not");
        let check = if self.take_keyword("in") {
            Check::In { is_negated, values: self.list(field)? }
        } else if self.take_keyword("contains") {
            Check::Contains { is_negated, text: self.part(field)? }
        } else if is_negated {
            return Err(self.problem(format!("`in` or `contains` is missing before {}", self.shown()), None));
        } else if self.take_keyword("is") {
            let is_negated = self.take_keyword("not");
            if !self.take_keyword("null") {
                return Err(self.problem(format!("{} is not `null`", self.shown()), Some("compare values with `=`".to_owned())));
            }
            Check::Null { is_negated }
        } else if let Token::Operator(operator) = self.peek().token {
            self.next();
            let written = self.value(field)?;
            Check::Compare(operator, self.literal(field, Some(operator), &written)?)
        } else {
            self.alone(field)?
        };
        Ok(Test { field, check })
    }

    /// A field with no operator after it.
    fn alone(&self, field: Field) -> Parsed<Check> {
        let is_over = matches!(self.peek().token, Token::End | Token::Close) || self.is_keyword("and") || self.is_keyword("or");
        if is_over && field.kind == Kind::Flag {
            return Ok(Check::Holds);
        }
        let name = field.name;
        if is_over {
            return Err(self.problem(format!("`{name}` is compared with nothing"), Some(format!("write for example `{name} = ...`"))));
        }
        let word = self.source(&self.peek().span).to_lowercase();
        let known = FOREIGN_WORDS.iter().find(|(foreign, _)| *foreign == word).map(|(_, hint)| (*hint).to_owned());
        let suggested = || suggest(&word, ["in", "contains", "is", "not"].into_iter()).map(|known| format!("did you mean `{known}`?"));
        let hint = known.or_else(suggested).unwrap_or_else(|| "the operators are =, !=, <, <=, >, >=, in, contains, is null".to_owned());
        Err(self.problem(format!("an operator is missing after `{name}`, before {}", self.shown()), Some(hint)))
    }

    fn field(&mut self) -> Parsed<Field> {
        let placed = self.peek().clone();
        let name = self.source(&placed.span).to_owned();
        let is_keyword = KEYWORDS.iter().any(|keyword| name.eq_ignore_ascii_case(keyword));
        if placed.token != Token::Word || is_keyword {
            let hint = matches!(placed.token, Token::Quoted(_)).then(|| "names of columns have no quotes".to_owned());
            return Err(self.problem(format!("a column is missing before {}", self.shown()), hint));
        }
        let derived = Derived::ALL.into_iter().filter_map(|derived| Some((derived, self.view.index_of(derived.column()).ok()?)));
        if let Some((derived, column)) = derived.clone().find(|(derived, _)| derived.name() == name) {
            self.next();
            return Ok(Field { column, name: derived.name(), kind: derived.kind(), derived: Some(derived) });
        }
        match self.view.index_of(&name) {
            Ok(column) => {
                self.next();
                let known = self.view.column(column).expect("it was found");
                Ok(Field { column, name: known.name, kind: known.kind, derived: None })
            }
            Err(unknown) if Number::parse(&name).is_some() => {
                let hint = Some("the column comes first: `accuracy > 0.9`, not `0.9 < accuracy`".to_owned());
                Err(self.problem(unknown.to_string(), hint))
            }
            Err(unknown) => {
                let near = suggest(&name, derived.map(|(derived, _)| derived.name()));
                let hint = match (unknown.suggestion(), near) {
                    (None, Some(near)) => format!("did you mean `{near}`?"),
                    _ => unknown.hint(),
                };
                Err(self.problem(unknown.to_string(), Some(hint)))
            }
        }
    }

    /// What a field is compared with.
    fn value(&mut self, field: Field) -> Parsed<Written> {
        let placed = self.peek().clone();
        let text = match placed.token {
            Token::Quoted(text) => {
                self.next();
                return self.counted(Written { text, is_quoted: true, span: placed.span });
            }
            Token::Word => self.source(&placed.span).to_owned(),
            _ => return Err(self.problem(format!("a value for `{}` is missing before {}", field.name, self.shown()), None)),
        };
        if text.eq_ignore_ascii_case("null") {
            let hint = format!("write `{0} is null` or `{0} is not null`", field.name);
            return Err(self.problem("nothing equals `null`", Some(hint)));
        }
        if KEYWORDS.iter().any(|keyword| text.eq_ignore_ascii_case(keyword)) {
            let hint = format!("if it is the value, put it in quotes: '{text}'");
            return Err(self.problem(format!("a value for `{}` is missing before `{text}`", field.name), Some(hint)));
        }
        self.next();
        // As tables write it: `14.16 M`, `25 %`.
        let suffix = self.peek().span.clone();
        if self.peek().token == Token::Word && is_suffix(self.source(&suffix)) && Number::parse(&text).is_some() {
            self.next();
            let span = placed.span.start..suffix.end;
            let text = format!("{text} {}", self.source(&suffix));
            return self.counted(Written { text, is_quoted: false, span });
        }
        self.counted(Written { text, is_quoted: false, span: placed.span })
    }

    fn counted(&mut self, written: Written) -> Parsed<Written> {
        self.n_values += 1;
        if self.n_values > MAX_VALUES {
            return Err(Problem { message: format!("it has more than {MAX_VALUES} values"), span: written.span, hint: None });
        }
        Ok(written)
    }

    fn list(&mut self, field: Field) -> Parsed<Vec<Literal>> {
        if self.peek().token != Token::OpenList {
            let hint = format!("write `{} in [a, b]`", field.name);
            return Err(self.problem(format!("`[` is missing before {}", self.shown()), Some(hint)));
        }
        self.next();
        let mut values = Vec::new();
        loop {
            let written = self.value(field)?;
            values.push(self.literal(field, None, &written)?);
            match self.peek().token {
                Token::Comma => self.next(),
                Token::CloseList => {
                    self.next();
                    return Ok(values);
                }
                _ => return Err(self.problem(format!("`,` or `]` is missing before {}", self.shown()), None)),
            };
        }
    }

    /// The text that `contains` looks for.
    fn part(&mut self, field: Field) -> Parsed<String> {
        if !matches!(field.kind, Kind::Text | Kind::Json) {
            let hint = format!("compare it: `{} = ...`", field.name);
            return Err(self.problem(format!("only text contains text, and `{}` is {}", field.name, kind_name(field.kind)), Some(hint)));
        }
        Ok(self.value(field)?.text)
    }

    /// What is written, as a value of the field's kind.
    fn literal(&self, field: Field, operator: Option<Operator>, written: &Written) -> Parsed<Literal> {
        let name = field.name;
        let Written { text, is_quoted, span } = written;
        let wrong = |message: String, hint: String| Problem { message, span: span.clone(), hint: Some(hint) };
        let mismatch =
            |hint: String| wrong(format!("`{name}` is {}, and {} is not", kind_name(field.kind), quote(self.source(span))), hint);
        let is_ordered = !matches!(operator, None | Some(Operator::Equal | Operator::NotEqual));
        match field.kind {
            Kind::Integer | Kind::Real => {
                let number = Number::parse(text);
                match number {
                    Some(number) if !is_quoted => Ok(Literal::Number(number)),
                    Some(_) => Err(mismatch("write it without quotes".to_owned())),
                    None => Err(mismatch("numbers are written like 0.5, 1e-3, 40M (k, M, G, T, P) or 25%".to_owned())),
                }
            }
            Kind::Text | Kind::Json if is_ordered && !is_quoted && Number::parse(text).is_some() => {
                let derived = Derived::ALL.into_iter().find(|derived| derived.column() == name && derived.kind() == Kind::Real);
                let hint = derived.map_or_else(
                    || "put it in quotes to compare as text is sorted".to_owned(),
                    |derived| format!("the number in it is `{}`", derived.name()),
                );
                Err(wrong(format!("`{name}` is text, and {} a number", quote(self.source(span))), hint))
            }
            Kind::Text | Kind::Json => Ok(Literal::Text(text.clone())),
            Kind::Flag if is_ordered => {
                Err(wrong(format!("`{name}` is yes or no, which have no order"), format!("write `{name}` or `not {name}`")))
            }
            Kind::Flag => match text.to_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(Literal::Flag(true)),
                "false" | "no" | "0" => Ok(Literal::Flag(false)),
                _ => Err(mismatch("it is `true` or `false`".to_owned())),
            },
            Kind::Time => time(text)
                .map(Literal::Time)
                .ok_or_else(|| mismatch("times are written like 2026-11-25, 2026-11-25T08:15:00Z, or as unix microseconds".to_owned())),
        }
    }
}

fn joined(mut nodes: Vec<Node>, join: impl FnOnce(Vec<Node>) -> Node) -> Node {
    match (nodes.pop(), nodes.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            nodes.extend(last);
            join(nodes)
        }
    }
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "a whole number",
        Kind::Real => "a number",
        Kind::Text | Kind::Json => "text",
        Kind::Flag => "yes or no",
        Kind::Time => "a time",
    }
}

/// Unix microseconds, as they are or of a time in ISO 8601; without an offset, of one in UTC.
fn time(text: &str) -> Option<i64> {
    if let Ok(microseconds) = text.parse() {
        return Some(microseconds);
    }
    let in_utc = || TimeZone::UTC.to_timestamp(text.parse::<DateTime>().ok()?).ok();
    text.parse::<jiff::Timestamp>().ok().or_else(in_utc).map(jiff::Timestamp::as_microsecond)
}
