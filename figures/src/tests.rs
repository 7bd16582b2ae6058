use expect_test::expect_file;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::comparison::{Comparison, Difference};
use crate::curves::{Curve, Curves, Estimate};
use crate::frontier::{Band, Frontier, Series};
use crate::history::History;
use crate::learning::{Learning, Scale};
use crate::leaving::Leaving;
use crate::ranks::Ranks;
use crate::shares::Shares;

const COLUMN: Look = Look { theme: Theme::Light, size: Size::COLUMN };

fn text(text: &str) -> String {
    text.to_owned()
}

fn estimate(at: f64, mean: f64) -> Estimate {
    Estimate { at, mean, interval: Some((mean - 0.02, mean + 0.02)) }
}

/// One small figure of each kind.
fn examples() -> Vec<(&'static str, Figure)> {
    let band = Band {
        best: vec![(1e6, 0.6), (2e6, 0.8)],
        median: vec![(1e6, 0.55), (3e6, 0.8)],
        worst: vec![(1.5e6, 0.5), (3.5e6, 0.75)],
        n_seeds: 3,
    };
    let series = |name: &str, band, knee| Series {
        name: text(name),
        frontier: vec![(1e6, 0.6), (2e6, 0.8), (4e6, 0.85)],
        dominated: vec![(2e6, 0.5), (3e6, 0.7)],
        band,
        knee,
    };
    let frontier = Frontier {
        title: text("Frontier of <digits>"),
        cost: Cost::Macs,
        log_cost: false,
        groups: vec![frontier::Group {
            name: text("digits & more"),
            series: vec![series("constant", None, Some((2e6, 0.8))), series("increasing 1", Some(band), None)],
        }],
    };
    let curve = |name: &str, shift: f64| Curve {
        name: text(name),
        exits: vec![estimate(1e6, 0.5 + shift), estimate(3e6, 0.7 + shift)],
        policy: vec![estimate(1e6, 0.52 + shift), estimate(2e6, 0.66 + shift), estimate(3e6, 0.71 + shift)],
    };
    let curves = Curves {
        title: text("Curves"),
        cost: Cost::LatencyUs,
        log_cost: true,
        policy: text("max-softmax policy"),
        interval: text("95 % interval over seeds"),
        groups: vec![curves::Group {
            name: text("resnet8"),
            conditions: text("budget 25 %"),
            curves: vec![curve("none", 0.0), curve("constant", 0.1)],
        }],
    };
    let leaving = Leaving {
        title: text("Leaving"),
        cost: Cost::Macs,
        groups: vec![leaving::Group {
            name: text("constant"),
            conditions: String::new(),
            points: vec![(1e6, vec![1.0, 0.0, 0.0]), (2e6, vec![0.5, 0.25, 0.25])],
        }],
    };
    let shares = Shares {
        title: text("Shares"),
        groups: vec![shares::Group {
            name: text("resnet8 on digits"),
            conditions: text("exits stage-ends, budget 25 %"),
            patterns: vec![shares::Pattern { name: text("constant"), points: vec![(0.25, 0.75), (0.5, 0.25)] }],
        }],
    };
    let learning = Learning {
        title: text("Learning"),
        interval: text("95 % interval over seeds"),
        panels: vec![
            learning::Quantity {
                name: text("loss"),
                scale: Scale::Loss,
                lines: vec![learning::Line { name: text("constant"), points: vec![estimate(1.0, 2.0), estimate(2.0, 1.0)] }],
            },
            learning::Quantity {
                name: text("exit 0"),
                scale: Scale::Accuracy,
                lines: vec![learning::Line { name: text("constant"), points: vec![estimate(1.0, 0.4), estimate(2.0, 0.5)] }],
            },
        ],
    };
    let history = History {
        title: text("History"),
        lines: vec![history::Line { name: text("digits"), points: vec![(0, 0.3), (7_200_000_000, 0.5)] }],
    };
    let difference =
        |name: &str, mean: f64| Difference { name: text(name), mean, interval: Some((mean - 0.01, mean + 0.01)), note: text("n = 5") };
    let comparison = Comparison {
        title: text("Comparison"),
        quantity: text("difference in accuracy"),
        interval: text("mean and 95 % interval"),
        of_shares: true,
        groups: vec![comparison::Group {
            name: text("accuracy"),
            differences: vec![difference("constant - none", 0.02), difference("increasing 1 - none", 0.05)],
        }],
    };
    let ranks = Ranks {
        title: text("Ranks"),
        note: text("14 blocks"),
        levels: vec![(text("C4.5"), 3.143), (text("C4.5+m"), 2.0), (text("C4.5+cf"), 2.893), (text("C4.5+m+cf"), 1.964)],
        critical_difference: 1.12,
    };
    vec![
        ("frontier", Figure::Frontier(frontier)),
        ("curves", Figure::Curves(curves)),
        ("leaving", Figure::Leaving(leaving)),
        ("shares", Figure::Shares(shares)),
        ("learning", Figure::Learning(learning)),
        ("history", Figure::History(history)),
        ("comparison", Figure::Comparison(comparison)),
        ("ranks", Figure::Ranks(ranks)),
    ]
}

