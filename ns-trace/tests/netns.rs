//! `ns-trace netns`, alone and beside ip(8).

mod crowd;
mod pin;
mod place;
mod watch;

use std::{
    fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    process::Command,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use crate::{
    actor::Actor,
    context::{Context, Room},
    scene::{Stage, boot_ns},
    stage::{Told, apart, has, names, own, run, wait_until_idle},
    tracer::program,
};

/// Somebody without any right.
const NOBODY: u32 = 65534;

/// The trials of this file.
#[expect(clippy::print_stdout, reason = "whoever skips says why")]
pub(crate) fn trials(context: &Arc<Context>) -> Vec<Trial> {
    let trial = |name: &str, test: fn() -> Result<()>| {
        context.once(&format!("netns::{name}"), move || apart(test))
    };
    let mut trials = vec![
        trial("life_of_a_name", life_of_a_name),
        trial("numbers", numbers),
        trial("all_names_are_identified", all_names_are_identified),
        trial("pids_of_threads_too", pids_of_threads_too),
        trial("batch", batch),
        trial("bad_names", bad_names),
        trial("bad_words", bad_words),
        trial("what_is_in_the_way_stays", what_is_in_the_way_stays),
        trial("dead_files", dead_files),
        trial("without_privileges", without_privileges),
        trial("strange_names_are_escaped", strange_names_are_escaped),
        trial("all_goes_on_after_failures", all_goes_on_after_failures),
    ];
    trials.extend(place::trials(trial));
    trials.extend(crowd::trials(trial));
    trials.extend(pin::trials(trial));
    trials.extend(watch::trials(trial));
    let peers = [
        trial("same_as_ip", same_as_ip),
        trial("names_are_shared_with_ip", names_are_shared_with_ip),
        trial("same_place_as_ip", place::same_place_as_ip),
        trial("pins_are_shared_with_ip", pin::shared_with_ip),
    ];
    let has_ip = has("ip");
    if !has_ip {
        println!("skipped: netns beside ip(8): it is not installed");
    }
    trials.extend(peers.map(|trial| trial.with_ignored_flag(!has_ip)));
    trials.extend(context.per_backend("netns::is_traced", is_traced));
    trials
}

/// `ns-trace netns` with these words, parted by blanks.
fn netns(words: &str) -> Result<Told> {
    own(&std::iter::once("netns").chain(words.split(' ')).collect::<Vec<_>>())
}

fn ip(words: &str) -> Result<Told> {
    run(Command::new("ip").args(words.split(' ')), "")
}

fn inode(name: &str) -> Result<u64> {
    let path = format!("/run/netns/{name}");
    Ok(fs::metadata(&path).with_context(|| path.clone())?.ino())
}

fn life_of_a_name() -> Result<()> {
    ensure!(netns("list")?.well()?.is_empty(), "no directory, no names");
    netns("add blue")?.well()?;
    let own_net = fs::metadata("/proc/thread-self/ns/net")?;
    let made = fs::metadata("/run/netns/blue")?;
    ensure!(made.dev() == own_net.dev() && made.ino() != own_net.ino(), "not a new namespace");
    ensure!(own(&["netns"])?.well()? == "blue\n");
    ensure!(netns("-j list")?.well()? == "[{\"name\":\"blue\"}]\n");
    netns(&format!("attach green {}", std::process::id()))?.well()?;
    // The program at large is where this thread is not.
    ensure!(inode("green")? == fs::metadata("/proc/self/ns/net")?.ino());
    netns("del green")?.well()?;
    netns("delete blue")?.well()?;
    ensure!(names().is_empty());
    ensure!(netns("-j list")?.well()?.is_empty(), "as ip(8) has it");
    Ok(())
}

fn numbers() -> Result<()> {
    netns("add blue")?.well()?;
    netns("add green")?.well()?;
    netns("set blue 7")?.well()?;
    netns("set /run/netns/green auto")?.well()?;
    ensure!(netns("list-id")?.well()?.contains("nsid 7 (iproute2 netns name: blue)\n"));
    let listed: Value = serde_json::from_str(&netns("-j list-id")?.well()?)?;
    ensure!(listed == serde_json::json!([{"nsid":0,"name":"green"},{"nsid":7,"name":"blue"}]));
    netns("set blue 8")?.failed(2, "already has a nsid assigned")?;
    netns("list-id nsid 3")?.failed(2, "reference is invalid")?;
    // The number of a process leads to its namespace as well, but a name goes first.
    let mut actor = Actor::spawn(&mut actor_in("green")?)?;
    let pid = actor.who()?.pid;
    netns(&format!("-n blue set {pid} 9"))?.well()?;
    ensure!(netns("-n blue list-id")?.well()? == "nsid 9 (iproute2 netns name: green)\n");
    netns(&format!("add {pid}"))?.well()?;
    netns(&format!("-n blue set {pid} 10"))?.well()?;
    ensure!(netns("-n blue list-id nsid 10")?.well()?.contains(&format!("name: {pid})")));
    actor.end()?;
    netns("-all delete")?.well().map(drop)
}

fn all_names_are_identified() -> Result<()> {
    netns("add blue")?.well()?;
    let mut actor = Actor::spawn(&mut actor_in("blue")?)?;
    let pid = actor.who()?.pid;
    netns(&format!("attach green {pid}"))?.well()?;
    let mut found: Vec<_> =
        netns(&format!("identify {pid}"))?.well()?.lines().map(str::to_owned).collect();
    found.sort();
    ensure!(found == ["blue", "green"], "{found:?}");
    ensure!(netns("identify")?.well()? == "\n", "the own one has no name");
    ensure!(netns("pids blue")?.well()? == format!("{pid}\n"));
    ensure!(netns("-j pids green")?.well()? == format!("[{{\"pid\":{pid}}}]\n"));
    actor.end()?;
    netns("-all delete")?.well().map(drop)
}

/// A command that becomes an actor in a named namespace.
fn actor_in(name: &str) -> Result<Command> {
    let mut command = Command::new(program());
    command.args(["netns", "exec", name]).arg(std::env::current_exe()?).env("NS_TRACE_ACTOR", "1");
    Ok(command)
}

fn pids_of_threads_too() -> Result<()> {
    let mut actor = Actor::start()?;
    let leader = actor.who()?;
    let thread = actor.task("thread")?;
    actor.act("unshare 40000000")?;
    // A name for what only the thread is in.
    let path = format!("/proc/{}/task/{}/ns/net", leader.pid, thread.tid);
    netns("add blue")?.well()?;
    netns("pids blue")?.well()?;
    rustix::mount::unmount("/run/netns/blue", rustix::mount::UnmountFlags::DETACH)?;
    rustix::mount::mount_bind(&path, "/run/netns/blue")?;
    ensure!(netns("pids blue")?.well()? == format!("{}\n", leader.pid));
    actor.end()?;
    netns("delete blue")?.well().map(drop)
}

fn batch() -> Result<()> {
    let lines = "# two names\nnetns add blue\n\nadd 'green' \\\n\nset blue 3\nexec blue true-is-not-there\n";
    let told = run(Command::new(program()).args(["netns", "-b", "-"]), lines)?;
    told.failed(1, "Command failed -:7")?;
    ensure!(names() == ["blue", "green"], "{:?}", names());
    let lines = "add blue\nadd red\nlist -t\nlist-id nsid 3\ndel \"red\n";
    let told = run(Command::new(program()).args(["netns", "-force", "-b", "-"]), lines)?;
    ensure!(told.status == 1 && told.stdout == "nsid 3 (iproute2 netns name: blue)\n", "{told:?}");
    for line in [1, 3, 5] {
        ensure!(told.stderr.contains(&format!("Command failed -:{line}")), "{told:?}");
    }
    ensure!(told.stderr.matches("Command failed").count() == 3, "{told:?}");
    let told = run(Command::new(program()).args(["netns", "-b", "/no/such"]), "")?;
    told.failed(1, "Cannot open file")?;
    let lines = "del blue\ndel green\ndel red\n";
    run(Command::new(program()).args(["netns", "-batch", "-"]), lines)?.well().map(drop)
}

fn bad_names() -> Result<()> {
    let long = "x".repeat(256);
    for name in ["", ".", "..", "a/b", "/run/netns/a", &long] {
        for words in [
            &["add", name][..],
            &["delete", name],
            &["attach", name, "1"],
            &["pids", name],
            &["exec", name, "true"],
        ] {
            let told = own(&[&["netns"], words].concat())?;
            told.failed(255, &format!("Invalid netns name \"{name}\""))?;
        }
    }
    ensure!(names().is_empty() && !fs::exists("/run/netns")?, "something was made");
    Ok(())
}

fn bad_words() -> Result<()> {
    netns("add blue")?.well()?;
    for (words, status, complaint) in [
        ("frob", 255, "frob"),
        ("add", 1, "NAME"),
        ("attach blue", 1, "PID"),
        ("attach red abc", 1, "Invalid PID: abc"),
        ("attach red 0", 1, "Invalid PID: 0"),
        ("attach red 4194303", 1, "no such process"),
        ("attach red -5", 255, "-5"),
        ("identify abc", 1, "'abc' is not a pid"),
        ("identify 4194303", 1, "no such process"),
        ("delete", 1, "No netns name"),
        ("delete red", 1, "No such file or directory"),
        ("pids red", 1, "No such file or directory"),
        ("exec", 1, "No netns name"),
        ("exec blue", 1, "No command"),
        ("exec red true", 255, "Cannot open network namespace \"red\""),
        ("-all exec", 1, "No command"),
        ("-all list", 255, "--all"),
        ("-all delete blue", 255, "exclude"),
        ("-n red list", 255, "Cannot open network namespace \"red\""),
        ("set blue", 1, "NETNSID"),
        ("set blue x", 255, "invalid NETNSID"),
        ("set blue -3", 255, "invalid NETNSID"),
        ("set blue 4294967295", 255, "invalid NETNSID"),
        ("set red 5", 1, "No such file or directory"),
        ("set 4194303 5", 1, "no such process"),
        ("set /proc/self/ns/uts 5", 2, "reference is invalid"),
        ("set /no/such 5", 1, "Cannot open"),
        ("list-id nsid", 255, "needs a number"),
        ("list-id nsid x", 255, "invalid nsid"),
        ("list-id frob", 255, "frob"),
        ("list-id target-nsid 7", 1, "Invalid target network namespace id"),
    ] {
        netns(words)?.failed(status, complaint).with_context(|| words.to_owned())?;
    }
    ensure!(names() == ["blue"], "{:?}", names());
    netns("delete blue")?.well().map(drop)
}

fn what_is_in_the_way_stays() -> Result<()> {
    netns("add blue")?.well()?;
    let before = inode("blue")?;
    netns("add blue")?.failed(1, "File exists")?;
    netns(&format!("attach blue {}", std::process::id()))?.failed(1, "File exists")?;
    ensure!(inode("blue")? == before, "another namespace");
    fs::write("/run/netns/file", "text")?;
    fs::create_dir("/run/netns/directory")?;
    netns("add file")?.failed(1, "File exists")?;
    netns("add directory")?.failed(1, "File exists")?;
    netns("delete directory")?.failed(1, "Is a directory")?;
    ensure!(fs::read_to_string("/run/netns/file")? == "text");
    netns("delete file")?.well()?;
    fs::remove_dir("/run/netns/directory")?;
    netns("delete blue")?.well()?;
    // Nor is a directory made where there is a file.
    rustix::mount::unmount("/run/netns", rustix::mount::UnmountFlags::DETACH)?;
    fs::remove_dir("/run/netns")?;
    fs::write("/run/netns", "")?;
    netns("add blue")?.failed(1, "/run/netns: File exists")?;
    netns("delete blue")?.failed(1, "Not a directory")?;
    fs::remove_file("/run/netns").map_err(Into::into)
}

/// Files that no namespace is on: of a program that was killed.
fn dead_files() -> Result<()> {
    netns("add blue")?.well()?;
    fs::write("/run/netns/dead", "")?;
    ensure!(netns("list")?.well()?.lines().count() == 2, "as ip(8) has it");
    netns("exec dead true")?.failed(255, "plain file")?;
    netns("pids dead")?.failed(1, "ns-trace netns delete dead")?;
    netns("set dead 4")?.failed(1, "plain file")?;
    // More than one mount on a name.
    rustix::mount::mount_bind("/proc/self/ns/net", "/run/netns/blue")?;
    netns("delete blue")?.well()?;
    netns("delete dead")?.well().map(drop)
}

fn without_privileges() -> Result<()> {
    netns("add blue")?.well()?;
    let copy = std::env::temp_dir().join(format!("ns-trace-netns-{}", std::process::id()));
    fs::copy(program(), &copy)?;
    wait_until_idle(&copy);
    let nobody = |words: &str| {
        let mut command = Command::new(&copy);
        command.arg("netns").args(words.split(' ')).uid(NOBODY).gid(NOBODY).current_dir("/");
        run(&mut command, "")
    };
    let outcome = (|| {
        ensure!(nobody("list")?.well()? == "blue\n");
        nobody("add red")?.failed(3, "CAP_SYS_ADMIN")?;
        nobody("delete blue")?.failed(3, "CAP_SYS_ADMIN")?;
        nobody("exec blue true")?.failed(255, "CAP_SYS_ADMIN")?;
        nobody("set blue 4")?.failed(2, "CAP_NET_ADMIN")?;
        ensure!(names() == ["blue"], "{:?}", names());
        Ok(())
    })();
    fs::remove_file(&copy)?;
    outcome?;
    netns("delete blue")?.well().map(drop)
}

fn strange_names_are_escaped() -> Result<()> {
    own(&["netns", "add", "a\u{1b}[2Jb"])?.well()?;
    ensure!(netns("list")?.well()? == "a\\x1b[2Jb\n");
    ensure!(netns("-j list")?.well()? == "[{\"name\":\"a\\u001b[2Jb\"}]\n");
    own(&["netns", "delete", "a\u{1b}[2Jb"])?.well().map(drop)
}

fn all_goes_on_after_failures() -> Result<()> {
    for name in ["blue", "green"] {
        netns(&format!("add {name}"))?.well()?;
    }
    fs::create_dir("/run/netns/directory")?;
    let program = program();
    let words =
        ["netns", "-all", "exec", program.to_str().context("no text")?, "netns", "identify"];
    let told = own(&words)?;
    ensure!(told.status == 255, "the directory is no namespace: {told:?}");
    for name in ["blue", "green"] {
        ensure!(told.stdout.contains(&format!("\nnetns: {name}\n{name}\n")), "{told:?}");
    }
    netns("-all exec /no/such")?.failed(127, "").err().context("it prints the names")?;
    let told = netns("-all delete")?;
    ensure!(told.status == 1 && told.stderr.contains("directory"), "{told:?}");
    ensure!(names() == ["directory"], "{:?}", names());
    fs::remove_dir("/run/netns/directory").map_err(Into::into)
}

/// Commands that both understand, in order; where the status differs on purpose, ours.
const SCRIPT: [(&str, Option<i32>); 50] = [
    ("list", None),
    ("-j list", None),
    ("list-id", None),
    ("-j list-id", None),
    ("add blue", None),
    ("add green", None),
    ("add blue", None),
    ("a x1", None),
    ("l", None),
    ("show", None),
    ("-j lst", None),
    ("set blue 7", None),
    ("set green 4", None),
    ("set green 5", None),
    ("set x1 7", None),
    ("set nosuch 7", None),
    // Wrong usage.
    ("set blue abc", None),
    ("set blue", None),
    ("frob", None),
    ("add", None),
    ("attach blue", None),
    ("delete", None),
    ("exec", None),
    ("exec blue", None),
    ("pids", None),
    ("list-id nsid x", None),
    ("list-id frob", None),
    ("list", None),
    ("-json list", None),
    ("list-id", None),
    ("-j list-id", None),
    ("list-id nsid 7", None),
    ("-j list-id nsid 7", None),
    ("list-id nsid 99", None),
    ("exec blue ip netns set green 9", None),
    ("list-id target-nsid 7", None),
    ("-j list-id target-nsid 7", None),
    ("list-id target-nsid 7 nsid 4", None),
    ("list-id target-nsid 7 nsid 99", None),
    ("-n blue list-id", None),
    ("pids blue", None),
    ("pids nosuch", None),
    ("identify", None),
    ("exec blue ip netns identify", None),
    ("exec blue sh -c exit_5", None),
    ("exec nosuch true", None),
    ("exec a/b true", None),
    // As a shell has it.
    ("exec blue /no/such", Some(127)),
    ("del nosuch", None),
    ("-all delete", None),
];

/// The same commands in two places, by the one and by the other.
fn same_as_ip() -> Result<()> {
    let perform = |program: &dyn Fn(Vec<String>) -> Command| -> Result<Vec<Told>> {
        let words = |line: &str| -> Vec<String> {
            line.split(' ').map(|word| word.replace('_', " ")).collect()
        };
        SCRIPT.iter().map(|(line, _)| run(&mut program(words(line)), "")).collect()
    };
    let mut theirs = Vec::new();
    apart(|| {
        theirs = perform(&|words| {
            let at = words.iter().position(|word| !word.starts_with('-') && word != "blue");
            let (options, rest) = words.split_at(at.unwrap_or_default());
            let mut command = Command::new("ip");
            command.args(options).arg("netns").args(rest);
            command
        })?;
        Ok(())
    })?;
    let ours = perform(&|words| {
        let mut command = Command::new(program());
        command.arg("netns").args(words);
        command
    })?;
    for (((line, status), ours), theirs) in SCRIPT.iter().zip(ours).zip(theirs) {
        ensure!(ours.stdout == theirs.stdout, "{line}: {ours:?}, not {theirs:?}");
        ensure!(ours.status == status.unwrap_or(theirs.status), "{line}: {ours:?}, not {theirs:?}");
        ensure!(ours.stderr.is_empty() == theirs.stderr.is_empty(), "{line}: {ours:?}, {theirs:?}");
    }
    Ok(())
}

fn names_are_shared_with_ip() -> Result<()> {
    netns("add ours")?.well()?;
    ip("netns add theirs")?.well()?;
    ensure!(ip("netns exec ours ip netns identify")?.well()? == "ours\n");
    ensure!(netns("exec theirs ip netns identify")?.well()? == "theirs\n");
    ip("netns set ours 3")?.well()?;
    netns("set theirs 4")?.well()?;
    let listed = ip("netns list")?.well()?;
    ensure!(listed == netns("list")?.well()? && listed.contains("ours (id: 3)"), "{listed}");
    ip("-n ours link set lo up")?.well()?;
    ensure!(netns("exec ours ip -br link show lo")?.well()?.contains("UNKNOWN"), "not the same lo");
    ip("netns delete ours")?.well()?;
    netns("delete theirs")?.well()?;
    ensure!(names().is_empty());
    Ok(())
}

/// Each step is an event with the right inodes.
fn is_traced(room: &Room) -> Result<()> {
    let stage = Stage::new(room.tracer()?);
    apart(|| {
        // Those before it may have had the same inode.
        let before = boot_ns();
        netns("add blue")?.well()?;
        let inode = inode("blue")?;
        let is_create = |event: &Value| {
            event["event"] == "create"
                && event["ns"]["inode"] == inode
                && event["boot_ns"].as_u64() >= Some(before)
        };
        let create = stage.wait("`create` of the name", is_create)?;
        ensure!(create["ns"]["type"] == "net" && create["cause"] == "unshare", "{create}");
        let mut actor = Actor::spawn(&mut actor_in("blue")?)?;
        let task = actor.who()?;
        let enter = stage
            .events(task)?
            .into_iter()
            .find(|event| event["event"] == "enter" && event["cause"] == "setns");
        let enter = enter.context("no `enter`")?;
        ensure!(enter["changes"][0]["to"]["inode"] == inode, "{enter}");
        actor.end()?;
        stage.expect_alive(&create)?;
        netns("delete blue")?.well()?;
        stage.expect_destroy(&create, 0).map(drop)
    })
}
