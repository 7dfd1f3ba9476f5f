//! The keys that there are.

use toml::de::{DeTable, DeValue};

use super::{
    Config, ControlConfig, HistoryConfig, HttpConfig, Listen, Pin, PrivilegesConfig, ProbeConfig,
    RecentConfig, RulesConfig, Sight, SinkConfig,
    key::{self, Described, Key},
    problem::Finder,
    sink,
    value::{
        array, duration, number, one_of, path, quoted, shown, size, switch, text, texts, word,
    },
};
use crate::{
    model::{Bytes, redact::Redaction},
    probe::Backend,
    sys::capability,
};

const BACKENDS: [(&str, Option<Backend>); 4] = [
    ("auto", None),
    ("fentry", Some(Backend::Fentry)),
    ("kprobe", Some(Backend::Kprobe)),
    ("tracepoint", Some(Backend::Tracepoint)),
];

const SIGHTS: [(&str, Sight); 3] =
    [("all", Sight::All), ("own", Sight::Own), ("nothing", Sight::Nothing)];

const PINS: [(&str, Pin); 3] =
    [("auto", Pin::Auto), ("always", Pin::Always), ("never", Pin::Never)];

const PROBE: [Key<ProbeConfig>; 7] = [
    Key {
        name: "backend",
        value: "auto, fentry, kprobe or tracepoint",
        help: "How to get into the kernel; `ns-trace doctor` explains each.",
        set: |probe, value| one_of(value, &BACKENDS).map(|backend| probe.backend = backend),
        get: |probe| Some(word(&BACKENDS, &probe.backend)),
    },
    Key {
        name: "buffer",
        value: "size",
        help: "Size of the ring between kernel and collector, a power of two.",
        set: |probe, value| {
            let bytes = size(value, 4096, 1 << 30)?;
            if !bytes.is_power_of_two() {
                return Err("must be a power of two".to_owned());
            }
            probe.buffer = u32::try_from(bytes).or(Err("too large"))?;
            Ok(())
        },
        get: |probe| Some(quoted(Bytes(probe.buffer.into()))),
    },
    Key {
        name: "backlog",
        value: "size",
        help: "How many bytes of records may wait behind the ring before events are lost.",
        set: |probe, value| {
            let bytes = size(value, 1 << 20, 1 << 40)?;
            probe.backlog = usize::try_from(bytes).or(Err("too large"))?;
            Ok(())
        },
        get: |probe| Some(quoted(Bytes(probe.backlog as u64))),
    },
    Key {
        name: "btf",
        value: "path",
        help: "Where the kernel's types are described, instead of /sys/kernel/btf/vmlinux.",
        set: |probe, value| path(value).map(|path| probe.btf = Some(path)),
        get: |probe| probe.btf.as_ref().map(|path| quoted(path.display())),
    },
    Key {
        name: "tasks",
        value: "true or false",
        help: "Whether fork, exec and exit of tasks are events too.",
        set: |probe, value| switch(value).map(|tasks| probe.tasks = tasks),
        get: |probe| Some(probe.tasks.to_string()),
    },
    Key {
        name: "pin",
        value: "auto, always or never",
        help: "Whether the probes go on when the collector ends, so that the next one tells what \
               happened meanwhile; auto means under a service manager, if this kernel can \
               (`ns-trace doctor` says so). `ns-trace serve --unpin` ends them.",
        set: |probe, value| one_of(value, &PINS).map(|pin| probe.pin = pin),
        get: |probe| Some(word(&PINS, &probe.pin)),
    },
    Key {
        name: "pin_directory",
        value: "path",
        help: "Where they are pinned then: a directory in a BPF file system, which is made.",
        set: |probe, value| path(value).map(|path| probe.pin_directory = path),
        get: |probe| Some(quoted(probe.pin_directory.display())),
    },
];

const RECENT: [Key<RecentConfig>; 2] = [
    Key {
        name: "events",
        value: "number",
        help: "How many of the latest events are kept for readers that are slow or come back.",
        set: |recent, value| number(value, 1, 100_000_000).map(|events| recent.events = events),
        get: |recent| Some(recent.events.to_string()),
    },
    Key {
        name: "bytes",
        value: "size",
        help: "About how much memory they may take.",
        set: |recent, value| {
            let bytes = size(value, 1 << 16, 1 << 40)?;
            recent.bytes = usize::try_from(bytes).or(Err("too large"))?;
            Ok(())
        },
        get: |recent| Some(quoted(Bytes(recent.bytes as u64))),
    },
];

