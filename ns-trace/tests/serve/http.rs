//! The HTTP API: what it answers, what it refuses, and streams that go on where they broke off.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    thread,
};

use anyhow::{Context as _, Result, ensure};
use rustix::{
    process::Signal,
    thread::{Uid, set_thread_uid},
};
use serde_json::{Value, json};

use super::{Collector, Test, make};
use crate::{actor::Actor, context::Room, tracer::PATIENCE, why::of_task};

pub(super) const TRIALS: [(&str, Test); 7] = [
    ("serve::http::answers_are_as_the_document_says", answers),
    ("serve::http::rows_are_filtered_and_paged", pages),
    ("serve::http::what_is_wrong_is_a_problem", problems),
    ("serve::http::a_stream_goes_on_where_it_broke_off", resumes),
    ("serve::http::a_token_is_asked_for", token),
    ("serve::http::a_network_has_a_say_in_who_asks", network),
    ("serve::http::who_is_slow_or_many_is_turned_away", turned_away),
];

/// Sends a request; returns what can be read of the answer.
fn send(collector: &Collector, request: &str, more: &str) -> Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(collector.runtime().join("http.sock"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}\r\n")?;
    Ok(BufReader::new(stream))
}

/// The status and the body of an answer, and whether the body is a problem.
pub(crate) fn ask(collector: &Collector, request: &str, more: &str) -> Result<(u16, String, bool)> {
    let mut answer = String::new();
    send(collector, request, more)?.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let is_problem = head.to_lowercase().contains("application/problem+json");
    Ok((status, body.to_owned(), is_problem))
}

pub(crate) fn get(collector: &Collector, path: &str) -> Result<Value> {
    let (status, body, _) = ask(collector, &format!("GET {path}"), "")?;
    ensure!(status == 200, "{path}: {status}: {body}");
    serde_json::from_str(&body).with_context(|| format!("{path}: {body}"))
}

/// Says what in a value is not as a schema wants it, additional fields included.
fn check(root: &Value, schema: &Value, value: &Value) -> Result<()> {
    if let Some(name) = schema["$ref"].as_str() {
        let inner = root.pointer(name.trim_start_matches('#')).context("a dead reference")?;
        return check(root, inner, value);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        ensure!(
            any.iter().any(|one| check(root, one, value).is_ok()),
            "{value} is none of {any:?}"
        );
        return Ok(());
    }
    if let Some(word) = schema.get("const") {
        ensure!(word == value, "{value} is not {word}");
        return Ok(());
    }
    if let Some(words) = schema["enum"].as_array() {
        ensure!(words.contains(value), "{value} is none of {words:?}");
    }
    match schema["type"].as_str() {
        Some("null") => ensure!(value.is_null(), "{value} is not null"),
        Some("boolean") => ensure!(value.is_boolean(), "{value} is neither true nor false"),
        Some("integer") => ensure!(value.is_u64(), "{value} is no whole number"),
        Some("string") => ensure!(value.is_string(), "{value} is no text"),
        Some("array") => {
            for one in value.as_array().context("no list")? {
                check(root, &schema["items"], one)?;
            }
        }
        Some("object") => {
            let fields = value.as_object().with_context(|| format!("{value} is no object"))?;
            for name in schema["required"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                ensure!(fields.contains_key(name), "no `{name}` in {value}");
            }
            // Whatever it has.
            let Some(known) = schema["properties"].as_object() else { return Ok(()) };
            for (name, inner) in known {
                if let Some(field) = fields.get(name) {
                    check(root, inner, field).with_context(|| name.clone())?;
                }
            }
            let is_open = schema["additionalProperties"] == true;
            let strange = fields.keys().find(|name| !is_open && !known.contains_key(*name));
            ensure!(strange.is_none(), "{strange:?} is not in the document");
        }
        other => anyhow::bail!("{other:?} is no type"),
    }
    Ok(())
}

