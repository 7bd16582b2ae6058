//! Domain types to messages and back.

use offramp_domain::job::JobKey;
use offramp_domain::outcome;

use crate::v1;

/// A message that cannot be taken, and the field at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A required message or value is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A value outside its range.
    #[error("`{field}` is {value}, expected {expected}")]
    Range {
        /// The field's name.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it may hold.
        expected: &'static str,
    },
}

impl From<outcome::Progress> for v1::Progress {
    fn from(progress: outcome::Progress) -> Self {
        Self {
            epoch: progress.epoch,
            n_epochs: progress.n_epochs,
            loss: progress.loss,
            exit_accuracy: progress.exit_accuracy,
            images_per_second: progress.images_per_second,
        }
    }
}

impl TryFrom<v1::Progress> for outcome::Progress {
    type Error = DecodeError;

    fn try_from(progress: v1::Progress) -> Result<Self, DecodeError> {
        // The loss may be anything: a run on its way to diverging reports what it sees.
        for accuracy in &progress.exit_accuracy {
            share("progress.exit_accuracy", *accuracy)?;
        }
        at_least_zero("progress.images_per_second", progress.images_per_second)?;
        Ok(Self {
            epoch: progress.epoch,
            n_epochs: progress.n_epochs,
            loss: progress.loss,
            exit_accuracy: progress.exit_accuracy,
            images_per_second: progress.images_per_second,
        })
    }
}

impl From<outcome::Outcome> for v1::Outcome {
    fn from(outcome: outcome::Outcome) -> Self {
        Self {
            exits: outcome.exits.into_iter().map(Into::into).collect(),
            operating_points: outcome.operating_points.into_iter().map(Into::into).collect(),
            n_train: outcome.n_train,
            n_calibration: outcome.n_calibration,
            n_test: outcome.n_test,
            train_seconds: outcome.train_seconds,
            trainer: outcome.trainer,
            records: outcome.records.map(Into::into),
        }
    }
}

impl TryFrom<v1::Outcome> for outcome::Outcome {
    type Error = DecodeError;

    fn try_from(outcome: v1::Outcome) -> Result<Self, DecodeError> {
        if outcome.exits.is_empty() {
            return Err(DecodeError::Missing("outcome.exits"));
        }
        if outcome.operating_points.is_empty() {
            return Err(DecodeError::Missing("outcome.operating_points"));
        }
        let n_exits = outcome.exits.len();
        at_least_zero("outcome.train_seconds", outcome.train_seconds)?;
        Ok(Self {
            exits: outcome.exits.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            operating_points: outcome
                .operating_points
                .into_iter()
                .map(|point| operating_point(point, n_exits))
                .collect::<Result<_, _>>()?,
            n_train: outcome.n_train,
            n_calibration: outcome.n_calibration,
            n_test: outcome.n_test,
            train_seconds: outcome.train_seconds,
            trainer: outcome.trainer,
            records: outcome.records.map(TryInto::try_into).transpose()?,
        })
    }
}

impl From<outcome::Artifact> for v1::Artifact {
    fn from(artifact: outcome::Artifact) -> Self {
        Self { path: artifact.path, bytes: artifact.bytes, sha256: artifact.sha256 }
    }
}

impl TryFrom<v1::Artifact> for outcome::Artifact {
    type Error = DecodeError;

    fn try_from(artifact: v1::Artifact) -> Result<Self, DecodeError> {
        let v1::Artifact { path, bytes, sha256 } = artifact;
        if !path.starts_with('/') || path.len() > PATH_MAX_BYTES || path.chars().any(char::is_control) {
            let expected = "an absolute path of at most 4,096 bytes without control characters";
            return Err(DecodeError::Range { field: "outcome.records.path", value: quoted(&path), expected });
        }
        if sha256.len() != 64 || !sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            let expected = "64 lower-case hexadecimal digits";
            return Err(DecodeError::Range { field: "outcome.records.sha256", value: quoted(&sha256), expected });
        }
        if i64::try_from(bytes).is_err() {
            let expected = "the size of a file";
            return Err(DecodeError::Range { field: "outcome.records.bytes", value: bytes.to_string(), expected });
        }
        Ok(Self { path, bytes, sha256 })
    }
}

/// Linux takes no longer paths.
const PATH_MAX_BYTES: usize = 4_096;

impl From<outcome::ExitResult> for v1::ExitResult {
    fn from(exit: outcome::ExitResult) -> Self {
        Self {
            accuracy: exit.accuracy,
            loss: exit.loss,
            calibration_accuracy: exit.calibration_accuracy,
            calibration_loss: exit.calibration_loss,
            top5_accuracy: exit.top5_accuracy,
            ece: exit.ece,
            calibration_top5_accuracy: exit.calibration_top5_accuracy,
            calibration_ece: exit.calibration_ece,
        }
    }
}

