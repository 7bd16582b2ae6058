//! A figure of panels: one legend above them, and a grid of panels with axes. The legend lies outside the panels, so it covers no data.

use std::collections::BTreeSet;

use crate::Look;
use crate::axis::Axis;
use crate::canvas::{Anchor, Canvas, Letters, number};
use crate::lettering::{shortened, width};
use crate::style::{Ink, Style, colour, dash, marker};

/// Letter sizes: of labels and names, and of ticks.
const LABEL: f64 = 8.0;
const TICK: f64 = 7.0;
const MARGIN: f64 = 6.0;
/// Between panels.
const GAP: f64 = 12.0;
/// The least width of a panel with its labels: two fit a page, one a column.
const PANEL: f64 = 160.0;
/// Of the legend: the height of a row, the sample's width, and the room after each entry.
const ROW: f64 = 11.0;
const SAMPLE: f64 = 20.0;
const AFTER: f64 = 10.0;
/// The height of the area that data is drawn on, as a part of its width, its least and its most.
const SHAPE: f64 = 0.66;
const AREA_HEIGHT: (f64, f64) = (56.0, 190.0);
/// From one marker to the next on a line.
const APART: f64 = 9.0;
/// The height of a row where an axis has names.
const NAME: f64 = 14.0;

/// A figure, ready to be laid out.
#[derive(Debug)]
pub(crate) struct Drawing {
    /// What it shows, for those who cannot see it.
    pub(crate) title: String,
    /// What is in it, likewise.
    pub(crate) description: String,
    pub(crate) keys: Vec<Key>,
    pub(crate) panels: Vec<Panel>,
}

/// One entry of the legend.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) label: String,
    pub(crate) sample: Sample,
}

/// What an entry shows.
#[derive(Debug)]
pub(crate) enum Sample {
    /// A line with a marker.
    Series(Style),
    /// A line in no series' colour.
    Line,
    /// Markers joined by dots, in no series' colour.
    Exits,
    /// A point that is not on a frontier.
    Dominated,
    /// A shaded band.
    Band,
    /// A dot with whiskers, in the first series' colour.
    Interval,
    /// A ring.
    Knee,
    /// A filled square.
    Fill(String),
}

/// One drawing area with its axes.
#[derive(Debug)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) marks: Vec<Mark>,
    /// Texts right of the area, at values of y.
    pub(crate) notes: Vec<(f64, String)>,
}

/// What is drawn, in the values of the axes.
#[derive(Debug)]
pub(crate) enum Mark {
    /// A shaded area in a series' colour.
    Band { outline: Vec<(f64, f64)>, style: Style },
    /// A filled area in a colour of its own.
    Fill { outline: Vec<(f64, f64)>, colour: String },
    /// A line in a series' colour and dashes.
    Line { points: Vec<(f64, f64)>, style: Style },
    /// A thin line in a series' colour.
    Edge { points: Vec<(f64, f64)>, style: Style },
    /// A thin dotted line in a series' colour.
    Dotted { points: Vec<(f64, f64)>, style: Style },
    /// A series' markers.
    Markers { points: Vec<(f64, f64)>, style: Style },
    /// A series' markers along a line: not all where they would touch.
    Sparse { points: Vec<(f64, f64)>, style: Style },
    /// Small faint dots in a series' colour.
    Faint { points: Vec<(f64, f64)>, style: Style },
    /// A line with ends between two values, in a series' colour.
    Whisker { from: (f64, f64), to: (f64, f64), style: Style },
    /// A ring around a point.
    Ring { point: (f64, f64), style: Style },
    /// A line across the area at a value of x.
    Rule { x: f64 },
}

/// Lays a figure out and draws it.
pub(crate) fn render(drawing: &Drawing, look: Look) -> String {
    let layout = Layout::of(drawing, look);
    let mut canvas = Canvas::new(look.theme, (look.size.width, layout.height), &drawing.title, &drawing.description);
    legend(&mut canvas, drawing, &layout);
    for (index, panel) in drawing.panels.iter().enumerate() {
        draw(&mut canvas, panel, &layout, index, drawing.panels.len());
    }
    canvas.finish()
}

