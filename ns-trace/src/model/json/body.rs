//! What each sort of event has of its own, all but its process, which comes last.

use super::{
    super::{
        Cause, Errno, Flags,
        event::{
            Alert, Body, Change, Create, Destroy, Enter, Exec, Exist, Exit, Fail, Fork, Map,
            MapLine, MapWrite, ProcessTarget, Relation, Status, Target,
        },
    },
    namespace::Namespaces,
    process::{creator, task_ref},
    scalar::{hexadecimal_short, number, optional_number, string},
};

/// Writes bodies; what repeats from call to call is kept as text.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    pub(super) namespaces: Namespaces,
    call: CallText,
}

/// What a call was, up to its number.
#[derive(Debug, Default)]
struct CallText {
    call: Option<(Cause, Flags)>,
    text: Vec<u8>,
}

impl Bodies {
    /// Appends the rest of `"event":"`.
    pub(super) fn write(&mut self, body: &Body, out: &mut Vec<u8>) {
        match body {
            Body::Create(event) => self.create(event, out),
            Body::Enter(event) => self.enter(event, out),
            Body::Fail(event) => self.fail(event, out),
            Body::Destroy(event) => self.destroy(event, out),
            Body::Map(event) => self.map(event, out),
            Body::Exist(event) => self.exist(event, out),
            Body::Fork(event) => fork(event, out),
            Body::Exec(event) => self.exec(event, out),
            Body::Exit(event) => exit(event, out),
            Body::Alert(event) => self.alert(event, out),
            // Written by serde.
            Body::Lost(_) | Body::Sync(_) => {}
        }
    }

