//! The kernel's own description of its types (Documentation/bpf/btf.rst).
//!
//! Only what offsets need: structs and their members, and which functions exist. Arbitrary bytes
//! give an error, never a panic.

use std::collections::HashMap;

const MAGIC: u16 = 0xeb9f;
const HEADER_LEN: usize = 24;
/// Structs and aliases that are looked into for one member: more is a loop, or made to take long.
const LOOKS: u32 = 1000;

pub(super) const STRUCT: u32 = 4;
pub(super) const UNION: u32 = 5;
const ENUM: u32 = 6;
pub(super) const FUNC: u32 = 12;
/// Typedef, volatile, const, restrict and type tag: names for another type.
const ALIASES: [u32; 5] = [8, 9, 10, 11, 18];

/// Why bytes are not BTF.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// The header is not one.
    #[error("not BTF: bad header")]
    Header,
    /// A type of a kind that this reader does not know.
    #[error("unknown BTF kind {0}")]
    Kind(u32),
    /// The data ends within a type.
    #[error("truncated BTF")]
    Truncated,
}

/// Parsed BTF.
#[derive(Debug)]
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where each type starts in `types`; type 0 is void and has no entry.
    starts: Vec<u32>,
    structs: HashMap<&'a [u8], u32>,
    functions: HashMap<&'a [u8], u32>,
    /// The members that were asked for, found or not: what a fixture must know.
    #[cfg(test)]
    pub(super) asked: std::cell::RefCell<std::collections::BTreeSet<(String, String)>>,
}

/// Where a member is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// Bytes from the start of the outermost struct.
    pub offset: u32,
    /// The member's type number.
    kind: u32,
}

impl<'a> Btf<'a> {
    /// Reads `data`, keeping of the names those in `structs` and `functions`.
    ///
    /// # Errors
    ///
    /// If it is not BTF, or has a kind of type younger than this reader.
    pub fn parse(data: &'a [u8], structs: &[&str], functions: &[&str]) -> Result<Self, Error> {
        let magic = data.get(..2).ok_or(Error::Header)?;
        if magic != MAGIC.to_le_bytes() || data.len() < HEADER_LEN {
            return Err(Error::Header);
        }
        let field = |at| word(data, at).map(|value| value as usize).ok_or(Error::Header);
        let header_len = field(4)?;
        let section = |at| -> Result<&'a [u8], Error> {
            let start = header_len.checked_add(field(at)?).ok_or(Error::Header)?;
            let end = start.checked_add(field(at + 4)?).ok_or(Error::Header)?;
            data.get(start..end).ok_or(Error::Header)
        };
        let mut btf = Self {
            types: section(8)?,
            strings: section(16)?,
            starts: Vec::new(),
            structs: HashMap::new(),
            functions: HashMap::new(),
            #[cfg(test)]
            asked: std::cell::RefCell::default(),
        };
        btf.index(structs, functions)?;
        Ok(btf)
    }

    /// Finds where each type starts, and the wanted names.
    fn index(&mut self, structs: &[&str], functions: &[&str]) -> Result<(), Error> {
        self.starts.reserve(self.types.len() / 24);
        let mut at = 0;
        while at < self.types.len() {
            let name = word(self.types, at).ok_or(Error::Truncated)?;
            let info = word(self.types, at + 4).ok_or(Error::Truncated)?;
            self.starts.push(u32::try_from(at).or(Err(Error::Truncated))?);
            let id = u32::try_from(self.starts.len()).or(Err(Error::Truncated))?;
            let (kind, count) = (info >> 24 & 0x1f, info & 0xffff);
            let (wanted, found) = match kind {
                STRUCT | UNION | ENUM => (structs, &mut self.structs),
                FUNC => (functions, &mut self.functions),
                _ => (&[][..], &mut self.structs),
            };
            if !wanted.is_empty() {
                let name = string(self.strings, name);
                if wanted.iter().any(|wanted| wanted.as_bytes() == name) {
                    found.entry(name).or_insert(id);
                }
            }
            at += 12 + extra(kind, count).ok_or(Error::Kind(kind))?;
        }
        if at == self.types.len() { Ok(()) } else { Err(Error::Truncated) }
    }

    /// The type number of a function, which must have been asked for when parsing.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<u32> {
        self.functions.get(name.as_bytes()).copied()
    }

    /// How many bytes a struct or union takes.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u32> {
        let at = self.start(*self.structs.get(name.as_bytes())?)?;
        word(self.types, at + 8)
    }

    /// The names and values of `enum name`, which must have been asked for among the structs.
    #[must_use]
    pub fn enumerators(&self, name: &str) -> Vec<(&'a [u8], u32)> {
        let Some(at) = self.structs.get(name.as_bytes()).and_then(|id| self.start(*id)) else {
            return Vec::new();
        };
        let info = word(self.types, at + 4).unwrap_or_default();
        let count = if info >> 24 & 0x1f == ENUM { info & 0xffff } else { 0 };
        let entry = |index: usize| {
            let at = at + 12 + index * 8;
            Some((string(self.strings, word(self.types, at)?), word(self.types, at + 4)?))
        };
        (0..count as usize).filter_map(entry).collect()
    }

    /// Where `path` is in `struct name`; members of members are joined with dots, and those of
    /// anonymous structs and unions count as the outer struct's own.
    #[must_use]
    pub fn member(&self, name: &str, path: &str) -> Option<Member> {
        #[cfg(test)]
        self.asked.borrow_mut().insert((name.to_owned(), path.to_owned()));
        let mut looks = LOOKS;
        let mut found = Member { offset: 0, kind: *self.structs.get(name.as_bytes())? };
        for part in path.split('.') {
            let inner = self.find(found.kind, part, &mut looks)?;
            found = Member { offset: found.offset.checked_add(inner.offset)?, kind: inner.kind };
        }
        Some(found)
    }

    /// Finds one member of a struct or union.
    fn find(&self, id: u32, name: &str, looks: &mut u32) -> Option<Member> {
        *looks = looks.checked_sub(1)?;
        let at = self.start(id)?;
        let info = word(self.types, at + 4)?;
        let (kind, count) = (info >> 24 & 0x1f, info & 0xffff);
        if ALIASES.contains(&kind) {
            return self.find(word(self.types, at + 8)?, name, looks);
        }
        if kind != STRUCT && kind != UNION {
            return None;
        }
        let is_bitfield_struct = info >> 31 != 0;
        for member in 0..count as usize {
            let at = at + 12 + member * 12;
            let called = string(self.strings, word(self.types, at)?);
            let kind = word(self.types, at + 4)?;
            let bits = word(self.types, at + 8)?;
            // The upper byte is then the width of a bit field.
            let offset = if is_bitfield_struct { bits & 0x00ff_ffff } else { bits } / 8;
            if called == name.as_bytes() {
                return Some(Member { offset, kind });
            }
            if called.is_empty()
                && let Some(inner) = self.find(kind, name, looks)
            {
                let offset = offset.checked_add(inner.offset)?;
                return Some(Member { offset, kind: inner.kind });
            }
        }
        None
    }

    fn start(&self, id: u32) -> Option<usize> {
        let index = id.checked_sub(1)?;
        self.starts.get(index as usize).map(|start| *start as usize)
    }
}