/// Where everything goes.
#[derive(Debug)]
struct Layout {
    width: f64,
    height: f64,
    legend_columns: usize,
    legend_entry: f64,
    columns: usize,
    /// Width of a cell; where each row of cells begins; the height of every area.
    cell_width: f64,
    rows: Vec<f64>,
    area_height: f64,
    /// Above, right of and left of the area, within a cell.
    above: f64,
    right: f64,
    left: f64,
    same_y_label: bool,
    y_label: f64,
}

impl Layout {
    fn of(drawing: &Drawing, look: Look) -> Self {
        let panels = &drawing.panels;
        let figure_width = look.size.width;
        let room = figure_width - 2.0 * MARGIN;
        let widest = drawing.keys.iter().map(|key| SAMPLE + 4.0 + width(&key.label, TICK, false) + AFTER).fold(0.0, f64::max);
        let legend_columns = if widest > 0.0 { (((room + AFTER) / widest).floor() as usize).clamp(1, drawing.keys.len()) } else { 1 };
        let legend_rows = drawing.keys.len().div_ceil(legend_columns);
        let top = MARGIN + legend_rows as f64 * ROW + if legend_rows > 0 { 4.0 } else { 0.0 };

        let at_most = (((room + GAP) / (PANEL + GAP)).floor() as usize).max(1);
        let n_rows = panels.len().div_ceil(at_most).max(1);
        let columns = panels.len().div_ceil(n_rows).max(1);
        let cell_width = (room - GAP * (columns - 1) as f64) / columns as f64;

        let y_labels: BTreeSet<&str> = panels.iter().map(|panel| panel.y.label.as_str()).collect();
        let same_y_label = y_labels.len() <= 1;
        let y_label = if y_labels.iter().all(|label| label.is_empty()) { 0.0 } else { LABEL + 4.0 };
        let gutter = |texts: Vec<String>| {
            let widest = texts.iter().map(|text| width(text, TICK, false)).fold(0.0, f64::max);
            widest.min(cell_width * 0.4)
        };
        let ticks = panels.iter().flat_map(|panel| panel.y.ticks(10)).map(|(_, label)| label).collect();
        // Where panels share what they show, its name stands at the left of each row alone; cells are of one width all the same.
        let left = y_label + gutter(ticks) + 5.0;
        let notes: Vec<String> = panels.iter().flat_map(|panel| &panel.notes).map(|(_, note)| note.clone()).collect();
        // The last tick's label is centred on the area's end.
        let right = if notes.is_empty() { 8.0 } else { (gutter(notes) + 8.0).min(cell_width * 0.35) };
        let line = |has: bool| if has { LABEL + 3.0 } else { 0.0 };
        let above =
            line(panels.iter().any(|panel| !panel.title.is_empty())) + line(panels.iter().any(|panel| !panel.subtitle.is_empty())) + 5.0;
        // What the axes show is named below the last panel of each column alone.
        let below = |row: usize| {
            let is_named = (row * columns..((row + 1) * columns).min(panels.len())).any(|index| index + columns >= panels.len());
            3.0 + TICK + 3.0 + if is_named { LABEL + 4.0 } else { 0.0 }
        };

        let area_width = (cell_width - left - right).max(20.0);
        let names = panels.iter().filter(|panel| panel.y.has_names()).map(|panel| panel.y.ticks(0).len()).max();
        let least = names.map_or(AREA_HEIGHT.0, |n_names| n_names as f64 * NAME);
        let natural = names.map_or((area_width * SHAPE).clamp(AREA_HEIGHT.0, AREA_HEIGHT.1), |n_names| n_names as f64 * NAME);
        let fixed = top + MARGIN + GAP * (n_rows - 1) as f64 + (0..n_rows).map(|row| above + below(row)).sum::<f64>();
        let area_height = look.size.height.map_or(natural, |height| ((height - fixed) / n_rows as f64).max(least));
        let height = look.size.height.unwrap_or(0.0).max(fixed + n_rows as f64 * area_height);
        let mut next = top;
        let rows = (0..n_rows).map(|row| {
            let begin = next;
            next += above + area_height + below(row) + GAP;
            begin
        });
        Self {
            width: figure_width,
            height,
            legend_columns,
            legend_entry: (room + AFTER) / legend_columns as f64,
            columns,
            cell_width,
            rows: rows.collect(),
            area_height,
            above,
            right,
            left,
            same_y_label,
            y_label,
        }
    }
}

