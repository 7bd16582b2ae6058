//! `offramp plot`: results as figures.
//!
//! - [`groups`]: which jobs are compared in one panel, and over which seeds.
//! - [`drawn`]: figures from rows.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use offramp_domain::filter::Filter;
use offramp_domain::table::{self, Value};
use offramp_figures::{Figure, Look, Theme};
use offramp_proto::v1;

use crate::args::{CostChoice, PictureArguments, PlotCommand, PlotHistoryArguments, PlotJobsArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Fields, say, write};
use crate::source::{Frontiers, Source};
use crate::text::{count, escape_control};

pub(crate) mod drawn;
mod groups;

/// Draws what the command line asks for.
pub(crate) async fn run(command: &PlotCommand) -> Result<Exit, Failure> {
    match command {
        PlotCommand::Frontier(arguments) => {
            // A picture that could not be written is not worth reading for.
            let picture = Picture::check(&arguments.picture)?;
            let jobs = read(&arguments.jobs, points(|_| true)).await?;
            let (axis, bands) = (arguments.axis, !arguments.no_bands);
            let lines = drawn::Lines { by: arguments.by, axis, knee: arguments.knee, bands };
            picture.write(drawn::frontier(&jobs, lines)?, &looked_for(&arguments.jobs, points_with(axis.cost)))
        }
        PlotCommand::Curves(arguments) => {
            let picture = Picture::check(&arguments.picture)?;
            let jobs = read(&arguments.jobs, points(|policy| policy == arguments.policy || policy == "fixed")).await?;
            let what = points_with(arguments.axis.cost);
            picture.write(drawn::curves(&jobs, &arguments.policy, arguments.axis)?, &looked_for(&arguments.jobs, what))
        }
        PlotCommand::Shares(arguments) => {
            let picture = Picture::check(&arguments.picture)?;
            let jobs = read(&arguments.jobs, points(|policy| policy == arguments.policy || policy == "fixed")).await?;
            let what = points_with(arguments.axis.cost);
            picture.write(drawn::leaving(&jobs, &arguments.policy, arguments.axis)?, &looked_for(&arguments.jobs, what))
        }
        PlotCommand::Learning(arguments) => {
            let picture = Picture::check(&arguments.picture)?;
            let jobs = read(&arguments.jobs, |detail| v1::JobDetail { job: detail.job, epochs: detail.epochs, ..v1::JobDetail::default() })
                .await?;
            picture.write(drawn::learning(&jobs)?, &looked_for(&arguments.jobs, "epochs"))
        }
        PlotCommand::History(arguments) => history(arguments).await,
        PlotCommand::Compare(arguments) => {
            let picture = Picture::check(&arguments.picture)?;
            let answer = Source::open(&arguments.source).await?.compare(arguments.request()).await?;
            picture.write(drawn::comparison(&answer), "nothing to compare: no two jobs with results differ in the factor alone")
        }
        PlotCommand::Ranks(arguments) => {
            let picture = Picture::check(&arguments.picture)?;
            let answer = Source::open(&arguments.source).await?.compare(arguments.request()).await?;
            let nothing = format!("no ranks to draw: {}", escape_control(&answer.friedman_missing));
            picture.write(drawn::ranks(&answer), &nothing)
        }
    }
}

async fn history(arguments: &PlotHistoryArguments) -> Result<Exit, Failure> {
    let picture = Picture::check(&arguments.picture)?;
    let sweep = (!arguments.global).then_some(arguments.sweep.as_str());
    let asked = Frontiers { sweep, grouping: arguments.by.grouping(), metric: arguments.cost.metric() };
    let answer = Source::open(&arguments.source).await?.frontier_history(&asked).await?;
    let of = sweep.map_or_else(|| "of all sweeps".to_owned(), |sweep| format!("of sweep `{}`", escape_control(sweep)));
    picture.write(drawn::history(&answer.points), &format!("nothing to draw: no result {of} has such a cost"))
}

/// Jobs read in one call; the most that a coordinator gives.
const PAGE: u32 = 10_000;

/// Keeps of a job its operating points under the policies that are wanted, and one of each other policy, to say which there are.
fn points(wanted: impl Fn(&str) -> bool) -> impl Fn(v1::JobDetail) -> v1::JobDetail {
    move |mut detail| {
        let mut others = HashSet::new();
        detail.operating_points.retain(|point| wanted(&point.policy) || others.insert(point.policy.clone()));
        v1::JobDetail { job: detail.job, operating_points: detail.operating_points, ..v1::JobDetail::default() }
    }
}

/// The finished jobs asked for, and of each what `keep` leaves: all that is known of thousands of jobs is much.
async fn read(asked: &PlotJobsArguments, keep: impl Fn(v1::JobDetail) -> v1::JobDetail) -> Result<Vec<v1::JobDetail>, Failure> {
    let filter = filter(&asked.filter)?;
    let source = Source::open(&asked.source).await?;
    let mut details = Vec::new();
    for page in 0.. {
        let request =
            v1::ListJobsRequest { sweep: asked.sweep.clone(), state: "succeeded".to_owned(), limit: PAGE, offset: u64::from(PAGE) * page };
        let jobs = source.jobs(request).await?;
        let is_last = jobs.len() < PAGE as usize;
        for job in jobs {
            if filter.as_ref().is_none_or(|filter| matches(filter, &job)) {
                details.push(keep(source.job(&job.job).await?));
            }
        }
        if is_last {
            break;
        }
    }
    Ok(details)
}

