//! What is asked, with what was not said filled in.

use offramp_domain::compare::{Cost, Factor, Metric, Options, Unit};
use offramp_domain::filter::Filter;
use offramp_domain::statistics::Bootstrap;
use offramp_domain::table;
use offramp_proto::v1;

use super::ComparisonError;

/// A question, understood.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) options: Options,
    /// Over `v_jobs`.
    pub(super) filter: Option<Filter>,
}

impl Question {
    pub(super) fn of_comparison(request: &v1::CompareRequest) -> Result<(Self, Factor), ComparisonError> {
        let factor = if request.by.is_empty() { Factor::Pattern } else { Factor::parse(&request.by)? };
        let options = Options {
            metric: metric(&request.metric, request.at_cost, request.at_share, factor)?,
            unit: match request.unit.as_str() {
                "" => Unit::default(),
                name => Unit::parse(name).ok_or_else(|| ComparisonError::Unit(name.chars().take(100).collect()))?,
            },
            bootstrap: bootstrap(request.confidence, request.resamples),
            baseline: Some(request.baseline.clone()).filter(|baseline| !baseline.is_empty()),
        };
        Ok((Self { options, filter: filter(&request.r#where)? }, factor))
    }

    pub(super) fn of_cells(request: &v1::ListCellsRequest) -> Result<Self, ComparisonError> {
        let options = Options {
            metric: metric(&request.metric, request.at_cost, request.at_share, Factor::Pattern)?,
            bootstrap: bootstrap(request.confidence, request.resamples),
            ..Options::default()
        };
        Ok(Self { options, filter: filter(&request.r#where)? })
    }

    pub(super) fn of_sweeps(request: &v1::DiffSweepsRequest) -> Result<Self, ComparisonError> {
        let options = Options {
            metric: metric(&request.metric, request.at_cost, request.at_share, Factor::Sweep)?,
            bootstrap: bootstrap(request.confidence, request.resamples),
            ..Options::default()
        };
        Ok(Self { options, filter: None })
    }
}

fn metric(name: &str, macs: Option<f64>, share: Option<f64>, factor: Factor) -> Result<Metric, ComparisonError> {
    let cost = match (macs, share) {
        (Some(_), Some(_)) => return Err(ComparisonError::Cost("the cost is given twice, as MACs and as a share")),
        (Some(macs), None) => Some(Cost::Macs(macs)),
        (None, Some(share)) => Some(Cost::Share(share)),
        (None, None) => None,
    };
    if cost.is_some_and(|(Cost::Macs(number) | Cost::Share(number))| !(number.is_finite() && number > 0.0)) {
        return Err(ComparisonError::Cost("the cost is not a number above 0"));
    }
    match (name.replace('-', "_").as_str(), cost) {
        ("" | "accuracy_at", Some(cost)) => Ok(Metric::AccuracyAt(cost)),
        ("accuracy_at", None) => Err(ComparisonError::Cost("`accuracy_at` is without a cost")),
        ("", None) if factor.is_across_areas() => Ok(Metric::FinalAccuracy),
        ("", None) => Ok(Metric::Area),
        (_, Some(_)) => Err(ComparisonError::Cost("a cost is of the metric `accuracy_at` alone")),
        (_, None) => Ok(Metric::parse(name)?),
    }
}

fn bootstrap(confidence: f64, resamples: u32) -> Bootstrap {
    let usual = Bootstrap::default();
    Bootstrap {
        confidence: if confidence == 0.0 { usual.confidence } else { confidence },
        n_resamples: if resamples == 0 { usual.n_resamples } else { resamples as usize },
        ..usual
    }
}

fn filter(text: &str) -> Result<Option<Filter>, ComparisonError> {
    let view = table::view("v_jobs").expect("jobs are a view");
    if text.is_empty() { Ok(None) } else { Ok(Some(Filter::parse(text, view)?)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, macs: Option<f64>, share: Option<f64>, factor: Factor) -> Result<Metric, String> {
        metric(name, macs, share, factor).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_filled_in() {
        let (question, factor) = Question::of_comparison(&v1::CompareRequest::default()).unwrap();
        assert_eq!((question.options, factor), (Options::default(), Factor::Pattern));
        assert!(question.filter.is_none());
        assert_eq!(of("", None, None, Factor::Dataset), Ok(Metric::FinalAccuracy));
        assert_eq!(of("", Some(2e7), None, Factor::Pattern), Ok(Metric::AccuracyAt(Cost::Macs(2e7))));
        assert_eq!(of("accuracy-at", None, Some(0.5), Factor::Pattern), Ok(Metric::AccuracyAt(Cost::Share(0.5))));
        assert_eq!(of("best-accuracy", None, None, Factor::Pattern), Ok(Metric::BestAccuracy));
    }

    #[test]
    fn costs_belong_to_their_metric() {
        let refused = |name, macs, share| of(name, macs, share, Factor::Pattern).unwrap_err();
        assert_eq!(refused("area", Some(1.0), None), "a cost is of the metric `accuracy_at` alone");
        assert_eq!(refused("accuracy_at", None, None), "`accuracy_at` is without a cost");
        assert_eq!(refused("", Some(1.0), Some(0.5)), "the cost is given twice, as MACs and as a share");
        for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(refused("", Some(wrong), None), "the cost is not a number above 0");
        }
    }

    #[test]
    fn what_cannot_be_understood_has_a_hint() {
        let refused = |request: &v1::CompareRequest| {
            let error = Question::of_comparison(request).unwrap_err();
            (error.to_string(), error.hint().unwrap_or_default())
        };
        let by = v1::CompareRequest { by: "patern".into(), ..Default::default() };
        assert_eq!(refused(&by), ("cells can't be compared by `patern`".into(), "did you mean `pattern`?".into()));
        let metric = v1::CompareRequest { metric: "aera".into(), ..Default::default() };
        assert_eq!(refused(&metric), ("no metric is called `aera`".into(), "did you mean `area`?".into()));
        let unit = v1::CompareRequest { unit: "job\u{1b}".into(), ..Default::default() };
        assert_eq!(refused(&unit).0, "a pair is a `seed` or a `block`, not `job\\u{1b}`");
        let filter = v1::CompareRequest { r#where: "bakbone = resnet8".into(), ..Default::default() };
        assert!(refused(&filter).1.contains("`backbone`"), "{:?}", refused(&filter));
    }
}