fn legend(canvas: &mut Canvas, drawing: &Drawing, layout: &Layout) {
    let widest = drawing.keys.iter().map(|key| SAMPLE + 4.0 + width(&key.label, TICK, false) + AFTER).fold(0.0, f64::max);
    let entry = layout.legend_entry.min(widest);
    let letters = Letters { size: TICK, bold: false, anchor: Anchor::Start, ink: Ink::Text };
    for (index, key) in drawing.keys.iter().enumerate() {
        let x = MARGIN + (index % layout.legend_columns) as f64 * entry;
        let y = MARGIN + (index / layout.legend_columns) as f64 * ROW + ROW / 2.0;
        sample(canvas, &key.sample, x, y);
        let room = layout.width - MARGIN - x - SAMPLE - 4.0;
        canvas.text((x + SAMPLE + 4.0, y + TICK * 0.36), letters, &shortened(&key.label, room, TICK, false));
    }
}

fn sample(canvas: &mut Canvas, sample: &Sample, x: f64, y: f64) {
    let (middle, line) = ((x + SAMPLE / 2.0, y), [(x, y), (x + SAMPLE, y)]);
    match sample {
        Sample::Series(style) => {
            canvas.polyline(&line, &line_attributes(*style, 1.4));
            canvas.shape(marker(*style), middle, 1.0, &format!("fill=\"{}\"", colour(*style)));
        }
        Sample::Line => {
            let stroke = canvas.stroke(Ink::Faint, 1.4);
            canvas.polyline(&line, &stroke);
        }
        Sample::Exits => {
            let stroke = canvas.stroke(Ink::Faint, 0.8);
            canvas.polyline(&line, &format!("{stroke} stroke-dasharray=\"1 1.5\""));
            let fill = canvas.fill(Ink::Faint);
            for x in [x + 4.0, x + SAMPLE - 4.0] {
                canvas.circle((x, y), 2.4, &fill);
            }
        }
        Sample::Dominated => {
            let fill = canvas.fill(Ink::Faint);
            canvas.circle(middle, 1.2, &format!("{fill} fill-opacity=\"0.5\""));
        }
        Sample::Band => {
            let fill = canvas.fill(Ink::Faint);
            canvas.polygon(
                &[(x, y - 3.5), (x + SAMPLE, y - 3.5), (x + SAMPLE, y + 3.5), (x, y + 3.5)],
                &format!("{fill} fill-opacity=\"0.25\""),
            );
        }
        Sample::Interval => {
            let attributes = format!("fill=\"none\" stroke=\"{}\" stroke-width=\"1\"", colour(0));
            canvas.polyline(&line, &attributes);
            for end in [x, x + SAMPLE] {
                canvas.polyline(&[(end, y - 2.0), (end, y + 2.0)], &attributes);
            }
            canvas.shape(marker(0), middle, 1.0, &format!("fill=\"{}\"", colour(0)));
        }
        Sample::Knee => {
            let stroke = canvas.stroke(Ink::Faint, 1.0);
            canvas.circle(middle, 4.2, &stroke);
        }
        Sample::Fill(colour) => {
            let left = x + SAMPLE - 12.0;
            let frame = canvas.stroke(Ink::Faint, 0.4).replace("fill=\"none\"", &format!("fill=\"{colour}\""));
            canvas.polygon(&[(left, y - 3.5), (x + SAMPLE, y - 3.5), (x + SAMPLE, y + 3.5), (left, y + 3.5)], &frame);
        }
    }
}

/// Where values of a panel lie.
#[derive(Debug, Clone, Copy)]
struct Area<'a> {
    left: f64,
    upper: f64,
    right: f64,
    lower: f64,
    x: &'a Axis,
    y: &'a Axis,
}

impl Area<'_> {
    fn at_x(&self, value: f64) -> f64 {
        self.left + (self.right - self.left) * self.x.place(value)
    }

    fn at_y(&self, value: f64) -> f64 {
        self.lower - (self.lower - self.upper) * self.y.place(value)
    }

    /// Where points lie, without those that have no place.
    fn places(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        let drawable = points.iter().filter(|(x, y)| self.x.takes(*x) && self.y.takes(*y));
        drawable.map(|(x, y)| (self.at_x(*x), self.at_y(*y))).collect()
    }
}