    fn create(&mut self, event: &Create, out: &mut Vec<u8>) {
        let Create { cause, flags, op, ns, process: _ } = event;
        out.extend_from_slice(br#"create","#);
        self.call.write(*cause, *flags, *op, out);
        out.extend_from_slice(br#","ns":"#);
        self.namespaces.info(ns, out);
    }

    fn enter(&mut self, event: &Enter, out: &mut Vec<u8>) {
        let Enter { cause, flags, op, changes: changed, relation: related, repeat, process: _ } =
            event;
        out.extend_from_slice(br#"enter","#);
        self.call.write(*cause, *flags, *op, out);
        self.changes(changed, out);
        relation(*related, out);
        repeated(*repeat, out);
    }

    fn fail(&mut self, event: &Fail, out: &mut Vec<u8>) {
        let Fail {
            cause,
            flags,
            op,
            errno: error,
            target: attempted,
            relation: related,
            repeat,
            process: _,
        } = event;
        out.extend_from_slice(br#"fail","#);
        self.call.write(*cause, *flags, *op, out);
        errno(*error, out);
        self.target(attempted.as_ref(), out);
        relation(*related, out);
        repeated(*repeat, out);
    }

    fn destroy(&mut self, event: &Destroy, out: &mut Vec<u8>) {
        let Destroy { ns, creator: maker, lifetime_ns, last_task_boot_ns } = event;
        out.extend_from_slice(br#"destroy","ns":"#);
        self.namespaces.info(ns, out);
        out.extend_from_slice(br#","creator":"#);
        match maker {
            Some(maker) => creator(maker, out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","lifetime_ns":"#);
        optional_number(*lifetime_ns, out);
        out.extend_from_slice(br#","last_task_boot_ns":"#);
        optional_number(*last_task_boot_ns, out);
    }

    fn map(&mut self, event: &Map, out: &mut Vec<u8>) {
        let Map { ns, map, errno: error, process: _ } = event;
        let MapWrite { file, lines, value, truncated } = map;
        out.extend_from_slice(br#"map","ns":"#);
        self.namespaces.info(ns, out);
        out.extend_from_slice(br#","map":{"file":""#);
        out.extend_from_slice(file.name().as_bytes());
        out.extend_from_slice(br#"","lines":["#);
        for (at, MapLine { inside, outside, count }) in lines.iter().enumerate() {
            out.extend_from_slice(if at == 0 { &br#"{"inside":"#[..] } else { br#",{"inside":"# });
            number(*inside, out);
            out.extend_from_slice(br#","outside":"#);
            number(*outside, out);
            out.extend_from_slice(br#","count":"#);
            number(*count, out);
            out.push(b'}');
        }
        out.push(b']');
        if let Some(value) = value {
            out.extend_from_slice(br#","value":"#);
            string(value, out);
        }
        out.extend_from_slice(if *truncated { &br#","truncated":true}"#[..] } else { b"}" });
        match error {
            Some(error) => errno(*error, out),
            None => out.extend_from_slice(br#","errno":null"#),
        }
    }

    fn exist(&mut self, event: &Exist, out: &mut Vec<u8>) {
        let Exist { ns, members } = event;
        out.extend_from_slice(br#"exist","ns":"#);
        self.namespaces.info(ns, out);
        out.extend_from_slice(br#","members":"#);
        number(*members, out);
    }

    fn exec(&mut self, event: &Exec, out: &mut Vec<u8>) {
        let Exec { changes: changed, process: _ } = event;
        out.extend_from_slice(br#"exec""#);
        self.changes(changed, out);
    }

    fn alert(&mut self, event: &Alert, out: &mut Vec<u8>) {
        let Alert { rule, severity, tags, message, cause_seq, repeat, ns, process: _ } = event;
        out.extend_from_slice(br#"alert","rule":"#);
        string(rule, out);
        out.extend_from_slice(br#","severity":""#);
        out.extend_from_slice(severity.name().as_bytes());
        out.extend_from_slice(br#"","tags":["#);
        for (at, tag) in tags.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            string(tag, out);
        }
        out.extend_from_slice(br#"],"message":"#);
        string(message, out);
        out.extend_from_slice(br#","cause_seq":"#);
        optional_number(*cause_seq, out);
        repeated(*repeat, out);
        if let Some(ns) = ns {
            out.extend_from_slice(br#","ns":"#);
            self.namespaces.info(ns, out);
        }
    }

    fn changes(&mut self, changes: &[Change], out: &mut Vec<u8>) {
        out.extend_from_slice(br#","changes":["#);
        for (at, change) in changes.iter().enumerate() {
            let Change { slot, from, to } = change;
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(br#"{"slot":""#);
            out.extend_from_slice(slot.name().as_bytes());
            out.extend_from_slice(br#"","from":"#);
            self.namespaces.optional(from.as_ref(), out);
            out.extend_from_slice(br#","to":"#);
            self.namespaces.optional(to.as_ref(), out);
            out.push(b'}');
        }
        out.push(b']');
    }

    fn target(&mut self, target: Option<&Target>, out: &mut Vec<u8>) {
        out.extend_from_slice(br#","target":"#);
        match target {
            None => out.extend_from_slice(b"null"),
            Some(Target::Namespace(ns)) => self.namespaces.reference(ns, out),
            Some(Target::Process(ProcessTarget { pid, ns })) => {
                out.extend_from_slice(br#"{"pid":"#);
                number(*pid, out);
                out.extend_from_slice(br#","ns":["#);
                for (at, ns) in ns.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    self.namespaces.reference(ns, out);
                }
                out.extend_from_slice(b"]}");
            }
        }
    }
}

impl CallText {
    fn write(&mut self, cause: Cause, flags: Flags, op: u64, out: &mut Vec<u8>) {
        if self.call != Some((cause, flags)) {
            self.call = Some((cause, flags));
            self.text.clear();
            call(cause, flags, &mut self.text);
        }
        out.extend_from_slice(&self.text);
        number(op, out);
    }
}

fn fork(event: &Fork, out: &mut Vec<u8>) {
    let Fork { child, process: _ } = event;
    out.extend_from_slice(br#"fork","child":"#);
    task_ref(*child, out);
}

fn exit(event: &Exit, out: &mut Vec<u8>) {
    let Exit { status, process: _ } = event;
    out.extend_from_slice(br#"exit","status":"#);
    match status {
        Status::Code { code } => {
            out.extend_from_slice(br#"{"code":"#);
            number(*code, out);
        }
        Status::Signal { signal, core } => {
            out.extend_from_slice(br#"{"signal":"#);
            number(*signal, out);
            out.extend_from_slice(if *core { br#","core":true"# } else { br#","core":false"# });
        }
    }
    out.push(b'}');
}

fn call(cause: Cause, flags: Flags, out: &mut Vec<u8>) {
    out.extend_from_slice(br#""cause":""#);
    out.extend_from_slice(cause.name().as_bytes());
    out.extend_from_slice(br#"","flags":["#);
    for (at, name) in flags.names().enumerate() {
        out.extend_from_slice(if at == 0 { b"\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.push(b'"');
    }
    out.push(b']');
    if flags.rest() != 0 {
        out.extend_from_slice(br#","flags_raw":"0x"#);
        hexadecimal_short(flags.rest(), out);
        out.push(b'"');
    }
    out.extend_from_slice(br#","op":"#);
}

fn repeated(repeat: Option<u64>, out: &mut Vec<u8>) {
    if let Some(repeat) = repeat {
        out.extend_from_slice(br#","repeat":"#);
        number(repeat, out);
    }
}

fn errno(errno: Errno, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","errno":""#);
    if let Some(name) = errno.name() {
        out.extend_from_slice(name.as_bytes());
    } else {
        out.extend_from_slice(b"ERRNO_");
        number(errno.raw(), out);
    }
    out.push(b'"');
}

fn relation(relation: Option<Relation>, out: &mut Vec<u8>) {
    out.extend_from_slice(match relation {
        None => br#","relation":null"#,
        Some(Relation::Host) => br#","relation":"host""#,
        Some(Relation::Own) => br#","relation":"own""#,
        Some(Relation::Other) => br#","relation":"other""#,
    });
}
