//! Sinks: every event that is wanted arrives at each, also at one that fails for a while.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read, Write as _},
    net::TcpListener,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        net::{UnixDatagram, UnixListener},
    },
    process::Command,
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{Collector, Test, eventually, make};
use crate::{
    context::Room,
    stage::has,
    tracer::{PATIENCE, program},
};

pub(super) const TRIALS: [(&str, Test); 4] = [
    ("serve::sinks::all_of_them_get_what_they_want", all),
    ("serve::sinks::a_webhook_that_fails_gets_it_again", webhook),
    ("serve::sinks::what_was_not_handed_on_is_after_a_restart", restart),
    ("serve::sinks::who_was_found_is_still_known_at_a_reload", user),
];

/// The inodes in the `create` events among lines of JSON.
fn made(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Result<BTreeSet<u64>> {
    let mut made = BTreeSet::new();
    for line in lines {
        let event: Value = serde_json::from_str(line.as_ref())?;
        if event["event"] == "create" {
            made.insert(event["ns"]["inode"].as_u64().context("no inode")?);
        } else {
            // Nothing else was asked for; of the stream's health all are told.
            ensure!(event["event"] == "sync", "{event}");
        }
    }
    Ok(made)
}

fn all(room: &Room) -> Result<()> {
    let name = format!("ns-trace-test-{}-sinks", std::process::id());
    let place = std::env::temp_dir().join(name);
    fs::create_dir(&place)?;
    let at = |name: &str| place.join(name);
    let listener = UnixListener::bind(at("unix"))?;
    let datagrams = [UnixDatagram::bind(at("syslog"))?, UnixDatagram::bind(at("journal"))?];
    let sinks = ["file", "unix", "syslog", "journal"].map(|kind| {
        let path = at(kind);
        let path = path.display();
        format!("[[sink]]\ntype = \"{kind}\"\npath = \"{path}\"\nwhere = \"event == 'create'\"\n")
    });
    let others = ["ecs", "ocsf"].map(|schema| {
        let path = at(schema);
        format!(
            "[[sink]]\ntype = \"file\"\nname = \"{schema}\"\nschema = \"{schema}\"\npath = \"{}\"\n\
             where = \"event == 'create'\"\n",
            path.display()
        )
    });
    let collector = Collector::start(room, &(sinks.concat() + &others.concat()))?;
    let expected: BTreeSet<_> = (0..3).map(|_| make(collector.tracer()?)).collect::<Result<_>>()?;
    let ended = collector.finish()?;
    ensure!(!ended.stderr.contains("sink `"), "{}", ended.stderr);
    let file = fs::read_to_string(at("file"))?;
    ensure!(made(file.lines())? == expected, "file: {file} without {expected:?}");
    for (schema, rest, time) in [("ecs", "ns_trace", "@timestamp"), ("ocsf", "unmapped", "time")] {
        let text = fs::read_to_string(at(schema))?;
        let mut seen = Vec::new();
        for line in text.lines() {
            let event: Value = serde_json::from_str(line)?;
            ensure!(!event[time].is_null() && event["schema"].is_null(), "{schema}: {event}");
            seen.push(event[rest].to_string());
        }
        ensure!(made(&seen)? == expected, "{schema}: {text} without {expected:?}");
    }
    let mut text = String::new();
    listener.accept()?.0.read_to_string(&mut text)?;
    ensure!(made(text.lines())? == expected, "unix: {text} without {expected:?}");
    for socket in datagrams {
        socket.set_nonblocking(true)?;
        let mut lines = Vec::new();
        let mut bytes = vec![0; 1 << 16];
        while let Ok(len) = socket.recv(&mut bytes) {
            let text = String::from_utf8_lossy(bytes.get(..len).context("no bytes")?).into_owned();
            let line = text.lines().next().context("nothing")?;
            lines.push(line.split_at(line.find('{').context("no JSON")?).1.to_owned());
        }
        ensure!(made(&lines)? == expected, "{lines:?} without {expected:?}");
    }
    fs::remove_dir_all(place)?;
    Ok(())
}

/// How a request is answered that is taken.
pub(super) const TAKEN: &str = "204 No Content";

/// Takes what is posted until a line of it says what it must; how a request is answered, its number and its
/// body say.
pub(super) fn server(
    listener: TcpListener,
    answer: impl Fn(usize, &[u8]) -> &'static str + Send + 'static,
    last: String,
) -> JoinHandle<Result<Vec<String>>> {
    thread::spawn(move || {
        let mut lines = Vec::new();
        for (number, stream) in listener.incoming().enumerate() {
            let stream = stream?;
            stream.set_read_timeout(Some(PATIENCE))?;
            // Whoever was killed had no answer: what it has sent of its request does not count.
            let Ok(body) = body(&stream) else { continue };
            let answer = answer(number, &body);
            let more = "Content-Length: 0\r\nConnection: close\r\n\r\n";
            let answered = (&stream).write_all(format!("HTTP/1.1 {answer}\r\n{more}").as_bytes());
            drop(answered);
            if answer == TAKEN {
                lines.extend(String::from_utf8(body)?.lines().map(str::to_owned));
                if lines.iter().any(|line| line.contains(&last)) {
                    break;
                }
            }
        }
        Ok(lines)
    })
}

/// The body of a request.
pub(super) fn body(stream: impl Read) -> Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut head) = (0, String::new());
    while reader.read_line(&mut head)? > 2 {
        let lower = head.to_lowercase();
        if let Some(text) = lower.strip_prefix("content-length: ") {
            length = text.trim().parse()?;
        }
        head.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn webhook(room: &Room) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/events", listener.local_addr()?);
    let answer = |number, _: &[u8]| if number == 0 { "503 Service Unavailable" } else { TAKEN };
    let server = server(listener, answer, "\"destroy\"".to_owned());
    let sink = format!(
        "[[sink]]\ntype = \"webhook\"\nurl = \"{url}\"\nevents = [\"create\", \"destroy\"]\n"
    );
    let collector = Collector::start(room, &sink)?;
    let inode = make(collector.tracer()?)?;
    let ended = collector.finish()?;
    ensure!(ended.stderr.contains("sink `webhook`: "), "{}", ended.stderr);
    ensure!(ended.stderr.contains("works again"), "{}", ended.stderr);
    let lines = server.join().ok().context("the server has panicked")??;
    let creates = lines.iter().filter(|line| line.contains("\"event\":\"create\""));
    ensure!(made(creates)? == BTreeSet::from([inode]), "{lines:?}");
    Ok(())
}

