//! Sinks: where events leave.

use std::{path::PathBuf, time::Duration};

use toml::de::DeTable;

use super::{
    key::{self, Key},
    problem::Finder,
    value::{
        duration, list, number, one_of, path, quoted, shown, size, some_of, switch, text, word,
    },
};
use crate::{
    expr::Filter,
    model::{Bytes, Kind, event::EventKind},
    sink::{
        schema::Schema,
        target::{MOST_KEPT, webhook},
    },
    sys::{account, token},
};

/// Where events go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Target {
    /// Standard output.
    #[default]
    Stdout,
    /// A file that is rotated.
    File,
    /// A listening unix stream socket.
    Unix,
    /// An HTTP server, by POST.
    Webhook,
    /// syslog(3) at /dev/log.
    Syslog,
    /// systemd-journald, by its native protocol.
    Journal,
}

/// A user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct User {
    /// As they are written.
    pub written: String,
    /// Their number: whoever serves cannot ask for it any more.
    pub uid: u32,
}

/// One sink.
#[derive(Clone, Debug, PartialEq)]
pub struct SinkConfig {
    /// Where to.
    pub target: Target,
    /// What metrics call it; the target if it is empty.
    pub label: String,
    /// Of a file or a socket.
    pub path: Option<PathBuf>,
    /// Of a webhook.
    pub url: Option<String>,
    /// In whose words.
    pub schema: Schema,
    /// Who may listen at a socket besides root and the collector's own user.
    pub user: Option<User>,
    /// Only events for which this expression is true.
    pub filter: Option<String>,
    /// Only these sorts of event.
    pub events: Vec<EventKind>,
    /// Only about these types of namespace.
    pub kinds: Vec<Kind>,
    /// A file is rotated when it is larger.
    pub max_size: u64,
    /// A file is rotated when its first event is older.
    pub max_age: Duration,
    /// How many rotated files are kept.
    pub keep: usize,
    /// Whether rotated files are compressed.
    pub compress: bool,
    /// How long a webhook may take to answer.
    pub timeout: Duration,
    /// A file whose first line is sent to a webhook as bearer token.
    pub token_file: Option<PathBuf>,
    /// A file with the authorities that a webhook trusts over TLS; `None` is those of the system.
    pub ca_file: Option<PathBuf>,
}

impl Default for SinkConfig {
    fn default() -> Self {
        Self {
            target: Target::default(),
            label: String::new(),
            path: None,
            url: None,
            schema: Schema::Native,
            user: None,
            filter: None,
            events: Vec::new(),
            kinds: Vec::new(),
            max_size: 100 << 20,
            max_age: Duration::from_hours(24),
            keep: 7,
            compress: true,
            timeout: Duration::from_secs(10),
            token_file: None,
            ca_file: None,
        }
    }
}

impl SinkConfig {
    /// What metrics and messages call it.
    #[must_use]
    pub fn name(&self) -> String {
        if self.label.is_empty() {
            word(&TARGETS, &self.target).trim_matches('"').to_owned()
        } else {
            self.label.clone()
        }
    }

    /// Whether what it could not hand on is read from the history later.
    pub(in crate::serve) const fn is_kept(&self) -> bool {
        matches!(self.target, Target::File | Target::Webhook)
    }

    /// Whether it has what its target needs.
    pub(super) fn check(&self) -> Result<(), String> {
        match self.target {
            Target::File | Target::Unix if self.path.is_none() => Err("needs a `path`".to_owned()),
            Target::Webhook => self.check_webhook(),
            _ => Ok(()),
        }
    }

    fn check_webhook(&self) -> Result<(), String> {
        let url = self.url.as_ref().ok_or("needs a `url`")?;
        if self.ca_file.is_some() && !webhook::is_tls(url) {
            return Err("has a `ca_file`, but its `url` does not begin with https://".to_owned());
        }
        Ok(())
    }

