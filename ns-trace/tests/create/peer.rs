//! Beside unshare(1): the same namespaces, maps, mounts, directories, environment, ids,
//! capabilities and status.

use std::{
    fs,
    os::unix::{fs::symlink, process::CommandExt as _},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::place::Place;
use crate::{
    facts::SLOTS,
    stage::{Told, run},
};

/// Somebody without any right.
const NOBODY: u32 = 65534;

/// What a program finds out about where it is.
const SCRIPT: &str = "\
    echo pid $$; umask; pwd; env | grep -v ^_= | sort; \
    for slot in mnt pid ipc uts net user cgroup time pid_for_children time_for_children; do \
    readlink /proc/self/ns/$slot; done; \
    for file in uid_map gid_map setgroups timens_offsets; do cat /proc/self/$file; done; \
    grep -E '^(Uid|Gid|Groups|NoNewPrivs|SigBlk|SigIgn|SigCgt|Cap)' /proc/self/status; \
    readlink /proc/self/root; ls /proc/self/fd; cat /proc/self/mountinfo; exit 9";

/// The same as far as it is found out without a child: the first one would be the first process of
/// a new pid namespace, and its end the end of all that begin there.
const ALONE: &str = "\
    umask; pwd; echo $A $PATH $PWD; \
    for slot in mnt ipc uts net user cgroup time; do \
    [ /proc/self/ns/$slot -ef /proc/$PPID/ns/$slot ] && echo our $slot; done; \
    for file in uid_map gid_map setgroups timens_offsets mountinfo; do \
    while read -r line; do echo \"$line\"; done < /proc/self/$file; done; \
    while read -r line; do case $line in Uid*|Gid*|Groups*|NoNew*|SigBlk*|SigIgn*|SigCgt*|Cap*) \
    echo \"$line\";; esac; done < /proc/self/status; exit 9";

/// Options by themselves, for root.
const OPTIONS: [&str; 32] = [
    "-m",
    "-u",
    "-i",
    "-n",
    "-p",
    "-U",
    "-C",
    "-T",
    "-f",
    "-r",
    "-c",
    "-pf",
    "--kill-child -p",
    "--mount-proc",
    "--mount-proc -pf",
    "--propagation=shared -m",
    "--propagation=slave -m",
    "--propagation=unchanged -m",
    "-R /",
    "-R / -w /tmp",
    "-w /tmp",
    "-S 65534",
    "-G 65534",
    "-S 65534 -G 65534",
    "--map-user=5",
    "--map-group=7",
    "--map-user=nobody",
    "-c --keep-caps",
    "--setgroups=deny -U",
    "--setgroups=allow -U",
    "-T --monotonic=1000 -f",
    "-Tf --boottime=5000",
];

/// Parts of pairs.
const PARTS: [&str; 18] = [
    "-m",
    "-u",
    "-i",
    "-n",
    "-p",
    "-U",
    "-C",
    "-T",
    "-f",
    "-r",
    "-c",
    "--mount-proc",
    "--propagation=slave",
    "-R /",
    "-w /tmp",
    "-S 0",
    "--keep-caps",
    "--kill-child",
];

/// Whom the two run as.
#[derive(Clone, Copy)]
enum As {
    Root,
    Nobody,
}

/// `unshare` with these words: theirs, or ours by a link of that name.
fn told(program: &str, words: &str, who: As, last: &[&str]) -> Result<Told> {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).args(last);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("A", "b").current_dir("/usr");
    if matches!(who, As::Nobody) {
        command.uid(NOBODY).gid(NOBODY);
    }
    run(&mut command, "")
}