/// The numbers of a path or a list of them.
fn numbers(text: &str) -> Vec<f64> {
    text.split(|letter: char| !(letter.is_ascii_digit() || letter == '.' || letter == '-'))
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().unwrap())
        .collect()
}

/// Whether a drawing is XML of the elements that it is made of, with every place in the picture.
fn check(svg: &str) {
    let document = roxmltree::Document::parse(svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
    let view = numbers(document.root_element().attribute("viewBox").unwrap());
    let inside = |x: f64, y: f64| (0.0..=view[2]).contains(&x) && (0.0..=view[3]).contains(&y);
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        let name = node.tag_name().name();
        let number = |attribute: &str| node.attribute(attribute).map(|value| value.parse::<f64>().unwrap());
        match name {
            "svg" | "title" | "desc" | "style" | "rect" => {}
            "text" => {
                let (x, y) = (number("x").unwrap(), number("y").unwrap());
                let length = lettering::width(node.text().unwrap_or(""), number("font-size").unwrap(), node.has_attribute("font-weight"));
                let before = match node.attribute("text-anchor") {
                    None => 0.0,
                    Some("middle") => length / 2.0,
                    Some(_) => length,
                };
                let ends = if node.has_attribute("transform") {
                    [(x, y + before), (x, y - (length - before))]
                } else {
                    [(x - before, y), (x + length - before, y)]
                };
                // Half a point for the rounding of places.
                assert!(
                    ends.iter().all(|(x, y)| inside(x.max(0.5) - 0.5, y.max(0.5) - 0.5) || inside(*x, *y)),
                    "{:?} {ends:?} {view:?}",
                    node.text()
                );
            }
            "circle" => assert!(inside(number("cx").unwrap(), number("cy").unwrap()), "{svg}"),
            "path" => {
                let places = match node.attribute("transform") {
                    Some(transform) => numbers(transform)[..2].to_vec(),
                    None => numbers(node.attribute("d").unwrap()),
                };
                assert!(places.len() % 2 == 0 && places.chunks(2).all(|place| inside(place[0], place[1])), "{svg}");
            }
            other => panic!("an element `{other}`"),
        }
    }
}

#[test]
fn drawings_keep_their_bytes() {
    for (name, figure) in examples() {
        let drawn = svg(&figure, COLUMN);
        assert_eq!(drawn, svg(&figure, COLUMN), "{name}");
        check(&drawn);
        expect_file![format!("snapshots/{name}.svg")].assert_eq(&drawn);
    }
}

#[test]
fn points_lie_where_their_numbers_say() {
    let point = |x: f64, y: f64| Series { name: text("a"), frontier: vec![(x, y)], dominated: vec![], band: None, knee: None };
    let group = frontier::Group { name: String::new(), series: vec![point(0.0, 0.0), point(100.0, 1.0), point(50.0, 0.5)] };
    let drawn = svg(&Figure::Frontier(Frontier { title: text("a"), cost: Cost::Params, log_cost: false, groups: vec![group] }), COLUMN);
    let document = roxmltree::Document::parse(&drawn).unwrap();
    let markers =
        document.descendants().filter_map(|node| node.attribute("transform")).filter(|transform| transform.starts_with("translate"));
    // The first one stands in the legend.
    let places: Vec<Vec<f64>> = markers.skip(1).map(numbers).collect();
    let [origin, far, middle] = &places[..] else { panic!("{places:?}") };
    // Costs from 0 to 104 (a little beyond the largest), accuracies from 0 to 1: the first point is the area's corner, the third half way.
    assert!(
        (f64::midpoint(origin[0], far[0]) - middle[0]).abs() < 0.02 && (f64::midpoint(origin[1], far[1]) - middle[1]).abs() < 0.02,
        "{places:?}"
    );
    assert!(origin[0] < far[0] && origin[1] > far[1]);
}