const HISTORY: [Key<HistoryConfig>; 4] = [
    Key {
        name: "enabled",
        value: "true or false",
        help: "Whether every event and the life of every namespace is remembered.",
        set: |history, value| switch(value).map(|enabled| history.enabled = enabled),
        get: |history| Some(history.enabled.to_string()),
    },
    Key {
        name: "path",
        value: "path",
        help: "The file, which only its owner may read; beside it lie, while it is written, one \
               that ends in -wal and one in -shm. If nothing is said it is \
               /var/lib/ns-trace/history.db; for others than root ns-trace/history.db in \
               $XDG_STATE_HOME, or in ~/.local/state.",
        set: |history, value| path(value).map(|path| history.path = Some(path)),
        get: |history| history.path.as_ref().map(|path| quoted(path.display())),
    },
    Key {
        name: "max_age",
        value: "duration",
        help: "How long an event is kept.",
        set: |history, value| duration(value).map(|age| history.max_age = age),
        get: |history| Some(shown(history.max_age)),
    },
    Key {
        name: "max_size",
        value: "size",
        help: "About how large the file may become; the oldest events go first.",
        set: |history, value| size(value, 1 << 20, 1 << 46).map(|bytes| history.max_size = bytes),
        get: |history| Some(quoted(Bytes(history.max_size))),
    },
];

const CONTROL: [Key<ControlConfig>; 3] = [
    Key {
        name: "enabled",
        value: "true or false",
        help: "Whether there is a socket that `list`, `tree`, `show`, `why`, `trace` and `history` ask.",
        set: |control, value| switch(value).map(|enabled| control.enabled = enabled),
        get: |control| Some(control.enabled.to_string()),
    },
    Key {
        name: "group",
        value: "name",
        help: "The group that may use the socket beside root, if there is such a group.",
        set: |control, value| text(value).map(|group| group.clone_into(&mut control.group)),
        get: |control| Some(quoted(&control.group)),
    },
    Key {
        name: "members",
        value: "all, own or nothing",
        help: "What users of that group see who are not root: everything, or only processes of \
               their own and what belongs to them.",
        set: |control, value| one_of(value, &SIGHTS).map(|sight| control.members = sight),
        get: |control| Some(word(&SIGHTS, &control.members)),
    },
];

const HTTP: [Key<HttpConfig>; 3] = [
    Key {
        name: "listen",
        value: "unix, unix:PATH, ADDRESS:PORT or off",
        help: "Where the HTTP API listens: `unix` is http.sock beside the control socket and open to the \
               same group, with the same policy. At an address such as 127.0.0.1:7979 everybody on \
               this machine may read everything, unless there is a `token_file`; an address that \
               can be reached from other machines needs one.",
        set: |http, value| {
            http.listen = match text(value)? {
                "off" => Listen::Off,
                "unix" => Listen::Beside,
                text => match text.strip_prefix("unix:") {
                    Some(path) if path.starts_with('/') => Listen::Unix(path.into()),
                    _ => Listen::Tcp(text.parse().map_err(|_other| {
                        format!("expected unix, unix:/PATH, ADDRESS:PORT or off, found `{text}`")
                    })?),
                },
            };
            Ok(())
        },
        get: |http| {
            Some(match &http.listen {
                Listen::Off => quoted("off"),
                Listen::Beside => quoted("unix"),
                Listen::Tcp(address) => quoted(address),
                Listen::Unix(path) => quoted(format_args!("unix:{}", path.display())),
            })
        },
    },
    Key {
        name: "token_file",
        value: "path",
        help: "A file whose first line every client must send as its bearer token.",
        set: |http, value| path(value).map(|path| http.token_file = Some(path)),
        get: |http| http.token_file.as_ref().map(|path| quoted(path.display())),
    },
    Key {
        name: "clients",
        value: "number",
        help: "How many requests may be answered at a time, streams of events included.",
        set: |http, value| number(value, 1, 10_000).map(|clients| http.clients = clients),
        get: |http| Some(http.clients.to_string()),
    },
];

