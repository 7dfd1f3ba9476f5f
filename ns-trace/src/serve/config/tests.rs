//! What a configuration may and may not say.

use std::os::unix::fs::symlink;

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn read(text: &str) -> Result<Config, String> {
    let (mut config, mut problems) = (Config::default(), Problems::default());
    config.read(Path::new("a.toml"), text, &mut problems);
    config.check(&mut problems);
    if problems.is_empty() { Ok(config) } else { Err(problems.to_string()) }
}

#[test]
fn nothing_is_the_default() {
    assert_eq!(read("").unwrap(), Config::default());
    assert_eq!(read("[probe]\n[recent]\n").unwrap(), Config::default());
}

#[test]
fn everything_that_is_wrong_is_said_with_its_place() {
    let text = "[probe]\nbackend = \"ftrace\"\nbufer = 1\n\n[recent]\nevents = true\n[rcent]\n";
    let said = read(text).unwrap_err();
    let expected = [
        "a.toml:2:11: probe.backend: expected one of auto, fentry, kprobe, tracepoint, found `ftrace`",
        "a.toml:3:1: unknown key `probe.bufer`; did you mean `buffer`?",
        "a.toml:6:10: recent.events: expected a whole number, found boolean",
        "a.toml:7:2: unknown key `rcent`; did you mean `recent`?",
    ];
    let mut lines: Vec<_> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn bad_syntax_is_said_with_its_place() {
    let said = read("[probe]\nbackend = \ntasks = ?\n").unwrap_err();
    assert!(said.starts_with("a.toml:2:"), "{said}");
    assert!(said.lines().count() >= 2, "{said}");
}

#[test]
fn later_files_count_and_sinks_add_up() {
    let mut config = Config::default();
    let mut problems = Problems::default();
    let sink = "[[sink]]\ntype = \"stdout\"\nname = ";
    for (path, text) in [("a", "\"a\"\n[probe]\ntasks = true"), ("b", "\"b\"\n")] {
        config.read(Path::new(path), &format!("{sink}{text}"), &mut problems);
    }
    config.read(Path::new("c"), "[probe]\nbuffer = \"1M\"", &mut problems);
    assert!(problems.is_empty(), "{problems}");
    assert!(config.probe.tasks);
    assert_eq!(config.probe.buffer, 1 << 20);
    assert_eq!(config.sinks.iter().map(SinkConfig::name).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn an_address_for_others_needs_a_token() {
    let said = read("[http]\nlisten = \"0.0.0.0:7979\"").unwrap_err();
    assert!(said.contains("token_file"), "{said}");
    read("[http]\nlisten = \"0.0.0.0:7979\"\ntoken_file = \"/etc/t\"").unwrap();
    read("[http]\nlisten = \"[::1]:0\"").unwrap();
    let unix = read("[http]\nlisten = \"unix:/run/h.sock\"").unwrap();
    assert_eq!(unix.http.listen, Listen::Unix("/run/h.sock".into()));
}

#[test]
fn what_stays_is_told_and_no_address_is_opened_to_others() {
    let old = read("[http]\nlisten = \"0.0.0.0:7979\"\ntoken_file = \"/etc/t\"").unwrap();
    for (text, stays) in [
        ("listen = \"unix\"", true),
        ("listen = \"0.0.0.0:7979\"\ntoken_file = \"/etc/t\"\nclients = 7", true),
        ("listen = \"0.0.0.0:7979\"\ntoken_file = \"/etc/u\"", false),
    ] {
        let mut new = read(&format!("[http]\n{text}")).unwrap();
        assert_eq!(new.keep(&old), stays, "{text}");
        assert_eq!((&new.http.listen, new.http.clients), (&old.http.listen, old.http.clients));
        assert!(new.http.token_file.is_some(), "{text}");
        assert_eq!(new.http == old.http, stays, "{text}");
    }
    let [on, off] = ["true", "false"].map(|is| read(&format!("[rules]\nenabled = {is}")).unwrap());
    for (old, new, stays) in [(&on, &off, false), (&off, &on, true), (&off, &off, false)] {
        let mut new = new.clone();
        assert_eq!(new.keep(old), stays);
        assert_eq!(new.rules.enabled, old.rules.enabled);
    }
    let mut other = read("[control]\ngroup = \"a\"\nmembers = \"all\"").unwrap();
    assert!(other.keep(&Config::default()));
    assert_eq!(other.control.members, Sight::All);
}

#[test]
fn a_sink_has_the_keys_of_its_type_only() {
    let said = read("[[sink]]\npath = \"/a\"\nevents = [\"create\"]").unwrap_err();
    let others = "\"file\", \"unix\", \"syslog\", \"journal\"";
    let why = format!("a sink of type \"stdout\" has none; those of type {others} have");
    assert_eq!(said, format!("a.toml:2:1: sink.path: {why}"));
    for (kind, rest, key) in [
        ("file", "path = \"/a\"", "url = \"http://a\""),
        ("file", "path = \"/a\"", "user = \"root\""),
        ("unix", "path = \"/a\"", "keep = 7"),
        ("webhook", "url = \"http://a\"", "path = \"/a\""),
        ("journal", "", "timeout = \"1s\""),
        ("stdout", "", "compress = true"),
    ] {
        let text = format!("[[sink]]\ntype = \"{kind}\"\n{rest}\n");
        let right = read(&text).unwrap();
        assert_eq!(read(&keys::print(&right)).unwrap(), right);
        let said = read(&(text + key)).unwrap_err();
        let name = key.split(' ').next().unwrap();
        assert!(said.starts_with(&format!("a.toml:4:1: sink.{name}: a sink of type ")), "{said}");
    }
    let said = read("[[sink]]\ntype = \"fiel\"\npath = \"/a\"").unwrap_err();
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_file_is_for_one_sink_only() {
    let sink = |kind: &str, path: &str| {
        format!("[[sink]]\ntype = \"{kind}\"\nname = \"{kind}{path}\"\npath = \"{path}\"\n")
    };
    let said = read(&(sink("file", "/a/b") + &sink("file", "/a//b"))).unwrap_err();
    let expected = "sinks `file/a/b` and `file/a//b` have the same `path`, /a/b; ";
    assert!(said.starts_with(expected) && said.lines().count() == 1, "{said}");
    read(&(sink("unix", "/a") + &sink("file", "/a"))).unwrap_err();
    read(&(sink("file", "/a") + &sink("file", "/b"))).unwrap();
    read(&(sink("unix", "/a") + &sink("syslog", "/a"))).unwrap();
}

#[test]
fn a_token_must_be_there_for_whoever_serves() {
    let file = std::env::temp_dir().join(format!("ns-trace-test-{}-tokens", std::process::id()));
    let config = file.with_extension("toml");
    let token = format!("token_file = \"{}\"\n", file.display());
    let sink = "[[sink]]\ntype = \"webhook\"\nurl = \"http://a\"\n";
    fs::write(&config, format!("[http]\n{token}{sink}{token}")).unwrap();
    let said = |text: Option<&str>| {
        if let Some(text) = text {
            fs::write(&file, text).unwrap();
        }
        // Whoever does not serve may not even be able to read it.
        Config::load(Some(&config)).unwrap();
        Config::load_with_rules(Some(&config)).map(drop).map_err(|why| why.to_string())
    };
    for (text, why) in [(None, "cannot read "), (Some("\n"), "has no token")] {
        let said = said(text).unwrap_err();
        let [first, second] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        assert!(first.starts_with("http.token_file: ") && first.contains(why), "{said}");
        assert!(second.starts_with("sink `webhook`: token_file: "), "{said}");
    }
    assert_eq!(said(Some("s3cret\n")), Ok(()));
    fs::remove_file(file).unwrap();
    fs::remove_file(config).unwrap();
}

#[test]
fn durations_are_printed_as_they_are() {
    for (written, shown) in [
        ("0x10", "16s"),
        ("\"90m\"", "5400s"),
        ("\"2h\"", "2h"),
        ("\"30d\"", "720h"),
        ("\"500us\"", "500us"),
        ("\"1ms 1ns\"", "1000001ns"),
    ] {
        let config = read(&format!("[history]\nmax_age = {written}")).unwrap();
        let printed = keys::print(&config);
        assert!(printed.contains(&format!("\nmax_age = \"{shown}\"\n")), "{printed}");
        assert_eq!(read(&printed).unwrap(), config);
    }
    assert!(read("[history]\nmax_age = -1").is_err());
}

/// A line that may stand in a configuration, or not.
fn line() -> impl Strategy<Value = String> {
    let table = select(
        &[
            "[probe]",
            "[recent]",
            "[history]",
            "[control]",
            "[http]",
            "[rules]",
            "[redact]",
            "[privileges]",
            "[[sink]]",
            "[x]",
        ][..],
    );
    let names: Vec<_> = keys::described()
        .into_iter()
        .flat_map(|(_, _, keys)| keys.into_iter().map(|key| key.name))
        .chain(["nosuch", "a.b", "\"\""])
        .collect();
    let values = [
        "1",
        "0x7f",
        "-1",
        "99999999999999999999",
        "true",
        "\"16M\"",
        "\"1h\"",
        "\"500us\"",
        "\"auto\"",
        "\"file\"",
        "\"/a\"",
        "\"http://a\"",
        "\"event == 'create'\"",
        "[\"create\"]",
        "[\"net\", \"uts\"]",
        "[\"a(b)\", \"(\"]",
        "[\"/a\", \"shipped\"]",
        "[\"CAP_KILL\"]",
        "\"unix:/a\"",
        "\"[::1]:1\"",
        "\"\\u007f\\n\"",
        "1.5",
        "{}",
        "\"",
        "",
    ];
    let pair = (select(names), select(values.to_vec()));
    prop_oneof![
        2 => table.prop_map(str::to_owned),
        6 => pair.prop_map(|(name, value)| format!("{name} = {value}")),
        1 => any::<String>(),
    ]
}

proptest! {
    /// Whatever stands in a file, it is wrong or a configuration; and that is read as it is printed.
    #[test]
    fn no_text_is_too_strange(lines in vec(line(), 0..12)) {
        let (mut config, mut problems) = (Config::default(), Problems::default());
        config.read(Path::new("a.toml"), &lines.join("\n"), &mut problems);
        if problems.is_empty() {
            let mut again = Config::default();
            again.read(Path::new("b.toml"), &keys::print(&config), &mut problems);
            prop_assert!(problems.is_empty(), "{}", problems);
            prop_assert_eq!(again, config);
        }
    }
}

#[test]
fn a_bad_pattern_is_said_with_its_place() {
    let said = read("[redact]\nargs = [\n  \"--key=.+\",\n  \"a(\",\n  7,\n]\n").unwrap_err();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "a.toml:4:3: redact.args: unclosed group",
            "a.toml:5:3: redact.args: expected a string, found integer",
        ]
    );
    let said = read("[privileges]\nkeep = [\"CAP_FLY\"]").unwrap_err();
    assert!(said.starts_with("a.toml:2:8: privileges.keep: ") && said.contains("FLY"), "{said}");
}

#[test]
fn wrong_rules_are_a_wrong_configuration() {
    let name = format!("ns-trace-test-{}-rules.yaml", std::process::id());
    let file = std::env::temp_dir().join(name);
    fs::write(&file, "rules:\n  - id: a\n    colour: red\n").unwrap();
    let rules = RulesConfig { enabled: true, paths: vec![file.clone()] };
    let said = rules.load().unwrap_err().to_string();
    fs::remove_file(&file).unwrap();
    assert!(said.contains(&format!("{}:3:5: ", file.display())), "{said}");
    let missing = rules.load().unwrap_err().to_string();
    assert!(missing.starts_with("rules.paths: ") && missing.contains("yaml"), "{missing}");
    let off = RulesConfig { enabled: false, ..rules };
    assert!(off.load().unwrap().rules.is_empty());
    assert!(!RulesConfig::default().load().unwrap().rules.is_empty());
}

#[test]
fn what_is_printed_is_read_again() {
    let mut config = Config::default();
    config.probe.tasks = true;
    config.control.members = Sight::Nothing;
    config.http.listen = Listen::Off;
    config.probe.btf = Some("/a \"b\"\\".into());
    let sink = "[[sink]]\ntype = \"file\"\npath = \"/a\"\nmax_age = \"90m\"\nwhere = \"pid > 1\"\n";
    config.sinks = read(&sink.replace("pid > 1", "process.pid > 1")).unwrap().sinks;
    assert_eq!(read(&keys::print(&config)).unwrap(), config);
    assert_eq!(read(&keys::print(&Config::default())).unwrap(), Config::default());
}

#[test]
fn only_a_place_where_nothing_is_has_no_configuration() {
    let root = std::env::temp_dir().join(format!("ns-trace-test-{}-etc", std::process::id()));
    fs::create_dir_all(root.join("some")).unwrap();
    fs::write(root.join("some/b.toml"), "").unwrap();
    fs::write(root.join("some/other"), "").unwrap();
    symlink("nowhere", root.join("some/a.toml")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    let found = |first: &str, directory: &str| {
        let mut problems = Problems::default();
        let files = installed(&root.join(first), &root.join(directory), &mut problems);
        let files =
            files.iter().map(|file| file.strip_prefix(&root).unwrap().display().to_string());
        (files.collect::<Vec<_>>(), problems.is_empty())
    };
    let files = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(found("absent", "missing"), (files(&[]), true));
    assert_eq!(found("absent", "some"), (files(&["some/a.toml", "some/b.toml"]), true));
    // Whoever reads these is told why that cannot be.
    assert_eq!(found("dangling", "missing"), (files(&["dangling"]), true));
    assert_eq!(found("some/other/below", "missing"), (files(&["some/other/below"]), true));
    assert_eq!(found("absent", "dangling"), (files(&[]), false));
    assert_eq!(found("absent", "some/other"), (files(&[]), false));
    fs::remove_dir_all(root).unwrap();
}
