//! Query strings, in the words of the command line: `?sweep=last&by=pattern&cost=params&where=seed+%3D+0&limit=10`.

use std::str::FromStr;

use offramp_domain::compare::Cost;
use offramp_domain::spelling;
use offramp_proto::v1;

use super::answer::Refusal;

/// Most parameters of one request.
const MOST: usize = 200;

/// What stands in a query string, taken out piece by piece.
#[derive(Debug)]
pub(super) struct Parameters {
    given: Vec<(String, String)>,
}

impl Parameters {
    /// Reads a query string that may have these parameters and no others.
    pub(super) fn read(query: Option<&str>, known: &[&'static str]) -> Result<Self, Refusal> {
        let given: Vec<(String, String)> =
            form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().take(MOST + 1).collect();
        if given.len() > MOST {
            return Err(Refusal::bad(format!("more than {MOST} parameters")));
        }
        if let Some((name, _)) = given.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            let refusal = Refusal::bad(format!("there is no parameter {}", spelling::quote(name)));
            return Err(match spelling::suggest(name, known.iter().copied()) {
                Some(meant) => refusal.hint(format!("did you mean `{meant}`?")),
                None if known.is_empty() => refusal.hint("there are none here"),
                None => refusal.hint(format!("there are `{}`", known.join("`, `"))),
            });
        }
        Ok(Self { given })
    }

    /// All values of a parameter that may be given several times, or once with commas.
    pub(super) fn several(&self, name: &str) -> Vec<String> {
        let values = self.given.iter().filter(|(given, _)| given == name).flat_map(|(_, value)| value.split(','));
        values.map(str::trim).filter(|value| !value.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// The value of a parameter, where it is given.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.given.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() { Err(Refusal::bad(format!("`{name}` is given twice"))) } else { Ok(first) }
    }

    /// The same as a number.
    pub(super) fn number<T: FromStr>(&self, name: &'static str, expected: &str) -> Result<Option<T>, Refusal> {
        let number = |text: &str| text.parse().map_err(|_| wrong(name, text, expected));
        self.text(name)?.map(number).transpose()
    }

    /// Whether a flag is given: `?global`, `?global=true`.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, Refusal> {
        match self.text(name)? {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(other) => Err(wrong(name, other, "true or false")),
        }
    }

    /// The sweep that is asked about, `last` where none is named; empty for all of them.
    pub(super) fn sweep(&self) -> Result<String, Refusal> {
        match (self.text("sweep")?, self.flag("global")?) {
            (Some(_), true) => Err(Refusal::bad("`sweep` and `global` contradict each other")),
            (None, true) => Ok(String::new()),
            (sweep, false) => Ok(sweep.filter(|sweep| !sweep.is_empty()).unwrap_or("last").to_owned()),
        }
    }

    /// The sweeps that are asked about, `last` where none is named; none for all of them.
    pub(super) fn sweeps(&self) -> Result<Vec<String>, Refusal> {
        let sweeps = self.several("sweep");
        match (sweeps.is_empty(), self.flag("all-sweeps")?) {
            (false, true) => Err(Refusal::bad("`sweep` and `all-sweeps` contradict each other")),
            (true, false) => Ok(vec!["last".to_owned()]),
            (_, _) => Ok(sweeps),
        }
    }

    /// The filter; empty where there is none.
    pub(super) fn filter(&self) -> Result<String, Refusal> {
        Ok(self.text("where")?.unwrap_or_default().to_owned())
    }

    /// How many rows; 0 where nothing is said.
    pub(super) fn limit(&self) -> Result<u32, Refusal> {
        match self.number("limit", "a whole number from 1 on")? {
            Some(0) => Err(wrong("limit", "0", "a whole number from 1 on")),
            limit => Ok(limit.unwrap_or_default()),
        }
    }

    pub(super) fn offset(&self) -> Result<u64, Refusal> {
        Ok(self.number("offset", "a whole number")?.unwrap_or_default())
    }

    pub(super) fn cost_metric(&self) -> Result<v1::CostMetric, Refusal> {
        self.choice(
            "cost",
            &[
                ("macs", v1::CostMetric::MacsCascade),
                ("macs-selected", v1::CostMetric::MacsSelected),
                ("params", v1::CostMetric::Params),
                ("latency", v1::CostMetric::LatencyUs),
            ],
        )
    }

    pub(super) fn grouping(&self) -> Result<v1::Grouping, Refusal> {
        let choices = [("dataset", v1::Grouping::Dataset), ("backbone", v1::Grouping::Backbone), ("pattern", v1::Grouping::Pattern)];
        self.choice("by", &choices)
    }

    /// One of several words; the first where nothing is said.
    fn choice<T: Copy>(&self, name: &'static str, choices: &[(&'static str, T)]) -> Result<T, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(choices[0].1) };
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
            return Ok(*chosen);
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let refusal = wrong(name, text, &format!("one of `{}`", words.join("`, `")));
        Err(match spelling::suggest(text, words.iter().copied()) {
            Some(meant) => refusal.hint(format!("did you mean `{meant}`?")),
            None => refusal,
        })
    }

    /// A cost of a sample: MACs, or a share of the backbone's.
    pub(super) fn at(&self) -> Result<(Option<f64>, Option<f64>), Refusal> {
        let Some(text) = self.text("at")? else { return Ok((None, None)) };
        match Cost::parse(text) {
            Some(Cost::Macs(macs)) => Ok((Some(macs), None)),
            Some(Cost::Share(share)) => Ok((None, Some(share))),
            None => Err(wrong("at", text, "MACs such as 20M, or a share of the backbone's MACs such as 50%")),
        }
    }

    /// A share, or per cent; 0 where nothing is said.
    pub(super) fn confidence(&self) -> Result<f64, Refusal> {
        let Some(text) = self.text("confidence")? else { return Ok(0.0) };
        let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 0.01));
        let share = number.trim().parse::<f64>().ok().map(|number| number * scale).filter(|share| (0.5..=0.9999).contains(share));
        share.ok_or_else(|| wrong("confidence", text, "a share from 0.5 to 0.9999, such as 0.95 or 95%"))
    }
}

fn wrong(name: &str, text: &str, expected: &str) -> Refusal {
    Refusal::bad(format!("`{name}` is {}, expected {expected}", spelling::quote(text)))
}
