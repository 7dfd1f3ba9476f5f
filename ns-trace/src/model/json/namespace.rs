//! Namespaces, and the ten of a task: what was written last is kept as text.

use std::{ops::Range, sync::Arc};

use super::{
    super::{Kind, NsInfo, NsRef, SLOTS, Slot, Slots},
    scalar::{number, optional_number},
};

/// How many namespaces are remembered: those of a few calls that are made at the same time.
const REMEMBERED: usize = 16;

/// Writes namespaces. One that is made is in every event of its call, and in the one of its end.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    known: [NameText; REMEMBERED],
}

/// The part of a namespace's text that tells which it is.
#[derive(Debug, Default)]
struct NameText {
    name: Option<Name>,
    text: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Name {
    kind: Kind,
    inode: u32,
    id: Option<u64>,
}

impl Namespaces {
    /// Appends a namespace.
    pub(super) fn reference(&mut self, ns: &NsRef, out: &mut Vec<u8>) {
        let NsRef { kind, inode, id, initial } = *ns;
        self.name(Name { kind, inode, id }, out);
        let initial = if initial { &br#","initial":true}"#[..] } else { br#","initial":false}"# };
        out.extend_from_slice(initial);
    }

    /// Appends a namespace or `null`.
    pub(super) fn optional(&mut self, ns: Option<&NsRef>, out: &mut Vec<u8>) {
        match ns {
            Some(ns) => self.reference(ns, out),
            None => out.extend_from_slice(b"null"),
        }
    }

    /// Appends a namespace with its place in the hierarchy.
    pub(super) fn info(&mut self, ns: &NsInfo, out: &mut Vec<u8>) {
        let NsInfo { kind, inode, id, initial, born, owner, parent, level } = *ns;
        self.name(Name { kind, inode, id }, out);
        out.extend_from_slice(if initial {
            br#","initial":true,"born":"#
        } else {
            br#","initial":false,"born":"#
        });
        optional_number(born, out);
        out.extend_from_slice(br#","owner":"#);
        self.optional(owner.as_ref(), out);
        out.extend_from_slice(br#","parent":"#);
        self.optional(parent.as_ref(), out);
        out.extend_from_slice(br#","level":"#);
        optional_number(level.map(u64::from), out);
        out.push(b'}');
    }

    fn name(&mut self, name: Name, out: &mut Vec<u8>) {
        let known = &mut self.known[name.inode as usize % REMEMBERED];
        if known.name != Some(name) {
            known.name = Some(name);
            known.text.clear();
            name.write(&mut known.text);
        }
        out.extend_from_slice(&known.text);
    }
}

impl Name {
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.kind {
            Kind::Mnt => br#"{"type":"mnt","inode":"#,
            Kind::Pid => br#"{"type":"pid","inode":"#,
            Kind::Ipc => br#"{"type":"ipc","inode":"#,
            Kind::Uts => br#"{"type":"uts","inode":"#,
            Kind::Net => br#"{"type":"net","inode":"#,
            Kind::User => br#"{"type":"user","inode":"#,
            Kind::Cgroup => br#"{"type":"cgroup","inode":"#,
            Kind::Time => br#"{"type":"time","inode":"#,
        });
        number(self.inode, out);
        out.extend_from_slice(br#","id":"#);
        optional_number(self.id, out);
    }
}

/// The text of a task's ten namespaces, brought up to date slot by slot.
///
/// Most calls change one or two of ten, so most of the text is still right.
#[derive(Debug, Default)]
pub(super) struct SlotsText {
    slots: Option<Slots>,
    text: Vec<u8>,
    /// Where in `text` each slot's value is.
    values: [Range<usize>; SLOTS],
}

impl SlotsText {
    /// The text of `slots`, an object.
    pub(super) fn of(&mut self, slots: &Slots, namespaces: &mut Namespaces) -> &[u8] {
        if self.slots.as_ref().is_some_and(|last| Arc::ptr_eq(&last.0, &slots.0)) {
            return &self.text;
        }
        if !self.update(slots, namespaces) {
            self.render(slots, namespaces);
        }
        self.slots = Some(slots.clone());
        &self.text
    }

    /// Overwrites what changed; false if that was impossible, and then the text is wrong.
    fn update(&mut self, slots: &Slots, namespaces: &mut Namespaces) -> bool {
        let Some(last) = &self.slots else {
            return false;
        };
        let end = self.text.len();
        for ((old, new), at) in last.0.iter().zip(slots.0.iter()).zip(&self.values) {
            if old == new {
                continue;
            }
            namespaces.optional(new.as_ref(), &mut self.text);
            if self.text.len() - end != at.len() {
                return false;
            }
            self.text.copy_within(end.., at.start);
            self.text.truncate(end);
        }
        true
    }

    fn render(&mut self, slots: &Slots, namespaces: &mut Namespaces) {
        self.text.clear();
        for slot in Slot::ALL {
            let separator = if self.text.is_empty() { b'{' } else { b',' };
            self.text.extend_from_slice(&[separator, b'"']);
            self.text.extend_from_slice(slot.name().as_bytes());
            self.text.extend_from_slice(br#"":"#);
            let start = self.text.len();
            namespaces.optional(slots.get(slot), &mut self.text);
            self.values[slot as usize] = start..self.text.len();
        }
        self.text.push(b'}');
    }
}