impl TryFrom<v1::ExitResult> for outcome::ExitResult {
    type Error = DecodeError;

    fn try_from(exit: v1::ExitResult) -> Result<Self, DecodeError> {
        share("exit.accuracy", exit.accuracy)?;
        share("exit.calibration_accuracy", exit.calibration_accuracy)?;
        at_least_zero("exit.loss", exit.loss)?;
        at_least_zero("exit.calibration_loss", exit.calibration_loss)?;
        for (field, value) in [
            ("exit.top5_accuracy", exit.top5_accuracy),
            ("exit.ece", exit.ece),
            ("exit.calibration_top5_accuracy", exit.calibration_top5_accuracy),
            ("exit.calibration_ece", exit.calibration_ece),
        ] {
            value.map_or(Ok(()), |value| share(field, value))?;
        }
        Ok(Self {
            accuracy: exit.accuracy,
            loss: exit.loss,
            calibration_accuracy: exit.calibration_accuracy,
            calibration_loss: exit.calibration_loss,
            top5_accuracy: exit.top5_accuracy,
            ece: exit.ece,
            calibration_top5_accuracy: exit.calibration_top5_accuracy,
            calibration_ece: exit.calibration_ece,
        })
    }
}

impl From<outcome::OperatingPoint> for v1::OperatingPoint {
    fn from(point: outcome::OperatingPoint) -> Self {
        Self {
            policy: point.policy,
            setting: point.setting,
            macs_cascade: point.macs_cascade,
            macs_selected: point.macs_selected,
            accuracy: point.accuracy,
            calibration_accuracy: point.calibration_accuracy,
            calibration_macs_cascade: point.calibration_macs_cascade,
            exit_shares: point.exit_shares,
            latency_us: point.latency_us,
            images_per_second: point.images_per_second,
        }
    }
}

fn operating_point(point: v1::OperatingPoint, n_exits: usize) -> Result<outcome::OperatingPoint, DecodeError> {
    share("operating_point.accuracy", point.accuracy)?;
    share("operating_point.calibration_accuracy", point.calibration_accuracy)?;
    at_least_zero("operating_point.macs_cascade", point.macs_cascade)?;
    at_least_zero("operating_point.macs_selected", point.macs_selected)?;
    at_least_zero("operating_point.calibration_macs_cascade", point.calibration_macs_cascade)?;
    for (field, value) in [("operating_point.latency_us", point.latency_us), ("operating_point.images_per_second", point.images_per_second)]
    {
        value.map_or(Ok(()), |value| at_least_zero(field, value))?;
    }
    for exit_share in &point.exit_shares {
        share("operating_point.exit_shares", *exit_share)?;
    }
    if point.exit_shares.len() != n_exits {
        let value = format!("{} values", point.exit_shares.len());
        return Err(DecodeError::Range { field: "operating_point.exit_shares", value, expected: "one value for each exit" });
    }
    let sum: f64 = point.exit_shares.iter().sum();
    if (sum - 1.0).abs() > SHARE_ROUNDING * n_exits as f64 {
        let value = format!("{sum} in all");
        return Err(DecodeError::Range { field: "operating_point.exit_shares", value, expected: "shares that sum to 1" });
    }
    policy_name(&point.policy)?;
    if !point.setting.is_finite() {
        let value = point.setting.to_string();
        return Err(DecodeError::Range { field: "operating_point.setting", value, expected: "a finite number" });
    }
    Ok(outcome::OperatingPoint {
        policy: point.policy,
        setting: point.setting,
        macs_cascade: point.macs_cascade,
        macs_selected: point.macs_selected,
        accuracy: point.accuracy,
        calibration_accuracy: point.calibration_accuracy,
        calibration_macs_cascade: point.calibration_macs_cascade,
        exit_shares: point.exit_shares,
        latency_us: point.latency_us,
        images_per_second: point.images_per_second,
    })
}

impl From<outcome::FailureKind> for v1::FailureKind {
    fn from(kind: outcome::FailureKind) -> Self {
        match kind {
            outcome::FailureKind::Failed => Self::Failed,
            outcome::FailureKind::Diverged => Self::Diverged,
            outcome::FailureKind::OutOfMemory => Self::OutOfMemory,
            outcome::FailureKind::Crashed => Self::Crashed,
            outcome::FailureKind::TimedOut => Self::TimedOut,
            outcome::FailureKind::NoData => Self::NoData,
        }
    }
}