const RULES: [Key<RulesConfig>; 2] = [
    Key {
        name: "enabled",
        value: "true or false",
        help: "Whether there are any. For their sake fork, exec and exit are followed, told or not.",
        set: |rules, value| switch(value).map(|enabled| rules.enabled = enabled),
        get: |rules| Some(rules.enabled.to_string()),
    },
    Key {
        name: "paths",
        value: "list of paths",
        help: "Files, directories, and the word `shipped` for the rules that come with ns-trace; \
               without any, these and what is in /etc/ns-trace/rules.d.",
        set: |rules, value| {
            let read = |one: &toml::Spanned<DeValue<'_>>| match one.get_ref().as_str() {
                Some("shipped") => Ok("shipped".into()),
                _ => path(one.get_ref()),
            };
            rules.paths = array(value)?.iter().map(read).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |rules| texts(rules.paths.iter().map(|path| path.display())),
    },
];

const REDACT: [Key<Redaction>; 1] = [Key {
    name: "args",
    value: "list of patterns",
    help: "Regular expressions of secrets in the arguments of programs. Each is looked for in the \
           arguments joined by spaces, and in the messages of alerts; what it matches is replaced by \
           `[redacted]`, or if it has groups, what they match: `--password[= ]([^ ]+)`. Patterns of \
           several files add up. Rules see the arguments as they are, but their messages do not; and \
           where probes are pinned, the files of the collector's directory that a restart goes on \
           from, which nobody but root may read, have them.",
    set: |redaction, value| {
        for one in array(value)? {
            redaction.add(text(one.get_ref())?)?;
        }
        Ok(())
    },
    get: |redaction| texts(redaction.sources()),
}];

/// Reads patterns, each with a place of its own.
fn redact(config: &mut Config, table: &DeTable<'_>, found: &mut Finder<'_>) {
    let [Key { name: args, .. }] = &REDACT;
    for (name, value) in table {
        match value.get_ref() {
            DeValue::Array(patterns) if name.get_ref().as_ref() == *args => {
                for pattern in patterns {
                    let read = text(pattern.get_ref());
                    if let Err(why) = read.and_then(|text| config.redact.add(text)) {
                        found.add(pattern.span(), format_args!("redact.{args}: {why}"));
                    }
                }
            }
            _ => {
                let one = DeTable::from_iter([(name.clone(), value.clone())]);
                key::fill(&REDACT, "redact", &one, &mut config.redact, found);
            }
        }
    }
}

const PRIVILEGES: [Key<PrivilegesConfig>; 3] = [
    Key {
        name: "drop",
        value: "true or false",
        help: "Whether all capabilities are given up but those to look at the machine (CAP_BPF, \
               CAP_SYS_ADMIN, CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE), and PR_SET_NO_NEW_PRIVS is set. \
               Files and sockets of sinks then must be open to the collector's user by their modes.",
        set: |privileges, value| switch(value).map(|drop| privileges.drop = drop),
        get: |privileges| Some(privileges.drop.to_string()),
    },
    Key {
        name: "keep",
        value: "list of names",
        help: "Capabilities that stay besides, such as CAP_DAC_OVERRIDE for files of others.",
        set: |privileges, value| {
            let known = capability::named();
            let read = |one: &toml::Spanned<DeValue<'_>>| {
                let name = text(one.get_ref())?;
                let is_known = known.iter().any(|(other, _)| other == name);
                is_known.then(|| name.to_owned()).ok_or_else(|| format!("there is no {name}"))
            };
            privileges.keep = array(value)?.iter().map(read).collect::<Result<_, _>>()?;
            Ok(())
        },
        get: |privileges| texts(privileges.keep.iter()),
    },
    Key {
        name: "seccomp",
        value: "true or false",
        help: "Whether every system call is refused that serving needs not: to run programs, to make, \
               enter or mount anything, to load more into the kernel.",
        set: |privileges, value| switch(value).map(|seccomp| privileges.seccomp = seccomp),
        get: |privileges| Some(privileges.seccomp.to_string()),
    },
];

/// The names of the tables.
const TABLES: [&str; 9] =
    ["probe", "recent", "history", "control", "http", "rules", "redact", "privileges", "sink"];