fn filter(text: &str) -> Result<Option<Filter>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let view = table::view("v_jobs").map_err(|error| Failure::new(anyhow::Error::new(error)))?;
    Filter::parse(text, view).map(Some).map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        let failure = Failure::with_exit(Exit::Usage, anyhow::Error::new(error));
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// Whether a job is wanted. Its fields have the names of the view's columns.
fn matches(filter: &Filter, job: &v1::JobRow) -> bool {
    let fields = match serde_json::to_value(job) {
        Ok(serde_json::Value::Object(fields)) => fields,
        other => unreachable!("a row is a struct with string keys and plain values, not {other:?}"),
    };
    filter.matches(&|column| value(&fields, column))
}

fn value(fields: &Fields, column: &str) -> Value {
    match fields.get(column) {
        Some(serde_json::Value::Bool(flag)) => Value::Flag(*flag),
        Some(serde_json::Value::String(text)) => Value::Text(text.clone()),
        Some(serde_json::Value::Number(number)) => match number.as_i64() {
            Some(integer) => Value::Integer(integer),
            None => number.as_f64().map_or(Value::Null, Value::Real),
        },
        _ => Value::Null,
    }
}

/// What a picture of such a cost is drawn from.
const fn points_with(cost: CostChoice) -> &'static str {
    match cost {
        CostChoice::Latency => "a measured latency (a sweep file asks for it under `[evaluation]`)",
        CostChoice::Macs | CostChoice::MacsSelected | CostChoice::Params => "operating points to draw",
    }
}

fn looked_for(asked: &PlotJobsArguments, what: &str) -> String {
    let sweep = escape_control(&asked.sweep);
    let filter = if asked.filter.is_empty() { String::new() } else { format!(" where {}", escape_control(&asked.filter)) };
    format!("nothing to draw: no finished job of sweep `{sweep}`{filter} has {what}")
}

/// What a picture is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Stdout,
    Svg,
    Png,
}

/// Where a picture goes, checked.
struct Picture<'a> {
    arguments: &'a PictureArguments,
    kind: Kind,
}

impl<'a> Picture<'a> {
    fn check(arguments: &'a PictureArguments) -> Result<Self, Failure> {
        let kind = kind(&arguments.out)?;
        let path = arguments.out.display();
        if kind != Kind::Png && arguments.width.is_some() {
            let error = anyhow::anyhow!("--width is in pixels, and `{path}` has none");
            return Err(Failure::with_exit(Exit::Usage, error).hint("name a .png file, or give --size in inches"));
        }
        if kind != Kind::Stdout && !arguments.force && arguments.out.exists() {
            return Err(Failure::new(anyhow::anyhow!("`{path}` is there already")).hint("replace it with --force, or name another file"));
        }
        Ok(Self { arguments, kind })
    }

    /// Draws the figure, or says why there is none.
    fn write(&self, figure: Option<Figure>, nothing: &str) -> Result<Exit, Failure> {
        let Some(figure) = figure else {
            say(nothing);
            return Ok(Exit::NothingMatched);
        };
        let theme = match self.arguments.theme.theme() {
            // Pixels cannot ask what their viewer likes.
            Theme::Auto if self.kind == Kind::Png => Theme::Light,
            theme => theme,
        };
        let look = Look { theme, size: self.arguments.size };
        let svg = offramp_figures::svg(&figure, look);
        let bytes = match self.kind {
            Kind::Stdout => {
                write(&svg)?;
                return Ok(Exit::Ok);
            }
            Kind::Svg => svg.into_bytes(),
            Kind::Png => {
                let pixels = self.arguments.width.unwrap_or((self.arguments.size.width_inches() * 300.0).round() as u32);
                offramp_figures::png(&svg, pixels).map_err(|error| Failure::new(anyhow::Error::new(error)))?
            }
        };
        let path = &self.arguments.out;
        let unwritable = |error| Failure::new(anyhow::Error::new(error).context(format!("cannot write `{}`", path.display())));
        let mut options = std::fs::OpenOptions::new();
        // Another program may have made the file since it was looked for.
        let options = if self.arguments.force { options.create(true).truncate(true) } else { options.create_new(true) };
        let mut file = options.write(true).open(path).map_err(unwritable)?;
        file.write_all(&bytes).map_err(unwritable)?;
        say(&format!("drawn in {} ({})", path.display(), count(bytes.len() as u64, "byte")));
        Ok(Exit::Ok)
    }
}

fn kind(out: &Path) -> Result<Kind, Failure> {
    if out == Path::new("-") {
        return Ok(Kind::Stdout);
    }
    let extension = out.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "svg" => Ok(Kind::Svg),
        "png" => Ok(Kind::Png),
        _ => {
            let error = anyhow::anyhow!("`{}` is neither an .svg nor a .png file", out.display());
            Err(Failure::with_exit(Exit::Usage, error).hint("end the name in .svg or .png, or write SVG to stdout with `--out -`"))
        }
    }
}

#[cfg(test)]
mod tests;
