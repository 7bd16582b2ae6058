//! Small texts: quantities as people read them, and text from elsewhere made harmless.

use std::time::Duration;

/// MACs with a decimal prefix and four digits: `14.16 M`; below a thousand as they are.
pub(crate) fn macs(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value.abs() < 999.5 {
        return format!("{value:.0}");
    }
    let prefixes = ["k", "M", "G", "T", "P"];
    let mut scaled = value / 1e3;
    let mut prefix = 0;
    // 999.95 and up would be printed with five digits.
    while scaled.abs() >= 999.95 && prefix + 1 < prefixes.len() {
        scaled /= 1e3;
        prefix += 1;
    }
    format!("{} {}", four_digits(scaled), prefixes[prefix])
}

/// Bytes with a decimal prefix and four digits: `170.1 MB`.
pub(crate) fn bytes(n: u64) -> String {
    match macs(n as f64) {
        scaled if scaled.ends_with(|last: char| last.is_ascii_alphabetic()) => format!("{scaled}B"),
        few => format!("{few} B"),
    }
}

fn four_digits(value: f64) -> String {
    match value.abs() {
        size if size < 9.9995 => format!("{value:.3}"),
        size if size < 99.995 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    }
}

/// A share as per cent with two decimals: `97.21 %`.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.2} %", share * 100.0) } else { "-".to_owned() }
}

/// A relative error with its sign: `+0.12 %`; what rounds to nothing has none.
pub(crate) fn signed_percent(share: f64) -> String {
    let percent = share * 100.0;
    if !percent.is_finite() {
        "-".to_owned()
    } else if percent.abs() < 0.005 {
        "0.00 %".to_owned()
    } else {
        format!("{percent:+.2} %")
    }
}

/// A share as whole per cent, with decimals where there are any: `95 %`, `99.5 %`.
pub(crate) fn percent_whole(share: f64) -> String {
    // Two decimals at most: 0.999 in binary is a hair off.
    format!("{} %", (share * 1e4).round() / 1e2)
}

/// A difference with its sign and four decimals; what rounds to nothing has no sign.
pub(crate) fn signed(value: f64) -> String {
    if !value.is_finite() {
        "-".to_owned()
    } else if value.abs() < 5e-5 {
        "0.0000".to_owned()
    } else {
        format!("{value:+.4}")
    }
}

/// A difference of shares in percentage points, with its sign: `+1.25 pp`; what rounds to nothing has none.
pub(crate) fn points(difference: f64) -> String {
    signed_percent(difference).replace('%', "pp")
}

/// A p-value with two digits that count, or what it is below: `0.00024`, `< 1e-6`.
pub(crate) fn p_value(p: f64) -> String {
    if !p.is_finite() {
        return "-".to_owned();
    }
    if p < 1e-6 {
        return "< 1e-6".to_owned();
    }
    let decimals = (1.0 - p.log10().floor()).clamp(3.0, 7.0) as usize;
    format!("{p:.decimals$}")
}

/// A p-value in a sentence: `p = 0.00024`, `p < 1e-6`.
pub(crate) fn p_is(p: f64) -> String {
    let value = p_value(p);
    if value.starts_with('<') { format!("p {value}") } else { format!("p = {value}") }
}

/// A number as it is if it is whole, otherwise with four decimals.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        "-".to_owned()
    } else if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.4}")
    }
}

/// A span of time as people say it: `0.4 s`, `12.3 s`, `4m 05s`, `2h 03m`.
pub(crate) fn seconds(value: f64) -> String {
    if !value.is_finite() || value < 0.0 {
        return "-".to_owned();
    }
    if value < 59.95 {
        return format!("{value:.1} s");
    }
    let whole = value.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}h {minutes:02}m") } else { format!("{minutes}m {seconds:02}s") }
}

/// A time as ISO-8601 in UTC, to the second.
pub(crate) fn time(unix_microseconds: i64) -> String {
    jiff::Timestamp::from_microsecond(unix_microseconds)
        .map_or_else(|_| "-".to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A number of things: `1 job`, `16 jobs`.
pub(crate) fn count(n: u64, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// Escapes what could drive a terminal: control characters, and the invisible ones that reorder text.
pub(crate) fn escape_control(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        if character.is_control() || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
        escaped
    })
}

/// Quotes a word for a POSIX shell where it needs quotes.
pub(crate) fn shell_word(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./:=,@%+".contains(character);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Reads a duration: numbers with a unit (`ms`, `s`, `m`, `h`, `d`), one after another: `30s`, `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|character: char| character.is_ascii_digit()).len();
        let value: u64 = rest[..digits].parse().map_err(|_| DurationError::Number(text.to_owned()))?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|character: char| character.is_alphabetic()).len();
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "" => return Err(DurationError::NoUnit(text.to_owned())),
            unit => return Err(DurationError::Unit(unit.to_owned())),
        };
        rest = rest[letters..].trim_start();
        total_ms = value
            .checked_mul(unit_ms)
            .and_then(|part| total_ms.checked_add(part))
            .filter(|total| *total <= MAX_DURATION_MS)
            .ok_or(DurationError::TooLong)?;
    }
    Ok(Duration::from_millis(total_ms))
}

