#![expect(clippy::needless_raw_string_hashes, reason = "this is how expect-test writes its literals")]

use expect_test::{Expect, expect};

use super::*;

fn problem(text: &str, marked: &str, message: &str, hint: Option<&str>) -> Problem {
    let start = text.find(marked).expect("the marked text is in the text");
    Problem { message: message.to_owned(), span: start..start + marked.len(), hint: hint.map(str::to_owned) }
}

/// Renders one problem at the first occurrence of `marked`.
fn check(text: &str, marked: &str, expected: &Expect) {
    expected.assert_eq(&render(&[problem(text, marked, "it is wrong", None)], "sweep.toml", text));
}

fn check_span(text: &str, span: std::ops::Range<usize>, expected: &Expect) {
    expected.assert_eq(&render(&[Problem { message: "it is wrong".to_owned(), span, hint: None }], "sweep.toml", text));
}

#[test]
fn problems_come_in_the_order_of_their_places_with_an_empty_line_between() {
    let text = "a = 1\nb = 2\n";
    let problems = [problem(text, "2", "`b` is 2", Some("write 3")), problem(text, "1", "`a` is 1", None)];
    expect![[r"
        error: `a` is 1
         --> sweep.toml:1:5
          |
        1 | a = 1
          |     ^

        error: `b` is 2
         --> sweep.toml:2:5
          |
        2 | b = 2
          |     ^
        hint: write 3
    "]]
    .assert_eq(&render(&problems, "sweep.toml", text));
}

#[test]
fn no_problems_render_as_nothing() {
    assert_eq!(render(&[], "sweep.toml", "a = 1"), "");
}

#[test]
fn the_gutter_grows_with_the_line_number() {
    check(
        &format!("{}b = [10, 200]", "\n".repeat(99)),
        "200",
        &expect![[r"
        error: it is wrong
           --> sweep.toml:100:10
            |
        100 | b = [10, 200]
            |          ^^^
    "]],
    );
}

#[test]
fn tabs_are_shown_as_spaces_and_count_as_one_column() {
    check(
        "\tx\t= 17",
        "17",
        &expect![[r"
        error: it is wrong
         --> sweep.toml:1:6
          |
        1 |     x    = 17
          |            ^^
    "]],
    );
}

#[test]
fn columns_count_characters_rather_than_bytes() {
    check(
        "größe = 'über' # ü",
        "'über'",
        &expect![[r"
        error: it is wrong
         --> sweep.toml:1:9
          |
        1 | größe = 'über' # ü
          |         ^^^^^^
    "]],
    );
}

#[test]
fn a_span_of_several_lines_is_marked_on_its_first() {
    check(
        "seed = [\n  1,\n]\nx = 1",
        "[\n  1,\n]",
        &expect![[r"
        error: it is wrong
         --> sweep.toml:1:8
          |
        1 | seed = [
          |        ^
    "]],
    );
}

#[test]
fn windows_line_ends_are_not_shown() {
    check(
        "a = 1\r\nb = 'x\r\n",
        "'x\r\n",
        &expect![[r"
        error: it is wrong
         --> sweep.toml:2:5
          |
        2 | b = 'x
          |     ^^
    "]],
    );
}

#[test]
fn an_empty_span_gets_one_caret() {
    check_span(
        "a =\nb = 1",
        3..3,
        &expect![[r"
        error: it is wrong
         --> sweep.toml:1:4
          |
        1 | a =
          |    ^
    "]],
    );
    check_span(
        "",
        0..0,
        &expect![[r"
        error: it is wrong
         --> sweep.toml:1:1
          |
        1 |
          | ^
    "]],
    );
}

#[test]
fn a_span_past_the_end_or_inside_a_character_is_moved_to_a_place_that_exists() {
    check_span(
        "a = 1\n",
        70..90,
        &expect![[r"
        error: it is wrong
         --> sweep.toml:2:1
          |
        2 |
          | ^
    "]],
    );
    check_span(
        "äb",
        1..1,
        &expect![[r"
        error: it is wrong
         --> sweep.toml:1:1
          |
        1 | äb
          | ^
    "]],
    );
}

#[test]
fn a_long_line_is_cut_round_the_place() {
    let text = format!("{}wrong{}", "a".repeat(100), "b".repeat(100));
    // 80 of the `a`, the marked text, 60 of the `b`, and an ellipsis at each cut.
    let shown = format!("…{}wrong{}…", "a".repeat(80), "b".repeat(60));
    let carets = format!("{}^^^^^", " ".repeat(81));
    let expected = format!("error: it is wrong\n --> sweep.toml:1:101\n  |\n1 | {shown}\n  | {carets}\n");
    assert_eq!(render(&[problem(&text, "wrong", "it is wrong", None)], "sweep.toml", &text), expected);
}

#[test]
fn a_long_span_is_cut() {
    let text = "x".repeat(1000);
    let expected = format!("error: it is wrong\n --> sweep.toml:1:1\n  |\n1 | {}…\n  | {}\n", "x".repeat(80), "^".repeat(81));
    assert_eq!(render(&[Problem { message: "it is wrong".to_owned(), span: 0..1000, hint: None }], "sweep.toml", &text), expected);
}

#[test]
fn a_hostile_file_cannot_steer_the_terminal() {
    let text = "name = '\u{1b}[2J\u{202e}' # \u{7}";
    let hostile = Problem { message: "\u{1b}]0;x\u{7}".to_owned(), span: 7..16, hint: Some("line\rover\nwritten".to_owned()) };
    let rendered = render(&[hostile], "\u{1b}c.toml", text);
    expect![[r#"
        error: \u{1b}]0;x\u{7}
         --> \u{1b}c.toml:1:8
          |
        1 | name = '\u{1b}[2J\u{202e}' # \u{7}
          |        ^^^^^^^^^^^^^^^^^^^
        hint: line\rover\nwritten
    "#]]
    .assert_eq(&rendered);
}
