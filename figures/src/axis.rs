//! Axes: from values to places, and where the ticks are.

/// What a prediction costs, on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Expected MACs of a prediction.
    Macs,
    /// Trainable parameters.
    Params,
    /// Measured latency, in microseconds.
    LatencyUs,
}

/// What a number is, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Counted, with SI prefixes.
    Count,
    /// Microseconds, written as milliseconds.
    Microseconds,
    /// Shares, written in per cent.
    Share,
    /// Differences of shares, written as percentage points.
    Points,
    /// Whole numbers.
    Whole,
    /// Anything else, as it is.
    Plain,
}

impl Cost {
    /// The axis' words and unit.
    const fn words(self) -> (&'static str, Unit) {
        match self {
            Self::Macs => ("MACs per image", Unit::Count),
            Self::Params => ("parameters", Unit::Count),
            Self::LatencyUs => ("latency per image", Unit::Microseconds),
        }
    }
}

/// Values beyond this are left out, like those that are not finite: no cost is that large, and differences of doubles must not overflow.
const MOST: f64 = 1e18;

/// Whether a value can be drawn on such an axis.
pub(crate) fn drawable(value: f64, log: bool) -> bool {
    value.abs() <= MOST && (!log || value >= 1.0 / MOST)
}

/// One axis of a panel.
#[derive(Debug, Clone)]
pub(crate) struct Axis {
    /// What it shows, with the unit.
    pub(crate) label: String,
    low: f64,
    high: f64,
    log: bool,
    ticks: Ticks,
}

#[derive(Debug, Clone)]
enum Ticks {
    /// Numbers times the factor, and what follows each.
    Numbers { factor: f64, unit: Unit },
    /// Names at places.
    Names(Vec<(f64, String)>),
}

impl Axis {
    /// An axis over values. The range reaches to zero where that costs little room, and a little beyond the values everywhere else.
    pub(crate) fn new(label: &str, unit: Unit, values: impl IntoIterator<Item = f64>, log: bool) -> Self {
        let values = values.into_iter().filter(|value| drawable(*value, log));
        let bounds = values.fold(None, |bounds, value| {
            let (low, high) = bounds.unwrap_or((value, value));
            Some((value.min(low), value.max(high)))
        });
        let (low, high) = if log { log_range(bounds) } else { range(bounds, unit) };
        let (label, factor) = labelled(label, unit, low.abs().max(high.abs()), log);
        Self { label, low, high, log, ticks: Ticks::Numbers { factor, unit } }
    }

    /// An axis of costs.
    pub(crate) fn of_cost(cost: Cost, values: impl IntoIterator<Item = f64>, log: bool) -> Self {
        let (label, unit) = cost.words();
        Self::new(label, unit, values, log)
    }

    /// An axis that begins and ends where it is told.
    pub(crate) fn fixed(label: &str, unit: Unit, low: f64, high: f64) -> Self {
        let (label, factor) = labelled(label, unit, high.abs(), false);
        Self { label, low, high, log: false, ticks: Ticks::Numbers { factor, unit } }
    }

    /// An axis of so many names, from 0 downwards in steps of one.
    pub(crate) fn names(names: Vec<String>) -> Self {
        let low = -(names.len() as f64) + 0.4;
        let names = names.into_iter().enumerate().map(|(index, name)| (-(index as f64), name)).collect();
        Self { label: String::new(), low, high: 0.6, log: false, ticks: Ticks::Names(names) }
    }

    /// The same axis, from the one value to the other.
    pub(crate) fn between(self, low: f64, high: f64) -> Self {
        Self { low, high, ..self }
    }

    /// Whether the ticks are names.
    pub(crate) const fn has_names(&self) -> bool {
        matches!(self.ticks, Ticks::Names(_))
    }

