//! The configuration: what stands in it, where it is read, and what is wrong with it.

mod key;
pub mod keys;
mod problem;
mod sink;
#[cfg(test)]
mod tests;
mod value;

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use toml::de::DeTable;

pub use self::{
    key::Described,
    problem::{Problem, Problems},
    sink::{SinkConfig, Target, User},
};
use super::default_history;
use crate::{
    model::redact::Redaction,
    probe::{Backend, pins},
    rule::{self, Rules, is_installed},
    sys::token,
};

/// The file that is read unless another is named; beside it lies the directory of further ones.
pub const FILE: &str = "/etc/ns-trace/config.toml";
/// Files in it are read after [`FILE`] in the order of their names; what they say counts.
pub const DIRECTORY: &str = "/etc/ns-trace/config.d";

/// How the collector runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// How to get into the kernel.
    pub probe: ProbeConfig,
    /// What is kept for readers.
    pub recent: RecentConfig,
    /// What is remembered.
    pub history: HistoryConfig,
    /// The socket for commands.
    pub control: ControlConfig,
    /// The HTTP API.
    pub http: HttpConfig,
    /// The rules that look at events.
    pub rules: RulesConfig,
    /// What nobody may read.
    pub redact: Redaction,
    /// What is given up once the probes are attached.
    pub privileges: PrivilegesConfig,
    /// Where events leave.
    pub sinks: Vec<SinkConfig>,
}

/// How to get into the kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeConfig {
    /// `None` is the best that runs.
    pub backend: Option<Backend>,
    /// The size of the ring in bytes, a power of two.
    pub buffer: u32,
    /// How many bytes of records may wait behind it.
    pub backlog: usize,
    /// A file with the kernel's types; `None` is the kernel's own.
    pub btf: Option<PathBuf>,
    /// Whether fork, exec and exit are events.
    pub tasks: bool,
    /// Whether the probes go on when the collector ends.
    pub pin: Pin,
    /// Where they are pinned then.
    pub pin_directory: PathBuf,
}

/// Whether the probes go on when the collector ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pin {
    /// If a service manager has started it and they can.
    Auto,
    /// Or it does not start.
    Always,
    /// They end with it.
    Never,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            backend: None,
            buffer: 16 << 20,
            backlog: 256 << 20,
            btf: None,
            tasks: false,
            pin: Pin::Auto,
            pin_directory: pins::DIRECTORY.into(),
        }
    }
}

/// What is kept for readers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecentConfig {
    /// At most so many events.
    pub events: usize,
    /// At most about so many bytes.
    pub bytes: usize,
}

impl Default for RecentConfig {
    fn default() -> Self {
        Self { events: 65_536, bytes: 32 << 20 }
    }
}

/// What is remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryConfig {
    /// Whether anything is.
    pub enabled: bool,
    /// Where the store is; `None` is where it always is.
    pub path: Option<PathBuf>,
    /// How long an event is kept.
    pub max_age: Duration,
    /// How many bytes are kept.
    pub max_size: u64,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        let max_age = Duration::from_hours(30 * 24);
        Self { enabled: true, path: None, max_age, max_size: 2 << 30 }
    }
}

impl HistoryConfig {
    /// Where the store is.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.path.clone().unwrap_or_else(default_history)
    }
}

/// The socket for commands.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Whose it is, if there is such a group.
    pub group: String,
    /// What its members see who are not root.
    pub members: Sight,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { enabled: true, group: "ns-trace".to_owned(), members: Sight::Own }
    }
}

/// What somebody may see.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sight {
    /// Everything.
    All,
    /// The own processes and their namespaces.
    Own,
    /// Nothing.
    Nothing,
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: Listen,
    /// Whose first line a client must know.
    pub token_file: Option<PathBuf>,
    /// How many requests may be answered at a time.
    pub clients: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self { listen: Listen::Beside, token_file: None, clients: 64 }
    }
}

/// The rules that look at events.
#[derive(Clone, Debug, PartialEq)]
pub struct RulesConfig {
    /// Whether any do.
    pub enabled: bool,
    /// Files, directories and `shipped`; empty is as `ns-trace rules` takes nothing named.
    pub paths: Vec<PathBuf>,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self { enabled: true, paths: Vec::new() }
    }
}

impl RulesConfig {
    /// Reads them; none if they are not enabled.
    ///
    /// # Errors
    ///
    /// All that is wrong with them.
    pub fn load(&self) -> Result<Rules, Problems> {
        let mut problems = Problems::default();
        if !self.enabled {
            return Ok(Rules::default());
        }
        let files = rule::files(&self.paths).map_err(|error| {
            problems.add(Problem::of_whole(format!("rules.paths: {error}")));
            problems.clone()
        })?;
        rule::load(&files).map_err(|found| {
            for problem in found {
                problems.add(Problem::of_whole(problem.to_string()));
            }
            problems
        })
    }
}

/// What is given up once the probes are attached.
#[derive(Clone, Debug, PartialEq)]
pub struct PrivilegesConfig {
    /// Whether capabilities that are not needed any more are.
    pub drop: bool,
    /// Those that stay besides, as capabilities(7) names them.
    pub keep: Vec<String>,
    /// Whether system calls that are not needed are.
    pub seccomp: bool,
}

impl Default for PrivilegesConfig {
    fn default() -> Self {
        Self { drop: true, keep: Vec::new(), seccomp: true }
    }
}

/// Where the HTTP API listens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// At `http.sock`, beside the control socket.
    Beside,
    /// At an address.
    Tcp(SocketAddr),
    /// At a socket of this path.
    Unix(PathBuf),
}