fn restart(room: &Room) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // Nobody listens for now.
    drop(listener);
    let place = std::env::temp_dir().join(format!("ns-trace-test-{}-past", std::process::id()));
    let config = format!(
        "[history]\npath = \"{}\"\n[[sink]]\ntype = \"webhook\"\nurl = \"http://{address}/\"\n\
         where = \"event == 'create'\"\n",
        place.join("history.db").display()
    );
    let mut collector = Collector::start(room, &config)?;
    let mut expected = BTreeSet::new();
    let mut create = |collector: &Collector| -> Result<u64> {
        let tracer = collector.tracer()?;
        make(tracer)?;
        let events = tracer.since(0);
        let made = events.iter().rfind(|event| event["event"] == "create").context("no create")?;
        let seq = made["seq"].as_u64().context("no number")?;
        expected.insert(seq);
        Ok(seq)
    };
    // More than the server will take at a time.
    for _ in 0..8 {
        create(&collector)?;
    }
    let ended = collector.end(Signal::TERM)?;
    ensure!(ended.stderr.contains("could not take the last"), "{}", ended.stderr);
    collector.run()?;
    let last = format!("\"seq\":{},", create(&collector)?);
    let answer = |_, body: &[u8]| if body.len() > 4096 { "413 Content Too Large" } else { TAKEN };
    let lines = server(TcpListener::bind(address)?, answer, last).join();
    let lines = lines.ok().context("the server has panicked")??;
    ensure!(lines.concat().len() > 4096, "they could go at once: {lines:?}");
    let events: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line)).collect::<Result<_, _>>()?;
    ensure!(events.is_sorted_by_key(|event| event["seq"].as_u64()), "{lines:?}");
    let creates = events.iter().filter(|event| event["event"] == "create");
    let told: BTreeSet<_> = creates.filter_map(|event| event["seq"].as_u64()).collect();
    ensure!(told == expected, "{expected:?} are not those in {lines:?}");
    collector.finish()?;
    fs::remove_dir_all(place)?;
    Ok(())
}

/// A user whom only getent(1) knows: it cannot be run any more when the sink begins.
fn user(room: &Room) -> Result<()> {
    if !has("/bin/sh") {
        // A machine of the tests' own has no scripts.
        return Ok(());
    }
    let mut collector = Collector::start(room, "")?;
    collector.end(Signal::TERM)?;
    let (getent, socket) = (collector.path("getent"), collector.path("socket"));
    fs::write(&getent, "#!/bin/sh\n[ $3 = far ] && echo far:x:4242:4242::/:/bin/sh\n")?;
    fs::set_permissions(&getent, fs::Permissions::from_mode(0o755))?;
    let datagrams = UnixDatagram::bind(&socket)?;
    datagrams.set_read_timeout(Some(PATIENCE))?;
    chown(&socket, Some(4242), None)?;
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
    let sink = |user: &str, name: &str| {
        let path = socket.display();
        format!(
            "[[sink]]\ntype = \"syslog\"\npath = \"{path}\"\nuser = \"{user}\"\nname = \"{name}\"\n"
        )
    };
    collector.configure(room, &sink("far", "first"))?;
    let mut command = Command::new(program());
    command.env("PATH", collector.path(""));
    collector.run_as(command)?;
    let is_told = || datagrams.recv(&mut [0; 1]).context("the user is told of nothing");
    is_told()?;
    let tracer = collector.tracer()?;
    collector.configure(room, &sink("farther", "second"))?;
    tracer.signal(Signal::HUP)?;
    eventually("who is not known is refused", || {
        Ok(tracer.has_said("no user `farther` in /etc/passwd, and getent"))
    })?;
    collector.configure(room, &sink("far", "second"))?;
    tracer.signal(Signal::HUP)?;
    eventually("who is known is taken", || Ok(tracer.has_said("was read again")))?;
    datagrams.set_nonblocking(true)?;
    while datagrams.recv(&mut [0; 1]).is_ok() {}
    datagrams.set_nonblocking(false)?;
    make(tracer)?;
    is_told()?;
    collector.finish().map(drop)
}