/// The output without what differs between any two runs.
fn comparable(told: &Told) -> String {
    let own: Vec<_> = SLOTS
        .iter()
        .filter_map(|slot| fs::read_link(format!("/proc/thread-self/ns/{slot}")).ok())
        .map(|link| link.display().to_string())
        .collect();
    let line = |line: &str| {
        if let Some(pid) = line.strip_prefix("pid ") {
            return if pid == "1" { "first".to_owned() } else { "not first".to_owned() };
        }
        if let Some(set) = line.strip_prefix("SigIgn:") {
            // Two belong to the library that starts us, and are ignored or not as it pleases.
            let set = u64::from_str_radix(set.trim(), 16).unwrap_or_default();
            return format!("SigIgn: {:x}", set & !0x1_8000_0000);
        }
        if own.iter().any(|own| own == line) {
            return format!("our {line}");
        }
        if let Some((kind, _)) = line.split_once(":[").filter(|_| line.ends_with(']')) {
            return format!("new {kind}");
        }
        let words: Vec<_> = line.split(' ').collect();
        if words.contains(&"-") && words.len() > 8 {
            // A mount, without numbers.
            let words = words.iter().skip(3).map(|word| match word.split_once(':') {
                Some((peer @ ("shared" | "master"), _)) => peer,
                _ => word,
            });
            return words.collect::<Vec<_>>().join(" ");
        }
        line.to_owned()
    };
    told.stdout.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Runs both and compares.
fn expect_same(ours: &str, words: &str, who: As) -> Result<()> {
    let is_alone = words.split(' ').any(|word| word == "-p") && !words.contains("--kill-child");
    let is_alone = is_alone && !words.split(' ').any(|word| word == "-f");
    let last = ["--", "/bin/sh", "-c", if is_alone { ALONE } else { SCRIPT }];
    let theirs = told("unshare", words, who, &last)?;
    let own = told(ours, words, who, &last)?;
    ensure!(own.status == theirs.status, "{words}: {own:?} is not {theirs:?}");
    let (a, b) = (comparable(&own), comparable(&theirs));
    if a != b {
        let differs = a.lines().zip(b.lines()).find(|(a, b)| a != b);
        anyhow::bail!("{words}: {differs:?} in\n{a}\nis not\n{b}");
    }
    Ok(())
}

/// A place with a link by the name of the tool.
fn link() -> Result<(Place, String)> {
    let place = Place::new()?;
    let bin = place.path("bin");
    fs::create_dir(&bin)?;
    let link = format!("{bin}/unshare");
    symlink(place.copy()?, &link)?;
    Ok((place, link))
}

fn each(options: &[&str], who: As) -> Result<()> {
    let (place, link) = link()?;
    for words in options {
        expect_same(&link, words, who)?;
    }
    place.expect_nothing(&[])
}

pub(super) fn same_as_unshare() -> Result<()> {
    each(&OPTIONS, As::Root)
}

pub(super) fn same_without_privileges() -> Result<()> {
    each(&OPTIONS, As::Nobody)?;
    each(&["-Urmpf --mount-proc", "-Urnpf --mount-proc", "-Uc", "-UrT", "-rR /", "-cm"], As::Nobody)
}

fn all_pairs(who: As) -> Result<()> {
    let (place, link) = link()?;
    for (index, one) in PARTS.iter().enumerate() {
        for other in PARTS.iter().skip(index + 1) {
            expect_same(&link, &format!("{one} {other}"), who)?;
        }
    }
    place.expect_nothing(&[])
}

pub(super) fn pairs() -> Result<()> {
    all_pairs(As::Root)
}

pub(super) fn pairs_without_privileges() -> Result<()> {
    all_pairs(As::Nobody)
}

/// How the program ends is how both end, and what cannot be done ends both alike.
pub(super) fn statuses() -> Result<()> {
    let (place, link) = link()?;
    for words in [
        "true",
        "false",
        "/no/such",
        "/etc/passwd",
        "/",
        "--bogus",
        "-u --bogus",
        "--propagation=x",
        "-S x",
        "--kill-child=FOO true",
        "--monotonic=1 true",
        "-R /no/such true",
        "-w /no/such true",
        "--setgroups=x true",
        "--uts=/no/such true",
        "--mount-proc=/no/such true",
        "-- -u",
        "-h",
    ] {
        for fork in ["", "-f "] {
            let words = format!("{fork}{words}");
            let theirs = told("unshare", &words, As::Root, &[])?;
            let own = told(&link, &words, As::Root, &[])?;
            ensure!(own.status == theirs.status, "{words}: {own:?} is not {theirs:?}");
            let is_silent = own.stderr.is_empty() == theirs.stderr.is_empty();
            ensure!(is_silent, "{words}: {own:?} is not {theirs:?}");
        }
    }
    for script in ["exit 0", "exit 255", "kill -TERM $$", "kill -KILL $$", "kill -INT $$"] {
        // With -f this peer takes SIGKILL for a failure of its own.
        let both = if script.contains("KILL") { &["-u"][..] } else { &["-u", "-uf"] };
        for words in both {
            let last = ["--", "/bin/sh", "-c", script];
            let theirs = told("unshare", words, As::Root, &last)?;
            let own = told(&link, words, As::Root, &last)?;
            ensure!(own == theirs, "{words} {script}: {own:?} is not {theirs:?}");
        }
    }
    place.expect_nothing(&[])
}

/// What this peer does not have, by what the manuals of newer ones promise.
pub(super) fn newer_than_the_peer() -> Result<()> {
    let place = Place::new()?;
    let created = |words: &[&str]| -> Result<String> {
        let mut command = place.create(words);
        run(command.env("A", "b").env("C", "d"), "")?.well()
    };
    let shown = |words: &[&str], script: &str| -> Result<String> {
        created(&[words, &["--", "/bin/sh", "-c", script]].concat())
    };
    let maps = |words: &[&str]| -> Result<Vec<String>> {
        let text = shown(words, "cat /proc/self/uid_map; echo -; cat /proc/self/gid_map")?;
        Ok(text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
    };
    ensure!(created(&["--clear-env", "--", "/usr/bin/env"])?.is_empty());
    let kept = created(&["--clear-env", "--whitelist-env=A,NONE", "--", "/usr/bin/env"])?;
    ensure!(kept == "A=b\n", "{kept}");
    let ranges = ["--map-users=0:100000:10", "--map-users=20:200000:5", "--map-groups=0:7:1"];
    ensure!(maps(&ranges)? == ["0 100000 10", "20 200000 5", "-", "0 7 1"], "{:?}", maps(&ranges));
    let around = maps(&["-r", "--map-users=100000,0,10", "--map-groups=100000,1,9"])?;
    ensure!(around == ["0 0 1", "1 100000 9", "-", "0 0 1", "1 100000 9"], "{around:?}");
    let all = maps(&["--map-users=all", "--map-groups=all"])?;
    let own = fs::read_to_string("/proc/self/uid_map").context("uid_map")?;
    ensure!(all.len() == 2 * own.lines().count() + 1, "{all:?}");
    let owner = shown(&["-r", "--owner=65534:65534"], "cat /proc/self/uid_map | tr -s ' '")?;
    ensure!(owner.trim() == "0 0 1", "{owner}");
    let file = place.file("uts")?;
    let set = "hostname inside 2>/dev/null || echo inside > /proc/sys/kernel/hostname";
    let name = shown(&[&format!("--uts={file}"), "--setup", set], "cat /proc/sys/kernel/hostname")?;
    ensure!(name == "inside\n", "{name}");
    rustix::mount::unmount(file.as_str(), rustix::mount::UnmountFlags::empty())?;
    let forwarded = shown(&["--forward-signals"], "echo $$")?;
    ensure!(!forwarded.is_empty());
    place.expect_nothing(&[])
}
