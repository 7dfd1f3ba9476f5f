//! Namespaces for programs to be run in, and whether one is there.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::child;

/// How often, a millisecond apart, to look for a process that is just being started.
const LOOKS: u32 = 5_000;

/// Namespaces; gone when dropped.
pub(super) struct Place {
    /// How a command names it.
    pub(super) name: String,
    /// The links in `/proc/self/ns` of who is there; `None` is any but ours.
    links: Vec<(&'static str, Option<String>)>,
    hold: Hold,
}

/// What keeps a place.
enum Hold {
    Nothing,
    /// A process that waits for the end of its input.
    Process(Child, Option<ChildStdin>),
    /// A file in /run/netns.
    Name,
}

impl Place {
    /// Any other uts namespace.
    pub(super) fn elsewhere() -> Self {
        Self { name: String::new(), links: vec![("uts", None)], hold: Hold::Nothing }
    }

    /// A process in six new namespaces.
    pub(super) fn process(children: &str) -> Result<Self> {
        let program = Path::new(children).join(child::SLEEPER);
        let mut unshare = Command::new("unshare");
        unshare.args(["-muipnC", "--fork", "--"]).arg(&program);
        let mut parent = unshare.stdin(Stdio::piped()).spawn()?;
        let input = parent.stdin.take();
        let number = parent.id();
        let mut place = Self {
            name: String::new(),
            links: Vec::new(),
            // From here on it ends with us.
            hold: Hold::Process(parent, input),
        };
        for _ in 0..LOOKS {
            let children = fs::read_to_string(format!("/proc/{number}/task/{number}/children"))?;
            let pid = children.trim();
            let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            if !pid.is_empty() && exe.ends_with(child::SLEEPER) {
                for slot in ["mnt", "uts", "ipc", "pid", "net", "cgroup"] {
                    let link = fs::read_link(format!("/proc/{pid}/ns/{slot}"))?;
                    place.links.push((slot, link.to_str().map(str::to_owned)));
                }
                pid.clone_into(&mut place.name);
                return Ok(place);
            }
            thread::sleep(Duration::from_millis(1));
        }
        bail!("{unshare:?} did not start its program");
    }

    /// A network namespace that has a name.
    pub(super) fn named() -> Result<Self> {
        let name = format!("ns-trace-bench-{}", std::process::id());
        netns("add", &name)?;
        let mut place = Self { name, links: Vec::new(), hold: Hold::Name };
        let inode = fs::metadata(Path::new("/run/netns").join(&place.name))?.ino();
        place.links.push(("net", Some(format!("net:[{inode}]"))));
        Ok(place)
    }

    /// Has `command` run a program that says where it is, which must be here.
    pub(super) fn check(&self, command: impl Fn() -> Command) -> Result<()> {
        for (slot, wanted) in &self.links {
            let path = format!("/proc/self/ns/{slot}");
            let mut command = command();
            let output = command.args(["readlink", &path]).stderr(Stdio::inherit()).output()?;
            let found = String::from_utf8(output.stdout)?;
            let found = found.trim();
            let own = fs::read_link(&path).with_context(|| format!("cannot read {path}"))?;
            let is_elsewhere = found.starts_with(slot) && Some(found) != own.to_str();
            let is_here = wanted.as_ref().is_none_or(|wanted| wanted == found);
            ensure!(is_elsewhere && is_here, "{command:?}: the program was in {found:?}");
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        match &mut self.hold {
            Hold::Nothing => {}
            Hold::Process(parent, input) => {
                drop(input.take());
                let _status = parent.wait();
            }
            Hold::Name => {
                if let Err(error) = netns("delete", &self.name) {
                    eprintln!("xtask: {error}");
                }
            }
        }
    }
}

fn netns(verb: &str, name: &str) -> Result<()> {
    let status = Command::new("ip").args(["netns", verb, name]).status()?;
    ensure!(status.success(), "ip netns {verb} {name}: {status}");
    Ok(())
}
