//! A filter's words.

use std::ops::Range;

use super::Operator;
use crate::problem::Problem;
use crate::spelling::quote;

/// A piece of a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a keyword, a number, or a value without quotes.
    Word,
    /// A text in quotes, without them.
    Quoted(String),
    Operator(Operator),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    End,
}

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) span: Range<usize>,
}

/// What words consist of besides letters and digits: enough for names, labels, numbers, paths and times.
const WORD_CHARS: &str = "_.:/+-*%@";

/// What people write who know another language, and what it is here. The longer ones first.
const FOREIGN: [(&str, &str); 12] = [
    ("==", "`=`"),
    ("=~", "`contains`"),
    ("=>", "`>=`"),
    ("=<", "`<=`"),
    ("<>", "`!=`"),
    ("!~", "`not contains`"),
    ("&&", "`and`"),
    ("||", "`or`"),
    ("&", "`and`"),
    ("|", "`or`"),
    ("~", "`contains`"),
    ("!", "`not`"),
];

/// Takes a filter apart. The last token is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Problem> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '[' => (Token::OpenList, 1),
            ']' => (Token::CloseList, 1),
            ',' => (Token::Comma, 1),
            '\'' | '"' => quoted(rest, first).ok_or_else(|| unclosed(at..text.len(), first))?,
            _ if is_word_char(first) => (Token::Word, rest.find(|c| !is_word_char(c)).unwrap_or(rest.len())),
            _ => operator(rest).ok_or_else(|| unknown(rest, at))?,
        };
        tokens.push(Placed { token, span: at..at + length });
        at += length;
    }
    tokens.push(Placed { token: Token::End, span: text.trim_end().len()..text.len() });
    Ok(tokens)
}

fn is_word_char(c: char) -> bool {
    c.is_alphanumeric() || WORD_CHARS.contains(c)
}

/// The text between quotes, of which one that is doubled stands for itself, and the length with them.
fn quoted(rest: &str, quote: char) -> Option<(Token, usize)> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            text.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            text.push(quote);
        } else {
            return Some((Token::Quoted(text), at + 1));
        }
    }
    None
}

fn operator(rest: &str) -> Option<(Token, usize)> {
    if FOREIGN.iter().any(|(foreign, _)| foreign.len() == 2 && rest.starts_with(foreign)) {
        return None;
    }
    let operators = [Operator::NotEqual, Operator::AtMost, Operator::AtLeast, Operator::Equal, Operator::Less, Operator::Greater];
    let operator = operators.into_iter().find(|operator| rest.starts_with(operator.as_str()))?;
    Some((Token::Operator(operator), operator.as_str().len()))
}

fn unclosed(span: Range<usize>, quote: char) -> Problem {
    let hint = format!("close it with {quote}; one inside the text is written twice");
    Problem { message: "the quote is not closed".to_owned(), span, hint: Some(hint) }
}

fn unknown(rest: &str, at: usize) -> Problem {
    if let Some((foreign, known)) = FOREIGN.iter().find(|(foreign, _)| rest.starts_with(foreign)) {
        return Problem {
            message: format!("`{foreign}` is no operator"),
            span: at..at + foreign.len(),
            hint: Some(format!("write {known}")),
        };
    }
    let first = rest.chars().next().unwrap_or_default();
    Problem {
        message: format!("{} means nothing here", quote(&first.to_string())),
        span: at..at + first.len_utf8(),
        hint: Some("put text with spaces or unusual characters in quotes: 'like this'".to_owned()),
    }
}