#[test]
fn every_theme_and_size_is_drawn() {
    for (name, figure) in examples() {
        for theme in [Theme::Auto, Theme::Light, Theme::Dark] {
            for size in [Size::COLUMN, Size::PAGE, Size::inches(2.0, Some(2.0)).unwrap(), Size::inches(12.0, Some(9.0)).unwrap()] {
                let drawn = svg(&figure, Look { theme, size });
                check(&drawn);
                assert_eq!(drawn.contains("prefers-color-scheme"), theme == Theme::Auto, "{name}");
                assert_eq!(drawn.contains("fill=\"#14171a\""), theme == Theme::Dark, "{name}");
            }
        }
    }
}

#[test]
fn sizes_are_bounded() {
    assert_eq!(Size::inches(3.5, None).unwrap(), Size::COLUMN);
    for wrong in [0.0, 1.9, 41.0, f64::NAN, f64::INFINITY, -3.0] {
        assert!(Size::inches(wrong, None).is_err() && Size::inches(4.0, Some(wrong)).is_err(), "{wrong}");
    }
}

#[test]
fn pixels_have_the_width_asked_for_and_show_text() {
    for (name, figure) in examples() {
        let drawn = svg(&figure, Look { theme: Theme::Auto, size: Size::COLUMN });
        let picture = png(&drawn, 504).unwrap();
        let pixels = resvg::tiny_skia::Pixmap::decode_png(&picture).unwrap();
        assert_eq!(pixels.width(), 504, "{name}");
        // Light, as the corner shows; and letters are there: without them the picture has other pixels.
        assert_eq!(pixels.pixel(0, 0).unwrap().demultiply(), resvg::tiny_skia::ColorU8::from_rgba(255, 255, 255, 255), "{name}");
        let mute: String = drawn.split_inclusive('\n').filter(|line| !line.starts_with("<text")).collect();
        assert_ne!(picture, png(&mute, 504).unwrap(), "{name}");
        assert_eq!(picture, png(&drawn, 504).unwrap(), "{name}");
    }
}

#[test]
fn pictures_are_bounded() {
    let drawn = svg(&examples()[0].1, COLUMN);
    assert!(matches!(png(&drawn, 0), Err(PngError::Size { .. })));
    assert!(matches!(png(&drawn, 1_000_000), Err(PngError::Size { .. })));
    assert!(matches!(png("<svg", 100), Err(PngError::Unreadable(_))));
}

#[test]
fn nothing_to_draw_is_a_drawing() {
    check(&svg(&Figure::Frontier(Frontier { title: text(""), cost: Cost::Macs, log_cost: true, groups: vec![] }), COLUMN));
    check(&svg(&Figure::Shares(Shares { title: text(""), groups: vec![] }), COLUMN));
    check(&svg(&Figure::History(History { title: text(""), lines: vec![] }), COLUMN));
    check(&svg(&Figure::Ranks(Ranks { title: text(""), note: text(""), levels: vec![], critical_difference: f64::NAN }), COLUMN));
}

/// Any number, strange ones often.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.0_f64,
        2 => 1e3..1e12_f64,
        1 => any::<f64>(),
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(f64::NAN), Just(f64::INFINITY), Just(f64::MAX), Just(f64::MIN_POSITIVE), Just(1e18)],
    ]
}

/// Any name, hostile ones often.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,12}",
        Just(text("</text><script>alert(1)</script>")),
        Just(text("\u{0}\u{1b}]0;x\u{7}\u{202e}&#0;\"'")),
        Just("long ".repeat(40)),
        Just("\u{7f51}\u{7edc}".repeat(20)),
    ]
}

fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
    vec((value(), value()), 0..6)
}

fn estimates() -> impl Strategy<Value = Vec<Estimate>> {
    let interval = proptest::option::of((value(), value()));
    vec((value(), value(), interval).prop_map(|(at, mean, interval)| Estimate { at, mean, interval }), 0..5)
}

fn cost() -> impl Strategy<Value = Cost> {
    prop_oneof![Just(Cost::Macs), Just(Cost::Params), Just(Cost::LatencyUs)]
}

