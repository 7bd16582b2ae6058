use std::fmt::Write;

use proptest::prelude::*;

use super::*;
use crate::table::{self, VIEWS};

fn jobs() -> &'static View {
    table::view("jobs").unwrap()
}

fn parse(text: &str) -> Filter {
    Filter::parse(text, jobs()).unwrap_or_else(|error| panic!("{error}"))
}

/// A job of the digits sweep; what is not named has no value.
fn row(column: &str) -> Value {
    match column {
        "job" => Value::Text("012345678901".into()),
        "state" => Value::Text("succeeded".into()),
        "backbone" => Value::Text("resnet56".into()),
        "dataset" => Value::Text("cifar10".into()),
        "pattern" => Value::Text("increasing 0.6".into()),
        "budget" => Value::Text("7 %".into()),
        "seed" => Value::Integer(3),
        "branch_macs" => Value::Integer(14_160_000),
        "final_accuracy" => Value::Real(0.9321),
        "budget_error" => Value::Real(-0.012),
        "reused" => Value::Flag(true),
        // date -u -d @1700000000 says 2023-11-14T22:13:20Z.
        "created_us" => Value::Integer(1_700_000_000_000_000),
        "error" => Value::Text("it's a \"test\"".into()),
        _ => Value::Null,
    }
}

fn holds(text: &str) -> bool {
    let filter = parse(text);
    let by_name = filter.matches(&row);
    let values: Vec<Value> = jobs().all_columns().map(|column| row(column.name)).collect();
    assert_eq!(filter.matches_row(&|column| values[column].as_ref()), by_name, "{text}");
    assert_eq!(parse(&filter.to_string()), filter, "{text} is printed as {filter}");
    by_name
}