/// Checks that the answer at a path is what the document says of it, with each parameter that it
/// names.
fn documented(collector: &Collector, document: &Value, path: &str, about: &Value) -> Result<()> {
    let content = about["responses"]["200"]["content"].as_object().context("no content")?;
    let (kind, content) = content.iter().next().context("no type")?;
    let mut queries = vec![String::new()];
    for parameter in about["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().context("no name")?;
        let word = match &parameter["schema"] {
            schema if schema["enum"].is_array() => schema["enum"][0].as_str().unwrap_or_default(),
            schema if schema["type"] == "integer" => "7",
            _ if name == "since" || name == "until" => "1h%20ago",
            _ if name == "ns" => "4026531838",
            _ if name == "event" => "create",
            _ if name == "where" => "false",
            _ => "x",
        };
        if parameter["in"] == "query" {
            queries.push(format!("?{name}={word}"));
        }
    }
    for query in queries {
        let mut reader = send(collector, &format!("GET {path}{query}"), "")?;
        let (mut head, mut line) = (String::new(), String::new());
        while line != "\r\n" {
            head.push_str(&line);
            line.clear();
            ensure!(reader.read_line(&mut line)? > 0, "it ends within its head");
        }
        ensure!(head.starts_with("HTTP/1.1 200 "), "{query}: {head}");
        let told = format!("content-type: {kind}");
        ensure!(head.to_lowercase().contains(&told), "{query}: no {kind} in {head}");
        if kind == "application/json" {
            let mut body = String::new();
            reader.read_to_string(&mut body)?;
            check(document, &content["schema"], &serde_json::from_str(&body)?).context(query)?;
        }
    }
    Ok(())
}

fn answers(room: &Room) -> Result<()> {
    // A namespace that nothing but a file holds when the collector begins.
    let mut keeper = Actor::start()?;
    let back = keeper.number("open /proc/self/ns/uts")?;
    keeper.act("unshare 4000000")?;
    let task = u64::from(keeper.pid());
    let held = of_task(task, task, "uts")?.replace("uts:", "");
    let file = keeper.number("open /proc/self/ns/uts")?;
    keeper.act(&format!("setns {back} 4000000"))?;
    let collector = Collector::start(room, "")?;
    let held = get(&collector, &format!("/api/v1/namespaces/{held}"))?;
    let holder = &held["holders"][0];
    ensure!(holder["holder"] == "fd" && holder["fd"] == file, "{held}");
    ensure!(held["processes"] == json!([]) && held["ns"]["type"] == "uts", "{held}");
    let mut actor = Actor::start()?;
    actor.act("unshare 14000000")?;
    let document = get(&collector, "/openapi.json")?;
    let process = get(&collector, &format!("/api/v1/processes/{}", actor.pid()))?;
    let inode = process["ns"]["uts"]["inode"].clone();
    let namespace = get(&collector, &format!("/api/v1/namespaces/{inode}"))?;
    ensure!(namespace["creator"]["pid"] == actor.pid(), "{namespace}");
    ensure!(namespace["processes"][0]["pid"] == actor.pid(), "{namespace}");
    let all = get(&collector, "/api/v1/namespaces?limit=10000")?;
    stored(&collector, &inode)?;
    ensure!(all["namespaces"].as_array().is_some_and(|all| all.len() >= 8), "{all}");
    for (path, about) in document["paths"].as_object().context("no paths")? {
        let real = path.replace("{inode}", &inode.to_string());
        let real = real.replace("{pid}", &actor.pid().to_string());
        documented(&collector, &document, &real, &about["get"]).context(real)?;
    }
    for path in ["/healthz", "/readyz"] {
        let (status, body, _) = ask(&collector, &format!("GET {path}"), "")?;
        ensure!(status == 200 && body == "ok\n", "{path}: {status} {body}");
    }
    let (_, metrics, _) = ask(&collector, "GET /metrics", "")?;
    for line in [
        "nstrace_build_info{version=\"",
        "nstrace_probe_attached{probe=\"",
        "nstrace_events_total{event=\"create\",type=\"uts\"} ",
        "nstrace_events_lost_total{stage=\"ring\"} 0\n",
        "nstrace_namespaces{type=\"uts\"} ",
        "nstrace_namespace_lifetime_seconds_bucket{type=\"net\",le=\"+Inf\"} ",
        "nstrace_processes ",
        "nstrace_sink_events_total{sink=\"out\"} ",
        "nstrace_sink_lost_total{sink=\"out\"} 0\n",
        "nstrace_sink_waiting{sink=\"out\"} ",
        "nstrace_history_errors_total 0\n",
        "nstrace_history_bytes ",
        "nstrace_history_oldest_timestamp_seconds 1",
    ] {
        ensure!(metrics.contains(line), "no `{line}` in {metrics}");
    }
    drop(actor);
    collector.finish().map(drop)
}