fn figure() -> impl Strategy<Value = Figure> {
    let band = (points(), points(), points(), 0..9_usize).prop_map(|(best, median, worst, n_seeds)| Band { best, median, worst, n_seeds });
    let series = (name(), points(), points(), proptest::option::of(band), proptest::option::of((value(), value())))
        .prop_map(|(name, frontier, dominated, band, knee)| Series { name, frontier, dominated, band, knee });
    let groups = vec((name(), vec(series, 0..3)).prop_map(|(name, series)| frontier::Group { name, series }), 0..4);
    let frontier = (name(), cost(), any::<bool>(), groups)
        .prop_map(|(title, cost, log_cost, groups)| Figure::Frontier(Frontier { title, cost, log_cost, groups }));

    let curve = (name(), estimates(), estimates()).prop_map(|(name, exits, policy)| Curve { name, exits, policy });
    let groups =
        vec((name(), name(), vec(curve, 0..3)).prop_map(|(name, conditions, curves)| curves::Group { name, conditions, curves }), 0..4);
    let curves = (name(), cost(), any::<bool>(), name(), name(), groups).prop_map(|(title, cost, log_cost, policy, interval, groups)| {
        Figure::Curves(Curves { title, cost, log_cost, policy, interval, groups })
    });

    let leaving = vec((name(), name(), vec((value(), vec(value(), 0..4)), 0..5)), 0..4);
    let leaving = (name(), cost(), leaving).prop_map(|(title, cost, groups)| {
        let group = |(name, conditions, points)| leaving::Group { name, conditions, points };
        Figure::Leaving(Leaving { title, cost, groups: groups.into_iter().map(group).collect() })
    });

    let shares = vec((name(), name(), vec((name(), points()), 0..4)), 0..4);
    let shares = shares.prop_map(|groups| {
        let pattern = |(name, points)| shares::Pattern { name, points };
        let group = |(name, conditions, patterns): (_, _, Vec<_>)| shares::Group {
            name,
            conditions,
            patterns: patterns.into_iter().map(pattern).collect(),
        };
        Figure::Shares(Shares { title: text("a"), groups: groups.into_iter().map(group).collect() })
    });

    let learning = vec((name(), any::<bool>(), vec((name(), estimates()), 0..4)), 0..5);
    let learning = learning.prop_map(|panels| {
        let line = |(name, points)| learning::Line { name, points };
        let panel = |(name, loss, lines): (_, bool, Vec<_>)| {
            let scale = if loss { Scale::Loss } else { Scale::Accuracy };
            learning::Quantity { name, scale, lines: lines.into_iter().map(line).collect() }
        };
        Figure::Learning(Learning { title: text("a"), interval: text("b"), panels: panels.into_iter().map(panel).collect() })
    });

    let history = vec((name(), vec((any::<i64>(), value()), 0..6)), 0..4).prop_map(|lines| {
        let line = |(name, points)| history::Line { name, points };
        Figure::History(History { title: text("a"), lines: lines.into_iter().map(line).collect() })
    });

    let difference = (name(), value(), proptest::option::of((value(), value())), name())
        .prop_map(|(name, mean, interval, note)| Difference { name, mean, interval, note });
    let groups = vec((name(), vec(difference, 0..4)).prop_map(|(name, differences)| comparison::Group { name, differences }), 0..4);
    let comparison = (name(), name(), any::<bool>(), groups).prop_map(|(quantity, interval, of_shares, groups)| {
        Figure::Comparison(Comparison { title: text("a"), quantity, interval, of_shares, groups })
    });

    let ranks = (name(), vec((name(), prop_oneof![1.0..9.0_f64, value()]), 0..8), value())
        .prop_map(|(note, levels, critical_difference)| Figure::Ranks(Ranks { title: text("a"), note, levels, critical_difference }));
    prop_oneof![frontier, curves, leaving, shares, learning, history, comparison, ranks]
}

fn look() -> impl Strategy<Value = Look> {
    let size = (2.0..12.0_f64, proptest::option::of(2.0..12.0_f64)).prop_map(|(width, height)| Size::inches(width, height).unwrap());
    (prop_oneof![Just(Theme::Auto), Just(Theme::Light), Just(Theme::Dark)], size).prop_map(|(theme, size)| Look { theme, size })
}

proptest! {
    #[test]
    fn any_input_is_well_formed_and_inside_the_picture(figure in figure(), look in look()) {
        check(&svg(&figure, look));
    }
}

#[test]
fn pictures_in_the_documentation_are_drawings_of_ours() {
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let page = std::fs::read_to_string(docs.join("FIGURES.md")).unwrap();
    let pictures: Vec<&str> = page.split("](figures/").skip(1).map(|rest| rest.split(')').next().unwrap()).collect();
    for picture in &pictures {
        let drawn = std::fs::read_to_string(docs.join("figures").join(picture)).unwrap_or_else(|error| panic!("{picture}: {error}"));
        assert!(drawn.contains("role=\"img\"") && drawn.contains("prefers-color-scheme"), "{picture}");
        check(&drawn);
    }
    let files = std::fs::read_dir(docs.join("figures")).unwrap().map(|entry| entry.unwrap().path());
    let there = files.filter(|path| path.extension().is_some_and(|extension| extension == "svg")).count();
    assert_eq!(there, pictures.len(), "every drawing is shown once");
}