/// A year: longer waits are mistakes, and this far from overflow every clock can add one.
const MAX_DURATION_MS: u64 = 365 * 86_400_000;

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DurationError {
    /// Nothing there.
    #[error("empty; write a number with a unit, such as 30s, 5m or 1h")]
    Empty,
    /// No whole number where one is expected.
    #[error("`{0}` is not a duration; write a whole number with a unit, such as 30s, 5m or 1h")]
    Number(String),
    /// A bare number.
    #[error("`{0}` has no unit; write for example 30s, 5m or 1h")]
    NoUnit(String),
    /// A unit nobody knows.
    #[error("no unit is called `{0}`; known are ms, s, m, h and d")]
    Unit(String),
    /// Over a year.
    #[error("longer than a year")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macs_have_four_digits_and_a_prefix() {
        let cases = [
            (0.0, "0"),
            (640.0, "640"),
            (999.4, "999"),
            (999.6, "1.000 k"),
            (1_000.0, "1.000 k"),
            (9_999.6, "10.00 k"),
            (14_156_896.0, "14.16 M"),
            (99_996_000.0, "100.0 M"),
            (125_485_706.0, "125.5 M"),
            (999_949_999.0, "999.9 M"),
            (999_950_000.0, "1.000 G"),
            (4.09e9, "4.090 G"),
            (f64::NAN, "-"),
        ];
        for (value, expected) in cases {
            assert_eq!(macs(value), expected, "{value}");
        }
    }

    #[test]
    fn shares_are_per_cent() {
        assert_eq!(percent(0.97214), "97.21 %");
        assert_eq!(percent(1.0), "100.00 %");
        assert_eq!(percent(f64::NAN), "-");
        assert_eq!(signed_percent(0.0012), "+0.12 %");
        assert_eq!(signed_percent(-0.004), "-0.40 %");
        assert_eq!(signed_percent(-0.000_01), "0.00 %");
    }

    #[test]
    fn p_values_are_equal_to_something_or_below_it() {
        assert_eq!((p_value(0.000_244), p_is(0.000_244)), ("0.00024".to_owned(), "p = 0.00024".to_owned()));
        assert_eq!((p_value(1e-9), p_is(1e-9)), ("< 1e-6".to_owned(), "p < 1e-6".to_owned()));
        assert_eq!(p_is(f64::NAN), "p = -");
    }

    #[test]
    fn numbers_times_and_counts() {
        assert_eq!(number(0.5), "0.5000");
        assert_eq!(number(2.0), "2");
        assert_eq!(number(0.123_456), "0.1235");
        assert_eq!(number(f64::INFINITY), "-");
        assert_eq!(seconds(0.44), "0.4 s");
        assert_eq!(seconds(59.97), "1m 00s");
        assert_eq!(seconds(245.2), "4m 05s");
        assert_eq!(seconds(7_384.0), "2h 03m");
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        // date -u -d @1700000000 says so.
        assert_eq!(time(1_700_000_000_999_999), "2023-11-14T22:13:20Z");
        assert_eq!(time(i64::MAX), "-");
        assert_eq!(count(1, "job"), "1 job");
        assert_eq!(count(0, "job"), "0 jobs");
    }

    #[test]
    fn text_from_elsewhere_is_made_harmless() {
        assert_eq!(escape_control("a\u{1b}[31mb\tc\u{202e}d"), "a\\u{1b}[31mb\\tc\\u{202e}d");
        assert_eq!(escape_control("grün ±"), "grün ±");
        assert_eq!(shell_word("sweeps/digits.toml"), "sweeps/digits.toml");
        assert_eq!(shell_word("it's here"), r"'it'\''s here'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn durations_need_units() {
        let ms = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("250ms"), Ok(250));
        assert_eq!(ms("30s"), Ok(30_000));
        assert_eq!(ms("5m"), Ok(300_000));
        assert_eq!(ms("1h30m"), Ok(5_400_000));
        assert_eq!(ms(" 1d 2h "), Ok(93_600_000));
        assert_eq!(ms("0s"), Ok(0));
        assert_eq!(ms(""), Err(DurationError::Empty));
        assert_eq!(ms("30"), Err(DurationError::NoUnit("30".into())));
        assert_eq!(ms("1.5h"), Err(DurationError::NoUnit("1.5h".into())));
        assert_eq!(ms("-5s"), Err(DurationError::Number("-5s".into())));
        assert_eq!(ms("5 minutes"), Err(DurationError::NoUnit("5 minutes".into())));
        assert_eq!(ms("5parsec"), Err(DurationError::Unit("parsec".into())));
        assert_eq!(ms("99999999999999999999s"), Err(DurationError::Number("99999999999999999999s".into())));
        assert_eq!(ms("400d"), Err(DurationError::TooLong));
        assert_eq!(ms("18446744073709551615d"), Err(DurationError::TooLong));
    }
}