/// What happened to a namespace, asked for until its birth is stored; then page by page.
fn stored(collector: &Collector, inode: &Value) -> Result<Value> {
    let of_it = format!("/api/v1/history?ns=uts:{inode}&since=1h%20ago");
    let deadline = std::time::Instant::now() + PATIENCE;
    let past = loop {
        let past = get(collector, &of_it)?;
        if past["events"][0]["event"] == "create" {
            break past;
        }
        ensure!(std::time::Instant::now() < deadline, "{past}");
    };
    let (mut after, mut count) = (Value::from(0), 0);
    while !after.is_null() {
        let page = get(collector, &format!("/api/v1/history?limit=2&after={after}"))?;
        count += page["events"].as_array().context("no events")?.len();
        after = page["next"].clone();
    }
    let whole = get(collector, "/api/v1/history?limit=10000")?;
    let all = whole["events"].as_array().context("no events")?.len();
    ensure!(count <= all && count > 2 && whole["next"].is_null(), "{count} of {all}");
    Ok(past)
}

fn pages(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    let inodes = |page: &Value| -> Vec<Value> {
        let rows = page["namespaces"].as_array().into_iter().flatten();
        rows.map(|row| row["ns"]["inode"].clone()).collect()
    };
    // Of a machine on which others are at work, what does not change meanwhile.
    let common = |one: &[Value], other: &[Value]| -> Vec<Value> {
        one.iter().filter(|inode| other.contains(inode)).cloned().collect()
    };
    let all = |limit: usize, query: &str| -> Result<Vec<Value>> {
        let (mut found, mut next) = (Vec::new(), Value::from(0));
        while !next.is_null() {
            let path = format!("/api/v1/namespaces?limit={limit}&after={next}{query}");
            let page = get(&collector, &path)?;
            ensure!((1..=limit).contains(&inodes(&page).len()), "{page}");
            found.extend(inodes(&page));
            next = page["next"].clone();
        }
        Ok(found)
    };
    let whole = all(10_000, "")?;
    ensure!(whole.len() >= 8, "{whole:?}");
    let found = all(3.max(whole.len() / 20), "")?;
    let lasting = common(&whole, &all(10_000, "")?);
    ensure!(lasting.len() >= 8, "{whole:?}");
    ensure!(common(&found, &lasting) == lasting, "{found:?} is without some of {lasting:?}");
    let sorted = found.windows(2).all(|pair| matches!(pair, [a, b] if a.as_u64() < b.as_u64()));
    ensure!(sorted, "{found:?}");
    let nets = all(10_000, "&type=net")?;
    let same = all(10_000, "&where=type%20%3D%3D%20%22net%22")?;
    let lasting = common(&nets, &lasting);
    ensure!(!lasting.is_empty() && common(&same, &lasting) == lasting, "{nets:?}, {same:?}");
    let others = common(&all(10_000, "&type=uts")?, &nets);
    ensure!(others.is_empty(), "{others:?} are of two types");
    // What the table does not know is looked for.
    for column in ["uidmap", "holders"] {
        let condition = format!("{column} != ''");
        let args = ["list", "-J", "-o", "ns", "--source", "live", "--where", &condition];
        let listed = collector.ask(&args).output()?;
        let listed: Value = serde_json::from_slice(&listed.stdout)?;
        let rows = listed["namespaces"].as_array().into_iter().flatten();
        let listed: Vec<_> = rows.map(|row| row["ns"].clone()).collect();
        let found = all(10_000, &format!("&where={column}%20!%3D%20''"))?;
        ensure!(!common(&listed, &found).is_empty(), "{column}: {listed:?}, {found:?}");
    }
    collector.finish().map(drop)
}

