//! What the simulated trainer is asked for: `epoch-ms=20,crash=0.1,hang=0.01`.

use std::str::FromStr;
use std::time::Duration;

/// Speed and faults of the simulated trainer. Parsed from `key=value` pairs, separated by commas; the empty text asks for no faults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Time of one epoch (`epoch-ms`; 20 ms unless told).
    pub epoch_time: Duration,
    /// Probability that an attempt aborts its process.
    pub crash: f64,
    /// Probability that an attempt stops reporting for ever.
    pub hang: f64,
    /// Probability that an attempt's loss becomes NaN.
    pub nan: f64,
    /// Probability that an attempt fails with an error.
    pub error: f64,
    /// Probability that an attempt runs out of memory.
    pub oom: f64,
    /// Probability that an attempt's epochs take ten times as long.
    pub slow: f64,
}

/// Every key that there is.
const KEYS: [&str; 7] = ["epoch-ms", "crash", "hang", "nan", "error", "oom", "slow"];

/// The longest epoch: an hour. Nobody waits longer for nothing.
const MAX_EPOCH_MS: u32 = 3_600_000;

/// How similar (Jaro-Winkler, 0 to 1) a key must be to be suggested.
const SIMILAR: f64 = 0.7;

/// What is wrong with the options' text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A piece without `=`.
    #[error("`{0}` is not of the form key=value")]
    Form(String),
    /// No option has this name.
    #[error("no simulation option is called `{key}`{}; known are {}", suggest(*.suggestion), KEYS.join(", "))]
    UnknownKey {
        /// The name.
        key: String,
        /// The most similar known one.
        suggestion: Option<&'static str>,
    },
    /// One option twice.
    #[error("`{0}` is given twice")]
    Repeated(&'static str),
    /// A value that the option cannot have.
    #[error("`{key}` is `{value}`, expected {expected}")]
    Value {
        /// The option.
        key: &'static str,
        /// What it was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
}

fn suggest(suggestion: Option<&str>) -> String {
    suggestion.map(|key| format!(", did you mean `{key}`?")).unwrap_or_default()
}

impl FromStr for Options {
    type Err = OptionsError;

    fn from_str(text: &str) -> Result<Self, OptionsError> {
        let mut options = Self { epoch_time: Duration::from_millis(20), crash: 0.0, hang: 0.0, nan: 0.0, error: 0.0, oom: 0.0, slow: 0.0 };
        let mut seen = Vec::new();
        for piece in text.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
            let (key, value) = piece.split_once('=').ok_or_else(|| OptionsError::Form(piece.into()))?;
            let (key, value) = (known(key.trim())?, value.trim());
            if seen.contains(&key) {
                return Err(OptionsError::Repeated(key));
            }
            seen.push(key);
            match key {
                "epoch-ms" => options.epoch_time = milliseconds(key, value)?,
                "crash" => options.crash = probability(key, value)?,
                "hang" => options.hang = probability(key, value)?,
                "nan" => options.nan = probability(key, value)?,
                "error" => options.error = probability(key, value)?,
                "oom" => options.oom = probability(key, value)?,
                _ => options.slow = probability(key, value)?,
            }
        }
        Ok(options)
    }
}

fn known(key: &str) -> Result<&'static str, OptionsError> {
    let similarity = |known: &str| strsim::jaro_winkler(known, &key.to_lowercase());
    KEYS.into_iter().find(|known| *known == key).ok_or_else(|| OptionsError::UnknownKey {
        key: key.into(),
        suggestion: KEYS
            .into_iter()
            .filter(|known| similarity(known) >= SIMILAR)
            .max_by(|left, right| similarity(left).total_cmp(&similarity(right))),
    })
}

fn milliseconds(key: &'static str, value: &str) -> Result<Duration, OptionsError> {
    match value.parse::<u32>() {
        Ok(ms) if ms <= MAX_EPOCH_MS => Ok(Duration::from_millis(ms.into())),
        _ => Err(OptionsError::Value { key, value: value.into(), expected: "milliseconds, 0 to 3600000" }),
    }
}

fn probability(key: &'static str, value: &str) -> Result<f64, OptionsError> {
    match value.parse::<f64>() {
        Ok(probability) if (0.0..=1.0).contains(&probability) => Ok(probability),
        _ => Err(OptionsError::Value { key, value: value.into(), expected: "a probability, 0 to 1" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_options() {
        let expected =
            Options { epoch_time: Duration::from_millis(5), crash: 0.1, hang: 0.01, nan: 0.05, error: 1.0, oom: 0.02, slow: 0.5 };
        assert_eq!("epoch-ms=5, crash=0.1,hang=0.01,nan=0.05,error=1,oom=0.02,slow=0.5,".parse(), Ok(expected));
        let plain = "".parse::<Options>().unwrap();
        assert_eq!(
            (plain.epoch_time, plain.crash + plain.hang + plain.nan + plain.error + plain.oom + plain.slow),
            (Duration::from_millis(20), 0.0)
        );
    }

    #[test]
    fn mistakes_are_named() {
        let message = |text: &str| text.parse::<Options>().unwrap_err().to_string();
        assert_eq!(
            message("crsh=0.1"),
            "no simulation option is called `crsh`, did you mean `crash`?; known are epoch-ms, crash, hang, nan, error, oom, slow"
        );
        assert_eq!(
            message("epochms=1"),
            "no simulation option is called `epochms`, did you mean `epoch-ms`?; known are epoch-ms, crash, hang, nan, error, oom, slow"
        );
        assert_eq!(message("zzz=1"), "no simulation option is called `zzz`; known are epoch-ms, crash, hang, nan, error, oom, slow");
        assert_eq!(message("crash"), "`crash` is not of the form key=value");
        assert_eq!(message("nan=0.1,nan=0.2"), "`nan` is given twice");
        assert_eq!(message("oom=1.5"), "`oom` is `1.5`, expected a probability, 0 to 1");
        assert_eq!(message("oom=NaN"), "`oom` is `NaN`, expected a probability, 0 to 1");
        assert_eq!(message("epoch-ms=-3"), "`epoch-ms` is `-3`, expected milliseconds, 0 to 3600000");
    }
}