    /// Whether the files can be read that it names.
    pub(super) fn check_files(&self) -> Result<(), String> {
        if let Some(file) = &self.ca_file {
            webhook::authorities(file).map_err(|why| format!("ca_file: {why}"))?;
        }
        if let Some(file) = &self.token_file {
            token::read(file).map_err(|why| format!("token_file: {why}"))?;
        }
        Ok(())
    }

    /// The keys that are of use to it.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'static Key<Self>> {
        KEYS.iter().filter(|key| targets(key.name).contains(&self.target))
    }
}

/// Reads a sink.
pub(super) fn read(table: &DeTable<'_>, found: &mut Finder<'_>) -> SinkConfig {
    let mut sink = SinkConfig::default();
    key::fill(&KEYS, "sink", table, &mut sink, found);
    let has_type = table
        .iter()
        .all(|(name, value)| name.get_ref() != "type" || one_of(value.get_ref(), &TARGETS).is_ok());
    // What type was meant is not known else.
    for (name, _) in table.iter().filter(|_| has_type) {
        let targets = targets(name.get_ref());
        if !targets.contains(&sink.target) {
            let targets: Vec<_> = targets.iter().map(|target| word(&TARGETS, target)).collect();
            let (of, target) = (targets.join(", "), word(&TARGETS, &sink.target));
            let what = format!("a sink of type {target} has none; those of type {of} have");
            found.add(name.span(), format_args!("sink.{}: {what}", name.get_ref()));
        }
    }
    sink
}

/// The targets that have a use for a key.
fn targets(key: &str) -> &'static [Target] {
    use Target::{File, Journal, Stdout, Syslog, Unix, Webhook};
    match key {
        "path" => &[File, Unix, Syslog, Journal],
        "user" => &[Unix, Syslog, Journal],
        "url" | "timeout" | "token_file" | "ca_file" => &[Webhook],
        "max_size" | "max_age" | "keep" | "compress" => &[File],
        _ => &[Stdout, File, Unix, Webhook, Syslog, Journal],
    }
}

const TARGETS: [(&str, Target); 6] = [
    ("stdout", Target::Stdout),
    ("file", Target::File),
    ("unix", Target::Unix),
    ("webhook", Target::Webhook),
    ("syslog", Target::Syslog),
    ("journal", Target::Journal),
];

const SCHEMAS: [(&str, Schema); 3] =
    [("native", Schema::Native), ("ecs", Schema::Ecs), ("ocsf", Schema::Ocsf)];