/// A condition that would keep all others from being served.
const BOMB: &str =
    "GET /api/v1/events?where=process.args.exists(a,process.args.exists(b,a%3D%3Db))";

fn problems(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "")?;
    for (request, more, expected, says) in [
        ("GET /api/v1/namespaces?colour=1", "", 400, "colour"),
        ("GET /api/v1/namespaces?type=nett", "", 400, "nett"),
        ("GET /api/v1/namespaces?limit=0", "", 400, "between"),
        ("GET /api/v1/namespaces?where=pid%20%3D%201", "", 400, "column"),
        ("GET /api/v1/namespaces/12x", "", 400, "12x"),
        ("GET /api/v1/namespaces/12", "", 404, "12"),
        ("GET /api/v1/namespaces/%ff", "", 400, "UTF-8"),
        ("GET /api/v1/processes/4194304", "", 404, "4194304"),
        ("GET /api/v1/processes/%ff", "", 400, "UTF-8"),
        ("GET /api/v1/alerts?severity=worst", "", 400, "worst"),
        ("GET /api/v1/alerts?before=x", "", 400, "invalid digit"),
        ("GET /api/v1/events?where=nosuch", "", 400, "nosuch"),
        (BOMB, "", 400, "too long to evaluate"),
        ("GET /api/v1/events", "Last-Event-ID: x\r\n", 400, "Last-Event-ID"),
        ("GET /api/v1/history?since=yesterday", "", 400, "since: no time at column 1"),
        ("GET /api/v1/history?ns=blue", "", 400, "ns: "),
        ("GET /api/v1/history?event=creat", "", 400, "creat"),
        ("GET /api/v1/history?where=nosuch", "", 400, "nosuch"),
        ("GET /nowhere", "", 404, "/openapi.json"),
        ("POST /api/v1/namespaces", "Content-Length: 0\r\n", 405, "GET"),
    ] {
        let (status, body, is_problem) = ask(&collector, request, more)?;
        ensure!(status == expected && is_problem, "{request}: {status}: {body}");
        let problem: Value = serde_json::from_str(&body)?;
        let detail = problem["detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(says) && problem["status"] == expected, "{request}: {body}");
    }
    // No page in a browser reaches this socket, whatever name somebody gives it.
    let mut stream = UnixStream::connect(collector.runtime().join("http.sock"))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for (request, expected) in [
        ("GARBAGE\r\n\r\n".to_owned(), 400),
        ("GET /a b HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /healthz HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)), 414),
        (format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(150)), 431),
    ] {
        let mut stream = UnixStream::connect(collector.runtime().join("http.sock"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").context("no head")?;
        ensure!(head.contains("application/problem+json"), "{answer}");
        let problem: Value = serde_json::from_str(body)?;
        ensure!(problem["status"] == expected, "{answer}");
    }
    // What is no HTTP at all is nobody else's trouble.
    let mut garbage = UnixStream::connect(collector.runtime().join("http.sock"))?;
    garbage.write_all(&[0xff; 4096])?;
    get(&collector, "/api/v1/namespaces")?;
    drop(garbage);
    collector.finish().map(drop)
}

/// The next event of a stream: its id, its name and its data.
fn event(stream: &mut impl std::io::BufRead) -> Result<(String, String, Value)> {
    let (mut id, mut name) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        ensure!(stream.read_line(&mut line)? > 0, "the stream has ended");
        let line = line.trim_end();
        if let Some(text) = line.strip_prefix("id: ") {
            text.clone_into(&mut id);
        } else if let Some(text) = line.strip_prefix("event: ") {
            text.clone_into(&mut name);
        } else if let Some(text) = line.strip_prefix("data: ") {
            return Ok((id, name, serde_json::from_str(text)?));
        }
    }
}

fn resumes(room: &Room) -> Result<()> {
    let mut collector = Collector::start(room, "[recent]\nevents = 16\n")?;
    let path = "GET /api/v1/events?where=event%20in%20%5B%22create%22%2C%22destroy%22%5D";
    let mut stream = send(&collector, path, "")?;
    // Only what comes after it is sent: it must be there first.
    let mut line = String::new();
    while !line.starts_with(": alive") {
        line.clear();
        ensure!(stream.read_line(&mut line)? > 0, "no stream");
    }
    let first = make(collector.tracer()?)?;
    let (id, name, data) = event(&mut stream)?;
    ensure!(name == "create" && data["ns"]["inode"] == first, "{name}: {data}");
    drop(stream);
    let second = make(collector.tracer()?)?;
    let mut stream = send(&collector, path, &format!("Last-Event-ID: {id}\r\n"))?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let (_, name, data) = event(&mut stream)?;
        seen.push((name, data["ns"]["inode"].as_u64().unwrap_or_default()));
    }
    let expected = [("destroy", first), ("create", second), ("destroy", second)];
    ensure!(seen == expected.map(|(name, inode)| (name.to_owned(), inode)), "{seen:?}");
    drop(stream);
    for _ in 0..16 {
        make(collector.tracer()?)?;
    }
    let mut stream = send(&collector, path, &format!("Last-Event-ID: {id}\r\n"))?;
    let (lost_id, name, data) = event(&mut stream)?;
    ensure!(name == "lost" && data["lost"]["stage"] == "sink", "{name}: {data}");
    let number =
        |id: &str| -> Result<u64> { Ok(id.split_once('.').context("no number")?.1.parse()?) };
    let missed = number(&lost_id)? - number(&id)?;
    ensure!(data["lost"]["count"] == missed && missed > 16, "{missed}: {data}");
    drop(stream);
    // The next run has other events, but numbers that go on.
    collector.end(Signal::TERM)?;
    collector.run()?;
    make(collector.tracer()?)?;
    let mut stream = send(&collector, path, &format!("Last-Event-ID: {lost_id}\r\n"))?;
    let (next_id, name, data) = event(&mut stream)?;
    let missed = number(&next_id)? - number(&lost_id)?;
    ensure!(name == "lost" && data["lost"]["count"] == missed && missed >= 16, "{name}: {data}");
    drop(stream);
    collector.finish().map(drop)
}