#[test]
fn rows_are_compared() {
    for text in [
        "backbone = resnet56",
        "backbone='resnet56'",
        "backbone = \"resnet56\" and seed = 3",
        "backbone != resnet20",
        "backbone >= resnet and backbone < 'resnet57'",
        "backbone in [resnet20, resnet56]",
        "backbone not in [resnet20, 'msdnet']",
        "pattern contains creasing",
        "pattern not contains de",
        "branch_macs <= 14.16M and branch_macs >= 14.16 M and branch_macs = 14160k",
        "final_accuracy > 93% and final_accuracy < 93.22 %",
        "final_accuracy = 0.9321 and final_accuracy = 93.21%",
        "budget_error < -1% and budget_error = -12e-3",
        "seed < 3.5 and seed > 2.5 and seed != 3.5",
        "seed < 1e300 and seed > -1e300",
        "area is null and seed is not null",
        "reused and reused = true and reused != no",
        "not (seed = 4)",
        "NOT seed = 4 AND (seed = 4 OR seed = 3)",
        "seed = 4 or seed = 3 and state = succeeded",
        "job = 012345678901",
        "budget = '7 %' and budget = 7 %",
        "error = 'it''s a \"test\"' and error = \"it's a \"\"test\"\"\"",
        "created_us >= 2023-11-14 and created_us < 2023-11-15",
        "created_us = '2023-11-14T22:13:20Z' and created_us = 2023-11-14T23:13:20+01:00 and created_us = 1700000000000000",
        "pattern.kind = increasing and pattern.slope > 0 and pattern.slope = 0.6 and budget.share = 0.07 and budget.share = 7%",
    ] {
        assert!(holds(text), "{text}");
    }
    for text in ["backbone = resnet20", "seed > 3", "seed = 4 or (seed = 3 and state = failed)", "not reused", "pattern contains Creasing"]
    {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn filters_are_joined() {
    for (a, b, joined) in [
        ("seed = 3", "reused", "seed = 3 and reused"),
        ("seed = 3 or seed = 4", "not (area > 0)", "(seed = 3 or seed = 4) and not area > 0"),
        ("seed = 4 and reused", "seed = 3 or seed = 5", "seed = 4 and reused and (seed = 3 or seed = 5)"),
    ] {
        let both = parse(a).and(parse(b));
        assert_eq!(both.to_string(), joined);
        assert_eq!(both.matches(&row), holds(a) && holds(b));
    }
}

#[test]
fn what_is_compared_with_nothing_is_false_either_way() {
    for text in
        ["area > 0", "area <= 0", "area = 0", "area != 0", "area in [0]", "area not in [0]", "trainer contains x", "trainer not contains x"]
    {
        assert!(!holds(text), "{text}");
        assert!(holds(&format!("not ({text})")), "{text}");
    }
}

#[test]
fn whole_numbers_are_compared_to_the_last_digit() {
    // Neighbours of 2^53 that are one double.
    let odd = |column: &str| if column == "seed" { Value::Integer(9_007_199_254_740_993) } else { Value::Null };
    assert!(parse("seed = 9007199254740993").matches(&odd));
    assert!(parse("seed > 9007199254740992 and seed < 9007199254740994").matches(&odd));
    assert!(!parse("seed = 9007199254740992").matches(&odd));
    assert!(parse("seed = 9007199254740.993k").matches(&odd));
    let most = |_: &str| Value::Integer(i64::MAX);
    assert!(parse("seed = 9223372036854775807 and seed < 9223372036854775808").matches(&most));
}

#[test]
fn labels_are_read_as_their_writers_mean_them() {
    let field = |derived: Derived, label: &'static str| derived.of(ValueRef::Text(label));
    for (label, kind, slope) in [
        ("increasing 0.6", "increasing", ValueRef::Real(0.6)),
        ("decreasing 1", "decreasing", ValueRef::Real(-1.0)),
        ("constant", "constant", ValueRef::Real(0.0)),
        ("none", "none", ValueRef::Null),
        ("geometric -1.5", "geometric", ValueRef::Null),
        ("list 0.5/0.3/0.2", "list", ValueRef::Null),
        ("final-only", "final-only", ValueRef::Null),
    ] {
        assert_eq!(field(Derived::PatternKind, label), ValueRef::Text(kind));
        assert_eq!(field(Derived::PatternSlope, label), slope, "{label}");
    }
    for (label, share) in [
        ("25 %", ValueRef::Real(0.25)),
        ("7 %", ValueRef::Real(0.07)),
        ("100 % expected at 0.4/0.3/0.3", ValueRef::Real(1.0)),
        ("50 % of params", ValueRef::Real(0.5)),
        ("6 levels", ValueRef::Null),
        ("-", ValueRef::Null),
        ("own", ValueRef::Null),
    ] {
        assert_eq!(field(Derived::BudgetShare, label), share, "{label}");
    }
}

/// The place and the words of every mistake.
#[test]
fn mistakes_are_shown_where_they_are() {
    let mistakes = [
        "",
        "  ",
        "bakbone = resnet56",
        "pattern.slop > 0",
        "backbone == resnet56",
        "backbone <> resnet56",
        "seed = 3 && reused",
        "backbone like 'res%'",
        "seed above 3",
        "seed",
        "seed =",
        "seed = 3 backbone = x",
        "backbone > 5",
        "pattern > 0.5",
        "final_accuracy > high",
        "final_accuracy > '0.9'",
        "seed = 'x",
        "(seed = 3",
        "seed = 3)",
        "0.9 < area",
        "area = null",
        "area is 3",
        "backbone in resnet56",
        "backbone in [resnet56",
        "backbone in []",
        "seed contains 3",
        "reused > true",
        "reused = perhaps",
        "created_us > yesterday",
        "seed = 3; drop table jobs",
        "'seed' = 3",
        "seed = 3 and",
        "seed = 1e999",
        "backbone = 'a\u{1b}[2J' oder seed = 3",
    ];
    let mut shown = String::new();
    for text in mistakes {
        let error = Filter::parse(text, jobs()).expect_err(text);
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
        let _ = writeln!(shown, "{error}");
        if let Some(hint) = error.hint() {
            let _ = writeln!(shown, "hint: {hint}");
        }
    }
    expect_test::expect_file!["tests/mistakes.txt"].assert_eq(&shown);
}

#[test]
fn hostile_filters_are_refused_in_short() {
    let refused = |text: &str| {
        let error = Filter::parse(text, jobs()).unwrap_err();
        let shown = format!("{error}{}", error.hint().unwrap_or_default());
        assert!(shown.len() < 1_000 && !shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{} bytes", shown.len());
        error.message().to_owned()
    };
    assert_eq!(refused(&"(".repeat(100_000)), "wrong filter: 100000 bytes are more than the 65536 allowed");
    assert_eq!(refused(&"(".repeat(60_000)), "wrong filter: it is nested deeper than 64 levels");
    assert_eq!(refused(&"not ".repeat(15_000)), "wrong filter: it is nested deeper than 64 levels");
    let values = vec!["1"; 1_001].join(", ");
    assert_eq!(refused(&format!("seed in [{values}]")), "wrong filter: it has more than 1000 values");
    assert_eq!(refused(&"x".repeat(60_000)), format!("wrong filter: v_jobs has no column `{}…`", "x".repeat(40)));
    for text in ["\u{1b}[2J", "seed\u{202e} = 3", "seed = 3\0", "seed = '\u{1b}]0;x\u{7}", "backbone = 'x'; DROP TABLE jobs; --"] {
        refused(text);
    }
    // As deep and as wide as may be.
    let nested = format!("{}seed = 3{}", "(".repeat(MAX_DEPTH), ")".repeat(MAX_DEPTH));
    assert!(parse(&nested).matches(&row));
    let wide = vec!["seed = 3"; MAX_VALUES].join(" or ");
    assert!(parse(&wide).matches(&row));
    // What would be an attack elsewhere is a text here.
    assert!(!parse("backbone = '''; DROP TABLE jobs; --'").matches(&row));
}

#[test]
fn every_column_of_every_view_can_be_compared() {
    for view in VIEWS {
        for (index, column) in view.all_columns().enumerate() {
            let value = match column.kind {
                Kind::Integer | Kind::Real => "1",
                Kind::Text | Kind::Json => "x",
                Kind::Flag => "true",
                Kind::Time => "2026-11-25",
            };
            let filter =
                Filter::parse(&format!("{} = {value}", column.name), view).unwrap_or_else(|error| panic!("{}: {error}", view.name));
            assert_eq!((filter.columns(), filter.view()), (vec![index], view));
        }
    }
}

/// Comparisons of every kind.
fn comparison() -> impl Strategy<Value = String> {
    let text = prop_oneof!["[a-z]{1,8}", "'[ -&(-~äß\n]{0,6}'", "'it''s'"];
    let number = prop_oneof!["-?[0-9]{1,20}", "-?[0-9]{0,3}\\.[0-9]{1,3}", "[0-9]{1,3}e-?[0-9]{1,2}", "[0-9]{1,3} ?[kMGTP%]"];
    let operator = prop::sample::select(vec!["=", "!=", "<", "<=", ">", ">="]);
    let texts = prop::sample::select(vec!["backbone", "pattern", "trainer", "pattern.kind"]);
    let numbers = prop::sample::select(vec!["seed", "area", "final_accuracy", "pattern.slope", "budget.share", "branch_macs"]);
    let not = prop::sample::select(vec!["", "not "]);
    let words = ["and", "or", "not", "in", "contains", "is", "null"];
    let text = text.prop_filter("a keyword is quoted", move |text| !words.contains(&text.as_str()));
    prop_oneof![
        (numbers.clone(), operator, number.clone()).prop_map(|(field, operator, value)| format!("{field} {operator} {value}")),
        (texts.clone(), not.clone(), prop::collection::vec(text.clone(), 1..4))
            .prop_map(|(field, not, values)| format!("{field} {not}in [{}]", values.join(", "))),
        (numbers.clone(), not.clone(), prop::collection::vec(number, 1..4))
            .prop_map(|(field, not, values)| format!("{field} {not}in [{}]", values.join(","))),
        (texts, not.clone(), text).prop_map(|(field, not, value)| format!("{field} {not}contains {value}")),
        (numbers, not.clone()).prop_map(|(field, not)| format!("{field} is {not}null")),
        not.prop_map(|not| format!("{not}reused")),
    ]
}

fn filter_text() -> impl Strategy<Value = String> {
    comparison().prop_recursive(5, 40, 4, |inner| {
        let some = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            some.clone().prop_map(|parts| format!("({})", parts.join(" and "))),
            some.prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

fn any_row() -> impl Strategy<Value = (Option<i64>, Option<f64>, Option<String>, Option<bool>)> {
    let label = prop_oneof!["increasing 0\\.[1-9]", "decreasing 1", "constant", "[0-9]{1,2} %", "[a-z]{1,8}"];
    (prop::option::of(any::<i64>()), prop::option::of(-1e3..1e3), prop::option::of(label), prop::option::of(any::<bool>()))
}

fn in_row(view: &View, column: &str, (integer, real, text, flag): &(Option<i64>, Option<f64>, Option<String>, Option<bool>)) -> Value {
    match view.column(view.index_of(column).unwrap()).unwrap().kind {
        Kind::Integer | Kind::Time => integer.map_or(Value::Null, Value::Integer),
        Kind::Real => real.map_or(Value::Null, Value::Real),
        Kind::Text | Kind::Json => text.clone().map_or(Value::Null, Value::Text),
        Kind::Flag => flag.map_or(Value::Null, Value::Flag),
    }
}

proptest! {
    /// Any text is a filter or a refusal of bounded length.
    #[test]
    fn no_text_is_too_strange(text in "\\PC*|[ a-z_=!<>()\\[\\],'\"0-9.%\n\t\u{0}-\u{1f}]*|(not |\\(|seed = 3| and | or |\\)|pattern.slope|in \\[| is null|'x'|40M){0,40}") {
        match Filter::parse(&text, jobs()) {
            Ok(filter) => prop_assert_eq!(parse(&filter.to_string()), filter),
            Err(error) => {
                let shown = format!("{error}{}", error.hint().unwrap_or_default());
                prop_assert!(shown.chars().count() < 2_000 && !shown.contains(['\0', '\u{1b}']), "{}", shown);
                prop_assert!(error.column() <= text.chars().count() + 1);
            }
        }
    }

    /// What is printed is the same filter, and says the same again.
    #[test]
    fn printing_and_reading_gives_the_same(text in filter_text()) {
        let filter = parse(&text);
        let printed = filter.to_string();
        let again = parse(&printed);
        prop_assert_eq!(&again, &filter);
        prop_assert_eq!(again.to_string(), printed);
    }

    /// De Morgan's laws, and that `not` turns round.
    #[test]
    fn logic_has_two_values(a in filter_text(), b in filter_text(), row in any_row()) {
        let holds = |text: String| parse(&text).matches(&|column| in_row(jobs(), column, &row));
        prop_assert_eq!(holds(format!("not (({a}) and ({b}))")), holds(format!("not ({a}) or not ({b})")));
        prop_assert_eq!(holds(format!("not (({a}) or ({b}))")), holds(format!("not ({a}) and not ({b})")));
        prop_assert_eq!(holds(format!("not not ({a})")), holds(a.clone()));
        prop_assert_eq!(holds(format!("({a}) and ({b})")), holds(a.clone()) && holds(b.clone()));
        prop_assert_eq!(holds(format!("({a}) or ({b})")), holds(a) || holds(b));
    }

    /// A number that is written in other units is the same number.
    #[test]
    fn suffixes_move_the_decimal_point(digits in 0..1_000_000_000_i64) {
        let whole = |column: &str| if column == "seed" { Value::Integer(digits * 1_000_000) } else { Value::Null };
        for text in [format!("{digits}M"), format!("{digits}000k"), format!("{digits}e6"), format!("{digits}00000000 %")] {
            prop_assert!(parse(&format!("seed = {text}")).matches(&whole), "{}", text);
        }
    }
}
