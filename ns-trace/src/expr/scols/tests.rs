use super::*;

/// Cells of a network namespace of nine processes that is mounted nowhere.
fn cell(column: Column) -> Cell {
    match column {
        Column::Ns => 4_026_532_281_u32.into(),
        Column::Type => "net".into(),
        Column::Nprocs => 9_u32.into(),
        Column::Pid => 21_u32.into(),
        Column::Command => " sleep 300 ".into(),
        Column::NetnsId => "13734".into(),
        Column::Pns => 0_u32.into(),
        Column::State => "".into(),
        Column::User => "yes".into(),
        _ => Cell::Empty,
    }
}

fn holds(source: &str) -> bool {
    let filter = ColumnFilter::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
    filter.matches(cell)
}

fn error(source: &str) -> String {
    ColumnFilter::compile(source).expect_err(source).to_string()
}

#[test]
fn comparisons_of_all_types() {
    for (source, truth) in [
        ("", true),
        ("  ", true),
        ("TYPE == 'net'", true),
        ("type eq \"net\"", true),
        ("TYPE != 'net'", false),
        ("NPROCS == 9", true),
        ("NPROCS EQ '9'", true),
        ("NPROCS > 8.5", true),
        ("8.5 < NPROCS", true),
        ("NPROCS < 9", false),
        ("NPROCS <= 9 && NPROCS >= 9", true),
        ("NPROCS == '09'", false),
        ("NETNSID == '13734'", true),
        ("NETNSID == 13734", true),
        ("NETNSID > 9999", true),
        ("NETNSID > '9999'", false),
        ("COMMAND == 'sleep 300'", true),
        ("NS > 3G", true),
        ("NS > 4GiB", false),
        ("NS < 4G", true),
        ("1 == 1.0 && 2 != 1.5", true),
        ("NPROCS == true && USER == true", true),
        ("TYPE == true", false),
        ("true == (NPROCS == 9)", true),
        ("TYPE == PID", false),
        ("PID != NPROCS", true),
        ("TRUE && !FALSE", true),
    ] {
        assert_eq!(holds(source), truth, "{source}");
    }
}

#[test]
fn an_empty_cell_is_no_number_and_no_text() {
    for (source, truth) in [
        ("NSFS == ''", false),
        ("NSFS != ''", true),
        ("STATE == ''", true),
        ("!NSFS", true),
        ("NSFS", false),
        ("LEVEL == 0", false),
        ("LEVEL != 0", false),
        ("LEVEL < 1 || LEVEL >= 0", false),
        ("!LEVEL && !PNS && !STATE", true),
        ("PNS == 0", true),
        ("TYPE && PID && NPROCS", true),
        ("NSFS =~ '^$'", true),
        ("NSFS == POD", true),
    ] {
        assert_eq!(holds(source), truth, "{source}");
    }
}

#[test]
fn precedence_is_what_the_manual_promises() {
    for (source, truth) in [
        // Not `(a or b) and c`.
        ("TYPE == 'net' || TYPE == 'user' && PID == 0", true),
        ("true or false and false", true),
        ("false and false or true", true),
        // `not` binds tighter than a comparison: the left side is a condition.
        ("! TYPE == 'net'", true),
        ("! (TYPE == 'net')", false),
        ("not not TYPE", true),
        ("!PID || PID == 21", true),
        ("NPROCS == 9 == true", true),
    ] {
        assert_eq!(holds(source), truth, "{source}");
    }
}

#[test]
fn patterns_are_extended_and_unanchored() {
    for (source, truth) in [
        ("COMMAND =~ 'leep'", true),
        ("COMMAND !~ 'leep'", false),
        ("COMMAND =~ '^sleep [0-9]+$'", true),
        ("COMMAND =~ '[[:digit:]]{3}'", true),
        ("NS =~ '^402'", true),
        ("TYPE =~ 'mnt|net'", true),
    ] {
        assert_eq!(holds(source), truth, "{source}");
    }
    for pattern in ["a++", "a**", "(a+)+", "((a*)b)*", "a{1025}", "a{1,2000}"] {
        let message = error(&format!("TYPE =~ '{pattern}'"));
        assert!(message.contains("repeats too much"), "{message}");
    }
    for pattern in ["[+][+]+", "(a+)b", r"a\++", "a{1024}", "[(]+[)]+"] {
        assert!(!holds(&format!("PATH =~ '{pattern}'")), "{pattern}");
    }
    assert!(error("TYPE =~ '('").contains("unclosed group"));
    assert!(error(&format!("TYPE =~ '{}'", "a".repeat(257))).contains("longer than 256 bytes"));
}

#[test]
fn what_is_no_filter_is_told_with_its_place() {
    for (source, message) in [
        ("1 2", "unexpected a number, expecting the end, column 3"),
        ("TYPE =", "unexpected `=`, column 6"),
        ("TYPE ==", "unexpected the end, expecting a column, a value, `not` or `(`, column 8"),
        ("(TYPE", "unexpected the end, expecting `)`, column 6"),
        ("TYPE == 'net", "a string without its end, column 9"),
        ("TYPE =~ PID", "unexpected a name, expecting a pattern as a string, column 9"),
        ("PID == -1", "unexpected `-`, column 8"),
        ("PID == 99999999999999999999", "the number 99999999999999999999 is too large, column 8"),
        ("PID == 1Y", "the number 1Y is too large, column 8"),
    ] {
        let told = error(source);
        assert!(told.starts_with(&format!("failed to parse \"{source}\": ")), "{told}");
        assert!(told.ends_with(message), "{told}");
    }
    assert_eq!(error("FOO"), "unknown column: FOO");
    // A keyword of mixed case is a name.
    assert_eq!(error("TYPE && Not"), "unknown column: Not");
    assert!(error(&"x".repeat(1025)).contains("1024 bytes"));
    assert!(error(&"!".repeat(257)).contains("256 terms"));
    let deep = format!("{}1{}", "(".repeat(127), ")".repeat(127));
    assert!(holds(&deep));
}

#[test]
fn the_columns_that_it_looks_at_are_known() {
    let filter = ColumnFilter::compile("PID > 1 && (TYPE == 'net' || pid < 9)").unwrap();
    assert_eq!(filter.columns(), [Column::Pid, Column::Type]);
}
