//! Go's text/template: results that Go gives.

use super::{check_all, file};

// S-70
#[test]
fn trim_markers_remove_white_space() {
    check_all(&[
        ("x {{- \" a \" -}} y", "x a y"),
        ("x\n{{- /* c */ -}}\n y", "xy"),
        ("{{ 1 -}}\n\t {{- 2 }}", "12"),
        ("x {{-3}} y", "x -3 y"),
    ]);
}

// S-71
#[test]
fn comments_quoted_braces_conditions_loops_and_printf_work() {
    check_all(&[
        ("a{{/* c */}}b", "ab"),
        ("{{\"{{\"}} {{`}}`}}", "{{ }}"),
        ("{{ if true }}a{{ else }}b{{ end }}", "a"),
        ("{{ if false }}a{{ else if true }}b{{ else }}c{{ end }}", "b"),
        ("{{ with \"\" }}a{{ else with \"x\" }}{{ . }}{{ else }}c{{ end }}", "x"),
        ("{{ range 3 }}{{ . }}{{ end }}", "012"),
        ("{{ range $i := 2 }}{{ $i }}{{ end }}", "01"),
        ("{{ range 0 }}a{{ else }}none{{ end }}", "none"),
        (
            "{{ range 5 }}{{ if eq . 1 }}{{ continue }}{{ end }}{{ if eq . 3 }}{{ break }}{{ end }}{{ . }}{{ end }}",
            "02",
        ),
        ("{{ printf \"%s-%d\" \"a\" 3 }}", "a-3"),
    ]);
}

// S-71a
#[test]
fn templates_variables_and_literals_work_as_in_go() {
    check_all(&[
        ("{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" 3 }}{{ template \"t\" \"x\" }}", "<3><x>"),
        ("{{ block \"b\" 1 }}[{{ . }}]{{ end }}", "[1]"),
        ("{{ $x := 1 }}{{ $x = 2 }}{{ $x }}", "2"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 5 }}{{ $x }}{{ end }}{{ $x }}", "51"),
        ("{{ $x := 1 }}{{ range 2 }}{{ $x = . }}{{ end }}{{ $x }}", "1"),
        (
            "{{ 'a' }} {{ 0x1F }} {{ 1.5 }} {{ 1e3 }} {{ 0b11 }} {{ 017 }} {{ true }}",
            "97 31 1.5 1000 3 15 true",
        ),
        ("{{ 1000000.0 }} {{ 123456.0 }} {{ 0.00001 }}", "1e+06 123456 1e-05"),
        ("{{ `a\\n` }}", "a\\n"),
        ("{{ \"a\\tb\\u00e9\" }}", "a\tb\u{e9}"),
        ("{{ printf\n\"%d\"\n1 }}", "1"),
        ("{{ (1 | printf \"%d\") | printf \"%s!\" }}", "1!"),
    ]);
}

// S-71a
#[test]
fn the_functions_of_the_language_work_as_in_go() {
    check_all(&[
        ("{{ len \"abc\" }} {{ len .Secrets }}", "3 6"),
        ("{{ html \"<a href='x'>&\\\"\" }}", "&lt;a href=&#39;x&#39;&gt;&amp;&#34;"),
        ("{{ js \"it's <b> \\\"x\\\"=\\n\" }}", "it\\'s \\u003Cb\\u003E \\\"x\\\"\\u003D\\u000A"),
        ("{{ urlquery \"a b&c/~\" }}", "a+b%26c%2F~"),
        ("{{ eq 1 1 }} {{ eq 1 2 3 1 }} {{ ne \"a\" \"b\" }} {{ eq nil nil }}", "true true true true"),
        ("{{ lt 1 2 }} {{ le 2 2 }} {{ gt \"b\" \"a\" }} {{ ge 1.5 2.5 }}", "true true true false"),
        ("{{ and 1 0 }} {{ and 1 2 }} {{ or 0 \"x\" }} {{ or 0 \"\" }} {{ not 0 }}", "0 2 x  true"),
        ("{{ print 1 2 \"a\" \"b\" 3 4 nil }}", "1 2ab3 4 <nil>"),
        ("{{ print \"a\" 1 2 true }}|{{ println \"a\" 1 }}", "a1 2 true|a 1\n"),
        (
            "{{ slice \"abcd\" 1 3 }} {{ slice \"abcd\" 2 }} {{ slice \"abcd\" }} {{ index \"abc\" 1 }}",
            "bc cd abcd 98",
        ),
        ("{{ if or true (index \"a\" 9) }}short{{ end }}", "short"),
        ("{{ if and false (index \"a\" 9) }}{{ else }}short{{ end }}", "short"),
    ]);
}

// S-71a
#[test]
fn printf_formats_as_go_does() {
    for (call, expected) in [
        ("\"%5d|%-5d|%05d|%+d|% d\" 42 42 42 42 42", "   42|42   |00042|+42| 42"),
        (
            "\"%05d|%x|%X|%#x|%o|%b|%c|%U|%q\" -42 255 255 255 8 5 97 97 97",
            "-0042|ff|FF|0xff|10|101|a|U+0061|'a'",
        ),
        ("\"%6.2f|%e|%g|%.3g|%G\" 3.14159 1234.5 0.5 1234.5 1e-10", "  3.14|1.234500e+03|0.5|1.23e+03|1E-10"),
        (
            "\"%q|%x|% x|%#q|%.2s|%5s|%-5s|\" \"a\\n\" \"hi\" \"hi\" \"b\" \"abc\" \"x\" \"y\"",
            "\"a\\n\"|6869|68 69|`b`|ab|    x|y    |",
        ),
        ("\"%t %v %T %T %T\" true nil \"s\" 1 1.5", "true <nil> string int float64"),
        ("\"%d %s\" \"a\" 1", "%!d(string=a) %!s(int=1)"),
        ("\"%d\"", "%!d(MISSING)"),
        ("\"a\" 1 \"b\"", "a%!(EXTRA int=1, string=b)"),
        ("\"100%%|%\"", "100%|%!(NOVERB)"),
        ("\"%*d|%.*f\" 5 1 2 1.0", "    1|1.00"),
    ] {
        assert_eq!(file(&format!("{{{{ printf {call} }}}}")), expected, "{call}");
    }
}

// S-76
#[test]
fn closing_braces_alone_are_text() {
    check_all(&[("a }} {{ 1 }} }} b", "a }} 1 }} b")]);
}

#[test]
fn a_template_that_is_defined_but_not_used_leaves_nothing() {
    check_all(&[("{{ define \"t\" }}x{{ end }}", ""), ("a{{ define \"t\" }}x{{ end }}b", "ab")]);
}