/// Reads a failure kind off the wire.
///
/// # Errors
/// When it is unspecified or unknown.
pub fn failure_kind(kind: i32) -> Result<outcome::FailureKind, DecodeError> {
    match v1::FailureKind::try_from(kind) {
        Ok(v1::FailureKind::Failed) => Ok(outcome::FailureKind::Failed),
        Ok(v1::FailureKind::Diverged) => Ok(outcome::FailureKind::Diverged),
        Ok(v1::FailureKind::OutOfMemory) => Ok(outcome::FailureKind::OutOfMemory),
        Ok(v1::FailureKind::Crashed) => Ok(outcome::FailureKind::Crashed),
        Ok(v1::FailureKind::TimedOut) => Ok(outcome::FailureKind::TimedOut),
        Ok(v1::FailureKind::NoData) => Ok(outcome::FailureKind::NoData),
        Ok(v1::FailureKind::Unspecified) => Err(DecodeError::Missing("kind")),
        Err(_) => Err(DecodeError::Range { field: "kind", value: kind.to_string(), expected: "a known failure kind" }),
    }
}

/// Reads an attempt's identity off the wire: the fence of every worker write.
///
/// # Errors
/// When the message is missing, the key is not a job key, or the attempt is 0.
pub fn attempt_id(id: Option<&v1::AttemptId>) -> Result<(JobKey, u32), DecodeError> {
    let id = id.ok_or(DecodeError::Missing("attempt"))?;
    let key = JobKey::parse(&id.job_key).ok_or_else(|| DecodeError::Range {
        field: "attempt.job_key",
        value: quoted(&id.job_key),
        expected: "32 hexadecimal digits",
    })?;
    if id.attempt == 0 {
        return Err(DecodeError::Range { field: "attempt.attempt", value: "0".into(), expected: "at least 1" });
    }
    Ok((key, id.attempt))
}

/// Names of policies end up in tables and file names.
fn policy_name(name: &str) -> Result<(), DecodeError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=64).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err(DecodeError::Range { field: "operating_point.policy", value: quoted(name), expected: "1 to 64 characters of a-z, 0-9 and -" })
}

/// Text of a peer, bounded and escaped: it may hold anything, and ends up in logs.
fn quoted(text: &str) -> String {
    format!("`{}`", text.chars().take(40).collect::<String>().escape_debug())
}

/// How far rounding may take a share from its true value.
const SHARE_ROUNDING: f64 = 1e-9;

fn share(field: &'static str, value: f64) -> Result<(), DecodeError> {
    // Sums of shares may pass 1 by rounding.
    let valid = (0.0..=1.0 + SHARE_ROUNDING).contains(&value);
    if valid { Ok(()) } else { Err(DecodeError::Range { field, value: value.to_string(), expected: "0 to 1" }) }
}