    /// Where the axis begins and ends.
    pub(crate) const fn ends(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Whether a value can be drawn here.
    pub(crate) fn takes(&self, value: f64) -> bool {
        drawable(value, self.log)
    }

    /// Where a value lies, from 0 at the axis' begin to 1 at its end; what lies beyond is put to the end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let along = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let (low, high) = (along(self.low), along(self.high));
        ((along(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// Ticks with their labels, at most so many.
    pub(crate) fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        match &self.ticks {
            Ticks::Names(names) => names.clone(),
            Ticks::Numbers { factor, unit } => {
                let (low, high) = (self.low * factor, self.high * factor);
                let marks = if self.log { log_ticks(low, high, most) } else { linear_ticks(low, high, most, *unit == Unit::Whole) };
                let prefixed = self.log && *unit == Unit::Count;
                let decimals = decimals(&marks);
                let written = |mark: f64| if prefixed { with_prefix(mark) } else { plain(mark, decimals, self.log) };
                marks.into_iter().map(|mark| (mark / factor, written(mark))).collect()
            }
        }
    }
}

/// The range of a linear axis.
fn range(bounds: Option<(f64, f64)>, unit: Unit) -> (f64, f64) {
    let Some((mut low, mut high)) = bounds else { return (0.0, 1.0) };
    let largest = low.abs().max(high.abs());
    if high - low <= largest * 1e-6 || high - low < 1.0 / MOST {
        let half = if largest < 1.0 / MOST { 0.5 } else { largest * 0.05 };
        (low, high) = (low - half, high + half);
    }
    let pad = (high - low) * 0.04;
    let to_zero = low >= 0.0 && low <= 0.3 * high && unit != Unit::Whole;
    let (low, high) = (if to_zero { 0.0 } else { low - pad }, high + pad);
    // Nothing is below 0 % or above 100 %.
    if unit == Unit::Share { (low.clamp(0.0, 0.99), high.min(1.0).max(low.clamp(0.0, 0.99) + 0.001)) } else { (low, high) }
}

fn log_range(bounds: Option<(f64, f64)>) -> (f64, f64) {
    let Some((low, high)) = bounds else { return (1.0, 10.0) };
    let pad = ((high / low).log10() * 0.04).max(0.02);
    (low * 10_f64.powf(-pad), high * 10_f64.powf(pad))
}

/// The label with its unit, and what values are multiplied with to be in it.
fn labelled(label: &str, unit: Unit, largest: f64, log: bool) -> (String, f64) {
    match unit {
        Unit::Count if log => (label.to_owned(), 1.0),
        Unit::Count => {
            let (factor, prefix) = prefix(largest);
            if prefix.is_empty() { (label.to_owned(), 1.0) } else { (format!("{label} ({prefix})"), factor.recip()) }
        }
        Unit::Microseconds => (format!("{label} (ms)"), 1e-3),
        Unit::Share => (format!("{label} (%)"), 100.0),
        Unit::Points => (format!("{label} (points)"), 100.0),
        Unit::Whole | Unit::Plain => (label.to_owned(), 1.0),
    }
}

/// The SI prefix that leaves a number between 1 and 1,000.
fn prefix(value: f64) -> (f64, &'static str) {
    let steps = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    steps.into_iter().find(|(factor, _)| value.abs() >= *factor).unwrap_or((1.0, ""))
}

fn with_prefix(value: f64) -> String {
    let (factor, prefix) = prefix(value * (1.0 + 1e-12));
    let number = significant(value / factor);
    if prefix.is_empty() { number } else { format!("{number} {prefix}") }
}

/// A number with four digits at most, without zeros at its end.
fn significant(value: f64) -> String {
    let magnitude = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    if magnitude < -6 {
        return format!("{value:e}");
    }
    let text = format!("{value:.*}", usize::try_from(3 - magnitude).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn plain(value: f64, decimals: usize, log: bool) -> String {
    if log || value.abs() >= 1e7 || (value != 0.0 && decimals > 6) {
        return if value.abs() >= 1e7 { format!("{value:e}") } else { significant(value) };
    }
    let text = format!("{value:.decimals$}");
    // A minus sign that is as wide as a plus, and none before nothing.
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|digit| matches!(digit, '0' | '.')) => rest.to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None => text,
    }
}

/// How many decimals tell marks at even steps apart.
fn decimals(marks: &[f64]) -> usize {
    let step = marks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    if step.is_finite() && step > 0.0 {
        return (-(step * 1.000_001).log10().floor()).clamp(0.0, 12.0) as usize;
    }
    // One mark alone, which is a multiple of a power of ten by a digit.
    let size = marks.first().map_or(0.0, |mark| mark.abs());
    if size > 0.0 { (-(size * 1.000_001).log10().floor()).clamp(0.0, 12.0) as usize } else { 0 }
}

/// Multiples of 1, 2 or 5 times a power of ten, at most so many.
fn linear_ticks(low: f64, high: f64, most: usize, whole: bool) -> Vec<f64> {
    let raw = (high - low) / most.max(1) as f64;
    let magnitude = 10_f64.powf(raw.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0].map(|part| part * magnitude);
    let fit = |step: f64| {
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        (first, (last - first + 1.0).max(0.0))
    };
    let step =
        steps.into_iter().filter(|step| !whole || *step >= 1.0).find(|step| fit(*step).1 <= most as f64).unwrap_or(steps[4].max(1.0));
    let (first, n) = fit(step);
    (0..(n as usize).min(most)).map(|index| (first + index as f64) * step).collect()
}

/// Powers of ten with their 2- and 5-fold where there is room; on short ranges even steps.
fn log_ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let inside = |parts: &[f64], every: usize| {
        let decades = (first..=last).filter(|decade| decade.rem_euclid(every as i32) == 0);
        let marks = decades.flat_map(|decade| parts.iter().map(move |part| part * 10_f64.powi(decade)));
        marks.filter(|mark| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(mark)).collect::<Vec<f64>>()
    };
    let rich = inside(&[1.0, 2.0, 5.0], 1);
    if rich.len() < 3 {
        return linear_ticks(low, high, most, false).into_iter().filter(|mark| *mark > 0.0).collect();
    }
    if rich.len() <= most {
        return rich;
    }
    // At a spacing of all decades there is one mark at most.
    let spacings = 1..=usize::try_from(last - first).unwrap_or(0) + 1;
    spacings.map(|every| inside(&[1.0], every)).find(|marks| marks.len() <= most).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, most: usize) -> Vec<String> {
        axis.ticks(most).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_in_the_unit_of_the_label() {
        let macs = Axis::of_cost(Cost::Macs, [14.6e6, 54.7e6], false);
        assert_eq!(
            (macs.label.as_str(), labels(&macs, 6)),
            ("MACs per image (M)", ["0", "10", "20", "30", "40", "50"].map(String::from).to_vec())
        );
        let latency = Axis::of_cost(Cost::LatencyUs, [900.0, 1_300.0], false);
        assert_eq!(
            (latency.label.as_str(), labels(&latency, 5)),
            ("latency per image (ms)", ["0.9", "1.0", "1.1", "1.2", "1.3"].map(String::from).to_vec())
        );
        let accuracy = Axis::new("accuracy", Unit::Share, [0.514, 0.737], false);
        assert_eq!((accuracy.label.as_str(), labels(&accuracy, 5)), ("accuracy (%)", ["55", "60", "65", "70"].map(String::from).to_vec()));
        let points = Axis::new("difference", Unit::Points, [-0.021, 0.034], false);
        assert_eq!(labels(&points, 7), ["\u{2212}2", "\u{2212}1", "0", "1", "2", "3"].map(String::from));
    }

    #[test]
    fn epochs_are_whole() {
        let epochs = Axis::new("epoch", Unit::Whole, [1.0, 2.0], false);
        assert_eq!(labels(&epochs, 8), ["1", "2"]);
    }

    #[test]
    fn logarithmic_ticks_have_prefixes() {
        let macs = Axis::of_cost(Cost::Macs, [2e5, 3e9], true);
        assert_eq!((macs.label.as_str(), labels(&macs, 6)), ("MACs per image", ["1 M", "10 M", "100 M", "1 G"].map(String::from).to_vec()));
        let short = Axis::of_cost(Cost::Macs, [2.1e7, 4.4e7], true);
        assert_eq!(labels(&short, 6), ["25 M", "30 M", "35 M", "40 M", "45 M"]);
        assert_eq!(labels(&Axis::of_cost(Cost::Macs, [1e6, 3e7], true), 6), ["1 M", "2 M", "5 M", "10 M", "20 M"]);
    }

    #[test]
    fn places_are_between_the_ends() {
        let axis = Axis::of_cost(Cost::Macs, [1e6, 1e8], true);
        assert!((axis.place(1e7) - 0.5).abs() < 1e-12);
        assert_eq!((axis.place(0.0), axis.place(1e12)), (0.0, 1.0));
        assert!(!axis.takes(0.0) && !axis.takes(f64::NAN) && !axis.takes(f64::INFINITY));
    }

    #[test]
    fn a_single_value_has_a_range_around_it() {
        for value in [0.0, 1e-30, 5.0, -3.0, 1e18] {
            let (low, high) = Axis::new("x", Unit::Plain, [value], false).ends();
            assert!(low <= value && value <= high && high > low, "{value}: {low} {high}");
        }
        assert_eq!(Axis::new("x", Unit::Share, [1.0], false).ends().1, 1.0);
        assert_eq!(Axis::new("x", Unit::Plain, [], false).ends(), (0.0, 1.0));
    }
}
