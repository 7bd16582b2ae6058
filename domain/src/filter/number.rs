//! Numbers as people write them: `40M`, `25 %`, `1e-3`.

use std::cmp::Ordering;

/// A number with what it was written as. Equal where the values are.
#[derive(Debug, Clone)]
pub(super) struct Number {
    /// As it was written, without spaces.
    pub(super) text: String,
    /// The nearest double.
    pub(super) value: f64,
    /// The value, where it is a whole number of 64 bits: a double tells those apart up to 2^53 alone.
    exact: Option<i64>,
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value && self.exact == other.exact
    }
}

/// Suffixes, and the powers of ten that they are.
const SUFFIXES: [(char, i32); 6] = [('k', 3), ('M', 6), ('G', 9), ('T', 12), ('P', 15), ('%', -2)];

/// Whether a word is a suffix by itself, as in `14.16 M`.
pub(super) fn is_suffix(word: &str) -> bool {
    let mut chars = word.chars();
    let first = chars.next();
    chars.next().is_none() && SUFFIXES.iter().any(|(suffix, _)| Some(*suffix) == first)
}

impl Number {
    /// Reads a number; `None` where the text is none, or one past the largest double.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let suffix = SUFFIXES.iter().find_map(|&(suffix, power)| Some((text.strip_suffix(suffix)?, power)));
        let (digits, power) = suffix.unwrap_or((text, 0));
        let digits = digits.trim_end();
        // What Rust reads besides digits: `inf` and `nan`.
        if !digits.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'))
            || !digits.contains(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (digits, 0),
        };
        if mantissa.contains(['e', 'E']) || !mantissa.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        let power = exponent.checked_add(power)?;
        // The power is joined to the text, so that 7 % is 0.07 to the last bit.
        let value: f64 = format!("{mantissa}e{power}").parse().ok()?;
        value.is_finite().then(|| Self { text: text.split_whitespace().collect(), value, exact: exact(mantissa, power) })
    }

    /// How a whole number compares with it.
    pub(super) fn compare_integer(&self, integer: i64) -> Ordering {
        // 2^63.
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        if let Some(exact) = self.exact {
            return integer.cmp(&exact);
        }
        if self.value >= BEYOND {
            return Ordering::Less;
        }
        if self.value < -BEYOND {
            return Ordering::Greater;
        }
        let whole = self.value.floor();
        integer.cmp(&(whole as i64)).then(if self.value > whole { Ordering::Less } else { Ordering::Equal })
    }
}

/// `mantissa` times ten to the `power`, where that is a whole number of 64 bits.
fn exact(mantissa: &str, power: i32) -> Option<i64> {
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits: i128 = match format!("{whole}{fraction}").as_str() {
        "" | "+" | "-" => return Some(0),
        digits => digits.parse().ok()?,
    };
    let power = i64::from(power) - fraction.len() as i64;
    let scale = |power: i64| u32::try_from(power).ok().and_then(|power| 10_i128.checked_pow(power));
    let scaled = match power {
        _ if digits == 0 => 0,
        0.. => digits.checked_mul(scale(power)?)?,
        _ => {
            let divisor = scale(-power)?;
            (digits % divisor == 0).then_some(digits / divisor)?
        }
    };
    i64::try_from(scaled).ok()
}