fn draw(canvas: &mut Canvas, panel: &Panel, layout: &Layout, index: usize, n_panels: usize) {
    let (column, row) = (index % layout.columns, index / layout.columns);
    let corner = (MARGIN + column as f64 * (layout.cell_width + GAP), layout.rows[row]);
    let (left, upper) = (corner.0 + layout.left, corner.1 + layout.above);
    let right = (corner.0 + layout.cell_width - layout.right).max(left + 20.0);
    let area = Area { left, upper, right, lower: upper + layout.area_height, x: &panel.x, y: &panel.y };
    let title = Letters { size: LABEL, bold: true, anchor: Anchor::Start, ink: Ink::Text };
    let room = corner.0 + layout.cell_width - left;
    if !panel.title.is_empty() {
        canvas.text((left, corner.1 + LABEL), title, &shortened(&panel.title, room, LABEL, true));
    }
    if !panel.subtitle.is_empty() {
        let letters = Letters { size: TICK, bold: false, anchor: Anchor::Start, ink: Ink::Faint };
        let line = if panel.title.is_empty() { 0.0 } else { LABEL + 3.0 };
        canvas.text((left, corner.1 + line + TICK), letters, &shortened(&panel.subtitle, room, TICK, false));
    }
    axes(canvas, panel, &area);
    // What every panel shows is named once a row, and below the last panel of each column.
    let label = Letters { size: LABEL, bold: false, anchor: Anchor::Middle, ink: Ink::Text };
    if !panel.y.label.is_empty() && (column == 0 || !layout.same_y_label) {
        let x = corner.0 + layout.y_label - 4.0;
        let text = shortened(&panel.y.label, layout.area_height + layout.above + 2.0 * TICK, LABEL, false);
        let half = width(&text, LABEL, false) / 2.0;
        let middle = f64::midpoint(area.upper, area.lower).min(layout.height - half).max(half);
        canvas.upright_text((x, middle), label, &text);
    }
    if index + layout.columns >= n_panels {
        let text = shortened(&panel.x.label, layout.cell_width, LABEL, false);
        // Centred on the area, but never beyond the figure.
        let half = width(&text, LABEL, false) / 2.0;
        let middle = f64::midpoint(area.left, area.right).min(layout.width - half - 1.0).max(half + 1.0);
        canvas.text((middle, area.lower + 3.0 + TICK + 3.0 + LABEL), label, &text);
    }
    for mark in &panel.marks {
        draw_mark(canvas, mark, &area);
    }
    let letters = Letters { size: TICK, bold: false, anchor: Anchor::Start, ink: Ink::Faint };
    for (y, note) in &panel.notes {
        canvas.text((right + 5.0, area.at_y(*y) + TICK * 0.36), letters, &shortened(note, layout.right - 5.0, TICK, false));
    }
}

/// Grid, ticks and the frame's left and lower side.
fn axes(canvas: &mut Canvas, panel: &Panel, area: &Area<'_>) {
    let (grid, axis) = (canvas.stroke(Ink::Grid, 0.5), canvas.stroke(Ink::Text, 0.7));
    let most = (((area.lower - area.upper) / (TICK * 2.8)).floor() as usize).clamp(2, 8);
    let letters = Letters { size: TICK, bold: false, anchor: Anchor::End, ink: Ink::Text };
    for (value, label) in panel.y.ticks(most) {
        let y = area.at_y(value);
        canvas.polyline(&[(area.left, y), (area.right, y)], &grid);
        let room = (area.right - area.left).max(area.left) - 4.0;
        canvas.text((area.left - 4.0, y + TICK * 0.36), letters, &shortened(&label, room.min(area.left - 5.0), TICK, false));
    }
    let letters = Letters { anchor: Anchor::Middle, ..letters };
    for (value, label) in x_ticks(panel, area) {
        let x = area.at_x(value);
        canvas.polyline(&[(x, area.lower), (x, area.lower + 2.5)], &axis);
        canvas.text((x, area.lower + 3.0 + TICK), letters, &label);
    }
    canvas.polyline(&[(area.left, area.upper), (area.left, area.lower), (area.right, area.lower)], &axis);
}

/// As many ticks as have labels that do not touch.
fn x_ticks(panel: &Panel, area: &Area<'_>) -> Vec<(f64, String)> {
    let apart = |ticks: &[(f64, String)]| {
        ticks.windows(2).all(|pair| {
            let widths = f64::midpoint(width(&pair[0].1, TICK, false), width(&pair[1].1, TICK, false));
            area.at_x(pair[1].0) - area.at_x(pair[0].0) >= widths + 4.0
        })
    };
    (1..=9).rev().map(|most| panel.x.ticks(most)).find(|ticks| apart(ticks)).unwrap_or_default()
}