fn kinds() -> [(&'static str, Kind); 8] {
    Kind::ALL.map(|kind| (kind.name(), kind))
}

fn events() -> Vec<(&'static str, EventKind)> {
    EventKind::ALL.iter().map(|kind| (kind.name(), *kind)).collect()
}

pub(super) static KEYS: [Key<SinkConfig>; 16] = [
    Key {
        name: "type",
        value: "stdout, file, unix, webhook, syslog or journal",
        help: "Where events go: standard output; a file; a unix stream socket that somebody listens \
               at; an HTTP server by POST, a batch of JSON lines each; syslog at /dev/log; \
               systemd-journald. A file and a webhook get every event at least once, also those of \
               before a restart, as far as the history has them: by its `name` each has a cursor \
               beside that.",
        set: |sink, value| one_of(value, &TARGETS).map(|target| sink.target = target),
        get: |sink| Some(word(&TARGETS, &sink.target)),
    },
    Key {
        name: "name",
        value: "name",
        help: "What metrics and messages call it, if not by its type.",
        set: |sink, value| text(value).map(|name| name.clone_into(&mut sink.label)),
        get: |sink| (!sink.label.is_empty()).then(|| quoted(&sink.label)),
    },
    Key {
        name: "path",
        value: "path",
        help: "The file; the socket of type unix; of syslog and journal, if it is not where it always is.",
        set: |sink, value| path(value).map(|path| sink.path = Some(path)),
        get: |sink| sink.path.as_ref().map(|path| quoted(path.display())),
    },
    Key {
        name: "url",
        value: "http://… or https://…",
        help: "Where a webhook is; one that answers that it is elsewhere is not followed.",
        set: |sink, value| {
            let url = text(value)?;
            webhook::check_url(url)?;
            sink.url = Some(url.to_owned());
            Ok(())
        },
        get: |sink| sink.url.as_ref().map(quoted),
    },
    Key {
        name: "schema",
        value: "native, ecs or ocsf",
        help: "In whose words events are written: those of ns-trace, of the Elastic Common Schema 8.17, \
               or of the Open Cybersecurity Schema Framework 1.4. What these have no words for is in \
               `ns_trace` and in `unmapped`.",
        set: |sink, value| one_of(value, &SCHEMAS).map(|schema| sink.schema = schema),
        get: |sink| Some(word(&SCHEMAS, &sink.schema)),
    },
    Key {
        name: "user",
        value: "name or number",
        help: "Who may listen at the socket of a sink, besides root and the collector's own user: \
               nobody else is sent events.",
        set: |sink, value| {
            let written = text(value)?.to_owned();
            let uid = account::user(&written)?;
            sink.user = Some(User { written, uid });
            Ok(())
        },
        get: |sink| sink.user.as_ref().map(|user| quoted(&user.written)),
    },
    Key {
        name: "where",
        value: "expression",
        help: "Only events for which this CEL expression is true, as with `trace --where`.",
        set: |sink, value| {
            let source = text(value)?;
            Filter::compile(source).map_err(|error| format!("{}: {error}", error.position()))?;
            sink.filter = Some(source.to_owned());
            Ok(())
        },
        get: |sink| sink.filter.as_ref().map(quoted),
    },
    Key {
        name: "events",
        value: "list of names",
        help: "Only these sorts of event; `lost` and `sync` always pass.",
        set: |sink, value| some_of(value, &events()).map(|events| sink.events = events),
        get: |sink| list(&events(), &sink.events),
    },
    Key {
        name: "types",
        value: "list of names",
        help: "Only events about these types of namespace.",
        set: |sink, value| some_of(value, &kinds()).map(|kinds| sink.kinds = kinds),
        get: |sink| list(&kinds(), &sink.kinds),
    },
    Key {
        name: "max_size",
        value: "size",
        help: "A file that has grown larger is rotated.",
        set: |sink, value| size(value, 1 << 12, 1 << 50).map(|bytes| sink.max_size = bytes),
        get: |sink| Some(quoted(Bytes(sink.max_size))),
    },
    Key {
        name: "max_age",
        value: "duration",
        help: "A file that was begun longer ago is rotated.",
        set: |sink, value| duration(value).map(|age| sink.max_age = age),
        get: |sink| Some(shown(sink.max_age)),
    },
    Key {
        name: "keep",
        value: "number",
        help: "How many rotated files are kept: PATH.1 is the latest of them.",
        set: |sink, value| number(value, 1, MOST_KEPT).map(|keep| sink.keep = keep),
        get: |sink| Some(sink.keep.to_string()),
    },
    Key {
        name: "compress",
        value: "true or false",
        help: "Whether rotated files are compressed: PATH.1.gz.",
        set: |sink, value| switch(value).map(|compress| sink.compress = compress),
        get: |sink| Some(sink.compress.to_string()),
    },
    Key {
        name: "timeout",
        value: "duration",
        help: "How long a webhook may take to answer before the batch is sent again.",
        set: |sink, value| duration(value).map(|timeout| sink.timeout = timeout),
        get: |sink| Some(shown(sink.timeout)),
    },
    Key {
        name: "token_file",
        value: "path",
        help: "A file whose first line is sent to a webhook as bearer token.",
        set: |sink, value| path(value).map(|path| sink.token_file = Some(path)),
        get: |sink| sink.token_file.as_ref().map(|path| quoted(path.display())),
    },
    Key {
        name: "ca_file",
        value: "path",
        help: "A file with the certificates (PEM) of the authorities by which a webhook of https:// is \
               known, in place of those that the system trusts.",
        set: |sink, value| path(value).map(|path| sink.ca_file = Some(path)),
        get: |sink| sink.ca_file.as_ref().map(|path| quoted(path.display())),
    },
];
