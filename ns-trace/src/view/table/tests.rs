use serde_json::Value;

use super::*;
use crate::view::Charset;

const WIDE: Plain = Plain { headings: true, width: None, charset: Charset::Utf8 };

fn heading(name: &'static str, key: &'static str) -> Heading {
    Heading { name, key, ..Heading::default() }
}

/// A forest of two trees; the second column has the branches, the third several lines.
fn sample() -> Table {
    let mut table = Table::new(
        "rows",
        vec![
            Heading { right: true, ..heading("NS", "ns") },
            Heading { tree: true, cut: true, ..heading("COMMAND", "command") },
            Heading { wrap: true, ..heading("NSFS", "nsfs") },
        ],
    );
    let row = |number: u64, command: &str, nsfs: Cell| vec![number.into(), command.into(), nsfs];
    let init = table.push(None, row(10, "init", Cell::Empty));
    let shell = table.push(Some(init), row(11, "a shell", "/run/a\n/run/b".into()));
    let other = table.push(None, row(7, "\x1b[2J\té", Cell::Empty));
    table.push(Some(shell), row(12, "deep", "/run/c d".into()));
    table.push(Some(init), row(13, "last", "/x\n/y".into()));
    table.push(Some(other), vec![Cell::Empty, Cell::Empty, Cell::Empty]);
    table
}

#[test]
fn columns_are_aligned_and_show_the_tree() {
    let expected = "\
NS COMMAND      NSFS
10 init         
11 ├─a shell    /run/a
   │ │          /run/b
12 │ └─deep     /run/c d
13 └─last       /x
                /y
 7 \\x1b[2J\\x09é 
   └─           
";
    assert_eq!(sample().to_plain(WIDE), expected);
}

#[test]
fn ascii_terminals_get_ascii() {
    let text = sample().to_plain(Plain { charset: Charset::Ascii, ..WIDE });
    assert!(text.is_ascii(), "{text}");
    assert!(text.contains("11 |-a shell") && text.contains("13 `-last"), "{text}");
    assert!(text.contains(r"\x1b[2J\x09\xc3\xa9"), "{text}");
}

#[test]
fn lines_are_cut_at_the_edge_of_the_terminal() {
    let text = sample().to_plain(Plain { width: Some(20), headings: false, ..WIDE });
    assert!(text.contains("11 ├─a shel /run/a\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 20), "{text}");
    // The heading is the least.
    let text = sample().to_plain(Plain { width: Some(3), ..WIDE });
    assert!(text.contains("11 ├─a she /run/a\n"), "{text}");
}

#[test]
fn double_width_characters_take_two_columns() {
    let mut table = Table::new("rows", vec![heading("A", "a"), heading("B", "b")]);
    table.push(None, vec!["日本".into(), "x".into()]);
    table.push(None, vec!["abcd".into(), "y".into()]);
    assert_eq!(table.to_plain(WIDE), "A    B\n日本 x\nabcd y\n");
    table.columns[0].cut = true;
    assert_eq!(table.to_plain(Plain { width: Some(5), headings: false, ..WIDE }), "日  x\nabc y\n");
}

#[test]
fn raw_lines_have_no_branches_and_no_blanks_in_cells() {
    let expected = "\
NS COMMAND NSFS
10 init 
11 a\\x20shell /run/a,/run/b
12 deep /run/c\\x20d
13 last /x,/y
7 \\x1b[2J\\x09\\xc3\\xa9 
  
";
    assert_eq!(sample().to_raw(true), expected);
    let mut table = Table::new("rows", vec![heading("A", "a")]);
    table.push(None, vec![r"a\b".into()]);
    assert_eq!(table.to_raw(false), "a\\x5cb\n");
}

#[test]
fn json_nests_what_lies_below() {
    let text = sample().to_json();
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let rows = &json["rows"];
    assert_eq!(rows[0]["children"][0]["children"][0]["command"], "deep");
    assert_eq!(rows[0]["children"][0]["nsfs"], "/run/a\n/run/b");
    assert_eq!(rows[0]["children"][1]["ns"], 13);
    assert_eq!(rows[0]["nsfs"], Value::Null);
    assert_eq!(rows[1]["command"], "\u{1b}[2J\té");
    assert_eq!(rows.as_array().map(Vec::len), Some(2));
    assert!(
        rows[1]["children"][0]["ns"].is_null() && rows[1]["children"][0].get("children").is_none()
    );
}

#[test]
fn json_has_the_lines_of_libsmartcols() {
    let mut table = Table::new("namespaces", vec![heading("NS", "ns"), heading("TYPE", "type")]);
    let first = table.push(None, vec![1_u64.into(), "user".into()]);
    table.push(Some(first), vec![2_u64.into(), "net".into()]);
    table.push(Some(first), vec![3_u64.into(), Cell::Empty]);
    let expected = r#"{
   "namespaces": [
      {
         "ns": 1,
         "type": "user",
         "children": [
            {
               "ns": 2,
               "type": "net"
            },{
               "ns": 3,
               "type": null
            }
         ]
      }
   ]
}
"#;
    assert_eq!(table.to_json(), expected);
}

#[test]
fn an_empty_table_is_nothing_but_in_json() {
    let table = Table::new("namespaces", vec![heading("NS", "ns")]);
    assert_eq!(table.to_plain(WIDE) + &table.to_raw(true), "");
    assert_eq!(table.to_json(), "{\n   \"namespaces\": [\n\n   ]\n}\n");
}

#[test]
fn durations_and_long_names_are_for_people() {
    let mut table =
        Table::new("rows", vec![heading("AGE", "age"), heading("CONTAINER", "container")]);
    table.push(None, vec![Cell::Seconds(200), Cell::Digest("0123456789abcdef".into())]);
    assert_eq!(table.to_plain(Plain { headings: false, ..WIDE }), "3 min 20 s 0123456789ab\n");
    assert_eq!(table.to_raw(false), "200 0123456789abcdef\n");
    assert!(
        table.to_json().contains("\"age\": 200,\n         \"container\": \"0123456789abcdef\"")
    );
}