fn line_attributes(style: Style, width: f64) -> String {
    let dashes = match dash(style) {
        "" => String::new(),
        dash => format!(" stroke-dasharray=\"{dash}\""),
    };
    format!("fill=\"none\" stroke=\"{}\" stroke-width=\"{}\"{dashes}", colour(style), number(width))
}

fn draw_mark(canvas: &mut Canvas, mark: &Mark, area: &Area<'_>) {
    let drawn = |points: &[(f64, f64)], least: usize| Some(area.places(points)).filter(|places| places.len() >= least);
    match mark {
        Mark::Band { outline, style } => {
            if let Some(places) = drawn(outline, 3) {
                canvas.polygon(&places, &format!("fill=\"{}\" fill-opacity=\"0.2\"", colour(*style)));
            }
        }
        Mark::Fill { outline, colour } => {
            if let Some(places) = drawn(outline, 3) {
                let frame = canvas.stroke(Ink::Back, 0.4).replace("fill=\"none\"", &format!("fill=\"{colour}\""));
                canvas.polygon(&places, &frame);
            }
        }
        Mark::Line { points, style } => {
            if let Some(places) = drawn(points, 2) {
                canvas.polyline(&places, &line_attributes(*style, 1.4));
            }
        }
        Mark::Edge { points, style } => {
            if let Some(places) = drawn(points, 2) {
                canvas
                    .polyline(&places, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\"0.5\" stroke-opacity=\"0.6\"", colour(*style)));
            }
        }
        Mark::Dotted { points, style } => {
            if let Some(places) = drawn(points, 2) {
                let attributes = format!("fill=\"none\" stroke=\"{}\" stroke-width=\"0.8\" stroke-dasharray=\"1 1.5\"", colour(*style));
                canvas.polyline(&places, &attributes);
            }
        }
        Mark::Markers { points, style } => {
            for place in area.places(points) {
                canvas.shape(marker(*style), place, 1.0, &format!("fill=\"{}\"", colour(*style)));
            }
        }
        Mark::Sparse { points, style } => {
            let mut last: Option<(f64, f64)> = None;
            for place in area.places(points) {
                if last.is_none_or(|last| (place.0 - last.0).hypot(place.1 - last.1) >= APART) {
                    canvas.shape(marker(*style), place, 1.0, &format!("fill=\"{}\"", colour(*style)));
                    last = Some(place);
                }
            }
        }
        Mark::Faint { points, style } => {
            // Points that fall together at the size of a dot are one dot: a sweep has many thousands.
            let grid: BTreeSet<(i64, i64)> =
                area.places(points).into_iter().map(|(x, y)| ((x * 2.0).round() as i64, (y * 2.0).round() as i64)).collect();
            for (x, y) in grid {
                let attributes = format!("fill=\"{}\" fill-opacity=\"0.35\"", colour(*style));
                canvas.circle((x as f64 / 2.0, y as f64 / 2.0), 1.1, &attributes);
            }
        }
        Mark::Whisker { from, to, style } => {
            if let Some(places) = drawn(&[*from, *to], 2) {
                let attributes = format!("fill=\"none\" stroke=\"{}\" stroke-width=\"1\"", colour(*style));
                let (a, b) = (places[0], places[1]);
                canvas.polyline(&places, &attributes);
                let across = if (a.0 - b.0).abs() > (a.1 - b.1).abs() { (0.0, 2.0) } else { (2.0, 0.0) };
                for end in [a, b] {
                    canvas.polyline(&[(end.0 - across.0, end.1 - across.1), (end.0 + across.0, end.1 + across.1)], &attributes);
                }
            }
        }
        Mark::Ring { point, style } => {
            for place in area.places(&[*point]) {
                canvas.circle(place, 4.6, &format!("fill=\"none\" stroke=\"{}\" stroke-width=\"1.1\"", colour(*style)));
            }
        }
        Mark::Rule { x } => {
            let (x, stroke) = (area.at_x(*x), canvas.stroke(Ink::Faint, 0.8));
            canvas.polyline(&[(x, area.upper), (x, area.lower)], &format!("{stroke} stroke-dasharray=\"2 2\""));
        }
    }
}