fn token(room: &Room) -> Result<()> {
    let name = format!("ns-trace-test-{}-token", std::process::id());
    let file = std::env::temp_dir().join(name);
    fs::write(&file, "s3cret\n")?;
    let collector =
        Collector::start(room, &format!("[http]\ntoken_file = \"{}\"\n", file.display()))?;
    let asked = ["", "s3cre", "s3creT", "s3crets", "s3cret"].map(|token| {
        let header = format!("Authorization: Bearer {token}\r\n");
        ask(&collector, "GET /healthz", &header).map(|(status, ..)| status)
    });
    fs::remove_file(&file)?;
    let asked = asked.into_iter().collect::<Result<Vec<_>>>()?;
    ensure!(asked == [401, 401, 401, 401, 200], "{asked:?}");
    collector.finish().map(drop)
}

/// The port at which a process listens.
fn port(pid: u32) -> Result<u16> {
    let links = fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
    let links: Vec<_> = links.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
    let is_its =
        |inode: &str| links.iter().any(|link| *link.as_os_str() == *format!("socket:[{inode}]"));
    let sockets = fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    let found = sockets.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, local, _, state, _, _, _, _, _, inode, ..] = fields[..] else { return None };
        let (_, port) = local.split_once(':')?;
        (state == "0A" && is_its(inode)).then(|| u16::from_str_radix(port, 16).ok())?
    });
    found.with_context(|| format!("no socket of {pid} listens: {sockets}"))
}