/// Reads a document.
pub(super) fn fill(config: &mut Config, document: &DeTable<'_>, found: &mut Finder<'_>) {
    for (name, value) in document {
        let at = value.span();
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("probe", DeValue::Table(table)) => {
                key::fill(&PROBE, "probe", table, &mut config.probe, found);
            }
            ("recent", DeValue::Table(table)) => {
                key::fill(&RECENT, "recent", table, &mut config.recent, found);
            }
            ("history", DeValue::Table(table)) => {
                key::fill(&HISTORY, "history", table, &mut config.history, found);
            }
            ("control", DeValue::Table(table)) => {
                key::fill(&CONTROL, "control", table, &mut config.control, found);
            }
            ("http", DeValue::Table(table)) => {
                key::fill(&HTTP, "http", table, &mut config.http, found);
            }
            ("rules", DeValue::Table(table)) => {
                key::fill(&RULES, "rules", table, &mut config.rules, found);
            }
            ("redact", DeValue::Table(table)) => redact(config, table, found),
            ("privileges", DeValue::Table(table)) => {
                key::fill(&PRIVILEGES, "privileges", table, &mut config.privileges, found);
            }
            ("sink", DeValue::Array(sinks)) => {
                for sink in sinks {
                    let Some(table) = sink.get_ref().as_table() else {
                        found.add(sink.span(), "sink: expected a table, as [[sink]] begins");
                        continue;
                    };
                    config.sinks.push(sink::read(table, found));
                }
            }
            ("sink", _) => found.add(at, "sink: write [[sink]], for there may be several"),
            (known, other) if TABLES.contains(&known) => {
                found
                    .add(at, format_args!("{known}: expected a table, found {}", other.type_str()));
            }
            (unknown, _) => {
                found.add(name.span(), key::unknown(unknown, TABLES.into_iter()));
            }
        }
    }
}

/// Prints a configuration as TOML, what is not said in it included.
#[must_use]
pub fn print(config: &Config) -> String {
    let mut out = String::new();
    key::print(&PROBE, "[probe]", &config.probe, &mut out);
    key::print(&RECENT, "[recent]", &config.recent, &mut out);
    key::print(&HISTORY, "[history]", &config.history, &mut out);
    key::print(&CONTROL, "[control]", &config.control, &mut out);
    key::print(&HTTP, "[http]", &config.http, &mut out);
    key::print(&RULES, "[rules]", &config.rules, &mut out);
    key::print(&REDACT, "[redact]", &config.redact, &mut out);
    key::print(&PRIVILEGES, "[privileges]", &config.privileges, &mut out);
    for sink in &config.sinks {
        key::print(sink.keys(), "[[sink]]", sink, &mut out);
    }
    out.truncate(out.trim_end().len() + 1);
    out
}

/// Every table with what it is for, and its keys.
#[must_use]
pub fn described() -> Vec<(&'static str, &'static str, Vec<Described>)> {
    let default = Config::default();
    vec![
        ("[probe]", "How to get into the kernel.", key::describe(&PROBE, &default.probe)),
        (
            "[recent]",
            "The latest events, which every reader and sink follows at its own pace: one that falls \
             behind is told by a `lost` event how much it missed.",
            key::describe(&RECENT, &default.recent),
        ),
        (
            "[history]",
            "What `ns-trace history` answers from: a store of every event and of the life of every \
             namespace. Path and whether there is one are read at the start only.",
            key::describe(&HISTORY, &default.history),
        ),
        ("[control]", "The socket for commands.", key::describe(&CONTROL, &default.control)),
        ("[http]", "The HTTP API.", key::describe(&HTTP, &default.http)),
        (
            "[rules]",
            "Rules that look at every event; their alerts are events too.",
            key::describe(&RULES, &default.rules),
        ),
        (
            "[redact]",
            "What is taken out of events before they go anywhere.",
            key::describe(&REDACT, &default.redact),
        ),
        (
            "[privileges]",
            "What is given up once the probes are attached; `ns-trace doctor` shows what is left.",
            key::describe(&PRIVILEGES, &default.privileges),
        ),
        (
            "[[sink]]",
            "Where events leave; there may be any number. Each has the keys that are of use to its type, and \
             no others.",
            key::describe(&sink::KEYS, &SinkConfig::default()),
        ),
    ]
}