/// Bytes after the common part of a type (include/uapi/linux/btf.h).
pub(super) const fn extra(kind: u32, count: u32) -> Option<usize> {
    let count = count as usize;
    Some(match kind {
        // Pointer, forward, aliases, function, float.
        2 | 7..=12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Struct, union, data section, 64-bit enumeration.
        4 | 5 | 15 | 19 => count * 12,
        // Enumeration, function prototype.
        6 | 13 => count * 8,
        _ => return None,
    })
}

pub(super) fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

pub(super) fn string(strings: &[u8], at: u32) -> &[u8] {
    let rest = strings.get(at as usize..).unwrap_or_default();
    rest.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct outer { int a; struct { struct inner in; }; }`, `struct inner { int x; int y; }`,
    /// and the function `hello`.
    fn sample() -> Vec<u8> {
        let strings = b"\0outer\0inner\0a\0in\0x\0y\0hello\0int\0";
        let name = |text: &str| {
            let text = [b"\0", text.as_bytes(), b"\0"].concat();
            let at = strings.windows(text.len()).position(|window| window == text).unwrap();
            u32::try_from(at + 1).unwrap()
        };
        let header = |kind: u32, count: u32| kind << 24 | count;
        let types: Vec<u32> = [
            vec![name("int"), header(1, 0), 4, 32],
            vec![name("inner"), header(4, 2), 8, name("x"), 1, 0, name("y"), 1, 32],
            vec![0, header(4, 1), 8, name("in"), 2, 0],
            vec![name("outer"), header(4, 2), 12, name("a"), 1, 0, 0, 3, 32],
            vec![0, header(13, 0), 0],
            vec![name("hello"), header(12, 0), 5],
        ]
        .concat();
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_ne_bytes).collect();
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap();
        let (types_len, strings_len) = (len(&types), len(strings));
        let mut data = [0x9f, 0xeb, 1, 0].to_vec();
        for value in [24, 0, types_len, types_len, strings_len] {
            data.extend(value.to_ne_bytes());
        }
        data.extend(types);
        data.extend(strings);
        data
    }

    #[test]
    fn members_of_anonymous_structs_are_found() {
        let data = sample();
        let btf = Btf::parse(&data, &["outer"], &["hello"]).unwrap();
        assert_eq!(btf.member("outer", "a").unwrap().offset, 0);
        assert_eq!(btf.member("outer", "in.y").unwrap().offset, 8);
        assert_eq!(btf.member("outer", "nothing"), None);
        assert_eq!(btf.member("inner", "x"), None, "not asked for");
        assert_eq!(btf.size("outer"), Some(12));
        assert_eq!(btf.size("inner"), None, "not asked for");
        assert_eq!(btf.function("hello"), Some(6));
        assert_eq!(btf.function("outer"), None);
    }

    #[test]
    fn every_cut_of_valid_data_is_an_error() {
        let data = sample();
        for len in 0..data.len() {
            let cut = data.get(..len).unwrap();
            assert!(Btf::parse(cut, &["outer"], &[]).is_err(), "cut at {len}");
        }
    }

    /// Anonymous structs within themselves, twice: each look doubles the work.
    #[test]
    fn a_loop_ends() {
        let types = [0_u32, 4 << 24 | 2, 8, 0, 1, 0, 0, 1, 0];
        let types: Vec<u8> = types.into_iter().flat_map(u32::to_ne_bytes).collect();
        let header = [24, 0, 36, 36, 1_u32].into_iter().flat_map(u32::to_ne_bytes);
        let mut data: Vec<u8> = [0x9f, 0xeb, 1, 0].into_iter().chain(header).collect();
        data.extend(types);
        data.push(0);
        let btf = Btf::parse(&data, &[""], &[]).unwrap();
        assert_eq!(btf.member("", "x"), None);
    }
}
