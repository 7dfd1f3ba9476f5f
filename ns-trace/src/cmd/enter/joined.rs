//! Which namespaces are joined.

use std::{
    ffi::OsString,
    fs::{self, File},
    os::{
        fd::{IntoRawFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use crate::{
    cli::EnterArgs,
    model::{Flags, Kind, Selector},
    plan::{Enter, NsFile, Target},
    report::{
        Failure,
        choice::{self, Choice, Chosen},
    },
    sys::{file, nsfs},
};

/// What is joined: of each type at most one.
pub(in crate::cmd) struct Joined {
    /// The process that is meant by everything that names none.
    pub(super) target: Option<Target>,
    /// Of the target.
    kinds: Vec<Kind>,
    files: Vec<NsFile>,
}

impl Joined {
    /// Finds out what selectors mean.
    pub(in crate::cmd) fn by_selectors(selectors: &[Selector]) -> Result<Self, Failure> {
        let mut joined = Self { target: None, kinds: Vec::new(), files: Vec::new() };
        let (has_process, container) = joined.select(selectors)?;
        joined.rest(has_process, container)?;
        Ok(joined)
    }

    /// Finds out what options and selectors mean.
    pub(super) fn new(args: &EnterArgs, selectors: &[Selector]) -> Result<Self, Failure> {
        let target = args.target.map(|word| Target::find(word.pid, word.inode)).transpose()?;
        let mut joined = Self { target, kinds: Vec::new(), files: Vec::new() };
        for (kind, word) in words(args) {
            joined.word(kind, word)?;
        }
        let (has_process, container) = joined.select(selectors)?;
        joined.special(args)?;
        joined.rest(args.all || has_process, container)?;
        if args.user_parent {
            joined.parent()?;
        }
        Ok(joined)
    }

    /// What is named alone; whether a process is named as well, and all of a container if one is.
    fn select(&mut self, selectors: &[Selector]) -> Result<(bool, Vec<Chosen>), Failure> {
        let mut has_process = false;
        let mut container = Vec::new();
        for selector in selectors {
            match choice::choose(selector)? {
                Choice::One(chosen) => self.file(chosen)?,
                Choice::Process(pid) => {
                    self.process(pid)?;
                    has_process = true;
                }
                Choice::Container(chosen) => container.extend(chosen),
            }
        }
        Ok((has_process, container))
    }

    /// All of a process or a container yields to what is named alone.
    fn rest(&mut self, all: bool, container: Vec<Chosen>) -> Result<(), Failure> {
        for chosen in container.into_iter().filter(|chosen| !is_own(chosen)) {
            if !self.has(chosen.kind) {
                self.file(chosen)?;
            }
        }
        if all { self.all() } else { Ok(()) }
    }

    /// Whether one of this type is joined.
    pub(in crate::cmd) fn has(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind) || self.files.iter().any(|file| file.kind == kind)
    }

    /// The step that does it, if there is anything to do.
    pub(in crate::cmd) fn step(self, drop_groups: bool) -> Option<Enter> {
        if self.kinds.is_empty() && self.files.is_empty() {
            return None;
        }
        let flags = self.kinds.iter().fold(0, |bits, kind| bits | kind.flag());
        let target = self.target.filter(|_| flags != 0);
        let flags = Flags::from_bits(flags);
        Some(Enter { target, flags, files: self.files, drop_groups })
    }

    /// `--net`, `--net=FILE`, `--net=:ID`.
    fn word(&mut self, kind: Kind, word: &OsString) -> Result<(), Failure> {
        if word.is_empty() {
            if self.target.is_none() {
                let name = kind.name();
                let sentence =
                    format!("neither a file nor a target is given for the {name} namespace");
                return Err(Failure::new(sentence).hint(format!(
                    "say whose: --target PID (-t), or which: --{}=FILE",
                    option(kind)
                )));
            }
            self.kinds.push(kind);
            return Ok(());
        }
        if let Some(id) = word.as_bytes().strip_prefix(b":") {
            let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
            let told = || Failure::new(format!("`{}` is no id of a namespace", word.display()));
            let id = id.ok_or_else(|| {
                told().hint("a 64-bit number; a file whose name begins with a colon is ./:name")
            })?;
            return match choice::choose(&Selector::Id(id))? {
                Choice::One(chosen) if chosen.kind == kind => self.file(chosen),
                _ => Err(told().hint(format!("it is not one of the type {}", kind.name()))),
            };
        }
        self.push(NsFile { kind, path: PathBuf::from(word), told: word.display().to_string() })
    }

    /// What needs more than a file.
    fn special(&mut self, args: &EnterArgs) -> Result<(), Failure> {
        let Some(target) = &self.target else { return Ok(()) };
        let pid = target.pid;
        if args.pid_for_children {
            let path = PathBuf::from(format!("/proc/{pid}/ns/pid_for_children"));
            let told = format!("that of the children of process {pid}");
            self.push(NsFile { kind: Kind::Pid, path, told })?;
        }
        if let Some(fd) = args.net_socket {
            let told = format!("that of the socket {fd} of process {pid}");
            let failed = |error: std::io::Error| {
                Failure::new(format!("cannot get the descriptor {fd} of process {pid}: {error}"))
            };
            let process = file::process(pid).map_err(failed)?;
            let copy = file::duplicate(&process, fd).map_err(failed)?;
            let file = nsfs::of_socket(&copy).or_else(|_no_socket| nsfs::of_tun(&copy));
            let file = file.map_err(|error| {
                let sentence =
                    format!("the descriptor {fd} of process {pid} has no network namespace");
                Failure::new(format!("{sentence}: {error}"))
            })?;
            self.file(Chosen { kind: Kind::Net, file, told })?;
        }
        Ok(())
    }

    /// A process among the selectors.
    fn process(&mut self, pid: u32) -> Result<(), Failure> {
        let found = Target::find(pid, None)?;
        match &self.target {
            Some(target) if target.pid != pid => {
                let sentence = format!("two targets: process {} and process {pid}", target.pid);
                Err(Failure::new(sentence).hint("of one of them name the types: pid:1234:net"))
            }
            _ => {
                self.target = Some(found);
                Ok(())
            }
        }
    }

    /// All types of the target that are not named otherwise; not the user namespace if it is ours,
    /// since the kernel refuses that.
    fn all(&mut self) -> Result<(), Failure> {
        let Some(target) = &self.target else {
            return Err(Failure::new("no target PID specified for --all")
                .hint("say whose: --target PID (-t)"));
        };
        let pid = target.pid;
        for kind in Kind::ALL {
            let name = kind.name();
            let Ok(own) = fs::metadata(format!("/proc/self/ns/{name}")) else { continue };
            let is_same = || {
                let other = fs::metadata(format!("/proc/{pid}/ns/{name}"));
                other.is_ok_and(|other| other.ino() == own.ino())
            };
            if !(self.has(kind) || kind == Kind::User && is_same()) {
                self.kinds.push(kind);
            }
        }
        Ok(())
    }

    /// The user namespace above the one that is given, or the owner of the first other one.
    fn parent(&mut self) -> Result<(), Failure> {
        let told = |error: std::io::Error| {
            Failure::new(format!("cannot find out the owner of the namespaces: {error}"))
        };
        let given = self.files.iter().position(|file| file.kind == Kind::User);
        let path = match (given.or((!self.files.is_empty()).then_some(0)), &self.target) {
            (Some(at), _) if given.is_some() || !self.kinds.contains(&Kind::User) => {
                self.files.get(at).map(|file| file.path.clone())
            }
            (_, Some(target)) => Some(format!("/proc/{}/ns/user", target.pid).into()),
            _ => None,
        };
        let missing = || Failure::new("--user-parent needs a namespace or a --target");
        let path = path.ok_or_else(missing)?;
        let owner = nsfs::owner(File::open(&path).map_err(told)?).map_err(told)?;
        self.kinds.retain(|kind| *kind != Kind::User);
        self.files.retain(|file| file.kind != Kind::User);
        let told = format!("that owns {}", path.display());
        self.file(Chosen { kind: Kind::User, file: owner, told })
    }

    /// A namespace that is open stays so until the program begins.
    fn file(&mut self, chosen: Chosen) -> Result<(), Failure> {
        let Chosen { kind, file, told } = chosen;
        let path = format!("/proc/self/fd/{}", OwnedFd::into_raw_fd(file));
        self.push(NsFile { kind, path: Path::new(&path).to_owned(), told })
    }

    fn push(&mut self, file: NsFile) -> Result<(), Failure> {
        let other = self.files.iter().find(|other| other.kind == file.kind);
        match other {
            Some(other) => {
                let (kind, told) = (file.kind.name(), &file.told);
                Err(Failure::new(format!("two {kind} namespaces: {} and {told}", other.told)))
            }
            None if self.kinds.contains(&file.kind) => {
                let (kind, told) = (file.kind.name(), &file.told);
                Err(Failure::new(format!("two {kind} namespaces: that of the target and {told}")))
            }
            None => {
                self.files.push(file);
                Ok(())
            }
        }
    }
}

fn words(args: &EnterArgs) -> impl Iterator<Item = (Kind, &OsString)> {
    [
        (Kind::User, &args.user),
        (Kind::Cgroup, &args.cgroup),
        (Kind::Ipc, &args.ipc),
        (Kind::Uts, &args.uts),
        (Kind::Net, &args.net),
        (Kind::Pid, &args.pid),
        (Kind::Mnt, &args.mount),
        (Kind::Time, &args.time),
    ]
    .into_iter()
    .filter_map(|(kind, word)| Some((kind, word.as_ref()?)))
}

const fn option(kind: Kind) -> &'static str {
    match kind {
        Kind::Mnt => "mount",
        kind => kind.name(),
    }
}

/// Whether it is the user namespace that this process is in.
fn is_own(chosen: &Chosen) -> bool {
    let own = || nsfs::reference(File::open("/proc/self/ns/user").ok()?).ok();
    chosen.kind == Kind::User
        && nsfs::reference(&chosen.file).ok().map(|ns| ns.inode) == own().map(|ns| ns.inode)
}