impl Config {
    /// Reads `file` and no other, or without it [`FILE`] and those in [`DIRECTORY`] as far as there
    /// are any. The rules and other files that they name are left alone.
    ///
    /// # Errors
    ///
    /// All that is wrong with them.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let (config, problems) = Self::found(file);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Reads the same, and the rules; whoever does so is to serve, and must be able to read the other
    /// files that it names too.
    ///
    /// # Errors
    ///
    /// All that is wrong with any of them.
    pub fn load_with_rules(file: Option<&Path>) -> Result<(Self, Rules), Problems> {
        let (config, mut problems) = Self::found(file);
        config.check_files(&mut problems);
        match config.rules.load() {
            Ok(mut rules) if problems.is_empty() => {
                rules.redaction.clone_from(&config.redact);
                return Ok((config, rules));
            }
            Ok(_) => {}
            Err(found) => problems.extend(found),
        }
        Err(problems)
    }

    /// Takes over from `old` what stays as long as the collector runs; tells whether that is otherwise
    /// here.
    pub(super) fn keep(&mut self, old: &Self) -> bool {
        // Rules that are switched off are none any more; but tasks are followed for them from the start
        // or never.
        self.rules.enabled |= old.rules.enabled;
        let wanted = self.clone();
        self.probe.clone_from(&old.probe);
        self.recent = old.recent;
        self.history.enabled = old.history.enabled;
        self.history.path.clone_from(&old.history.path);
        self.control.enabled = old.control.enabled;
        self.control.group.clone_from(&old.control.group);
        self.http.clients = old.http.clients;
        if self.http.listen != old.http.listen {
            // An open address without the token that it was opened with would be open to everybody.
            self.http.clone_from(&old.http);
        }
        self.rules.enabled = old.rules.enabled;
        self.privileges.clone_from(&old.privileges);
        *self != wanted
    }

    fn found(file: Option<&Path>) -> (Self, Problems) {
        let mut problems = Problems::default();
        let mut config = Self::default();
        let files = match file {
            Some(file) => vec![file.to_owned()],
            None => installed(Path::new(FILE), Path::new(DIRECTORY), &mut problems),
        };
        for path in files {
            match fs::read_to_string(&path) {
                Ok(text) => config.read(&path, &text, &mut problems),
                Err(error) => problems.add(Problem::of_file(&path, &error)),
            }
        }
        config.check(&mut problems);
        (config, problems)
    }

    /// Reads the text of one file over what is there already.
    pub fn read(&mut self, path: &Path, text: &str, problems: &mut Problems) {
        let (document, errors) = DeTable::parse_recoverable(text);
        let mut found = problem::Finder::new(path, text, problems);
        for error in &errors {
            found.add(error.span().unwrap_or_default(), error.message());
        }
        // What was understood of a broken file is not worth a second complaint.
        if errors.is_empty() {
            keys::fill(self, document.get_ref(), &mut found);
        }
    }

    /// Checks what no single value shows.
    fn check(&self, problems: &mut Problems) {
        if let Listen::Tcp(address) = self.http.listen
            && !address.ip().is_loopback()
            && self.http.token_file.is_none()
        {
            problems.add(Problem::of_whole(format!(
                "http.listen: {address} can be reached from other machines; that needs \
                 http.token_file, and a proxy that speaks TLS"
            )));
        }
        for sink in &self.sinks {
            if let Err(why) = sink.check() {
                problems.add(Problem::of_whole(format!("sink `{}`: {why}", sink.name())));
            }
        }
        self.check_paths(problems);
        let mut names: Vec<_> = self.sinks.iter().map(SinkConfig::name).collect();
        names.sort();
        for (name, _) in names.iter().zip(names.iter().skip(1)).filter(|(one, next)| one == next) {
            problems.add(Problem::of_whole(format!(
                "two sinks are called `{name}`; give one of them another `name`"
            )));
        }
    }

    /// Checks that no sink has the path of another's file: that one rotates it.
    fn check_paths(&self, problems: &mut Problems) {
        for (place, one) in self.sinks.iter().enumerate() {
            let Some(path) = &one.path else { continue };
            let is_same = |other: &&SinkConfig| {
                other.path.as_ref() == Some(path)
                    && [one.target, other.target].contains(&Target::File)
            };
            for other in self.sinks.iter().skip(place + 1).filter(is_same) {
                let (one, other, path) = (one.name(), other.name(), path.display());
                problems.add(Problem::of_whole(format!(
                    "sinks `{one}` and `{other}` have the same `path`, {path}; a file is for one only"
                )));
            }
        }
    }

    /// Checks that the files can be read that are read later, again and again, but for the rules.
    fn check_files(&self, problems: &mut Problems) {
        if let Some(Err(why)) = self.http.token_file.as_deref().map(token::read) {
            problems.add(Problem::of_whole(format!("http.token_file: {why}")));
        }
        for sink in &self.sinks {
            if let Err(why) = sink.check_files() {
                problems.add(Problem::of_whole(format!("sink `{}`: {why}", sink.name())));
            }
        }
    }
}

/// The files that are installed, in the order in which they count: the first, and those of a directory.
fn installed(first: &Path, directory: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        Some(first.to_owned()).into_iter().filter(|file| is_installed(file)).collect();
    if is_installed(directory) {
        match fragments(directory) {
            Ok(more) => files.extend(more),
            Err(error) => problems.add(Problem::of_file(directory, &error)),
        }
    }
    files
}

/// The files of a directory, in the order of their names.
fn fragments(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files = paths.collect::<io::Result<Vec<_>>>()?;
    files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    files.sort();
    Ok(files)
}