fn at_least_zero(field: &'static str, value: f64) -> Result<(), DecodeError> {
    let valid = value.is_finite() && value >= 0.0;
    if valid { Ok(()) } else { Err(DecodeError::Range { field, value: value.to_string(), expected: "a finite number of at least 0" }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> v1::Outcome {
        let exit = v1::ExitResult {
            accuracy: 0.9,
            loss: 0.3,
            calibration_accuracy: 0.8,
            calibration_loss: 0.4,
            top5_accuracy: Some(0.99),
            ece: Some(0.03),
            calibration_top5_accuracy: Some(0.98),
            calibration_ece: Some(0.04),
        };
        let point = v1::OperatingPoint {
            policy: "max-softmax".into(),
            setting: 0.7,
            macs_cascade: 120.0,
            macs_selected: 100.0,
            accuracy: 0.9,
            calibration_accuracy: 0.8,
            calibration_macs_cascade: 118.0,
            exit_shares: vec![0.25, 0.75],
            latency_us: Some(250.0),
            images_per_second: Some(9_000.0),
        };
        v1::Outcome {
            exits: vec![exit; 2],
            operating_points: vec![point],
            n_train: 80,
            n_calibration: 10,
            n_test: 10,
            train_seconds: 1.5,
            trainer: "simulated".into(),
            records: Some(v1::Artifact { path: "/var/lib/a.parquet".into(), bytes: 9, sha256: "0f".repeat(32) }),
        }
    }

    #[test]
    fn outcome_survives_the_wire() {
        let decoded = outcome::Outcome::try_from(outcome()).unwrap();
        assert_eq!(v1::Outcome::from(decoded), outcome());
    }

    #[test]
    fn outcomes_of_earlier_versions_are_taken() {
        let mut message = outcome();
        message.records = None;
        message.operating_points[0].latency_us = None;
        message.operating_points[0].images_per_second = None;
        for exit in &mut message.exits {
            exit.top5_accuracy = None;
            exit.ece = None;
            exit.calibration_top5_accuracy = None;
            exit.calibration_ece = None;
        }
        let decoded = outcome::Outcome::try_from(message.clone()).unwrap();
        assert_eq!(v1::Outcome::from(decoded), message);
    }

    #[test]
    fn refused_outcomes_name_the_field() {
        let refusal = |spoil: fn(&mut v1::Outcome)| {
            let mut message = outcome();
            spoil(&mut message);
            outcome::Outcome::try_from(message).unwrap_err().to_string()
        };
        assert_eq!(refusal(|o| o.exits.clear()), "`outcome.exits` is missing");
        assert_eq!(refusal(|o| o.exits[1].accuracy = f64::NAN), "`exit.accuracy` is NaN, expected 0 to 1");
        assert_eq!(refusal(|o| o.exits[0].loss = -1.0), "`exit.loss` is -1, expected a finite number of at least 0");
        assert_eq!(
            refusal(|o| o.operating_points[0].exit_shares.push(0.0)),
            "`operating_point.exit_shares` is 3 values, expected one value for each exit"
        );
        assert_eq!(
            refusal(|o| o.operating_points[0].setting = f64::INFINITY),
            "`operating_point.setting` is inf, expected a finite number"
        );
        assert_eq!(refusal(|o| o.operating_points.clear()), "`outcome.operating_points` is missing");
        assert_eq!(refusal(|o| o.exits[0].ece = Some(1.5)), "`exit.ece` is 1.5, expected 0 to 1");
        assert_eq!(
            refusal(|o| o.operating_points[0].latency_us = Some(f64::NAN)),
            "`operating_point.latency_us` is NaN, expected a finite number of at least 0"
        );
        let records = |spoil: fn(&mut v1::Artifact)| {
            let mut message = outcome();
            message.records.as_mut().map(spoil);
            outcome::Outcome::try_from(message).unwrap_err().to_string()
        };
        for path in ["", "a.parquet", "/a\u{1b}[2J", &"/x".repeat(2_049)] {
            let mut message = outcome();
            message.records.as_mut().unwrap().path = path.into();
            let refusal = outcome::Outcome::try_from(message).unwrap_err().to_string();
            assert!(refusal.starts_with("`outcome.records.path` is `") && !refusal.contains('\u{1b}'), "{refusal}");
        }
        assert_eq!(
            records(|a| a.sha256 = "0F".repeat(32)),
            format!("`outcome.records.sha256` is `{}`, expected 64 lower-case hexadecimal digits", "0F".repeat(20))
        );
        assert!(records(|a| a.bytes = u64::MAX).starts_with("`outcome.records.bytes` is 18446744073709551615,"));
        let sum = refusal(|o| o.operating_points[0].exit_shares = vec![0.25, 0.5]);
        assert_eq!(sum, "`operating_point.exit_shares` is 0.75 in all, expected shares that sum to 1");
        let policy = |name: &str| {
            let mut message = outcome();
            message.operating_points[0].policy = name.into();
            outcome::Outcome::try_from(message)
        };
        for name in ["", "Fixed", "max softmax", "a\u{1b}[2J", &"x".repeat(65)] {
            let refusal = policy(name).unwrap_err().to_string();
            assert!(refusal.starts_with("`operating_point.policy` is `") && !refusal.contains('\u{1b}'), "{refusal}");
        }
        policy(&"x".repeat(64)).unwrap();
        policy("max-softmax2").unwrap();
    }

    #[test]
    fn shares_may_miss_1_by_rounding_alone() {
        let with = |shares: Vec<f64>| {
            let mut message = outcome();
            message.operating_points[0].exit_shares = shares;
            outcome::Outcome::try_from(message)
        };
        with(vec![0.25, 0.75 + 1.9e-9]).unwrap();
        with(vec![0.25, 0.75 - 1.9e-9]).unwrap();
        with(vec![0.25, 0.75 + 2.1e-9]).unwrap_err();
        with(vec![0.25, 0.75 - 2.1e-9]).unwrap_err();
    }

    #[test]
    fn attempt_ids_are_parsed_at_the_edge() {
        let id = |job_key: &str, attempt| attempt_id(Some(&v1::AttemptId { job_key: job_key.into(), attempt }));
        assert!(id("0123456789abcdef0123456789abcdef", 1).is_ok());
        assert_eq!(id("0123456789abcdef0123456789abcdef", 0).unwrap_err().to_string(), "`attempt.attempt` is 0, expected at least 1");
        assert_eq!(id("\u{1b}]0;x", 1).unwrap_err().to_string(), "`attempt.job_key` is `\\u{1b}]0;x`, expected 32 hexadecimal digits");
        assert_eq!(attempt_id(None).unwrap_err(), DecodeError::Missing("attempt"));
    }
}