/// A page in a browser has no say in the address that it asks, but in its name.
fn network(room: &Room) -> Result<()> {
    let token = std::env::temp_dir().join(format!("ns-trace-test-{}-network", std::process::id()));
    fs::write(&token, "s3cret\n")?;
    let listen = "[http]\nlisten = \"127.0.0.1:0\"\n";
    let with_token = format!("{listen}token_file = \"{}\"\n", token.display());
    let (right, wrong) = ("Authorization: bearer s3cret\r\n", "Authorization: Bearer secret\r\n");
    for (config, asked) in [
        (listen, [("localhost", "", 200), ("127.0.0.1:7979", "", 200), ("evil.example", "", 403)]),
        (
            &with_token,
            [("a.example", right, 200), ("localhost", wrong, 401), ("localhost", "", 401)],
        ),
    ] {
        let collector = Collector::start(room, config)?;
        let port = port(collector.tracer()?.pid())?;
        for (host, header, expected) in asked {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            write!(
                stream,
                "GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{header}\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            ensure!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{host}: {answer}");
        }
        collector.finish()?;
    }
    Ok(fs::remove_file(&token)?)
}

/// On both sockets: who does not say what they want is told so in the end, who is too many at once,
/// and others are answered meanwhile.
fn turned_away(room: &Room) -> Result<()> {
    let collector = Collector::start(room, "[http]\nclients = 8\n")?;
    let connect = |name: &str| -> Result<UnixStream> {
        let stream = UnixStream::connect(collector.runtime().join(name))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    };
    let said = |mut stream: &UnixStream| -> Result<String> {
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    // Of sixteen connections root has eight.
    let idle: Vec<_> = (0..7).map(|_| connect("http.sock")).collect::<Result<_>>()?;
    let mut half = connect("http.sock")?;
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: local")?;
    let (mute, mut slow) = (connect("control.sock")?, connect("control.sock")?);
    slow.write_all(b"{\"v\":1,")?;
    let refused = said(&connect("http.sock")?)?;
    ensure!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("too many"), "{refused}");
    // Another user has a share of their own, and so has each socket.
    let other = thread::scope(|scope| {
        let asked = scope.spawn(|| {
            // Of this thread alone; the group stays.
            set_thread_uid(Uid::from_raw(65534))?;
            ask(&collector, "GET /healthz", "")
        });
        asked.join().ok().context("the thread has panicked")?
    });
    ensure!(other.as_ref().is_ok_and(|(status, ..)| *status == 200), "{other:?}");
    let listed = collector.ask(&["list", "--source", "live"]).output()?;
    ensure!(listed.status.success(), "{listed:?}");
    for stream in idle.iter().chain([&half]) {
        let told = said(stream)?;
        ensure!(told.starts_with("HTTP/1.1 408 ") && told.contains("no request within"), "{told}");
    }
    for stream in [&mute, &slow] {
        let told = said(stream)?;
        ensure!(told.contains("no request within"), "{told}");
    }
    drop(said(&{
        let mut garbage = connect("http.sock")?;
        garbage.write_all(b"\x16\x03\x01 hello\r\n\r\n")?;
        garbage
    })?);
    let (status, metrics, _) = ask(&collector, "GET /metrics", "")?;
    ensure!(status == 200, "{status}");
    for (labels, count) in [
        ("socket=\"http\",reason=\"many\"", 1),
        ("socket=\"http\",reason=\"slow\"", 8),
        ("socket=\"http\",reason=\"malformed\"", 1),
        ("socket=\"control\",reason=\"slow\"", 2),
    ] {
        let line = format!("nstrace_clients_refused_total{{{labels}}} {count}\n");
        ensure!(metrics.contains(&line), "no {line} in {metrics}");
    }
    collector.finish().map(drop)
}
